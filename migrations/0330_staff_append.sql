-- As history.audit_append, for what staff did to the catalog, which is a chain of its own: the organization in it is
-- 00000000-0000-0000-0000-000000000000, and nothing in it is erased, so that there is no salt.
create function history.staff_append(p_actor_kind text, p_actor text, p_actor_name text, p_action text,
  p_target text, p_before jsonb, p_after jsonb, p_from_address text, p_request_id text, out seq bigint, out hash bytea)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare entry public.audit_log; head catalog.staff_head;
begin
  update catalog.staff_head h set seq = h.seq + 1 returning * into strict head;
  entry.id := public.uuid_v7();
  entry.actor_name := p_actor_name;
  entry.before := nullif(p_before, 'null');
  entry.after := nullif(p_after, 'null');
  entry.from_address := p_from_address;
  entry.request_id := p_request_id;
  seq := head.seq;
  hash := sha256(history.audit_text('audit-entry-v1', encode(head.hash, 'hex'), seq::text,
    '00000000-0000-0000-0000-000000000000', entry.id::text, p_actor_kind, p_actor, p_action, p_target,
    encode(history.audit_details_hash(null, entry), 'hex')));
  insert into catalog.staff_log (id, actor_kind, actor, actor_name, action, target, before, after, from_address,
    request_id, seq, hash)
  values (entry.id, p_actor_kind, p_actor, entry.actor_name, p_action, p_target, entry.before, entry.after,
    entry.from_address, entry.request_id, seq, staff_append.hash);
  update catalog.staff_head h set hash = staff_append.hash;
end $$;
revoke execute on function history.staff_append from public;
grant execute on function history.staff_append to admin;
