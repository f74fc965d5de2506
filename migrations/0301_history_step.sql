-- What moves rows of the history holds this lock alone, what needs them to stand still shares it
-- (history.begin_erasing).
create function history.moving() returns bigint language sql immutable set search_path = pg_catalog, pg_temp as $$
  select hashtextextended('history.moving', 0)
$$;
revoke execute on function history.moving from public;

-- Copies the next rows of a month that these organizations have, in the order of the organizations and of the rows'
-- ids, and says how many.
create function history.copy_rows(part text, kept_part text, id text, keepers uuid[]) returns int language plpgsql
set search_path = pg_catalog, pg_temp as $$
declare last_keeper uuid; last_id uuid; keeper uuid; copied int := 0; of_keeper int; many constant int := 5000;
begin
  execute format('select tenant_id, %1$I from history.%2$I order by tenant_id desc, %1$I desc limit 1', id, kept_part)
    into last_keeper, last_id;
  -- One organization after the other: with an equality on the first column of the key, no plan reads more than what is
  -- copied.
  foreach keeper in array keepers loop
    continue when keeper < last_keeper;
    execute format('insert into history.%1$I select * from history.%2$I
        where tenant_id = $1 and %3$I > $2 order by tenant_id, %3$I limit $3',
      kept_part, part, id)
    using keeper, case when keeper = last_keeper then last_id
      else '00000000-0000-0000-0000-000000000000' end, many - copied;
    get diagnostics of_keeper = row_count;
    copied := copied + of_keeper;
    exit when copied = many;
  end loop;
  return copied;
end $$;
revoke execute on function history.copy_rows from public;

-- Does one small thing that is due, and says what it was; null: nothing is due. Waits at most 100 ms for the lock it
-- needs and then fails, so that nobody waits long behind it: to be called again later. What takes long (copying,
-- moving) holds no lock that a request needs.
--   1  A rest with rows in it (no reaper ran for more than a year) is set aside, and the months get their tables.
--   2  Rows set aside go to the tables of their months, 5,000 at a time, or away if they are over.
--   3  Of a month that is over, what organizations that keep longer have is copied to a new table, 5,000 rows at a
--      time …
--   4  … which takes its place; a month nobody keeps is taken out.
--   5  What was taken out is dropped.
create function history.step() returns text language plpgsql security definer
set search_path = pg_catalog, pg_temp set lock_timeout = '100ms' as $$
#variable_conflict use_variable
declare
  kind record; keep interval; part text; kept_part text; month timestamptz; keepers uuid[]; moved bigint;
  has_rows boolean; aside text; said text; tenant uuid;
