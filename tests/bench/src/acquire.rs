//! acquire and release, beside PostgreSQL's own load generator, which calls the same functions.

use crate::{
    Part, Size,
    function::Function,
    http::{Connection, post},
    load::{Tally, gather},
    pgbench,
    reached::{Meter, Reached, ratio, shown, table},
    stage::{Pool, Stage, hardware, label},
};
use serde_json::{Value, json};
use std::{
    fmt::Write,
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use uuid::Uuid;

const CLIENTS: usize = 8;
const SEATS: u32 = 1000;

pub(crate) async fn measure(stage: &mut Stage, size: &Size) -> Part {
    let meter = Meter::of(stage).await;
    let (pool, limit) = (stage.pool(SEATS).await, stage.pool(SEATS).await);
    let functions = both(stage).await;
    let functions = [&functions[0], &functions[1]];
    pairs(functions, CLIENTS, size.time / 4, &pool).await;
    let mut at = At { stage, meter: &meter, functions, pool: &pool, limit: &limit, runs: 0 };
    let together = at.beside_pgbench(size).await;
    let apart = match meter.apart(&functions) {
        Some(_until_dropped) => at.beside_pgbench(size).await,
        None => Vec::new(),
    };
    let [to_pgbench, apart_to_pgbench] = [&together, &apart].map(|rows| ratio(rows.get(2)?, rows.get(3)));
    let by_cpu = together.get(3).map(|pgbench| pgbench.cpu.sum() / together[2].cpu.sum());
    let text = format!(
        "{CLIENTS} clients, {SEATS} seats, each client a machine; commits durable\n\n{}\nacquire + release ÷ pgbench: **{}** (to hold: ≥ 0.70); by CPU alone {}\n\n\
         PostgreSQL on half of the cores, everybody else on the others, as where it has a machine of its own\n\n{}\nacquire + release ÷ pgbench: **{}** (to hold: ≥ 0.70)\n",
        table(&together),
        shown(to_pgbench),
        shown(by_cpu),
        table(&apart),
        shown(apart_to_pgbench),
    );
    let json = |rows: &[Reached]| rows.iter().map(Reached::json).collect::<Vec<Value>>();
    let json = json!({
        "clients": CLIENTS, "rows": json(&together), "to_pgbench": to_pgbench, "by_cpu": by_cpu,
        "apart": { "rows": json(&apart), "to_pgbench": apart_to_pgbench },
    });
    Part { text, json }
}

/// Our functions and pgbench on the same stores, each with a pool of its own.
struct At<'a> {
    stage: &'a Stage,
    meter: &'a Meter,
    functions: [&'a Function; 2],
    pool: &'a Pool,
    limit: &'a Pool,
    /// How often pgbench ran.
    runs: u32,
}

impl At<'_> {
    /// acquire, release, both and pgbench, measured in turns.
    async fn beside_pgbench(&mut self, size: &Size) -> Vec<Reached> {
        let turn = size.time / size.turns;
        let mut measured = [(); 4].map(|()| Vec::new());
        for _ in 0..size.turns {
            let rows = measured_pairs(self.meter, self.functions, CLIENTS, turn, self.pool).await;
            let pgbench = pgbench(self.stage, self.meter, turn, &pairs_of_calls(self.limit, self.runs));
            self.runs += 1;
            measured.iter_mut().zip(rows.into_iter().chain(pgbench)).for_each(|(all, row)| all.push(row));
        }
        measured.into_iter().filter_map(Reached::together).collect()
    }
}

/// The same where more and more seats are free.
pub(crate) async fn flat(stage: &mut Stage, size: &Size) -> Part {
    const FEW: usize = 4;
    let meter = Meter::of(stage).await;
    let (mut rows, mut text) = (Vec::new(), String::new());
    for seats in [10, 1000, *size.seats.last().expect("some")] {
        let pool = stage.pool(seats).await;
        let [acquire, release] = both(stage).await;
        pairs([&acquire, &release], FEW, size.time / 4, &pool).await;
        let [taken, _, both] = measured_pairs(&meter, [&acquire, &release], FEW, size.time, &pool).await;
        rows.push(Reached { what: format!("{seats} seats, {FEW} of them in use"), cpu: both.cpu, ..taken });
    }
    let cost = |row: &Reached| row.cpu.redis.zip(row.cpu.postgres).map(|(redis, postgres)| redis + postgres);
    let grows = cost(&rows[2]).zip(cost(&rows[0])).map(|(most, least)| most / least);
    let _ = writeln!(text, "latency of acquire; CPU of acquire and release together\n\n{}", table(&rows));
    let _ = writeln!(text, "CPU of the stores, most seats ÷ fewest: **{}** (to hold: flat)", shown(grows));
    let rows: Vec<Value> = rows.iter().map(Reached::json).collect();
    Part { text, json: json!({ "rows": rows, "stores_cpu_most_to_fewest": grows }) }
}

async fn both(stage: &Stage) -> [Function; 2] {
    [Function::start(stage, "acquire", &[]).await, Function::start(stage, "release", &[]).await]
}

