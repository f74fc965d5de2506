-- Writes down that a person belongs to an organization. Harmless to repeat.
create function directory.enter_tenant(p_issuer text, p_subject text, p_tenant uuid) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  insert into directory.identity_tenants (issuer, subject, tenant_id) values (p_issuer, p_subject, p_tenant)
  on conflict do nothing
$$;
revoke execute on function directory.enter_tenant from public;
grant execute on function directory.enter_tenant to admin;
