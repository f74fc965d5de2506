//! heartbeat, beside the same script without it and an empty service.

use crate::{
    Part, Size,
    function::Function,
    http::{Connection, get, post},
    load::{self, Requests},
    raw,
    reached::{Cpu, Meter, Reached, ratio, shown, table},
    stage::{Held, Stage},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// Holders that are heard from in turn.
const HOLDERS: u32 = 1000;
const CLIENTS: usize = 32;

pub(crate) async fn measure(stage: &mut Stage, size: &Size) -> Part {
    let pool = stage.pool(HOLDERS).await;
    let held = stage.seat(&pool, HOLDERS).await;
    let function = Function::start(stage, "heartbeat", &[]).await;
    let mut connection = Connection::open(function.address).await.unwrap();
    let first = connection.ask(&request(&held[0], "")).await.unwrap();
    assert_eq!(first.status, 200, "the pool is rebuilt");
    let kid = kid(first.body);
    let requests: Requests = Arc::new(held.iter().map(|held| request(held, &kid)).collect());
    let beat = async { assert_eq!(connection.ask(&requests[0]).await.unwrap().status, 200) };
    let command = raw::overheard(&stage.redis_socket(), beat).await;
    let commands: Arc<Vec<_>> = Arc::new(held.iter().map(|one| as_sent_for(&command, &held[0], one)).collect());

    let meter = Meter::of(stage).await;
    load::closed(function.address, CLIENTS, size.time / 4, &requests, 200).await;
    let (mut beats, mut raw) = (Vec::new(), Vec::new());
    for _ in 0..size.turns {
        beats.push(closed(&meter, &function, "heartbeat", size.time / size.turns, &requests).await);
        let before = meter.read(&[]);
        let (tally, took) =
            raw::through_client(&stage.redis.url(), CLIENTS, size.time / size.turns, Arc::clone(&commands));
        let cpu = meter.read(&[]).since(before, tally.count());
        raw.push(Reached::of("EVALSHA of the same script, same client library", &tally, took, cpu));
    }
    let (beats, raw) = (Reached::together(beats).expect("some"), Reached::together(raw).expect("some"));
    let mut rows = vec![beats];
    let rate = rows[0].per_second / 2.0;
    let before = meter.read(&[&function]);
    let (tally, took) = load::open(function.address, 4 * CLIENTS, rate, size.time, &requests, 200).await;
    let cpu = meter.read(&[&function]).since(before, tally.count());
    rows.push(Reached::of(format!("heartbeat, open loop, {rate:.0} a second"), &tally, took, cpu));
    drop(function);

    rows.push(raw);
    rows.extend(redis_benchmark(stage, &meter, &command, size.time));
    let service = Function::start(stage, "examples/empty", &[]).await;
    let nothing: Requests = Arc::new(vec![get("/empty")]);
    load::closed(service.address, CLIENTS, size.time / 4, &nothing, 200).await;
    rows.push(closed(&meter, &service, "empty service", size.time, &nothing).await);

    let to_raw = ratio(&rows[0], rows.get(2));
    let by_cpu = by_cpu(&rows[0], &rows[2]);
    let empty = rows.last().filter(|row| row.what.starts_with("empty"));
    let text = format!(
        "{CLIENTS} clients, {HOLDERS} holders\n\n{}\nheartbeat ÷ EVALSHA through the same client: **{}** (to hold: ≥ 0.50); by CPU alone {} · heartbeat ÷ empty service: {}\n",
        table(&rows),
        shown(to_raw),
        shown(by_cpu),
        shown(ratio(&rows[0], empty)),
    );
    let rows: Vec<Value> = rows.iter().map(Reached::json).collect();
    Part { text, json: json!({ "clients": CLIENTS, "rows": rows, "to_raw_evalsha": to_raw, "by_cpu": by_cpu }) }
}

/// What the ratio would be if every core were always at work on this: Redis runs scripts on one core; what a heartbeat takes besides is
/// spread over all. Neighbours on the machine change rates by far more than CPU times.
fn by_cpu(heartbeat: &Reached, raw: &Reached) -> Option<f64> {
    let cores = std::thread::available_parallelism().ok()?.get() as f64;
    let Cpu { function, redis, load, .. } = heartbeat.cpu;
    let (all, redis, raw) = (function? + redis? + load?, redis?, raw.cpu.redis?);
    Some((cores / all).min(1.0 / redis) * raw)
}

pub(crate) async fn closed(
    meter: &Meter,
    function: &Function,
    what: &str,
    time: Duration,
    requests: &Requests,
) -> Reached {
    let before = meter.read(&[function]);
    let (tally, took) = load::closed(function.address, CLIENTS, time, requests, 200).await;
    let cpu = meter.read(&[function]).since(before, tally.count());
    Reached::of(format!("{what}, closed loop"), &tally, took, cpu)
}

/// Always the one session: it sends one command only.
fn redis_benchmark(stage: &Stage, meter: &Meter, command: &raw::Arguments, time: Duration) -> Option<Reached> {
    let socket = stage.redis_socket();
    // It counts requests and not time: a first short run tells how many are enough.
    let [rate, _, _] = raw::redis_benchmark(&socket, CLIENTS, 2000, command)?;
    let count = (rate * time.as_secs_f64()) as u64;
    let before = meter.read(&[]);
    let [per_second, p50, p99] = raw::redis_benchmark(&socket, CLIENTS, count, command)?;
    let cpu = meter.read(&[]).since(before, count);
    let latency = [Some(p50), Some(p99), None];
    Some(Reached { what: "the same through redis-benchmark".into(), per_second, latency, cpu, refused: 0 })
}

/// As a client asks that holds the certificate already and wants its answer to be fresh.
pub(crate) fn request(held: &Held, kid: &str) -> Vec<u8> {
    let body = json!({ "nonce": "MDEyMzQ1Njc4OWFiY2RlZg", "certificate_kid": kid });
    post("/api/v1/licenses/heartbeat", Some(&held.handle), &body.to_string())
}

/// Which key signed the token of an answer.
pub(crate) fn kid(body: &[u8]) -> String {
    let answer: Value = serde_json::from_slice(body).expect("JSON");
    let header = answer["token"].as_str().and_then(|token| token.split('.').next()).expect("a JWS");
    let header: Value =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(header).expect("base64url")).expect("JSON");
    header["kid"].as_str().expect("a kid").to_owned()
}

/// The command another session's heartbeat would have sent.
fn as_sent_for(command: &raw::Arguments, was: &Held, is: &Held) -> raw::Arguments {
    let short = |held: &Held| BASE64_URL_SAFE_NO_PAD.encode(held.session.0.as_bytes()).into_bytes();
    let at = command.iter().position(|word| *word == short(was)).expect("the session is an argument");
    let mut other = command.clone();
    other[at] = short(is);
    // A bare number elsewhere is something else.
    assert_eq!(other[at - 1], was.seat.to_string().into_bytes(), "the seat comes before its session");
    other[at - 1] = is.seat.to_string().into_bytes();
    other
}
