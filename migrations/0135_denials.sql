-- Who wanted a seat of a full pool and got none: a row for each want (core/src/seat_store/wants.lua), written down within
-- a minute after it began, and once more when it is over. Written by record_wants alone.
create table denials (
  tenant_id  uuid not null,
  -- Made of the time of the first ask, the pool and the holder, so that what is told twice is one row.
  denial_id  uuid not null,
  license_id uuid not null,
  pool_id    uuid not null,
  -- As of sessions: what never changes of its pool and license.
  pool       text collate "C" not null,
  number     text collate "C" not null,
  product    text collate "C" not null,
  -- The first ask, by the clock of Redis.
  at         timestamptz not null,
  hw         text collate "C" not null,
  label      text collate "C" not null,
  person     text collate "C",
  -- As of a want that goes on: as it began.
  last_at    timestamptz not null,
  tries      bigint not null check (tries >= 1),
  granted_at timestamptz,
  -- When it got a seat, or was refused last before it gave up.
  ended_at   timestamptz,
  -- True: the copy in Redis was lost while it went on, so that nobody knows how it ended.
  lost       boolean not null default false,
  check (granted_at is null or ended_at is not null),
  check (not lost or ended_at is not null),
  primary key (tenant_id, denial_id, at)
) partition by range (at);
-- Its months are made by history.make_months.

-- One index for each filter of the list, as of sessions.
create index denials_by_license on denials (license_id, tenant_id, denial_id);
create index denials_by_hw on denials (hw, tenant_id, denial_id);
create index denials_by_person on denials (person, tenant_id, denial_id) where person is not null;
-- Those that go on, whose end is to be told or lost.
create index denials_open on denials (pool_id, tenant_id) where ended_at is null;
select protect('denials');

grant select on denials to admin;
