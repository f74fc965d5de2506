-- Events: written by functions, of the kinds that each knows, and marked by whoever holds them. An event's id and times are the database's.

-- What an act of people tells besides what the functions on licenses and seats tell themselves.
create function tell(p_tenant uuid, p_kind text, p_payload jsonb) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if p_kind is null or p_kind <> all (array['person.joined', 'invitation.created', 'invitation.revoked']) then
    raise exception 'people''s acts tell no event of the kind %', p_kind
      using errcode = '22023', hint = 'A new kind is named in migrations/0026_rights.sql and in docs/API.md.';
  end if;
  if octet_length(p_payload::text) > 65536 then
    raise exception 'an event has at most 64 KiB' using errcode = '22023';
  end if;
  perform set_config('app.tenant_id', p_tenant::text, true);
  insert into outbox (tenant_id, kind, payload) values (p_tenant, p_kind, p_payload);
end $$;
grant execute on function tell(uuid, text, jsonb) to admin;

-- Tells how a pool was used, once for each minute: a second time, or of an earlier minute, is false. What the event says of the pool itself is
-- taken from the records.
create function record_usage(p_tenant uuid, p_pool uuid, p_minute bigint, p_held int, p_peak int, p_denied bigint) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
declare pool pools;
begin
  if p_held is null or p_held not between 0 and 1000000 or p_peak is null or p_peak not between 0 and 1000000 or p_denied is null or p_denied < 0 then
    raise exception 'no pool is used like this: % seats held, % at most, % denied', p_held, p_peak, p_denied using errcode = '22023';
  end if;
  perform set_config('app.tenant_id', p_tenant::text, true);
  -- Nothing is decided about a seat, so the pool's lock is not needed. One minute that is a day later was told by a clock that was ahead.
  update pools p set counted_minute = p_minute
  where p.tenant_id = p_tenant and p.pool_id = p_pool and (p.counted_minute < p_minute or p.counted_minute > p_minute + 1440)
  returning * into pool;
  if not found then return false; end if;
  insert into outbox (tenant_id, kind, payload)
  select p_tenant, 'usage', jsonb_build_object(
    'license', l.number, 'pool_id', p_pool, 'pool', pool.name, 'minute', p_minute, 'held', p_held, 'peak', p_peak, 'denied', p_denied)
  from licenses l where l.tenant_id = p_tenant and l.license_id = pool.license_id;
  return true;
end $$;
grant execute on function record_usage(uuid, uuid, bigint, int, int, bigint) to reaper;

-- Marks events published that the transaction holds: those it took to publish, for nobody else's can be marked, nor one at another time than now.
-- A row that a transaction locked says so in xmax. Answers how many there were. One by one and by key, each with its tenant set.
create function mark_published(p_tenants uuid[], p_ids uuid[]) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare event record; tenant uuid; marked int := 0;
begin
  for event in select * from unnest(p_tenants, p_ids) as t (tenant_id, id) order by t.tenant_id, t.id loop
    if event.tenant_id is distinct from tenant then
      tenant := event.tenant_id;
      perform set_config('app.tenant_id', tenant::text, true);
    end if;
    update outbox o set published_at = now()
    where o.tenant_id = event.tenant_id and o.id = event.id and o.published_at is null and o.xmax = pg_current_xact_id()::xid;
    if found then marked := marked + 1; end if;
  end loop;
  return marked;
end $$;
grant execute on function mark_published(uuid[], uuid[]) to reaper;
