//! acquire and release, beside PostgreSQL's own load generator calling the same functions.

use crate::{
    function::Function,
    heartbeat::{Cpu, HEAD, Meter, Reached},
    http::{Connection, post},
    load::{Tally, gather},
    pgbench,
    stage::{Pool, Stage, hardware, label},
};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use uuid::Uuid;

const SEATS: u32 = 1000;

pub(crate) async fn measure(stage: &mut Stage, clients: usize, time: Duration) -> (String, Value) {
    let pool = stage.pool(SEATS).await;
    let acquire = Function::start(&stage.target, "acquire", &stage.variables()).await;
    let release = Function::start(&stage.target, "release", &stage.variables()).await;
    let meter = Meter::of(stage).await;
    let addresses = [acquire.address, release.address];
    pairs(addresses, clients, time / 4, &pool).await;
    let (before, apart) = (meter.read(&[&acquire, &release]), [meter.read(&[&acquire]), meter.read(&[&release])]);
    let ([acquires, releases], took) = pairs(addresses, clients, time, &pool).await;
    let cpu = meter.read(&[&acquire, &release]).since(before, acquires.count());
    let own = |function, before: Cpu| meter.read(&[function]).since(before, acquires.count()).function;
    let mut rows = vec![
        Reached::of(
            format!("acquire, of {clients} clients' acquire + release"),
            &acquires,
            took,
            Cpu { function: own(&acquire, apart[0]), ..Cpu::default() },
        ),
        Reached::of(
            "release, of the same",
            &releases,
            took,
            Cpu { function: own(&release, apart[1]), ..Cpu::default() },
        ),
        Reached {
            what: "both".into(),
            per_second: acquires.count() as f64 / took.as_secs_f64(),
            latency: [f64::NAN; 3],
            cpu,
            refused: acquires.refused + releases.refused,
        },
    ];
    drop((acquire, release));

    let limit = stage.pool(SEATS).await;
    let run =
        pgbench::Run { clients, time, script: pair_script(&limit, clients), dir: &stage.target.join("bench"), run: 1 };
    let before = meter.read(&[]);
    let turns = tokio::task::block_in_place(|| pgbench::turns_per_second(&stage.postgres, &run));
    if let Some(turns) = turns {
        let cpu = meter.read(&[]).since(before, (turns * time.as_secs_f64()) as u64);
        rows.push(Reached {
            what: "pgbench: grant_seat + end_seats".into(),
            per_second: turns,
            latency: [f64::NAN; 3],
            cpu,
            refused: 0,
        });
    }
    let ratio = turns.map(|turns| rows[2].per_second / turns);
    let mut text = HEAD.to_owned();
    text.extend(rows.iter().map(Reached::row));
    text += &format!("\nacquire + release ÷ pgbench: {:.2}\n", ratio.unwrap_or(f64::NAN));
    let rows: Vec<Value> = rows.iter().map(Reached::json).collect();
    (text, json!({ "clients": clients, "rows": rows, "to_pgbench": ratio }))
}

/// So many clients, each a machine that takes a seat and gives it back, again and again.
async fn pairs(addresses: [SocketAddr; 2], clients: usize, time: Duration, pool: &Pool) -> ([Tally; 2], Duration) {
    let began = Instant::now();
    let mut set = JoinSet::new();
    let (sender, mut releases) = tokio::sync::mpsc::unbounded_channel();
    for client in 0..clients as u32 {
        let (key, sender) = (pool.key.reveal(), sender.clone());
        set.spawn(async move {
            let (mut taker, mut giver) =
                (Connection::open(addresses[0]).await.unwrap(), Connection::open(addresses[1]).await.unwrap());
            let (mut taken, mut given) = (Tally::default(), Tally::default());
            while began.elapsed() < time {
                let request = wish(&key, client);
                let asked = Instant::now();
                let answer = taker.ask(&request).await.unwrap();
                taken.record(asked.elapsed());
                taken.refused += u64::from(answer.status != 201);
                let Some(session) = session(answer.body) else { continue };
                let request = post("/api/v1/licenses/release", Some(session), "{}");
                let asked = Instant::now();
                let answer = giver.ask(&request).await.unwrap();
                given.record(asked.elapsed());
                given.refused += u64::from(answer.status != 200);
            }
            let _ = sender.send(given);
            taken
        });
    }
    drop(sender);
    let taken = gather(set).await;
    let took = began.elapsed();
    let mut given = Tally::default();
    while let Some(tally) = releases.recv().await {
        given.add(&tally);
    }
    ([taken, given], took)
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

/// Each client has seats of its own, and each turn's tickets are above the last.
fn pair_script(pool: &Pool, clients: usize) -> String {
    let share = SEATS as usize / clients;
    let (tenant, pool) = (pool.tenant, pool.pool);
    format!(
        "\\set i :i + 1
\\set seat :client_id * {share} + mod(:i, {share})
\\set grant 2 * :i
\\set ending 2 * :i + 1
select grant_seat('{tenant}', '{pool}', :seat::int, {SESSION}, rpad('holder' || :client_id::text || '-', 43, 'x'), \
{SESSION}, 0, :grant::bigint, array[{SESSION}], null, repeat('h', 43), 'workstation-00001', '{{\"hostname\": \"workstation-00001\"}}');
select stale, done, gone, released_at from end_seats('{tenant}', '{pool}', 0, 'released', array[:seat::int], \
array[:ending::bigint], array[null::timestamptz], '{{}}', '{{}}', '{{}}', '{{}}', array[{SESSION}]);
"
    )
}

/// A UUID (version 7 in form, and rising) from the run, the client and the turn.
const SESSION: &str = "(lpad(to_hex(:run::int), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(:client_id::int), 4, '0') || lpad(to_hex(:i::int), 8, '0'))::uuid";
