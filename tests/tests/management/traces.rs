//! What a person leaves behind in an organization, and where any of it is found: in tables, a dump, answers.

use crate::{
    desk::{Answer, Desk},
    seat::Seat,
};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use std::path::PathBuf;

pub(crate) const ADDRESS: &str = "Grace.Hopper@navy.example";
pub(crate) const NAME: &str = "Grace Brewster Hopper";
/// Everything that is hers: addresses, name, labels, and from where she asked.
pub(crate) const HERS: [&str; 7] =
    [ADDRESS, "amazing-grace@navy.example", NAME, "hopper-desk", "hopper-lap", "hopper-aside", "198.51.100.77"];

impl Desk {
    /// Grace as she signs in, with this address.
    pub(crate) fn grace(&self, address: &str) -> String {
        self.claims("customers", "sub-77", |claims| {
            claims["email"] = json!(address);
            claims["name"] = json!(NAME);
        })
    }

    pub(crate) async fn erase(&self, body: &Value) -> Answer {
        self.post(&self.at("/erasures"), body).by(&self.staff("vendor")).send().await
    }

    /// Erases all of it, however many requests it takes, and answers how many rows of each kind that were.
    pub(crate) async fn erase_all(&self, mut body: Value) -> Value {
        loop {
            let done = self.erase(&body).await.ok(200);
            if done["next_cursor"].is_null() {
                return done["erased"].clone();
            }
            body["cursor"] = done["next_cursor"].clone();
        }
    }

    /// Everything that the lists and answers of an organization say.
    pub(crate) async fn answers(&self, organization: &str) -> Vec<(String, Value)> {
        let mut all = Vec::new();
        for list in [
            "",
            "/people",
            "/sessions",
            "/sessions?state=ended",
            "/denials",
            "/invitations",
            "/api-tokens",
            "/projects",
            "/webhooks",
            "/alert-rules",
            "/alerts",
            "/licenses",
            "/audit-log",
        ] {
            let mark = if list.contains('?') { '&' } else { '?' };
            let limit = if list.is_empty() { String::new() } else { format!("{mark}limit=100") };
            let path = format!("/api/v1/organizations/{organization}{list}{limit}");
            all.push((list.to_owned(), self.get(&path).by(&self.person("owner")).send().await.ok(200)));
        }
        let license = &self.world.license;
        let body = json!({ "license_key": license.key.reveal() });
        let holders = self.post("/api/v1/licenses/validate", &body).send().await.ok(200);
        all.push(("validate".into(), holders));
        all
    }
}

/// Every table of every schema, with how many rows it has and in how many of them a text is found.
async fn tables(truth: &mut PgConnection, text: &str) -> Vec<(String, i64, i64)> {
    let sql = "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
               where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by 1";
    let names: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut *truth).await.unwrap();
    assert!(names.len() > 40, "{names:?}");
    let mut all = Vec::new();
    for name in names {
        let sql =
            format!("select count(*), count(*) filter (where strpos(lower(t::text), lower($1)) > 0) from {name} t");
        let (rows, found): (i64, i64) =
            sqlx::query_as(AssertSqlSafe(sql)).bind(text).fetch_one(&mut *truth).await.unwrap();
        all.push((name, rows, found));
    }
    all
}

pub(crate) async fn found(truth: &mut PgConnection, text: &str) -> Vec<String> {
    tables(truth, text).await.into_iter().filter(|(_, _, found)| *found > 0).map(|(name, ..)| name).collect()
}

/// How many rows each table has, but for the entry and the idempotency key that an erasure brings.
pub(crate) async fn counts(truth: &mut PgConnection) -> Vec<(String, i64)> {
    let own = "select count(*) from audit_log where action in ('person.erased', 'machine.erased', 'staff.read')";
    let own: i64 = sqlx::query_scalar(own).fetch_one(&mut *truth).await.unwrap();
    let all = tables(truth, "-").await.into_iter().map(|(name, rows, _)| match name.as_str() {
        "audit_log" => (name, rows - own),
        "idempotency_keys" => (name, 0),
        _ => (name, rows),
    });
    all.collect()
}

