//! What a page costs, the first and the thousandth, of an organization with 10,000 licenses and 1,000,000 ended sessions (tests/lists.sql).

use crate::{Part, function::Function, http::Connection, stage::Stage};
use license_core::domain::{
    id::TenantId,
    opaque::{OpaqueSecret, SecretKind},
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor};
use std::{fmt::Write, time::Instant};

#[path = "../../lists.rs"]
mod all;

use all::ROWS;

const TIMES: usize = 100;

/// Where API tokens do not reach: they could make themselves others.
const STAFF_ALONE: [&str; 2] = ["/invitations", "/api-tokens"];

/// Pages of every list, asked for one after the other by one script with an API token, and by the vendor where no token may.
pub(crate) async fn measure(stage: &mut Stage) -> Part {
    let tenant = stage.pool(5).await.tenant;
    stage.sql.execute(AssertSqlSafe(format!("select set_config('app.tenant_id', '{tenant}', false)"))).await.unwrap();
    stage.sql.execute("truncate sessions").await.unwrap();
    stage.sql.execute(all::DATA).await.unwrap();
    stage.sql.execute("reset session_replication_role").await.unwrap();
    stage.sql.execute("vacuum analyze").await.unwrap();
    let (token, staff) = (token(stage, tenant).await, stage.peers.staff_token());
    let admin = Function::start(stage, "admin", &[]).await;
    let mut connection = Connection::open(admin.address).await.unwrap();
    let mut text = format!("| list, {ROWS} rows | page | median, ms | 99 %, ms |\n|---|---|---|---|\n");
    let mut measured = Vec::new();
    for list in all::lists() {
        let (path, query) = (list.path(), &list.query);
        let bearer = if STAFF_ALONE.contains(&list.path) { &staff } else { &token };
        let thousandth = all::cursor(&mut stage.sql, &list).await;
        for (page, cursor) in [("first", String::new()), ("thousandth", thousandth)] {
            let request = format!(
                "GET /api/v1/organizations/{tenant}{path}?limit={ROWS}&{query}&cursor={cursor} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {bearer}\r\n\r\n"
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
            let _ = writeln!(text, "| `{}?{query}` | {page} | {median:.2} | {most:.2} |", list.path);
            measured
                .push(json!({ "list": list.path, "query": query, "page": page, "median_ms": median, "p99_ms": most }));
        }
    }
    stage.forget_months().await;
    Part { text, json: Value::Array(measured) }
}

/// An API token that reads everything.
async fn token(stage: &mut Stage, tenant: TenantId) -> String {
    let token = OpaqueSecret::draw(SecretKind::ApiToken, tenant);
    let sql = "insert into api_tokens (tenant_id, token_id, name, secret_hash, scopes, created_by)
               values ($1, $2, 'bench', $3, array['sessions:read', 'licenses:read', 'people:read', 'projects:read', 'audit:read', 'usage:read', 'webhooks:read'], 'bench')";
    let query = sqlx::query(sql).bind(tenant.0).bind(token.id).bind(token.hash());
    query.execute(&mut stage.sql).await.unwrap();
    token.reveal()
}
