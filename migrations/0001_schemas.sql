-- Four rooms: `directory` (routing before the tenant is known), `catalog` (the vendor's plans, no tenant's data),
-- `public` (tenant tables, each with row-level security), `history` (the months of what is over: partitions of tables in `public`, which
-- nobody who serves can name; they are reached through those tables and their row-level security).
create schema directory;
create schema catalog;
create schema history;
revoke all on schema public from public;
grant usage, create on schema public to owner; -- also where another role owns the database, after a restore say
grant usage on schema public to service, reaper, admin;
grant usage on schema directory, catalog to admin;
-- A function is callable by whom a grant names, never by everybody.
alter default privileges revoke execute on functions from public;

-- UUID version 7 (RFC 9562): ordered by time, so that new rows land at the end of their index. 48 bits of milliseconds, the version, and
-- the microseconds in the 12 bits after it (section 6.2, method 3): events of one millisecond keep their order too.
-- In PL/pgSQL, which keeps its plan: as a column's default an SQL function is planned again for every row (0.1 ms).
create function uuid_v7() returns uuid language plpgsql volatile parallel safe as $$
declare
  us bigint := extract(epoch from clock_timestamp()) * 1000000;
begin
  return encode(
    overlay(uuid_send(gen_random_uuid())
      placing int8send((us / 1000 << 16) | (7 << 12) | (us % 1000 * 4096 / 1000)) from 1 for 8), 'hex')::uuid;
end $$;
grant execute on function uuid_v7() to admin; -- whose rows have it for a default
