//! Which columns can name a person or a machine, and what an erasure makes of each. A column that is new fails here until
//! somebody says so.

use super::two;

/// What becomes of a column when a person is erased.
#[derive(Debug)]
enum Erasure {
    /// The function of the migrations that blanks it.
    By(&'static str),
    /// Nobody can be named in it, or it stays for a reason: the reason.
    Stays(&'static str),
}
use Erasure::{By, Stays};

const WORD: &str = "one of a list of words";
const DRAWN: &str = "drawn, hashed or sealed";
const VENDOR: &str = "what the vendor sells, in the vendor's words";
const MACHINE: &str = "the id by which machines are told apart and counted; it reveals nothing without the hardware id";

/// Every column into which a text can be written. `*`: every column of the table. Parts of tables are as the whole.
#[rustfmt::skip] // one line a column
const COLUMNS: &[(&str, Erasure)] = &[
    ("catalog.plans.*", Stays(VENDOR)),
    ("catalog.products.*", Stays(VENDOR)),
    ("catalog.retention.*", Stays(WORD)),
    ("catalog.staff_api_tokens.*", Stays("of the vendor's staff, who are nobody of an organization")),
    ("catalog.staff_head.*", Stays(DRAWN)),
    ("catalog.staff_log.*", Stays("of the vendor's staff, who are nobody of an organization")),
    ("directory.identities.*", Stays("ids of an identity provider, which may belong to other organizations too")),
    ("directory.identity_tenants.*", Stays("ids of an identity provider, which may belong to other organizations too")),
    ("directory.license_numbers.number", Stays(DRAWN)),
    ("directory.licenses.external_id", By("erase_things")),
    ("directory.licenses.name_key", By("erase_things")),
    ("directory.licenses.plan", Stays(VENDOR)),
    ("directory.licenses.product", Stays(VENDOR)),
    ("directory.licenses.status", Stays(WORD)),
    ("directory.metadata.key", Stays("of characters that spell no address")),
    ("directory.metadata.kind", Stays(WORD)),
    ("directory.metadata.value", Stays("a copy, which follows what erase_things makes of the metadata by a trigger")),
    ("directory.organizations.external_id", By("erase_things")),
    ("directory.organizations.name_key", By("erase_things")),
    ("directory.retention.*", Stays(WORD)),
    ("directory.trials.kind", Stays(WORD)),
    ("directory.trials.product", Stays(VENDOR)),
    ("directory.trials.subject", Stays("a hash under the pepper")),
    ("public.alert_rules.created_by", By("erase_things")),
    ("public.alert_rules.description", By("erase_things")),
    ("public.alert_rules.kind", Stays(WORD)),
    ("public.alert_rules.mail_roles", Stays(WORD)),
    ("public.alerts.end_reason", Stays(WORD)),
    ("public.alerts.kind", Stays(WORD)),
    ("public.alerts.number", Stays(DRAWN)),
    ("public.alerts.pool", Stays(VENDOR)),
    ("public.alerts.product", Stays(VENDOR)),
    ("public.alerts.state", Stays(WORD)),
    ("public.api_tokens.created_by", By("erase_things")),
    ("public.api_tokens.name", By("erase_things")),
    ("public.api_tokens.scopes", Stays(WORD)),
    ("public.api_tokens.secret_hash", Stays(DRAWN)),
    ("public.audit_heads.*", Stays(DRAWN)),
    ("public.audit_log.action", Stays(WORD)),
    ("public.audit_log.actor", Stays("an id")),
    ("public.audit_log.actor_kind", Stays(WORD)),
    ("public.audit_log.actor_name", By("audit_blank")),
    ("public.audit_log.after", By("audit_blank")),
    ("public.audit_log.before", By("audit_blank")),
    ("public.audit_log.details_hash", Stays("reveals nothing without the salt, which is erased")),
    ("public.audit_log.erased_hash", Stays(DRAWN)),
    ("public.audit_log.erased_seal", Stays(DRAWN)),
    ("public.audit_log.from_address", By("audit_blank")),
    ("public.audit_log.hash", Stays(DRAWN)),
    ("public.audit_log.request_id", By("audit_blank")),
    ("public.audit_log.salt", By("audit_blank")),
    ("public.audit_log.seal", Stays(DRAWN)),
    ("public.audit_log.target", Stays("an id")),
    ("public.denials.hw", Stays(MACHINE)),
    ("public.denials.label", By("erase_denials")),
    ("public.denials.number", Stays(DRAWN)),
    ("public.denials.person", By("erase_denials")),
    ("public.denials.pool", Stays(VENDOR)),
    ("public.denials.product", Stays(VENDOR)),
    ("public.graces.holder", Stays(MACHINE)),
    ("public.idempotency_keys.key_hash", Stays(DRAWN)),
    ("public.idempotency_keys.outcome", By("erase_people")),
    ("public.idempotency_keys.principal", Stays("an id")),
    ("public.idempotency_keys.request_hash", Stays(DRAWN)),
    ("public.invitations.address", By("erase_things")),
    ("public.invitations.email", By("erase_things")),
    ("public.invitations.invited_by", By("erase_things")),
    ("public.invitations.role", Stays(WORD)),
    ("public.invitations.secret_hash", Stays(DRAWN)),
    ("public.license_keys.key_hmac", Stays(DRAWN)),
    ("public.licenses.external_id", By("erase_things")),
    ("public.licenses.metadata", By("erase_things")),
    ("public.licenses.name", By("erase_things")),
    ("public.licenses.name_key", By("erase_things")),
    ("public.licenses.note", By("erase_things")),
    ("public.licenses.*", Stays(VENDOR)),
    ("public.mail_refusals.kind", Stays(WORD)),
    ("public.mails.data", By("erase_mails")),
    ("public.mails.key", Stays("words and ids, drawn by the functions that write mails")),
    ("public.mails.kind", Stays(WORD)),
    ("public.mails.outcome", Stays(WORD)),
    ("public.mails.sealed", By("erase_mails")),
    ("public.mails.state", Stays(WORD)),
    ("public.organizations.external_id", By("erase_things")),
    ("public.organizations.metadata", By("erase_things")),
    ("public.organizations.name", By("erase_things")),
    ("public.organizations.name_key", By("erase_things")),
    ("public.organizations.step_up_acr_values", Stays("words of an identity provider")),
    ("public.outbox.kind", Stays(WORD)),
    ("public.outbox.payload", By("erase_events")),
    ("public.pools.*", Stays(VENDOR)),
    ("public.projects.key", By("erase_things")),
    ("public.projects.name", By("erase_things")),
    ("public.seats.holder", Stays(MACHINE)),
    ("public.seats.kind", Stays(WORD)),
    ("public.sessions.client", By("blank_sessions")),
    ("public.sessions.end_reason", Stays(WORD)),
    ("public.sessions.holder", Stays(MACHINE)),
    ("public.sessions.hw", Stays(MACHINE)),
    ("public.sessions.label", By("blank_sessions")),
    ("public.sessions.number", Stays(DRAWN)),
    ("public.sessions.person", By("blank_sessions")),
    ("public.sessions.pool", Stays(VENDOR)),
    ("public.sessions.product", Stays(VENDOR)),
    ("public.users.address", By("erase_people")),
    ("public.users.email", By("erase_people")),
    ("public.users.name", By("erase_people")),
    ("public.users.role", Stays(WORD)),
    ("public.webhook_deliveries.attempts", By("erase_deliveries")),
    ("public.webhook_deliveries.kind", Stays(WORD)),
    ("public.webhook_deliveries.state", Stays(WORD)),
    ("public.webhooks.created_by", By("erase_things")),
    ("public.webhooks.description", By("erase_things")),
    ("public.webhooks.kinds", Stays(WORD)),
    ("public.webhooks.previous_secret", Stays(DRAWN)),
    ("public.webhooks.secret", Stays(DRAWN)),
    ("public.webhooks.url", By("erase_things")),
];

const TEXTS: &str = "select n.nspname || '.' || c.relname || '.' || a.attname
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    join pg_type t on t.oid = a.atttypid
    where n.nspname in ('public', 'directory', 'catalog', 'history') and c.relkind in ('r', 'p') and not c.relispartition
      and c.relname <> '_sqlx_migrations' and a.attnum > 0 and not a.attisdropped
      and (t.typcategory = 'S' or t.typname in ('json', 'jsonb', 'bytea', 'inet', '_text'))
    order by 1";

fn says(column: &str) -> Option<&'static Erasure> {
    let table = column.rsplit_once('.').map(|(table, _)| format!("{table}.*"));
    COLUMNS.iter().find(|(named, _)| *named == column || Some(*named) == table.as_deref()).map(|(_, erasure)| erasure)
}

#[tokio::test]
async fn every_column_that_can_name_somebody_says_what_an_erasure_makes_of_it() {
    let two = two().await;
    let mut truth = two.truth().await;
    let found: Vec<String> = sqlx::query_scalar(TEXTS).fetch_all(&mut truth).await.unwrap();
    let silent: Vec<&String> = found.iter().filter(|column| says(column).is_none()).collect();
    assert!(silent.is_empty(), "docs/ADDING.md, \"A table\", step 5: what does an erasure make of {silent:?}?");
    for (named, erasure) in COLUMNS {
        let stem = named.strip_suffix('*').unwrap_or(named);
        assert!(found.iter().any(|column| column.starts_with(stem)), "there is no column {named}");
        match erasure {
            Stays(reason) => assert!(!reason.is_empty(), "{named}"),
            By(function) => {
                let sql = "select prosrc from pg_proc where pronamespace = 'history'::regnamespace and proname = $1";
                let code: String = sqlx::query_scalar(sql).bind(function).fetch_one(&mut truth).await.unwrap();
                let column = named.rsplit('.').next().unwrap();
                assert!(code.contains(&format!("{column} = ")), "{function} does not set {named}");
            }
        }
    }
}

#[tokio::test]
async fn a_new_column_of_text_that_nobody_speaks_of_is_found() {
    let two = two().await;
    let mut truth = two.truth().await;
    for change in ["alter table graces add remark text", "create table remarks (tenant_id uuid, what jsonb)"] {
        sqlx::query(sqlx::AssertSqlSafe(change)).execute(&mut truth).await.unwrap();
        let found: Vec<String> = sqlx::query_scalar(TEXTS).fetch_all(&mut truth).await.unwrap();
        assert!(found.iter().any(|column| says(column).is_none()), "{change}");
        sqlx::query("alter table graces drop column if exists remark").execute(&mut truth).await.unwrap();
    }
}
