-- The log as an export of an organization's is, one JSON object a line, for whoever owns the database.
create function history.staff_export() returns setof text
language sql stable set search_path = pg_catalog, pg_temp as $$
  select jsonb_build_object('seq', l.seq, 'id', l.id, 'actor_kind', l.actor_kind, 'actor', l.actor,
    'action', l.action, 'target', l.target, 'details', d.details, 'salt', null,
    'details_hash', encode(sha256(convert_to(d.details, 'UTF8')), 'hex'), 'hash', encode(l.hash, 'hex'),
    'seal', l.seal, 'erased_by', null, 'erased_hash', null, 'erased_seal', null)::text
  from catalog.staff_log l, lateral (
    select jsonb_build_object('actor_name', l.actor_name, 'from_address', l.from_address,
      'request_id', l.request_id, 'before', l.before, 'after', l.after)::text) d (details)
  order by l.seq, l.id
$$;
revoke execute on function history.staff_export from public;
