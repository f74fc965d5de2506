-- What the vendor's staff finds organizations and licenses by, of all of them: copies of some of their columns, which
-- the triggers below keep. As every table of `directory`, no role that serves has a right on them; questions answer ids
-- (0216_find_things.sql), and what is shown is read from the tables of the organizations.
create table directory.organizations (
  tenant_id   uuid primary key,
  name_key    text collate "C" not null,
  external_id text collate "C" unique
);
create index organizations_by_name on directory.organizations (name_key, tenant_id);

create table directory.licenses (
  license_id  uuid primary key,
  tenant_id   uuid not null,
  status      text collate "C" not null,
  product     text collate "C" not null,
  plan        text collate "C" not null,
  expires_at  timestamptz,
  external_id text collate "C" unique,
  name_key    text collate "C"
);
-- Each ends in what the list is in the order of.
create index licenses_by_status on directory.licenses (status, license_id);
create index licenses_by_product on directory.licenses (product, license_id);
create index licenses_by_plan on directory.licenses (plan, license_id);
create index licenses_by_end on directory.licenses (expires_at, license_id) where expires_at is not null;
create index licenses_by_name on directory.licenses (name_key, license_id) where name_key is not null;

-- One row for each key of the metadata of an organization or a license.
create table directory.metadata (
  kind      text collate "C" not null check (kind in ('organization', 'license')),
  key       text collate "C" not null,
  value     text collate "C" not null,
  thing_id  uuid not null,                       -- tenant_id of an organization, license_id of a license
  tenant_id uuid not null,
  primary key (kind, key, value, thing_id)
);

-- Makes the rows of directory.metadata for a thing those of its metadata now.
create function directory.copy_metadata(p_kind text, p_thing uuid, p_tenant uuid, p_before jsonb, p_after jsonb)
returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from directory.metadata m using jsonb_each_text(p_before) b
  where m.kind = p_kind and m.key = b.key and m.value = b.value and m.thing_id = p_thing
    and p_after->>b.key is distinct from b.value;
  insert into directory.metadata (kind, key, value, thing_id, tenant_id)
  select p_kind, a.key, a.value, p_thing, p_tenant from jsonb_each_text(p_after) a
  on conflict do nothing;
end $$;
revoke execute on function directory.copy_metadata from public;

create function directory.copy_organization() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into directory.organizations (tenant_id, name_key, external_id)
  values (new.tenant_id, new.name_key, new.external_id)
  on conflict (tenant_id) do update set name_key = excluded.name_key, external_id = excluded.external_id;
  perform directory.copy_metadata('organization', new.tenant_id, new.tenant_id,
    case when tg_op = 'UPDATE' then old.metadata else '{}' end, new.metadata);
  return null;
end $$;
revoke execute on function directory.copy_organization from public;

create function directory.copy_license() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into directory.licenses (license_id, tenant_id, status, product, plan, expires_at, external_id, name_key)
  values (new.license_id, new.tenant_id, new.status, new.product, new.plan, new.expires_at, new.external_id,
    new.name_key)
  on conflict (license_id) do update set status = excluded.status, product = excluded.product, plan = excluded.plan,
    expires_at = excluded.expires_at, external_id = excluded.external_id, name_key = excluded.name_key;
  perform directory.copy_metadata('license', new.license_id, new.tenant_id,
    case when tg_op = 'UPDATE' then old.metadata else '{}' end, new.metadata);
  return null;
end $$;
revoke execute on function directory.copy_license from public;
