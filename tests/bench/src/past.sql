-- A past: `past.ended` sessions that ended within the last 14 months and today, of `past.pools` pools with five seats each in 100 organizations,
-- of which the first has a tenth of all. For a superuser: foreign keys are not looked at. Months are filled first and get their indexes when they are
-- attached; they are logged as ever (with wal_level=minimal what is made and filled in one transaction is written once and synced).
set session_replication_role = replica;
set maintenance_work_mem = '512MB';

create temporary table place as
select p, case p % 10 when 0 then 0 else 1 + p % 99 end as o from generate_series(0, current_setting('past.pools')::int - 1) p;

insert into organizations (tenant_id, name)
select ('01980000-0000-7000-8000-' || lpad(to_hex(o), 12, '0'))::uuid, 'organization ' || o from generate_series(0, 99) o;

insert into licenses (tenant_id, license_id, number, product, plan, tier, status, offline_policy, holder_by, processes_per_seat)
select ('01980000-0000-7000-8000-' || lpad(to_hex(o), 12, '0'))::uuid, ('01980000-aaaa-7000-8000-' || lpad(to_hex(p), 12, '0'))::uuid,
  upper(lpad(to_hex(p), 13, '0')), 'coditect', 'trial', 'trial', 'active', 'grace', 'machine', 32
from place;

insert into pools (tenant_id, pool_id, license_id, name, seats_total)
select ('01980000-0000-7000-8000-' || lpad(to_hex(o), 12, '0'))::uuid, ('01980000-dddd-7000-8000-' || lpad(to_hex(p), 12, '0'))::uuid,
  ('01980000-aaaa-7000-8000-' || lpad(to_hex(p), 12, '0'))::uuid, 'default', 5
from place;

insert into seats (tenant_id, pool_id, seat_no)
select ('01980000-0000-7000-8000-' || lpad(to_hex(o), 12, '0'))::uuid, ('01980000-dddd-7000-8000-' || lpad(to_hex(p), 12, '0'))::uuid, k
from place, generate_series(0, 4) k;

do $$
declare
  total bigint := current_setting('past.ended'); pools int := current_setting('past.pools');
  first timestamptz := history.month_after(history.month_of(now()), -14); step double precision := extract(epoch from now() - first) / total;
  month timestamptz; part text; low bigint; high bigint;
begin
  for m in -14..0 loop
    month := history.month_after(history.month_of(now()), m);
    part := history.name_of('sessions', month);
    low := ceil(extract(epoch from month - first) / step);
    high := least(total, ceil(extract(epoch from history.month_after(month) - first) / step)::bigint) - 1;
    execute format('drop table if exists history.%I', part);
    execute format('create table history.%I (like history.sessions including defaults including constraints)', part);
    execute format('alter table history.%I owner to owner', part);
    -- In the order of their ends. Each lasted up to twelve hours; its id says when it began.
    execute format($fill$
      insert into history.%I (tenant_id, session_id, license_id, number, product, pool_id, seat_no, holder, attempt, hw, label, client, person,
        started_at, last_seen_at, ended_at, end_reason)
      select ('01980000-0000-7000-8000-' || lpad(to_hex(case p %% 10 when 0 then 0 else 1 + p %% 99 end), 12, '0'))::uuid,
        (lpad(to_hex((extract(epoch from began) * 1000)::bigint), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
        ('01980000-aaaa-7000-8000-' || lpad(to_hex(p), 12, '0'))::uuid, upper(lpad(to_hex(p), 13, '0')), 'coditect',
        ('01980000-dddd-7000-8000-' || lpad(to_hex(p), 12, '0'))::uuid, r %% 5, lpad(to_hex(r %% 50000), 22, 'h'),
        ('01980000-eeee-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, lpad((r %% 50000)::text, 43, 'h'), 'workstation-' || r %% 50000,
        '{"version": "1.2.3", "platform": "linux-x86_64", "hostname": "workstation", "deployment": "desktop"}', r %% 50000 || '@example.com',
        began, ended, ended, case when r %% 10 = 0 then 'expired' else 'released' end
      from (select n, r, (r %% $4)::int as p, $3 + n * $5 * interval '1 second' as ended,
              $3 + (n * $5 - r %% 43200) * interval '1 second' as began
            from (select n, abs(hashint8(n)::bigint) as r from generate_series($1, $2) n) s) s $fill$, part)
      using low, high, first, pools, step;
    call history.attach('history.sessions', part, month);
  end loop;
end $$;
drop table place;
reset session_replication_role;
