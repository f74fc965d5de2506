//! What a page costs, the first and the thousandth, of an organization with 10,000 licenses and 1,000,000 ended sessions (tests/lists.sql).

use crate::{Part, function::Function, http::Connection, stage::Stage};
use license_core::{
    domain::{
        id::TenantId,
        opaque::{Kind, Opaque},
    },
    records::Cursor,
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor};
use std::{fmt::Write, time::Instant};
use uuid::Uuid;

const TIMES: usize = 200;
const ROWS: usize = 20;

/// Path and query of each list, and the rows it has.
const LISTS: [(&str, &str, &str); 13] = [
    ("sessions", "state=live", "session_id from sessions where ended_at is null"),
    ("sessions", "state=ended", "session_id from sessions where ended_at is not null"),
    (
        "sessions",
        "state=ended&license=01970000-aaaa-7000-8000-00000000004d",
        "session_id from sessions where ended_at is not null and license_id = '01970000-aaaa-7000-8000-00000000004d'",
    ),
    (
        "licenses/01970000-aaaa-7000-8000-00000000004d/sessions",
        "state=ended",
        "session_id from sessions where ended_at is not null and license_id = '01970000-aaaa-7000-8000-00000000004d'",
    ),
    (
        "sessions",
        "state=ended&project=01970000-cccc-7000-8000-00000000004d",
        "session_id from sessions where ended_at is not null and project_id = '01970000-cccc-7000-8000-00000000004d'",
    ),
    (
        "sessions",
        "state=ended&machine=TTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTQ",
        "session_id from sessions where ended_at is not null and hw = repeat('T', 42) || 'Q'",
    ),
    (
        "sessions",
        "state=ended&user=bob@example.com",
        "session_id from sessions where ended_at is not null and person = 'bob@example.com'",
    ),
    ("sessions", "state=ended&reason=released", "session_id from sessions where end_reason = 'released'"),
    ("sessions", "state=ended&reason=kicked", "session_id from sessions where end_reason = 'kicked'"),
    ("people", "", "user_id from users where removed_at is null"),
    ("projects", "", "project_id from projects where true"),
    ("projects", "archived=true", "project_id from projects where archived_at is not null"),
    ("projects", "archived=false", "project_id from projects where archived_at is null"),
];

/// Pages of every list, asked for one after the other by one script with an API token.
pub(crate) async fn measure(stage: &mut Stage) -> Part {
    let tenant = stage.pool(5).await.tenant;
    stage.sql.execute(AssertSqlSafe(format!("select set_config('app.tenant_id', '{tenant}', false)"))).await.unwrap();
    stage.sql.execute("truncate sessions").await.unwrap();
    stage.sql.execute(include_str!("../../lists.sql")).await.unwrap();
    stage.sql.execute("reset session_replication_role").await.unwrap();
    stage.sql.execute("vacuum analyze").await.unwrap();
    let token = token(stage, tenant).await;
    let admin = Function::start(stage, "admin", &[]).await;
    let mut connection = Connection::open(admin.address).await.unwrap();
    let mut text = String::from("| list, 20 rows | page | median, ms | 99 %, ms |\n|---|---|---|---|\n");
    let mut all = Vec::new();
    for (path, query, rows) in LISTS {
        let key = rows.split(' ').next().unwrap_or_default();
        let offset = format!(
            "select {rows} order by {key} desc offset (select least(999 * {ROWS}, count(*) - {ROWS}) - 1 from (select {rows}) n) limit 1"
        );
        let id: Uuid = sqlx::query_scalar(AssertSqlSafe(offset)).fetch_one(&mut stage.sql).await.unwrap();
        for (page, cursor) in [("first", String::new()), ("thousandth", Cursor(id).to_string())] {
            let request = format!(
                "GET /api/v1/organizations/{tenant}/{path}?{query}&cursor={cursor} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\n\r\n"
            );
            let mut times = Vec::with_capacity(TIMES);
            for _ in 0..TIMES {
                let began = Instant::now();
                let answer = connection.ask(request.as_bytes()).await.unwrap();
                times.push(began.elapsed().as_secs_f64() * 1e3);
                assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(answer.body));
            }
            times.sort_by(f64::total_cmp);
            let (median, most) = (times[TIMES / 2], times[TIMES * 99 / 100]);
            let _ = writeln!(text, "| `{path}?{query}` | {page} | {median:.2} | {most:.2} |");
            all.push(json!({ "list": path, "query": query, "page": page, "median_ms": median, "p99_ms": most }));
        }
    }
    stage.sql.execute("truncate sessions").await.unwrap();
    stage.sql.execute("alter table sessions set logged").await.unwrap();
    Part { text, json: Value::Array(all) }
}

/// An API token that reads everything.
async fn token(stage: &mut Stage, tenant: TenantId) -> String {
    let token = Opaque::draw(Kind::ApiToken, tenant);
    let sql = "insert into api_tokens (tenant_id, token_id, name, secret_hash, scopes, created_by)
               values ($1, $2, 'bench', $3, array['sessions:read', 'people:read', 'projects:read'], 'bench')";
    let query = sqlx::query(sql).bind(tenant.0).bind(token.id).bind(token.hash());
    query.execute(&mut stage.sql).await.unwrap();
    token.reveal()
}
