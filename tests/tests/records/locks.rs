//! The lock of a pool: a change that raises the epoch gets it, however many grants are written down at the same time.

use super::Book;
use license_core::{
    domain::{lease::LeaseTiming, license::Status},
    records::{DatabaseRole, Records},
};
use sqlx::{AssertSqlSafe, Executor, postgres::PgPoolOptions};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

/// Who hold the pool at once, in a loop.
const SHARING: u32 = 16;
/// What may pass while one waits: those under way when it came, those that come until it stands in the queue, and as many when it is through.
const ROUNDS: u64 = 10 * SHARING as u64;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_raises_an_epoch_waits_for_the_grants_under_way_and_not_for_those_that_come_after() {
    let book = Book::open().await;
    let license = &book.license;
    book.resize(SHARING).await;
    let options = book.database.clone().username("service");
    let pool = PgPoolOptions::new().max_connections(SHARING).connect_with(options).await.unwrap();
    let (rounds, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut loops = tokio::task::JoinSet::new();
    for seat in 0..SHARING {
        // A short operation and a commit that takes two milliseconds.
        let sql = format!(
            "begin; select * from resolve_session('{}', '{}', {seat}, gen_random_uuid(), 1); select pg_sleep(0.002); commit",
            license.tenant, license.pool_id.0
        );
        let (pool, rounds, over) = (pool.clone(), Arc::clone(&rounds), Arc::clone(&over));
        loops.spawn(async move {
            let mut connection = pool.acquire().await.unwrap();
            while !over.load(Ordering::SeqCst) {
                connection.execute(AssertSqlSafe(sql.clone())).await.unwrap();
                rounds.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    let passed = |count: u64| {
        let rounds = Arc::clone(&rounds);
        async move {
            while rounds.load(Ordering::SeqCst) < count {
                tokio::task::yield_now().await;
            }
        }
    };
    passed(u64::from(SHARING)).await;
    let service = Records::with(book.database.clone(), DatabaseRole::Service, 1);
    service.ready().await.unwrap();
    let mut waited = Vec::new();
    for _ in 0..5 {
        for what in ["rebuild", "suspend", "resume", "kick"] {
            let before = rounds.load(Ordering::SeqCst);
            match what {
                "rebuild" => drop(
                    service
                        .rebuild_pool(license.tenant, license.pool_id, 0, &LeaseTiming::default())
                        .await
                        .unwrap()
                        .unwrap(),
                ),
                "suspend" => drop(book.decide(Status::Suspended).await),
                "resume" => drop(book.decide(Status::Active).await),
                // Of a seat that may be empty: what the shipped road does once it has found the session's seat.
                _ => {
                    let mut transaction = book.admin.begin(license.tenant).await.unwrap();
                    let kick = sqlx::query("select kick_seat($1, $2, 0, false, 'an admin')").bind(license.tenant.0);
                    kick.bind(license.pool_id.0).execute(&mut *transaction).await.unwrap();
                    transaction.commit().await.unwrap();
                }
            }
            let now = rounds.load(Ordering::SeqCst);
            waited.push((now - before, what));
            passed(now + u64::from(SHARING)).await;
        }
    }
    over.store(true, Ordering::SeqCst);
    loops.join_all().await;
    println!("rounds of others that passed meanwhile: {waited:?}");
    // A change is a dozen statements, and where the machine is busy one of them may wait for a core while hundreds pass: three of four count.
    // A lock that is not fair keeps each of them waiting, until its limit of time refuses it.
    let mut rounds: Vec<u64> = waited.iter().map(|(rounds, _)| *rounds).collect();
    rounds.sort_unstable();
    assert!(rounds[rounds.len() * 3 / 4] <= ROUNDS, "{waited:?}");
}

#[tokio::test]
async fn every_function_that_changes_a_pool_takes_its_lock_first() {
    let book = Book::open().await;
    // after_restore runs while nobody serves, over all pools there are; end_seats chooses between shared and alone; record_usage and record_wants
    // change alone what was told and which pools a sweep looks at, by which nothing about a seat is decided.
    let sql = "select proname::text from pg_proc where pronamespace = 'public'::regnamespace and prosrc ~* '(update|delete from) pools\\M'
               and proname not in ('after_restore', 'record_usage', 'record_wants')
               and not prosrc ~* '(pg_advisory_xact_lock\\(pool_lock|lock_pools)\\(.*update pools\\M' order by 1";
    let without: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut book.truth().await).await.unwrap();
    assert_eq!(without, Vec::<String>::new());
    let rows = book.number("select count(*) from pg_proc where pronamespace = 'public'::regnamespace and prosrc ~* 'from pools\\M[^;]*for (no key |key )?(update|share)(?! skip locked)'").await;
    assert_eq!(rows, 0, "the row is no lock; who skips one that is locked waits for nobody");
}
