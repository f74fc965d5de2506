-- Row-level security for a table with rows of organizations: a transaction sees and writes the rows of the organization
-- that it set, and none while it set none. FORCE binds the table's owner too, in functions that run as the owner as
-- well. Called once, in the file of each table: `select protect('projects')`. No role that serves may call it, and
-- whoever does not own the table could change nothing by it.
create function protect(p_table regclass) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  execute format('alter table %s enable row level security', p_table);
  execute format('alter table %s force row level security', p_table);
  execute format($policy$create policy own_tenant on %s
    using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
    with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)$policy$, p_table);
end $$;
revoke execute on function protect from public;
