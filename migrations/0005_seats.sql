-- Who holds what. Seats are numbered rows made when the pool is sized: more holders than seats cannot be written down.
create table pools (
  tenant_id   uuid not null,
  pool_id     uuid not null,
  license_id  uuid not null,
  name        text not null check (name ~ '^[a-z0-9-]{1,32}$'),
  seats_total int not null check (seats_total between 0 and 1000000),
  surplus     int not null default 0 check (surplus >= 0), -- rows not retired above seats_total: still held when the pool was shrunk
  epoch       bigint not null default 0,                   -- rises with every rebuild and every change made without a ticket
  status      text not null default 'active' check (status in ('active', 'suspended', 'revoked')), -- follows the license
  rebuilt_epoch bigint not null default 0,                 -- the epoch of the latest rebuild; only a copy of it may tell what it knows
  -- Leases outlive the setting they were given by (0014_rebuild_pool.sql).
  lease_ms    bigint not null default 0 check (lease_ms between 0 and 86400000),                 -- the longest that the present copy in Redis gives
  longer_ms   bigint not null default 0 check (longer_ms between 0 and 86400000),                 -- the longest that copies before it gave …
  longer_until timestamptz,                                -- … which may be out until then
  changed_at  timestamptz,                                 -- when a change was made without a ticket: Redis may not have heard of it
  counted_minute bigint not null default 0,                -- the Unix minute its use was last told in: one event for each
  used_at     timestamptz,                                 -- when a seat was last given back, to within a minute: its use is still to be told
  opens_at    timestamptz,                                 -- no seat is given before: the records were restored (0017_restore.sql)
  primary key (tenant_id, pool_id),
  unique (tenant_id, license_id, name),
  foreign key (tenant_id, license_id) references licenses
);
-- What the reaper finds pools by that have something to do, besides the seats that are held and in quarantine (core/src/records/sweep.rs).
create index pools_by_change on pools (changed_at) where changed_at is not null;
create index pools_by_use on pools (used_at) where used_at is not null;
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
  hold_epoch  bigint,                            -- the epoch of that kick: copies of later ones were made with the wait, and know when it is over
  retired     boolean not null default false,    -- above seats_total after shrinking; never granted
  kind        text not null default 'float' check (kind in ('float', 'borrow')),
  lease_until timestamptz,                       -- a borrow's end
  primary key (tenant_id, pool_id, seat_no),
  foreign key (tenant_id, pool_id) references pools,
  check (not (retired and holder is not null)),
  check ((hold_until is null) = (hold_epoch is null))
) with (fillfactor = 70);                        -- room for updates in place
-- What a statement on the way of a request looks for is a whole key of one index, and no other index can answer it as cheaply in anybody's
-- guess, whatever statistics say, lack or remember of yesterday (docs/decisions/2026-11-28-plans-without-statistics.md).
create unique index seats_by_holder on seats (tenant_id, pool_id, holder) where holder is not null;
-- A retired seat waits for nothing, however many there are.
create index seats_in_quarantine on seats (tenant_id, pool_id) where hold_until is not null and not retired;

-- Open sessions are few and change all the time; ended ones are many and never change. Each has a table of its own. A session that ends
-- moves over in the statement that ends it: whoever may update one needs no right to delete it.
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
  key_id       uuid,                             -- the license key it began with (license_keys.key_id); null: one that the records do not know
  started_at   timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  ended_at     timestamptz,
  end_reason   text check (end_reason in ('released', 'expired', 'kicked')),
  check ((ended_at is null) = (end_reason is null))
) partition by list (ended_at);

create table sessions_open partition of sessions (
  foreign key (tenant_id, pool_id, seat_no) references seats
) for values in (null) with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05);
-- A connection keeps a plan that was made while nobody had a session, and in an empty table one row is all that PostgreSQL expects of any
-- index that begins alike. So no two begin alike but the unique ones, which begin with the organization; where two cost the same all the same,
-- the one that was made last is taken. An attempt is looked for in the order of its index (0011_grant_seat.sql).
-- The guard that one process start has one open session.
create unique index sessions_by_attempt on sessions_open (tenant_id, attempt, holder, pool_id);
alter table sessions_open add primary key (tenant_id, session_id);
create index sessions_by_seat on sessions_open (pool_id, seat_no, tenant_id);

create table history.sessions partition of sessions (primary key (tenant_id, session_id, ended_at)) default partition by range (ended_at);

-- When a session of this id began (RFC 9562, version 7), by the clock of the service that drew it.
create function began_at(p_session uuid) returns timestamptz language sql immutable parallel safe as $$
  select to_timestamp(('x' || translate(left(p_session::text, 13), '-', ''))::bit(48)::bigint / 1000.0)
$$;

-- When somebody was last heard of, as a service says: its clock may be wrong, but not by more than a day.
create function seen_at(p_at timestamptz) returns timestamptz language sql stable parallel safe as $$
  select case when p_at > now() + interval '1 day' then now() else p_at end
$$;

-- From when on a session of this id can have ended: not before it began, which its id says, with a month for clocks that
-- differ. So one look at what is over reads the months since then and not all there are.
create function could_have_ended(p_session uuid) returns timestamptz language sql stable parallel safe as $$
  select least(public.began_at(p_session), now()) - interval '31 days'
$$;

-- Every change of a seat's holder is one row here, written in the same transaction; published once or more, and then moved to its month.
create table outbox (
  tenant_id    uuid not null,
  id           uuid not null default uuid_v7(),
  kind         text not null,
  payload      jsonb not null,
  created_at   timestamptz not null default now(),
  published_at timestamptz
) partition by list (published_at);
create table outbox_waiting partition of outbox (primary key (tenant_id, id)) for values in (null) with (autovacuum_vacuum_scale_factor = 0.05);
create index outbox_in_order on outbox_waiting (id);
create table history.events partition of outbox (primary key (tenant_id, id, published_at)) default partition by range (published_at);

-- No statistics of the keys: a plan then follows from how large a table is and from nothing else, the same on the first day, after years, and
-- after an ANALYZE in an odd moment (no seat taken yet; everything in one pool).
do $$
declare c text[];
begin
  foreach c slice 1 in array array[
    ['seats', 'tenant_id'], ['seats', 'pool_id'], ['seats', 'seat_no'], ['seats', 'holder'],
    ['sessions_open', 'tenant_id'], ['sessions_open', 'session_id'], ['sessions_open', 'pool_id'], ['sessions_open', 'seat_no'],
    ['sessions_open', 'holder'], ['sessions_open', 'attempt'],
    ['pools', 'tenant_id'], ['pools', 'pool_id'], ['pools', 'license_id']] loop
    execute format('alter table %I alter column %I set statistics 0', c[1], c[2]);
  end loop;
end $$;