/// The newest `pg_dump` there is.
fn pg_dump() -> PathBuf {
    let below = |dir: &str, prefix: &str| -> Vec<PathBuf> {
        let dirs = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        dirs.filter(|dir| dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))).collect()
    };
    let mut dirs =
        [below("/usr/lib/postgresql", ""), below("/usr", "pgsql-"), below("/opt/homebrew/opt", "postgresql@")].concat();
    dirs.sort_by_key(|dir| {
        let digits: String = dir.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
        digits.parse::<u32>().unwrap_or(0)
    });
    let found = dirs.iter().rev().map(|dir| dir.join("bin/pg_dump")).find(|path| path.is_file());
    found.unwrap_or_else(|| "pg_dump".into())
}

pub(crate) fn dump(desk: &Desk) -> String {
    let database = &desk.world.database;
    let host =
        database.get_socket().map_or_else(|| database.get_host().to_owned(), |dir| dir.to_string_lossy().into_owned());
    let output = std::process::Command::new(pg_dump())
        .args(["-h", &host, "-p", &database.get_port().to_string(), "-U", database.get_username()])
        .args(["-d", database.get_database().unwrap()])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().to_lowercase()
}

/// Grace joins, works, is seated, invites, makes things, comes with another address, and is removed. Answers her id and
/// a live seat of hers.
pub(crate) async fn traces(desk: &Desk) -> (String, Seat) {
    let owner = desk.person("owner");
    let invited = json!({ "email": ADDRESS, "role": "admin" });
    let invite = |key: &'static str| {
        desk.post(&desk.at("/invitations"), &invited).by(&owner).header("idempotency-key", key).send()
    };
    invite("k1").await.ok(201);
    let secret = invite("k2").await.ok(201)["secret"].clone();
    let grace = desk.grace(ADDRESS);
    let joined = desk.register(&grace, &json!({ "invitation": secret })).header("x-forwarded-for", "198.51.100.77");
    let user = joined.send().await.ok(201)["user"]["id"].as_str().unwrap().to_owned();

    let by_grace = async |path: &str, body: Value| {
        let call = desk.post(&desk.at(path), &body).by(&desk.grace("Amazing-Grace@navy.example"));
        call.header("x-forwarded-for", "198.51.100.77").send().await.ok(201)
    };
    by_grace("/projects", json!({ "name": format!("sandbox of {ADDRESS}") })).await;
    by_grace("/api-tokens", json!({ "name": format!("{ADDRESS}'s script"), "scopes": ["people:read"] })).await;
    by_grace("/invitations", json!({ "email": "bob@example.com", "role": "viewer" })).await;

    let says = |host: &str| json!({ "user": ADDRESS, "hostname": host, "version": "1.2.3", "project": format!("sandbox of {ADDRESS}") });
    let (released, kicked, other) = (
        desk.sit("a", says("hopper-desk")).await,
        desk.sit("b", says("hopper-lap")).await,
        desk.sit("c", json!({})).await,
    );
    desk.release(&released).await;
    desk.end(&grace, &kicked.id, &json!({ "force": true })).await.ok(200);
    desk.end(&grace, &other.id, &json!({ "force": true })).await.ok(200);
    let mut truth = desk.world.truth().await;
    // A mail that waits to be sent to somebody names her.
    let mail = "insert into mails (tenant_id, mail_id, at, kind, user_id, key, data, state, next_at)
        select tenant_id, gen_random_uuid(), now(), 'alert', gen_random_uuid(), 'k',
          jsonb_build_object('title', 'refused to ' || $2), 'waiting', now() from organizations where tenant_id = $1";
    sqlx::query(mail).bind(desk.world.license.tenant.0).bind(ADDRESS).execute(&mut truth).await.unwrap();
    // She waited for a seat twice.
    let wanted = "select record_wants(tenant_id, pool_id, 0, jsonb_build_array(
          jsonb_build_object('began', true, 'holder', 'a', 'first_ask', unix_ms(now()), 'machine', 'hw', 'person', lower($1),
            'label', 'hopper-desk'),
          jsonb_build_object('began', true, 'holder', 'b', 'first_ask', unix_ms(now()), 'machine', 'hw', 'person', lower($1),
            'label', 'hopper-lap')))
        from pools where pool_id = $2";
    sqlx::query(wanted).bind(ADDRESS).bind(desk.world.license.pool_id.0).execute(&mut truth).await.unwrap();
    // Events are sent to a webhook that is named after her, whose receiver says what it was sent.
    let sent = "insert into webhooks (tenant_id, webhook_id, url, description, secret, created_by)
        select tenant_id, gen_random_uuid(), 'https://hooks.example/?to=' || replace($1, '@', '%40'), 'for ' || $1, 'sealed', lower($1)
        from pools where pool_id = $2";
    sqlx::query(sent).bind(ADDRESS).bind(desk.world.license.pool_id.0).execute(&mut truth).await.unwrap();
    let ruled = "insert into alert_rules (tenant_id, rule_id, kind, days, description, created_by)
        select tenant_id, gen_random_uuid(), 'license_ends', 7, 'for ' || $1, lower($1) from pools where pool_id = $2";
    sqlx::query(ruled).bind(ADDRESS).bind(desk.world.license.pool_id.0).execute(&mut truth).await.unwrap();
    let said =
        "insert into webhook_deliveries (tenant_id, webhook_id, event_id, at, kind, state, finished_at, attempts)
        select o.tenant_id, w.webhook_id, o.id, o.created_at, o.kind, 'failed', now(), jsonb_build_array(
          jsonb_build_object('outcome', 'refused', 'status', 500, 'answer', o.payload::text),
          jsonb_build_object('outcome', 'refused', 'status', 500, 'answer', 'no mailbox for ' || $1),
          jsonb_build_object('outcome', 'timeout', 'status', null, 'answer', null))
        from outbox o join webhooks w using (tenant_id) where o.kind = 'seat.granted'";
    sqlx::query(said).bind(ADDRESS).execute(&mut truth).await.unwrap();
    // The vendor's shop wrote her down beside what she bought.
    for table in ["licenses", "organizations"] {
        let sql = format!(
            "update {table} set external_id = $1, metadata = jsonb_build_object('contact', $1, 'who', $2, 'order', '7') where tenant_id = $3"
        );
        let query = sqlx::query(AssertSqlSafe(sql)).bind(ADDRESS).bind(NAME).bind(desk.tenant().0);
        query.execute(&mut truth).await.unwrap();
    }
    // Her team called a license after her, and noted whom to ask.
    let called = "update licenses set name = $1, name_key = lower($1), note = 'ask ' || $2 where tenant_id = $3";
    let query = sqlx::query(called).bind(NAME).bind(ADDRESS).bind(desk.tenant().0);
    query.execute(&mut truth).await.unwrap();
    // Half of what happened was published, and some of it lies in tables that are on their way.
    let published = "update outbox set published_at = now()
        where kind in ('invitation.created', 'seat.freed') or payload->>'label' = 'hopper-desk'";
    truth.execute(published).await.unwrap();
    let elsewhere = "create table history.sessions_slept_1 (like history.sessions including all);
        insert into history.sessions_slept_1 select * from sessions where label = 'hopper-desk';
        update history.sessions_slept_1 set session_id = gen_random_uuid(), label = 'hopper-aside';
        create table history.events_kept_2026_01 (like history.events including all);
        insert into history.events_kept_2026_01 select * from outbox where published_at is not null;
        create table history.deliveries_slept_1 (like history.deliveries_rest including all);
        with gone as (delete from webhook_deliveries where attempts::text like '%hopper-lap%' returning *)
        insert into history.deliveries_slept_1 select * from gone;
        alter table history.deliveries_slept_1 owner to owner;
        create table history.denials_slept_1 (like history.denials_rest including all);
        with gone as (delete from denials where label = 'hopper-lap' returning *)
        insert into history.denials_slept_1 select * from gone;
        alter table history.denials_slept_1 owner to owner;
        create table history.sessions_over_2026_01 (like history.sessions including all);
        insert into history.sessions_over_2026_01 select * from sessions where label = 'hopper-lap' and ended_at is not null;
        alter table history.sessions_slept_1 owner to owner;
        alter table history.events_kept_2026_01 owner to owner;
        alter table history.sessions_over_2026_01 owner to owner";
    truth.execute(elsewhere).await.unwrap();
    let live = desk.sit("a", says("hopper-desk")).await;
    desk.delete(&desk.at(&format!("/people/{user}"))).by(&owner).send().await.ok(204);
    (user, live)
}
