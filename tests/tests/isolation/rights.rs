//! Every right of every role on every table and function, as the catalog has it. A new table or function fails here
//! until a line says who may use it.

use super::two;
use license_core::records::migrate;
use sqlx::{Connection, Executor, PgConnection};

/// Every table, and what each role that serves may do with it. Months of the history are left out: a new one comes each month, and the last
/// promise of `catalog.rs` says that nobody has a right on any.
const TABLES: [&str; 52] = [
    "catalog.plans: admin select, insert, update(tier seats trial_days features offline_policy grace_hours grace_after_heartbeats grace_beyond_seats holder_by processes_per_seat version)",
    "catalog.products: admin select, insert, update(registration_plan is_default version trials)",
    "catalog.retention: nobody",
    "catalog.staff_api_tokens: admin select, insert, update(last_used_at revoked_at)",
    "catalog.staff_head: nobody",
    "catalog.staff_log: nobody",
    "catalog.staff_tokens: admin select, update(not_before)",
    "directory.identities: nobody",
    "directory.identity_tenants: nobody",
    "directory.license_numbers: nobody",
    "directory.licenses: nobody",
    "directory.metadata: nobody",
    "directory.organizations: nobody",
    "directory.retention: nobody",
    "directory.trials: nobody",
    "history.deliveries_rest: nobody",
    "history.denials_rest: nobody",
    "history.events: nobody",
    "history.events_rest: nobody",
    "history.mails_rest: nobody",
    "history.sessions: nobody",
    "history.sessions_rest: nobody",
    "history.usage_hours_rest: nobody",
    "history.usage_minutes_rest: nobody",
    "public._sqlx_migrations: nobody",
    "public.alert_rules: admin select, insert(tenant_id rule_id kind license_id percent minutes count days mail_roles description enabled created_by), update(percent minutes count days mail_roles description enabled version deleted_at look_at); notify select(tenant_id rule_id look_at)",
    "public.alerts: admin select",
    "public.api_tokens: admin select, insert, update(granted_by last_used_at revoked_at)",
    "public.audit_heads: admin select",
    "public.audit_log: admin select",
    "public.denials: admin select",
    "public.graces: admin select",
    "public.idempotency_keys: admin select, insert, update(request_hash begun outcome created_at), delete",
    "public.invitations: admin select, insert, update(accepted_at accepted_by revoked_at)",
    "public.license_keys: admin select",
    "public.licenses: admin select; reaper select(tenant_id license_id number offline_policy)",
    "public.mail_refusals: admin select, insert, update(refused changed_at)",
    // As of webhook_deliveries, below.
    "public.mails: notify select(tenant_id at next_at)",
    "public.organizations: admin select, update(name version tokens_not_before step_up_max_age step_up_acr_values name_key external_id metadata)",
    // A right to hold, by which no change passes (`takeover.rs`).
    "public.outbox: reaper select, update(published_at)",
    "public.outbox_waiting: nobody",
    "public.pools: admin select; reaper select(tenant_id pool_id license_id name seats_total epoch changed_at counted_minute wants_since used_at grace_told)",
    "public.projects: admin select, insert, update(name key license_ids version archived_at)",
    "public.seats: admin select; reaper select(tenant_id pool_id seat_no holder hold_until retired)",
    "public.sessions: admin select",
    "public.sessions_open: nobody",
    "public.usage_days: admin select",
    "public.usage_hours: admin select",
    "public.usage_minutes: admin select",
    "public.users: admin select, insert, update(email address name role version removed_at)",
    // By a policy that shows it what waits, of every organization.
    "public.webhook_deliveries: admin select; notify select(tenant_id webhook_id at state next_at)",
    "public.webhooks: admin select, insert(tenant_id webhook_id url description kinds secret created_by), update(url description kinds secret previous_secret previous_until version disabled_at paused_at failing_since deleted_at)",
];

