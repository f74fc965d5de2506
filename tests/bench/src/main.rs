//! `./dev bench`: what the shipped functions cost on this machine, beside the limits of the same machine in the same run. Prints tables,
//! writes JSON to `target/bench/`, and fails on no number. docs/BENCHMARKS.md says how to read it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement that cannot be made is a panic with its place"
)]

mod acquire;
mod cpu;
mod function;
mod heartbeat;
mod http;
mod load;
mod memory;
mod pgbench;
mod raw;
mod stage;

use stage::Stage;
use std::{fs, path::PathBuf, time::Duration};

fn main() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(run());
}

async fn run() {
    let target =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target").canonicalize().expect("target/ is there");
    let words: Vec<String> = std::env::args().skip(1).collect();
    let only = words.iter().position(|word| word == "--only").map(|at| words[at + 1].clone());
    let wanted = |name: &str| only.as_ref().is_none_or(|only| only.split(',').any(|one| one == name));
    let quick = words.iter().any(|word| word == "--quick");
    let time = Duration::from_secs(if quick { 2 } else { 5 });
    let mut stage = Stage::build(&target).await;
    let mut parts = serde_json::Map::new();
    if wanted("memory") {
        keep(&mut parts, "memory", memory::measure(&mut stage, &[10_000, 100_000]).await);
    }
    if wanted("heartbeat") {
        keep(&mut parts, "heartbeat", heartbeat::measure(&mut stage, 32, time).await);
    }
    if wanted("acquire") {
        keep(&mut parts, "acquire", acquire::measure(&mut stage, 8, time).await);
    }
    println!("load average {:?}", cpu::load_average());
    fs::write(target.join("bench/bench.json"), format!("{:#}\n", serde_json::Value::Object(parts))).unwrap();
    stage.end().await;
}

fn keep(parts: &mut serde_json::Map<String, serde_json::Value>, name: &str, (text, json): (String, serde_json::Value)) {
    println!("\n## {name}\n\n{text}");
    parts.insert(name.into(), json);
}
