//! What a role can do to another tenant's rows with plain SQL: on every table the catalog lists, nothing.

use super::{SERVING, Two, tenant_tables, two};
use license_core::records::DatabaseRole;
use license_tests::world::License;
use sqlx::{AssertSqlSafe, Executor, PgConnection};

/// Tables the reaper reads past its tenant, by explicit policy: it looks at every tenant's seats and events.
const REAPER_READS: [&str; 4] = ["pools", "seats", "outbox", "licenses"];
/// The tables of which notify sees what waits past its tenant: who is due, and not what or to where.
const NOTIFY_READS: [&str; 3] = ["webhook_deliveries", "mails", "alert_rules"];

/// Insufficient privilege, and "new row violates row-level security policy".
const DENIED: &str = "42501";
const NOT_NULL: &str = "23502";

fn reads_past_its_tenant(role: DatabaseRole, table: &str) -> bool {
    match role {
        DatabaseRole::Reaper => REAPER_READS.contains(&table),
        DatabaseRole::Notify => NOTIFY_READS.contains(&table),
        DatabaseRole::Service | DatabaseRole::Admin => false,
    }
}

/// Gives both tenants a row in every table that registration leaves empty, and marks both with a seat.
async fn furnish(two: &Two) {
    let mut truth = two.truth().await;
    for license in [&two.a, &two.b] {
        sqlx::query("update seats set holder = 'h', held_since = now() where tenant_id = $1 and seat_no = 0")
            .bind(license.tenant.0)
            .execute(&mut truth)
            .await
            .unwrap();
        sqlx::query(
            "insert into sessions (tenant_id, session_id, license_id, pool_id, seat_no, holder, attempt, hw)
             values ($1, gen_random_uuid(), $2, $3, 0, 'h', gen_random_uuid(), 'hw')",
        )
        .bind(license.tenant.0)
        .bind(license.id.0)
        .bind(license.pool_id.0)
        .execute(&mut truth)
        .await
        .unwrap();
        // What registration left empty of what people manage.
        for sql in [
            "insert into invitations (tenant_id, invitation_id, email, address, role, secret_hash, invited_by, expires_at)
             values ($1, gen_random_uuid(), 'c@example.com', 'c@example.com', 'member', 'h', 'x', now())",
            "insert into projects (tenant_id, project_id, name, key) values ($1, gen_random_uuid(), 'p', 'p')",
            "insert into api_tokens (tenant_id, token_id, name, secret_hash, scopes, created_by) values ($1, gen_random_uuid(), 't', 'h', '{}', 'x')",
            "insert into idempotency_keys (tenant_id, principal, key_hash, request_hash) values ($1, 'p', 'k', 'r')",
            "insert into graces (tenant_id, pool_id, holder, until) values ($1, gen_random_uuid(), 'h', now())",
            "insert into usage_minutes values ($1, gen_random_uuid(), now(), 1, 1, 1, 0, 0, true)",
            "insert into usage_hours values ($1, gen_random_uuid(), now(), 1, 1, 1, 1, 1, 1, 0, 0)",
            "insert into denials values ($1, gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'default', 'n', 'p', now(), 'hw', 'l', null, now(), 1)",
            "insert into usage_days values ($1, gen_random_uuid(), now(), 1, 1, 1, 1, 1, 1, 0, 0)",
            "insert into webhooks (tenant_id, webhook_id, url, secret, created_by) values ($1, gen_random_uuid(), 'https://a.example/', 's', 'x')",
            "insert into webhook_deliveries (tenant_id, webhook_id, event_id, at, kind, state, next_at)
             values ($1, gen_random_uuid(), gen_random_uuid(), now(), 'usage', 'waiting', now())",
            "insert into alerts (tenant_id, rule_id, kind, subject, since)
             select $1, r.rule_id, r.kind, gen_random_uuid(), now() from alert_rules r where r.tenant_id = $1 limit 1",
            "insert into mails (tenant_id, mail_id, at, kind, user_id, key, data, state, next_at)
             values ($1, gen_random_uuid(), now(), 'alert', gen_random_uuid(), 'k', '{}', 'waiting', now())",
            "insert into mail_refusals (tenant_id, user_id, kind, refused)
             select $1, u.user_id, 'alert', true from users u where u.tenant_id = $1 limit 1",
        ] {
            sqlx::query(sql).bind(license.tenant.0).execute(&mut truth).await.unwrap();
        }
    }
}

async fn set_tenant(connection: &mut PgConnection, tenant: Option<&License>) {
    let value = tenant.map(|l| l.tenant.to_string()).unwrap_or_default();
    sqlx::query("select set_config('app.tenant_id', $1, false)").bind(value).execute(connection).await.unwrap();
}

/// Rows a statement touched, or `None` where it was refused for want of a right. Rolled back.
async fn touched(connection: &mut PgConnection, sql: String) -> Option<u64> {
    connection.execute("begin").await.unwrap();
    let done = connection.execute(AssertSqlSafe(sql.clone())).await;
    connection.execute("rollback").await.unwrap();
    match done {
        Ok(result) => Some(result.rows_affected()),
        Err(sqlx::Error::Database(e)) if e.code().as_deref() == Some(DENIED) => None,
        // A row was reached, and could not be like that.
        Err(sqlx::Error::Database(e)) if e.is_check_violation() || e.code().as_deref() == Some(NOT_NULL) => Some(1),
        Err(e) => panic!("{sql}: {e}"),
    }
}

