//! The cost of finding the pools that have something to do, and of reading them: it depends on these pools, and not on
//! other pools or on their history.

use super::Book;
use license_core::{
    domain::{
        event::SweepShare,
        id::{PoolId, TenantId},
    },
    records::{DatabaseRole, Records},
};
use license_tests::explain::{Plans, Ran};
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Blocks that finding nothing may cost: the way down each index and the looks at the ends of it.
const BLOCKS: i64 = 20;
/// Blocks that a pool which has something to do may cost: a step of the walk, its row, its license and two looks by key.
const BLOCKS_PER_POOL: i64 = 15;

/// Ten thousand pools beside the one there is, half of them of one organization and each other one of its own. One has five thousand seats
/// that nobody holds, and one had more seats than it has now, when the records were restored.
const DATA: &str = "
    set session_replication_role = replica;
    create temporary table made as select case when n > 5000 then gen_random_uuid() end as tenant_id, gen_random_uuid() as license_id, n
      from generate_series(1, 10000) n;
    update made set tenant_id = (select tenant_id from made where n = 5001) where tenant_id is null;
    insert into licenses select (jsonb_populate_record(l, jsonb_build_object(
      'tenant_id', m.tenant_id, 'license_id', m.license_id, 'number', lpad(m.n::text, 13, '0')))).*
    from made m, licenses l;
    insert into pools (tenant_id, pool_id, license_id, name, seats_total, changed_at, used_at)
    select tenant_id, gen_random_uuid(), license_id, 'p' || n, 20, now() - interval '26 hours', now() - interval '26 hours' from made;
    insert into seats (tenant_id, pool_id, seat_no)
    select tenant_id, pool_id, n from pools, generate_series(0, case name when 'p1' then 4999 when 'p2' then 4999 else 19 end) n
    on conflict do nothing;
    update seats s set retired = true, hold_until = now(), hold_epoch = 1 from pools p where p.pool_id = s.pool_id and p.name = 'p2' and s.seat_no >= 20;
    create temporary table busy as select tenant_id, pool_id, row_number() over (order by pool_id) as n from pools where name like 'p%7';
    set session_replication_role = origin;";

/// The first pools of `busy` are given something to do, one kind by turns; every hundredth has five thousand seats, all of them held.
const WORK: &str = "
    set session_replication_role = replica;
    insert into seats (tenant_id, pool_id, seat_no)
    select tenant_id, pool_id, k from busy, generate_series(20, 4999) k where n <= $BUSY and n % 100 = 0 on conflict do nothing;
    update seats s set holder = 'h' || s.seat_no from busy b
    where b.n <= $BUSY and (b.n % 5 < 2 and s.seat_no < 5 or b.n % 100 = 0) and s.pool_id = b.pool_id and s.holder is null;
    update seats s set hold_until = now(), hold_epoch = 1 from busy b
    where b.n <= $BUSY and b.n % 5 = 2 and s.seat_no < 3 and s.pool_id = b.pool_id and s.hold_until is null;
    update pools p set changed_at = now() from busy b where b.n <= $BUSY and b.n % 5 = 3 and p.pool_id = b.pool_id;
    update pools p set used_at = now() from busy b where b.n <= $BUSY and b.n % 5 = 4 and p.pool_id = b.pool_id;
    set session_replication_role = origin;";

/// What the planner may know or not.
const STATISTICS: [(&str, &str); 4] = [
    (
        "never analyzed",
        "delete from pg_statistic where starelid in (select oid from pg_class where relnamespace = 'public'::regnamespace);
         update pg_class set reltuples = -1, relpages = 0 where relnamespace = 'public'::regnamespace;",
    ),
    ("analyzed", "analyze"),
    (
        "analyzed when every organization had one pool and every pool one seat",
        "update pg_statistic set stadistinct = -1, stakind1 = 0, stakind2 = 0, stanumbers1 = null, stanumbers2 = null,
           stavalues1 = null, stavalues2 = null
         where starelid in ('seats'::regclass, 'pools'::regclass, 'licenses'::regclass) and staattnum in (1, 2);",
    ),
    (
        "and every seat was held, kicked and retired",
        "update pg_statistic set stanullfrac = 0, stadistinct = -1, stakind1 = 0, stakind2 = 0, stanumbers1 = null, stanumbers2 = null,
           stavalues1 = null, stavalues2 = null
         where starelid = 'seats'::regclass and staattnum in (
           select attnum from pg_attribute where attrelid = 'seats'::regclass and attname in ('holder', 'hold_until', 'retired'));",
    ),
];

async fn pools(truth: &mut PgConnection, from: &str) -> BTreeSet<(TenantId, PoolId)> {
    let sql = AssertSqlSafe(format!("select tenant_id, pool_id from {from}"));
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as(sql).fetch_all(truth).await.unwrap();
    rows.into_iter().map(|(tenant, pool)| (TenantId(tenant), PoolId(pool))).collect()
}

