-- What an erasure of a person would blank, shown: the other half of 0310_erase_names.sql to 0340_erase_mails.sql, which
-- finds the same rows by the same rules. Nothing is changed. Of a row that somebody else wrote only that is shown which
-- names the person.

-- What of a value an erasure would change: the fields of objects and the elements of arrays that differ. Null: nothing.
create function history.differing(p_value jsonb, p_erased jsonb) returns jsonb language plpgsql immutable
set search_path = pg_catalog, pg_temp as $$
begin
  if p_value is not distinct from p_erased then return null; end if;
  if jsonb_typeof(p_value) = 'object' and jsonb_typeof(p_erased) = 'object' then
    return (select jsonb_object_agg(e.key, history.differing(e.value, p_erased->e.key))
      from jsonb_each(p_value) e where e.value is distinct from p_erased->e.key);
  elsif jsonb_typeof(p_value) = 'array' and jsonb_typeof(p_erased) = 'array' then
    return (select jsonb_agg(history.differing(e.value, p_erased->(e.at::int - 1)) order by e.at)
      from jsonb_array_elements(p_value) with ordinality e (value, at)
      where e.value is distinct from p_erased->(e.at::int - 1));
  end if;
  return p_value;
end $$;
revoke execute on function history.differing from public;

-- A row of an export; what is null in its data is left out.
create function history.exported(p_kind text, p_id uuid, p_at timestamptz, p_data jsonb) returns jsonb
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select jsonb_build_object('kind', p_kind, 'id', p_id, 'at', p_at, 'data', jsonb_strip_nulls(p_data))
$$;
revoke execute on function history.exported from public;

-- The people themselves, and what people manage, as erase_things and erase_people look for it.
create function history.export_things(p_tenant uuid, p_people text[], p_names text[], p_users uuid[]) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
  select coalesce(jsonb_agg(all_of.item order by all_of.item->>'kind', all_of.item->>'id'), '[]') from (
    select history.exported('person', u.user_id, u.created_at, jsonb_build_object('email', u.email, 'name', u.name,
      'role', u.role, 'removed_at', u.removed_at))
    from public.users u where u.tenant_id = p_tenant and u.user_id = any (p_users)
      and (u.email <> 'erased@erased.invalid' or u.name is not null)
    union all
    select history.exported('invitation', i.invitation_id, i.created_at, jsonb_build_object('role', i.role,
      'email', case when history.names(i.email, p_people) or i.accepted_by = any (p_users) then i.email end,
      'invited_by', case when history.names(i.invited_by, p_people) then i.invited_by end))
    from public.invitations i where i.tenant_id = p_tenant and (history.names(i.email, p_people)
      or history.names(i.invited_by, p_people)
      or (i.accepted_by = any (p_users) and i.email <> 'erased@erased.invalid'))
    union all
    select history.exported('api_token', t.token_id, t.created_at, jsonb_build_object('name', t.name,
      'created_by', case when history.names(t.created_by, p_people) then t.created_by end))
    from public.api_tokens t where t.tenant_id = p_tenant
      and (history.names(t.name, p_people) or history.names(t.created_by, p_people))
    union all
    select history.exported('project', p.project_id, p.created_at, jsonb_build_object('name', p.name))
    from public.projects p where p.tenant_id = p_tenant and history.names(p.name, p_people)
    union all
    -- A URL gives access to its receiver, and is not shown.
    select history.exported('webhook', w.webhook_id, w.created_at, jsonb_build_object('in_url', nullif(h.in_url, false),
      'description', case when history.names(w.description, p_people) then w.description end,
      'created_by', case when history.names(w.created_by, p_people) then w.created_by end))
    from public.webhooks w, lateral (select
      history.names(translate(replace(w.url, '%40', '@'), '?&=#%', '     '), p_people)) h (in_url)
    where w.tenant_id = p_tenant
      and (h.in_url or history.names(w.description, p_people) or history.names(w.created_by, p_people))
    union all
    select history.exported('alert_rule', r.rule_id, r.created_at, jsonb_build_object(
      'description', case when history.names(r.description, p_people) then r.description end,
      'created_by', case when history.names(r.created_by, p_people) then r.created_by end))
    from public.alert_rules r where r.tenant_id = p_tenant
      and (history.names(r.description, p_people) or history.names(r.created_by, p_people))
    union all
    select history.exported('license', l.license_id, l.created_at, n.data)
    from public.licenses l, lateral (select jsonb_strip_nulls(jsonb_build_object(
      'external_id', case when history.names(l.external_id, p_people) then l.external_id end,
      'metadata', history.differing(l.metadata, history.scrub_metadata(l.metadata, p_people, p_names)),
      'name', case when history.names(l.name, p_people) or history.folded(l.name) = any (p_names) then l.name end,
      'note', case when history.names(l.note, p_people) or history.folded(l.note) = any (p_names) then l.note end)))
      n (data)
    where l.tenant_id = p_tenant
      and (l.external_id is not null or l.metadata <> '{}' or l.name is not null or l.note is not null)
      and n.data <> '{}'
    union all
    select history.exported('organization', o.tenant_id, o.created_at, n.data)
    from public.organizations o, lateral (select jsonb_strip_nulls(jsonb_build_object(
      'external_id', case when history.names(o.external_id, p_people) then o.external_id end,
      'metadata', history.differing(o.metadata, history.scrub_metadata(o.metadata, p_people, p_names)),
      'name', case when history.names(o.name, p_people) or history.folded(o.name) = any (p_names) then o.name end)))
      n (data)
    where o.tenant_id = p_tenant and n.data <> '{}') all_of (item)
