-- Plans and products are the vendor's data, the same for every organization.
create table catalog.plans (
  plan               text primary key check (plan ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  plan_id            uuid not null unique default uuid_v7(),              -- the order of the list
  tier               text not null check (tier ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  seats              int not null check (seats between 1 and 1000000),
  trial_days         int check (trial_days > 0),                          -- null: no end
  features           jsonb not null default '{}'
    check (jsonb_typeof(features) = 'object' and octet_length(features::text) <= 3072),
  offline_policy     text not null default 'none' check (offline_policy in ('none', 'grace', 'borrow')),
  grace_hours        int not null default 0 check (grace_hours between 0 and 8760),
  grace_after_heartbeats int not null default 2 check (grace_after_heartbeats between 0 and 100), -- until a holder has earned its grace
  grace_beyond_seats int check (grace_beyond_seats >= 0),                 -- machines with grace beyond the seats; null: any number
  holder_by          text not null default 'machine' check (holder_by in ('machine', 'process')),
  processes_per_seat int not null default 32 check (processes_per_seat between 1 and 1000),
  version            bigint not null default 1                            -- rises with every edit: the ETag
);
create table catalog.products (
  product           text primary key check (product ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  product_id        uuid not null unique default uuid_v7(), -- the order of the list
  registration_plan text not null references catalog.plans, -- what a new organization gets
  is_default        boolean not null default false,         -- when registration names no product
  version           bigint not null default 1               -- rises with every edit: the ETag
);
create unique index one_default_product on catalog.products (is_default) where is_default;
grant select on catalog.plans, catalog.products to admin;

insert into catalog.plans (plan, tier, seats, trial_days, offline_policy, grace_hours) values ('trial', 'trial', 5, 14, 'grace', 24);
insert into catalog.products (product, registration_plan, is_default) values ('coditect', 'trial', true);
