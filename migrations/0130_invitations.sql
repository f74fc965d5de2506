-- A person who was asked in by e-mail. Only the hash of what the letter says is kept. A row is never deleted; what is
-- over has a time in it.
create table invitations (
  tenant_id     uuid not null references organizations,
  invitation_id uuid not null,
  email         text collate "C" not null,       -- in small letters
  address       text collate "C" not null,       -- as users have it
  role          text collate "C" not null check (role in ('owner', 'admin', 'member', 'viewer')),
  secret_hash   text collate "C" not null,
  invited_by    text collate "C" not null,       -- how the audit log calls whoever asked
  -- The person whose right to invite it stands on; null: the vendor's staff.
  granted_by    uuid,
  created_at    timestamptz not null default now(),
  expires_at    timestamptz not null,
  accepted_at   timestamptz,
  accepted_by   uuid,
  revoked_at    timestamptz,
  primary key (tenant_id, invitation_id),
  foreign key (tenant_id, granted_by) references users
);
create index invitations_by_state
  on invitations (tenant_id, (accepted_at is not null), (revoked_at is not null), invitation_id);
create index invitations_by_email on invitations (tenant_id, address) where accepted_at is null and revoked_at is null;
-- What goes with who asked (core/src/management/granted_access.rs).
create index invitations_by_granter on invitations (granted_by, tenant_id)
  where accepted_at is null and revoked_at is null;
select protect('invitations');

grant select, insert on invitations to admin;
grant update (accepted_at, accepted_by, revoked_at) on invitations to admin;
