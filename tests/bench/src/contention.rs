//! A crowd that wants the same few seats at the same moment, over several instances.

use crate::{
    Part, Size,
    acquire::wish,
    function::Function,
    load::{Tally, connect},
    stage::Stage,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt::Write, sync::Arc, time::Instant};
use tokio::{sync::Barrier, task::JoinSet};

const SEATS: u32 = 100;
const MACHINES: u32 = 1000;
const INSTANCES: usize = 3;
const ROUNDS: usize = 3;

pub(crate) async fn measure(stage: &mut Stage, _: &Size) -> Part {
    let mut instances = Vec::new();
    for _ in 0..INSTANCES {
        instances.push(Function::start(stage, "acquire", &[]).await);
    }
    let mut text = format!(
        "{MACHINES} machines, each on a connection of its own, ask {INSTANCES} instances at once for {SEATS} seats\n\n\
         | round | answers | all answered after, ms | last seat given after, ms | p50, ms | p99, ms |\n|---|---|---|---|---|---|\n"
    );
    let mut all = Vec::new();
    for round in 1..=ROUNDS {
        let pool = stage.pool(SEATS).await;
        let mut connections = Vec::new();
        for (at, instance) in instances.iter().enumerate() {
            let share = (MACHINES as usize + at) / INSTANCES;
            connections.extend(connect(instance.address, share).await);
        }
        let start = Arc::new(Barrier::new(connections.len()));
        let mut set = JoinSet::new();
        for (n, mut connection) in (0..).zip(connections) {
            let (request, start) = (wish(&pool.key.reveal(), n), Arc::clone(&start));
            set.spawn(async move {
                start.wait().await;
                let began = Instant::now();
                let status = connection.ask(&request).await.unwrap().status;
                (began, Instant::now(), status)
            });
        }
        let answers = set.join_all().await;
        let began = answers.iter().map(|(began, ..)| *began).min().expect("somebody asked");
        let (mut statuses, mut tally) = (BTreeMap::<u16, u32>::new(), Tally::default());
        for (asked, answered, status) in &answers {
            *statuses.entry(*status).or_default() += 1;
            tally.record(*answered - *asked);
        }
        let last = |wanted: Option<u16>| {
            let times = answers.iter().filter(|(.., status)| wanted.is_none_or(|wanted| wanted == *status));
            times.map(|(_, at, _)| (*at - began).as_secs_f64() * 1e3).fold(0.0, f64::max)
        };
        let (end, granted) = (last(None), last(Some(201)));
        let said: Vec<String> = statuses.iter().map(|(status, count)| format!("{count} × {status}")).collect();
        let (p50, p99) = (tally.percentile(50.0), tally.percentile(99.0));
        let _ = writeln!(text, "| {round} | {} | {end:.0} | {granted:.0} | {p50:.0} | {p99:.0} |", said.join(", "));
        let statuses: serde_json::Map<String, Value> =
            statuses.into_iter().map(|(s, n)| (s.to_string(), json!(n))).collect();
        all.push(json!({ "statuses": statuses, "all_answered_ms": end, "last_seat_ms": granted, "p50_ms": p50, "p99_ms": p99 }));
    }
    text += "\nTo hold: 100 × 201, 900 × 409.\n";
    Part { text, json: Value::Array(all) }
}
