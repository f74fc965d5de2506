-- What the vendor sells licenses of. As plans: the vendor's data, kept by its staff through admin.
create table catalog.products (
  product           text collate "C" primary key check (product ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
  product_id        uuid not null unique default uuid_v7(),          -- the order of the list
  registration_plan text collate "C" not null references catalog.plans, -- what a new organization gets
  is_default        boolean not null default false,                  -- when registration names no product
  version           bigint not null default 1,                       -- rises with every edit: the ETag
  -- How many trials are given: of each limit a number, or null for as many as are asked for. core/src/domain/trial.rs
  -- says what each is.
  trials            jsonb not null default '{"mailbox": 1, "domain": null, "network": null, "days": 365}'
    check (jsonb_typeof(trials) = 'object' and (trials->>'days')::int > 0)
);
create unique index one_default_product on catalog.products (is_default) where is_default;

grant select, insert on catalog.products to admin;
grant update (registration_plan, is_default, version, trials) on catalog.products to admin;

insert into catalog.products (product, registration_plan, is_default) values ('coditect', 'trial', true);
