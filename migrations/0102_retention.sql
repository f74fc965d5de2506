-- How long what is over is kept (docs/OPERATING.md, "What is kept"). Both tables are the owner's to write: no role that
-- serves has a right on them. history.step() reads them and takes away what was kept for long enough.
create table catalog.retention (
  what text collate "C" primary key
    check (what in ('events', 'sessions', 'usage_minutes', 'usage_hours', 'denials', 'deliveries', 'mails', 'alerts')),
  keep interval not null check (keep >= interval '1 day')
);
-- Published events, ended sessions, how pools were used, who wanted a seat in vain, to whom events were sent, mails,
-- and alerts that are over.
insert into catalog.retention values
  ('events', '30 days'), ('sessions', '400 days'), ('usage_minutes', '90 days'), ('usage_hours', '1096 days'),
  ('denials', '90 days'), ('deliveries', '30 days'), ('mails', '30 days'), ('alerts', '400 days');

-- Organizations that keep longer. The rest is kept alike for all.
create table directory.retention (
  tenant_id uuid not null,
  what      text collate "C" not null references catalog.retention check (what in ('events', 'sessions')),
  keep      interval not null,
  primary key (tenant_id, what)
);
