-- Before the tenant is known: an exact key in, ids out, never a list of anybody's. No business data, no row-level security;
-- serving roles have no right on the tables and come in through the functions. A test counts the tables.
create table directory.license_numbers (
  number     text primary key check (number ~ '^[0-9A-HJKMNP-TV-Z]{13}$'),
  tenant_id  uuid not null,
  license_id uuid not null
);
create table directory.identities (
  issuer  text not null,
  subject text not null,
  user_id uuid not null,
  primary key (issuer, subject)
);
create table directory.identity_tenants (
  issuer    text not null,
  subject   text not null,
  tenant_id uuid not null,
  primary key (issuer, subject, tenant_id),
  foreign key (issuer, subject) references directory.identities
);

create function directory.locate_license(p_number text) returns table (tenant_id uuid, license_id uuid)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select n.tenant_id, n.license_id from directory.license_numbers n where n.number = p_number
$$;

create function directory.locate_identity(p_issuer text, p_subject text) returns table (user_id uuid, tenant_id uuid)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select i.user_id, t.tenant_id
  from directory.identities i left join directory.identity_tenants t using (issuer, subject)
  where i.issuer = p_issuer and i.subject = p_subject
$$;

-- Enters an identity if it is new and answers the user it belongs to. Holds the identity's row for the transaction,
-- so that two registrations of one person happen one after the other.
create function directory.enter_identity(p_issuer text, p_subject text, p_user uuid) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare found_user uuid;
begin
  insert into directory.identities (issuer, subject, user_id) values (p_issuer, p_subject, p_user) on conflict do nothing;
  select i.user_id into found_user from directory.identities i where i.issuer = p_issuer and i.subject = p_subject for update;
  return found_user;
end $$;

create function directory.enter_tenant(p_issuer text, p_subject text, p_tenant uuid) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  insert into directory.identity_tenants (issuer, subject, tenant_id) values (p_issuer, p_subject, p_tenant) on conflict do nothing
$$;

-- False if the number is taken: draw another.
create function directory.enter_license(p_number text, p_tenant uuid, p_license uuid) returns boolean
language sql security definer set search_path = pg_catalog, pg_temp as $$
  with entered as (
    insert into directory.license_numbers (number, tenant_id, license_id) values (p_number, p_tenant, p_license)
    on conflict do nothing returning 1)
  select exists (select from entered)
$$;

grant execute on function directory.locate_license(text) to admin;
grant execute on function directory.locate_identity(text, text), directory.enter_identity(text, text, uuid),
  directory.enter_tenant(text, text, uuid) to admin;
