-- Changes made without a Redis ticket: each bumps the epoch of every pool it touches and answers the epochs before,
-- which the caller then proves stale to Redis (INVALIDATE).

-- The locks of all pools of a license, in the order in which everybody takes them.
create function lock_pools(p_tenant uuid, p_license uuid) returns void language plpgsql as $$
declare pool uuid;
begin
  for pool in select p.pool_id from pools p where p.tenant_id = p_tenant and p.license_id = p_license order by p.pool_id loop
    perform pg_advisory_xact_lock(pool_lock(pool));
  end loop;
end $$;
-- The same, and the license's row behind them: for a change that is asked for by what the license is before it.
create function lock_license(p_tenant uuid, p_license uuid) returns void language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform set_config('app.tenant_id', p_tenant::text, true);
  perform lock_pools(p_tenant, p_license);
  perform 1 from licenses l where l.tenant_id = p_tenant and l.license_id = p_license for update;
end $$;
grant execute on function lock_license(uuid, uuid) to admin;

-- Growing un-retires, then inserts. Shrinking retires what is neither held nor in quarantine and lets the rest drain: nobody is thrown out.
-- Up or down to the last seat concerned, not by a list of them: joined with itself under a plan made for any pool, the table took a minute
-- for ten thousand seats.
create function resize_pool(p_tenant uuid, p_pool uuid, p_total int, out epoch_before bigint) language plpgsql security definer set search_path = public, pg_temp as $$
declare kept int; next_no int; last_no int; moved int; license uuid;
begin
  if p_total is null or p_total not between 0 and 1000000 then
    raise exception 'a pool has up to a million seats, not %', p_total using errcode = '22023';
  end if;
  perform set_config('app.tenant_id', p_tenant::text, true);
  perform pg_advisory_xact_lock(pool_lock(p_pool));
  select p.epoch, p.license_id into epoch_before, license from pools p where p.tenant_id = p_tenant and p.pool_id = p_pool;
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
    select p_tenant, p_pool, n from generate_series(next_no, next_no + p_total - kept - 1) as n;
    kept := greatest(kept, p_total);
  elsif kept > p_total then
    select min(r.seat_no) into last_no from (
      select s.seat_no from seats s
      where s.tenant_id = p_tenant and s.pool_id = p_pool and not s.retired and s.holder is null and s.hold_until is null
      order by s.seat_no desc limit kept - p_total) r;
    update seats s set retired = true
    where s.tenant_id = p_tenant and s.pool_id = p_pool and not s.retired and s.holder is null and s.hold_until is null and s.seat_no >= last_no;
    get diagnostics moved = row_count;
    kept := kept - moved;
  end if;
  update pools p set seats_total = p_total, surplus = kept - p_total, epoch = p.epoch + 1, changed_at = now()
  where p.tenant_id = p_tenant and p.pool_id = p_pool;
  update licenses l set facts_version = l.facts_version + 1, version = l.version + 1 where l.tenant_id = p_tenant and l.license_id = license;
end $$;

-- Ends every session on a seat and frees it. Without p_force the seat stays free until a lease that started at the next rebuild is over:
-- the kicked client may believe until then. epoch_before null: no such pool or seat.
create function kick_seat(p_tenant uuid, p_pool uuid, p_seat int, p_force boolean, p_by text, out epoch_before bigint)
language plpgsql security definer set search_path = public, pg_temp as $$
declare pool pools; seat seats;
begin
  perform set_config('app.tenant_id', p_tenant::text, true);
  perform pg_advisory_xact_lock(pool_lock(p_pool));
  select * into pool from pools p where p.tenant_id = p_tenant and p.pool_id = p_pool;
  select * into seat from seats s where s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = p_seat for update;
  if not found or seat.retired then return; end if;
  epoch_before := pool.epoch;
  update sessions s set ended_at = now(), end_reason = 'kicked'
  where s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = p_seat and s.ended_at is null;
  if seat.holder is not null then
    insert into outbox (tenant_id, kind, payload) values (p_tenant, 'seat.freed', jsonb_build_object(
      'license_id', pool.license_id, 'pool_id', p_pool, 'seat', p_seat, 'from', seat.holder, 'reason', 'kicked',
      'by', p_by, 'force', p_force));
  end if;
  update seats s
  set holder = null, held_since = null, kind = 'float', lease_until = null, 
      -- Kicking nobody costs nobody a wait.
      hold_until = case when p_force then null when seat.holder is null then s.hold_until else now() end,
      hold_epoch = case when p_force then null when seat.holder is null then s.hold_epoch else pool.epoch + 1 end
  where s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = p_seat;
  update pools p set epoch = p.epoch + 1, changed_at = now() where p.tenant_id = p_tenant and p.pool_id = p_pool;
