-- Organizations, their people and licenses. Every key begins with tenant_id, so that the schema can be distributed by it.
create table organizations (
  tenant_id  uuid primary key,
  name       text not null check (length(name) between 1 and 200),
  version    bigint not null default 1,  -- of what people edit: the ETag
  created_at timestamptz not null default now()
);
create table users (
  tenant_id  uuid not null references organizations,
  user_id    uuid not null,
  email      text not null,
  -- What all spellings of it have in common, written by the services (core/src/domain/name.rs): no database folds letters.
  address    text not null,
  name       text,
  role       text not null check (role in ('owner', 'admin', 'member', 'viewer')),
  version    bigint not null default 1,
  created_at timestamptz not null default now(),
  removed_at timestamptz,                -- no longer in the organization; the row stays, since the audit log names it
  primary key (tenant_id, user_id)
);
create table licenses (
  tenant_id          uuid not null references organizations,
  license_id         uuid not null,
  number             text not null,              -- 64 random bits, public, immutable
  product            text not null,
  plan               text not null,
  tier               text not null,
  status             text not null default 'active' check (status in ('active', 'suspended', 'revoked')),
  status_since       timestamptz not null default now(),
  not_before         timestamptz,
  expires_at         timestamptz,
  features           jsonb not null default '{}' -- part of the facts every heartbeat carries
    check (jsonb_typeof(features) = 'object' and octet_length(features::text) <= 3072),
  offline_policy     text not null check (offline_policy in ('none', 'grace', 'borrow')),
  grace_hours        int not null default 0,
  grace_after_heartbeats int not null default 2 check (grace_after_heartbeats >= 0), -- so many must be lived through before tokens carry grace
  grace_beyond_seats int check (grace_beyond_seats >= 0), -- machines on unexpired grace beyond the seats; null: any number
  holder_by          text not null check (holder_by in ('machine', 'process')),
  processes_per_seat int not null,
  hide_holders       boolean not null default false,
  facts_version      bigint not null default 1,  -- rises with every change of what tokens say
  version            bigint not null default 1,  -- rises with every change people make: the ETag
  created_at         timestamptz not null default now(),
  unique (tenant_id, number)
);
-- Made last: of two indexes that begin alike, a plan made while the table is empty takes the newer (0005_seats.sql).
alter table licenses add primary key (tenant_id, license_id);
-- A license has one current secret and, after a rotation, old ones that are valid until a chosen time. Only hashes are kept.
create table license_keys (
  tenant_id   uuid not null,
  license_id  uuid not null,
  key_id      uuid not null default uuid_v7(),   -- names it for people and in sessions; says nothing of the secret
  key_hmac    text not null,                     -- '<pepper version>.<HMAC-SHA-256>'
  valid_until timestamptz,                       -- null: the current one
  created_at  timestamptz not null default now(),
  primary key (tenant_id, license_id, key_hmac),
  foreign key (tenant_id, license_id) references licenses
);
