//! What the catalog of PostgreSQL must say. Each rule is a query for what breaks it, and each query is shown to find a
//! planted fault.

use super::{tenant_tables, two};
use license_core::records::DatabaseRole;
use sqlx::{Connection, Executor, PgConnection};

/// A promise and the query that lists what breaks it.
const PROMISES: &[(&str, &str)] = &[
    (
        "every tenant table has tenant_id uuid not null",
        "select c.relname::text from pg_class c
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname <> '_sqlx_migrations'
           and not exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'tenant_id'
             and a.attnotnull and a.atttypid = 'uuid'::regtype)",
    ),
    (
        // Of a table that is cut into parts each part has one.
        "every tenant table has a primary key, and tenant_id leads it and every other unique index",
        "select c.oid::regclass::text from pg_class c
         where c.relnamespace in ('public'::regnamespace, 'history'::regnamespace) and c.relkind = 'r' and c.relname <> '_sqlx_migrations'
           and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)
         union all
         select x.relname::text from pg_class c join pg_index i on i.indrelid = c.oid join pg_class x on x.oid = i.indexrelid
         where c.relnamespace in ('public'::regnamespace, 'history'::regnamespace) and c.relname <> '_sqlx_migrations' and i.indisunique
           and (select a.attname from pg_attribute a where a.attrelid = c.oid and a.attnum = i.indkey[0]) is distinct from 'tenant_id'",
    ),
    (
        "every foreign key of a tenant table begins with tenant_id on both sides",
        "select f.conname::text from pg_constraint f
         where f.contype = 'f' and f.connamespace = 'public'::regnamespace and (
           (select a.attname from pg_attribute a where a.attrelid = f.conrelid and a.attnum = f.conkey[1]) is distinct from 'tenant_id'
           or (select a.attname from pg_attribute a where a.attrelid = f.confrelid and a.attnum = f.confkey[1]) is distinct from 'tenant_id')",
    ),
    (
        "row-level security is enabled and forced on every tenant table",
        "select c.relname::text from pg_class c
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname <> '_sqlx_migrations'
           and not (c.relrowsecurity and c.relforcerowsecurity)",
    ),
    (
        "every tenant table has the policy of its own tenant",
        "select c.relname::text from pg_class c
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relname <> '_sqlx_migrations'
           and not exists (select from pg_policies p where p.schemaname = 'public' and p.tablename = c.relname
             and p.cmd = 'ALL' and p.roles = '{public}' and p.qual = p.with_check
             and p.qual = $q$(tenant_id = (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid)$q$)",
    ),
    (
        "only the reaper looks past its tenant, where PROTOCOL section 4 says so, and holds events, of which it changes nothing; notify sees which deliveries and mails wait and which alert rules are looked at",
        "select p.tablename || ' ' || p.policyname from pg_policies p
         where not (p.cmd = 'ALL' and p.roles = '{public}' and p.qual is not distinct from p.with_check
           and p.qual = $q$(tenant_id = (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid)$q$)
         and not (p.roles = '{reaper}' and p.cmd = 'SELECT' and p.tablename in ('pools', 'seats', 'outbox', 'licenses'))
         and not (p.roles = '{reaper}' and p.cmd = 'UPDATE' and p.tablename = 'outbox' and p.with_check is not distinct from 'false')
         and not (p.roles = '{notify}' and p.cmd = 'SELECT' and p.tablename = 'webhook_deliveries' and p.qual = $q$(state = 'waiting'::text)$q$)
         and not (p.roles = '{notify}' and p.cmd = 'SELECT' and p.tablename = 'mails' and p.qual = $q$(next_at IS NOT NULL)$q$)
         and not (p.roles = '{notify}' and p.cmd = 'SELECT' and p.tablename = 'alert_rules' and p.qual = $q$(look_at IS NOT NULL)$q$)
         union all
         select 'the reaper changes events' where not exists (select from pg_policies p where p.tablename = 'outbox' and p.permissive = 'RESTRICTIVE'
           and p.roles = '{reaper}' and p.cmd = 'UPDATE' and p.with_check = 'false')",
    ),
    (
        "there are the tables of the four schemas and the list of migrations, and nothing else one can select from",
        "select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and c.relkind not in ('i', 'I', 'c')
           and not (n.nspname = 'public' and c.relkind in ('r', 'p'))
           and not (n.nspname = 'directory' and c.relkind = 'r' and c.relname in ('license_numbers', 'identities', 'identity_tenants', 'retention', 'trials', 'organizations', 'licenses', 'metadata'))
           and not (n.nspname = 'catalog' and c.relkind = 'r' and c.relname in ('plans', 'products', 'staff_log', 'staff_head', 'staff_tokens', 'staff_api_tokens', 'retention'))
           and not (n.nspname = 'history' and c.relkind in ('r', 'p') and exists (
             select from unnest(array['sessions', 'outbox', 'usage_minutes', 'usage_hours', 'denials', 'webhook_deliveries', 'mails']) root, pg_partition_tree(root::regclass) t
             where t.relid = c.oid))",
    ),
    (
        "none who serves, nor the owner, is more than a plain role or a member of another",
        "select r.rolname::text from pg_roles r
         where r.rolname in ('owner', 'service', 'reaper', 'notify', 'admin') and (r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb
           or r.rolreplication or (r.rolname = 'owner' and r.rolcanlogin)
           or exists (select from pg_auth_members m where m.member = r.oid))",
    ),
    (
        "everything belongs to the owner",
        "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
         where n.nspname in ('public', 'directory', 'catalog', 'history') and c.relowner <> 'owner'::regrole
         union all
         select p.oid::regprocedure::text from pg_proc p join pg_namespace n on n.oid = p.pronamespace
         where n.nspname in ('public', 'directory', 'catalog', 'history') and p.proowner <> 'owner'::regrole
         union all
         select n.nspname::text from pg_namespace n where n.nspname in ('directory', 'catalog', 'history') and n.nspowner <> 'owner'::regrole",
    ),
    (
        "nobody may do more to a table than select, insert and update, but admin delete what idempotency keys did, nor pass a right on, and everybody as such nothing",
        "select g.grantee || ' ' || g.privilege_type || ' ' || g.table_schema || '.' || g.table_name
         from information_schema.role_table_grants g
         where g.grantee not in ('postgres', 'owner') and g.table_schema in ('public', 'directory', 'catalog')
           and (g.privilege_type not in ('SELECT', 'INSERT', 'UPDATE') or g.is_grantable = 'YES' or g.grantee = 'PUBLIC')
           and not (g.grantee = 'admin' and g.privilege_type = 'DELETE' and g.table_name = 'idempotency_keys' and g.is_grantable = 'NO')
         union all
         select r || ' ' || p || ' ' || c.oid::regclass::text
         from pg_class c, unnest(array['service', 'reaper', 'notify', 'admin']) r, unnest(array['DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p
         where c.relnamespace in ('public'::regnamespace, 'directory'::regnamespace, 'catalog'::regnamespace)
           and c.relkind in ('r', 'p') and has_table_privilege(r, c.oid, p)
           and not (r = 'admin' and p = 'DELETE' and c.relname = 'idempotency_keys')",
    ),
    (
        "nobody inserts seats, pools, licenses, sessions or events but by the functions of the seat operations, only admin what people manage, nobody changes who owns a row or its identity",
        "select r || ' ' || t from unnest(array['service', 'reaper', 'notify']) r, unnest(array['seats', 'pools', 'licenses', 'license_keys', 'organizations', 'users',
           'invitations', 'projects', 'api_tokens', 'audit_log', 'idempotency_keys', 'webhooks', 'alert_rules']) t
         where has_table_privilege(r, t::regclass, 'INSERT') or has_any_column_privilege(r, t::regclass, 'INSERT')
         union all
         select r || ' ' || t || ' ' || p from unnest(array['service', 'reaper', 'notify', 'admin']) r, unnest(array['INSERT', 'UPDATE']) p,
           unnest(array['seats', 'pools', 'licenses', 'license_keys', 'sessions', 'outbox', 'webhook_deliveries', 'mails', 'alerts']) t
         where has_any_column_privilege(r, t::regclass, p) and (r, t, p) <> ('reaper', 'outbox', 'UPDATE')
         union all
         select r || ' ' || c.relname || '.' || a.attname
         from unnest(array['service', 'reaper', 'notify', 'admin']) r, pg_class c join pg_attribute a on a.attrelid = c.oid
         where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
           and has_column_privilege(r, c.oid, a.attnum, 'UPDATE')
           and a.attname not in ('ended_at', 'published_at') -- which part of its table a row is in
           and exists (select from pg_index i join pg_attribute k on k.attrelid = i.indrelid and k.attnum = any (i.indkey)
             where i.indisprimary and k.attname = a.attname
               and (i.indrelid = c.oid or i.indrelid in (select t.relid from pg_partition_tree(c.oid) t)))",
    ),
    (
        "the outbox is written once: of a written event only the reaper may hold only published_at",
        "select r || ' ' || a.attname
         from unnest(array['service', 'reaper', 'notify', 'admin']) r, pg_attribute a
         where a.attrelid = 'outbox'::regclass and a.attnum > 0 and has_column_privilege(r, a.attrelid, a.attnum, 'UPDATE')
           and not (r = 'reaper' and a.attname = 'published_at')",
    ),
    (
        // Staff keeps plans and products through admin, but nobody gives one another name: licenses and products carry it.
        "who serves has no right on the directory's tables, on the list of migrations, or to write the catalog, but for what admin does for staff",
        "select r || ' ' || c.oid::regclass::text
         from unnest(array['service', 'reaper', 'notify', 'admin']) r, pg_class c, unnest(array['SELECT', 'INSERT', 'UPDATE']) p
         where c.relkind in ('r', 'p') and has_any_column_privilege(r, c.oid, p) and (
           c.relnamespace = 'directory'::regnamespace or c.oid = '_sqlx_migrations'::regclass
           or c.relname = 'staff_head' or (c.relnamespace = 'catalog'::regnamespace and p <> 'SELECT' and not (r = 'admin' and c.relname in ('plans', 'products', 'staff_tokens', 'staff_api_tokens'))))
         union all
         select 'admin ' || c.relname || '.' || a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid
         where c.relnamespace = 'catalog'::regnamespace and c.relkind = 'r' and a.attname in ('plan', 'plan_id', 'product', 'product_id')
           and has_column_privilege('admin', c.oid, a.attnum, 'UPDATE')",
    ),
    (
        "what staff did to the catalog is written once, by the function that admin may call: nobody who serves adds to the log otherwise, reads or changes it",
        "select r || ' ' || p from unnest(array['service', 'reaper', 'notify', 'admin']) r, unnest(array['SELECT', 'INSERT', 'UPDATE']) p
         where has_any_column_privilege(r, 'catalog.staff_log'::regclass, p)",
    ),
    (
        "who serves creates nothing",
        "select r || ' ' || n.nspname from unnest(array['service', 'reaper', 'notify', 'admin']) r, pg_namespace n
         where n.nspname !~ '^pg_' and has_schema_privilege(r, n.oid, 'CREATE')
         union all
         select r || ' ' || current_database() from unnest(array['service', 'reaper', 'notify', 'admin']) r
         where has_database_privilege(r, current_database(), 'CREATE')",
    ),
    (
        "a function is callable by whom a grant names, never by everybody",
        "select p.oid::regprocedure::text from pg_proc p
         where p.pronamespace in ('public'::regnamespace, 'directory'::regnamespace, 'catalog'::regnamespace, 'history'::regnamespace)
           and (p.proacl is null or exists (select from aclexplode(p.proacl) x where x.grantee = 0))",
    ),
    (
        "the functions of the directory, the step of the history, what erases people from it and exports them, what writes the audit log, what counts grace and the seat operations run as the owner, on a search path nobody can put things on; what runs as who calls it looks at nothing, but for what counts the machines on grace",
        "select p.oid::regprocedure::text from pg_proc p
         where (p.pronamespace = 'directory'::regnamespace and (p.prosecdef and p.proconfig @> array['search_path=pg_catalog, pg_temp']) is not true)
           or (p.pronamespace = 'history'::regnamespace
             and (p.proconfig @> array['search_path=pg_catalog, pg_temp'] and p.prosecdef = (p.proname = 'step' and p.pronargs = 0
               or p.proname = any (array['erase_open', 'erase_ended', 'erase_denials', 'erase_deliveries', 'erase_mails', 'erase_events', 'erase_entries', 'erase_acts', 'erase_things', 'erase_people'])
               and p.proargtypes[0] = 'uuid'::regtype and p.proargtypes[1] = 'uuid'::regtype
                or p.proname = any (array['audit_append', 'audit_seal', 'audit_seal_erased', 'export_step']) and p.proargtypes[0] = 'uuid'::regtype
                or p.proname in ('staff_append', 'staff_seal'))) is not true)
           or (p.pronamespace = 'catalog'::regnamespace)
           or (p.pronamespace = 'public'::regnamespace and p.prosecdef and (p.proconfig @> array['search_path=public, pg_temp']) is not true)
           or (p.pronamespace = 'public'::regnamespace and not p.prosecdef and p.proname not in ('uuid_v7', 'began_at', 'could_have_ended', 'lived_through', 'machines_on_grace')
             and exists (select from unnest(array['service', 'reaper', 'notify', 'admin']) r where has_function_privilege(r, p.oid, 'EXECUTE')))",
    ),
    (
        "who serves knows the directory by these questions only",
        "select r || ' ' || p.oid::regprocedure::text from unnest(array['service', 'reaper', 'notify', 'admin']) r, pg_proc p
         where p.pronamespace = 'directory'::regnamespace and has_function_privilege(r, p.oid, 'EXECUTE') and not (
           r = 'admin' and p.proname in ('locate_license', 'locate_identity', 'enter_identity', 'enter_tenant', 'take_trial', 'locate_external_id', 'find_organizations', 'find_licenses', 'find_named_licenses'))",
    ),
    (
        "the restore command is the owner's alone",
        "select r from unnest(array['service', 'reaper', 'notify', 'admin']) r where has_function_privilege(r, 'after_restore(interval)', 'EXECUTE')",
    ),
    (
        // Erasing a person blanks names in it: as the owner, and only for an erasure that stands in it itself (`erasing.rs`). What is
        // appended has the database's id and time (`history.audit_append`).
        "the audit log is append-only, and its chain the database's: nobody may insert, update or delete a row, or touch a head",
        "select r || ' ' || p || ' ' || t from unnest(array['service', 'reaper', 'notify', 'admin']) r, unnest(array['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) p,
           unnest(array['audit_log', 'audit_heads']) t
         where has_table_privilege(r, t, p) or (p in ('INSERT', 'UPDATE') and has_any_column_privilege(r, t, p))
         union all
         select 'a rule or trigger ' || x from (
           select rulename::text from pg_rewrite join pg_class c on c.oid = ev_class where c.oid = 'audit_log'::regclass
           union all select tgname::text from pg_trigger where tgrelid = 'audit_log'::regclass and not tgisinternal) as t (x)",
    ),
    (
        "what is over is reached through the tables it is part of: who serves has no right on a table of the history; the reaper may ask for its next step, and admin to have somebody erased from it or exported and to write the audit log",
        "select r || ' ' || c.oid::regclass::text from unnest(array['service', 'reaper', 'notify', 'admin']) r, pg_class c,
           unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) p
         where c.relnamespace = 'history'::regnamespace and c.relkind in ('r', 'p')
           and (has_table_privilege(r, c.oid, p) or (p in ('SELECT', 'INSERT', 'UPDATE') and has_any_column_privilege(r, c.oid, p)))
         union all
         select r || ' ' || p.oid::regprocedure::text from unnest(array['service', 'reaper', 'notify', 'admin']) r, pg_proc p
         where p.pronamespace = 'history'::regnamespace and has_function_privilege(r, p.oid, 'EXECUTE')
           and not (r = 'reaper' and p.proname = 'step')
           and not (r = 'admin' and p.proname = any (array['erase_open', 'erase_ended', 'erase_denials', 'erase_deliveries', 'erase_mails', 'erase_events', 'erase_entries', 'erase_acts',
             'erase_things', 'erase_people', 'export_step', 'audit_append', 'audit_seal', 'audit_seal_erased', 'staff_append', 'staff_seal']))
         union all
         select r || ' history' from unnest(array['service', 'notify']) r where has_schema_privilege(r, 'history', 'USAGE')",
    ),
];

