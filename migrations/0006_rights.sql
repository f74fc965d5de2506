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

-- Least privilege: who serves writes nothing about seats but by the moves, functions of the owner (SECURITY DEFINER) which check what they are
-- told and set the tenant themselves. The owner does not bypass row-level security: FORCE binds it, in these functions too, to the tenant that
-- was set, and each statement in them names it besides. What each role may do, all of it, is written down in tests/tests/isolation/rights.rs;
-- what follows from it for one that was taken over in docs/DATA-MODEL.md.
--
-- service: no right on any table. It knows organizations by the ids that license keys lead to and cannot list any.

-- The reaper looks for what has something to do, in every tenant: at these columns and no others. It ends seats by the moves.
grant select (tenant_id, license_id, number) on licenses to reaper;
grant select (tenant_id, pool_id, license_id, name, epoch, changed_at, used_at) on pools to reaper;
grant select (tenant_id, pool_id, seat_no, holder, hold_until, retired) on seats to reaper;
grant select on outbox to reaper;
create policy reaper_reads on licenses for select to reaper using (true); -- the number, half of a pool's Redis tag
create policy reaper_reads on pools for select to reaper using (true);
create policy reaper_reads on seats for select to reaper using (true);
create policy reaper_reads on outbox for select to reaper using (true);
-- To hold an event while it is published takes the right to change it. No change passes: mark_published does that (0026_rights.sql).
grant update (published_at) on outbox to reaper;
create policy reaper_holds on outbox for update to reaper using (published_at is null) with check (false);
create policy reaper_changes_nothing on outbox as restrictive for update to reaper using (true) with check (false);

-- admin: reads what is its tenant's. What people are and manage it writes itself (0007_management.sql), with licenses and seats it goes by the moves.
grant select on organizations, users, licenses, license_keys, pools, seats, sessions to admin;
grant insert on users to admin;
grant execute on function began_at(uuid), could_have_ended(uuid) to admin; -- lists of sessions look by id
