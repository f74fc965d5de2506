//! Every list of one organization with each of its filters, over the data of lists.sql: for the test of what a page reads and for the
//! benchmark of how long it takes, which shares no crate with the tests.

use license_core::{Clock, records::PageCursor};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use time::{Duration, Time, format_description::well_known::Rfc3339};
use uuid::Uuid;

/// One organization (`app.tenant_id`) with 10,000 licenses and 1,000,000 sessions that ended within 400 days.
pub(crate) const DATA: &str = include_str!("lists.sql");
/// Rows of a page, unless one says otherwise.
pub(crate) const ROWS: usize = 20;

/// Each of these has one in 25 of all sessions (tests/lists.sql).
const MACHINE: &str = "TTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTTQ";
const PERSON: &str = "bob@example.com";

/// The n-th row of a kind, as lists.sql numbers it.
fn id(kind: &str, n: u32) -> String {
    format!("01970000-{kind}-7000-8000-{n:012x}")
}

/// A list: its path below the organization, its query, and the rows that it has, by which its thousandth page is found.
pub(crate) struct List {
    /// As the document writes it; `{license}` is one that has many sessions, `{webhook}` one with many deliveries.
    pub(crate) path: &'static str,
    pub(crate) query: String,
    key: &'static str,
    rows: String,
}

impl List {
    /// The path with the license and the webhook in their places.
    pub(crate) fn path(&self) -> String {
        self.path.replace("{license}", &id("aaaa", 77)).replace("{webhook}", &id("eeee", 0))
    }
}

