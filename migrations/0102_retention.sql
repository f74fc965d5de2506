-- How long what is over is kept (docs/OPERATING.md, "What is kept"). Both tables are the owner's to write: no role that
-- serves has a right on them. history.step() reads them and takes away what was kept for long enough.
create table catalog.retention (
  what text collate "C" primary key check (what in ('events', 'sessions', 'usage_minutes', 'usage_hours', 'denials')),
  keep interval not null check (keep >= interval '1 day')
);
-- Published events, ended sessions, how pools were used, and who wanted a seat in vain.
insert into catalog.retention values
  ('events', '30 days'), ('sessions', '400 days'), ('usage_minutes', '90 days'), ('usage_hours', '1096 days'),
  ('denials', '90 days');

-- Organizations that keep longer. How pools were used, and who wanted a seat in vain, is kept alike for all.
create table directory.retention (
  tenant_id uuid not null,
  what      text collate "C" not null references catalog.retention check (what in ('events', 'sessions')),
  keep      interval not null,
  primary key (tenant_id, what)
);
