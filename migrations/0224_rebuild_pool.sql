-- Begins a rebuild: a new epoch, and everything Redis must know, read under it. Waits for grants under way (they share
-- the pool's lock). No row: no such pool. Times are Unix milliseconds, 0 for none.
--   p_frozen          the epoch of the copy that nobody is answered from any more
--   p_lease, p_drain  what the new copy gives leases of, and how long a deposed primary may answer, ms
-- previous_epoch: of the rebuild before, whoever began it. lease: the longest that may be out, p_lease or a longer one
-- given before. A service that gives longer ones than a copy was made for takes it for cold, so no lease is given that
-- is not known here.
create function rebuild_pool(p_tenant uuid, p_pool uuid, p_frozen bigint, p_lease bigint, p_drain bigint)
returns table (
  epoch bigint, previous_epoch bigint, lease bigint, seats_total int, status text, status_since bigint,
  not_before bigint, expires bigint, opens bigint, holder_by text, processes int, grace_before bigint,
  key_hmacs text, product text, facts jsonb,
  seat_nos int[], holders text[], held_since bigint[], hold_epochs bigint[],         -- seats not retired, in order
  session_ids uuid[], session_attempts uuid[], session_seats int[], session_labels text[] -- open sessions
) language plpgsql security definer set search_path = public, pg_temp as $$
declare
  pool pools; license licenses;
begin
  -- Every seat that is free may wait for as long as p_lease and p_drain say: no longer than the longest that a service
  -- can be set to (a day, an hour: functions/src/edge/config/seats.rs). An epoch that jumps far is the way to the last one
  -- there is, after which no rebuild could begin.
  if p_lease is null or p_lease not between 1 and 86400000 or p_drain is null or p_drain not between 0 and 3600000 then
    raise exception 'no service gives leases of % ms and drains for % ms', p_lease, p_drain using errcode = '22023';
  end if;
  perform set_config('app.tenant_id', p_tenant::text, true);
  perform pg_advisory_xact_lock(pool_lock(p_pool));
  select * into pool from pools p where p.tenant_id = p_tenant and p.pool_id = p_pool;
  if not found then return; end if;
  if p_frozen is null or p_frozen not between 0 and pool.epoch + 10000000 then
    raise exception using errcode = '22023', message = format(
      'the copy of this pool in Redis says it is of epoch %s, far ahead of the records with %s: '
      'delete its keys from Redis', p_frozen, pool.epoch);
  end if;
  previous_epoch := pool.rebuilt_epoch;
  if p_frozen <> pool.rebuilt_epoch then
    -- The latest copy may not be gone (a rebuild that came too late bumped the epoch and made none): it may have given
    -- its leases until now.
    if pool.longer_ms > 0 then
      pool.longer_until := greatest(pool.longer_until,
        now() + make_interval(secs => (pool.longer_ms + p_drain) / 1000.0));
    end if;
  elsif pool.longer_until <= now() then
    pool.longer_ms := 0;
    pool.longer_until := null;
  end if;
  if pool.lease_ms > p_lease then
    pool.longer_ms := greatest(pool.longer_ms, pool.lease_ms);
    pool.longer_until := greatest(pool.longer_until, now() + make_interval(secs => (pool.lease_ms + p_drain) / 1000.0));
  end if;
  lease := greatest(p_lease, pool.longer_ms);
  -- Records that lost what was committed latest find a copy from ahead of them. It is of another history: no epoch is
  -- counted up to its own, where it would be taken for the latest.
  update pools p
  set epoch = greatest(p.epoch, p_frozen) + 1, rebuilt_epoch = greatest(p.epoch, p_frozen) + 1,
    lease_ms = p_lease, longer_ms = pool.longer_ms, longer_until = pool.longer_until
  where p.tenant_id = p_tenant and p.pool_id = p_pool
  returning * into pool;
  select * into license from licenses l where l.tenant_id = p_tenant and l.license_id = pool.license_id;
  epoch := pool.epoch;
  seats_total := pool.seats_total;
  status := pool.status;
  status_since := unix_ms(license.status_since);
  not_before := unix_ms(license.not_before);
  expires := unix_ms(license.expires_at);
  opens := unix_ms(pool.opens_at);
  holder_by := license.holder_by;
  processes := license.processes_per_seat;
  grace_before := pool.grace_before;
  product := license.product;
  select coalesce(string_agg(k.key_hmac || ':' || unix_ms(k.valid_until), ' '), '') into key_hmacs
  from license_keys k
  where k.tenant_id = p_tenant and k.license_id = license.license_id
    and (k.valid_until is null or k.valid_until > now());
  facts := license_facts(license, pool.seats_total);
  -- Sorted once: every array of a query is filled row by row in the same order.
  select array_agg(s.seat_no), array_agg(s.holder), array_agg(unix_ms(s.held_since)),
         array_agg(coalesce(s.hold_epoch, -1))
  into seat_nos, holders, held_since, hold_epochs
  from (select * from seats s
    where s.tenant_id = p_tenant and s.pool_id = p_pool and not s.retired order by s.seat_no) s;
  select array_agg(s.session_id), array_agg(s.attempt), array_agg(s.seat_no), array_agg(s.label)
  into session_ids, session_attempts, session_seats, session_labels
  from (select * from sessions s
    where s.tenant_id = p_tenant and s.pool_id = p_pool and s.ended_at is null order by s.session_id) s;
  return next;
end $$;
revoke execute on function rebuild_pool from public;
grant execute on function rebuild_pool to admin, reaper, service;
