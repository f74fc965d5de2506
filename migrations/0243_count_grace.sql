-- Counts the grace of a pool at a sweep: forgets what is over, tells where more machines than seats have some, and
-- answers from when on a holder is too young to be given any (Unix ms, 0: nobody is). Told are 1, 2, 4, 8, … beyond the
-- seats, and anew once there was none. The bound looks ahead: whoever sits down now has no grace before the next sweep
-- has counted it in, as long as sweeps come more often than grace is earned. Who has a row keeps its place whether it
-- is seated or not.
create function count_grace(p_tenant uuid, p_pool uuid, out grace_before bigint) language plpgsql security definer
set search_path = public, pg_temp as $$
declare
  pool public.pools; license public.licenses; ended int; machines int; beyond int; places bigint; told int;
  first_without timestamptz;
begin
  perform set_config('app.tenant_id', p_tenant::text, true);
  select * into pool from public.pools p where p.tenant_id = p_tenant and p.pool_id = p_pool;
  select * into license from public.licenses l where l.tenant_id = p_tenant and l.license_id = pool.license_id;
  grace_before := 0;
  if pool.pool_id is null then return; end if;
  delete from public.graces g where g.tenant_id = p_tenant and g.pool_id = p_pool and g.until <= now();
  select count(*) into ended from public.graces g where g.tenant_id = p_tenant and g.pool_id = p_pool;
  if license.offline_policy = 'grace' and license.grace_beyond_seats is not null then
    places := pool.seats_total + pool.surplus + license.grace_beyond_seats::bigint - ended;
    select s.held_since into first_without from public.seats s
    where s.tenant_id = p_tenant and s.pool_id = p_pool and s.holder is not null
      and not exists (select from public.graces g
        where g.tenant_id = p_tenant and g.pool_id = p_pool and g.holder = s.holder)
    order by s.held_since, s.seat_no offset greatest(places, 0) limit 1;
    -- Redis's time of a grant is a little before ours: who came within a second of the first who has none has none
    -- either.
    if first_without is not null then grace_before := public.unix_ms(first_without) - 1000; end if;
    -- There are more than the license allows, since it allows fewer than before: none is renewed until they are fewer.
    if places < 0 then grace_before := 1; end if;
  end if;
  if grace_before > 0 and (pool.grace_before = 0 or grace_before < pool.grace_before) then
    -- Who had earned some when the line was drawn has it for as long as it was signed.
    insert into public.graces as g (tenant_id, pool_id, holder, until)
    select p_tenant, p_pool, s.holder,
      least(now() + make_interval(hours => least(license.grace_hours, 168)), license.expires_at)
    from public.seats s
    where s.tenant_id = p_tenant and s.pool_id = p_pool and s.holder is not null
      and s.held_since <= now() - public.lived_through(pool.lease_ms, license.grace_after_heartbeats)
      and public.unix_ms(s.held_since) > grace_before
      and (pool.grace_before = 0 or public.unix_ms(s.held_since) <= pool.grace_before)
    on conflict (tenant_id, pool_id, holder) do update set until = greatest(g.until, excluded.until);
    ended := ended + 1; -- so that they are counted below
  end if;
  if pool.grace_before <> grace_before then
    update public.pools p set grace_before = count_grace.grace_before
    where p.tenant_id = p_tenant and p.pool_id = p_pool;
  end if;
  -- Where everybody who has grace holds a seat there are no more of them than seats.
  machines := case when ended > 0 then public.machines_on_grace(p_tenant, p_pool) else 0 end;
  beyond := greatest(machines - pool.seats_total - pool.surplus, 0);
  told := case
    when beyond = 0 then 0
    when beyond >= greatest(2 * pool.grace_told, 1) then beyond
    else pool.grace_told end;
  if told <> pool.grace_told then
    update public.pools p set grace_told = told where p.tenant_id = p_tenant and p.pool_id = p_pool;
    if told > 0 then
      insert into public.outbox (tenant_id, kind, payload) values (p_tenant, 'grace.exceeded', jsonb_build_object(
        'license_id', pool.license_id, 'pool_id', p_pool, 'machines', machines,
        'seats', pool.seats_total + pool.surplus, 'beyond', beyond, 'bound', license.grace_beyond_seats));
    end if;
  end if;
end $$;
revoke execute on function count_grace from public;
grant execute on function count_grace to reaper;