/// One flaw for each promise (some have several), in the order of [`PROMISES`].
const FLAWS: &[(usize, &str)] = &[
    (0, "create table more (tenant_id uuid primary key); create table notes (id int primary key)"),
    (
        0,
        "alter table sessions_open drop constraint sessions_open_pkey cascade;
         alter table history.sessions drop constraint sessions_pkey cascade; alter table sessions alter tenant_id drop not null",
    ),
    (1, "create table notes (tenant_id uuid not null)"),
    (1, "create unique index by_number on licenses (number)"),
    (
        2,
        "alter table pools drop constraint pools_tenant_id_license_id_fkey;
         alter table pools add foreign key (license_id, tenant_id) references licenses (license_id, tenant_id)",
    ),
    (2, "create table catalog.x (k int primary key); alter table users add k int references catalog.x"),
    (3, "alter table seats no force row level security"),
    (3, "alter table outbox disable row level security"),
    (4, "drop policy own_tenant on users"),
    (5, "create policy helpful on users for select to service using (true)"),
    (5, "create policy helpful on seats for update to reaper using (true)"),
    (5, "create policy helpful on outbox for update to reaper using (true)"),
    (5, "create policy helpful on sessions for select to reaper using (true)"),
    (5, "drop policy reaper_changes_nothing on outbox"),
    (5, "create policy helpful on webhook_deliveries for select to notify using (true)"),
    (5, "create policy helpful on mails for select to notify using (true)"),
    (5, "create policy helpful on alert_rules for select to notify using (true)"),
    (5, "create policy helpful on webhooks for select to notify using (deleted_at is null)"),
    (6, "create table directory.emails (email text primary key)"),
    (6, "create view everybody as select * from users"),
    (6, "create schema side; create table side.notes (k int)"),
    (7, "alter role service bypassrls"),
    (7, "grant owner to admin"),
    (8, "alter table sessions owner to service"),
    (9, "grant delete on sessions to reaper"),
    (9, "grant delete on idempotency_keys to reaper"),
    (9, "grant delete on idempotency_keys to admin with grant option"),
    (9, "grant select on catalog.plans to public"),
    (10, "grant insert on seats to service"),
    (10, "grant insert on seats to admin"),
    (10, "grant update (holder) on seats to service"),
    (10, "grant insert (kind) on outbox to service"),
    (10, "grant update (last_seen_at) on sessions to reaper"),
    (10, "grant update (tenant_id) on sessions to admin"),
    (10, "grant update (state) on webhook_deliveries to notify"),
    (10, "grant insert (data) on mails to admin"),
    (10, "grant update (ended_at) on alerts to admin"),
    (11, "grant update (payload) on outbox to reaper"),
    (11, "grant update (published_at) on outbox to service"),
    (12, "grant select (number) on directory.license_numbers to admin"),
    (12, "grant update (seats) on catalog.plans to service"),
    (12, "grant update (plan) on catalog.plans to admin"),
    (13, "grant select on catalog.staff_log to admin"),
    (13, "grant update (action) on catalog.staff_log to admin"),
    (13, "grant insert on catalog.staff_log to admin"),
    (12, "grant update (hash) on catalog.staff_head to admin"),
    (14, "grant create on schema public to admin"),
    (15, "create function hello() returns int language sql as 'select 1'; grant execute on function hello() to public"),
    (
        16,
        "create function directory.all_numbers() returns setof text language sql security definer as 'select number from directory.license_numbers'",
    ),
    (16, "create function shout() returns int language sql security definer as 'select 1'"),
    (16, "alter function grant_seat reset search_path"),
    (16, "alter function grant_seat set search_path = public, directory, pg_temp"),
    (16, "alter function write_event security invoker"),
    (17, "grant execute on function directory.locate_identity(text, text) to service"),
    (17, "grant execute on function directory.enter_license(text, uuid, uuid) to admin"),
    (12, "grant insert on catalog.plans to service"),
    (12, "grant update (product) on catalog.products to admin"),
    (12, "create table catalog.prices (k int primary key); grant insert on catalog.prices to admin"),
    (18, "grant execute on function after_restore(interval) to admin"),
    (19, "grant update (after) on audit_log to admin"),
    (19, "grant delete on audit_log to admin"),
    (19, "grant insert on audit_log to admin"),
    (19, "grant update (hash) on audit_heads to admin"),
    (16, "alter function history.audit_append(uuid, text, text, text, text, text, jsonb, jsonb, text, text) reset search_path"),
    (16, "alter function history.audit_blank(uuid, audit_log, audit_log) security definer"),
    (20, "grant execute on function history.audit_seal(uuid, bigint, text) to service"),
    (20, "grant execute on function history.audit_blank(uuid, audit_log, audit_log) to admin"),
    (19, "create rule forget as on insert to audit_log do instead nothing"),
    (1, "create table history.more (like history.sessions)"),
    (6, "create table history.more (tenant_id uuid, k int, primary key (tenant_id, k))"),
    (15, "grant execute on function history.step() to public"),
    (16, "alter function history.make_months(text, regclass, timestamptz) security definer"),
    (16, "alter function history.erase_acts(uuid, uuid, text, uuid) reset search_path"),
    (16, "alter function history.erase_people(uuid, uuid, uuid[]) security invoker"),
    (16, "alter function history.blank_sessions(uuid, uuid[], text[], uuid) security definer"),
    (
        16,
        "create function history.erase_acts(p_user text) returns int language sql security definer set search_path = pg_catalog, pg_temp as 'select 1'",
    ),
    (15, "grant execute on function history.erase_open(uuid, uuid, text, text) to public"),
    (20, "grant execute on function history.erase_open(uuid, uuid, text, text) to service"),
    (20, "grant execute on function history.erase_entries(uuid, uuid, text[], text[], text[], text, uuid) to reaper"),
    (20, "grant execute on function history.blank_sessions(uuid, uuid[], text[], uuid) to admin"),
    (20, "grant usage on schema history to service"),
    (20, "grant select on history.sessions to admin"),
    (20, "grant update (label) on history.sessions_rest to reaper"),
    (20, "grant execute on function history.make_months(text, regclass, timestamptz) to reaper"),
    (20, "grant execute on function history.step() to service"),
];

