//! How long a function takes from the start of its process to its first answered request, how large its binary is and how much memory it
//! then has; beside it, in the same run, the limits of the machine.
//!
//! The reaper is the one without the `cloud` feature. The root is a local key: what KMS takes is a matter of the network.

mod ask;
mod asks;
mod figures;
mod probe;

use crate::{Part, Size, limits::fsyncs, stage::Stage};
use ask::Ask;
use asks::Asks;
use figures::{Function, Limits, Spread};
use license_functions::SERVICES;
use probe::{Started, spawns};
use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

/// Before each start, so that what the last one set going is over: the sweeps of a tick, the closing of connections.
const PAUSE: Duration = Duration::from_millis(300);

pub(crate) async fn measure(stage: &mut Stage, size: &Size) -> Part {
    let pool = stage.pool(5).await;
    let asks = Asks::of(stage, &pool).await;
    let mut variables = stage.variables();
    variables.insert("ROOT_KEY".into(), format!("local:{}", stage.root.display()));
    let dist = stage.target.join("dist");
    let starts = Starts { count: size.starts, variables };
    let functions: Vec<Function> = SERVICES
        .iter()
        .map(|service| service.name)
        .map(|name| starts.measured(name, dist.join(name), || asks.first(name), |answer| asks.give_back(answer)))
        .collect();
    let empty = starts.measured("empty", dist.join("examples/empty"), Asks::live, |_| {});
    let fsync = Spread::of(fsyncs(stage.postgres.dir(), 100));
    let limits = Limits { empty, spawn: Spread::of(spawns(size.starts)), fsync };
    Part {
        text: figures::table(size.starts, &functions, &limits),
        json: figures::json(size.starts, &functions, &limits),
    }
}

struct Starts {
    count: usize,
    variables: BTreeMap<String, String>,
}

impl Starts {
    /// So many starts with the function's own request, and as many with the question whether it lives.
    fn measured(&self, name: &'static str, binary: PathBuf, first: impl Fn() -> Ask, after: impl Fn(&str)) -> Function {
        let (mut answer, mut again, mut rss, mut own) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for _ in 0..self.count {
            let ask = first();
            std::thread::sleep(PAUSE);
            let started = Started::answering(&binary, &self.variables, &ask);
            answer.push(started.answered);
            let memory = started.memory();
            rss.push(memory.resident);
            own.extend(memory.own);
            again.push(started.again(&ask));
            after(&started.answer);
        }
        let live = || {
            std::thread::sleep(PAUSE);
            Started::answering(&binary, &self.variables, &Asks::live()).answered
        };
        Function {
            name,
            answer: Spread::of(answer),
            live: Spread::of((0..self.count).map(|_| live()).collect()),
            again: Spread::of(again),
            bytes: fs::metadata(&binary).unwrap().len(),
            rss: Spread::of(rss),
            own: (!own.is_empty()).then(|| Spread::of(own)),
        }
    }
}
