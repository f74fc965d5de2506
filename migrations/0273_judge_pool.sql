-- What became of a pool under a rule about its minutes, for judge_alert_rule: whether it has been as the rule says for
-- long enough (raised_since, value), and whether an open alert of it is over (end_reason, last_at). p_last_at: what was
-- told up to then raises nothing.
--
-- A minute is bad if so much of the pool was held at its end, or if so many wants were refused within the rule's
-- minutes up to it. An alert is raised when every one of the rule's minutes was told and bad (of refused wants: one), and
-- over when none was bad for as many minutes, or when nothing is told any more. What is told more than ten minutes
-- late raises nothing, nor does a minute that has not come by this clock.
create function judge_pool(p_rule alert_rules, p_pool uuid, p_is_open boolean, p_last_at timestamptz,
  out raised_since timestamptz, out value int, out end_reason text, out last_at timestamptz)
language plpgsql set search_path = public, pg_temp as $$
declare
  newest timestamptz; bad_at timestamptz;
  span constant interval := make_interval(mins => p_rule.minutes);
  within constant interval := make_interval(mins => p_rule.minutes - 1);
  latest constant timestamptz := now();
  lately constant timestamptz := now() - interval '12 minutes';
  earliest constant timestamptz := case when p_is_open then now() - 2 * span - interval '15 minutes'
    else now() - span - interval '12 minutes' end;
begin
  -- Most pools are not near it, which these few minutes say.
  if not p_is_open and not exists (
    select from usage_minutes m
    where m.tenant_id = p_rule.tenant_id and m.pool_id = p_pool and m.at > lately and m.at <= latest
      and case when p_rule.kind = 'pool_use'
        then m.total > 0 and m.used::bigint * 100 >= p_rule.percent::bigint * m.total else m.refused > 0 end)
  then
    return;
  end if;
  with told as (
    select m.at, m.used, m.total, (sum(m.refused) over lasting)::bigint as refused
    from usage_minutes m
    where m.tenant_id = p_rule.tenant_id and m.pool_id = p_pool and m.at > earliest and m.at <= latest
    window lasting as (order by m.at range between within preceding and current row)),
  judged as (
    select t.*, case when p_rule.kind = 'pool_use'
      then t.total > 0 and t.used::bigint * 100 >= p_rule.percent::bigint * t.total
      else t.refused >= p_rule.count end as is_bad
    from told t),
  counted as (
    select j.*, count(*) filter (where j.is_bad) over lasting as bad from judged j
    window lasting as (order by j.at range between within preceding and current row))
  select max(c.at), max(c.at) filter (where c.is_bad),
    max(c.at) filter (where c.is_bad and c.at > lately and c.at > coalesce(p_last_at, '-infinity')
      and c.bad >= case when p_rule.kind = 'pool_use' then p_rule.minutes else 1 end),
    (array_agg(case when p_rule.kind = 'pool_use' then c.used::bigint * 100 / nullif(c.total, 0) else c.refused end
      order by c.at desc) filter (where c.is_bad))[1]
  into newest, bad_at, raised_since, value
  from counted c;
  if not p_is_open then
    raised_since := raised_since - within;
    return;
  end if;
  raised_since := null;
  last_at := bad_at;
  -- A minute is told one or two after it began.
  if newest is null or newest <= now() - greatest(span, interval '10 minutes') - interval '2 minutes' then
    end_reason := 'not_told';
  elsif bad_at is null or newest - bad_at >= span then
    end_reason := 'back_to_normal';
  end if;
end $$;
revoke execute on function judge_pool from public;
