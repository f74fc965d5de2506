use crate::edge::rate::NamedLimit;
use license_core::{
    Clock,
    domain::{lease::LeaseTiming, rate::RateLimit},
    seat_store::{ReplicationId, SeatStore},
};
use std::time::Duration;
use tokio::{net::TcpListener, time::Instant};

/// The clock is Tokio's own: it goes on by itself to what is waited for, and nobody waits for real.
#[tokio::test(start_paused = true)]
async fn a_seat_store_that_takes_connections_and_never_answers_holds_no_request_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", silent.local_addr().unwrap());
    let seats = SeatStore::new(&url, ReplicationId::Script, LeaseTiming::default(), Clock::system()).unwrap();
    let limit = NamedLimit::new("a limit", Some(RateLimit { per_minute: 6, burst: 3 }), seats);
    let asked = Instant::now();
    assert!(limit.admit("somebody").await.unwrap().is_none(), "let through, and told of no limit");
    assert!(asked.elapsed() < Duration::from_millis(300), "{:?}", asked.elapsed());
}
