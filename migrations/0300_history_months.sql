-- Each kind is one table cut by months: <kind>_<year>_<month>, UTC, by the time that made the row part of history, and
-- <kind>_rest for rows whose month has no table. Tables named <kind>_slept_…, _over_… and _kept_… are no parts: they
-- are on their way back, out, or in.
create function history.kinds() returns table (what text, root regclass, part text, at text, id text)
language sql stable set search_path = pg_catalog, pg_temp as $$
  values ('sessions', 'history.sessions'::regclass, 'sessions', 'ended_at', 'session_id'),
         ('events', 'history.events'::regclass, 'events', 'published_at', 'id'),
         -- Nobody keeps these longer, so their rows are not copied, and need no id of their own. Rows may be as old as
         -- record_usage and record_wants take them, which is less than a month.
         ('usage_minutes', 'public.usage_minutes'::regclass, 'usage_minutes', 'at', 'pool_id'),
         ('usage_hours', 'public.usage_hours'::regclass, 'usage_hours', 'at', 'pool_id'),
         ('denials', 'public.denials'::regclass, 'denials', 'at', 'denial_id'),
         -- Events are replayed as far back as their deliveries are kept, and there is none older than its database.
         ('deliveries', 'public.webhook_deliveries'::regclass, 'deliveries', 'at', 'event_id'),
         ('mails', 'public.mails'::regclass, 'mails', 'at', 'mail_id')
$$;
revoke execute on function history.kinds from public;

-- The beginning of the month that a time is in.
create function history.month_of(at timestamptz) returns timestamptz
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select date_trunc('month', at, 'UTC')
$$;
revoke execute on function history.month_of from public;

-- The month so many months after this one.
create function history.month_after(month timestamptz, months int default 1) returns timestamptz language sql immutable
set search_path = pg_catalog, pg_temp as $$
  select (month at time zone 'UTC' + make_interval(months => months)) at time zone 'UTC'
$$;
revoke execute on function history.month_after from public;

-- How the table of a month is called.
create function history.name_of(part text, month timestamptz) returns text
language sql immutable set search_path = pg_catalog, pg_temp as $$
  select part || '_' || to_char(month at time zone 'UTC', 'YYYY_MM')
$$;
revoke execute on function history.name_of from public;

-- Gives a table of these rows the time of one month, or all that no month has (month null).
create procedure history.attach(root regclass, part text, month timestamptz)
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  -- As of the keys of open sessions: a plan must not turn on what was counted last.
  execute format('alter table history.%I alter column tenant_id set statistics 0', part);
  if part like any (array['usage\_%', 'denials\_%']) then
    execute format('alter table history.%I alter column pool_id set statistics 0', part);
  end if;
  if part like 'deliveries\_%' then
    execute format('alter table history.%I alter column webhook_id set statistics 0', part);
    -- Where a row was before it was tried is dead, and in the way of who looks for the first that waits.
    execute format('alter table history.%I set (autovacuum_vacuum_scale_factor = 0.05)', part);
  end if;
  if part like 'mails\_%' then
    execute format('alter table history.%I alter column user_id set statistics 0', part);
    execute format('alter table history.%I set (autovacuum_vacuum_scale_factor = 0.05)', part);
  end if;
  if month is null then
    execute format('alter table %s attach partition history.%I default', root, part);
  else
    execute format('alter table %s attach partition history.%I for values from (%L) to (%L)',
      root, part, month, history.month_after(month));
  end if;
end $$;
revoke execute on procedure history.attach from public;

-- Makes the months from this one to a year ahead that have no table yet. While rows wait in the rest whose months had
-- none, nothing can be added: history.step() moves them out first.
create function history.make_months(kind text, root regclass, month timestamptz) returns int language plpgsql
set search_path = pg_catalog, pg_temp as $$
declare part text; made int := 0;
begin
  month := history.month_of(month);
  while month <= history.month_after(history.month_of(now()), 13) loop
    part := history.name_of(kind, month);
    if to_regclass('history.' || part) is null then
      execute format('create table history.%I (like %s including all)', part, root);
      call history.attach(root, part, month);
      made := made + 1;
    end if;
    month := history.month_after(month);
  end loop;
  return made;
end $$;
revoke execute on function history.make_months from public;

-- The tables of today: the rest of each kind, and the months to a year ahead.
do $$
declare kind record;
begin
  for kind in select * from history.kinds() loop
    execute format('create table history.%I (like %s including all)', kind.part || '_rest', kind.root);
    call history.attach(kind.root, kind.part || '_rest', null);
    perform history.make_months(kind.part, kind.root,
      case when kind.part in ('usage_minutes', 'usage_hours', 'denials', 'deliveries', 'mails')
        then history.month_after(history.month_of(now()), -1) else now() end);
  end loop;
end $$;