/// Every function, whether it runs as the owner, and who may call it. One of the same name and other arguments is a line of its own.
const FUNCTIONS: [&str; 134] = [
    "directory.copy_license as owner: nobody",
    "directory.copy_metadata as owner: nobody",
    "directory.copy_organization as owner: nobody",
    "directory.enter_identity as owner: admin",
    "directory.enter_license as owner: nobody",
    "directory.enter_tenant as owner: admin",
    "directory.find_licenses as owner: admin",
    "directory.find_named_licenses as owner: admin",
    "directory.find_organizations as owner: admin",
    "directory.locate_external_id as owner: admin",
    "directory.locate_identity as owner: admin",
    "directory.locate_license as owner: admin",
    "directory.take_trial as owner: admin",
    "history.attach: nobody",
    "history.audit_append as owner: admin",
    "history.audit_blank: nobody",
    "history.audit_details_hash: nobody",
    "history.audit_earlier: nobody",
    "history.audit_seal as owner: admin",
    "history.audit_seal_erased as owner: admin",
    "history.audit_text: nobody",
    "history.begin_erasing: nobody",
    "history.blank_sessions: nobody",
    "history.copy_rows: nobody",
    "history.differing: nobody",
    "history.erase_acts as owner: admin",
    "history.erase_deliveries as owner: admin",
    "history.erase_denials as owner: admin",
    "history.erase_ended as owner: admin",
    "history.erase_entries as owner: admin",
    "history.erase_events as owner: admin",
    "history.erase_mails as owner: admin",
    "history.erase_open as owner: admin",
    "history.erase_people as owner: admin",
    "history.erase_things as owner: admin",
    "history.export_statement: nobody",
    "history.export_step as owner: admin",
    "history.export_things: nobody",
    "history.exported: nobody",
    "history.first_id: nobody",
    "history.folded: nobody",
    "history.has_any: nobody",
    "history.key: nobody",
    "history.kinds: nobody",
    "history.make_months: nobody",
    "history.month_after: nobody",
    "history.month_of: nobody",
    "history.moving: nobody",
    "history.name_of: nobody",
    "history.names: nobody",
    "history.needles: nobody",
    "history.places: nobody",
    "history.scrub: nobody",
    "history.scrub_metadata: nobody",
    "history.staff_append as owner: admin",
    "history.staff_export: nobody",
    "history.staff_seal as owner: admin",
    "history.step as owner: reaper",
    "public.after_restore: nobody",
    "public.alert_sentence: nobody",
    "public.alert_title: nobody",
    "public.began_at: admin",
    "public.begin_mail as owner: notify",
    "public.change_license as owner: admin",
    "public.could_have_ended: admin",
    "public.count_grace as owner: reaper",
    "public.create_license as owner: admin",
    "public.denial_id: nobody",
    "public.end_alert: nobody",
    "public.end_alerts as owner: admin",
    "public.end_seats as owner: reaper, service",
    "public.end_sessions_of_old_keys as owner: admin",
    "public.enqueue_deliveries as owner: notify",
    "public.find_license as owner: service",
    "public.finish_delivery as owner: notify",
    "public.finish_mail as owner: notify",
    "public.forget_alerts: nobody",
    "public.good_keys as owner: admin",
    "public.grant_seat as owner: service",
    "public.how_many: nobody",
    "public.insert_mail: nobody",
    "public.is_used: nobody",
    "public.judge_alert_rule as owner: notify",
    "public.judge_pool: nobody",
    "public.judge_use: nobody",
    "public.judge_wants: nobody",
    "public.keep_grace as owner: nobody",
    "public.kick_seat as owner: admin",
    "public.kick_session as owner: admin",
    "public.label_license as owner: admin",
    "public.license_facts: nobody",
    "public.lived_through: admin",
    "public.lock_license as owner: admin",
    "public.lock_pools: nobody",
    "public.machines_on_grace: admin",
    "public.mail_id: nobody",
    "public.make_first_alert_rules: nobody",
    "public.make_organization as owner: admin",
    "public.mark_published as owner: reaper",
    "public.month_lines: nobody",
    "public.pool_lock: nobody",
    "public.protect: nobody",
    "public.raise_alert: nobody",
    "public.read_event_of_delivery as owner: admin",
    "public.read_licenses as owner: admin",
    "public.read_organizations as owner: admin",
    "public.rebuild_pool as owner: admin, reaper, service",
    "public.record_usage as owner: reaper",
    "public.record_wants as owner: reaper",
    "public.register_organization as owner: admin",
    "public.replay_deliveries as owner: admin",
    "public.report_month: nobody",
    "public.resize_pool as owner: admin",
    "public.resolve_session as owner: service",
    "public.resume_license as owner: admin",
    "public.revoke_license as owner: admin",
    "public.rotate_license_key as owner: admin",
    "public.seen_at: nobody",
    "public.set_license_status: nobody",
    "public.skip_mails as owner: notify",
    "public.suspend_license as owner: admin",
    "public.take_deliveries as owner: notify",
    "public.take_mails as owner: notify",
    "public.tell_alert: nobody",
    "public.unix_ms: nobody",
    "public.uuid_v7: admin",
    "public.wake_alert_rules: nobody",
    "public.wake_rules_of_license as owner: nobody",
    "public.wake_rules_of_webhook as owner: nobody",
    "public.webhook_wants: nobody",
    "public.write_deliveries: nobody",
    "public.write_event as owner: admin",
    "public.write_invitation_mail as owner: admin",
    "public.write_mail: nobody",
];

