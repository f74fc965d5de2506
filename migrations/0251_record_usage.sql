-- Tells how a pool was used, once for each minute: a second time, or of an earlier minute, is false. What the event
-- says of the pool itself is taken from the records.
create function record_usage(p_tenant uuid, p_pool uuid, p_minute bigint, p_held int, p_peak int, p_denied bigint)
  returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
declare pool pools;
begin
  if p_held is null or p_held not between 0 and 1000000 or p_peak is null or p_peak not between 0 and 1000000
    or p_denied is null or p_denied < 0 then
    raise exception 'no pool is used like this: % seats held, % at most, % denied', p_held, p_peak, p_denied
      using errcode = '22023';
  end if;
  perform set_config('app.tenant_id', p_tenant::text, true);
  -- Nothing is decided about a seat, so the pool's lock is not needed. One minute that is a day later was told by a
  -- clock that was ahead.
  update pools p set counted_minute = p_minute
  where p.tenant_id = p_tenant and p.pool_id = p_pool
    and (p.counted_minute < p_minute or p.counted_minute > p_minute + 1440)
  returning * into pool;
  if not found then return false; end if;
  insert into outbox (tenant_id, kind, payload)
  select p_tenant, 'usage', jsonb_build_object(
    'license', l.number, 'pool_id', p_pool, 'pool', pool.name, 'minute', p_minute, 'held', p_held,
    'peak', p_peak, 'denied', p_denied)
  from licenses l where l.tenant_id = p_tenant and l.license_id = pool.license_id;
  return true;
end $$;
revoke execute on function record_usage from public;
grant execute on function record_usage to reaper;
