//! What the reaper's look at its share of the pools costs: what those pools have, not what they ever had and not what others have.

use super::Book;
use license_core::{
    domain::event::BUCKETS,
    records::{Records, Role},
};
use license_tests::explain::{Plans, Ran};
use sqlx::{AssertSqlSafe, Executor};

/// Ended sessions of one organization.
const ENDED: i64 = 400_000;
/// Blocks a pool may cost: its row, its license and at most four looks by key.
const BLOCKS_PER_POOL: i64 = 30;

/// One organization with pools in every share, all of which have a past and some a present, beside fifty others of which every pool is held.
const DATA: &str = "
    set session_replication_role = replica;
    create temporary table mine as select tenant_id, license_id from licenses limit 1;
    insert into pools (tenant_id, pool_id, license_id, name, seats_total)
    select tenant_id, gen_random_uuid(), license_id, 'p' || n, 20 from mine, generate_series(1, 640) n;
    create temporary table others as select gen_random_uuid() as tenant_id, gen_random_uuid() as license_id from generate_series(1, 50);
    insert into licenses select (jsonb_populate_record(l, jsonb_build_object(
      'tenant_id', o.tenant_id, 'license_id', o.license_id, 'number', lpad(to_hex(row_number() over ()), 13, '0')))).*
    from licenses l, others o where l.license_id = (select license_id from mine);
    insert into pools (tenant_id, pool_id, license_id, name, seats_total)
    select tenant_id, gen_random_uuid(), license_id, 'p' || n, 20 from others, generate_series(1, 64) n;
    -- A large pool that nobody uses now, in the share that is looked at.
    insert into seats (tenant_id, pool_id, seat_no)
    select tenant_id, pool_id, n from pools, generate_series(0, case name when 'default' then 5000 else 19 end) n
    on conflict do nothing;
    update seats s set holder = 'h' || seat_no from others o where s.tenant_id = o.tenant_id and s.seat_no < 5;
    insert into sessions (tenant_id, session_id, license_id, pool_id, seat_no, holder, attempt, hw)
    select tenant_id, gen_random_uuid(), gen_random_uuid(), pool_id, seat_no, holder, gen_random_uuid(), holder from seats where holder is not null;
    insert into sessions (tenant_id, session_id, license_id, pool_id, seat_no, holder, attempt, hw, started_at, last_seen_at, ended_at, end_reason)
    select p.tenant_id, gen_random_uuid(), p.license_id, p.pool_id, n % 20, 'h' || n % 20, gen_random_uuid(), 'hw',
      t.at, t.at, t.at, 'released'
    from (select p.*, row_number() over () - 1 as i, count(*) over () as of from pools p join mine m on m.tenant_id = p.tenant_id) p
    join generate_series(1, $ENDED) n on n % p.of = p.i
    cross join lateral (select now() - interval '6 minutes' - n * interval '1 second' as at) t;
    -- Ten pools of each hundred are held, ten were used just now.
    update seats s set holder = 'x' from pools p
    where p.pool_id = s.pool_id and p.tenant_id = (select tenant_id from mine) and s.seat_no = 0 and p.name like 'p%7';
    update sessions s set ended_at = now() from (
      select distinct on (s.pool_id) s.tenant_id, s.session_id from sessions s join pools p on p.pool_id = s.pool_id
      where p.tenant_id = (select tenant_id from mine) and p.name like 'p%8') c
    where c.tenant_id = s.tenant_id and c.session_id = s.session_id;
    update pools set changed_at = now() - interval '26 hours';
    set session_replication_role = origin;";

/// What the planner may know or not.
const STATISTICS: [(&str, &str); 3] = [
    (
        "never analyzed",
        "delete from pg_statistic where starelid in (select oid from pg_class where relnamespace = 'public'::regnamespace);
         update pg_class set reltuples = -1, relpages = 0 where relnamespace = 'public'::regnamespace;",
    ),
    ("analyzed", "analyze"),
    (
        "analyzed when every organization had one session and one pool",
        "update pg_statistic set stadistinct = -1, stakind1 = 0, stakind2 = 0, stanumbers1 = null, stanumbers2 = null,
           stavalues1 = null, stavalues2 = null
         where starelid in ('sessions_open'::regclass, 'seats'::regclass, 'pools'::regclass) and staattnum in (1, 2);",
    ),
];

