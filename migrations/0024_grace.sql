-- Machines that may go on without contact, and how many of them there are beyond the seats. An offline verifier asks nobody: whoever holds
-- a token with unexpired grace may run, also after its seat was given back, taken over or ended by somebody
-- (docs/decisions/2026-11-28-grace-is-earned.md).

-- Whose session ended while its grace was unexpired. At most one row for each machine, taken away when it is over. No reference to the
-- pool: the end of a session waits for nobody's row.
create table graces (
  tenant_id uuid not null,
  pool_id   uuid not null,
  holder    text collate "C" not null,
  until     timestamptz not null,                -- counted from its last sign of life where that is known, else from the end of its session
  primary key (tenant_id, pool_id, holder)
);
alter table graces enable row level security;
alter table graces force row level security;
create policy own_tenant on graces
  using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
  with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid);
grant select on graces to admin;

alter table pools
  add grace_before bigint not null default 0,    -- who holds its seat since later (Unix ms) has no grace; 0: there is some for everybody
  add grace_told   int not null default 0;       -- machines with grace beyond the seats that were told of last

-- How long a seat must be held to have lived through so many heartbeats: a quarter of the lease for each (core/src/domain/lease.rs).
create function lived_through(p_lease_ms bigint, p_heartbeats int) returns interval language sql immutable parallel safe as $$
  select make_interval(secs => p_lease_ms / 4 * p_heartbeats / 1000.0)
$$;

-- Keeps the grace of whoever's session ends, by whatever move. Its seat still names its holder then: sessions are ended before their seat
-- is freed. Released ones count too: the machine may have kept its token, and nobody who verifies it could know.
create function keep_grace() returns trigger language plpgsql security definer set search_path = public, pg_temp as $$
declare l record; seen timestamptz; ends timestamptz;
begin
  select i.offline_policy as policy, i.grace_hours, i.expires_at, i.grace_after_heartbeats as after, p.lease_ms, p.grace_before,
    case when s.holder = new.holder then s.held_since end as held_since
  into l
  from public.pools p
  cross join public.licenses i
  left join public.seats s on s.tenant_id = new.tenant_id and s.pool_id = new.pool_id and s.seat_no = new.seat_no
  where p.tenant_id = new.tenant_id and p.pool_id = new.pool_id and i.tenant_id = new.tenant_id and i.license_id = new.license_id;
  if l.policy is distinct from 'grace' then return new; end if;
  -- When nobody knows when it was heard of last, it may have been now.
  seen := case when new.last_seen_at > old.last_seen_at then new.last_seen_at else greatest(new.ended_at, new.last_seen_at) end;
  -- Redis decided by its own times, a little before ours.
  if seen - coalesce(l.held_since, new.started_at) + make_interval(secs => l.lease_ms / 72000.0)
    < public.lived_through(l.lease_ms, l.after) then return new; end if;
  -- As many as the license allows had some already: its tokens carried none.
  if l.grace_before > 0 and public.unix_ms(coalesce(l.held_since, new.started_at)) > l.grace_before then return new; end if;
  -- No certificate allows more than a week (core/src/signer/delegated.rs).
  ends := least(seen + make_interval(hours => least(l.grace_hours, 168)), l.expires_at);
  if ends > new.ended_at then
    insert into public.graces as g (tenant_id, pool_id, holder, until) values (new.tenant_id, new.pool_id, new.holder, ends)
    on conflict (tenant_id, pool_id, holder) do update set until = greatest(g.until, excluded.until);
  end if;
  return new;
end $$;
create trigger keep_grace before update of ended_at on sessions_open for each row
  when (old.ended_at is null and new.ended_at is not null) execute function keep_grace();