/// Every list with each of its filters.
pub(crate) fn lists() -> Vec<List> {
    let mut all = Vec::new();
    let mut list = |path, query: String, key, rows: String| all.push(List { path, query, key, rows });
    let (license, project, key) = (id("aaaa", 77), id("cccc", 77), id("abcd", 77));
    for (state, is) in [("live", "ended_at is null"), ("ended", "ended_at is not null")] {
        let rows = |filter: &str| format!("sessions where {is} {filter}");
        list("/sessions", format!("state={state}"), "session_id", rows(""));
        for (filter, column, value) in [
            ("license", "license_id", license.as_str()),
            ("project", "project_id", &project),
            ("key", "key_id", &key),
            ("machine", "hw", MACHINE),
            ("user", "person", PERSON),
        ] {
            let query = format!("state={state}&{filter}={value}");
            list("/sessions", query, "session_id", rows(&format!("and {column} = '{value}'")));
        }
        let of_license = rows(&format!("and license_id = '{license}'"));
        list("/licenses/{license}/sessions", format!("state={state}"), "session_id", of_license);
        let at = (Clock::system().now() - Duration::days(100)).replace_time(Time::MIDNIGHT);
        let after = format!("state={state}&started_after={}", at.format(&Rfc3339).unwrap());
        let first = Uuid::from_u128((at.unix_timestamp() as u128 * 1000) << 80);
        list("/sessions", after, "session_id", rows(&format!("and session_id >= '{first}'")));
        let moment = if state == "live" { Clock::system().now() - Duration::hours(1) } else { at };
        let was_open = rows(&format!(
            "and began_at(session_id) <= '{0}' and coalesce(ended_at, 'infinity') > '{0}'",
            moment.format(&Rfc3339).unwrap()
        ));
        let open = format!("state={state}&open_at={}", moment.format(&Rfc3339).unwrap());
        list("/sessions", open, "session_id", was_open);
    }
    for reason in ["released", "expired", "kicked"] {
        let rows = format!("sessions where end_reason = '{reason}'");
        list("/sessions", format!("state=ended&reason={reason}"), "session_id", rows);
    }
    // In the order of their numbers: what stands for them in cursors goes down (core/src/records/seat_list.rs).
    let number = "('ffffffff-ffff-ffff-ffff-' || lpad(to_hex(281474976710654 - seat_no), 12, '0'))::uuid";
    for query in [String::new(), "pool=default".to_owned()] {
        let seats = format!("seats where pool_id = '{}' and not retired", id("dddd", 77));
        list("/licenses/{license}/seats", query, number, seats);
    }
    list("/denials", String::new(), "denial_id", "denials".into());
    for (filter, column, value) in
        [("license", "license_id", license.as_str()), ("machine", "hw", MACHINE), ("user", "person", PERSON)]
    {
        let query = format!("{filter}={value}");
        list("/denials", query, "denial_id", format!("denials where {column} = '{value}'"));
    }
    let at = (Clock::system().now() - Duration::days(40)).replace_time(Time::MIDNIGHT).format(&Rfc3339).unwrap();
    list("/denials", format!("from={at}"), "denial_id", format!("denials where at >= '{at}'"));
    list("/denials", format!("to={at}"), "denial_id", format!("denials where at < '{at}'"));
    list("/webhooks", String::new(), "webhook_id", "webhooks where deleted_at is null".into());
    let at = (Clock::system().now() - Duration::days(10)).replace_time(Time::MIDNIGHT).format(&Rfc3339).unwrap();
    let deliveries = format!("webhook_deliveries where webhook_id = '{}'", id("eeee", 0));
    list("/webhooks/{webhook}/deliveries", String::new(), "event_id", deliveries.clone());
    list(
        "/webhooks/{webhook}/deliveries",
        "state=failed".into(),
        "event_id",
        format!("{deliveries} and state = 'failed'"),
    );
    list("/webhooks/{webhook}/deliveries", format!("from={at}"), "event_id", format!("{deliveries} and at >= '{at}'"));
    list("/webhooks/{webhook}/deliveries", format!("to={at}"), "event_id", format!("{deliveries} and at < '{at}'"));
    list("/alert-rules", String::new(), "rule_id", "alert_rules where deleted_at is null".into());
    list("/alerts", String::new(), "alert_id", "alerts".into());
    for (filter, value, column) in [
        ("open", "true", "state = 'open'".to_owned()),
        ("kind", "wants_refused", "kind = 'wants_refused'".to_owned()),
        ("license", &license, format!("license_id = '{license}'")),
        ("from", &at, format!("raised_at >= '{at}'")),
        ("to", &at, format!("raised_at < '{at}'")),
    ] {
        list("/alerts", format!("{filter}={value}"), "alert_id", format!("alerts where {column}"));
    }
    list("/licenses", String::new(), "license_id", "licenses".into());
    for (filter, value) in [("status", "suspended"), ("tier", "pro"), ("product", "viewer")] {
        let rows = format!("licenses where {filter} = '{value}'");
        list("/licenses", format!("{filter}={value}"), "license_id", rows);
    }
    list("/licenses/{license}/keys", String::new(), "key_id", format!("license_keys where license_id = '{license}'"));
    list("/overview", String::new(), "license_id", "licenses".into());
    list("/invitations", String::new(), "invitation_id", "invitations".into());
    let settled = "accepted_at is null and revoked_at is null";
    for (state, is) in [
        ("open", format!("{settled} and expires_at > now()")),
        ("accepted", "accepted_at is not null".into()),
        ("revoked", "revoked_at is not null".into()),
        ("expired", format!("{settled} and expires_at <= now()")),
    ] {
        list("/invitations", format!("state={state}"), "invitation_id", format!("invitations where {is}"));
    }
    list("/api-tokens", String::new(), "token_id", "api_tokens".into());
    list("/audit-log", String::new(), "id", "audit_log".into());
    for (filter, value) in [("action", "license.suspended"), ("actor", "bob"), ("target", "a target")] {
        let rows = format!("audit_log where {filter} = '{value}'");
        list("/audit-log", format!("{filter}={}", value.replace(' ', "+")), "id", rows);
    }
    let from = "audit_log where at >= '2025-05-01T00:00:00Z'";
    list("/audit-log", "from=2025-05-01T00:00:00Z".into(), "id", from.into());
    list("/audit-log", "to=2025-05-01T00:00:00Z".into(), "id", from.replace(">=", "<"));
    list("/people", String::new(), "user_id", "users where removed_at is null".into());
    let one = "users where removed_at is null and address = '7@example.com'";
    list("/people", "email=7@Example.com".into(), "user_id", one.into());
    list("/projects", String::new(), "project_id", "projects".into());
    list("/projects", "archived=true".into(), "project_id", "projects where archived_at is not null".into());
    list("/projects", "archived=false".into(), "project_id", "projects where archived_at is null".into());
    all
}

/// Where the 999th page ended; of a shorter list, the last one but one; empty where there is one page alone.
pub(crate) async fn cursor(truth: &mut PgConnection, list: &List) -> String {
    let List { key, rows, .. } = list;
    let sql = format!(
        "with n as (select least(999 * {ROWS}, (select count(*) from {rows}) - {ROWS}) - 1 as n)
         select {key} as key from {rows} order by {key} desc offset (select greatest(n, 0) from n)
         limit (select (n >= 0)::int from n)"
    );
    let row = sqlx::query(AssertSqlSafe(sql)).fetch_optional(truth).await.unwrap();
    row.map_or_else(String::new, |row| PageCursor(row.get::<Uuid, _>("key")).to_string())
}
