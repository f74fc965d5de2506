-- Takes away alerts of an organization that have been over for as long as they are kept, 1,000 at a time. Whoever
-- judges a rule of the organization does it, at least once a day.
create function forget_alerts(p_tenant uuid) returns void language plpgsql set search_path = public, pg_temp as $$
begin
  delete from alerts a
  where a.tenant_id = p_tenant and a.alert_id = any (array(
    select o.alert_id from alerts o
    where o.tenant_id = p_tenant
      and o.ended_at < now() - (select r.keep from catalog.retention r where r.what = 'alerts')
    order by o.ended_at limit 1000 for update skip locked));
end $$;
revoke execute on function forget_alerts from public;

-- Judges a rule that is due: raises what is so, and ends what is not any more. Says how many, and null of both if it is
-- not due, or somebody else judges it just now. When it is to be judged next is written with it: before the next tick
-- while an alert of a pool is open, when the next license comes near its end, else in a day. What is to be judged later
-- than that was written by a clock that was ahead, and is due. Locks the rule's row and no other that others change.
create function judge_alert_rule(p_tenant uuid, p_rule uuid, out raised int, out ended int)
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  rule alert_rules; alert alerts; thing record; judged record; reason text; open_pools int := 0;
  open_alerts jsonb; told jsonb;
  next_at timestamptz := now() + interval '1 day';
begin
  if p_tenant is null or p_rule is null then
    raise exception 'a rule has an organization and an id' using errcode = '22023';
  end if;
  perform set_config('app.tenant_id', p_tenant::text, true);
  select * into rule from alert_rules r
  where r.tenant_id = p_tenant and r.rule_id = p_rule
    and (r.look_at <= now() or r.look_at > now() + interval '2 days')
  for no key update skip locked;
  if not found then return; end if;
  raised := 0;
  ended := 0;
  perform forget_alerts(p_tenant);
  -- Read once, and not for each subject.
  select coalesce(jsonb_object_agg(a.subject, a.alert_id), '{}') into open_alerts from alerts a
  where a.tenant_id = p_tenant and a.rule_id = p_rule and a.ended_at is null;

  if not rule.enabled or rule.deleted_at is not null then
    -- It is looked at for what it raised, until none of that is left.
    if not exists (select from alerts a where a.tenant_id = p_tenant and a.rule_id = p_rule) then
      next_at := null;
    end if;
  elsif rule.kind in ('pool_use', 'wants_refused') then
    select jsonb_object_agg(a.subject, a.last_at order by a.last_at) into told from alerts a
    where a.tenant_id = p_tenant and a.rule_id = p_rule and a.last_at > now() - interval '15 minutes';
    for thing in
      -- Of whom nothing was told lately there is nothing to judge, unless it has an alert.
      select p.pool_id, p.license_id, (open_alerts->>p.pool_id::text)::uuid as alert_id,
        (told->>p.pool_id::text)::timestamptz as last_at
      from pools p
      where p.tenant_id = p_tenant and (rule.license_id is null or p.license_id = rule.license_id)
        and (open_alerts ? p.pool_id::text or p.counted_minute >= extract(epoch from now())::bigint / 60 - 12)
      order by p.tenant_id, p.pool_id
    loop
      judged := judge_pool(rule, thing.pool_id, thing.alert_id is not null, thing.last_at);
      if judged.end_reason is not null then
        select * into alert from alerts a where a.tenant_id = p_tenant and a.alert_id = thing.alert_id;
        perform end_alert(alert, rule.mail_roles, judged.end_reason, judged.last_at);
        ended := ended + 1;
      elsif thing.alert_id is not null then
        open_pools := open_pools + 1;
      elsif judged.raised_since is not null and raise_alert(rule, thing.pool_id, thing.license_id, null,
        judged.raised_since, judged.value, coalesce(rule.percent, rule.count))
      then
        raised := raised + 1;
        open_pools := open_pools + 1;
      end if;
    end loop;
    -- Before the next tick, whenever in its minute that comes; of what is told after hours, an end may be told later.
    if open_pools > 0 then next_at := now() + make_interval(secs => greatest(30, rule.minutes)); end if;
  elsif rule.kind = 'license_ends' then
    for thing in
      select l.license_id, l.status, l.expires_at, (open_alerts->>l.license_id::text)::uuid as alert_id from licenses l
      where l.tenant_id = p_tenant and (rule.license_id is null or l.license_id = rule.license_id)
        and (open_alerts ? l.license_id::text or l.status = 'active' and l.expires_at > now())
      order by l.tenant_id, l.license_id
    loop
      reason := case when thing.status <> 'active' then 'license_not_active'
        when thing.expires_at <= now() then 'license_over'
        when thing.expires_at - make_interval(days => rule.days) <= now() then null
        else 'back_to_normal' end;
      if reason is null then
        next_at := least(next_at, thing.expires_at);
        if thing.alert_id is null and raise_alert(rule, null, thing.license_id, null,
          thing.expires_at - make_interval(days => rule.days),
          ceil(extract(epoch from thing.expires_at - now()) / 86400)::int, rule.days)
        then
          raised := raised + 1;
        end if;
        continue;
      end if;
      if reason = 'back_to_normal' and thing.expires_at is not null then
        next_at := least(next_at, thing.expires_at - make_interval(days => rule.days));
      end if;
      if thing.alert_id is not null then
        select * into alert from alerts a where a.tenant_id = p_tenant and a.alert_id = thing.alert_id;
        perform end_alert(alert, rule.mail_roles, reason, null);
        ended := ended + 1;
      end if;
    end loop;
  elsif rule.kind = 'monthly_report' then
    next_at := least(next_at, report_month(rule));
  else
    for thing in
      select w.webhook_id, w.paused_at, w.disabled_at, w.deleted_at,
        (open_alerts->>w.webhook_id::text)::uuid as alert_id
      from webhooks w
      where w.tenant_id = p_tenant and (open_alerts ? w.webhook_id::text
        or w.paused_at is not null and w.disabled_at is null and w.deleted_at is null)
      order by w.tenant_id, w.webhook_id
    loop
      reason := case when thing.deleted_at is not null then 'webhook_deleted'
        when thing.disabled_at is not null then 'webhook_disabled'
        when thing.paused_at is null then 'back_to_normal' end;
      if reason is not null then
        select * into alert from alerts a where a.tenant_id = p_tenant and a.alert_id = thing.alert_id;
        perform end_alert(alert, rule.mail_roles, reason, null);
        ended := ended + 1;
      elsif thing.alert_id is null
        and raise_alert(rule, null, null, thing.webhook_id, thing.paused_at, null, null)
      then
        raised := raised + 1;
      end if;
    end loop;
  end if;
  update alert_rules r set look_at = next_at where r.tenant_id = p_tenant and r.rule_id = p_rule;
end $$;
revoke execute on function judge_alert_rule from public;
grant execute on function judge_alert_rule to notify;
