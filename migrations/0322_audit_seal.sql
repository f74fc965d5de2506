-- Writes the seal of an entry that has none, once.
create function history.audit_seal(p_tenant uuid, p_seq bigint, p_seal text) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  update public.audit_log a set seal = p_seal where a.tenant_id = p_tenant and a.seq = p_seq and a.seal is null;
  update public.audit_heads h set seal = p_seal where h.tenant_id = p_tenant and h.seq = p_seq and h.seal is null
$$;
revoke execute on function history.audit_seal from public;
grant execute on function history.audit_seal to admin;

-- Writes the seals of what an erasure left.
create function history.audit_seal_erased(p_tenant uuid, p_erasure uuid, p_seqs bigint[], p_seals text[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  for place in 1 .. cardinality(p_seqs) loop
    update public.audit_log a set erased_seal = p_seals[place]
    where a.tenant_id = p_tenant and a.seq = p_seqs[place] and a.erased_by = p_erasure and a.erased_seal is null;
  end loop;
end $$;
revoke execute on function history.audit_seal_erased from public;
grant execute on function history.audit_seal_erased to admin;
