-- What a month was like for the pools of an organization, or of one license: a sentence for each pool that was used, of
-- those with the most refused wants first. 40 at most, and how many were left out.
create function month_lines(p_tenant uuid, p_license uuid, p_from timestamptz, p_to timestamptz) returns jsonb
language sql stable set search_path = public, pg_temp as $$
  with told as (
    select l.number, l.product, p.name as pool, sum(d.refused)::bigint as refused, max(d.peak) as peak,
      max(d.total) as total, (sum(d.used_sum) / 60.0)::bigint as hours
    from pools p
    join licenses l on l.tenant_id = p.tenant_id and l.license_id = p.license_id
    join usage_days d on d.tenant_id = p.tenant_id and d.pool_id = p.pool_id and d.at >= p_from and d.at < p_to
    where p.tenant_id = p_tenant and (p_license is null or p.license_id = p_license)
    group by l.number, l.product, p.pool_id, p.name),
  ordered as (select t.*, row_number() over (order by t.refused desc, t.number, t.pool) as place from told t)
  select coalesce(jsonb_agg(o.line order by o.place), '[]') from (
    select place, format('License %s (%s)%s: at most %s of %s held at once, %s used; %s refused.', number, product,
      case when pool = 'default' then '' else ', pool ' || pool end, peak, how_many(total, 'seat'),
      how_many(hours, 'seat hour'), how_many(refused, 'want')) as line
    from ordered where place <= 40
    union all
    select 41, format('And %s more.', how_many(count(*) - 40, 'pool')) from ordered having count(*) > 40) o
$$;
revoke execute on function month_lines from public;

-- Tells the last month that is over, if it was not told yet: a mail to each person whose role the rule names, once. Of a
-- month in which nothing was counted nothing is told. A month is over six hours after its end, so that what its last
-- minutes were like has been told too. Answers when to look again. For judge_alert_rule, which has locked the rule's row.
create function report_month(p_rule alert_rules) returns timestamptz
language plpgsql set search_path = public, pg_temp as $$
declare
  late constant interval := interval '6 hours';
  month constant timestamptz := date_trunc('month', now() - late, 'UTC');
  last_month constant timestamptz := date_trunc('month', month - interval '1 day', 'UTC');
  lines jsonb; person uuid;
begin
  if p_rule.told_to is distinct from month then
    lines := month_lines(p_rule.tenant_id, p_rule.license_id, last_month, month);
    for person in
      select u.user_id from users u
      where u.tenant_id = p_rule.tenant_id and u.removed_at is null and u.role = any (p_rule.mail_roles)
        and lines <> '[]'
      order by u.tenant_id, u.user_id
    loop
      perform write_mail(p_rule.tenant_id, 'report', person,
        format('report %s %s', p_rule.rule_id, to_char(last_month at time zone 'UTC', 'YYYY-MM')),
        jsonb_build_object('title', 'Seats in ' || to_char(last_month at time zone 'UTC', 'FMMonth YYYY'),
          'lines', lines));
    end loop;
    update alert_rules r set told_to = month where r.tenant_id = p_rule.tenant_id and r.rule_id = p_rule.rule_id;
  end if;
  return (month at time zone 'UTC' + interval '1 month') at time zone 'UTC' + late;
end $$;
revoke execute on function report_month from public;
