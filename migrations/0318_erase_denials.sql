-- Blanks the next wants of a person or a machine.
create function history.erase_denials(p_tenant uuid, p_erasure uuid, p_by text, p_whom text, p_after uuid,
  out after uuid, out denials bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare place regclass; ids uuid[] := '{}'; found_ids uuid[]; blanked bigint; many constant int := 200;
begin
  perform history.begin_erasing(p_tenant, p_erasure);
  denials := 0;
  for place in select history.places('denials') loop
    execute format($q$select array(select d.denial_id from %s d
      where d.tenant_id = $1 and %s = $2 and d.denial_id > $3 and (d.label <> 'erased' or d.person is not null)
      order by d.denial_id limit %s)$q$, place, case p_by when 'hw' then 'd.hw' else 'd.person' end, many)
    into found_ids using p_tenant, p_whom, p_after;
    ids := ids || found_ids;
  end loop;
  ids := array(select distinct t.id from unnest(ids) as t (id) order by t.id limit many);
  for place in select history.places('denials') loop
    execute format($q$update %s d set label = 'erased', person = null
      where d.tenant_id = $1 and d.denial_id = any ($2) and (d.label <> 'erased' or d.person is not null)$q$, place)
    using p_tenant, ids;
    get diagnostics blanked = row_count;
    denials := denials + blanked;
  end loop;
  if cardinality(ids) = many then after := ids[many]; end if;
end $$;
revoke execute on function history.erase_denials from public;
grant execute on function history.erase_denials to admin;
