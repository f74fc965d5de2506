-- What is sold. Plans are the vendor's data, the same for every organization, kept by the vendor's staff through admin.
create table catalog.plans (
  plan               text collate "C" primary key check (plan ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  plan_id            uuid not null unique default uuid_v7(),              -- the order of the list
  tier               text collate "C" not null check (tier ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  seats              int not null check (seats between 1 and 1000000),
  trial_days         int check (trial_days > 0),                          -- null: no end
  features           jsonb not null default '{}'
    check (jsonb_typeof(features) = 'object' and octet_length(features::text) <= 3072),
  offline_policy     text collate "C" not null default 'none' check (offline_policy in ('none', 'grace', 'borrow')),
  grace_hours        int not null default 0 check (grace_hours between 0 and 8760),
  -- How many heartbeats a holder must have lived through before its tokens carry grace.
  grace_after_heartbeats int not null default 2 check (grace_after_heartbeats between 0 and 100),
  -- How many machines may have unexpired grace beyond the seats; null: any number.
  grace_beyond_seats int check (grace_beyond_seats >= 0),
  holder_by          text collate "C" not null default 'machine' check (holder_by in ('machine', 'process')),
  processes_per_seat int not null default 32 check (processes_per_seat between 1 and 1000),
  version            bigint not null default 1                            -- rises with every edit: the ETag
);

grant select, insert on catalog.plans to admin;
grant update (tier, seats, trial_days, features, offline_policy, grace_hours, grace_after_heartbeats,
  grace_beyond_seats, holder_by, processes_per_seat, version) on catalog.plans to admin;

insert into catalog.plans (plan, tier, seats, trial_days, offline_policy, grace_hours)
values ('trial', 'trial', 5, 14, 'grace', 24);