async fn broken(connection: &mut PgConnection, sql: &'static str) -> Vec<String> {
    sqlx::query_scalar(sql).fetch_all(connection).await.unwrap()
}

#[tokio::test]
async fn the_catalog_keeps_tenants_apart() {
    let mut truth = two().await.truth().await;
    for (promise, sql) in PROMISES {
        assert_eq!(broken(&mut truth, sql).await, Vec::<String>::new(), "not kept: {promise}");
    }
}

#[tokio::test]
async fn each_promise_about_the_catalog_is_seen_broken_when_it_is_broken() {
    let mut truth = two().await.truth().await;
    for (at, flaw) in FLAWS {
        let mut transaction = truth.begin().await.unwrap();
        // A unique key beside the primary one, for the foreign key that is the wrong way round.
        let prepare = "create unique index other_way on licenses (license_id, tenant_id)";
        transaction.execute(prepare).await.unwrap();
        transaction.execute(*flaw).await.unwrap_or_else(|e| panic!("{flaw}: {e}"));
        let (promise, sql) = PROMISES[*at];
        let mut found = broken(&mut transaction, sql).await;
        found.retain(|name| name != "other_way");
        assert!(!found.is_empty(), "not seen: {flaw} breaks \"{promise}\"");
        transaction.rollback().await.unwrap();
    }
    let covered: std::collections::BTreeSet<usize> = FLAWS.iter().map(|(at, _)| *at).collect();
    assert_eq!(covered.len(), PROMISES.len(), "each promise has a flaw");
}

