-- What a POST with an Idempotency-Key did, so that the same request again does nothing and hears the same. Sealed with
-- the key that only the client and this row's service know: some outcomes show a secret once. Requests of the vendor's
-- staff that name no organization are kept under the id of zeros, which is why there is no reference to organizations.
create table idempotency_keys (
  tenant_id    uuid not null,
  principal    text collate "C" not null,
  key_hash     text collate "C" not null,
  request_hash text collate "C" not null,        -- the same key for another request is refused
  begun        uuid,                             -- of a change of several transactions: its entry in the audit log
  outcome      text collate "C",                 -- written at the end of the (last) transaction
  created_at   timestamptz not null default now(),
  primary key (tenant_id, principal, key_hash)
);
create index idempotency_keys_by_age on idempotency_keys (tenant_id, created_at);
select protect('idempotency_keys');

grant select, insert on idempotency_keys to admin;
grant update (request_hash, begun, outcome, created_at) on idempotency_keys to admin;
-- The one table that forgets: what is over after a day.
grant delete on idempotency_keys to admin;
