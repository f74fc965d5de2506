-- The first id that can have been drawn at this time (RFC 9562, version 7).
create function history.first_id(at timestamptz) returns uuid
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select (lpad(to_hex(floor(extract(epoch from at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;
revoke execute on function history.first_id from public;

-- Where rows of a kind lie: the table everybody asks, and those of the history that are on their way back, out or in
-- (history.step).
create function history.places(p_part text) returns setof regclass
language sql stable set search_path = pg_catalog, pg_temp as $$
  select case p_part when 'sessions' then 'public.sessions' when 'denials' then 'public.denials'
    when 'deliveries' then 'public.webhook_deliveries' when 'mails' then 'public.mails'
    else 'public.outbox' end::regclass
  union all
  select c.oid::regclass from pg_class c
  where c.relnamespace = 'history'::regnamespace and c.relkind = 'r' and not c.relispartition
    and c.relname like p_part || '\_%'
$$;
revoke execute on function history.places from public;

-- Blanks what the event of each of these sessions says, and then the sessions. An event is written in the transaction
-- that began the session, of which a statement lasts 2 s at most, so its id was drawn within 3 s of the session's
-- start.
--   p_pool  of open sessions: its lock is taken in between, so that nobody waits for a seat while we wait for whoever
--           publishes an event
create function history.blank_sessions(p_tenant uuid, p_sessions uuid[], p_people text[],
  p_pool uuid, out sessions bigint, out events bigint)
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  place regclass; blanked bigint; began record;
  ids uuid[] := '{}'; starts timestamptz[] := '{}'; found_ids uuid[]; found_starts timestamptz[];
  says constant text := $q$s.tenant_id = $1 and s.session_id = any ($2)
    and (s.label <> 'erased' or s.person is not null or s.client ?| array['hostname', 'user'])$q$;
begin
  sessions := 0;
  events := 0;
  for place in select history.places('sessions') loop
    execute format('select array_agg(s.session_id), array_agg(s.started_at) from %s s where %s', place, says)
      into found_ids, found_starts using p_tenant, p_sessions;
    ids := ids || found_ids;
    starts := starts || found_starts;
  end loop;
  -- Sessions that began close to each other have their events close to each other: what lies between is read once for
  -- all of them.
  for began in
    select history.first_id(min(n.at)) as first_id, history.first_id(max(n.at) + interval '3 seconds') as last_id,
      array_agg(n.id::text) as ids
    from (select f.id, f.at, count(*) filter (where f.first) over (order by f.at) as number
          from (select t.id, t.at, t.at > lag(t.at) over (order by t.at) + interval '3 seconds' as first
            from unnest(ids, starts) as t (id, at)) f) n
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
    execute format($q$update %s s
      set label = 'erased', person = null, client = history.scrub(s.client - array['hostname', 'user'], $3, '{}')
      where %s$q$, place, says) using p_tenant, p_sessions, p_people;
    get diagnostics blanked = row_count;
    sessions := sessions + blanked;
  end loop;
end $$;
revoke execute on function history.blank_sessions from public;

-- Blanks open sessions of one pool and raises its epoch, as every change without a ticket does: the copy in Redis has
-- labels too. Who holds what, by which process and on which seat, is not touched. pool_id null: there are none.
create function history.erase_open(p_tenant uuid, p_erasure uuid, p_by text, p_whom text,
  out pool_id uuid, out name text, out number text, out epoch_before bigint, out sessions bigint, out events bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  ids uuid[]; whose text := case p_by when 'hw' then 's.hw' else 's.person' end;
  says constant text := $q$(s.label <> 'erased' or s.person is not null or s.client ?| array['hostname', 'user'])$q$;
begin
  perform history.begin_erasing(p_tenant, p_erasure);
  execute format('select s.pool_id from public.sessions s
    where s.tenant_id = $1 and %s = $2 and s.ended_at is null and %s limit 1', whose, says)
  into pool_id using p_tenant, p_whom;
  if pool_id is null then return; end if;
  execute format('select array(select s.session_id from public.sessions s
    where s.tenant_id = $1 and %s = $2 and s.ended_at is null and s.pool_id = $3 and %s limit 200)', whose, says)
  into ids using p_tenant, p_whom, pool_id;
  select b.sessions, b.events into sessions, events
  from history.blank_sessions(p_tenant, ids, case p_by when 'hw' then '{}' else array[p_whom] end, pool_id) b;
  update public.pools p set epoch = p.epoch + 1, changed_at = now() from public.licenses l
  where p.tenant_id = p_tenant and p.pool_id = erase_open.pool_id and l.tenant_id = p_tenant
    and l.license_id = p.license_id
  returning p.name, l.number, p.epoch - 1 into name, number, epoch_before;
end $$;
revoke execute on function history.erase_open from public;
grant execute on function history.erase_open to admin;

-- Blanks the next ended sessions.
create function history.erase_ended(p_tenant uuid, p_erasure uuid, p_by text, p_whom text, p_after uuid,
  out after uuid, out sessions bigint, out events bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare place regclass; ids uuid[] := '{}'; found_ids uuid[]; many constant int := 200;
begin
  perform history.begin_erasing(p_tenant, p_erasure);
  for place in select history.places('sessions') loop
    execute format($q$select array(select s.session_id from %s s
      where s.tenant_id = $1 and %s = $2 and s.session_id > $3 and s.ended_at is not null
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
revoke execute on function history.erase_ended from public;
grant execute on function history.erase_ended to admin;
