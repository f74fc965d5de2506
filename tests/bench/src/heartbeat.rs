//! heartbeat, beside the same script without it and an empty service.

use crate::{
    cpu,
    function::Function,
    http::{Connection, get, post},
    load::{self, Requests, Tally},
    raw,
    stage::{Held, Stage},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// Holders that are heard from in turn.
const HOLDERS: u32 = 1000;

/// What one kind of load reached.
pub(crate) struct Reached {
    pub(crate) what: String,
    pub(crate) per_second: f64,
    /// p50, p99, p99.9 in ms.
    pub(crate) latency: [f64; 3],
    /// CPU per request in µs: of the function, Redis, PostgreSQL and the load generator.
    pub(crate) cpu: Cpu,
    pub(crate) refused: u64,
}

/// CPU in seconds, or per request in µs.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) function: f64,
    pub(crate) redis: f64,
    pub(crate) postgres: f64,
    pub(crate) load: f64,
}

/// Reads the CPU of everybody who takes part.
pub(crate) struct Meter {
    redis: u32,
    postgres: u32,
}

impl Meter {
    pub(crate) async fn of(stage: &mut Stage) -> Self {
        Self { redis: stage.redis_pid().await, postgres: stage.postgres_pid() }
    }

    pub(crate) fn read(&self, functions: &[&Function]) -> Cpu {
        let seconds = |time: Option<Duration>| time.map_or(0.0, |time| time.as_secs_f64());
        Cpu {
            function: functions.iter().map(|function| seconds(function.cpu())).sum(),
            redis: seconds(cpu::of(self.redis)),
            postgres: seconds(cpu::of_family(self.postgres)),
            load: seconds(cpu::of(std::process::id())),
        }
    }
}

impl Cpu {
    pub(crate) fn since(self, before: Self, requests: u64) -> Self {
        let each = |after: f64, before: f64| (after - before) * 1e6 / requests.max(1) as f64;
        Self {
            function: each(self.function, before.function),
            redis: each(self.redis, before.redis),
            postgres: each(self.postgres, before.postgres),
            load: each(self.load, before.load),
        }
    }
}

impl Reached {
    pub(crate) fn of(what: impl Into<String>, tally: &Tally, took: Duration, cpu: Cpu) -> Self {
        Self {
            what: what.into(),
            per_second: tally.count() as f64 / took.as_secs_f64(),
            latency: [50.0, 99.0, 99.9].map(|percent| tally.percentile(percent)),
            cpu,
            refused: tally.refused,
        }
    }

    pub(crate) fn row(&self) -> String {
        let Self { what, per_second, latency: [p50, p99, p999], cpu, .. } = self;
        let cpu = [cpu.function, cpu.redis, cpu.postgres, cpu.load].map(|us| format!("{us:.0}")).join(" | ");
        format!("| {what} | {per_second:.0} | {p50:.2} | {p99:.2} | {p999:.2} | {cpu} |\n")
    }

    pub(crate) fn json(&self) -> Value {
        let Self { what, per_second, latency: [p50, p99, p999], cpu, refused } = self;
        json!({
            "what": what, "per_second": per_second, "p50_ms": p50, "p99_ms": p99, "p999_ms": p999, "refused": refused,
            "cpu_us": { "function": cpu.function, "redis": cpu.redis, "postgres": cpu.postgres, "load": cpu.load },
        })
    }
}

pub(crate) const HEAD: &str = "| what | per second | p50, ms | p99, ms | p99.9, ms | CPU, µs: function | Redis | PostgreSQL | load |\n|---|---|---|---|---|---|---|---|---|\n";

