//! What an operation on a seat reads in PostgreSQL: a handful of rows by key, however large the pool is, however long
//! its history is, and whatever the statistics of its tables say.

use super::{Book, License, TTL};
use license_core::{
    domain::{
        id::{Attempt, Holder, SeatNo, SessionId},
        pool::{LeaseClaim, SeatClaim, SessionClaim},
        session::EndReason,
    },
    records::{DatabaseRole, GrantOutcome, Records, SeatEnding},
};
use license_tests::{
    explain::{Plans, Ran},
    grant::SeatGrant,
};
use sqlx::{AssertSqlSafe, Executor};
use std::fmt::Write;
use uuid::Uuid;

/// Sizes of the pool.
const SEATS: [i64; 3] = [5, 10_000, 100_000];
/// Rows and index entries an operation may look at: three for each of its statements, of which the longest has a dozen.
const LOOKED_AT: i64 = 40;

/// Every second seat but the first four is held, each by a session; `$ENDED` sessions of them have ended.
const DATA: &str = "
    set session_replication_role = replica;
    create temporary table pool as select p.tenant_id, p.pool_id, p.license_id from pools p;
    insert into seats (tenant_id, pool_id, seat_no) select tenant_id, pool_id, n from pool, generate_series(5, $SEATS - 1) n;
    update pools set seats_total = $SEATS;
    update seats set holder = lpad(to_hex(seat_no), 22, 'h'), fence_epoch = 1, fence_seq = 1 where seat_no > 4 and seat_no % 2 = 0;
    insert into sessions (tenant_id, session_id, license_id, pool_id, seat_no, holder, attempt, hw)
    select s.tenant_id, gen_random_uuid(), p.license_id, p.pool_id, s.seat_no, s.holder, gen_random_uuid(), 'hw'
    from seats s, pool p where s.holder is not null;
    insert into sessions (tenant_id, session_id, license_id, pool_id, seat_no, holder, attempt, hw, ended_at, end_reason)
    select tenant_id, gen_random_uuid(), license_id, pool_id, n % $SEATS, lpad(to_hex(n % $SEATS), 22, 'h'), gen_random_uuid(), 'hw', now(), 'released'
    from pool, generate_series(1, $ENDED) n;
    set session_replication_role = origin;";

/// When PostgreSQL counted the tables and made its plans: before what it knows or does not know.
const STATISTICS: [(&str, &str, &str); 4] = [
    ("never analyzed", "", ""),
    ("analyzed when nobody had ever sat down", "analyze", ""),
    ("analyzed", "", "analyze"),
    (PLANNED_EARLY, "", ""),
];
/// The connection keeps the plans that it made then.
const PLANNED_EARLY: &str = "planned when nobody had ever sat down";

struct MeasuredOperations<'a> {
    book: &'a Book,
    service: Records,
    plans: Plans,
    seq: u64,
    found: Vec<(&'static str, i64, i64)>,
}

