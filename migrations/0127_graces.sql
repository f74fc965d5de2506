-- Machines whose session ended while their grace was unexpired: an offline verifier asks nobody, so a machine with a
-- token of unexpired grace may run, also after its seat was given back, taken over or ended by somebody
-- (docs/decisions/2026-11-28-grace-is-earned.md). At most one row for each machine, written by keep_grace and taken
-- away by count_grace when it is over. No reference to the pool: the end of a session waits for nobody's row.
create table graces (
  tenant_id uuid not null,
  pool_id   uuid not null,
  holder    text collate "C" not null,
  -- Counted from its last sign of life where that is known, else from the end of its session.
  until     timestamptz not null,
  primary key (tenant_id, pool_id, holder)
);
select protect('graces');

grant select on graces to admin;
