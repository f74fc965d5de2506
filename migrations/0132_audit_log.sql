-- Who did what, to what, from where. An entry is written in the transaction of what it tells, by history.audit_append
-- alone, which draws the id, the time and the place in the organization's chain. No role may insert, change or delete a
-- row.
--
-- The log is a chain for each organization. Each entry has the hash of the one before in its own, so that none can be
-- changed, left out, put in between or moved without all that follow being made anew; and each hash is sealed with a
-- key that the database does not have, so that whoever owns the database cannot make them anew either. The service
-- checks it (core/src/records/chain/mod.rs), and so can anybody who has an export (docs/API.md): the three must hash the
-- same bytes.
create table audit_log (
  tenant_id    uuid not null references organizations,
  id           uuid not null default uuid_v7(),
  -- The time in the id, in milliseconds: a filter by time is one by id, and the list is in the order of both.
  at           timestamptz not null generated always as (
    to_timestamp(('x' || translate(left(id::text, 13), '-', ''))::bit(48)::bigint / 1000.0)) stored,
  actor_kind   text collate "C" not null check (actor_kind in ('person', 'token', 'staff', 'vendor_token')),
  actor        text collate "C" not null,        -- the user's or token's id; of staff the subject
  actor_name   text collate "C" not null,        -- the address or the token's name, as it was then
  action       text collate "C" not null,        -- noun.verb
  target       text collate "C" not null,        -- the id of what it was done to
  before       jsonb,
  after        jsonb,
  from_address text collate "C",
  request_id   text collate "C",
  seq          bigint not null,                  -- the place in the organization's chain: 1, 2, 3 …
  -- Null once something in the row was erased: what it said cannot be guessed from details_hash.
  salt         bytea,
  -- Of what may be erased: actor_name, before, after, from_address, request_id.
  details_hash bytea not null,
  hash         bytea not null,                   -- of all the rest, details_hash, and the hash of the entry before
  -- '<pepper version>.<HMAC of hash>', by a key that the database does not have.
  seal         text collate "C",
  -- The entry of the erasure that blanked something here; of several the last.
  erased_by    uuid,
  erased_hash  bytea,                            -- what details_hash would be since then, without salt
  erased_seal  text collate "C",                 -- as seal, of erased_by and erased_hash
  primary key (tenant_id, id)
);
create index audit_log_by_action on audit_log (tenant_id, action, id);
create index audit_log_by_actor on audit_log (tenant_id, actor, id);
create index audit_log_by_target on audit_log (tenant_id, target, id);
-- Made after the others: of indexes that begin alike, a plan made while the table is empty takes the newest
-- (docs/decisions/2026-11-28-plans-without-statistics.md).
create unique index audit_log_by_seq on audit_log (tenant_id, seq);
select protect('audit_log');

grant select on audit_log to admin;

-- The newest entry of each organization's chain. Whoever appends has this row until the transaction ends, so that
-- entries are in one order.
create table audit_heads (
  tenant_id uuid primary key references organizations,
  seq       bigint not null,
  hash      bytea not null,
  seal      text collate "C"
);
select protect('audit_heads');

grant select on audit_heads to admin;
