//! What reading how a pool was used costs: it depends on the points that are asked for, and not on other pools.

use super::Book;
use license_core::records::{UsageFilter, UsageStep};
use license_tests::explain::Plans;
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use time::{Duration, OffsetDateTime};

/// Minutes that each pool has, and hours: more than one answer of each.
const MINUTES: i64 = 2000;
const HOURS: i64 = 2000;
/// The most points of an answer.
const POINTS: i64 = 1500;
/// Blocks that an answer may cost: its points, which lie beside each other, and the way to them in the parts of the
/// table, of which there is one a month.
const BLOCKS: i64 = 150;
/// Blocks that a hundred other pools may add: the index is a level deeper.
const MORE_BLOCKS: i64 = 20;

/// So many pools more of one other organization each, used in every minute and hour as this one is.
const OTHERS: &str = "
    set session_replication_role = replica;
    create temporary table others as select gen_random_uuid() as tenant_id, gen_random_uuid() as pool_id
      from generate_series(1, $POOLS);
    insert into usage_minutes select tenant_id, pool_id, date_trunc('minute', now()) - make_interval(mins => n), 3, 4, 5, 0, 0, true
      from generate_series(1, $MINUTES) n, others;
    insert into usage_hours
      select tenant_id, pool_id, date_trunc('hour', now(), 'UTC') - make_interval(hours => n), 60, 60, 180, 300, 4, 5, 0, 0
      from generate_series(1, $HOURS) n, others;
    drop table others;
    set session_replication_role = origin;";

async fn used(truth: &mut PgConnection, pools: &str, own: bool) {
    let mut sql = OTHERS.replace("$POOLS", pools).replace("$MINUTES", &MINUTES.to_string());
    sql = sql.replace("$HOURS", &HOURS.to_string());
    if own {
        sql = sql.replace("gen_random_uuid() as tenant_id, gen_random_uuid() as pool_id", "tenant_id, pool_id");
        sql = sql.replace(&format!("from generate_series(1, {pools})"), "from pools");
    }
    truth.execute(AssertSqlSafe(sql)).await.unwrap();
}

/// Blocks that a whole answer costs, by minutes and by hours.
async fn cost(book: &Book, plans: &Plans) -> [i64; 2] {
    let mut blocks = [0; 2];
    let last = "select max(at) + interval '1 minute' from usage_minutes join pools using (tenant_id, pool_id)";
    let until: OffsetDateTime = sqlx::query_scalar(last).fetch_one(&mut book.truth().await).await.unwrap();
    for (at, step) in [UsageStep::Minute, UsageStep::Hour].into_iter().enumerate() {
        let from = until - Duration::minutes(step.minutes() * POINTS);
        let filter = UsageFilter { license: book.license.id, pool: None, step, from, until };
        plans.take();
        let points = book.admin.usage(&book.act(), &filter).await.unwrap().unwrap();
        assert!((POINTS - 1..=POINTS).contains(&(points.len() as i64)), "{} points", points.len());
        blocks[at] = plans.take().iter().map(|ran| ran.blocks).sum();
    }
    blocks
}

#[tokio::test]
async fn a_series_reads_its_own_points_and_none_of_other_pools() {
    let book = Book::open().await;
    let mut truth = book.truth().await;
    used(&mut truth, "1", true).await;
    let plans = Plans::of(&book.database).await;
    let mut costs = Vec::new();
    for (others, known) in [("0", "select 1"), ("100", "select 1"), ("1", "analyze")] {
        used(&mut truth, others, false).await;
        truth.execute(known).await.unwrap();
        costs.push(cost(&book, &plans).await);
    }
    let bytes = "select sum(pg_total_relation_size(relid))::bigint from pg_partition_tree('$TABLE') where isleaf";
    let size = async |table: &str| book.number(&bytes.replace("$TABLE", table)).await;
    let rows = 102;
    println!(
        "blocks of {POINTS} points by minutes and by hours: alone {:?}, beside 100 pools {:?}, and analyzed {:?}; \
         bytes of a minute {}, of an hour {}",
        costs[0],
        costs[1],
        costs[2],
        size("usage_minutes").await / (rows * MINUTES),
        size("usage_hours").await / (rows * HOURS),
    );
    let counted = "select count(*) from pg_partition_tree('$TABLE') t join pg_attribute a on a.attrelid = t.relid
      where t.isleaf and a.attname in ('tenant_id', 'pool_id') and a.attstattarget is distinct from 0";
    for table in ["usage_minutes", "usage_hours"] {
        assert_eq!(book.number(&counted.replace("$TABLE", table)).await, 0, "no plan turns on what was counted last");
    }
    for (at, alone) in costs[0].into_iter().enumerate() {
        assert!(alone <= BLOCKS, "{costs:?}");
        for later in &costs[1..] {
            assert!(later[at] <= alone + MORE_BLOCKS, "{costs:?}");
        }
    }
}
