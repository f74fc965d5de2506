-- What a session is that Redis does not know. GONE with its reason, or EPOCH_STALE where Redis spoke for an old copy.
-- An open session of the current epoch is over (Redis counts it out): it ends here, in the same step, so that no later
-- rebuild revives what its client was told is gone.
create function resolve_session(p_tenant uuid, p_pool uuid, p_seat int, p_session uuid,
  p_epoch bigint, out outcome text, out reason text)
language plpgsql security definer set search_path = public, pg_temp as $$
declare pool pools; ended text; since timestamptz := could_have_ended(p_session);
begin
  perform set_config('app.tenant_id', p_tenant::text, true);
  perform pg_advisory_xact_lock_shared(pool_lock(p_pool));
  select * into pool from pools p where p.tenant_id = p_tenant and p.pool_id = p_pool;
  perform 1 from seats s where s.tenant_id = p_tenant and s.pool_id = p_pool and s.seat_no = p_seat for update;
  outcome := 'GONE';
  reason := 'unknown'; -- never was, or was forgotten when its month was over
  -- Of this pool, whose lock and seat are held: a session of another one is nobody's to end here.
  perform from sessions s
  where s.tenant_id = p_tenant and s.session_id = p_session and s.ended_at is null
    and s.pool_id is not distinct from p_pool;
  if not found then
    select s.end_reason into ended from sessions s
    where s.tenant_id = p_tenant and s.session_id = p_session and s.ended_at >= since;
    reason := coalesce(ended, reason);
    return;
  end if;
  if pool.epoch is distinct from p_epoch then
    outcome := 'EPOCH_STALE';
    return;
  end if;
  update sessions s set ended_at = now(), end_reason = 'expired'
  where s.tenant_id = p_tenant and s.session_id = p_session and s.ended_at is null
    and s.pool_id is not distinct from p_pool;
  reason := 'expired';
end $$;
revoke execute on function resolve_session from public;
grant execute on function resolve_session to service;