/// A database with [`DATA`] in which nothing looks at tables unasked.
async fn ten_thousand_pools(book: &Book) -> PgConnection {
    let mut truth = book.truth().await;
    for table in ["pools", "seats", "licenses", "sessions_open", "outbox_waiting"] {
        let off = format!("alter table {table} set (autovacuum_enabled = off)");
        truth.execute(AssertSqlSafe(off)).await.unwrap();
    }
    truth.execute(DATA).await.unwrap();
    truth.execute("update outbox set published_at = now()").await.unwrap();
    truth
}

#[tokio::test]
async fn a_tick_and_its_sweep_read_what_has_something_to_do_and_neither_other_pools_nor_other_seats() {
    let book = Book::open().await;
    let mut truth = ten_thousand_pools(&book).await;
    let plans = Plans::of(&book.database).await;
    let mut failures = Vec::new();
    for busy in [0, 5, 200] {
        truth.execute(AssertSqlSafe(WORK.replace("$BUSY", &busy.to_string()))).await.unwrap();
        let wanted = pools(&mut truth, &format!("busy where n <= {busy}")).await;
        for (known, sql) in STATISTICS {
            truth.execute(sql).await.unwrap();
            let reaper = Records::with(book.database.clone(), DatabaseRole::Reaper, 1);
            plans.take();
            let todo = reaper.to_do().await.unwrap();
            let tick: Vec<Ran> = plans.take();
            assert_eq!((&todo.pools, todo.events), (&wanted, false), "{known}, {busy} pools");
            let mut looked = 0;
            for share in SweepShare::split_pools(&todo.pools.into_iter().collect::<Vec<_>>()) {
                looked += reaper.pools_to_reap(&share).await.unwrap().len();
            }
            assert_eq!(looked, wanted.len());
            let sweep: Vec<Ran> = plans.take();
            let sum = |ran: &[Ran]| ran.iter().map(|ran| ran.blocks).sum::<i64>();
            println!(
                "{busy} pools, {known}: {} statement, {} blocks; sweep: {} blocks",
                tick.len(),
                sum(&tick),
                sum(&sweep)
            );
            if tick.len() != 1 || sum(&tick) + sum(&sweep) > BLOCKS + BLOCKS_PER_POOL * busy {
                failures
                    .push(format!("{busy} pools, {known}: {} blocks\n{tick:#?}\n{sweep:#?}", sum(&tick) + sum(&sweep)));
            }
            let all = tick.iter().chain(&sweep);
            assert!(all.clone().all(|ran| !ran.text.contains("sessions")), "nothing is asked of what ended");
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[tokio::test]
async fn more_pools_than_one_statement_finds_are_found_all() {
    let book = Book::open().await;
    let mut truth = ten_thousand_pools(&book).await;
    truth
        .execute("insert into outbox (tenant_id, kind, payload) select tenant_id, 'x', '{}' from organizations")
        .await
        .unwrap();
    let reaper = Records::with(book.database.clone(), DatabaseRole::Reaper, 1);
    // One more than the ten thousand of a statement; then each of both kinds, and none of a statement's last.
    for sql in [
        "update seats set holder = 'h' where seat_no = 0",
        "update seats set hold_until = now(), hold_epoch = 1 where seat_no = 1",
        "update seats set holder = null where pool_id in (select pool_id from pools order by tenant_id, pool_id limit 9000)",
    ] {
        truth.execute(sql).await.unwrap();
        let todo = reaper.to_do().await.unwrap();
        assert!(todo.events);
        assert_eq!(todo.pools, pools(&mut truth, "pools").await, "{sql}");
    }
}

#[tokio::test]
async fn a_pool_that_cannot_be_read_keeps_none_of_its_share_from_being_looked_at() {
    let book = Book::open().await;
    let mut truth = book.truth().await;
    for sql in [
        "insert into pools (tenant_id, pool_id, license_id, name, seats_total, changed_at)
         select tenant_id, gen_random_uuid(), license_id, 'p' || n, 0, now() from licenses, generate_series(1, 40) n",
        "create temporary table broken as select jsonb_populate_record(l, jsonb_build_object('tenant_id', gen_random_uuid(),
           'license_id', gen_random_uuid(), 'number', 'none of ours')) as l from licenses l",
        "insert into organizations (tenant_id, name) select (l).tenant_id, 'x' from broken",
        "insert into licenses select (l).* from broken",
        "insert into pools (tenant_id, pool_id, license_id, name, seats_total, changed_at)
         select (l).tenant_id, gen_random_uuid(), (l).license_id, 'x', 0, now() from broken",
    ] {
        truth.execute(sql).await.unwrap();
    }
    let others = book.number("select count(*) from pools where name like 'p%'").await;
    let reaper = Records::with(book.database.clone(), DatabaseRole::Reaper, 1);
    let todo: Vec<_> = reaper.to_do().await.unwrap().pools.into_iter().collect();
    assert!(todo.len() as i64 > others, "the broken one is among them");
    let [share] = &SweepShare::split_pools(&todo)[..] else { panic!("one share") };
    assert_eq!(reaper.pools_to_reap(share).await.unwrap().len() as i64, others);
}
