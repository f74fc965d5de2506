//! An installation with a past: ten million ended sessions of 14 months and ten thousand pools. What a session takes once it has ended, what a
//! look for something to do reads, and what people wait while a month is taken away. Measured only when named: filling takes minutes, and
//! about 10 GB where the stores lie.

use crate::{
    Part, Size, acquire,
    function::Function,
    http::{Connection, post},
    load::{self, Requests, Tally, gather},
    stage::{Held, Pool, Stage},
};
use license_core::{
    domain::event::SweepShare,
    records::{DatabaseRole, HistoryStep, Records},
};
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use std::{
    fmt::Write,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

const DATA: &str = include_str!("past.sql");
const POOLS: u32 = 10_000;
/// Acquires and releases, and heartbeats, per second: far from what is possible, so that who waits is not waiting for a core.
const PAIRS: u32 = 40;
const BEATS: f64 = 100.0;
const CLIENTS: u32 = 8;

pub(crate) async fn measure(stage: &mut Stage, size: &Size) -> Part {
    // Those who wait, before there is much to vacuum.
    let (pool, beating) = (stage.pool(1000).await, stage.pool(1000).await);
    let held = stage.seat(&beating, 1000).await;
    let began = Instant::now();
    fill(stage, size.ended).await;
    let mut text = format!(
        "{} ended sessions of 14 months, {POOLS} pools of 100 organizations, of which one has a tenth; made in {:.0} s\n\n",
        size.ended,
        began.elapsed().as_secs_f64()
    );
    let [table, indexes] = bytes(&mut stage.sql).await;
    let _ = writeln!(
        text,
        "bytes per ended session: **{:.0}**, of the table {table:.0}, of its indexes {indexes:.0}\n",
        table + indexes
    );
    text += "| pools with something to do | found | blocks read by the looks of one tick | ms |\n|---|---|---|---|\n";
    let mut looks = Vec::new();
    for pools in [0, 10, 1000] {
        hold(&mut stage.sql, pools).await;
        let Looked { found, blocks, ms } = looked(stage).await;
        let _ = writeln!(text, "| {pools} | {found} | {blocks} | {ms:.1} |");
        looks.push(json!({ "pools": pools, "found": found, "blocks": blocks, "ms": ms }));
    }
    hold(&mut stage.sql, 0).await;
    let _ = writeln!(
        text,
        "\n{PAIRS} acquires and releases and {BEATS} heartbeats a second, without and with a month taken away at the same time, by turns\n\n\
         | with | acquire: p50, ms, without | with | p99, ms, without | with | with ÷ without | heartbeat: p50, ms, without | with | p99, ms, without | with | with ÷ without | taken away in, s | asked again |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|---|"
    );
    let mut waits = Vec::new();
    let steady = Steady::start(stage, pool, &held).await;
    for (what, keeper) in [("a month taken away", false), ("all of a month but one organization's taken away", true)] {
        if keeper {
            let sql = "insert into directory.retention select tenant_id, 'sessions', '10 years' from organizations where name = 'organization 0'";
            stage.sql.execute(sql).await.unwrap();
        }
        let (mut without, mut with, mut taking) = (Waits::default(), Waits::default(), Taken::default());
        for _ in 0..size.turns {
            without.add(&steady.turn(size.time / 2).await);
            assert!(due(&mut stage.sql).await, "months are left");
            let reaper = Records::with(stage.postgres.superuser(), DatabaseRole::Reaper, 1);
            let (waits, taken) = tokio::join!(steady.turn(size.time / 2), take_away(&reaper));
            with.add(&waits);
            taking.add(&taken);
        }
        let [acquire, beat] = [(&without.acquire, &with.acquire), (&without.beat, &with.beat)]
            .map(|(without, with)| Compared::of(without, with));
        let refused = [&without, &with].iter().map(|waits| waits.acquire.refused + waits.beat.refused).sum::<u64>();
        let shown = if refused > 0 { format!("{what} ({refused} refused)") } else { what.to_owned() };
        let seconds = taking.time.as_secs_f64() / f64::from(size.turns);
        let _ =
            writeln!(text, "| {shown} | {} | {} | {seconds:.2} | {} |", acquire.cells(), beat.cells(), taking.later);
        waits.push(json!({
            "what": what, "acquire": acquire.json(), "heartbeat": beat.json(), "refused": refused, "taken_away_s": seconds,
            "steps": taking.steps, "asked_again": taking.later,
        }));
    }
    drop(steady);
    stage.sql.execute("update catalog.retention set keep = '400 days' where what = 'sessions'").await.unwrap();
    stage.forget_months().await;
    let json = json!({
        "ended": size.ended, "pools": POOLS, "bytes_per_session": { "table": table, "indexes": indexes }, "looks": looks, "waits": waits,
    });
    Part { text, json }
}

/// Makes the past.
async fn fill(stage: &mut Stage, ended: u64) {
    // What is made and filled in one transaction need not be written twice. Afterwards PostgreSQL runs as it does everywhere else.
    stage.restart(&["wal_level = minimal", "max_wal_senders = 0"]).await;
    for setting in [format!("set past.ended = '{ended}'"), format!("set past.pools = '{POOLS}'")] {
        stage.sql.execute(AssertSqlSafe(setting)).await.unwrap();
    }
    stage.sql.execute(DATA).await.unwrap();
    stage.restart(&[]).await;
    stage.sql.execute("vacuum analyze").await.unwrap();
}

/// Of all months together, per session: of tables and of indexes.
async fn bytes(sql: &mut PgConnection) -> [f64; 2] {
    let query =
        "select coalesce(sum(pg_table_size(t.relid)), 0)::float8, coalesce(sum(pg_indexes_size(t.relid)), 0)::float8,
        (select count(*) from sessions where ended_at is not null)::float8
      from pg_partition_tree('history.sessions') t where t.isleaf";
    let (table, indexes, count): (f64, f64, f64) = sqlx::query_as(query).fetch_one(sql).await.unwrap();
    [table / count, indexes / count]
}

/// Gives each of so many pools one holder with one open session, and takes them from all others.
async fn hold(sql: &mut PgConnection, pools: u32) {
    let all = format!(
        "delete from sessions where ended_at is null and label = 'to do';
         update seats set holder = null, held_since = null where holder = 'to do';
         with few as (
           update seats s set holder = 'to do', held_since = now() from pools p
           where s.tenant_id = p.tenant_id and s.pool_id = p.pool_id and s.seat_no = 0
             and p.pool_id in (select pool_id from pools where seats_total = 5 order by abs(hashtext(pool_id::text)) limit {pools})
           returning p.tenant_id, p.pool_id, p.license_id)
         insert into sessions (tenant_id, session_id, license_id, pool_id, seat_no, holder, attempt, hw, label)
         select tenant_id, uuid_v7(), license_id, pool_id, 0, 'to do', gen_random_uuid(), 'hw', 'to do' from few"
    );
    sql.execute(AssertSqlSafe(all)).await.unwrap();
}

struct Looked {
    /// Pools that were found.
    found: usize,
    blocks: i64,
    ms: f64,
}

/// What a tick and its sweeps ask the records before they look at a pool: on a new connection what it reads, on one that asked before how long
/// it takes.
async fn looked(stage: &mut Stage) -> Looked {
    let before = blocks(&mut stage.sql).await;
    let found = look(&Records::with(stage.postgres.superuser(), DatabaseRole::Reaper, 1)).await;
    let blocks = blocks(&mut stage.sql).await - before;
    let reaper = Records::with(stage.postgres.superuser(), DatabaseRole::Reaper, 1);
    look(&reaper).await;
    let began = Instant::now();
    look(&reaper).await;
    Looked { found, blocks, ms: began.elapsed().as_secs_f64() * 1e3 }
}

async fn look(reaper: &Records) -> usize {
    let todo: Vec<_> = reaper.to_do().await.expect("the reaper may ask").pools.into_iter().collect();
    let mut found = 0;
    for share in SweepShare::split_pools(&todo) {
        found += reaper.pools_to_reap(&share).await.expect("the reaper may ask").len();
    }
    found
}

/// Blocks of our tables and their indexes that were read, cached or not. A connection has told it all when it has ended.
async fn blocks(sql: &mut PgConnection) -> i64 {
    let open = "select exists (select from pg_stat_activity where datname = current_database() and usename = 'reaper')";
    while sqlx::query_scalar(open).fetch_one(&mut *sql).await.unwrap() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let query = "select coalesce(sum(heap_blks_hit + heap_blks_read + coalesce(idx_blks_hit, 0) + coalesce(idx_blks_read, 0)), 0)::bigint
      from pg_statio_user_tables";
    sqlx::query_scalar(query).fetch_one(sql).await.unwrap()
}

/// Puts how long sessions are kept to where the oldest month is over that has more than what somebody keeps longer. False: there is none.
async fn due(sql: &mut PgConnection) -> bool {
    let query = "
        with oldest as (
          select make_timestamptz(substr(c.relname, 10, 4)::int, substr(c.relname, 15, 2)::int, 1, 0, 0, 0, 'UTC') as month
          from pg_inherits i join pg_class c on c.oid = i.inhrelid
          where i.inhparent = 'history.sessions'::regclass and c.relname ~ '^sessions_[0-9]' and obj_description(c.oid) is null
          order by 1 limit 1)
        update catalog.retention r set keep = now() - history.month_after(o.month) - interval '1 minute'
        from oldest o where r.what = 'sessions' and history.month_after(o.month) < now() - interval '2 days'";
    sqlx::query(query).execute(sql).await.unwrap().rows_affected() == 1
}

/// What taking months away took.
#[derive(Default)]
struct Taken {
    steps: u32,
    /// How often a table was in use.
    later: u32,
    time: Duration,
}

impl Taken {
    fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.later += other.later;
        self.time += other.time;
    }
}

