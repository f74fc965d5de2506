-- What was bought. Rows are written by functions alone (create_license, change_license, set_license_status).
create table licenses (
  tenant_id          uuid not null references organizations,
  license_id         uuid not null,
  number             text collate "C" not null,  -- 64 random bits, public, immutable
  product            text collate "C" not null,
  plan               text collate "C" not null,
  tier               text collate "C" not null,
  status             text collate "C" not null default 'active' check (status in ('active', 'suspended', 'revoked')),
  status_since       timestamptz not null default now(),
  not_before         timestamptz,
  expires_at         timestamptz,
  features           jsonb not null default '{}' -- part of the facts every heartbeat carries
    check (jsonb_typeof(features) = 'object' and octet_length(features::text) <= 3072),
  offline_policy     text collate "C" not null check (offline_policy in ('none', 'grace', 'borrow')),
  grace_hours        int not null default 0,
  -- How many heartbeats a holder must have lived through before its tokens carry grace.
  grace_after_heartbeats int not null default 2 check (grace_after_heartbeats >= 0),
  -- How many machines may have unexpired grace beyond the seats; null: any number.
  grace_beyond_seats int check (grace_beyond_seats >= 0),
  holder_by          text collate "C" not null check (holder_by in ('machine', 'process')),
  processes_per_seat int not null,
  hide_holders       boolean not null default false,
  facts_version      bigint not null default 1,  -- rises with every change of what tokens say
  version            bigint not null default 1,  -- rises with every change people make: the ETag
  created_at         timestamptz not null default now(),
  -- What the vendor's own systems know it by: one id, taken once among all licenses (directory.licenses), and names
  -- with texts. No token says them.
  external_id        text collate "C" check (length(external_id) between 1 and 200),
  metadata           jsonb not null default '{}'
    check (jsonb_typeof(metadata) = 'object' and octet_length(metadata::text) <= 131072),
  -- What its people call it and note about it. The key is the name, folded; staff finds the license by it.
  name               text collate "C" check (length(name) between 1 and 200),
  name_key           text collate "C" check ((name is null) = (name_key is null)),
  note               text collate "C" check (length(note) between 1 and 2000),
  unique (tenant_id, number)
);
-- Made after the other unique index: of two that begin alike, a plan made while the table is empty takes the newer
-- (docs/decisions/2026-11-28-plans-without-statistics.md).
alter table licenses add primary key (tenant_id, license_id);
-- One index for each filter of the list, ending in the id, which is the order of the list: a UUID of version 7, so by
-- time. The filter comes first: a table with few rows in it is expected to have one of any organization, and then all
-- indexes that begin with the organization look as good as the key.
create index licenses_by_status on licenses (status, tenant_id, license_id);
create index licenses_by_tier on licenses (tier, tenant_id, license_id);
create index licenses_by_product on licenses (product, tenant_id, license_id);
select protect('licenses');

grant select on licenses to admin;
-- The number is half of a pool's Redis tag; the policy says whether a pool's grace is to be counted.
grant select (tenant_id, license_id, number, offline_policy) on licenses to reaper;
create policy reaper_reads on licenses for select to reaper using (true);

create trigger copy_for_staff after insert or update of status, product, plan, expires_at, external_id, metadata,
  name_key
  on licenses for each row execute function directory.copy_license();
