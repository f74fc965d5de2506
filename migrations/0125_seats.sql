-- Who holds what: one row for each numbered seat of a pool.
create table seats (
  tenant_id   uuid not null,
  pool_id     uuid not null,
  seat_no     int not null check (seat_no >= 0),
  holder      text collate "C",                  -- null: free
  held_since  timestamptz,
  fence_epoch bigint not null default 0,         -- the last ticket applied; an older one comes too late
  fence_seq   bigint not null default 0,
  hold_until  timestamptz,                       -- not null: kicked; whoever rebuilds keeps it free for a full lease
  -- The epoch of that kick: copies of later ones were made with the wait, and know when it is over.
  hold_epoch  bigint,
  retired     boolean not null default false,    -- above seats_total after shrinking; never granted
  kind        text collate "C" not null default 'float' check (kind in ('float', 'borrow')),
  lease_until timestamptz,                       -- a borrow's end
  primary key (tenant_id, pool_id, seat_no),
  foreign key (tenant_id, pool_id) references pools,
  check (not (retired and holder is not null)),
  check ((hold_until is null) = (hold_epoch is null))
) with (fillfactor = 70);                        -- room for updates in place
-- What a statement on the way of a request looks for is a whole key of one index, and no other index can answer it as
-- cheaply in anybody's guess, whatever statistics say, lack or remember of yesterday
-- (docs/decisions/2026-11-28-plans-without-statistics.md).
create unique index seats_by_holder on seats (tenant_id, pool_id, holder) where holder is not null;
-- A retired seat waits for nothing, however many there are.
create index seats_in_quarantine on seats (tenant_id, pool_id) where hold_until is not null and not retired;
-- As of pools: no statistics of the keys.
alter table seats
  alter column tenant_id set statistics 0,
  alter column pool_id set statistics 0,
  alter column seat_no set statistics 0,
  alter column holder set statistics 0;
select protect('seats');

grant select on seats to admin;
grant select (tenant_id, pool_id, seat_no, holder, hold_until, retired) on seats to reaper;
create policy reaper_reads on seats for select to reaper using (true);
