//! What a seat with one session costs Redis.

use crate::{Part, Size, function::Function, rebuild::rebuilt, stage::Stage};
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// The suffixes of a pool's first keys, in their order. Those of the first three are always there, and bytes of a key
/// that is not would be none.
const KEYS: [&str; 5] = ["h", "z", "s", "m", "n"];
const ALWAYS: usize = 3;

/// Pools whose every seat is held by a machine with one session, loaded by a rebuild through the scripts.
pub(crate) async fn measure(stage: &mut Stage, size: &Size) -> Part {
    let mut text = String::from(
        "| seats, one session each | bytes per seat (MEMORY USAGE) | of it h | z | s | m | n | used_memory per seat |\n|---|---|---|---|---|---|---|---|\n",
    );
    let mut all = Vec::new();
    for &seats in size.seats {
        let pool = stage.pool(seats).await;
        let held = stage.seat(&pool, seats).await;
        stage.flush().await;
        let heartbeat = Function::start(stage, "heartbeat", &[]).await;
        // After the connections and before the pool.
        let before = used(stage).await;
        rebuilt(&heartbeat, &held[0]).await;
        let delta = used(stage).await - before;
        let mut each = Vec::new();
        for key in pool.redis_keys().iter().take(KEYS.len()) {
            each.push(usage(stage, key).await);
        }
        assert!(each[..ALWAYS].iter().all(|&bytes| bytes > 0), "the copy of the pool is not where it is looked for");
        let per = |bytes: i64| bytes as f64 / f64::from(seats);
        let sum: i64 = each.iter().sum();
        let _ = write!(text, "| {seats} | **{:.0}** |", per(sum));
        for &bytes in &each {
            let _ = write!(text, " {:.0} |", per(bytes));
        }
        let _ = writeln!(text, " {:.0} |", per(delta));
        let keys: Map<String, Value> =
            KEYS.iter().zip(&each).map(|(key, bytes)| ((*key).into(), json!(bytes))).collect();
        all.push(
            json!({ "seats": seats, "bytes_per_seat": per(sum), "used_memory_per_seat": per(delta), "keys": keys }),
        );
        drop(heartbeat);
        stage.flush().await;
    }
    text += "\nTo hold: ≤ 350 bytes per seat.\n";
    Part { text, json: Value::Array(all) }
}

async fn used(stage: &mut Stage) -> i64 {
    stage.info("used_memory").await.parse().unwrap()
}

pub(crate) async fn usage(stage: &mut Stage, key: &str) -> i64 {
    let mut command = redis::cmd("MEMORY");
    // A pool of few seats has fewer samples than that; 0 means all.
    command.arg("USAGE").arg(key).arg("SAMPLES").arg(0);
    // No key, no bytes: sessions that share no seat need no entry in `n`.
    command.query_async::<Option<i64>>(&mut stage.cache).await.unwrap().unwrap_or(0)
}
