-- What people of an organization work with besides licenses and seats. Nothing here is ever deleted; what is over has a time in its row.

-- A person who was asked in by e-mail. Only the hash of what the letter says is kept.
create table invitations (
  tenant_id     uuid not null references organizations,
  invitation_id uuid not null,
  email         text not null,                   -- in small letters
  address       text not null,                   -- as users have it
  role          text not null check (role in ('owner', 'admin', 'member', 'viewer')),
  secret_hash   text not null,
  invited_by    text not null,                   -- how the audit log calls whoever asked
  granted_by    uuid,                            -- the person whose right to invite it stands on; null: the vendor's staff
  created_at    timestamptz not null default now(),
  expires_at    timestamptz not null,
  accepted_at   timestamptz,
  accepted_by   uuid,
  revoked_at    timestamptz,
  primary key (tenant_id, invitation_id),
  foreign key (tenant_id, granted_by) references users
);
create index invitations_by_state on invitations (tenant_id, (accepted_at is not null), (revoked_at is not null), invitation_id);
create index invitations_by_email on invitations (tenant_id, address) where accepted_at is null and revoked_at is null;
-- What goes with who asked (core/src/records/delegation.rs).
create index invitations_by_granter on invitations (granted_by, tenant_id) where accepted_at is null and revoked_at is null;
-- Who is invited must not belong already.
create index users_by_email on users (tenant_id, address) where removed_at is null;

-- What sessions can be told apart by besides the license. Tied to licenses: only sessions of those count to it; tied to none: all do.
create table projects (
  tenant_id   uuid not null references organizations,
  project_id  uuid not null,
  name        text not null check (length(name) between 1 and 200),
  key         text not null,                     -- what all spellings of the name have in common (core/src/domain/name.rs)
  license_ids uuid[] not null default '{}',
  version     bigint not null default 1,
  created_at  timestamptz not null default now(),
  archived_at timestamptz,
  primary key (tenant_id, project_id)
);
-- A page of sessions shows the names of its projects: two blocks each, and none of the table where it was vacuumed.
create index projects_with_names on projects (project_id, tenant_id) include (name);
-- Clients name a project by its name; another spelling makes no other project.
create unique index projects_by_name on projects (tenant_id, key);

-- What scripts authenticate with: `cdt_live_…`. Only the hash of the secret is kept.
create table api_tokens (
  tenant_id    uuid not null references organizations,
  token_id     uuid not null,
  name         text not null check (length(name) between 1 and 200),
  secret_hash  text not null,
  scopes       text[] not null,
  created_by   text not null,
  granted_by   uuid,                             -- the person on whose word it is in force; null: the vendor's staff
  created_at   timestamptz not null default now(),
  expires_at   timestamptz,
  last_used_at timestamptz,                      -- to the minute
  revoked_at   timestamptz,
  primary key (tenant_id, token_id),
  foreign key (tenant_id, granted_by) references users
);
create index api_tokens_by_granter on api_tokens (granted_by, tenant_id) where revoked_at is null;

-- Who did what, to what, from where. Written in the transaction of what it tells, by history.audit_append alone, which draws the id, the time
-- and the place in the organization's chain (0027_audit_chain.sql); nobody may change a row.
create table audit_log (
  tenant_id    uuid not null references organizations,
  id           uuid not null default uuid_v7(),
  -- The time in the id, in milliseconds: a filter by time is one by id, and the list is in the order of both.
  at           timestamptz not null generated always as (
    to_timestamp(('x' || translate(left(id::text, 13), '-', ''))::bit(48)::bigint / 1000.0)) stored,
  actor_kind   text not null check (actor_kind in ('person', 'token', 'staff')),
  actor        text not null,                    -- the user's or token's id; of staff the subject
  actor_name   text not null,                    -- the address or the token's name, as it was then
  action       text not null,                    -- noun.verb
  target       text not null,                    -- the id of what it was done to
  before       jsonb,
  after        jsonb,
  from_address text,
  request_id   text,
  seq          bigint not null,                  -- the place in the organization's chain: 1, 2, 3 …
  salt         bytea,                            -- null once something in the row was erased: what it said cannot be guessed from details_hash
  details_hash bytea not null,                   -- of what may be erased some day: actor_name, before, after, from_address, request_id
  hash         bytea not null,                   -- of all the rest, details_hash, and the hash of the entry before
  seal         text,                             -- '<pepper version>.<HMAC of hash>', with a key that the database does not have
  erased_by    uuid,                             -- the entry of the erasure that blanked something in this one; of several the last
  erased_hash  bytea,                            -- what details_hash would be since then, without salt
  erased_seal  text,                             -- as seal, of erased_by and erased_hash
  primary key (tenant_id, id)
);
create index audit_log_by_action on audit_log (tenant_id, action, id);
create index audit_log_by_actor on audit_log (tenant_id, actor, id);
create index audit_log_by_target on audit_log (tenant_id, target, id);

