-- How long what is over is kept (docs/OPERATING.md, "What is kept"). Both tables are the owner's to write: no role that
-- serves has a right on them. history.step() reads them and takes away what was kept for long enough.
create table catalog.retention (
  what text collate "C" primary key check (what in ('events', 'sessions')), -- published events; ended sessions
  keep interval not null check (keep >= interval '1 day')
);
insert into catalog.retention values ('events', '30 days'), ('sessions', '400 days');

-- Organizations that keep longer.
create table directory.retention (
  tenant_id uuid not null,
  what      text collate "C" not null references catalog.retention,
  keep      interval not null,
  primary key (tenant_id, what)
);
