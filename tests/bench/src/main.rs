//! `./dev bench`: what the shipped functions cost on this machine, beside the limits of the same machine in the same run. Prints Markdown
//! tables, writes them and JSON to `target/bench/`, and fails on no number. docs/BENCHMARKS.md says how to read it.
//!
//! The functions are the shipped binaries (profile `dist`, no test switches) as processes of their own, on stores that keep commits.
//! `stage.rs` `peers.rs` `function.rs`: what they run on · `http.rs` `load.rs`: who asks them · `raw.rs` `pgbench.rs`: the limits ·
//! `reached.rs` `cpu.rs`: figures · the others: one part each.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement that cannot be made is a panic with its place"
)]

mod acquire;
mod cold;
mod contention;
mod cpu;
mod fresh;
mod full;
mod function;
mod heartbeat;
mod http;
mod idle;
mod limits;
mod lists;
mod load;
mod memory;
mod options;
mod past;
mod peers;
mod pgbench;
mod raw;
mod reached;
mod reaper;
mod rebuild;
mod signing;
mod stage;

use options::{Options, Size};
use serde_json::{Map, Value};
use stage::Stage;
use std::{fs, path::PathBuf, process::ExitCode};

/// What one part measured: for people as Markdown, and for programs.
pub(crate) struct Part {
    pub(crate) text: String,
    pub(crate) json: Value,
}

fn main() -> ExitCode {
    let options = match options::read() {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{}", options::help());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}\n\n{}", options::help());
            return ExitCode::from(2);
        }
    };
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // One thread makes the load: the machine is for what is measured.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.expect("a runtime").block_on(run(&options));
    ExitCode::SUCCESS
}

async fn run(options: &Options) {
    let target =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target").canonicalize().expect("target/ is there");
    let stores = options.stores.clone().unwrap_or_else(|| target.join("bench/stores"));
    let mut stage = Stage::build(&target, &stores).await;
    let mut report = Report { dir: target.join("bench"), text: String::new(), json: Map::new() };
    report.json.insert("quick".into(), options.quick.into());
    report.add("machine", "Machine", limits::machine(&mut stage, &options.size).await);
    for name in &options.parts {
        eprintln!("Measuring {name}");
        stage.clear().await;
        let (stage, size) = (&mut stage, &options.size);
        match *name {
            "heartbeat" => report.add(name, "heartbeat", heartbeat::measure(stage, size).await),
            "acquire" => report.add(name, "acquire and release", acquire::measure(stage, size).await),
            "flat" => report.add(name, "acquire while more seats are free", acquire::flat(stage, size).await),
            "fresh" => report.add(name, "acquire and release on the first day", fresh::measure(stage, size).await),
            "past" => report.add(name, "A past of ten million sessions", past::measure(stage, size).await),
            "signing" => report.add(name, "Signing", signing::measure(stage, size).await),
            "contention" => report.add(name, "Contention", contention::measure(stage, size).await),
            "full" => report.add(name, "A full pool", full::measure(stage, size).await),
            "rebuild" => report.add(name, "Rebuild of a pool that Redis forgot", rebuild::measure(stage, size).await),
            "reaper" => report.add(name, "reaper", reaper::measure(stage, size).await),
            "memory" => report.add(name, "Redis memory", memory::measure(stage, size).await),
            "cold" => report.add(name, "Cold start, size and idle memory", cold::measure(stage, size).await),
            "idle" => report.add(name, "Idle", idle::measure(stage, size).await),
            "lists" => report.add(name, "Pages of long lists", lists::measure(stage).await),
            other => unreachable!("{other} is among options::PARTS"),
        }
    }
    report.add("root", "Calls to the root key", signing::root(&stage));
    println!("written to target/bench/bench.md and target/bench/bench.json");
    stage.end().await;
}

struct Report {
    dir: PathBuf,
    text: String,
    json: Map<String, Value>,
}

impl Report {
    fn add(&mut self, name: &str, title: &str, part: Part) {
        let load = cpu::load_average();
        let shown = load.map_or_else(String::new, |load| format!(" (load average {load:.1})"));
        let text = format!("### {title}{shown}\n\n{}\n", part.text);
        println!("{text}");
        self.text += &text;
        self.json.insert(name.into(), serde_json::json!({ "load_average_after": load, "measured": part.json }));
        self.write();
    }

    /// After each part, so that a run that is broken off leaves what it measured.
    fn write(&self) {
        fs::write(self.dir.join("bench.md"), &self.text).expect("target/ can be written");
        let json = Value::Object(self.json.clone());
        fs::write(self.dir.join("bench.json"), format!("{json:#}\n")).expect("target/ can be written");
    }
}
