//! The settings that connections of the services have, whatever the database or the role is set to.

use super::Book;
use license_core::{
    domain::lease::LeaseTiming,
    records::{DatabaseRole, GrantOutcome, Records},
};
use sqlx::{AssertSqlSafe, Executor, Row};
use std::time::Duration;

/// What a promise rests on. The last few are sqlx's.
const SETTINGS: [(&str, &str, &str); 16] = [
    ("default_transaction_isolation", "read committed", "'repeatable read'"),
    ("default_transaction_read_only", "off", "on"),
    ("synchronous_commit", "on", "off"),
    ("row_security", "on", "off"),
    ("search_path", "public,pg_temp", "pg_temp, directory, public"),
    ("app.tenant_id", "", "'00000000-0000-0000-0000-000000000001'"),
    ("lock_timeout", "250ms", "'1h'"),
    ("statement_timeout", "2s", "0"),
    ("idle_in_transaction_session_timeout", "5s", "0"),
    ("plan_cache_mode", "force_generic_plan", "auto"),
    ("enable_seqscan", "off", "on"),
    ("enable_hashjoin", "off", "on"),
    ("enable_mergejoin", "off", "on"),
    ("jit", "off", "on"),
    ("TimeZone", "UTC", "'America/New_York'"),
    ("DateStyle", "ISO, MDY", "'SQL, DMY'"),
];

const ROLES: [DatabaseRole; 4] =
    [DatabaseRole::Service, DatabaseRole::Reaper, DatabaseRole::Notify, DatabaseRole::Admin];

#[tokio::test]
async fn no_setting_of_the_database_or_of_a_role_changes_what_a_promise_rests_on() {
    let book = Book::open().await;
    let mut truth = book.truth().await;
    let name: String = sqlx::query_scalar("select current_database()").fetch_one(&mut truth).await.unwrap();
    let mut wrong = Vec::new();
    for of in ["database", "role"] {
        for role in ROLES {
            let whose = match of {
                "database" => format!("database {name}"),
                _ => format!("role {} in database {name}", role.name()),
            };
            for (setting, _, other) in SETTINGS {
                truth.execute(AssertSqlSafe(format!("alter {whose} set {setting} = {other}"))).await.unwrap();
            }
            let records = Records::with(book.database.clone(), role, 1);
            let mut work = records.begin(book.license.tenant).await.unwrap();
            // What it is before a tenant is set, and again behind each transaction.
            work.execute("reset app.tenant_id").await.unwrap();
            for (setting, ours, _) in SETTINGS {
                let found: String =
                    sqlx::query_scalar("select current_setting($1)").bind(setting).fetch_one(&mut *work).await.unwrap();
                if found != ours {
                    wrong.push(format!("{setting} of {} is {found}, set for the {of}", role.name()));
                }
            }
            let isolation: String = work.fetch_one("show transaction_isolation").await.unwrap().try_get(0).unwrap();
            if isolation != "read committed" {
                wrong.push(format!("transactions of {} are {isolation}, set for the {of}", role.name()));
            }
            truth.execute(AssertSqlSafe(format!("alter {whose} reset all"))).await.unwrap();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_rebuild_that_waited_for_a_grant_sees_it_whatever_isolation_the_database_is_set_to() {
    for isolation in ["repeatable read", "serializable"] {
        let book = Book::open().await;
        let mut truth = book.truth().await;
        let name: String = sqlx::query_scalar("select current_database()").fetch_one(&mut truth).await.unwrap();
        let set = format!("alter database {name} set default_transaction_isolation = '{isolation}'");
        truth.execute(AssertSqlSafe(set)).await.unwrap();
        let (service, admin) = (
            Records::with(book.database.clone(), DatabaseRole::Service, 2),
            Records::with(book.database.clone(), DatabaseRole::Admin, 1),
        );
        let grant = book.decided(0, 1, 1).await;
        // A grant under way: written, not committed.
        let mut granting = service.begin(grant.tenant).await.unwrap();
        let wrote: String = sqlx::query_scalar(
            "select grant_seat($1, $2, 0, $3, $4, $5, $6, 1, array[$3], null, 'hw', 'a', '{}', null, null, '{}')",
        )
        .bind(grant.tenant.0)
        .bind(grant.pool.0)
        .bind(grant.session.0)
        .bind(grant.holder.to_string())
        .bind(grant.attempt.0)
        .bind(grant.epoch as i64)
        .fetch_one(&mut *granting)
        .await
        .unwrap();
        assert_eq!(wrote, "OK");
        let waiting = async {
            let sql =
                "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
            while book.number(sql).await == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            granting.commit().await.unwrap();
        };
        let timing = LeaseTiming::default();
        let (snapshot, ()) = tokio::join!(admin.rebuild_pool(grant.tenant, grant.pool, 0, &timing), waiting);
        let snapshot = snapshot.unwrap().unwrap();
        let held = snapshot.seats.iter().filter(|seat| seat.holder.is_some()).count();
        assert_eq!(held, 1, "under {isolation}");
        assert_eq!(grant.write_down(&service).await.unwrap(), GrantOutcome::EpochStale);
    }
}
