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
revoke execute on function history.erase_acts from public;
grant execute on function history.erase_acts to admin;
