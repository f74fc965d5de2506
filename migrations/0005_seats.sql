-- Who holds what. Seats are numbered rows made when the pool is sized: more holders than seats cannot be written down.
create table pools (
  tenant_id   uuid not null,
  pool_id     uuid not null,
  license_id  uuid not null,
  name        text not null check (name ~ '^[a-z0-9-]{1,32}$'),
  seats_total int not null check (seats_total >= 0),
  surplus     int not null default 0 check (surplus >= 0), -- rows not retired above seats_total: still held when the pool was shrunk
  epoch       bigint not null default 0,                   -- rises with every rebuild and every change made without a ticket
  status      text not null default 'active' check (status in ('active', 'suspended', 'revoked')), -- follows the license
  rebuilt_epoch bigint not null default 0,                 -- the epoch of the latest rebuild; only a copy of it may tell what it knows
  -- Leases outlive the setting they were given by (0014_rebuild_pool.sql).
  lease_ms    bigint not null default 0,                   -- the longest that the present copy in Redis gives
  longer_ms   bigint not null default 0,                   -- the longest that copies before it gave …
  longer_until timestamptz,                                -- … which may be out until then
  changed_at  timestamptz,                                 -- when a change was made without a ticket: Redis may not have heard of it
  opens_at    timestamptz,                                 -- no seat is given before: the records were restored (0017_restore.sql)
  -- The reaper's share. hashtextextended is stable within a major version; a changed share only changes who looks.
  bucket      int not null generated always as (mod(abs(hashtextextended(tenant_id::text || pool_id::text, 0)), 64)::int) stored,
  primary key (tenant_id, pool_id),
  unique (tenant_id, license_id, name),
  foreign key (tenant_id, license_id) references licenses
);
create index pools_by_bucket on pools (bucket);
-- The lock of a pool, taken before anything is decided about its seats: shared by what writes a ticket down, alone by what raises the epoch.
-- A row's lock would not do: who wants it alone waits while others share it anew behind its back, without an end where there are many.
create function pool_lock(p_pool uuid) returns bigint language sql immutable parallel safe as $$ select uuid_hash_extended(p_pool, 0) $$;

create table seats (
  tenant_id   uuid not null,
  pool_id     uuid not null,
  seat_no     int not null check (seat_no >= 0),
  holder      text,                              -- null: free
  held_since  timestamptz,
  fence_epoch bigint not null default 0,         -- the last ticket applied; an older one comes too late
  fence_seq   bigint not null default 0,
  hold_until  timestamptz,                       -- not null: kicked; whoever rebuilds keeps it free for a full lease
  retired     boolean not null default false,    -- above seats_total after shrinking; never granted
  kind        text not null default 'float' check (kind in ('float', 'borrow')),
  lease_until timestamptz,                       -- a borrow's end
  primary key (tenant_id, pool_id, seat_no),
  foreign key (tenant_id, pool_id) references pools,
  check (not (retired and holder is not null))
) with (fillfactor = 70);                        -- room for updates in place
create unique index seats_by_holder on seats (tenant_id, pool_id, holder) where holder is not null;
create index seats_in_quarantine on seats (tenant_id, pool_id) where hold_until is not null;

create table sessions (
  tenant_id    uuid not null,
  session_id   uuid not null,                    -- written once: an ended session never opens again
  license_id   uuid not null,
  pool_id      uuid not null,
  -- What never changes of its pool and license, so that a page of a list need not look it up row by row.
  pool         text not null default 'default',
  number       text not null default '',
  product      text not null default '',
  seat_no      int not null,
  holder       text not null,
  attempt      uuid not null,
  hw           text not null,
  label        text not null default '',
  client       jsonb not null default '{}',
  person       text,                             -- the address the client says its user has, in small letters; nobody vouches for it
  project_id   uuid,                             -- the project the client named, if the organization has one of that name
  started_at   timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  ended_at     timestamptz,
  end_reason   text check (end_reason in ('released', 'expired', 'kicked')),
  primary key (tenant_id, session_id),
  foreign key (tenant_id, pool_id, seat_no) references seats,
  check ((ended_at is null) = (end_reason is null))
);
-- Also the guard that one process start has one open session.
create unique index sessions_by_attempt on sessions (tenant_id, pool_id, holder, attempt) where ended_at is null;
create index sessions_open on sessions (tenant_id, pool_id, seat_no) where ended_at is null;
-- Whether a pool was used lately, for the reaper: without it the answer is in all that its organization ever had.
create index sessions_ended on sessions (tenant_id, pool_id, ended_at) where ended_at is not null;
-- As before the first ANALYZE: an organization may have a two-hundredth of all sessions. Where most had one when it was last looked at, reading
-- all that one ever had would look as cheap as one look by key.
alter table sessions alter column tenant_id set (n_distinct = 200);

-- Every change of a seat's holder is one row here, written in the same transaction; published once or more.
create table outbox (
  tenant_id    uuid not null,
  id           uuid not null default uuid_v7(),
  kind         text not null,
  payload      jsonb not null,
  created_at   timestamptz not null default now(),
  published_at timestamptz,
  primary key (tenant_id, id)
);
-- One event of use per pool and minute, however often the reaper is asked.
create unique index outbox_usage on outbox (tenant_id, (payload->>'pool_id') collate "C", (payload->>'minute') collate "C") where kind = 'usage';
create index outbox_waiting on outbox (id) where published_at is null;
