//! A full pool that everybody asks: what it does to those who hold its seats, and what it costs in Redis.

use crate::{
    Part, Size,
    acquire::wish,
    function::Function,
    heartbeat,
    http::Connection,
    load::{self, Requests},
    memory, raw,
    reached::{Meter, Reached, ratio, shown, table},
    stage::{Stage, hardware},
};
use license_core::domain::id::{ClientPart, Holder};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

const SEATS: u32 = 100;
/// Machines that ask for a seat, each again and again.
const WANTS: u32 = 10_000;
const CLIENTS: usize = 32;
/// How many asks are to be answered in a second.
const TO_HOLD: f64 = 10_000.0;

pub(crate) async fn measure(stage: &mut Stage, size: &Size) -> Part {
    let pool = stage.pool(SEATS).await;
    let held = stage.seat(&pool, SEATS).await;
    let (beating, asking) =
        (Function::start(stage, "heartbeat", &[]).await, Function::start(stage, "acquire", &[]).await);
    let mut connection = Connection::open(beating.address).await.unwrap();
    let first = connection.ask(&heartbeat::request(&held[0], "")).await.unwrap();
    assert_eq!(first.status, 200, "the pool is rebuilt");
    let kid = heartbeat::kid(first.body);
    let beats: Requests = Arc::new(held.iter().map(|held| heartbeat::request(held, &kid)).collect());
    let key = pool.key.reveal();
    let asks: Requests = Arc::new((SEATS..SEATS + WANTS).map(|n| wish(&key, n)).collect());
    let mut connection = Connection::open(asking.address).await.unwrap();
    let ask = async { assert_eq!(connection.ask(&asks[0]).await.unwrap().status, 409) };
    let command = raw::overheard(&stage.redis_socket(), ask).await;
    let holder = |n: u32| {
        let hardware: ClientPart = hardware(n).parse().expect("a hardware id");
        Holder::machine(pool.number, &hardware).to_string().into_bytes()
    };
    let at = command.iter().position(|word| *word == holder(SEATS)).expect("the holder is an argument");
    let as_sent_by = |n: u32| {
        let mut other = command.clone();
        other[at] = holder(n);
        other
    };
    let commands: Arc<Vec<_>> = Arc::new((SEATS..SEATS + WANTS).map(as_sent_by).collect());

    let meter = Meter::of(stage).await;
    let turn = size.time / size.turns;
    load::closed(beating.address, CLIENTS, size.time / 4, &beats, 200).await;
    let (mut before, mut scripts, mut after, mut over_http, mut last) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let beat = async |what: &str| heartbeat::closed(&meter, &beating, what, turn, &beats).await;
    // A machine that answers fewer asks than that within the two seconds has fewer machines that want a seat.
    let mut wanted = Vec::new();
    for _ in 0..size.turns {
        forget_wants(stage, &pool.redis_keys()[0]).await;
        before.push(beat("heartbeats while nobody wants a seat").await);
        let read = meter.read(&[]);
        let (tally, took) =
            raw::through_client(&stage.redis.url(), CLIENTS, Duration::from_secs(2), Arc::clone(&commands));
        let cpu = meter.read(&[]).since(read, tally.count());
        scripts.push(Reached::of("asks by EVALSHA, each of another machine", &tally, took, cpu));
        let wanting: u32 =
            redis::cmd("HLEN").arg(&want_keys(&pool.redis_keys()[0])[0]).query_async(&mut stage.cache).await.unwrap();
        wanted.push(wanting);
        after.push(beat("heartbeats while they want a seat").await);
        let read = meter.read(&[&asking]);
        let (tally, took) = load::closed(asking.address, CLIENTS, turn, &asks, 409).await;
        let cpu = meter.read(&[&asking]).since(read, tally.count());
        over_http.push(Reached::of("asks over HTTP, answered 409", &tally, took, cpu));
        last.push(beat("heartbeats after them").await);
    }
    let mut bytes = 0;
    for key in want_keys(&pool.redis_keys()[0]) {
        bytes += memory::usage(stage, &key).await;
    }
    let wanting = wanted.into_iter().min().unwrap_or(0);
    let rows: Vec<Reached> =
        [before, scripts, after, over_http, last].into_iter().filter_map(Reached::together).collect();
    let (while_wanted, afterwards) = (ratio(&rows[2], rows.first()), ratio(&rows[4], rows.first()));
    let text = format!(
        "{SEATS} seats, all held; {wanting} machines want one\n\n{}\nheartbeats while {wanting} want a seat ÷ while nobody does: **{}**, after them: {} (to hold: as before) · asks by EVALSHA: {:.0} a second (to hold: ≥ {TO_HOLD:.0}) · Redis has {bytes} bytes of wants\n",
        table(&rows),
        shown(while_wanted),
        shown(afterwards),
        rows[1].per_second,
    );
    let measured: Vec<Value> = rows.iter().map(Reached::json).collect();
    let json = json!({ "rows": measured, "while_wanted": while_wanted, "afterwards": afterwards, "bytes": bytes });
    Part { text, json }
}

/// The keys of a pool that say who wants a seat, by that of its settings.
fn want_keys(settings: &str) -> [String; 3] {
    let stem = settings.strip_suffix('h').expect("it ends with h");
    ["y", "v", "e"].map(|suffix| format!("{stem}{suffix}"))
}

async fn forget_wants(stage: &mut Stage, settings: &str) {
    redis::cmd("DEL").arg(&want_keys(settings)).exec_async(&mut stage.cache).await.unwrap();
}
