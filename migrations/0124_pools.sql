-- Seats that are given out together. Seats are numbered rows made when the pool is sized: more holders than seats
-- cannot be written down.
create table pools (
  tenant_id   uuid not null,
  pool_id     uuid not null,
  license_id  uuid not null,
  name        text collate "C" not null check (name ~ '^[a-z0-9-]{1,32}$'),
  seats_total int not null check (seats_total between 0 and 1000000),
  -- Rows above seats_total that are not retired: still held when the pool was shrunk.
  surplus     int not null default 0 check (surplus >= 0),
  -- Rises with every rebuild and every change made without a ticket.
  epoch       bigint not null default 0,
  -- Follows the license.
  status      text collate "C" not null default 'active' check (status in ('active', 'suspended', 'revoked')),
  -- The epoch of the latest rebuild; only a copy of it may tell what it knows.
  rebuilt_epoch bigint not null default 0,
  -- Leases outlive the setting they were given by (rebuild_pool): the longest that the present copy in Redis gives …
  lease_ms    bigint not null default 0 check (lease_ms between 0 and 86400000),
  -- … the longest that copies before it gave …
  longer_ms   bigint not null default 0 check (longer_ms between 0 and 86400000),
  -- … which may be out until then.
  longer_until timestamptz,
  -- When a change was made without a ticket: Redis may not have heard of it.
  changed_at  timestamptz,
  -- The last Unix minute whose use was told (record_usage).
  counted_minute bigint not null default 0,
  -- Since when the copy has counted wants without a gap, as it was told last, Unix milliseconds (record_wants).
  wants_since bigint not null default 0,
  -- When a seat was last given back, to within a minute: its use is still to be told. An hour ahead where somebody wants
  -- a seat.
  used_at     timestamptz,
  -- No seat is granted before: the records were restored (after_restore).
  opens_at    timestamptz,
  -- Who holds its seat since later (Unix milliseconds) has no grace; 0: there is some for everybody.
  grace_before bigint not null default 0,
  -- How many machines with grace beyond the seats were told of last.
  grace_told  int not null default 0,
  primary key (tenant_id, pool_id),
  unique (tenant_id, license_id, name),
  foreign key (tenant_id, license_id) references licenses
);
-- What the reaper finds pools by that have something to do, besides the seats that are held and in quarantine
-- (core/src/records/sweep.rs).
create index pools_by_change on pools (changed_at) where changed_at is not null;
create index pools_by_use on pools (used_at) where used_at is not null;
-- No statistics of the keys: a plan then follows from how large a table is and from nothing else, the same on the first
-- day, after years, and after an ANALYZE in an odd moment (docs/decisions/2026-11-28-plans-without-statistics.md).
alter table pools
  alter column tenant_id set statistics 0,
  alter column pool_id set statistics 0,
  alter column license_id set statistics 0;
select protect('pools');

grant select on pools to admin;
grant select (tenant_id, pool_id, license_id, name, epoch, changed_at, used_at, grace_told, counted_minute, wants_since,
  seats_total) on pools to reaper;
create policy reaper_reads on pools for select to reaper using (true);
