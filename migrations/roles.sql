-- Roles, made before the first migration by whoever owns the cluster; harmless to run again.
-- `owner` owns every table and migrates; it cannot log in and row-level security binds it too (FORCE).
-- `service` (acquire, heartbeat, release), `reaper` and `admin` (register, admin) serve. None bypasses row-level security.
do $$
declare role text;
begin
  foreach role in array array['owner', 'service', 'reaper', 'admin'] loop
    begin
      execute format('create role %I %s', role, case when role = 'owner' then 'nologin' else 'login' end);
    exception when duplicate_object or unique_violation then null; -- another database of this cluster made it
    end;
  end loop;
  if not (select rolsuper from pg_roles where rolname = current_user) then
    execute format('grant owner to %I', current_user);
  end if;
  execute format('alter database %I owner to owner', current_database());
end $$;
