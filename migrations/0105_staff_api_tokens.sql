-- Vendor tokens: what the vendor's own machines authenticate with, such as a shop: `cdv_live_…`. Only the hash of the
-- secret is kept. A row is never deleted; what is over has a time in it.
create table catalog.staff_api_tokens (
  token_id     uuid primary key,
  name         text collate "C" not null check (length(name) between 1 and 200),
  secret_hash  text collate "C" not null,
  scopes       text[] collate "C" not null,
  created_by   text collate "C" not null,        -- the address of the member of staff
  created_at   timestamptz not null default now(),
  expires_at   timestamptz not null,
  last_used_at timestamptz,                      -- to the minute
  revoked_at   timestamptz,
  -- From where it may be used; null: from everywhere. Never empty, as of api_tokens.
  allowed_networks cidr[] check (cardinality(allowed_networks) between 1 and 50)
);

grant select, insert on catalog.staff_api_tokens to admin;
grant update (last_used_at, revoked_at) on catalog.staff_api_tokens to admin;