-- What a POST with an Idempotency-Key did, so that the same request again does nothing and hears the same. Sealed with the key that only
-- the client and this row's service know: some outcomes show a secret once.
create table idempotency_keys (
  tenant_id    uuid not null references organizations,
  principal    text not null,
  key_hash     text not null,
  request_hash text not null,                    -- the same key for another request is refused
  outcome      text,                             -- written at the end of the same transaction
  created_at   timestamptz not null default now(),
  primary key (tenant_id, principal, key_hash)
);
create index idempotency_keys_by_age on idempotency_keys (tenant_id, created_at);

-- Lists of many rows: one index for each filter, ending in the id, which is the order of the list. Ids are UUIDs of version 7: by time.
-- The filter comes first: a table with few rows in it is expected to have one of any organization, and then all indexes that begin with the
-- organization look as good as the key.
create index licenses_by_status on licenses (status, tenant_id, license_id);
create index licenses_by_tier on licenses (tier, tenant_id, license_id);
create index licenses_by_product on licenses (product, tenant_id, license_id);
-- On open and on ended sessions alike. All of an organization's, open or ended, come by the primary keys.
create index sessions_by_license on sessions (license_id, tenant_id, session_id);
create index sessions_by_project on sessions (project_id, tenant_id, session_id) where project_id is not null;
create index sessions_by_hw on sessions (hw, tenant_id, session_id);
create index sessions_by_person on sessions (person, tenant_id, session_id) where person is not null;
create index sessions_by_key on sessions (key_id, tenant_id, session_id) where key_id is not null;
create index sessions_by_reason on history.sessions (end_reason, tenant_id, session_id);

do $$
declare t text;
begin
  foreach t in array array['invitations', 'projects', 'api_tokens', 'audit_log', 'idempotency_keys'] loop
    execute format('alter table %I enable row level security', t);
    execute format('alter table %I force row level security', t);
    execute format($p$create policy own_tenant on %I
      using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
      with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)$p$, t);
  end loop;
end $$;

grant insert on projects, invitations, api_tokens, idempotency_keys to admin;
grant select on projects, invitations, api_tokens, audit_log, idempotency_keys to admin;
grant update (name, key, license_ids, version, archived_at) on projects to admin;
grant update (accepted_at, accepted_by, revoked_at) on invitations to admin;
grant update (last_used_at, revoked_at, granted_by) on api_tokens to admin;
grant update (request_hash, outcome, created_at) on idempotency_keys to admin;
-- The one table that forgets: what is over after a day.
grant delete on idempotency_keys to admin;
grant update (name, version) on organizations to admin;
grant update (email, address, name, role, version, removed_at) on users to admin;
-- The vendor's staff keep plans and products through the same service.
grant insert on catalog.plans, catalog.products to admin;
grant update (tier, seats, trial_days, features, offline_policy, grace_hours, grace_after_heartbeats, grace_beyond_seats, holder_by,
  processes_per_seat, version) on catalog.plans to admin;
grant update (registration_plan, is_default, version) on catalog.products to admin;
