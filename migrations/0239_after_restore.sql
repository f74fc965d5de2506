-- After the database was restored to an earlier point, before anything is opened and with Redis emptied: holders it
-- forgot may still believe, on seats that are free in it and on seats that were somebody else's then. Every epoch jumps
-- past what Redis may know, every free seat waits a full lease, and until p_lease from now nobody sits down at all; who
-- holds a seat goes on. p_lease: SEAT_TTL_SECONDS + SEAT_DRAIN_SECONDS of the running services, or more. Run as owner
-- (docs/OPERATING.md).
create function after_restore(p_lease interval default interval '405 seconds') returns bigint language plpgsql as $$
declare tenant uuid; pools_done bigint := 0; changed bigint;
begin
  for tenant in
    select tenant_id from directory.license_numbers union select tenant_id from directory.identity_tenants
  loop
    perform set_config('app.tenant_id', tenant::text, true);
    update pools p set epoch = p.epoch + 1000000, rebuilt_epoch = 0,
      opens_at = now() + greatest(p_lease, make_interval(secs => greatest(p.lease_ms, p.longer_ms) / 1000.0))
    where p.tenant_id = tenant;
    get diagnostics changed = row_count;
    pools_done := pools_done + changed;
    -- Retired seats too: they may come back.
    update seats s set hold_until = now(), hold_epoch = p.epoch from pools p
    where p.tenant_id = tenant and s.tenant_id = tenant and s.pool_id = p.pool_id and s.holder is null;
  end loop;
  return pools_done;
end $$;
revoke execute on function after_restore from public;
