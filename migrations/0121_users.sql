-- A person in an organization, with a role.
create table users (
  tenant_id  uuid not null references organizations,
  user_id    uuid not null,
  email      text collate "C" not null,
  -- What all spellings of it have in common, written by the services (core/src/domain/email.rs): no database folds
  -- letters.
  address    text collate "C" not null,
  name       text collate "C",
  role       text collate "C" not null check (role in ('owner', 'admin', 'member', 'viewer')),
  version    bigint not null default 1,
  created_at timestamptz not null default now(),
  removed_at timestamptz,                -- no longer in the organization; the row stays, since the audit log names it
  primary key (tenant_id, user_id)
);
-- Who is invited must not belong already.
create index users_by_email on users (tenant_id, address) where removed_at is null;
select protect('users');

grant select, insert on users to admin;
grant update (email, address, name, role, version, removed_at) on users to admin;
