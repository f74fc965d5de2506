-- One organization (`app.tenant_id`) with 10,000 licenses, 25,000 people and projects, 1,000,000 sessions that ended within the last 400 days
-- and 40,000 open ones. For a superuser and a table without ended sessions: foreign keys are not looked at, months are not logged (a crash
-- of PostgreSQL would empty them), and their indexes are built at the end.
-- One in 25 sessions each is of one license, machine, person and project, or was kicked. They lie among the others, so that each row of a
-- filtered page is in a block of its own; the others are spread over everything there is.
set session_replication_role = replica;
set maintenance_work_mem = '256MB';

insert into licenses (tenant_id, license_id, number, product, plan, tier, status, offline_policy, holder_by, processes_per_seat)
select current_setting('app.tenant_id')::uuid, ('01970000-aaaa-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, upper(lpad(to_hex(n), 13, '0')),
  case n % 25 when 1 then 'viewer' else 'coditect' end, 'trial', case n % 25 when 2 then 'pro' else 'trial' end,
  case n % 25 when 3 then 'suspended' else 'active' end, 'grace', 'machine', 32
from generate_series(0, 9999) n;

insert into pools (tenant_id, pool_id, license_id, name, seats_total)
select current_setting('app.tenant_id')::uuid, ('01970000-dddd-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
  ('01970000-aaaa-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'default', 5
from generate_series(0, 9999) n;

-- One of them was given many keys.
insert into license_keys (tenant_id, license_id, key_id, key_hmac, valid_until)
select current_setting('app.tenant_id')::uuid, '01970000-aaaa-7000-8000-00000000004d',
  ('01970000-abcd-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, '1.' || n, case when n < 24999 then now() end
from generate_series(0, 24999) n;
-- One pool has 2,000 seats; each of its 1,600 open sessions is on one of its own.
update pools set seats_total = 2000 where pool_id = '01970000-dddd-7000-8000-00000000004d';
insert into seats (tenant_id, pool_id, seat_no, holder, held_since)
select current_setting('app.tenant_id')::uuid, '01970000-dddd-7000-8000-00000000004d', n, case when n < 1600 then 'holder-' || n end,
  case when n < 1600 then now() end
from generate_series(0, 1999) n;

insert into users (tenant_id, user_id, email, address, role, removed_at)
select current_setting('app.tenant_id')::uuid, ('01970000-bbbb-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, n || '@example.com', n || '@example.com', 'member',
  case when n % 10 = 0 then now() end
from generate_series(0, 24999) n;

insert into projects (tenant_id, project_id, name, key, archived_at)
select current_setting('app.tenant_id')::uuid, ('01970000-cccc-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'project ' || n, 'project ' || n,
  case when n % 5 < 4 then now() end
from generate_series(0, 24999) n;

-- Of invitations a third is open, the newest; then as many each were accepted, taken back, and are over after their seven days.
insert into invitations (tenant_id, invitation_id, email, address, role, secret_hash, invited_by, created_at, expires_at, accepted_at, revoked_at)
select current_setting('app.tenant_id')::uuid, (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
  n || '@example.com', n || '@example.com', 'member', 'hash', 'owner@example.com', at, at + interval '7 days', case kind when 1 then at end, case kind when 2 then at end
from (select n, kind, now() - make_interval(days => case kind when 0 then 0 else 3 * kind + 1 end, secs => n) as at
  from (select n, n / 6250 as kind from generate_series(0, 24999) n) k) i;

insert into api_tokens (tenant_id, token_id, name, secret_hash, scopes, created_by)
select current_setting('app.tenant_id')::uuid, ('01970000-ffff-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'token ' || n, 'hash', '{audit:read}', 'owner@example.com'
from generate_series(0, 24999) n;

insert into audit_log (tenant_id, id, actor_kind, actor, actor_name, action, target, before, after, seq, details_hash, hash)
select current_setting('app.tenant_id')::uuid, (lpad(to_hex(1746000000000 + n * 3000), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
  'person', case n % 25 when 0 then 'bob' else n || '' end, n || '@example.com',
  case n % 25 when 1 then 'license.suspended' else 'project.edited' end, case n % 25 when 2 then 'a target' else n || '' end,
  '{"name": "before"}', '{"name": "after"}', -n, '', '' -- at no place of the chain, which goes up from 1
from generate_series(0, 99999) n;

-- The past as it comes about: 400 days, each row in the table of the month in which it ended, in the order of ends. Most sessions last some
-- hours, one in a hundred some weeks. Those that are open began within the last two days.
create temporary table session as
select n, r, began, case when n > 1000000 then null
  else least(began + make_interval(mins => 1 + (r % case n % 100 when 7 then 50000 else 700 end)::int), now()) end as ended_at
from (select n, abs(hashint8(n)::bigint) as r,
        now() - case when n > 1000000 then (1040000 - n) * interval '4 seconds' else interval '2 days' + (1000000 - n) * interval '34.4 seconds' end as began
      from generate_series(1::bigint, 1040000) n) s;

do $$
declare month timestamptz; part text; rows text;
begin
  rows := $rows$
    insert into %s (tenant_id, session_id, license_id, number, product, pool_id, seat_no, holder, attempt, hw, label, client, person,
      project_id, key_id, started_at, last_seen_at, ended_at, end_reason)
    select current_setting('app.tenant_id')::uuid,
      (lpad(to_hex((extract(epoch from began) * 1000)::bigint), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
      ('01970000-aaaa-7000-8000-' || lpad(to_hex(case n %% 25 when 0 then 77 else r %% 10000 end), 12, '0'))::uuid,
      upper(lpad(to_hex(r %% 10000), 13, '0')), 'coditect',
      ('01970000-dddd-7000-8000-' || lpad(to_hex(case n %% 25 when 0 then 77 else r %% 10000 end), 12, '0'))::uuid,
      case n %% 25 when 0 then n / 25 %% 1600 else r %% 5 end, 'holder-' || n %% 100000,
      ('01970000-eeee-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
      case n %% 25 when 1 then repeat('T', 42) || 'Q' else lpad((r %% 50000)::text, 43, 'h') end, 'host-' || r %% 50000,
      '{"version": "1.2.3", "platform": "linux-x86_64", "hostname": "host", "deployment": "desktop"}',
      case n %% 25 when 2 then 'bob@example.com' else r %% 20000 || '@example.com' end,
      ('01970000-cccc-7000-8000-' || lpad(to_hex(case n %% 25 when 3 then 77 else r %% 25000 end), 12, '0'))::uuid,
      ('01970000-abcd-7000-8000-' || lpad(to_hex(case n %% 25 when 5 then 77 else r %% 10000 end), 12, '0'))::uuid,
      began, coalesce(ended_at, began), ended_at,
      case when ended_at is null then null when n %% 25 = 4 then 'kicked' when r %% 2 = 0 then 'released' else 'expired' end
    from session where %s order by ended_at, n $rows$;
  for n in -14..0 loop
    month := history.month_after(history.month_of(now()), n);
    part := history.name_of('sessions', month);
    -- Filled first and attached afterwards, which makes its indexes.
    execute format('drop table if exists history.%I', part);
    execute format('create unlogged table history.%I (like history.sessions including defaults including constraints)', part);
    execute format('alter table history.%I owner to owner', part);
    execute format(rows, format('history.%I', part), format('ended_at >= %L and ended_at < %L', month, history.month_after(month)));
    call history.attach('history.sessions', part, month);
  end loop;
  execute format(rows, 'sessions_open', 'ended_at is null');
end $$;
drop table session;

-- 100,000 denials of the last 90 days.
insert into denials (tenant_id, denial_id, license_id, pool_id, pool, number, product, at, hw, label, person, last_at, tries, ended_at)
select current_setting('app.tenant_id')::uuid,
  (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
  ('01970000-aaaa-7000-8000-' || lpad(to_hex(case n % 25 when 0 then 77 else r % 10000 end), 12, '0'))::uuid,
  ('01970000-dddd-7000-8000-' || lpad(to_hex(r % 10000), 12, '0'))::uuid, 'default', upper(lpad(to_hex(r % 10000), 13, '0')), 'coditect',
  at, case n % 25 when 1 then repeat('T', 42) || 'Q' else lpad((r % 50000)::text, 43, 'h') end, 'host-' || r % 50000,
  case n % 25 when 2 then 'bob@example.com' else r % 20000 || '@example.com' end, at, 3, at
from (select n, abs(hashint8(n)::bigint) as r, date_trunc('milliseconds', now() - n * interval '77 seconds') as at
      from generate_series(0, 99999) n) d;

-- More webhooks than an organization may have, a thousand that were deleted, and 100,000 deliveries of the last 30 days to one.
insert into webhooks (tenant_id, webhook_id, url, secret, created_by, deleted_at)
select current_setting('app.tenant_id')::uuid, ('01970000-eeee-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'https://hooks.example.com/' || n, 'sealed',
  'owner@example.com', case when n >= 30 then now() end
from generate_series(0, 1029) n;

insert into webhook_deliveries (tenant_id, webhook_id, event_id, at, kind, state, tries, finished_at)
select current_setting('app.tenant_id')::uuid, '01970000-eeee-7000-8000-000000000000',
  (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
  at, 'seat.granted', case n % 25 when 3 then 'failed' else 'delivered' end, 1, at
from (select n, date_trunc('milliseconds', now() - n * interval '25 seconds') as at from generate_series(0, 99999) n) d;

-- More rules than an organization may have, a thousand that were deleted, and 100,000 alerts of 30 days; one in 25 each is open, of one
-- kind and of one license.
insert into alert_rules (tenant_id, rule_id, kind, days, created_by, deleted_at, look_at)
select current_setting('app.tenant_id')::uuid, ('01970000-ffff-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'license_ends', 14,
  'owner@example.com', case when n >= 30 then now() end, null
from generate_series(0, 1029) n;

insert into alerts (tenant_id, alert_id, rule_id, kind, subject, license_id, number, product, pool, since, raised_at, ended_at, end_reason)
select current_setting('app.tenant_id')::uuid, (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
  '01970000-ffff-7000-8000-000000000000', case n % 25 when 4 then 'wants_refused' else 'pool_use' end, gen_random_uuid(),
  ('01970000-aaaa-7000-8000-' || lpad(to_hex(case n % 25 when 5 then 77 else n % 10000 end), 12, '0'))::uuid, 'N', 'coditect', 'default', at, at,
  case when n % 25 <> 6 then at end, case when n % 25 <> 6 then 'back_to_normal' end
from (select n, date_trunc('milliseconds', now() - n * interval '25 seconds') as at from generate_series(0, 99999) n) a;