const OF_TABLES: &str = "
    select n.nspname || '.' || c.relname || ': ' || coalesce((
      select string_agg(r.role || ' ' || r.may, '; ' order by r.role) from (
        select w.role, string_agg(w.may, ', ' order by w.at) as may from (
          select r.role, p.at, case
            when has_table_privilege(r.role, c.oid, p.privilege) then p.privilege
            when p.privilege in ('select', 'insert', 'update', 'references') and has_any_column_privilege(r.role, c.oid, p.privilege)
            then p.privilege || '(' || (
              select string_agg(a.attname, ' ' order by a.attnum) from pg_attribute a where a.attrelid = c.oid and a.attnum > 0
                and not a.attisdropped and has_column_privilege(r.role, c.oid, a.attnum, p.privilege)) || ')' end as may
          from unnest(array['admin', 'notify', 'reaper', 'service']) r (role),
            unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) with ordinality p (privilege, at)) w
        where w.may is not null group by w.role) r), 'nobody')
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relkind in ('r', 'p', 'v', 'm', 'f')
      and not (n.nspname = 'history' and c.relispartition and c.relname ~ '_\\d{4}_\\d\\d$')
    union all
    select n.nspname || '.' || c.relname || ': a sequence' from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relkind = 'S'
";
const OF_FUNCTIONS: &str = "
    select n.nspname || '.' || p.proname || case when p.prosecdef then ' as owner' else '' end || ': ' || coalesce((
      select string_agg(r.role, ', ' order by r.role) from unnest(array['admin', 'notify', 'reaper', 'service']) r (role)
      where has_function_privilege(r.role, p.oid, 'execute')), 'nobody')
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'";

/// What everybody may, whom no grant names: nothing of ours, of the database, or of what could fill its disk.
const OF_EVERYBODY: &str = "
    select 'to ' || x.privilege_type || ' in the database' from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x
    where d.datname = current_database() and x.grantee = 0
    union all
    select 'to ' || x.privilege_type || ' in the schema ' || n.nspname from pg_namespace n,
      aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) x
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and x.grantee = 0
    union all
    select 'to ' || x.privilege_type || ' ' || c.oid::regclass from pg_class c join pg_namespace n on n.oid = c.relnamespace,
      aclexplode(c.relacl) x
    where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and x.grantee = 0
    union all
    select 'to ' || x.privilege_type || ' of ' || a.attname || ' of ' || a.attrelid::regclass from pg_attribute a, aclexplode(a.attacl) x
    where a.attrelid::regclass::text !~ '^(pg_|information_schema)' and x.grantee = 0
    union all
    select 'to call ' || p.oid::regprocedure from pg_proc p join pg_namespace n on n.oid = p.pronamespace,
      aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
    where x.grantee = 0 and (n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
      or n.nspname = 'pg_catalog' and (p.proname like 'lo\\_%' or p.proname in ('loread', 'lowrite')))
    union all
    select 'to call each function that owner makes' where not exists (
      select from pg_default_acl d where d.defaclrole = 'owner'::regrole and d.defaclnamespace = 0 and d.defaclobjtype = 'f'
        and not exists (select from aclexplode(d.defaclacl) x where x.grantee = 0))";

