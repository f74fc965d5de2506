-- Four schemas: `directory` (which organization something belongs to, before the organization is known), `catalog` (the
-- vendor's plans, no organization's data), `public` (organizations' tables, each with row-level security) and `history`
-- (the months of what is over: partitions of tables in `public`. No role that serves has a right on them; they are
-- reached through those tables and their row-level security).
create schema directory;
create schema catalog;
create schema history;
revoke all on schema public from public;
grant usage, create on schema public to owner; -- also where another role owns the database, after a restore say
grant usage on schema public to service, reaper, admin, notify;
grant usage on schema directory, catalog to admin;
grant usage on schema history to reaper, admin;
-- A function is callable by the roles that a grant names, never by everybody. Each file says so again for its own
-- functions.
alter default privileges revoke execute on functions from public;