$$;
revoke execute on function history.export_things from public;

-- How the statement of a stage finds its next rows in one place: $1 organization, $2 addresses, $3 names, $4 needles,
-- $5 ids of the person, $6 and $7 the ids between which rows are looked for, $8 how many.
create function history.export_statement(p_stage text) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case p_stage
  when 'sessions' then $q$select history.exported('session', s.session_id, s.started_at, jsonb_build_object(
      'label', s.label, 'user', s.person, 'client', s.client, 'machine', s.hw, 'license', s.number,
      'product', s.product, 'pool', s.pool, 'last_seen_at', s.last_seen_at, 'ended_at', s.ended_at,
      'end_reason', s.end_reason)) as item
    from unnest($2) w (person), lateral (select * from %s r where r.tenant_id = $1 and r.person = w.person
      and r.session_id > $6 order by r.session_id limit $8) s$q$
  when 'denials' then $q$select history.exported('denial', d.denial_id, d.at, jsonb_build_object(
      'label', d.label, 'user', d.person, 'machine', d.hw, 'license', d.number, 'product', d.product,
      'pool', d.pool, 'last_at', d.last_at, 'tries', d.tries, 'granted_at', d.granted_at, 'ended_at', d.ended_at))
    as item
    from unnest($2) w (person), lateral (select * from %s r where r.tenant_id = $1 and r.person = w.person
      and r.denial_id > $6 order by r.denial_id limit $8) d$q$
  when 'events' then $q$select history.exported('event', o.id, o.created_at, jsonb_build_object('event', o.kind,
      'payload', history.differing(o.payload, history.scrub(o.payload, $2, '{}')))) as item
    from %s o where o.tenant_id = $1 and o.id > $6 and o.id <= $7 and history.has_any(o.payload::text, $4)
      and o.payload <> history.scrub(o.payload, $2, '{}')$q$
  when 'mails' then $q$select history.exported('mail', m.mail_id, m.at, jsonb_build_object('mail', m.kind,
      'to_you', nullif(m.user_id = any ($5), false), 'data', m.data)) as item
    from %s m where m.tenant_id = $1 and m.mail_id > $6 and m.mail_id <= $7 and m.finished_at is null
      and (history.has_any(m.data::text, $4) or m.user_id = any ($5))$q$
  when 'deliveries' then $q$select history.exported('delivery', d.event_id, d.at, jsonb_build_object(
      'webhook', d.webhook_id, 'answers', (select jsonb_agg(a.attempt->'answer' order by a.number)
        from jsonb_array_elements(d.attempts) with ordinality a (attempt, number)
        where history.has_any(a.attempt->>'answer', $4)))) as item
    from public.webhooks w, %s d where w.tenant_id = $1 and d.tenant_id = $1 and d.webhook_id = w.webhook_id
      and d.event_id > $6 and d.event_id <= $7 and history.has_any(d.attempts::text, $4)$q$
  when 'entries' then $q$select history.exported('audit_entry', a.id, a.at, jsonb_build_object('action', a.action,
      'actor', case when n.by_them then a.actor_name end, 'from_address', case when n.by_them then a.from_address end,
      'before', n.before, 'after', n.after,
      'request_id', case when history.names(a.request_id, $2) then a.request_id end)) as item
    from %s a, lateral (select
      (a.actor_kind = 'person' and a.actor = any ($5::text[])
        and (a.actor_name <> 'erased' or a.from_address is not null)) or history.names(a.actor_name, $2),
      history.differing(a.before, history.scrub(a.before, $2, $3) || case
        when a.action = 'session.ended' and history.key(a.before->>'user') = any ($2)
        then '{"label": "erased", "user": null}' else '{}' end::jsonb),
      history.differing(a.after, history.scrub(a.after, $2, $3))) n (by_them, before, after)
    where a.tenant_id = $1 and a.id > $6 and a.id <= $7
      and (n.by_them or n.before is not null or n.after is not null or history.names(a.request_id, $2))$q$
  end
