-- Looks through the next mails that are not over for who or what is erased. One that is to that person, or that names
-- the person or the machine anywhere, is not sent. Of a mail that is over nothing is left that could name anybody.
create function history.erase_mails(p_tenant uuid, p_erasure uuid, p_people text[], p_names text[], p_users uuid[],
  p_hw text, p_after uuid, out after uuid, out mails bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  place regclass; ids uuid[] := '{}'; found_ids uuid[]; ended bigint; many constant int := 500;
  needles text[] := history.needles(p_people || p_names || coalesce(p_hw, ''));
begin
  perform history.begin_erasing(p_tenant, p_erasure);
  mails := 0;
  for place in select history.places('mails') loop
    execute format('select array(select m.mail_id from %s m
      where m.tenant_id = $1 and m.mail_id > $2 order by m.tenant_id, m.mail_id limit %s)', place, many)
    into found_ids using p_tenant, p_after;
    ids := ids || found_ids;
  end loop;
  ids := array(select distinct t.id from unnest(ids) as t (id) order by t.id limit many);
  if ids = '{}' then return; end if;
  for place in select history.places('mails') loop
    execute format($q$update %s m set state = case when m.state = 'sending' then 'unknown' else 'skipped' end,
        outcome = 'erased', next_at = null, finished_at = now(), data = '{}', sealed = null
      where m.tenant_id = $1 and m.mail_id > $2 and m.mail_id <= $3 and m.finished_at is null
        and (history.has_any(m.data::text, $4) or m.user_id = any ($5))$q$, place)
    using p_tenant, p_after, ids[cardinality(ids)], needles, p_users;
    get diagnostics ended = row_count;
    mails := mails + ended;
  end loop;
  if cardinality(ids) = many then after := ids[many]; end if;
end $$;
revoke execute on function history.erase_mails from public;
grant execute on function history.erase_mails to admin;
