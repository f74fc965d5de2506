-- What sessions can be told apart by besides the license. Tied to licenses: only sessions of those count to it; tied to
-- none: all do. Never deleted, but archived.
create table projects (
  tenant_id   uuid not null references organizations,
  project_id  uuid not null,
  name        text collate "C" not null check (length(name) between 1 and 200),
  -- What all spellings of the name have in common (core/src/domain/name.rs).
  key         text collate "C" not null,
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
-- The one filter of the list.
create index projects_by_archived on projects (tenant_id, (archived_at is not null), project_id);
select protect('projects');

grant select, insert on projects to admin;
grant update (name, key, license_ids, version, archived_at) on projects to admin;
