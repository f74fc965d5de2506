-- Looks through the next deliveries for answers that may name who or what is erased: a receiver may say anything, and
-- some say what they were sent. Blanked are those in which one of the names, one of the addresses or the machine's hash
-- stands, and those to an event that an erasure blanked, or that is not there to look at. So events are blanked before.
create function history.erase_deliveries(p_tenant uuid, p_erasure uuid, p_people text[], p_names text[], p_hw text,
  p_after uuid, out after uuid, out deliveries bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  place regclass; receiver uuid; ids uuid[] := '{}'; found_ids uuid[]; blanked bigint; many constant int := 500;
  receivers uuid[]; needles text[] := history.needles(p_people || p_names || coalesce(p_hw, ''));
begin
  perform history.begin_erasing(p_tenant, p_erasure);
  deliveries := 0;
  -- Of what was deleted long ago no delivery is left.
  receivers := array(select w.webhook_id from public.webhooks w where w.tenant_id = p_tenant
    and (w.deleted_at is null or w.deleted_at > now() - interval '90 days') order by w.webhook_id);
  for place in select history.places('deliveries') loop
    foreach receiver in array receivers loop
      execute format('select array(select d.event_id from %s d
        where d.tenant_id = $1 and d.webhook_id = $2 and d.event_id > $3
        order by d.tenant_id, d.webhook_id, d.event_id limit %s)', place, many)
      into found_ids using p_tenant, receiver, p_after;
      ids := ids || found_ids;
    end loop;
  end loop;
  ids := array(select distinct t.id from unnest(ids) as t (id) order by t.id limit many);
  if ids = '{}' then return; end if;
  for place in select history.places('deliveries') loop
    foreach receiver in array receivers loop
      execute format($q$update %s d set attempts = (
          select jsonb_agg(case when a.attempt->>'answer' is null then a.attempt
            else jsonb_set(a.attempt, '{answer}', '"erased"') end order by a.number)
          from jsonb_array_elements(d.attempts) with ordinality as a (attempt, number))
        where d.tenant_id = $1 and d.webhook_id = $2 and d.event_id > $3 and d.event_id <= $4
          and d.attempts @? '$[*].answer ? (@ != null && @ != "erased")'
          and (history.has_any(d.attempts::text, $5) or coalesce((select o.payload::text like '%%"erased%%'
            from public.outbox o where o.tenant_id = d.tenant_id and o.id = d.event_id limit 1), true))$q$, place)
      using p_tenant, receiver, p_after, ids[cardinality(ids)], needles;
      get diagnostics blanked = row_count;
      deliveries := deliveries + blanked;
    end loop;
  end loop;
  if cardinality(ids) = many then after := ids[many]; end if;
end $$;
revoke execute on function history.erase_deliveries from public;
grant execute on function history.erase_deliveries to admin;
