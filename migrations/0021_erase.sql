-- Erasing a person or a machine: names, addresses and labels are blanked wherever they were written down; ids, times and counts stay.
-- Nobody who serves may change what is over, nor a line of the audit log, so the owner does it, by the functions here that admin may call and
-- only for an erasure that stands in the audit log of the organization. Every call is one short transaction over a bounded number of rows
-- (core/src/records/erasing.rs asks for them one after the other).
--   p_by, p_whom  'person' and an address as sessions have it, or 'hw' and a machine's public hash
--   p_people      addresses of one person, folded; p_names: what that person is called, folded
--   p_after       where the last call ended; `after` is where this one did, null at the end

-- How names are compared (core/src/domain/name.rs), as near as the database can. By Unicode's own table and not by the locale the database was made with; nothing that is kept depends on it.
create function history.folded(p_text text) returns text language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select replace(replace(lower(normalize(p_text) collate "und-x-icu"), 'ß', 'ss'), 'ς', 'σ') collate "C"
$$;
-- And how what names a person is: as sessions.person and users.address have it (core/src/domain/email.rs). Of addresses with ß and ss each is
-- another mailbox.
create function history.key(p_text text) returns text language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select case when strpos(p_text, '@') > 0 then lower(normalize(p_text) collate "und-x-icu") collate "C" else history.folded(p_text) end
$$;

-- Whether one of these addresses stands in a text by itself: b@example.com is not found in a.b@example.com, nor in b@example.com.au. A word that is
-- no address names somebody only where a client said that it does, which is asked there: "ci" and "viewer" are other things too.
create function history.names(p_text text, p_people text[]) returns boolean language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare person text; folded text := history.key(p_text);
begin
  foreach person in array p_people loop
    if strpos(person, '@') > 1 and strpos(folded, person) > 0 and folded ~ ('(^|[\s<>(){}\[\],;:"''|/])' || regexp_replace(person, '([^[:alnum:]])', '\\\1', 'g')
      || '($|[\s<>(){}\[\],;:"''|/]|[.!?]+($|\s))') then return true; end if;
  end loop;
  return false;
end $$;