begin
  if not pg_try_advisory_xact_lock(history.moving()) then
    raise exception 'somebody is being erased from the history, or another step is being made' using errcode = '55P03';
  end if;
  for kind in select * from history.kinds() loop
    select r.keep into keep from catalog.retention r where r.what = kind.what;

    if to_regclass('history.' || history.name_of(kind.part,
      history.month_after(history.month_of(now()), 13))) is null then
      -- Read before anything is locked: what comes now is of the present month.
      execute format('select min(%I) from history.%I', kind.at, kind.part || '_rest') into month;
      if month is not null then
        select greatest(month, now() - greatest(keep, max(r.keep))) into month from directory.retention r
        where r.what = kind.what;
        aside := kind.part || '_slept_' || to_char(clock_timestamp() at time zone 'UTC', 'YYYYMMDDHH24MISSUS');
        execute format('alter table %s detach partition history.%I', kind.root, kind.part || '_rest');
        execute format('alter table history.%I rename to %I', kind.part || '_rest', aside);
        execute format('create table history.%I (like %s including all)', kind.part || '_rest', kind.root);
        call history.attach(kind.root, kind.part || '_rest', null);
      end if;
      return history.make_months(kind.part, kind.root, coalesce(month, now())) || ' months of ' || kind.what || ' made';
    end if;

    select c.relname into aside from pg_class c
    where c.relnamespace = 'history'::regnamespace and c.relkind = 'r' and c.relname like kind.part || '\_slept\_%'
    order by 1 limit 1;
    if found then
      -- Tables of organizations let nobody write another one's rows: one organization's at a time.
      if kind.root in ('public.usage_minutes'::regclass, 'public.usage_hours'::regclass, 'public.denials'::regclass,
        'public.webhook_deliveries'::regclass, 'public.mails'::regclass) then
        execute format('select tenant_id from history.%I limit 1', aside) into tenant;
        perform set_config('app.tenant_id', tenant::text, true);
      end if;
      execute format('with few as (select ctid from history.%1$I where $1 is null or tenant_id = $1 limit 5000),
          gone as (delete from history.%1$I where ctid = any (array(select ctid from few)) returning *)
        insert into %2$s select g.* from gone g
        where g.%3$I + coalesce((select greatest(r.keep, %4$L) from directory.retention r
          where r.tenant_id = g.tenant_id and r.what = %5$L), %4$L) > now()',
        aside, kind.root, kind.at, keep, kind.what) using tenant;
      get diagnostics moved = row_count;
      execute format('select exists (select from history.%I)', aside) into has_rows;
      if not has_rows then execute format('drop table history.%I', aside); end if;
      return moved || ' ' || kind.what || ' of months without a table put in their place';
    end if;

    select c.relname into part from pg_class c
    where c.relnamespace = 'history'::regnamespace and c.relkind = 'r' and c.relname like kind.part || '\_over\_%'
    order by 1 limit 1;
    if found then
      execute format('drop table history.%I', part);
      return part || ' dropped';
    end if;

    for part in
      select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = kind.root and c.relname ~ ('^' || kind.part || '_\d{4}_\d\d$') order by 1
    loop
      month := make_timestamptz(split_part(right(part, 7), '_', 1)::int, split_part(right(part, 7), '_', 2)::int,
        1, 0, 0, 0, 'UTC');
      exit when history.month_after(month) + keep > now();
      keepers := array(select r.tenant_id from directory.retention r
        where r.what = kind.what and history.month_after(month) + r.keep > now() order by 1);
      -- Its comment says for whom a month was thinned out before.
      continue when keepers::text = obj_description(format('history.%I', part)::regclass);
      kept_part := replace(part, kind.part || '_', kind.part || '_kept_');
      if obj_description(to_regclass('history.' || kept_part)) <> keepers::text then
        execute format('drop table history.%I', kept_part); -- copied for others than those who keep it now
      end if;
      if keepers <> '{}' and to_regclass('history.' || kept_part) is null then
        execute format('create table history.%I (like %s including all)', kept_part, kind.root);
        execute format('comment on table history.%I is %L', kept_part, keepers::text);
      end if;
      if keepers <> '{}' and not exists (select from pg_constraint c
          where c.conrelid = to_regclass('history.' || kept_part) and c.conname = 'of_month') then
        moved := history.copy_rows(part, kept_part, kind.id, keepers);
        if moved = 0 then
          -- It is complete. Says what PostgreSQL would else read the table for, while everybody waits for the months.
          execute format('alter table history.%1$I add constraint of_month
              check (%2$I is not null and %2$I >= %3$L and %2$I < %4$L)',
            kept_part, kind.at, month, history.month_after(month));
        end if;
        return moved || ' rows copied to ' || kept_part;
      end if;
      execute format('alter table %s detach partition history.%I', kind.root, part);
      execute format('alter table history.%I rename to %I', part,
        replace(part, kind.part || '_', kind.part || '_over_'));
      said := part || ' taken out';
      if to_regclass('history.' || kept_part) is not null then
        execute format('alter table history.%I rename to %I', kept_part, part);
        call history.attach(kind.root, part, month);
        execute format('alter table history.%I drop constraint of_month', part);
        said := part || ' thinned out';
      end if;
      return said;
    end loop;
  end loop;
  return null;
end $$;
revoke execute on function history.step from public;
grant execute on function history.step to reaper;
