-- A process's time on a seat. Open sessions are few and change all the time; ended ones are many and never change. Each
-- kind has a table of its own. A session that ends moves over in the statement that ends it: whoever may update one
-- needs no right to delete it.
create table sessions (
  tenant_id    uuid not null,
  session_id   uuid not null,                    -- written once: an ended session never opens again
  license_id   uuid not null,
  pool_id      uuid not null,
  -- What never changes of its pool and license, so that a page of a list need not look it up row by row.
  pool         text collate "C" not null default 'default',
  number       text collate "C" not null default '',
  product      text collate "C" not null default '',
  seat_no      int not null,
  holder       text collate "C" not null,
  attempt      uuid not null,
  hw           text collate "C" not null,
  label        text collate "C" not null default '',
  client       jsonb not null default '{}',
  person       text collate "C",                 -- the address the client says its user has; nobody vouches for it
  -- The project the client named, if the organization has one of that name.
  project_id   uuid,
  -- The license key it began with; null: one that the records do not know.
  key_id       uuid,
  started_at   timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  ended_at     timestamptz,
  end_reason   text collate "C" check (end_reason in ('released', 'expired', 'kicked')),
  check ((ended_at is null) = (end_reason is null))
) partition by list (ended_at);

create table sessions_open partition of sessions (
  foreign key (tenant_id, pool_id, seat_no) references seats
) for values in (null) with (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05);
-- A connection keeps a plan that was made while nobody had a session, and in an empty table one row is all that
-- PostgreSQL expects of any index that begins alike. So no two begin alike but the unique ones, which begin with the
-- organization; where two cost the same all the same, the one that was made last is taken. An attempt is looked for in
-- the order of its index (grant_seat). The guard that one process start has one open session.
create unique index sessions_by_attempt on sessions_open (tenant_id, attempt, holder, pool_id);
alter table sessions_open add primary key (tenant_id, session_id);
create index sessions_by_seat on sessions_open (pool_id, seat_no, tenant_id);
-- As of pools: no statistics of the keys.
alter table sessions_open
  alter column tenant_id set statistics 0,
  alter column session_id set statistics 0,
  alter column pool_id set statistics 0,
  alter column seat_no set statistics 0,
  alter column holder set statistics 0,
  alter column attempt set statistics 0;

-- The months of it are made by history.make_months.
create table history.sessions partition of sessions (primary key (tenant_id, session_id, ended_at))
  default partition by range (ended_at);

-- One index for each filter of the lists, on open and on ended sessions alike, as of licenses. All sessions of an
-- organization, open or ended, come by the primary keys.
create index sessions_by_license on sessions (license_id, tenant_id, session_id);
create index sessions_by_project on sessions (project_id, tenant_id, session_id) where project_id is not null;
create index sessions_by_hw on sessions (hw, tenant_id, session_id);
create index sessions_by_person on sessions (person, tenant_id, session_id) where person is not null;
create index sessions_by_key on sessions (key_id, tenant_id, session_id) where key_id is not null;
create index sessions_by_reason on history.sessions (end_reason, tenant_id, session_id);
select protect('sessions');
select protect('sessions_open');

grant select on sessions to admin;