pub(crate) async fn measure(stage: &mut Stage, clients: usize, time: Duration) -> (String, Value) {
    let pool = stage.pool(HOLDERS).await;
    let held = stage.seat(&pool, HOLDERS).await;
    let function = Function::start(&stage.target, "heartbeat", &stage.variables()).await;
    let requests: Requests = Arc::new(held.iter().map(request).collect());
    let mut connection = Connection::open(function.address).await.unwrap();
    assert_eq!(connection.ask(&requests[0]).await.unwrap().status, 200, "the pool is rebuilt");
    let socket = stage.redis.url().trim_start_matches("redis+unix://").to_owned();
    let command =
        raw::overheard(&socket, async { assert_eq!(connection.ask(&requests[0]).await.unwrap().status, 200) }).await;
    let commands: Vec<_> = held.iter().map(|one| as_asked_by(&command, &held[0], one)).collect();

    let meter = Meter::of(stage).await;
    let mut reached = Vec::new();
    load::closed(function.address, clients, time / 4, &requests, 200).await;
    let before = meter.read(&[&function]);
    let (tally, took) = load::closed(function.address, clients, time, &requests, 200).await;
    let cpu = meter.read(&[&function]).since(before, tally.count());
    reached.push(Reached::of(format!("heartbeat, closed loop, {clients} clients"), &tally, took, cpu));

    let rate = reached[0].per_second / 2.0;
    let before = meter.read(&[&function]);
    let (tally, took) = load::open(function.address, 4 * clients, rate, time, &requests, 200).await;
    let cpu = meter.read(&[&function]).since(before, tally.count());
    reached.push(Reached::of("heartbeat, open loop at half of that", &tally, took, cpu));

    let before = meter.read(&[]);
    let (tally, took) = raw::through_client(&stage.redis.url(), clients, time, commands);
    let cpu = meter.read(&[]).since(before, tally.count());
    reached.push(Reached::of("raw EVALSHA, same client library", &tally, took, cpu));

    let count = (reached[2].per_second * time.as_secs_f64()) as u64;
    let before = meter.read(&[]);
    if let Some([per_second, p50, p99]) = raw::redis_benchmark(&socket, clients, count.max(1000), &command) {
        let cpu = meter.read(&[]).since(before, count.max(1000));
        let latency = [p50, p99, f64::NAN];
        reached.push(Reached { what: "raw EVALSHA, redis-benchmark".into(), per_second, latency, cpu, refused: 0 });
    }

    let empty = Function::start(&stage.target, "examples/empty", &stage.variables()).await;
    let nothing: Requests = Arc::new(vec![get("/health/live")]);
    load::closed(empty.address, clients, time / 4, &nothing, 200).await;
    let before = meter.read(&[&empty]);
    let (tally, took) = load::closed(empty.address, clients, time, &nothing, 200).await;
    let cpu = meter.read(&[&empty]).since(before, tally.count());
    reached.push(Reached::of("empty service", &tally, took, cpu));

    let ratio = |at: usize| reached.get(at).map(|limit| reached[0].per_second / limit.per_second);
    let mut text = HEAD.to_owned();
    text.extend(reached.iter().map(Reached::row));
    let rows: Vec<Value> = reached.iter().map(Reached::json).collect();
    text += &format!("\nheartbeat ÷ raw EVALSHA: {:.2}\n", ratio(2).unwrap_or(f64::NAN));
    (text, json!({ "clients": clients, "rows": rows, "to_raw_evalsha": ratio(2), "to_redis_benchmark": ratio(3) }))
}

fn request(held: &Held) -> Vec<u8> {
    post("/api/v1/licenses/heartbeat", Some(&held.handle), "{}")
}

/// The command another session's heartbeat would have sent.
fn as_asked_by(command: &raw::Arguments, was: &Held, is: &Held) -> raw::Arguments {
    let short = |held: &Held| BASE64_URL_SAFE_NO_PAD.encode(held.session.0.as_bytes());
    let (old, new) = (short(was), short(is));
    let (old_seat, new_seat) = (was.seat.to_string(), is.seat.to_string());
    // The seat stands before the session: a bare number elsewhere is something else.
    let at = command.iter().position(|word| word == old.as_bytes()).expect("the session is an argument");
    let mut other = raw::instead(command, &[(old.as_bytes(), new.as_bytes())]);
    assert_eq!(other[at - 1], old_seat.as_bytes(), "the seat comes before its session");
    other[at - 1] = new_seat.into_bytes();
    other
}
