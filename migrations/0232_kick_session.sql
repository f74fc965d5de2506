-- Ends the seat of one session as kick_seat does, if the session still is open once the seat is locked: between
-- somebody's look and their kick the seat may have changed hands, and nobody else's is kicked. An open session's seat
-- is its own.
--   p_own    only if every open session of the seat claims this person; null: whoever they are
--   p_force  no quarantine; of a session that was kicked before, the quarantine it left behind is lifted
-- outcome: KICKED, OVER (it had ended before), SHARED (somebody else's processes are on the seat), null: no such
-- session. epoch: the pool's now; every older copy is stale.
create function kick_session(p_tenant uuid, p_session uuid, p_own text, p_force boolean, p_by text,
  out outcome text, out epoch bigint)
language plpgsql security definer set search_path = public, pg_temp as $$
declare session sessions; held timestamptz;
begin
  perform set_config('app.tenant_id', p_tenant::text, true);
  select * into session from sessions s where s.tenant_id = p_tenant and s.session_id = p_session;
  if not found then return; end if;
  perform pg_advisory_xact_lock(pool_lock(session.pool_id));
  select s.hold_until into held from seats s
  where s.tenant_id = p_tenant and s.pool_id = session.pool_id and s.seat_no = session.seat_no for update;
  -- Statements of their own, so that they see what whoever held the locks has written.
  select * into session from sessions s where s.tenant_id = p_tenant and s.session_id = p_session;
  if session.ended_at is not null then
    outcome := 'OVER';
    -- A kick writes one time into both: this quarantine is this session's and no later one's.
    if p_force and session.end_reason = 'kicked' and held = session.ended_at then outcome := 'KICKED'; end if;
  elsif p_own is not null and exists (
    select from sessions s
    where s.tenant_id = p_tenant and s.pool_id = session.pool_id and s.seat_no = session.seat_no and s.ended_at is null
      and s.person is distinct from p_own)
  then outcome := 'SHARED';
  else outcome := 'KICKED';
  end if;
  if outcome = 'KICKED' then perform kick_seat(p_tenant, session.pool_id, session.seat_no, p_force, p_by); end if;
  select p.epoch into epoch from pools p where p.tenant_id = p_tenant and p.pool_id = session.pool_id;
end $$;
revoke execute on function kick_session from public;
grant execute on function kick_session to admin;