-- A value in which nobody of these is named any more. An address stays something that has the form of one.
create function history.scrub(p_value jsonb, p_people text[], p_names text[]) returns jsonb language plpgsql immutable
set search_path = pg_catalog, pg_temp as $$
begin
  case jsonb_typeof(p_value)
    when 'string' then
      return case when history.names(p_value #>> '{}', p_people) then to_jsonb('erased'::text) else p_value end;
    when 'array' then
      return coalesce((select jsonb_agg(history.scrub(e.value, p_people, p_names) order by e.at)
        from jsonb_array_elements(p_value) with ordinality as e (value, at)), '[]');
    when 'object' then
      return coalesce((select jsonb_object_agg(e.key, case
          when e.key = 'email' and history.names(e.value #>> '{}', p_people) then to_jsonb('erased@erased.invalid'::text)
          when e.key = 'name' and history.folded(e.value #>> '{}') = any (p_names) then to_jsonb('erased'::text)
          else history.scrub(e.value, p_people, p_names) end)
        from jsonb_each(p_value) as e), '{}');
    else return p_value;
  end case;
end $$;

-- The same words as they stand in the text of a JSON value: a quick look before the exact one.
create function history.needles(p_words text[]) returns text[] language sql immutable set search_path = pg_catalog, pg_temp as $$
  select coalesce(array_agg(w) || array_agg(substr(to_jsonb(w)::text, 2, length(to_jsonb(w)::text) - 2)), '{}') from unnest(p_words) as u (word), history.folded(word) as t (w) where w <> ''
$$;
create function history.has_any(p_text text, p_needles text[]) returns boolean language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare needle text; folded text := history.folded(p_text);
begin
  foreach needle in array p_needles loop
    if strpos(folded, needle) > 0 then return true; end if;
  end loop;
  return false;
end $$;

-- The first id that can have been drawn at this time (RFC 9562, version 7).
create function history.first_id(at timestamptz) returns uuid language sql immutable set search_path = pg_catalog, pg_temp as $$
  select (lpad(to_hex(floor(extract(epoch from at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

-- Where rows of a kind lie: the table everybody asks, and those of the history that are on their way back, out or in (0020_history.sql).
create function history.places(p_part text) returns setof regclass language sql stable set search_path = pg_catalog, pg_temp as $$
  select case p_part when 'sessions' then 'public.sessions' else 'public.outbox' end::regclass
  union all
  select c.oid::regclass from pg_class c
  where c.relnamespace = 'history'::regnamespace and c.relkind = 'r' and not c.relispartition and c.relname like p_part || '\_%'
$$;

-- Before anything is blanked: the tenant is set, the erasure stands in its audit log, and history.step() moves no rows meanwhile (55P03 while
-- it does: to be asked again). A row that moves between two calls keeps its id, and each call looks for ids in every place.
create function history.begin_erasing(p_tenant uuid, p_erasure uuid) returns void language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('app.tenant_id', p_tenant::text, true);
  -- By key whatever the statistics say: the order leaves no other index.
  if (select a.action in ('person.erased', 'machine.erased') and a.at > now() - interval '1 day' from public.audit_log a
      where a.tenant_id = p_tenant and a.id >= p_erasure and a.id <= p_erasure order by a.id limit 1) is not true then
    raise exception 'nobody wrote down this erasure today';
  end if;
  if not pg_try_advisory_xact_lock_shared(history.moving()) then
    raise exception 'rows of the history are being moved' using errcode = '55P03';
  end if;
end $$;

-- Blanks what the event of each of these sessions says, and then the sessions. An event is written in the transaction that began the session, of
-- which a statement lasts 2 s at most, so its id was drawn within 3 s of the session's start.
--   p_pool  of open sessions: its lock is taken in between, so that nobody waits for a seat while we wait for whoever publishes an event
create function history.blank_sessions(p_tenant uuid, p_sessions uuid[], p_people text[], p_pool uuid, out sessions bigint, out events bigint)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  place regclass; blanked bigint; ids uuid[] := '{}'; begun timestamptz[] := '{}'; its uuid[]; ats timestamptz[]; began record;
  says constant text := $q$s.tenant_id = $1 and s.session_id = any ($2)
    and (s.label <> 'erased' or s.person is not null or s.client ?| array['hostname', 'user'])$q$;
begin
  sessions := 0;
  events := 0;
  for place in select history.places('sessions') loop
    execute format('select array_agg(s.session_id), array_agg(s.started_at) from %s s where %s', place, says) into its, ats using p_tenant, p_sessions;
    ids := ids || its;
    begun := begun || ats;
  end loop;
  -- Sessions that began close to each other have their events close to each other: what lies between is read once for all of them.
  for began in
    select history.first_id(min(n.at)) as first_id, history.first_id(max(n.at) + interval '3 seconds') as last_id, array_agg(n.id::text) as ids
    from (select f.id, f.at, count(*) filter (where f.first) over (order by f.at) as number
          from (select t.id, t.at, t.at > lag(t.at) over (order by t.at) + interval '3 seconds' as first from unnest(ids, begun) as t (id, at)) f) n
    group by n.number order by 1
  loop
    for place in select history.places('events') loop
      if place = 'public.outbox'::regclass then
        update public.outbox o set payload = jsonb_set(o.payload, '{label}', '"erased"')
        where o.tenant_id = p_tenant and o.id >= began.first_id and o.id < began.last_id and o.kind = 'seat.granted'
          and o.payload->>'session_id' = any (began.ids) and o.payload->>'label' <> 'erased';
      else
        execute format($q$update %s o set payload = jsonb_set(o.payload, '{label}', '"erased"')
          where o.tenant_id = $1 and o.id >= $2 and o.id < $3 and o.kind = 'seat.granted'
            and o.payload->>'session_id' = any ($4) and o.payload->>'label' <> 'erased'$q$, place)
        using p_tenant, began.first_id, began.last_id, began.ids;
      end if;
      get diagnostics blanked = row_count;
      events := events + blanked;
    end loop;
  end loop;
  if p_pool is not null then perform pg_advisory_xact_lock(public.pool_lock(p_pool)); end if;
  for place in select history.places('sessions') loop
    execute format($q$update %s s set label = 'erased', person = null, client = history.scrub(s.client - array['hostname', 'user'], $3, '{}')
      where %s$q$, place, says) using p_tenant, p_sessions, p_people;
    get diagnostics blanked = row_count;
    sessions := sessions + blanked;
  end loop;
end $$;

-- Blanks open sessions of one pool and raises its epoch, as every change without a ticket does: the copy in Redis has labels too. Who holds
-- what, by which process and on which seat, is not touched. pool_id null: there are none.
create function history.erase_open(p_tenant uuid, p_erasure uuid, p_by text, p_whom text,
  out pool_id uuid, out name text, out number text, out epoch_before bigint, out sessions bigint, out events bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  ids uuid[]; whose text := case p_by when 'hw' then 's.hw' else 's.person' end;
  says constant text := $q$(s.label <> 'erased' or s.person is not null or s.client ?| array['hostname', 'user'])$q$;
begin
  perform history.begin_erasing(p_tenant, p_erasure);
  execute format('select s.pool_id from public.sessions s where s.tenant_id = $1 and %s = $2 and s.ended_at is null and %s limit 1', whose, says)
  into pool_id using p_tenant, p_whom;
  if pool_id is null then return; end if;
  execute format('select array(select s.session_id from public.sessions s where s.tenant_id = $1 and %s = $2 and s.ended_at is null
    and s.pool_id = $3 and %s limit 200)', whose, says)
  into ids using p_tenant, p_whom, pool_id;
  select b.sessions, b.events into sessions, events
  from history.blank_sessions(p_tenant, ids, case p_by when 'hw' then '{}' else array[p_whom] end, pool_id) b;
  update public.pools p set epoch = p.epoch + 1, changed_at = now() from public.licenses l
  where p.tenant_id = p_tenant and p.pool_id = erase_open.pool_id and l.tenant_id = p_tenant and l.license_id = p.license_id
  returning p.name, l.number, p.epoch - 1 into name, number, epoch_before;
end $$;

-- Blanks the next ended sessions.
create function history.erase_ended(p_tenant uuid, p_erasure uuid, p_by text, p_whom text, p_after uuid,
  out after uuid, out sessions bigint, out events bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare place regclass; ids uuid[] := '{}'; found_ids uuid[]; many constant int := 200;
begin
  perform history.begin_erasing(p_tenant, p_erasure);
  for place in select history.places('sessions') loop
    execute format($q$select array(select s.session_id from %s s where s.tenant_id = $1 and %s = $2 and s.session_id > $3 and s.ended_at is not null
        and (s.label <> 'erased' or s.person is not null or s.client ?| array['hostname', 'user'])
        order by s.session_id limit %s)$q$, place, case p_by when 'hw' then 's.hw' else 's.person' end, many)
    into found_ids using p_tenant, p_whom, p_after;
    ids := ids || found_ids;
  end loop;
  ids := array(select distinct t.id from unnest(ids) as t (id) order by t.id limit many);
  select b.sessions, b.events into sessions, events
  from history.blank_sessions(p_tenant, ids, case p_by when 'hw' then '{}' else array[p_whom] end, null) b;
  if cardinality(ids) = many then after := ids[many]; end if;
end $$;

-- Looks through the next events: for what names a person, or for the machine p_hw.
create function history.erase_events(p_tenant uuid, p_erasure uuid, p_people text[], p_hw text, p_after uuid, out after uuid, out events bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare place regclass; ids uuid[] := '{}'; found_ids uuid[]; blanked bigint; many constant int := 2000;
begin
  perform history.begin_erasing(p_tenant, p_erasure);
  events := 0;
  for place in select history.places('events') loop
    execute format('select array(select o.id from %s o where o.tenant_id = $1 and o.id > $2 order by o.id limit %s)', place, many)
    into found_ids using p_tenant, p_after;
    ids := ids || found_ids;
  end loop;
  ids := array(select distinct t.id from unnest(ids) as t (id) order by t.id limit many);
  if ids = '{}' then return; end if;
  for place in select history.places('events') loop
    execute format($q$update %s o
        set payload = case when $5 is null then history.scrub(o.payload, $4, '{}') else jsonb_set(o.payload, '{label}', '"erased"') end
      where o.tenant_id = $1 and o.id > $2 and o.id <= $3 and case
        when $5 is null then history.has_any(o.payload::text, $6) and o.payload <> history.scrub(o.payload, $4, '{}')
        else o.payload->>'hw' = $5 and o.payload->>'label' <> 'erased' end$q$, place)
    using p_tenant, p_after, ids[cardinality(ids)], p_people, p_hw, history.needles(p_people);
    get diagnostics blanked = row_count;
    events := events + blanked;
  end loop;
  if cardinality(ids) = many then after := ids[many]; end if;
end $$;

-- Looks through the next entries of the audit log. Who did something is blanked where somebody else's id stands for them; of the people
-- p_users themselves it is done by erase_acts, last of all: what they were called in the log is how they are found. `blanked` are the places in
-- the chain of what was blanked: the service seals what is left (0027_audit_chain.sql), of what `earlier` erasures had blanked only where their
-- seal was good.
create function history.erase_entries(p_tenant uuid, p_erasure uuid, p_people text[], p_names text[], p_users text[], p_hw text, p_after uuid,
  out after uuid, out entries bigint, out blanked bigint[], out earlier jsonb)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  entry public.audit_log; blank public.audit_log; many constant int := 2000; seen int := 0;
  needles text[] := history.needles(p_people || p_names || coalesce(history.folded(p_hw), ''));
begin
  perform history.begin_erasing(p_tenant, p_erasure);
  entries := 0;
  blanked := '{}';
  earlier := '[]';
  for entry in select * from public.audit_log a where a.tenant_id = p_tenant and a.id > p_after order by a.id limit many loop
    seen := seen + 1;
    after := entry.id;
    continue when not history.has_any(concat_ws(' ', entry.actor_name, entry.before, entry.after, entry.request_id), needles);
    blank := entry;
    if p_hw is null then
      if entry.actor <> all (p_users) and history.names(entry.actor_name, p_people) then
        blank.actor_name := 'erased';
        blank.from_address := null;
      end if;
      blank.before := history.scrub(entry.before, p_people, p_names);
      blank.after := history.scrub(entry.after, p_people, p_names);
      if history.names(entry.request_id, p_people) then blank.request_id := null; end if;
    end if;
    if entry.action = 'session.ended' and (history.key(entry.before->>'user') = any (p_people) or entry.before->>'machine' = p_hw) then
      blank.before := blank.before || '{"label": "erased", "user": null}';
    end if;
    continue when blank is not distinct from entry;
    blanked := blanked || history.audit_blank(p_erasure, entry, blank);
    earlier := earlier || history.audit_earlier(entry);
    entries := entries + 1;
  end loop;
  if seen < many then after := null; end if;
end $$;

-- Blanks, in the next entries of what somebody did, how they were called and from where they did it.
create function history.erase_acts(p_tenant uuid, p_erasure uuid, p_user text, p_after uuid,
  out after uuid, out entries bigint, out blanked bigint[], out earlier jsonb)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare entry public.audit_log; blank public.audit_log; many constant int := 500; seen int := 0;
begin
  perform history.begin_erasing(p_tenant, p_erasure);
  entries := 0;
  blanked := '{}';
  earlier := '[]';
  for entry in select * from public.audit_log a
    where a.tenant_id = p_tenant and a.actor = p_user and a.id > p_after order by a.id limit many
  loop
    seen := seen + 1;
    after := entry.id;
    continue when entry.actor_kind <> 'person' or (entry.actor_name = 'erased' and entry.from_address is null);
    blank := entry;
    blank.actor_name := 'erased';
    blank.from_address := null;
    blanked := blanked || history.audit_blank(p_erasure, entry, blank);
    earlier := earlier || history.audit_earlier(entry);
    entries := entries + 1;
  end loop;
  if seen < many then after := null; end if;
end $$;

-- What people manage is little and blanked at once: invitations (an open one is taken back, since nobody can join with it any more), API tokens, projects and
-- the organization's own name, where they name the person.
create function history.erase_things(p_tenant uuid, p_erasure uuid, p_people text[], p_names text[], p_users uuid[],
  out invitations bigint, out api_tokens bigint, out projects bigint, out organizations bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform history.begin_erasing(p_tenant, p_erasure);
  update public.invitations i
  set email = case when history.names(i.email, p_people) or i.accepted_by = any (p_users) then 'erased@erased.invalid' else i.email end,
      address = case when history.names(i.email, p_people) or i.accepted_by = any (p_users) then 'erased@erased.invalid' else i.address end,
      invited_by = case when history.names(i.invited_by, p_people) then 'erased' else i.invited_by end,
      revoked_at = case when history.names(i.email, p_people) and i.accepted_at is null then coalesce(i.revoked_at, now()) else i.revoked_at end
  where i.tenant_id = p_tenant and (history.names(i.email, p_people) or history.names(i.invited_by, p_people)
    or (i.accepted_by = any (p_users) and i.email <> 'erased@erased.invalid'));
  get diagnostics invitations = row_count;
  update public.api_tokens t
  set name = case when history.names(t.name, p_people) then 'erased' else t.name end,
      created_by = case when history.names(t.created_by, p_people) then 'erased' else t.created_by end
  where t.tenant_id = p_tenant and (history.names(t.name, p_people) or history.names(t.created_by, p_people));
  get diagnostics api_tokens = row_count;
  -- A project's name is taken once.
  update public.projects p set name = 'erased ' || p.project_id, key = 'erased ' || p.project_id, version = p.version + 1
  where p.tenant_id = p_tenant and history.names(p.name, p_people);
  get diagnostics projects = row_count;
  -- Who registered without a name for it gave it their own.
  update public.organizations o set name = 'erased', version = o.version + 1
  where o.tenant_id = p_tenant and (history.names(o.name, p_people) or history.folded(o.name) = any (p_names));
  get diagnostics organizations = row_count;
end $$;

-- Last of all the people themselves, who left before, and what idempotent requests were answered: it is sealed, so nobody knows which
-- answers name whom, and all of this organization's are forgotten. That they were done is kept.
create function history.erase_people(p_tenant uuid, p_erasure uuid, p_users uuid[], out people bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform history.begin_erasing(p_tenant, p_erasure);
  update public.users u set email = 'erased@erased.invalid', address = 'erased@erased.invalid', name = null, version = u.version + 1
  where u.tenant_id = p_tenant and u.user_id = any (p_users) and u.removed_at is not null
    and (u.email <> 'erased@erased.invalid' or u.name is not null);
  get diagnostics people = row_count;
  update public.idempotency_keys k set outcome = null where k.tenant_id = p_tenant and k.outcome is not null;
end $$;

grant usage on schema history to admin;
grant execute on function history.erase_open(uuid, uuid, text, text), history.erase_ended(uuid, uuid, text, text, uuid),
  history.erase_events(uuid, uuid, text[], text, uuid), history.erase_entries(uuid, uuid, text[], text[], text[], text, uuid),
  history.erase_acts(uuid, uuid, text, uuid), history.erase_things(uuid, uuid, text[], text[], uuid[]),
  history.erase_people(uuid, uuid, uuid[]) to admin;
