-- What the vendor's staff and vendor tokens did to plans, products and vendor tokens, which no organization's audit log
-- could hold; a chain as audit_log is. Rows are added by history.staff_append alone. No role that serves can read it: no
-- operation shows it, and the vendor's operators read it as owner (docs/OPERATING.md).
create table catalog.staff_log (
  id           uuid primary key,
  at           timestamptz not null generated always as (
    to_timestamp(('x' || translate(left(id::text, 13), '-', ''))::bit(48)::bigint / 1000.0)) stored,
  actor_kind   text collate "C" not null check (actor_kind in ('staff', 'vendor_token')),
  actor        text collate "C" not null,        -- the subject at the staff's identity provider, or the token's id
  actor_name   text collate "C" not null,        -- the address, or the token's name as it was then
  action       text collate "C" not null,        -- noun.verb
  target       text collate "C" not null,
  before       jsonb,
  after        jsonb,
  from_address text collate "C",
  request_id   text collate "C",
  seq          bigint not null unique,           -- the place in the chain
  hash         bytea not null,                   -- of all of it, and of the entry before
  seal         text collate "C"                  -- as in audit_log
);

-- The newest entry of the chain. Whoever appends has this row until the transaction ends, so that entries are in one
-- order.
create table catalog.staff_head (
  one  boolean primary key default true check (one), -- there is one row
  seq  bigint not null,
  hash bytea not null
);
insert into catalog.staff_head (seq, hash) values (0, decode(repeat('00', 32), 'hex'));
