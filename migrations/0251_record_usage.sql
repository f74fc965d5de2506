-- Writes down how a pool was used in the minutes that are told (MinuteUsage in core/src/domain/usage.rs), each of them
-- once: those that were told before are passed over, and those of a clock that is far from PostgreSQL's. Answers how many
-- were new. What was used is told in an event too. What the event says of the pool itself is taken from the records.
create function record_usage(p_tenant uuid, p_pool uuid, p_told jsonb) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  pool pools; license_number text; written int; fullest int; refusals bigint;
  -- Behind: what waited for a reaper, and for a pool's next use. Ahead: the drift of a clock.
  first_minute constant bigint := extract(epoch from now() - interval '8 days') / 60;
  this_minute constant bigint := extract(epoch from now()) / 60;
  last_minute constant bigint := extract(epoch from now() + interval '1 day') / 60;
begin
  if jsonb_typeof(p_told) is distinct from 'array' or jsonb_array_length(p_told) not between 1 and 100 then
    raise exception 'the use of a pool is told as 1 to 100 entries' using errcode = '22023';
  end if;
  if exists (select from jsonb_to_recordset(p_told)
      as t (minute bigint, count int, held int, peak int, total int, denied bigint, refused bigint, seen boolean)
    where (minute >= 0 and count between 1 and 10080 and held between 0 and peak and peak <= 1000000
      and total between 0 and 1000000 and refused between 0 and denied and seen is not null) is not true) then
    raise exception 'no pool is used like this: %', p_told using errcode = '22023';
  end if;
  perform set_config('app.tenant_id', p_tenant::text, true);
  -- Nothing is decided about a seat, so the pool's lock is not needed. Where two sweeps tell one minute, the second waits
  -- at its row, and finds it there.
  select * into pool from pools p where p.tenant_id = p_tenant and p.pool_id = p_pool;
  if not found then return 0; end if;
  select l.number into license_number from licenses l
  where l.tenant_id = p_tenant and l.license_id = pool.license_id;

  with told as (
    select entry, n as minute, to_timestamp(n * 60) as at, held, peak, total, denied, refused, seen
    from rows from (jsonb_to_recordset(p_told)
        as (minute bigint, count int, held int, peak int, total int, denied bigint, refused bigint, seen boolean))
      with ordinality as t (minute, count, held, peak, total, denied, refused, seen, entry)
    cross join lateral generate_series(t.minute, t.minute + t.count - 1) n
    -- A last minute that has not come was told by a clock that was ahead.
    where (n > pool.counted_minute or pool.counted_minute > this_minute + 5) and n between first_minute and last_minute),
  fresh as (
    insert into usage_minutes (tenant_id, pool_id, at, used, peak, total, denied, refused, seen)
    select p_tenant, p_pool, at, held, peak, total, denied, refused, seen from told
    on conflict do nothing returning *),
  in_hours as (
    insert into usage_hours as u (tenant_id, pool_id, at, minutes, seen, used_sum, total_sum, peak, total, denied,
      refused)
    select p_tenant, p_pool, date_trunc('hour', at, 'UTC'), count(*), count(*) filter (where seen), sum(used), sum(total),
      max(peak), max(total), sum(denied), sum(refused)
    from fresh group by 3
    on conflict (tenant_id, pool_id, at) do update set minutes = u.minutes + excluded.minutes,
      seen = u.seen + excluded.seen, used_sum = u.used_sum + excluded.used_sum,
      total_sum = u.total_sum + excluded.total_sum, peak = greatest(u.peak, excluded.peak),
      total = greatest(u.total, excluded.total), denied = u.denied + excluded.denied,
      refused = u.refused + excluded.refused),
  in_days as (
    insert into usage_days as u (tenant_id, pool_id, at, minutes, seen, used_sum, total_sum, peak, total, denied,
      refused)
    select p_tenant, p_pool, date_trunc('day', at, 'UTC'), count(*), count(*) filter (where seen), sum(used), sum(total),
      max(peak), max(total), sum(denied), sum(refused)
    from fresh group by 3
    on conflict (tenant_id, pool_id, at) do update set minutes = u.minutes + excluded.minutes,
      seen = u.seen + excluded.seen, used_sum = u.used_sum + excluded.used_sum,
      total_sum = u.total_sum + excluded.total_sum, peak = greatest(u.peak, excluded.peak),
      total = greatest(u.total, excluded.total), denied = u.denied + excluded.denied,
      refused = u.refused + excluded.refused),
  events as (
    insert into outbox (tenant_id, kind, payload)
    select p_tenant, 'usage', jsonb_build_object(
      'license', license_number, 'pool_id', p_pool, 'pool', pool.name, 'minute', min(t.minute), 'minutes', count(*),
      'held', t.held, 'peak', t.peak, 'total', t.total, 'denied', t.denied, 'refused', t.refused,
      'seen', t.seen)
    from told t join fresh f on f.at = t.at
    where t.held > 0 or t.peak > 0 or t.denied > 0
    group by t.entry, t.held, t.peak, t.total, t.denied, t.refused, t.seen order by min(t.minute))
  select count(*), max(f.used::bigint * 100 / nullif(f.total, 0)), sum(f.refused) into written, fullest, refusals
  from fresh f;
  -- Whoever wants to be told of a pool that is used so much, or that was full when a seat was wanted.
  if fullest > 0 or refusals > 0 then
    perform wake_alert_rules(p_tenant, array_remove(array[case when fullest > 0 then 'pool_use' end,
      case when refusals > 0 then 'wants_refused' end], null), pool.license_id, fullest);
  end if;

  -- Every use up to the last of these minutes is told now: no sweep need look at the pool for it again. used_at may be a
  -- minute older than the last use, which Redis may have counted a minute later, by a clock that is not this one.
  update pools p set counted_minute = latest.minute,
    used_at = case when extract(epoch from p.used_at) + 180 <= (latest.minute + 1) * 60
      -- Who waits for a seat of it is told of too, until it is over.
      and not exists (select from denials d where d.tenant_id = p_tenant and d.pool_id = p_pool and d.ended_at is null
        and d.at >= now() - interval '100 days') then null else p.used_at end
  from (select max(minute + count - 1) as minute from jsonb_to_recordset(p_told) as t (minute bigint, count int)
    where minute + count - 1 <= last_minute) latest
  where p.tenant_id = p_tenant and p.pool_id = p_pool and written > 0 and latest.minute is not null;
  return written;
end $$;
revoke execute on function record_usage from public;
grant execute on function record_usage to reaper;
