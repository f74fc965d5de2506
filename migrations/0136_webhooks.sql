-- Webhooks: to where an organization has its events sent. One is active while none of `disabled_at`, `paused_at` and
-- `deleted_at` is set. A row is never deleted, so that the log of its deliveries says to where they went.
create table webhooks (
  tenant_id       uuid not null references organizations,
  webhook_id      uuid not null,
  url             text collate "C" not null check (length(url) between 1 and 2000),
  description     text collate "C" not null default '' check (length(description) <= 200),
  -- Null: every kind but `usage`, which comes each minute. Never empty, as of the networks of API tokens.
  kinds           text[] collate "C" check (cardinality(kinds) between 1 and 50),
  -- What its requests are signed with, sealed by the service; the one before is used besides until its time is over.
  secret          text collate "C" not null,
  previous_secret text collate "C",
  previous_until  timestamptz,
  created_by      text collate "C" not null,
  created_at      timestamptz not null default now(),
  version         bigint not null default 1,     -- of what people edit: the ETag
  disabled_at     timestamptz,                   -- by people, or because its receiver said that it is gone
  paused_at       timestamptz,                   -- by finish_delivery, after days without a success
  failing_since   timestamptz,                   -- the first failure after its last success
  deleted_at      timestamptz,
  check ((previous_secret is null) = (previous_until is null)),
  primary key (tenant_id, webhook_id)
);
-- Those that people see, and that an event may be for: at most 20 of an organization, however many were deleted. Made
-- after the key, so that a plan of an empty table takes it.
create index webhooks_in_use on webhooks (tenant_id, webhook_id) where deleted_at is null;
select protect('webhooks');

grant select on webhooks to admin;
grant insert (tenant_id, webhook_id, url, description, kinds, secret, created_by) on webhooks to admin;
grant update (url, description, kinds, secret, previous_secret, previous_until, version, disabled_at, paused_at,
  failing_since, deleted_at) on webhooks to admin;
