-- Ends every session on a seat and frees it. Without p_force the seat stays free until a lease that started at the next
-- rebuild is over: the kicked client may believe until then. epoch_before null: no such pool or seat.
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
revoke execute on function kick_seat from public;
grant execute on function kick_seat to admin;