/// What a role, with a tenant set or none, can see and do of `b`'s rows in a table. Empty is what we want.
async fn trespasses(
    role: DatabaseRole,
    connection: &mut PgConnection,
    table: &str,
    b: &License,
    row_of_b: &str,
) -> Vec<String> {
    let (whose, mut found) = (format!("tenant_id = '{}'", b.tenant), Vec::new());
    let mut say = |what: &str, rows: Option<u64>| {
        if rows.unwrap_or(0) > 0 {
            found.push(format!("{what} {table}"));
        }
    };
    if !reads_past_its_tenant(role, table) {
        say("selects", touched(connection, format!("select from {table} where {whose}")).await);
    }
    let columns: Vec<String> = sqlx::query_scalar(
        "select attname::text from pg_attribute where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = ''",
    )
    .bind(table)
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    for column in &columns {
        say("updates", touched(connection, format!("update {table} set {column} = {column} where {whose}")).await);
        say("updates", touched(connection, format!("update {table} set {column} = default where {whose}")).await);
    }
    say("moves its rows into", touched(connection, format!("update {table} set {whose}")).await);
    let columns = columns.join(", ");
    let row = format!("jsonb_populate_record(null::{table}, '{}')", row_of_b.replace('\'', "''"));
    say(
        "inserts into",
        touched(connection, format!("insert into {table} ({columns}) select {columns} from {row}")).await,
    );
    say("deletes from", touched(connection, format!("delete from {table} where {whose}")).await);
    say("truncates", touched(connection, format!("truncate {table} cascade")).await.map(|_| 1));
    found
}

async fn row_of(truth: &mut PgConnection, table: &str, license: &License) -> String {
    let sql = format!("select to_jsonb(t)::text from {table} t where tenant_id = $1 limit 1");
    let row = sqlx::query_scalar(AssertSqlSafe(sql)).bind(license.tenant.0).fetch_optional(truth).await.unwrap();
    row.unwrap_or_else(|| panic!("{table} is empty: nothing could be seen there"))
}

#[tokio::test]
async fn no_role_sees_or_changes_another_tenants_rows_in_any_table_the_catalog_lists() {
    let two = two().await;
    furnish(&two).await;
    let mut truth = two.truth().await;
    let tables = tenant_tables(&mut truth).await;
    let before = two.rows_of(&two.b).await;
    for role in SERVING {
        let mut connection = two.as_role(role).await;
        for tenant in [Some(&two.a), None] {
            set_tenant(&mut connection, tenant).await;
            for table in &tables {
                let row = row_of(&mut truth, table, &two.b).await;
                let found = trespasses(role, &mut connection, table, &two.b, &row).await;
                assert_eq!(found, Vec::<String>::new(), "{role:?}, tenant set: {}", tenant.is_some());
            }
        }
    }
    assert_eq!(two.rows_of(&two.b).await, before);
}

#[tokio::test]
async fn without_a_tenant_there_are_no_rows_and_with_one_only_its_own() {
    let two = two().await;
    furnish(&two).await;
    let mut truth = two.truth().await;
    let own = two.rows_of(&two.a).await;
    for role in SERVING {
        let mut connection = two.as_role(role).await;
        for table in tenant_tables(&mut truth).await {
            let readable: bool = sqlx::query_scalar("select has_table_privilege($1::regclass, 'SELECT')")
                .bind(&table)
                .fetch_one(&mut connection)
                .await
                .unwrap();
            if !readable || reads_past_its_tenant(role, &table) {
                continue;
            }
            let all = format!("select from {table}");
            set_tenant(&mut connection, None).await;
            assert_eq!(touched(&mut connection, all.clone()).await, Some(0), "{role:?} {table}");
            set_tenant(&mut connection, Some(&two.a)).await;
            let of_a = own.iter().find(|(name, _)| *name == table).unwrap().1.len() as u64;
            assert_eq!(touched(&mut connection, all).await, Some(of_a), "{role:?} {table}");
        }
    }
}

#[tokio::test]
async fn the_look_for_trespasses_finds_them_where_row_level_security_is_off() {
    let two = two().await;
    furnish(&two).await;
    let mut truth = two.truth().await;
    truth
        .execute("alter table seats disable row level security; alter table users disable row level security")
        .await
        .unwrap();
    let mut admin = two.as_role(DatabaseRole::Admin).await;
    set_tenant(&mut admin, Some(&two.a)).await;
    let row = row_of(&mut truth, "seats", &two.b).await;
    let found = trespasses(DatabaseRole::Admin, &mut admin, "seats", &two.b, &row).await;
    assert_eq!(found, ["selects seats"]);
    let row = row_of(&mut truth, "users", &two.b).await.replace("\"user_id\"", "\"was\"").replacen(
        '{',
        "{\"user_id\": \"00000000-0000-0000-0000-000000000001\", ",
        1,
    );
    let found = trespasses(DatabaseRole::Admin, &mut admin, "users", &two.b, &row).await;
    for what in ["selects users", "updates users", "inserts into users"] {
        assert!(found.iter().any(|it| it == what), "{what}: {found:?}");
    }
}
