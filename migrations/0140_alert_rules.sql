-- Alert rules: of what an organization wants to be told. A rule watches every pool, license or webhook of its kind, or
-- those of one license. A row is never deleted, so that what it raised says by which rule.
create table alert_rules (
  tenant_id   uuid not null references organizations,
  rule_id     uuid not null,
  -- A pool is used, wants of a pool are refused, a license ends, a webhook is paused; a month is over.
  kind        text collate "C" not null
    check (kind in ('pool_use', 'wants_refused', 'license_ends', 'webhook_paused', 'monthly_report')),
  license_id  uuid,  -- null: every license
  -- From where on it is raised. Each kind has its own, and not those of the others.
  percent     int check (percent between 1 and 100),
  minutes     int check (minutes between 1 and 1440),
  count       int check (count between 1 and 1000000),
  days        int check (days between 1 and 365),
  check ((percent is not null) = (kind = 'pool_use')),
  check ((minutes is not null) = (kind in ('pool_use', 'wants_refused'))),
  check ((count is not null) = (kind = 'wants_refused')),
  check ((days is not null) = (kind = 'license_ends')),
  check (license_id is null or kind <> 'webhook_paused'),
  -- Who is sent a mail besides; empty: nobody.
  mail_roles  text[] collate "C" not null default '{}' check (mail_roles <@ array['owner', 'admin']),
  description text collate "C" not null default '' check (length(description) <= 200),
  enabled     boolean not null default true,
  created_by  text collate "C" not null,
  created_at  timestamptz not null default now(),
  version     bigint not null default 1,  -- of what people edit: the ETag
  deleted_at  timestamptz,
  -- Of monthly_report: the end of the last month that was told (report_month).
  told_to     timestamptz,
  -- When it is to be judged next (judge_alert_rule); null: not before something wakes it.
  look_at     timestamptz default now(),
  primary key (tenant_id, rule_id),
  foreign key (tenant_id, license_id) references licenses
);
-- Those to be judged, of every organization (due_alert_rules in core/src/records/judging.rs).
create index alert_rules_due on alert_rules (look_at, rule_id) where look_at is not null;
-- Those that people see and something may wake: at most 50 of an organization, however many were deleted. Made after
-- the key, so that a plan of an empty table takes it.
create index alert_rules_in_use on alert_rules (tenant_id, rule_id) where deleted_at is null;
select protect('alert_rules');

grant select on alert_rules to admin;
grant insert (tenant_id, rule_id, kind, license_id, percent, minutes, count, days, mail_roles, description, enabled,
  created_by) on alert_rules to admin;
grant update (percent, minutes, count, days, mail_roles, description, enabled, version, deleted_at, look_at)
  on alert_rules to admin;
-- Which are to be judged, of every organization; what they say, judge_alert_rule reads.
grant select (tenant_id, rule_id, look_at) on alert_rules to notify;
create policy notify_sees_due on alert_rules for select to notify using (look_at is not null);
