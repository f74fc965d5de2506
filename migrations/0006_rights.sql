-- Who sees and writes what. The tenant is set for one transaction at a time; unset means zero rows.
do $$
declare t text;
begin
  foreach t in array array['organizations', 'users', 'licenses', 'license_keys', 'pools', 'seats', 'sessions', 'sessions_open', 'outbox', 'outbox_waiting'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format($p$create policy own_tenant on %I
      using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
      with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)$p$, t);
  end loop;
end $$;

-- The reaper looks at every tenant's seats and events, and marks events published. It ends seats with the tenant set, like all.
create policy reaper_reads on pools for select to reaper using (true);
create policy reaper_reads on seats for select to reaper using (true);
create policy reaper_reads on sessions for select to reaper using (true);
create policy reaper_reads on outbox for select to reaper using (true);
create policy reaper_marks on outbox for update to reaper using (true) with check (true);

grant execute on function pool_lock(uuid), could_have_ended(uuid) to service, reaper, admin;
-- Nobody may insert a seat but admin; nobody deletes anything (but admin
-- outcomes of idempotency keys, migrations/0007_management.sql).
grant select on licenses, license_keys, pools, seats, sessions to service, reaper, admin;
create policy reaper_reads on licenses for select to reaper using (true); -- the number, half of a pool's Redis tag
grant update (epoch, surplus, rebuilt_epoch, lease_ms, longer_ms, longer_until, used_at) on pools to service, reaper, admin;
grant update (counted_minute) on pools to reaper;
grant update (holder, held_since, fence_epoch, fence_seq, hold_until, hold_epoch, retired, kind, lease_until) on seats to service, reaper, admin;
grant insert on sessions to service;
grant update (last_seen_at, ended_at, end_reason) on sessions to service, reaper, admin;
grant insert on outbox to service, reaper, admin;
grant select on outbox to reaper, admin;
grant update (published_at) on outbox to reaper;
grant select, insert on organizations, users to admin;
grant insert on licenses, license_keys, pools, seats to admin;
grant update (status, status_since, facts_version) on licenses to admin;
grant update (valid_until) on license_keys to admin;
grant update (seats_total, status, changed_at) on pools to admin;