$$;
revoke execute on function history.export_statement from public;

-- The next rows of a person's export, of the stage `things`, `sessions`, `denials`, `events`, `deliveries`, `mails` or
-- `entries`, behind the id p_after: rows of one stage are in the order of their ids. `after` is how far this call
-- looked; null: the stage is over. 55P03 while rows of the history are being moved: to be asked again. At most 500 rows
-- are looked at in each place, so that one call is short; of `things`, of which there are few, all.
create function history.export_step(p_tenant uuid, p_stage text, p_people text[], p_names text[], p_users uuid[],
  p_after uuid, out items jsonb, out after uuid)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  place regclass; found jsonb; looked uuid[] := '{}'; found_ids uuid[]; receiver uuid; many constant int := 500;
  statement constant text := history.export_statement(p_stage);
  needles constant text[] := history.needles(case p_stage when 'events' then p_people else p_people || p_names end);
  key constant text := case p_stage when 'mails' then 'mail_id' when 'deliveries' then 'event_id' else 'id' end;
begin
  perform set_config('app.tenant_id', p_tenant::text, true);
  if not pg_try_advisory_xact_lock_shared(history.moving()) then
    raise exception 'rows of the history are being moved' using errcode = '55P03';
  end if;
  if p_stage = 'things' then
    items := history.export_things(p_tenant, p_people, p_names, p_users);
    return;
  elsif statement is null then
    raise exception 'there is no stage %', p_stage using errcode = '22023';
  end if;
  -- What is found by an index is cut when it was found; what is looked through has an end first.
  if p_stage not in ('sessions', 'denials') then
    for place in select 'public.audit_log'::regclass where p_stage = 'entries'
      union all select history.places(p_stage) where p_stage <> 'entries'
    loop
      for receiver in select w.webhook_id from public.webhooks w where w.tenant_id = p_tenant and p_stage = 'deliveries'
        union all select null where p_stage <> 'deliveries'
      loop
        execute format('select array(select r.%1$I from %2$s r where r.tenant_id = $1 and r.%1$I > $2 %3$s
          order by r.tenant_id, %4$s r.%1$I limit %5$s)', key, place,
          case p_stage when 'deliveries' then 'and r.webhook_id = $3' else 'and $3 is null' end,
          case p_stage when 'deliveries' then 'r.webhook_id,' else '' end, many)
        into found_ids using p_tenant, p_after, receiver;
        looked := looked || found_ids;
      end loop;
    end loop;
    looked := array(select distinct t.id from unnest(looked) as t (id) order by t.id limit many);
    items := '[]';
    if looked = '{}' then return; end if;
  end if;
  items := '[]';
  for place in select 'public.audit_log'::regclass where p_stage = 'entries'
    union all select history.places(p_stage) where p_stage <> 'entries'
  loop
    execute format('select coalesce(jsonb_agg(f.item), ''[]'') from (%s) f', format(statement, place)) into found
    using p_tenant, p_people, p_names, needles, p_users, p_after, looked[cardinality(looked)], many;
    items := items || found;
  end loop;
  if p_stage in ('sessions', 'denials') then
    select coalesce(jsonb_agg(i.item order by i.id), '[]'), (array_agg(i.id order by i.id))[many] into items, after
    from (select distinct on (e.item->>'id') (e.item->>'id')::uuid as id, e.item
      from jsonb_array_elements(items) as e (item) order by e.item->>'id' limit many) i;
  elsif cardinality(looked) = many then
    after := looked[many];
  end if;
end $$;
revoke execute on function history.export_step from public;
grant execute on function history.export_step to admin;