async fn lines(connection: &mut PgConnection, sql: &'static str) -> Vec<String> {
    let mut found: Vec<String> = sqlx::query_scalar(sql).fetch_all(connection).await.unwrap();
    found.sort(); // by bytes, in whatever locale the database is
    found
}

/// A database as `migrate` leaves it; what concerns the database itself no copy of it has.
async fn truth() -> PgConnection {
    let two = two().await;
    migrate(&two.database).await.unwrap();
    two.truth().await
}

#[tokio::test]
async fn every_role_may_do_with_every_table_what_is_written_here_and_nothing_else() {
    assert_eq!(lines(&mut truth().await, OF_TABLES).await, TABLES, "say who may, and why, in docs/DATA-MODEL.md too");
}

#[tokio::test]
async fn every_function_is_called_by_whom_is_written_here_and_nobody_else() {
    let found = lines(&mut truth().await, OF_FUNCTIONS).await;
    assert_eq!(found, FUNCTIONS, "say who may, and why, in docs/DATA-MODEL.md too");
}

#[tokio::test]
async fn everybody_as_such_may_do_nothing() {
    assert_eq!(lines(&mut truth().await, OF_EVERYBODY).await, [] as [String; 0]);
}

#[tokio::test]
async fn each_right_that_is_new_is_seen() {
    let mut truth = truth().await;
    let name: String = sqlx::query_scalar("select current_database()").fetch_one(&mut truth).await.unwrap();
    let to_connect = format!("grant connect on database {name} to public");
    let to_make_tables = format!("grant temporary on database {name} to public");
    for (of, new) in [
        (OF_TABLES, "create table notes (tenant_id uuid primary key)"),
        (OF_TABLES, "create view everybody as select 1 as k"),
        (OF_TABLES, "create sequence numbers"),
        (OF_TABLES, "grant select on seats to service"),
        (OF_TABLES, "grant insert (kind) on outbox to service"),
        (OF_TABLES, "grant update (holder) on seats to reaper"),
        (OF_TABLES, "grant update (status) on licenses to admin"),
        (OF_TABLES, "grant insert on audit_log to admin"),
        (OF_TABLES, "grant trigger on users to admin"),
        (OF_FUNCTIONS, "create function hello() returns int language sql as 'select 1'"),
        (OF_FUNCTIONS, "create function write_event(a int) returns int language sql as 'select 1'"),
        (OF_FUNCTIONS, "grant execute on function set_license_status(uuid, uuid, text, text[]) to admin"),
        (OF_FUNCTIONS, "alter function write_event(uuid, text, jsonb) security invoker"),
        (OF_EVERYBODY, to_connect.as_str()),
        (OF_EVERYBODY, to_make_tables.as_str()),
        (OF_EVERYBODY, "grant usage on schema directory to public"),
        (OF_EVERYBODY, "grant select on catalog.plans to public"),
        (OF_EVERYBODY, "grant select (plan) on catalog.plans to public"),
        (OF_EVERYBODY, "grant execute on function lo_create(oid) to public"),
        (OF_EVERYBODY, "grant execute on function history.step() to public"),
        (OF_EVERYBODY, "set role owner; alter default privileges grant execute on functions to public"),
    ] {
        let before = lines(&mut truth, of).await;
        let mut transaction = truth.begin().await.unwrap();
        transaction.execute(sqlx::AssertSqlSafe(new.to_owned())).await.unwrap_or_else(|e| panic!("{new}: {e}"));
        assert_ne!(lines(&mut transaction, of).await, before, "not seen: {new}");
        transaction.rollback().await.unwrap();
    }
}