#[tokio::test]
async fn the_directory_answers_an_exact_key_and_nothing_else() {
    let two = two().await;
    let mut admin = two.as_role(DatabaseRole::Admin).await;
    let number = two.a.key.number().to_string();
    for (asked, answers) in
        [(number.as_str(), 1), (&number[..12], 0), ("", 0), ("%", 0), ("_____________", 0), (".*", 0)]
    {
        let found: i64 = sqlx::query_scalar("select count(*) from directory.locate_license($1)")
            .bind(asked)
            .fetch_one(&mut admin)
            .await
            .unwrap();
        assert_eq!(found, answers, "{asked:?}");
    }
    let issuer = "https://id.example.com";
    for (issuer, subject, answers) in [
        (Some(issuer), Some("a"), 1),
        (Some(issuer), None, 0),
        (None, Some("a"), 0),
        (Some(issuer), Some("%"), 0),
        (Some(""), Some(""), 0),
    ] {
        let found: i64 = sqlx::query_scalar("select count(*) from directory.locate_identity($1, $2)")
            .bind(issuer)
            .bind(subject)
            .fetch_one(&mut admin)
            .await
            .unwrap();
        assert_eq!(found, answers, "{issuer:?} {subject:?}");
    }
}

#[tokio::test]
async fn the_data_model_names_every_table_and_every_function() {
    let mut truth = two().await.truth().await;
    let text = include_str!("../../../docs/DATA-MODEL.md");
    let mut names = tenant_tables(&mut truth).await;
    let sql = "select relname::text from pg_class where relkind = 'r' and relnamespace in ('directory'::regnamespace, 'catalog'::regnamespace)
               union select proname::text from pg_proc
               where pronamespace in ('public'::regnamespace, 'directory'::regnamespace, 'catalog'::regnamespace, 'history'::regnamespace)";
    names.extend(sqlx::query_scalar::<_, String>(sql).fetch_all(&mut truth).await.unwrap());
    let missing: Vec<_> = names.into_iter().filter(|name| !text.contains(&format!("`{name}`"))).collect();
    assert_eq!(missing, Vec::<String>::new(), "docs/DATA-MODEL.md does not name these");
}