end $$;

-- Gives every pool of a license its status and a new epoch. Nobody but the three below calls it: they say what leads where.
create function set_license_status(p_tenant uuid, p_license uuid, p_status text, p_from text[])
returns table (pool_id uuid, name text, number text, epoch_before bigint) language plpgsql as $$
begin
  perform set_config('app.tenant_id', p_tenant::text, true);
  perform lock_pools(p_tenant, p_license);
  update licenses l set status = p_status, status_since = now(), facts_version = l.facts_version + 1, version = l.version + 1
  where l.tenant_id = p_tenant and l.license_id = p_license and l.status = any (p_from);
  if not found then return; end if;
  insert into outbox (tenant_id, kind, payload)
  values (p_tenant, 'license.' || p_status, jsonb_build_object('license_id', p_license));
  return query
    update pools p set status = p_status, epoch = p.epoch + 1, changed_at = now()
    from licenses l
    where p.tenant_id = p_tenant and p.license_id = p_license and l.tenant_id = p_tenant and l.license_id = p_license
    returning p.pool_id, p.name, l.number, p.epoch - 1;
end $$;
create function suspend_license(p_tenant uuid, p_license uuid)
returns table (pool_id uuid, name text, number text, epoch_before bigint) language sql security definer set search_path = public, pg_temp as $$
  select * from set_license_status(p_tenant, p_license, 'suspended', array['active'])
$$;
create function resume_license(p_tenant uuid, p_license uuid)
returns table (pool_id uuid, name text, number text, epoch_before bigint) language sql security definer set search_path = public, pg_temp as $$
  select * from set_license_status(p_tenant, p_license, 'active', array['suspended'])
$$;
-- For good: nothing leads back.
create function revoke_license(p_tenant uuid, p_license uuid)
returns table (pool_id uuid, name text, number text, epoch_before bigint) language sql security definer set search_path = public, pg_temp as $$
  select * from set_license_status(p_tenant, p_license, 'revoked', array['active', 'suspended'])
$$;

-- A new secret for a license; the old ones stay valid until p_old_until (now: at once). No row: no such license.
create function rotate_license_key(p_tenant uuid, p_license uuid, p_key_hmac text, p_old_until timestamptz)
returns table (pool_id uuid, name text, number text, epoch_before bigint) language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform set_config('app.tenant_id', p_tenant::text, true);
  perform lock_pools(p_tenant, p_license);
  -- The same rotation again, its answer was lost: the epoch below the present one was proved old by it.
  if exists (select from license_keys k where k.tenant_id = p_tenant and k.license_id = p_license and k.key_hmac = p_key_hmac) then
    return query
      select p.pool_id, p.name, l.number, p.epoch - 1
      from pools p join licenses l on l.tenant_id = p.tenant_id and l.license_id = p.license_id
      where p.tenant_id = p_tenant and p.license_id = p_license;
    return;
  end if;
  if not exists (select from licenses l where l.tenant_id = p_tenant and l.license_id = p_license) then return; end if;
  update license_keys k set valid_until = least(coalesce(k.valid_until, p_old_until), p_old_until)
  where k.tenant_id = p_tenant and k.license_id = p_license;
  insert into license_keys (tenant_id, license_id, key_hmac) values (p_tenant, p_license, p_key_hmac);
  insert into outbox (tenant_id, kind, payload)
  values (p_tenant, 'license.key_rotated', jsonb_build_object('license_id', p_license, 'old_until', p_old_until));
  return query
    update pools p set epoch = p.epoch + 1, changed_at = now()
    from licenses l
    where p.tenant_id = p_tenant and p.license_id = p_license and l.tenant_id = p_tenant and l.license_id = p_license
    returning p.pool_id, p.name, l.number, p.epoch - 1;
end $$;
grant execute on function resize_pool(uuid, uuid, int), kick_seat(uuid, uuid, int, boolean, text),
  suspend_license(uuid, uuid), resume_license(uuid, uuid), revoke_license(uuid, uuid),
  rotate_license_key(uuid, uuid, text, timestamptz) to admin;
