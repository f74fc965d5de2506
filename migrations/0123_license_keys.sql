-- A license has one current secret and, after a rotation, old ones that are valid until a chosen time. Only hashes are
-- kept.
create table license_keys (
  tenant_id   uuid not null,
  license_id  uuid not null,
  key_id      uuid not null default uuid_v7(),   -- names it for people and in sessions; says nothing of the secret
  key_hmac    text collate "C" not null,         -- '<pepper version>.<HMAC-SHA-256>'
  valid_until timestamptz,                       -- null: the current one
  created_at  timestamptz not null default now(),
  foreign key (tenant_id, license_id) references licenses
);
-- For the list of a license's keys. Made before the key's own index: of two that begin alike, a plan made while the
-- table is empty takes the newer, and a license key is found by its hash.
create index license_keys_by_id on license_keys (tenant_id, license_id, key_id);
alter table license_keys add primary key (tenant_id, license_id, key_hmac);
select protect('license_keys');

grant select on license_keys to admin;
