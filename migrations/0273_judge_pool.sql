-- What became of a pool under a rule about its minutes, for judge_alert_rule: since when it is so, if an alert is to be
-- raised (raised_since, value), or why an open one is over (end_reason, with last_at, the last minute that was so). A
-- minute is bad if so much of the pool was held at its end, or if so many wants were refused within the rule's minutes
-- up to it. An alert is raised when each of as many minutes was told and bad (of refused wants: one minute). It is over
-- when none was for as many minutes, or when nothing is told any more. What is told more than ten minutes late raises
-- nothing, nor does a minute that has not come by this clock, or one up to p_last_at, the last_at of an alert that is
-- over.

-- Whether at least so many percent of a pool were held at the end of a minute.
create function is_used(p_minute usage_minutes, p_percent int) returns boolean
language sql immutable parallel safe as $$
  select p_minute.total > 0 and p_minute.used::bigint * 100 >= p_percent::bigint * p_minute.total
$$;
revoke execute on function is_used from public;

-- For a rule of the kind pool_use. Reads few minutes where the pool is not used so much, or not for long yet.
create function judge_use(p_rule alert_rules, p_pool uuid, p_is_open boolean, p_last_at timestamptz,
  out raised_since timestamptz, out value int, out newest timestamptz, out bad_at timestamptz)
language plpgsql set search_path = public, pg_temp as $$
declare
  first_at timestamptz; told bigint;
  within constant interval := make_interval(mins => p_rule.minutes - 1);
  lately constant timestamptz := now() - interval '12 minutes';
  latest constant timestamptz := now();
  earliest constant timestamptz := now() - 2 * within - interval '15 minutes';
begin
  select max(m.at), max(m.at) filter (where is_used(m, p_rule.percent)) into newest, bad_at
  from usage_minutes m
  where m.tenant_id = p_rule.tenant_id and m.pool_id = p_pool and m.at > lately and m.at <= latest;
  if p_is_open then
    if newest is null then
      select m.at into newest from usage_minutes m
      where m.tenant_id = p_rule.tenant_id and m.pool_id = p_pool and m.at > earliest and m.at <= lately
      order by m.at desc limit 1;
    end if;
    if bad_at is null then
      select m.at into bad_at from usage_minutes m
      where m.tenant_id = p_rule.tenant_id and m.pool_id = p_pool and m.at > earliest and m.at <= lately
        and is_used(m, p_rule.percent)
      order by m.at desc limit 1;
    end if;
    return;
  end if;
  if bad_at is null or bad_at <= p_last_at then return; end if;
  first_at := bad_at - within;
  -- Mostly the first of them was not, which one look says.
  if not exists (select from usage_minutes m
      where m.tenant_id = p_rule.tenant_id and m.pool_id = p_pool and m.at = first_at and is_used(m, p_rule.percent))
    or exists (select from usage_minutes m
      where m.tenant_id = p_rule.tenant_id and m.pool_id = p_pool and m.at between first_at and bad_at
        and not is_used(m, p_rule.percent))
  then
    return;
  end if;
  select count(*), (array_agg(m.used::bigint * 100 / m.total order by m.at desc))[1] into told, value
  from usage_minutes m
  where m.tenant_id = p_rule.tenant_id and m.pool_id = p_pool and m.at between first_at and bad_at;
  if told = p_rule.minutes then raised_since := first_at; end if;
end $$;
revoke execute on function judge_use from public;

-- The same for a rule of the kind wants_refused.
create function judge_wants(p_rule alert_rules, p_pool uuid, p_is_open boolean, p_last_at timestamptz,
  out raised_since timestamptz, out value int, out newest timestamptz, out bad_at timestamptz)
language plpgsql set search_path = public, pg_temp as $$
declare
  within constant interval := make_interval(mins => p_rule.minutes - 1);
  lately constant timestamptz := now() - interval '12 minutes';
  latest constant timestamptz := now();
  earliest constant timestamptz := now() - case when p_is_open then 2 else 1 end * within - interval '15 minutes';
begin
  if not p_is_open and not exists (select from usage_minutes m
    where m.tenant_id = p_rule.tenant_id and m.pool_id = p_pool and m.at > lately and m.at <= latest and m.refused > 0)
  then
    return;
  end if;
  with told as (
    select m.at, sum(m.refused) over (order by m.at range between within preceding and current row) as refused
    from usage_minutes m
    where m.tenant_id = p_rule.tenant_id and m.pool_id = p_pool and m.at > earliest and m.at <= latest)
  select max(t.at), max(t.at) filter (where t.refused >= p_rule.count),
    (array_agg(t.refused order by t.at desc) filter (where t.refused >= p_rule.count))[1]
  into newest, bad_at, value from told t;
  if bad_at > lately and bad_at > coalesce(p_last_at, '-infinity') then raised_since := bad_at - within; end if;
end $$;
revoke execute on function judge_wants from public;

create function judge_pool(p_rule alert_rules, p_pool uuid, p_is_open boolean, p_last_at timestamptz,
  out raised_since timestamptz, out value int, out end_reason text, out last_at timestamptz)
language plpgsql set search_path = public, pg_temp as $$
declare
  judged record;
  span constant interval := make_interval(mins => p_rule.minutes);
begin
  if p_rule.kind = 'pool_use' then
    judged := judge_use(p_rule, p_pool, p_is_open, p_last_at);
  else
    judged := judge_wants(p_rule, p_pool, p_is_open, p_last_at);
  end if;
  if not p_is_open then
    raised_since := judged.raised_since;
    value := judged.value;
    return;
  end if;
  last_at := judged.bad_at;
  -- A minute is told one or two after it began.
  if judged.newest is null or judged.newest <= now() - greatest(span, interval '10 minutes') - interval '2 minutes' then
    end_reason := 'not_told';
  elsif judged.bad_at is null or judged.newest - judged.bad_at >= span then
    end_reason := 'back_to_normal';
  end if;
end $$;
revoke execute on function judge_pool from public;