/// acquire, release, and both together: the last with the CPU of everybody.
async fn measured_pairs(
    meter: &Meter,
    functions: [&Function; 2],
    clients: usize,
    time: Duration,
    pool: &Pool,
) -> [Reached; 3] {
    let read = || [meter.read(&[functions[0]]), meter.read(&[functions[1]]), meter.read(&functions)];
    let before = read();
    let ([taken, given], took) = pairs(functions, clients, time, pool).await;
    let after = read();
    let count = taken.count();
    let [acquire, release, all] = [0, 1, 2].map(|at| after[at].since(before[at], count));
    let mut both = Reached::rate("acquire + release", count as f64 / took.as_secs_f64(), all);
    both.refused = taken.refused + given.refused;
    [
        Reached::of("acquire, closed loop", &taken, took, acquire.function_only()),
        Reached::of("release, closed loop", &given, took, release.function_only()),
        both,
    ]
}

/// So many clients, each a machine that takes a seat and gives it back, again and again.
pub(crate) async fn pairs(
    functions: [&Function; 2],
    clients: usize,
    time: Duration,
    pool: &Pool,
) -> ([Tally; 2], Duration) {
    let addresses = functions.map(|function| function.address);
    let began = Instant::now();
    let (mut takers, mut givers) = (JoinSet::new(), JoinSet::new());
    for client in 0..clients as u32 {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let key = pool.key.reveal();
        takers.spawn(async move {
            let [taken, given] = turns(addresses, &key, client, || began.elapsed() < time).await;
            let _ = sender.send(given);
            taken
        });
        givers.spawn(async move { receiver.await.expect("its client ends well") });
    }
    ([gather(takers).await, gather(givers).await], began.elapsed())
}

async fn turns(addresses: [SocketAddr; 2], key: &str, client: u32, go_on: impl Fn() -> bool) -> [Tally; 2] {
    let mut taker = Connection::open(addresses[0]).await.expect("acquire listens");
    let mut giver = Connection::open(addresses[1]).await.expect("release listens");
    let (mut taken, mut given) = (Tally::default(), Tally::default());
    while go_on() {
        let request = wish(key, client);
        let asked = Instant::now();
        let answer = taker.ask(&request).await.expect("an answer");
        taken.record(asked.elapsed());
        taken.refused += u64::from(answer.status != 201);
        let Some(session) = session(answer.body) else { continue };
        let request = post("/api/v1/licenses/release", Some(session), "{}");
        let asked = Instant::now();
        let answer = giver.ask(&request).await.expect("an answer");
        given.record(asked.elapsed());
        given.refused += u64::from(answer.status != 200);
    }
    [taken, given]
}

/// A new process start on the n-th machine asks for a seat.
pub(crate) fn wish(key: &str, n: u32) -> Vec<u8> {
    let body = json!({
        "license_key": key, "hardware_id": hardware(n), "attempt": Uuid::new_v4(), "client": { "hostname": label(n) },
    });
    post("/api/v1/licenses/acquire", None, &body.to_string())
}

/// The bearer string in an acquire's answer, without reading all of it.
pub(crate) fn session(body: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once("\"session\":\"")?;
    rest.split_once('"').map(|(session, _)| session)
}

fn pgbench(stage: &Stage, meter: &Meter, time: Duration, script: &str) -> Option<Reached> {
    let before = meter.read(&[]);
    let dir = stage.target.join("bench");
    let run = pgbench::Run { clients: CLIENTS, time, script, dir: &dir };
    let turns = tokio::task::block_in_place(|| pgbench::turns_per_second(&stage.postgres, &run))?;
    let cpu = meter.read(&[]).since(before, (turns * time.as_secs_f64()) as u64);
    Some(Reached::rate("pgbench: grant_seat and end_seats in turn", turns, cpu))
}

/// Two commits: what an acquire and what a release have written down. Each client has seats of its own, and tickets and sessions are above
/// all that came before, those of the n earlier runs too.
fn pairs_of_calls(pool: &Pool, n: u32) -> String {
    const MORE_THAN_A_RUN_HAS: u32 = 10_000_000;
    let earlier = n * MORE_THAN_A_RUN_HAS;
    let share = SEATS as usize / CLIENTS;
    let (tenant, pool) = (pool.tenant, pool.pool);
    // A UUID of version 7 and of now, from the client and the turn: of another time none is granted.
    let now = Uuid::now_v7().to_string();
    let session = format!(
        "('{}-7' || lpad(to_hex(:client_id::int), 3, '0') || '-8000-' || lpad(to_hex(:n::int), 12, '0'))::uuid",
        &now[..13]
    );
    format!(
        "\\set i :i + 1\n\\set n :i + {earlier}\n\\set seat :client_id * {share} + mod(:i, {share})\n\\set grant 2 * :n\n\\set ending 2 * :n + 1\n\
         select grant_seat('{tenant}', '{pool}', :seat::int, {session}, rpad('holder-' || :client_id::text, 43, 'x'), {session}, 0, \
         :grant::bigint, array[{session}], null, repeat('h', 43), 'workstation-00001', '{{\"hostname\": \"workstation-00001\"}}', null, null, '{{}}');\n\
         select stale, done, gone, released_at from end_seats('{tenant}', '{pool}', 0, 'released', array[:seat::int], \
         array[:ending::bigint], array[null::timestamptz], '{{}}', '{{}}', '{{}}', '{{}}', array[{session}]);\n"
    )
}