impl MeasuredOperations<'_> {
    /// Runs an operation and keeps what its statements read; more than a handful is shown.
    async fn run<T>(&mut self, name: &'static str, future: impl Future<Output = T>) -> T {
        self.plans.take();
        let answer = future.await;
        let ran: Vec<Ran> = self.plans.take();
        // The statement that calls the function would count what is in it a second time.
        let calls =
            |ran: &&Ran| ["grant_seat($", "end_seats($", "resolve_session($"].iter().any(|it| ran.text.contains(it));
        let inside: Vec<&Ran> = ran.iter().filter(|ran| !calls(ran)).collect();
        let looked_at: i64 = inside.iter().map(|ran| ran.looked_at()).sum();
        let blocks: i64 = inside.iter().map(|ran| ran.blocks).sum();
        assert!(inside.len() > 3, "{name}: too little was heard of it: {ran:#?}");
        if looked_at > LOOKED_AT {
            let worst = inside.iter().max_by_key(|ran| ran.looked_at()).unwrap();
            println!("{name}: {looked_at}: {} {}", worst.text, worst.plan);
        }
        self.found.push((name, looked_at, blocks));
        answer
    }

    async fn grant(&mut self, name: &'static str, seat: SeatNo, holder: Holder) -> SeatGrant {
        let mut grant = self.book.decided(seat, 0, self.seq).await;
        grant.holder = holder;
        self.written(name, grant, GrantOutcome::Ok).await
    }

    async fn written(&mut self, name: &'static str, grant: SeatGrant, outcome: GrantOutcome) -> SeatGrant {
        self.seq += 1;
        let grant = SeatGrant { seq: self.seq, ..grant };
        let service = self.service.clone();
        assert_eq!(self.run(name, grant.write_down(&service)).await.unwrap(), outcome, "{name}");
        grant
    }

    async fn end(&mut self, name: &'static str, ending: SeatEnding) {
        let (service, license) = (self.service.clone(), self.book.license.clone());
        let ended =
            self.run(name, service.end_seats(license.tenant, license.pool_id, &ending, EndReason::Released, TTL)).await;
        assert!(ended.unwrap().done.is_some(), "{name}");
    }

    /// Every operation once, with two holders of its own.
    async fn round(&mut self, epoch: u64) {
        let draw = || Holder(Uuid::new_v4().into_bytes());
        let first = self.grant("a new holder", 0, draw()).await;
        self.written("the same again", first.clone(), GrantOutcome::Ok).await;
        let (session, attempt) = (SessionId::draw(), Attempt(Uuid::new_v4()));
        let live = vec![first.session, session];
        let second = SeatGrant { session, attempt, live, ..first.clone() };
        let second = self.written("a second process", second, GrantOutcome::Ok).await;
        let moved = SeatGrant { seat: 1, session: SessionId::draw(), live: Vec::new(), ..second.clone() };
        let moved = self.written("on another seat", moved, GrantOutcome::Ok).await;
        let other = self.grant("after somebody silent", 1, draw()).await;
        self.written("that ended", moved, GrantOutcome::Ended).await;
        let License { tenant, pool_id, .. } = self.book.license.clone();
        let service = self.service.clone();
        let gone = self.run("what is that", service.resolve_session(tenant, pool_id, 0, first.session, epoch)).await;
        gone.unwrap();
        let (session, attempt) = (SessionId::draw(), Attempt(Uuid::new_v4()));
        let beside = SeatGrant { session, attempt, live: vec![other.session, session], ..other.clone() };
        let beside = self.written("beside it", beside, GrantOutcome::Ok).await;
        self.seq += 1;
        let claim = LeaseClaim { seq: self.seq, lease_end_ms: 0 };
        let lapsed = SessionClaim { seat: 1, session: beside.session, claim };
        self.end("one that lapsed", SeatEnding { epoch, sessions: vec![lapsed], ..SeatEnding::default() }).await;
        self.seq += 1;
        let claim = SeatClaim { seat: 1, claim: LeaseClaim { seq: self.seq, lease_end_ms: 0 } };
        let released = vec![other.session];
        self.end("the last gives back", SeatEnding { epoch, seats: vec![claim], released, ..SeatEnding::default() })
            .await;
    }
}

#[tokio::test]
async fn an_operation_reads_a_handful_of_rows_however_large_the_pool_and_whatever_postgresql_knows_of_it() {
    let mut failures = String::new();
    let mut least: Vec<(&str, i64, i64)> = Vec::new();
    for seats in SEATS {
        for (known, before, after) in STATISTICS {
            let ended = if seats > 10_000 { 0 } else { 20 * seats };
            let book = Book::open().await;
            let mut truth = book.truth().await;
            let tables: Vec<String> = sqlx::query_scalar(
                "select oid::regclass::text from pg_class where relkind = 'r' and relnamespace in ('public'::regnamespace, 'history'::regnamespace)",
            )
            .fetch_all(&mut truth)
            .await
            .unwrap();
            for table in tables {
                let off = format!("alter table {table} set (autovacuum_enabled = off)");
                truth.execute(AssertSqlSafe(off)).await.unwrap();
            }
            let plans = Plans::nested(&book.database).await;
            // One connection: its plans are made once, for any values.
            let service = Records::with(book.database.clone(), DatabaseRole::Service, 1);
            let epoch = book.epoch().await;
            let mut operations = MeasuredOperations { book: &book, service, plans, seq: 1, found: Vec::new() };
            if known == PLANNED_EARLY {
                operations.round(epoch).await;
                operations.found.clear();
            }
            let data = DATA.replace("$SEATS", &seats.to_string()).replace("$ENDED", &ended.to_string());
            for sql in [before, &data, after].into_iter().filter(|sql| !sql.is_empty()) {
                truth.execute(AssertSqlSafe(sql.to_owned())).await.unwrap();
            }
            for _ in 0..8 {
                operations.round(epoch).await;
            }
            let most = |name: &str| {
                let of = || operations.found.iter().filter(|(n, ..)| *n == name);
                (of().map(|(_, rows, _)| *rows).max().unwrap(), of().map(|(.., blocks)| *blocks).max().unwrap())
            };
            let mut names: Vec<&str> = Vec::new();
            operations.found.iter().for_each(|(name, ..)| {
                if !names.contains(name) {
                    names.push(name)
                }
            });
            for name in names {
                let (rows, blocks) = most(name);
                println!("{seats} seats, {ended} ended sessions, {known}: {name}: {rows} rows, {blocks} blocks");
                if seats == SEATS[0] && known == STATISTICS[0].0 {
                    least.push((name, rows, blocks));
                }
                let (.., few) = least.iter().find(|(n, ..)| *n == name).unwrap();
                if rows > LOOKED_AT || blocks > 2 * few + 20 {
                    writeln!(
                        failures,
                        "{seats} seats, {known}: {name}: {rows} rows, {blocks} blocks (of five seats {few})"
                    )
                    .unwrap();
                }
            }
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}
