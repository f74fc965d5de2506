-- Events: every change of a seat's holder is one row here, written in the same transaction; published once or more, and
-- then moved to its month. Written by functions, of the kinds that each knows; ids and times are the database's.
create table outbox (
  tenant_id    uuid not null,
  id           uuid not null default uuid_v7(),
  kind         text collate "C" not null,
  payload      jsonb not null,
  created_at   timestamptz not null default now(),
  published_at timestamptz
) partition by list (published_at);
create table outbox_waiting partition of outbox (primary key (tenant_id, id))
  for values in (null) with (autovacuum_vacuum_scale_factor = 0.05);
create index outbox_in_order on outbox_waiting (id);
-- The months of it are made by history.make_months.
create table history.events partition of outbox (primary key (tenant_id, id, published_at))
  default partition by range (published_at);
select protect('outbox');
select protect('outbox_waiting');

grant select on outbox to reaper;
create policy reaper_reads on outbox for select to reaper using (true);
-- To hold an event while it is published takes the right to change it. No change passes: mark_published does that.
grant update (published_at) on outbox to reaper;
create policy reaper_holds on outbox for update to reaper using (published_at is null) with check (false);
create policy reaper_changes_nothing on outbox as restrictive for update to reaper using (true) with check (false);