-- Machines of a pool that may go on without contact: those whose session ended within their grace and those that hold a seat and have earned
-- it, less those that are both. No join of all seats with all graces: each part is one walk along an index.
create function machines_on_grace(p_tenant uuid, p_pool uuid) returns int language plpgsql stable
set search_path = public, pg_temp as $$
declare l record; ended int; seated int; twice int;
begin
  select i.offline_policy as policy, now() - public.lived_through(p.lease_ms, i.grace_after_heartbeats) as latest,
    case when p.grace_before > 0 then to_timestamp(p.grace_before / 1000.0) else 'infinity' end as before
  into l
  from public.pools p join public.licenses i on i.tenant_id = p.tenant_id and i.license_id = p.license_id
  where p.tenant_id = p_tenant and p.pool_id = p_pool;
  select count(*) into ended from public.graces g where g.tenant_id = p_tenant and g.pool_id = p_pool and g.until > now();
  if l.policy is distinct from 'grace' then return ended; end if;
  l.latest := least(l.latest, l.before);
  select count(*) into seated from public.seats s
  where s.tenant_id = p_tenant and s.pool_id = p_pool and s.holder is not null and s.held_since <= l.latest;
  select count(*) into twice from public.graces g
  where g.tenant_id = p_tenant and g.pool_id = p_pool and g.until > now() and exists (
    select from public.seats s where s.tenant_id = p_tenant and s.pool_id = p_pool and s.holder = g.holder and s.held_since <= l.latest);
  return ended + seated - twice;
end $$;
grant execute on function machines_on_grace(uuid, uuid), lived_through(bigint, int) to admin;

-- Counts the grace of a pool at a sweep: forgets what is over, tells where more machines than seats have some, and answers from when on a
-- holder is too young to be given any (Unix ms, 0: nobody is). Told are 1, 2, 4, 8, … beyond the seats, and anew once there was none.
-- The bound looks ahead: whoever sits down now has no grace before the next sweep has counted it in, as long as sweeps come more often than
-- grace is earned. Who has a row keeps its place whether it is seated or not.
create function count_grace(p_tenant uuid, p_pool uuid, out grace_before bigint) language plpgsql security definer
set search_path = public, pg_temp as $$
declare
  pool public.pools; license public.licenses; ended int; machines int; beyond int; places bigint; first_without timestamptz; told int;
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
      and not exists (select from public.graces g where g.tenant_id = p_tenant and g.pool_id = p_pool and g.holder = s.holder)
    order by s.held_since, s.seat_no offset greatest(places, 0) limit 1;
    -- Redis's time of a grant is a little before ours: who came within a second of the first who has none has none either.
    if first_without is not null then grace_before := public.unix_ms(first_without) - 1000; end if;
    -- There are more than the license allows, since it allows fewer than before: none is renewed until they are fewer.
    if places < 0 then grace_before := 1; end if;
  end if;
  if grace_before > 0 and (pool.grace_before = 0 or grace_before < pool.grace_before) then
    -- Who had earned some when the line was drawn has it for as long as it was signed.
    insert into public.graces as g (tenant_id, pool_id, holder, until)
    select p_tenant, p_pool, s.holder, least(now() + make_interval(hours => least(license.grace_hours, 168)), license.expires_at)
    from public.seats s
    where s.tenant_id = p_tenant and s.pool_id = p_pool and s.holder is not null
      and s.held_since <= now() - public.lived_through(pool.lease_ms, license.grace_after_heartbeats)
      and public.unix_ms(s.held_since) > grace_before and (pool.grace_before = 0 or public.unix_ms(s.held_since) <= pool.grace_before)
    on conflict (tenant_id, pool_id, holder) do update set until = greatest(g.until, excluded.until);
    ended := ended + 1; -- so that they are counted below
  end if;
  if pool.grace_before <> grace_before then
    update public.pools p set grace_before = count_grace.grace_before where p.tenant_id = p_tenant and p.pool_id = p_pool;
  end if;
  -- Where everybody who has grace holds a seat there are no more of them than seats.
  machines := case when ended > 0 then public.machines_on_grace(p_tenant, p_pool) else 0 end;
  beyond := greatest(machines - pool.seats_total - pool.surplus, 0);
  told := case when beyond = 0 then 0 when beyond >= greatest(2 * pool.grace_told, 1) then beyond else pool.grace_told end;
  if told <> pool.grace_told then
    update public.pools p set grace_told = told where p.tenant_id = p_tenant and p.pool_id = p_pool;
    if told > 0 then
      insert into public.outbox (tenant_id, kind, payload) values (p_tenant, 'grace.exceeded', jsonb_build_object(
        'license_id', pool.license_id, 'pool_id', p_pool, 'machines', machines, 'seats', pool.seats_total + pool.surplus, 'beyond', beyond,
        'bound', license.grace_beyond_seats));
    end if;
  end if;
end $$;
-- Which pools are to be counted.
grant select (offline_policy) on licenses to reaper;
grant select (grace_told) on pools to reaper;
grant execute on function count_grace(uuid, uuid) to reaper;
