-- Looks through the next entries of the audit log. Who did something is blanked where somebody else's id stands for
-- them; of the people p_users themselves it is done by erase_acts, last of all: what they were called in the log is how
-- they are found. `blanked` are the places in the chain of what was blanked: the service seals what is left
-- (history.audit_seal_erased), of what `earlier` erasures had blanked only where their seal was good.
create function history.erase_entries(p_tenant uuid, p_erasure uuid, p_people text[], p_names text[],
  p_users text[], p_hw text, p_after uuid, out after uuid, out entries bigint, out blanked bigint[],
  out earlier jsonb)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  entry public.audit_log; blank public.audit_log; many constant int := 2000; seen int := 0;
  needles text[] := history.needles(p_people || p_names || coalesce(history.folded(p_hw), ''));
begin
  perform history.begin_erasing(p_tenant, p_erasure);
  entries := 0;
  blanked := '{}';
  earlier := '[]';
  for entry in
    select * from public.audit_log a where a.tenant_id = p_tenant and a.id > p_after order by a.id limit many
  loop
    seen := seen + 1;
    after := entry.id;
    continue when not history.has_any(concat_ws(' ', entry.actor_name, entry.before, entry.after, entry.request_id),
      needles);
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
    if entry.action = 'session.ended'
      and (history.key(entry.before->>'user') = any (p_people) or entry.before->>'machine' = p_hw) then
      blank.before := blank.before || '{"label": "erased", "user": null}';
    end if;
    continue when blank is not distinct from entry;
    blanked := blanked || history.audit_blank(p_erasure, entry, blank);
    earlier := earlier || history.audit_earlier(entry);
    entries := entries + 1;
  end loop;
  if seen < many then after := null; end if;
end $$;
revoke execute on function history.erase_entries from public;
grant execute on function history.erase_entries to admin;
