-- Alerts: what a rule raised, of one pool, license or webhook, until it is back to normal. At most one of a rule and a
-- subject is open. Only functions write it (0272_tell_alert.sql); no reference to licenses, since whoever judges waits
-- for nobody who changes one.
create table alerts (
  tenant_id  uuid not null,
  alert_id   uuid not null default uuid_v7(),
  rule_id    uuid not null,
  kind       text collate "C" not null,
  -- The pool, license or webhook, by whichever id it has below.
  subject    uuid not null,
  license_id uuid,
  pool_id    uuid,
  webhook_id uuid,
  -- As of sessions: what never changes of the pool and the license.
  number     text collate "C",
  product    text collate "C",
  pool       text collate "C",
  -- Since when it was so, what was counted when it was raised, and what the rule said then.
  since      timestamptz not null,
  value      int,
  threshold  int,
  minutes    int,
  raised_at  timestamptz not null default now(),
  ended_at   timestamptz,
  end_reason text collate "C",
  -- The last minute at which a pool was as the rule says; what was told up to then raises nothing again.
  last_at    timestamptz,
  -- What the list is filtered by.
  state      text collate "C" not null
    generated always as (case when ended_at is null then 'open' else 'ended' end) stored,
  check ((ended_at is null) = (end_reason is null)),
  foreign key (tenant_id, rule_id) references alert_rules
);
-- One index for each filter of the list, as of licenses.
create index alerts_by_license on alerts (license_id, tenant_id, alert_id);
create index alerts_by_kind on alerts (kind, tenant_id, alert_id);
create index alerts_by_state on alerts (state, tenant_id, alert_id);
-- Made after the indexes of the list, as of licenses.
alter table alerts add primary key (tenant_id, alert_id);
create unique index alerts_open on alerts (tenant_id, rule_id, subject) where ended_at is null;
-- Of a rule those that ended lately (judge_alert_rule).
create index alerts_told on alerts (tenant_id, rule_id, last_at) where last_at is not null;
-- Those that were kept for long enough (forget_alerts).
create index alerts_by_end on alerts (tenant_id, ended_at) where ended_at is not null;
select protect('alerts');

grant select on alerts to admin;