#[tokio::test]
async fn a_look_at_one_share_of_the_pools_reads_what_they_have_and_neither_history_nor_what_others_have() {
    let book = Book::open().await;
    let mut truth = book.truth().await;
    for table in ["pools", "seats", "sessions_open", "history.sessions_rest"] {
        let off = format!("alter table {table} set (autovacuum_enabled = off)");
        truth.execute(AssertSqlSafe(off)).await.unwrap();
    }
    let began = std::time::Instant::now();
    truth.execute(AssertSqlSafe(DATA.replace("$ENDED", &ENDED.to_string()))).await.unwrap();
    println!("{ENDED} ended sessions made in {:?}", began.elapsed());
    let bucket = book
        .number("select bucket::bigint from pools where name = 'default' order by seats_total limit 1")
        .await as u16;
    let plans = Plans::of(&book.database).await;
    let mut failures = Vec::new();
    for (known, sql) in STATISTICS {
        truth.execute(sql).await.unwrap();
        for bucket in [bucket, (bucket + 1) % BUCKETS] {
            let pools = book.number(&format!("select count(*) from pools where bucket = {bucket}")).await;
            let wanted = book
                .number(&format!(
                    "select count(*) from pools p where bucket = {bucket} and (
                       exists (select from seats s where s.pool_id = p.pool_id and s.holder is not null)
                       or exists (select from sessions s where s.pool_id = p.pool_id and s.ended_at > now() - interval '5 minutes'))"
                ))
                .await;
            plans.take();
            let reaper = Records::with(book.database.clone(), Role::Reaper, 1);
            let looked = reaper.pools_to_reap(bucket).await;
            let ran: Vec<Ran> = plans.take().into_iter().filter(|ran| ran.text.contains("from pools")).collect();
            let blocks: i64 = ran.iter().map(|ran| ran.blocks).sum();
            println!("{known}: {blocks} blocks for {pools} pools, {:.1} ms", ran.iter().map(|r| r.ms).sum::<f64>());
            match looked {
                Ok(looked) => assert_eq!(looked.len() as i64, wanted, "{known}"),
                Err(error) => failures.push(format!("{known}: {error}")),
            }
            if ran.len() != 1 || blocks > BLOCKS_PER_POOL * pools {
                failures.push(format!("{known}: {blocks} blocks for {pools} pools\n{ran:#?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[tokio::test]
async fn a_pool_that_cannot_be_read_keeps_none_of_its_share_from_being_looked_at() {
    let book = Book::open().await;
    let mut truth = book.truth().await;
    // Sixty-four shares and as many pools and more: some share has both.
    for sql in [
        "insert into pools (tenant_id, pool_id, license_id, name, seats_total, changed_at)
         select tenant_id, gen_random_uuid(), license_id, 'p' || n, 0, now() from licenses, generate_series(1, 640) n",
        "create temporary table broken as select jsonb_populate_record(l, jsonb_build_object('tenant_id', gen_random_uuid(),
           'license_id', gen_random_uuid(), 'number', 'none of ours')) as l from licenses l",
        "insert into organizations (tenant_id, name) select (l).tenant_id, 'x' from broken",
        "insert into licenses select (l).* from broken",
        "insert into pools (tenant_id, pool_id, license_id, name, seats_total, changed_at)
         select (l).tenant_id, gen_random_uuid(), (l).license_id, 'x', 0, now() from broken",
    ] {
        truth.execute(sql).await.unwrap();
    }
    let bucket = book.number("select bucket::bigint from pools where name = 'x'").await;
    let others = book.number(&format!("select count(*) from pools where bucket = {bucket} and name like 'p%'")).await;
    let reaper = Records::with(book.database.clone(), Role::Reaper, 1);
    assert_eq!(reaper.pools_to_reap(bucket as u16).await.unwrap().len() as i64, others);
}
