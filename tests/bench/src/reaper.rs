//! How long it takes until the seats of silent clients are recorded as free.

use crate::{
    Part, Size,
    function::Function,
    http::{Connection, post},
    rebuild::rebuilt,
    stage::{Pool, Stage},
};
use license_core::{Clock, domain::event::SweepShare};
use license_pubsub::{
    Message, Topic,
    push::{Envelope, PushDelivery},
};
use serde_json::json;
use std::{
    fmt::Write,
    time::{Duration, Instant},
};

/// The shortest lease there is, so that the seats lapse while we wait.
const TTL: [(&str, &str); 2] = [("SEAT_TTL_SECONDS", "2"), ("SEAT_DRAIN_SECONDS", "0")];

pub(crate) async fn measure(stage: &mut Stage, size: &Size) -> Part {
    let mut text = String::from(
        "| dead seats, one session each | all ended after, s | per seat, µs | events published after, s | CPU per seat, µs: reaper | Redis | PostgreSQL |\n|---|---|---|---|---|---|---|\n",
    );
    let (mut all, mut ended) = (Vec::new(), Vec::new());
    for &seats in [1000].iter().chain(size.seats) {
        let pool = stage.pool(seats).await;
        let held = stage.seat(&pool, seats).await;
        stage.flush().await;
        let heartbeat = Function::start(stage, "heartbeat", &TTL).await;
        rebuilt(&heartbeat, &held[0]).await;
        drop(heartbeat);
        let reaper = Function::start(stage, "reaper", &TTL).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert!(is_held(stage, &pool).await, "the copy of the pool is not where it is looked for");
        let meter = crate::reached::Meter::of(stage).await;
        let request = reap(stage, &pool);
        let mut connection = Connection::open(reaper.address).await.unwrap();
        let (before, began) = (meter.read(&[&reaper]), Instant::now());
        // Asked again, as Pub/Sub would, where one request's time was not enough.
        let mut asked = 0;
        let asking = async {
            while connection.ask(&request).await.unwrap().status != 204 {
                asked += 1;
                assert!(asked < 10, "the reaper does not come to an end");
            }
            began.elapsed()
        };
        let (whole, ended_after) = tokio::join!(asking, forgotten(stage, &pool, began));
        let (whole, seconds) = (whole.as_secs_f64(), ended_after.as_secs_f64());
        let cpu = meter.read(&[&reaper]).since(before, u64::from(seats));
        let left = stage.open_sessions(&pool).await;
        let each = seconds * 1e6 / f64::from(seats);
        let cell = |us: Option<f64>| us.map_or_else(|| "–".to_owned(), |us| format!("{us:.0}"));
        let _ = writeln!(
            text,
            "| {seats}{} | {seconds:.2} | {each:.0} | {whole:.2} | {} | {} | {} |",
            if left > 0 { format!(" ({left} left)") } else { String::new() },
            cell(cpu.function),
            cell(cpu.redis),
            cell(cpu.postgres),
        );
        ended.push((f64::from(seats), seconds));
        all.push(json!({ "seats": seats, "ended_s": seconds, "published_s": whole, "left": left, "per_seat_us": each, "requests": asked + 1 }));
    }
    let (first, last) = (ended[0], ended[ended.len() - 1]);
    let slope = (last.1 / first.1).log10() / (last.0 / first.0).log10();
    let _ = writeln!(
        text,
        "\nTime grows with the number of seats to the power of **{slope:.2}** (1.00 is linear). To hold: 100,000 in ≤ 10 s, linear."
    );
    Part { text, json: json!({ "sizes": all, "exponent": slope }) }
}

/// Until Redis has forgotten the last seat, which it is told to once PostgreSQL has committed its end. `ended_at` would be too early: it
/// is when the last thousand's transaction began, and of a thousand seats there is no other.
async fn forgotten(stage: &mut Stage, pool: &Pool, began: Instant) -> Duration {
    while is_held(stage, pool).await {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    began.elapsed()
}

/// Whether Redis knows a seat of the pool.
async fn is_held(stage: &mut Stage, pool: &Pool) -> bool {
    let [_, _, seats, ..] = pool.redis_keys();
    redis::cmd("EXISTS").arg(seats).query_async(&mut stage.cache).await.unwrap()
}

/// A push that asks for the share of a sweep that this pool is.
fn reap(stage: &Stage, pool: &Pool) -> Vec<u8> {
    let share = SweepShare { pools: vec![(pool.tenant, pool.pool)] };
    let push = PushDelivery::new(Topic::Reap, Message::reap(&share), &Clock::system());
    let body = String::from_utf8(Envelope::write(&push)).expect("JSON is UTF-8");
    post("/reap", Some(&stage.peers.push_token()), &body)
}
