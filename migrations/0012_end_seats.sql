-- Writes down that seats and sessions ended, as RELEASE and REAP decided it.
--   p_seats, p_seqs, p_seen             seats to vacate, their tickets, when their holders were last heard of
--   p_session_seats, p_sessions, …      single sessions that lapsed on a seat which lives on
--   p_released                          sessions whose owner asked: ended by id, whatever ticket or epoch say
-- stale: the epoch is not the pool's, only p_released was applied. done: seats whose FREE may run; gone: those of them retired.
-- released_at: when the released sessions ended, now or before.
create function end_seats(
  p_tenant uuid, p_pool uuid, p_epoch bigint, p_reason text,
  p_seats int[], p_seqs bigint[], p_seen timestamptz[],
  p_session_seats int[], p_sessions uuid[], p_session_seqs bigint[], p_session_seen timestamptz[],
  p_released uuid[],
  out stale boolean, out done int[], out gone int[], out released_at timestamptz
) language plpgsql as $$
declare
  pool pools; draining boolean; touched int[]; retiring int[] := '{}';
  applied int[]; applied_seqs bigint[]; applied_seen timestamptz[]; applied_holders text[];
begin
  perform set_config('app.tenant_id', p_tenant::text, true);
  select p.surplus > 0 into draining from pools p where p.tenant_id = p_tenant and p.pool_id = p_pool;
  -- The mode is chosen before the lock: raising a shared lock later could deadlock. surplus rises only together with the epoch.
  if draining then
    perform pg_advisory_xact_lock(pool_lock(p_pool));
  else
    perform pg_advisory_xact_lock_shared(pool_lock(p_pool));
  end if;
  select * into pool from pools p where p.tenant_id = p_tenant and p.pool_id = p_pool;
  stale := pool.epoch is distinct from p_epoch;

  -- A session never changes its seat. The numbers come first: an "or" over both tables would read every seat of the pool.
  touched := p_seats || p_session_seats || array(
    select s.seat_no from sessions s where s.tenant_id = p_tenant and s.pool_id = p_pool and s.session_id = any (p_released));
  perform 1 from seats s
  where s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = any (touched)
  order by s.seat_no for update;

  update sessions s set ended_at = now(), end_reason = 'released', last_seen_at = now()
  where s.tenant_id = p_tenant and s.pool_id = p_pool and s.session_id = any (p_released) and s.ended_at is null
    and s.seat_no = any (touched); -- says nothing new, but which index to read
  select max(s.ended_at) into released_at from sessions s where s.tenant_id = p_tenant and s.session_id = any (p_released);
  if stale then return; end if;

  -- From here on only those whose ticket is newer than the fence. Lists are joined, not searched: a sweep ends a thousand at once.
  -- A ticket equal to the fence was applied before and its answer lost: FREE may run, as it may for the newer ones in a moment.
  select array_agg(t.k), array_agg(t.k) filter (where t.retired), array_agg(t.k) filter (where t.newer), array_agg(t.seq) filter (where t.newer),
    array_agg(t.seen) filter (where t.newer), array_agg(t.holder) filter (where t.newer)
  into done, gone, applied, applied_seqs, applied_seen, applied_holders
  from (
    select t.k, t.seq, t.seen, s.holder, s.retired, (s.fence_epoch, s.fence_seq) < (p_epoch, t.seq) as newer
    from unnest(p_seats, p_seqs, p_seen) as t (k, seq, seen)
    join seats s on s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = t.k
    where (s.fence_epoch, s.fence_seq) <= (p_epoch, t.seq)) t;
  done := coalesce(done, '{}');
  gone := coalesce(gone, '{}');
  if applied is not null then
    if pool.surplus > 0 then
      retiring := array(
        select s.seat_no from seats s
        where s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = any (applied) and not s.retired
        order by s.seat_no desc limit pool.surplus);
      gone := gone || retiring;
      update pools p set surplus = p.surplus - cardinality(retiring) where p.tenant_id = p_tenant and p.pool_id = p_pool;
    end if;
    update sessions s set ended_at = now(), end_reason = 'expired', last_seen_at = greatest(s.last_seen_at, t.seen)
    from unnest(applied, applied_seen) as t (k, seen)
    where s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = t.k and s.ended_at is null;
    -- Whoever it was: a holder that Redis gave the seat to may never have been written down.
    insert into outbox (tenant_id, kind, payload)
    select p_tenant, 'seat.freed', jsonb_build_object(
      'license_id', pool.license_id, 'pool_id', p_pool, 'seat', t.k, 'from', t.holder, 'reason', p_reason)
    from unnest(applied, applied_holders) as t (k, holder)
    where t.holder is not null;
    -- The fence rises even on an empty row: a paused grant of an older ticket must not commit afterwards.
    update seats s
    set holder = null, held_since = null, hold_until = null, kind = 'float', lease_until = null,
        fence_epoch = p_epoch, fence_seq = t.seq, retired = s.retired or s.seat_no = any (retiring)
    from unnest(applied, applied_seqs) as t (k, seq)
    where s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = t.k;
    -- Seen by the next sweep although nobody holds a seat any more. Once a minute, by whoever comes first: nobody waits for another's row.
    if pool.used_at is null or pool.used_at < now() - interval '1 minute' then
      perform 1 from pools p
      where p.tenant_id = p_tenant and p.pool_id = p_pool and (p.used_at is null or p.used_at < now() - interval '1 minute')
      for no key update skip locked;
      if found then
        update pools p set used_at = now() where p.tenant_id = p_tenant and p.pool_id = p_pool;
      end if;
    end if;
  end if;

  if cardinality(p_sessions) = 0 then return; end if;
  update seats s set fence_epoch = p_epoch, fence_seq = t.seq
  from (select k, max(seq) as seq from unnest(p_session_seats, p_session_seqs) as u (k, seq) group by k) as t
  where s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = t.k and (s.fence_epoch, s.fence_seq) < (p_epoch, t.seq);
  update sessions s set ended_at = now(), end_reason = 'expired', last_seen_at = greatest(s.last_seen_at, t.seen)
  from unnest(p_session_seats, p_sessions, p_session_seen) as t (k, id, seen)
  where s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = t.k and s.session_id = t.id and s.ended_at is null;
end $$;
grant execute on function end_seats(uuid, uuid, bigint, text, int[], bigint[], timestamptz[], int[], uuid[], bigint[], timestamptz[], uuid[])
  to service, reaper;
