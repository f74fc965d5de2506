-- Appends an entry: its id, its time and its place are the database's. The caller seals its hash before it commits.
create function history.audit_append(p_tenant uuid, p_actor_kind text, p_actor text, p_actor_name text,
  p_action text, p_target text, p_before jsonb, p_after jsonb, p_from_address text, p_request_id text,
  out id uuid, out seq bigint, out hash bytea)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare entry public.audit_log; head public.audit_heads;
begin
  insert into public.audit_heads as h (tenant_id, seq, hash) values (p_tenant, 1, decode(repeat('00', 32), 'hex'))
  on conflict (tenant_id) do update set seq = h.seq + 1
  returning * into head; -- the row is ours until the end; its hash still is that of the entry before
  entry.tenant_id := p_tenant;
  entry.id := public.uuid_v7();
  entry.actor_kind := p_actor_kind;
  entry.actor := p_actor;
  entry.actor_name := p_actor_name;
  entry.action := p_action;
  entry.target := p_target;
  entry.before := nullif(p_before, 'null');
  entry.after := nullif(p_after, 'null');
  entry.from_address := p_from_address;
  entry.request_id := p_request_id;
  entry.seq := head.seq;
  entry.salt := uuid_send(gen_random_uuid());
  entry.details_hash := history.audit_details_hash(entry.salt, entry);
  entry.hash := sha256(history.audit_text('audit-entry-v1', encode(head.hash, 'hex'), entry.seq::text,
    p_tenant::text, entry.id::text, p_actor_kind, p_actor, p_action, p_target, encode(entry.details_hash, 'hex')));
  insert into public.audit_log (tenant_id, id, actor_kind, actor, actor_name, action, target, before, after,
    from_address, request_id, seq, salt, details_hash, hash)
  values (entry.tenant_id, entry.id, entry.actor_kind, entry.actor, entry.actor_name, entry.action, entry.target,
    entry.before, entry.after, entry.from_address, entry.request_id, entry.seq, entry.salt,
    entry.details_hash, entry.hash);
  update public.audit_heads h set hash = entry.hash, seal = null where h.tenant_id = p_tenant;
  id := entry.id;
  seq := entry.seq;
  hash := entry.hash;
end $$;
revoke execute on function history.audit_append from public;
grant execute on function history.audit_append to admin;
