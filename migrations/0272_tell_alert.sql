-- So many of something, in English.
create function how_many(p_number bigint, p_noun text) returns text language sql immutable parallel safe as $$
  select p_number || ' ' || p_noun || case when p_number = 1 then '' else 's' end
$$;
revoke execute on function how_many from public;

-- What is told of an alert, in a sentence. p_where: the pool, the license or the webhook as people know it.
create function alert_sentence(p_alert alerts, p_where text, p_expires_at timestamptz) returns text
language sql stable set search_path = public, pg_temp as $$
  select case when p_alert.ended_at is null then
    case p_alert.kind
      when 'pool_use' then format('%s has had %s %% of its seats or more held for %s; %s %% are held now.', p_where,
        p_alert.threshold, how_many(p_alert.minutes, 'minute'), p_alert.value)
      when 'wants_refused' then format('%s was full when a seat was wanted: %s within %s.', p_where,
        how_many(p_alert.value, 'refusal'), how_many(p_alert.minutes, 'minute'))
      when 'license_ends' then format('%s ends in %s, on %s UTC.', p_where, how_many(p_alert.value, 'day'),
        to_char(p_expires_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI'))
      else format('%s is paused, because every attempt to reach it has failed for days. Nothing is sent to it until '
        'somebody enables it again.', p_where)
    end
  else
    case p_alert.end_reason
      when 'back_to_normal' then case p_alert.kind
        when 'pool_use' then format('%s has had less than %s %% of its seats held for %s.', p_where,
          p_alert.threshold, how_many(p_alert.minutes, 'minute'))
        when 'wants_refused' then format('%s has had fewer than %s within %s for as long.', p_where,
          how_many(p_alert.threshold, 'refusal'), how_many(p_alert.minutes, 'minute'))
        when 'license_ends' then format('%s does not end within %s any more.', p_where,
          how_many(p_alert.threshold, 'day'))
        else format('%s is enabled again.', p_where) end
      when 'not_told' then format('%s has not been heard of for a while: nobody uses it, or it cannot be seen.',
        p_where)
      when 'license_over' then format('%s has ended.', p_where)
      when 'license_not_active' then format('%s is suspended or revoked.', p_where)
      when 'webhook_disabled' then format('%s was disabled.', p_where)
      when 'webhook_deleted' then format('%s was deleted.', p_where)
      else format('%s is not watched by this rule any more: it was changed, disabled or deleted.', p_where)
    end
  end
$$;
revoke execute on function alert_sentence from public;

-- The subject of a mail about an alert.
create function alert_title(p_alert alerts, p_where text) returns text
language sql immutable set search_path = public, pg_temp as $$
  select p_where || case p_alert.kind
    when 'pool_use' then format(' is at %s %% of its seats or more', p_alert.threshold)
    when 'wants_refused' then ' was full when a seat was wanted'
    when 'license_ends' then ' ends soon'
    else ' is paused' end
$$;
revoke execute on function alert_title from public;

-- Tells that an alert was raised or has ended: as an event, and as a mail to each person whose role the rule names. In
-- the transaction that raises or ends it, so once. No person is named in it.
create function tell_alert(p_alert alerts, p_roles text[]) returns void
language plpgsql set search_path = public, pg_temp as $$
declare
  host text; expires timestamptz; place text; sentence text; mail jsonb; person uuid;
  event constant text := case when p_alert.ended_at is null then 'alert.raised' else 'alert.ended' end;
begin
  if p_alert.webhook_id is not null then
    -- Of the address only this is told to others: its path is often a secret.
    select substring(w.url from '^https?://([^/?#]*)') into host from webhooks w
    where w.tenant_id = p_alert.tenant_id and w.webhook_id = p_alert.webhook_id;
  elsif p_alert.kind = 'license_ends' then
    select l.expires_at into expires from licenses l
    where l.tenant_id = p_alert.tenant_id and l.license_id = p_alert.license_id;
  end if;
  place := case
    when p_alert.pool_id is not null then format('The pool %s of license %s', p_alert.pool, p_alert.number)
    when p_alert.license_id is not null then format('License %s', p_alert.number)
    else format('The webhook at %s', host) end;
  sentence := alert_sentence(p_alert, place, expires);
  insert into outbox (tenant_id, kind, payload)
  values (p_alert.tenant_id, event, jsonb_strip_nulls(jsonb_build_object(
    'alert_id', p_alert.alert_id, 'rule_id', p_alert.rule_id, 'kind', p_alert.kind,
    'license_id', p_alert.license_id, 'license', p_alert.number, 'pool_id', p_alert.pool_id, 'pool', p_alert.pool,
    'webhook_id', p_alert.webhook_id, 'host', host, 'expires_at', expires, 'since', p_alert.since,
    'value', p_alert.value, 'threshold', p_alert.threshold, 'minutes', p_alert.minutes,
    'ended_at', p_alert.ended_at, 'reason', p_alert.end_reason, 'message', sentence)));

  -- A mail that says "back to normal" only says so where it is.
  mail := case
    when p_alert.ended_at is null or p_alert.end_reason in ('back_to_normal', 'not_told') then jsonb_build_object(
      'title', alert_title(p_alert, place), 'lines', jsonb_build_array(sentence), 'ended', p_alert.ended_at is not null)
    else jsonb_build_object('title', rtrim(sentence, '.'), 'lines', '[]'::jsonb, 'ended', false) end;
  for person in
    select u.user_id from users u
    where u.tenant_id = p_alert.tenant_id and u.removed_at is null and u.role = any (p_roles)
    order by u.tenant_id, u.user_id
  loop
    perform write_mail(p_alert.tenant_id, 'alert', person, event || ' ' || p_alert.alert_id, mail);
  end loop;
end $$;
revoke execute on function tell_alert from public;

-- Raises an alert of a rule, unless one of this subject is open. p_pool or p_license or p_webhook is its subject.
create function raise_alert(p_rule alert_rules, p_pool uuid, p_license uuid, p_webhook uuid, p_since timestamptz,
  p_value int, p_threshold int) returns boolean
language plpgsql set search_path = public, pg_temp as $$
declare alert alerts;
begin
  insert into alerts (tenant_id, rule_id, kind, subject, license_id, pool_id, webhook_id, number, product, pool, since,
    value, threshold, minutes)
  select p_rule.tenant_id, p_rule.rule_id, p_rule.kind, coalesce(p_pool, p_license, p_webhook), p_license, p_pool,
    p_webhook, l.number, l.product, p.name, p_since, p_value, p_threshold, p_rule.minutes
  from (select 1) one
  left join licenses l on l.tenant_id = p_rule.tenant_id and l.license_id = p_license
  left join pools p on p.tenant_id = p_rule.tenant_id and p.pool_id = p_pool
  on conflict do nothing returning * into alert;
  if not found then return false; end if;
  perform tell_alert(alert, p_rule.mail_roles);
  return true;
end $$;
revoke execute on function raise_alert from public;

-- Ends an alert that is open, and says why.
create function end_alert(p_alert alerts, p_roles text[], p_reason text, p_last_at timestamptz) returns void
language plpgsql set search_path = public, pg_temp as $$
declare alert alerts;
begin
  update alerts a set ended_at = now(), end_reason = p_reason, last_at = p_last_at
  where a.tenant_id = p_alert.tenant_id and a.alert_id = p_alert.alert_id and a.ended_at is null
  returning * into alert;
  if found then perform tell_alert(alert, p_roles); end if;
end $$;
revoke execute on function end_alert from public;

-- Ends every open alert of a rule that somebody changes, disables or deletes, whose row the caller has locked. Answers
-- how many there were.
create function end_alerts(p_tenant uuid, p_rule uuid, p_reason text) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare alert alerts; roles text[]; ended int := 0;
begin
  if (p_reason in ('rule_changed', 'rule_disabled', 'rule_deleted')) is not true then
    raise exception 'alerts do not end because of %', p_reason using errcode = '22023';
  end if;
  perform set_config('app.tenant_id', p_tenant::text, true);
  select r.mail_roles into roles from alert_rules r where r.tenant_id = p_tenant and r.rule_id = p_rule;
  for alert in
    select * from alerts a where a.tenant_id = p_tenant and a.rule_id = p_rule and a.ended_at is null
    order by a.tenant_id, a.rule_id, a.subject
  loop
    perform end_alert(alert, roles, p_reason, null);
    ended := ended + 1;
  end loop;
  return ended;
end $$;
revoke execute on function end_alerts from public;
grant execute on function end_alerts to admin;
