-- What scripts authenticate with: `cdt_live_…`. Only the hash of the secret is kept. A row is never deleted; what is
-- over has a time in it.
create table api_tokens (
  tenant_id    uuid not null references organizations,
  token_id     uuid not null,
  name         text collate "C" not null check (length(name) between 1 and 200),
  secret_hash  text collate "C" not null,
  scopes       text[] collate "C" not null,
  created_by   text collate "C" not null,
  granted_by   uuid,                             -- the person on whose word it is in force; null: the vendor's staff
  created_at   timestamptz not null default now(),
  expires_at   timestamptz,
  last_used_at timestamptz,                      -- to the minute
  revoked_at   timestamptz,
  -- From where it may be used; null: from everywhere. Never empty, since nobody could tell whether that means
  -- everywhere or nowhere.
  allowed_networks cidr[] check (cardinality(allowed_networks) between 1 and 50),
  primary key (tenant_id, token_id),
  foreign key (tenant_id, granted_by) references users
);
create index api_tokens_by_granter on api_tokens (granted_by, tenant_id) where revoked_at is null;
select protect('api_tokens');

grant select, insert on api_tokens to admin;
grant update (last_used_at, revoked_at, granted_by) on api_tokens to admin;
