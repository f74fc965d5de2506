-- Writes down that seats and sessions ended, as RELEASE and REAP decided it.
--   p_seats, p_seqs, p_seen             seats to vacate, their tickets, when their holders were last heard of
--   p_session_seats, p_sessions, …      single sessions that lapsed on a seat which lives on
--   p_released                          sessions whose owner asked: ended by id, whatever ticket or epoch say
-- stale: the epoch is not the pool's, only p_released was applied. done: seats whose FREE may run; gone: those of them
-- retired. released_at: when the released sessions ended, now or before.
create function end_seats(
  p_tenant uuid, p_pool uuid, p_epoch bigint, p_reason text,
  p_seats int[], p_seqs bigint[], p_seen timestamptz[],
  p_session_seats int[], p_sessions uuid[], p_session_seqs bigint[], p_session_seen timestamptz[],
  p_released uuid[],
  out stale boolean, out done int[], out gone int[], out released_at timestamptz
) language plpgsql security definer set search_path = public, pg_temp as $$
declare
  pool pools; seat seats; draining boolean; seat_number int; released uuid; since timestamptz; ended timestamptz;
  touched int[]; retiring int[] := '{}'; remaining int[] := '{}'; claim record;
  applied int[] := '{}'; applied_seqs bigint[] := '{}'; applied_seen timestamptz[] := '{}';
  applied_holders text[] := '{}';
begin
  if p_reason is null or p_reason not in ('released', 'expired') then
    raise exception 'a seat is given back or runs out, nothing else: %', p_reason using errcode = '22023';
  end if;
  perform set_config('app.tenant_id', p_tenant::text, true);
  select p.surplus > 0 into draining from pools p where p.tenant_id = p_tenant and p.pool_id = p_pool;
  -- The mode is chosen before the lock: raising a shared lock later could deadlock. surplus rises only together with
  -- the epoch.
  if draining then
    perform pg_advisory_xact_lock(pool_lock(p_pool));
  else
    perform pg_advisory_xact_lock_shared(pool_lock(p_pool));
  end if;
  select * into pool from pools p where p.tenant_id = p_tenant and p.pool_id = p_pool;
  stale := pool.epoch is distinct from p_epoch;

  -- Row by row, each by its whole key. Joined to a list, a pool's hundred thousand seats look cheaper to read whole
  -- than a few by key, as long as nobody has counted them.
  touched := p_seats || p_session_seats;
  foreach released in array p_released loop
    select s.seat_no into seat_number from sessions s
    where s.tenant_id = p_tenant and s.session_id = released and s.ended_at is null
      and s.pool_id is not distinct from p_pool;
    if found then touched := touched || seat_number; end if;
  end loop;
  for seat_number in select distinct t.seat_no from unnest(touched) t (seat_no) order by t.seat_no loop
    perform from seats s where s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = seat_number for update;
  end loop;

  foreach released in array p_released loop
    update sessions s set ended_at = now(), end_reason = 'released', last_seen_at = now()
    where s.tenant_id = p_tenant and s.session_id = released and s.ended_at is null
      and s.pool_id is not distinct from p_pool
      and s.seat_no = any (touched); -- a session never changes its seat: this one's is locked
    if found then
      released_at := now();
    else
      since := could_have_ended(released);
      select s.ended_at into ended from sessions s
      where s.tenant_id = p_tenant and s.session_id = released and s.ended_at >= since;
      released_at := greatest(released_at, ended);
    end if;
  end loop;
  if stale then return; end if;

  -- From here on only those whose ticket is newer than the fence. A ticket equal to the fence was applied before and
  -- its answer lost: FREE may run, as it may for the newer ones in a moment.
  done := '{}';
  gone := '{}';
  for claim in select * from unnest(p_seats, p_seqs, p_seen) as t (seat_no, seq, seen) loop
    select * into seat from seats s where s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = claim.seat_no;
    continue when not found or (seat.fence_epoch, seat.fence_seq) > (p_epoch, claim.seq);
    done := done || claim.seat_no;
    if seat.retired then gone := gone || claim.seat_no; end if;
    if (seat.fence_epoch, seat.fence_seq) < (p_epoch, claim.seq) then
      applied := applied || claim.seat_no;
      applied_seqs := applied_seqs || claim.seq;
      applied_seen := applied_seen || seen_at(claim.seen);
      applied_holders := applied_holders || seat.holder;
      if not seat.retired then remaining := remaining || claim.seat_no; end if;
    end if;
  end loop;
  if pool.surplus > 0 and cardinality(applied) > 0 then
    retiring := array(select t.seat_no from unnest(remaining) t (seat_no) order by t.seat_no desc limit pool.surplus);
    gone := gone || retiring;
    update pools p set surplus = p.surplus - cardinality(retiring) where p.tenant_id = p_tenant and p.pool_id = p_pool;
  end if;
  for claim in
    select * from unnest(applied, applied_seqs, applied_seen, applied_holders) as t (seat_no, seq, seen, holder)
  loop
    update sessions s set ended_at = now(), end_reason = 'expired', last_seen_at = greatest(s.last_seen_at, claim.seen)
    where s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = claim.seat_no and s.ended_at is null;
    -- Whoever it was: a holder that Redis gave the seat to may never have been written down.
    if claim.holder is not null then
      insert into outbox (tenant_id, kind, payload) values (p_tenant, 'seat.freed', jsonb_build_object(
        'license_id', pool.license_id, 'pool_id', p_pool, 'seat', claim.seat_no, 'from', claim.holder,
        'reason', p_reason));
    end if;
    -- The fence rises even on an empty row: a paused grant of an older ticket must not commit afterwards.
    update seats s
    set holder = null, held_since = null, hold_until = null, hold_epoch = null, kind = 'float', lease_until = null,
        fence_epoch = p_epoch, fence_seq = claim.seq, retired = s.retired or s.seat_no = any (retiring)
    where s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = claim.seat_no;
  end loop;
  -- Seen by the next sweep although nobody holds a seat any more. Once a minute, by whoever comes first: nobody waits
  -- for another's row.
  if cardinality(applied) > 0 and coalesce(pool.used_at < now() - interval '1 minute', true) then
    perform 1 from pools p
    where p.tenant_id = p_tenant and p.pool_id = p_pool and coalesce(p.used_at < now() - interval '1 minute', true)
    for no key update skip locked;
    if found then
      update pools p set used_at = now() where p.tenant_id = p_tenant and p.pool_id = p_pool;
    end if;
  end if;

  for claim in
    select * from unnest(p_session_seats, p_sessions, p_session_seqs, p_session_seen) as t (seat_no, id, seq, seen)
  loop
    update seats s set fence_epoch = p_epoch, fence_seq = claim.seq
    where s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = claim.seat_no
      and (s.fence_epoch, s.fence_seq) < (p_epoch, claim.seq);
    update sessions s set ended_at = now(), end_reason = 'expired',
      last_seen_at = greatest(s.last_seen_at, seen_at(claim.seen))
    where s.tenant_id = p_tenant and s.session_id = claim.id and s.ended_at is null
      and s.seat_no is not distinct from claim.seat_no
      and s.pool_id is not distinct from p_pool;
  end loop;
end $$;
revoke execute on function end_seats from public;
grant execute on function end_seats to reaper, service;
