-- Three rooms: `directory` (routing before the tenant is known), `catalog` (the vendor's plans, no tenant's data),
-- `public` (tenant tables, each with row-level security).
create schema directory;
create schema catalog;
revoke all on schema public from public;
grant usage, create on schema public to owner; -- also where another role owns the database, after a restore say
grant usage on schema public, directory, catalog to service, reaper, admin;
-- A function is callable by whom a grant names, never by everybody.
alter default privileges revoke execute on functions from public;

-- UUID version 7 (RFC 9562): ordered by time, so that new rows land at the end of their index.
create function uuid_v7() returns uuid language sql volatile parallel safe as $$
  select encode(
    set_bit(set_bit(
      overlay(uuid_send(gen_random_uuid())
        placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6),
      52, 1), 53, 1), 'hex')::uuid
$$;
grant execute on function uuid_v7() to service, reaper, admin;
