-- Texts one after the other, each with its length in front, so that no two lists are written alike (a netstring:
-- 5:hello,). In PL/pgSQL, as the next, which keeps its plan (uuid_v7).
create function history.audit_text(variadic p_parts text[]) returns bytea
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
declare part text; said text := '';
begin
  foreach part in array p_parts loop
    said := said || octet_length(part) || ':' || part || ',';
  end loop;
  return convert_to(said, 'UTF8');
end $$;
revoke execute on function history.audit_text from public;

-- The hash of what may be erased some day. With a salt that is forgotten then: without it nobody could tell what was
-- said, not even by trying.
create function history.audit_details_hash(p_salt bytea, p_entry public.audit_log) returns bytea
language plpgsql immutable set search_path = pg_catalog, pg_temp as $$
begin
  return sha256(coalesce(p_salt, '') || convert_to(jsonb_build_object(
    'actor_name', p_entry.actor_name, 'from_address', p_entry.from_address, 'request_id', p_entry.request_id,
    'before', p_entry.before, 'after', p_entry.after)::text, 'UTF8'));
end $$;
revoke execute on function history.audit_details_hash from public;
