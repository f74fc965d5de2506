-- Looks through the next events: for what names a person, or for the machine p_hw.
create function history.erase_events(p_tenant uuid, p_erasure uuid, p_people text[], p_hw text,
  p_after uuid, out after uuid, out events bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare place regclass; ids uuid[] := '{}'; found_ids uuid[]; blanked bigint; many constant int := 2000;
begin
  perform history.begin_erasing(p_tenant, p_erasure);
  events := 0;
  for place in select history.places('events') loop
    execute format('select array(select o.id from %s o where o.tenant_id = $1 and o.id > $2 order by o.id limit %s)',
      place, many)
    into found_ids using p_tenant, p_after;
    ids := ids || found_ids;
  end loop;
  ids := array(select distinct t.id from unnest(ids) as t (id) order by t.id limit many);
  if ids = '{}' then return; end if;
  for place in select history.places('events') loop
    execute format($q$update %s o
        set payload = case when $5 is null then history.scrub(o.payload, $4, '{}')
          else jsonb_set(o.payload, '{label}', '"erased"') end
      where o.tenant_id = $1 and o.id > $2 and o.id <= $3 and case
        when $5 is null then history.has_any(o.payload::text, $6) and o.payload <> history.scrub(o.payload, $4, '{}')
        else o.payload->>'hw' = $5 and o.payload->>'label' <> 'erased' end$q$, place)
    using p_tenant, p_after, ids[cardinality(ids)], p_people, p_hw, history.needles(p_people);
    get diagnostics blanked = row_count;
    events := events + blanked;
  end loop;
  if cardinality(ids) = many then after := ids[many]; end if;
end $$;
revoke execute on function history.erase_events from public;
grant execute on function history.erase_events to admin;
