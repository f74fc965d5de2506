-- Makes an organization without people and licenses, for the vendor to fill. Whoever calls it goes on as this
-- organization, which the invitation of its first owner and the audit log need.
create function make_organization(p_organization uuid, p_name text, p_name_key text, p_external_id text,
  p_metadata jsonb) returns void
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform set_config('app.tenant_id', p_organization::text, true);
  insert into organizations (tenant_id, name, name_key, external_id, metadata)
  values (p_organization, p_name, p_name_key, p_external_id, p_metadata);
  perform make_first_alert_rules(p_organization);
  insert into outbox (tenant_id, kind, payload)
  values (p_organization, 'organization.created', jsonb_build_object('external_id', p_external_id));
end $$;
revoke execute on function make_organization from public;
grant execute on function make_organization to admin;
