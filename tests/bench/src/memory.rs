//! What a seat with one session costs Redis.

use crate::{
    function::Function,
    http::{Connection, post},
    stage::{Held, Pool, Stage},
};
use serde_json::{Value, json};
use std::fmt::Write;

const KEYS: [&str; 5] = ["h", "z", "s", "m", "n"];

/// Pools of these sizes, every seat held by a machine with one session, loaded by a rebuild through the scripts.
pub(crate) async fn measure(stage: &mut Stage, sizes: &[u32]) -> (String, Value) {
    let mut text = String::from(
        "| seats, one session each | bytes per seat | of it h | z | s | m | n | used_memory, per seat |\n|---|---|---|---|---|---|---|---|\n",
    );
    let mut all = Vec::new();
    for &seats in sizes {
        let pool = stage.pool(seats).await;
        let held = stage.seat(&pool, seats).await;
        stage.flush().await;
        let before = used(stage).await;
        let heartbeat = Function::start(&stage.target, "heartbeat", &stage.variables()).await;
        let ready = used(stage).await;
        warm(&heartbeat, &held[0]).await;
        let after = used(stage).await;
        let mut each = Vec::new();
        for key in KEYS {
            each.push(usage(stage, &pool, key).await);
        }
        let per = |bytes: i64| bytes as f64 / f64::from(seats);
        let sum: i64 = each.iter().sum();
        let _ = write!(text, "| {seats} | {:.0} |", per(sum));
        for &bytes in &each {
            let _ = write!(text, " {:.0} |", per(bytes));
        }
        // Its scripts and its connection were there before the pool was.
        let delta = after - ready;
        let _ = writeln!(text, " {:.0} |", per(delta));
        all.push(json!({
            "seats": seats, "bytes_per_seat": per(sum), "used_memory_per_seat": per(delta), "used_memory_empty": before,
            "keys": KEYS.iter().zip(&each).map(|(key, bytes)| (key.to_string(), json!(bytes))).collect::<serde_json::Map<_, _>>(),
        }));
        drop(heartbeat);
        stage.flush().await;
    }
    (text, Value::Array(all))
}

/// The first heartbeat finds the copy cold and rebuilds it.
async fn warm(heartbeat: &Function, held: &Held) {
    let mut connection = Connection::open(heartbeat.address).await.unwrap();
    let request = post("/api/v1/licenses/heartbeat", Some(&held.handle), "{}");
    // More than one deadline, where a rebuild takes longer than one.
    for _ in 0..3 {
        let answer = connection.ask(&request).await.unwrap();
        if answer.status == 200 {
            return;
        }
    }
    panic!("the pool is not rebuilt");
}

async fn used(stage: &mut Stage) -> i64 {
    stage.info("used_memory").await.parse().unwrap()
}

async fn usage(stage: &mut Stage, pool: &Pool, key: &str) -> i64 {
    let mut command = redis::cmd("MEMORY");
    command.arg("USAGE").arg(pool.redis_key(key)).arg("SAMPLES").arg(0);
    command.query_async(&mut stage.cache).await.unwrap()
}