/// Everything that is due, as a tick does it, but asked again at once where a table is in use.
async fn take_away(reaper: &Records) -> Taken {
    // The load is there first.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (mut taken, began) = (Taken::default(), Instant::now());
    loop {
        match reaper.keep_history().await.expect("the reaper may") {
            HistoryStep::Nothing => break,
            HistoryStep::Did(_) => taken.steps += 1,
            HistoryStep::Later => {
                taken.later += 1;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    taken.time = began.elapsed();
    taken
}

/// How long people waited.
#[derive(Default)]
struct Waits {
    acquire: Tally,
    beat: Tally,
}

impl Waits {
    fn add(&mut self, other: &Self) {
        self.acquire.add(&other.acquire);
        self.beat.add(&other.beat);
    }
}

/// One kind of request, without and with.
struct Compared {
    p50: [f64; 2],
    p99: [f64; 2],
}

impl Compared {
    fn of(without: &Tally, with: &Tally) -> Self {
        let both = |percent| [without.percentile(percent), with.percentile(percent)];
        Self { p50: both(50.0), p99: both(99.0) }
    }

    fn ratio(&self) -> f64 {
        self.p99[1] / self.p99[0]
    }

    fn cells(&self) -> String {
        let Self { p50: [p50, p50_with], p99: [p99, p99_with] } = self;
        format!("{p50:.2} | {p50_with:.2} | {p99:.2} | {p99_with:.2} | **{:.2}**", self.ratio())
    }

    fn json(&self) -> serde_json::Value {
        json!({ "p50_ms": self.p50, "p99_ms": self.p99, "p99_with_to_without": self.ratio() })
    }
}

/// Acquires, releases and heartbeats that go on by the clock.
struct Steady {
    acquire: Function,
    release: Function,
    heartbeat: Function,
    pool: Pool,
    beats: Requests,
}

impl Steady {
    async fn start(stage: &Stage, pool: Pool, held: &[Held]) -> Self {
        let [acquire, release, heartbeat] = [
            Function::start(stage, "acquire", &[]).await,
            Function::start(stage, "release", &[]).await,
            Function::start(stage, "heartbeat", &[]).await,
        ];
        let beats = held.iter().map(|held| post("/api/v1/licenses/heartbeat", Some(&held.handle), "{}")).collect();
        let steady = Self { acquire, release, heartbeat, pool, beats: Arc::new(beats) };
        steady.turn(Duration::from_secs(2)).await;
        steady
    }

    async fn turn(&self, time: Duration) -> Waits {
        let pairs = async {
            let mut set = JoinSet::new();
            for client in 0..CLIENTS {
                let (addresses, key) = ([self.acquire.address, self.release.address], self.pool.key.reveal());
                set.spawn(async move { pairs(addresses, &key, client, time).await });
            }
            gather(set).await
        };
        let beats = load::open(self.heartbeat.address, CLIENTS as usize, BEATS, time, &self.beats, 200);
        let (acquire, (beat, _)) = tokio::join!(pairs, beats);
        Waits { acquire, beat }
    }
}

/// One machine takes a seat and gives it back, by the clock: an acquire counts from when it was due.
async fn pairs(addresses: [SocketAddr; 2], key: &str, client: u32, time: Duration) -> Tally {
    let mut taker = Connection::open(addresses[0]).await.expect("acquire listens");
    let mut giver = Connection::open(addresses[1]).await.expect("release listens");
    let every = Duration::from_secs(1) * CLIENTS / PAIRS;
    let began = tokio::time::Instant::now();
    let (mut due, mut tally) = (began + every * client / CLIENTS, Tally::default());
    while due < began + time {
        tokio::time::sleep_until(due).await;
        let request = acquire::wish(key, client);
        let answer = taker.ask(&request).await.expect("an answer");
        tally.record(due.elapsed());
        tally.refused += u64::from(answer.status != 201);
        due += every;
        let Some(session) = acquire::session(answer.body) else { continue };
        let request = post("/api/v1/licenses/release", Some(session), "{}");
        tally.refused += u64::from(giver.ask(&request).await.expect("an answer").status != 200);
    }
    tally
}
