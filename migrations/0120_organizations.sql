-- An organization is a tenant. Every key of a table in `public` begins with tenant_id, so that the schema can be
-- distributed by it.
create table organizations (
  -- The id of zeros stands for the vendor, whose catalog and staff belong to no organization (core/src/domain/id.rs).
  tenant_id  uuid primary key check (tenant_id <> '00000000-0000-0000-0000-000000000000'),
  name       text collate "C" not null check (length(name) between 1 and 200),
  version    bigint not null default 1,  -- of what people edit: the ETag
  created_at timestamptz not null default now(),
  -- From when on ID tokens of the organization's people must be: a person with a token issued before, stolen or not, is
  -- told to sign in again. It only ever rises.
  tokens_not_before  timestamptz,
  -- Demanded of the organization's people for the operations of functions/src/admin/step_up.rs. Null: nothing.
  -- Seconds since the sign-in, at most; and the values of `acr` of which a token must have one.
  step_up_max_age    int check (step_up_max_age between 60 and 2592000),
  step_up_acr_values text[] collate "C" check (cardinality(step_up_acr_values) between 1 and 10),
  -- The name as the vendor's staff finds it (core/src/domain/name.rs, fold).
  name_key     text collate "C" not null default '',
  -- What the vendor's own systems know it by, which is theirs to set: one id, taken once among all organizations
  -- (directory.organizations), and names with texts.
  external_id  text collate "C" check (length(external_id) between 1 and 200),
  metadata     jsonb not null default '{}'
    check (jsonb_typeof(metadata) = 'object' and octet_length(metadata::text) <= 131072)
);
select protect('organizations');

grant select on organizations to admin;
grant update (name, version, tokens_not_before, step_up_max_age, step_up_acr_values, name_key, external_id, metadata)
  on organizations to admin;

create trigger copy_for_staff after insert or update of name_key, external_id, metadata on organizations
  for each row execute function directory.copy_organization();
