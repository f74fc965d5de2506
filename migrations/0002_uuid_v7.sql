-- UUID version 7 (RFC 9562): ordered by time, so that new rows land at the end of their index. 48 bits of milliseconds,
-- the version, and the microseconds in the 12 bits after it (section 6.2, method 3): events of one millisecond keep
-- their order too. In PL/pgSQL, which keeps its plan: as a column's default an SQL function is planned again for every
-- row (0.1 ms).
create function uuid_v7() returns uuid language plpgsql volatile parallel safe as $$
declare
  us bigint := extract(epoch from clock_timestamp()) * 1000000;
begin
  return encode(
    overlay(uuid_send(gen_random_uuid())
      placing int8send((us / 1000 << 16) | (7 << 12) | (us % 1000 * 4096 / 1000)) from 1 for 8), 'hex')::uuid;
end $$;
revoke execute on function uuid_v7 from public;
grant execute on function uuid_v7 to admin; -- whose rows have it for a default
