-- How pools are used, by minutes, hours and days of UTC. A row says what was counted; a time without a row was not
-- looked at, which is no zero. Written by record_usage alone.
create table usage_minutes (
  tenant_id uuid not null,
  pool_id   uuid not null,
  at        timestamptz not null,
  -- Seats held when the minute ended, the most of them at once within it, and the seats that the pool had at its end.
  used      int not null check (used >= 0),
  peak      int not null check (peak >= used),
  total     int not null check (total >= 0),
  -- Acquires that were refused because the pool was full, repetitions included.
  denied    bigint not null check (denied >= 0),
  -- How many of them were the first of their want (0135_denials.sql).
  refused   bigint not null check (refused >= 0),
  -- False: the copy in Redis was made within this minute, so that some of it was not counted, or nobody swept while a
  -- lease ended, so that it is not known when the holder left.
  seen      boolean not null,
  primary key (tenant_id, pool_id, at)
) partition by range (at);
-- Its months are made by history.make_months.

-- Sums of the minutes of an hour: what is left of them when they are dropped.
create table usage_hours (
  tenant_id   uuid not null,
  pool_id     uuid not null,
  at          timestamptz not null,
  -- How many minutes were counted, and how many of them from beginning to end.
  minutes     int not null check (minutes between 1 and 60),
  seen        int not null check (seen between 0 and minutes),
  -- Sums over these minutes: by 60 they are seat hours.
  used_sum    bigint not null,
  total_sum   bigint not null,
  peak        int not null,
  -- The most seats that the pool had.
  total       int not null,
  denied      bigint not null,
  refused     bigint not null,
  primary key (tenant_id, pool_id, at)
) partition by range (at);
-- The same of a day, kept for ever.
create table usage_days (
  tenant_id   uuid not null,
  pool_id     uuid not null,
  at          timestamptz not null,
  minutes     int not null check (minutes between 1 and 1440),
  seen        int not null check (seen between 0 and minutes),
  used_sum    bigint not null,
  total_sum   bigint not null,
  peak        int not null,
  total       int not null,
  denied      bigint not null,
  refused     bigint not null,
  primary key (tenant_id, pool_id, at)
);
alter table usage_days alter column tenant_id set statistics 0, alter column pool_id set statistics 0;
select protect('usage_minutes');
select protect('usage_hours');
select protect('usage_days');

grant select on usage_minutes, usage_hours, usage_days to admin;
