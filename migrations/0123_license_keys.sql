-- A license has one current secret and, after a rotation, old ones that are valid until a chosen time. Only hashes are
-- kept.
create table license_keys (
  tenant_id   uuid not null,
  license_id  uuid not null,
  key_id      uuid not null default uuid_v7(),   -- names it for people and in sessions; says nothing of the secret
  key_hmac    text collate "C" not null,         -- '<pepper version>.<HMAC-SHA-256>'
  valid_until timestamptz,                       -- null: the current one
  created_at  timestamptz not null default now(),
  primary key (tenant_id, license_id, key_hmac),
  foreign key (tenant_id, license_id) references licenses
);
select protect('license_keys');

grant select on license_keys to admin;
