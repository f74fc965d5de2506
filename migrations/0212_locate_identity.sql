-- The user that the person of an ID token is, with a row for each organization they belong to or once did; tenant_id is
-- null where there is none. No row: nobody knows this person.
create function directory.locate_identity(p_issuer text, p_subject text) returns table (user_id uuid, tenant_id uuid)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select i.user_id, t.tenant_id
  from directory.identities i left join directory.identity_tenants t using (issuer, subject)
  where i.issuer = p_issuer and i.subject = p_subject
$$;
revoke execute on function directory.locate_identity from public;
grant execute on function directory.locate_identity to admin;
