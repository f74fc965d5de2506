-- Roles, made before the first migration by whoever owns the cluster; harmless to run again. `owner` owns every table
-- and migrates; it cannot log in and row-level security binds it too (FORCE). `service` (acquire, heartbeat, release),
-- `reaper`, `notify` and `admin` (register, admin) serve. None bypasses row-level security.
do $$
declare role text; it text;
begin
  -- Two at once would change the same rows of the catalog.
  perform pg_advisory_xact_lock(hashtextextended('license roles', 0));
  foreach role in array array['owner', 'service', 'reaper', 'notify', 'admin'] loop
    continue when exists (select from pg_roles where rolname = role);
    begin
      execute format('create role %I %s', role, case when role = 'owner' then 'nologin' else 'login' end);
    exception when duplicate_object or unique_violation then null; -- another database of this cluster made it
    end;
  end loop;
  -- What is done already is left alone, so that whoever is a member of `owner` may run this, and needs no more.
  if not pg_has_role(current_user, 'owner', 'usage') then
    execute format('grant owner to %I', current_user);
  end if;
  if not exists (select from pg_database where datname = current_database() and datdba = 'owner'::regrole) then
    execute format('alter database %I owner to owner', current_database());
  end if;
  -- Nothing here is everybody's: not to connect, not to make temporary tables.
  if exists (
    select from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x
    where d.datname = current_database() and x.grantee = 0)
  then
    execute format('revoke all on database %I from public', current_database());
  end if;
  foreach role in array array['service', 'reaper', 'notify', 'admin'] loop
    if not has_database_privilege(role, current_database(), 'connect') then
      execute format('grant connect on database %I to %I', current_database(), role);
    end if;
  end loop;
  -- Nor large objects, which belong to no table and which nobody here uses. Only a superuser can take them away; a
  -- managed server has none to offer, and there who serves can fill the disk with them (docs/OPERATING.md).
  if (select rolsuper from pg_roles where rolname = current_user) then
    for it in
      select p.oid::regprocedure::text from pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
      where p.pronamespace = 'pg_catalog'::regnamespace
        and (p.proname like 'lo\_%' or p.proname in ('loread', 'lowrite')) and x.grantee = 0
    loop
      execute format('revoke execute on function %s from public', it);
    end loop;
  end if;
end $$;
