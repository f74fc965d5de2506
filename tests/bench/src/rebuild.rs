//! How long a heartbeat waits when Redis has lost its pool.

use crate::{
    Part, Size,
    function::Function,
    http::{Connection, post},
    stage::{Held, Stage},
};
use serde_json::{Value, json};
use std::{
    fmt::Write,
    time::{Duration, Instant},
};

const TIMES: usize = 5;

/// Pools whose every seat is held, forgotten again and again.
pub(crate) async fn measure(stage: &mut Stage, size: &Size) -> Part {
    let mut text = String::from(
        "| seats, all held | until answered, ms: median | least | most | per seat, µs |\n|---|---|---|---|---|\n",
    );
    let mut all = Vec::new();
    let function = Function::start(stage, "heartbeat", &[]).await;
    for &seats in [100].iter().chain(size.seats) {
        let pool = stage.pool(seats).await;
        let held = stage.seat(&pool, seats).await;
        let mut times = Vec::new();
        for _ in 0..TIMES {
            stage.flush().await;
            times.push(rebuilt(&function, &held[0]).await.as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        let median = times[TIMES / 2];
        let each = median * 1e3 / f64::from(seats);
        let _ = writeln!(text, "| {seats} | {median:.1} | {:.1} | {:.1} | {each:.1} |", times[0], times[TIMES - 1]);
        all.push(json!({ "seats": seats, "ms": times, "median_ms": median, "per_seat_us": each }));
    }
    Part { text, json: Value::Array(all) }
}

/// Sends a heartbeat to a cold pool until it is answered well: a request that runs out of its time is repeated, as a client would.
pub(crate) async fn rebuilt(heartbeat: &Function, held: &Held) -> Duration {
    let mut connection = Connection::open(heartbeat.address).await.unwrap();
    let request = post("/api/v1/licenses/heartbeat", Some(&held.handle), "{}");
    let began = Instant::now();
    loop {
        let answer = connection.ask(&request).await.unwrap();
        if answer.status == 200 {
            return began.elapsed();
        }
        assert!(began.elapsed() < Duration::from_secs(60), "the pool is not rebuilt: {}", answer.status);
    }
}
