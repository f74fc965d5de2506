//! `./dev bench --cold`: how long a function takes from the start of its process to its first answered request, how large its binary is
//! and how much memory it then has; beside it, in the same run, the limits of the machine. Prints a table, writes
//! `target/bench/cold.json`, and fails on no number. docs/BENCHMARKS.md says how to read it.
//!
//! The functions are the shipped ones (profile `dist`, no test switches), as processes of their own beside a `license-local`, which holds
//! the stores, the license, the issuer and the bus. The reaper is the one without the `cloud` feature.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement that cannot be made is a panic with its place"
)]

mod asks;
mod figures;
mod http;
mod probe;

use asks::{Asks, FUNCTIONS};
use figures::{Function, Limits, Spread};
use license_tests::local::Local;
use probe::{Started, fsyncs, spawns};
use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

/// Starts of each process for each figure.
const STARTS: usize = 10;
/// Before each start, so that what the last one set going is over: the sweeps of a tick, the closing of connections.
const PAUSE: Duration = Duration::from_millis(300);

fn main() {
    let target = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target").canonicalize().expect("target/ is there");
    let dist = target.join("dist");
    eprintln!("Starting license-local, beside which the functions are measured");
    // The scheduler's first tick comes at the start and the next after the run.
    let local = Local::start(&target.join("debug/license-local"), &[("REAPER_PERIOD_SECONDS", "3600")]);
    let asks = Asks::of(&local);
    let variables = local.variables();
    let mut functions = Vec::new();
    for name in FUNCTIONS {
        eprintln!("Measuring {name}, {} starts", 2 * STARTS);
        functions.push(measured(
            name,
            dist.join(name),
            &variables,
            || asks.first(name),
            |answer| asks.give_back(answer),
        ));
    }
    eprintln!("Measuring the limits");
    let empty = measured("empty", dist.join("examples/empty"), &variables, Asks::live, |_| {});
    let limits = Limits { empty, spawn: Spread::of(spawns(STARTS)), fsync: Spread::of(fsyncs(local.beside(), 100)) };
    let json = figures::json(STARTS, &functions, &limits);
    print!("{}", figures::table(STARTS, &functions, &limits));
    let path = target.join("bench/cold.json");
    fs::create_dir_all(path.parent().expect("it has one")).unwrap();
    fs::write(&path, format!("{json:#}\n")).unwrap();
    println!("\nwritten to target/bench/cold.json");
}

/// `STARTS` starts with the function's own request, and as many with the question whether it lives.
fn measured(
    name: &'static str,
    binary: PathBuf,
    variables: &BTreeMap<String, String>,
    first: impl Fn() -> http::Ask,
    after: impl Fn(&str),
) -> Function {
    let (mut answer, mut again, mut rss, mut own) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..STARTS {
        let ask = first();
        std::thread::sleep(PAUSE);
        let started = Started::answering(&binary, variables, &ask);
        answer.push(started.answered);
        let memory = started.memory();
        rss.push(memory.resident);
        own.extend(memory.own);
        again.push(started.again(&ask));
        after(&started.answer);
    }
    let live = || {
        std::thread::sleep(PAUSE);
        Started::answering(&binary, variables, &Asks::live()).answered
    };
    Function {
        name,
        answer: Spread::of(answer),
        live: Spread::of((0..STARTS).map(|_| live()).collect()),
        again: Spread::of(again),
        bytes: fs::metadata(&binary).unwrap().len(),
        rss: Spread::of(rss),
        own: (!own.is_empty()).then(|| Spread::of(own)),
    }
}
