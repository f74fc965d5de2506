-- Changes made without a Redis ticket: each raises the epoch of every pool it touches and answers the epochs before,
-- which the caller then proves stale to Redis (INVALIDATE). So do the functions of the files after this one, up to
-- change_license.
--
-- Growing un-retires, then inserts. Shrinking retires what is neither held nor in quarantine and lets the rest drain:
-- nobody is thrown out. Up or down to the last seat concerned, not by a list of them: joined with itself under a plan
-- made for any pool, the table took a minute for ten thousand seats.
create function resize_pool(p_tenant uuid, p_pool uuid, p_total int, out epoch_before bigint)
language plpgsql security definer set search_path = public, pg_temp as $$
declare kept int; next_no int; last_no int; moved int; license uuid;
begin
  if p_total is null or p_total not between 0 and 1000000 then
    raise exception 'a pool has up to a million seats, not %', p_total using errcode = '22023';
  end if;
  perform set_config('app.tenant_id', p_tenant::text, true);
  perform pg_advisory_xact_lock(pool_lock(p_pool));
  select p.epoch, p.license_id into epoch_before, license from pools p
  where p.tenant_id = p_tenant and p.pool_id = p_pool;
  if not found then return; end if;
  perform 1 from seats s where s.tenant_id = p_tenant and s.pool_id = p_pool order by s.seat_no for update;
  select count(*) filter (where not s.retired), coalesce(max(s.seat_no) + 1, 0) into kept, next_no
  from seats s where s.tenant_id = p_tenant and s.pool_id = p_pool;
  if kept < p_total then
    select max(r.seat_no) into last_no from (
      select s.seat_no from seats s where s.tenant_id = p_tenant and s.pool_id = p_pool and s.retired
      order by s.seat_no limit p_total - kept) r;
    update seats s set retired = false
    where s.tenant_id = p_tenant and s.pool_id = p_pool and s.retired and s.seat_no <= last_no;
    get diagnostics moved = row_count;
    kept := kept + moved;
    insert into seats (tenant_id, pool_id, seat_no)
    select p_tenant, p_pool, seat_no from generate_series(next_no, next_no + p_total - kept - 1) as seat_no;
    kept := greatest(kept, p_total);
  elsif kept > p_total then
    select min(r.seat_no) into last_no from (
      select s.seat_no from seats s
      where s.tenant_id = p_tenant and s.pool_id = p_pool and not s.retired and s.holder is null
        and s.hold_until is null
      order by s.seat_no desc limit kept - p_total) r;
    update seats s set retired = true
    where s.tenant_id = p_tenant and s.pool_id = p_pool and not s.retired and s.holder is null
      and s.hold_until is null and s.seat_no >= last_no;
    get diagnostics moved = row_count;
    kept := kept - moved;
  end if;
  update pools p set seats_total = p_total, surplus = kept - p_total, epoch = p.epoch + 1, changed_at = now()
  where p.tenant_id = p_tenant and p.pool_id = p_pool;
  update licenses l set facts_version = l.facts_version + 1, version = l.version + 1
  where l.tenant_id = p_tenant and l.license_id = license;
end $$;
revoke execute on function resize_pool from public;
grant execute on function resize_pool to admin;
