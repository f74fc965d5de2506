-- Writes what an erasure left of an entry; answers its place if it was as its hashes say before. What was not is left
-- without a seal, so that no erasure makes good what somebody changed.
create function history.audit_blank(p_erasure uuid, p_entry public.audit_log, p_blank public.audit_log) returns bigint[]
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  hash_before bytea := case when p_entry.erased_by is null then p_entry.details_hash else p_entry.erased_hash end;
  true_before boolean := hash_before = history.audit_details_hash(p_entry.salt, p_entry)
    and (p_entry.erased_by is null or p_entry.erased_seal is not null);
begin
  update public.audit_log a
  set actor_name = p_blank.actor_name, from_address = p_blank.from_address, before = p_blank.before,
      after = p_blank.after, request_id = p_blank.request_id, salt = null, erased_by = p_erasure,
      erased_hash = history.audit_details_hash(null, p_blank), erased_seal = null
  where a.tenant_id = p_entry.tenant_id and a.seq = p_entry.seq and a.id = p_entry.id;
  return case when true_before then array[p_entry.seq] else '{}' end;
end $$;
revoke execute on function history.audit_blank from public;

-- What an earlier erasure had left of an entry, with its seal: only the service can tell whether that is good. An empty
-- list: there was none.
create function history.audit_earlier(p_entry public.audit_log) returns jsonb
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select case when p_entry.erased_by is null then '[]' else jsonb_build_array(jsonb_build_object(
    'seq', p_entry.seq, 'erased_by', p_entry.erased_by, 'erased_hash', encode(p_entry.erased_hash, 'hex'),
    'erased_seal', p_entry.erased_seal)) end
$$;
revoke execute on function history.audit_earlier from public;
