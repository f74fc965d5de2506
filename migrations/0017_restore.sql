-- After the database was restored to an earlier point, before anything is opened: holders it forgot may still believe.
-- Every epoch jumps past what Redis may know, and every free seat waits a full lease. Run as owner (docs/OPERATING.md).
create function after_restore() returns bigint language plpgsql as $$
declare t uuid; pools_done bigint := 0; n bigint;
begin
  for t in select tenant_id from directory.license_numbers union select tenant_id from directory.identity_tenants loop
    perform set_config('app.tenant_id', t::text, true);
    update pools p set epoch = p.epoch + 1000000 where p.tenant_id = t;
    get diagnostics n = row_count;
    pools_done := pools_done + n;
    update seats s set hold_until = now() where s.tenant_id = t and s.holder is null; -- retired ones too: they may come back
  end loop;
  return pools_done;
end $$;
