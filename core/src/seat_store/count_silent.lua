-- COUNT_SILENT: how many holders of a pool are silent. Takes nothing and writes nothing.
-- Keys: 0, after those of the pool.
-- Arguments: 1, after those of the prologue.
--   most  so many seats whose time is over are looked at, and no more are counted
-- Answers:
--   COLD epoch     the copy must be rebuilt
--   SILENT silent  holders whose lease is over and whose seat was not taken yet
local most = unpack(ARGV, 6, 6)
if not is_warm() then return {'COLD', epoch} end
local silent = 0
-- A quarantine that is over has an end as well, and no holder.
local over = redis.call('ZRANGEBYSCORE', lease_key, '(0', reap_now, 'LIMIT', 0, most)
for _, seat_no in ipairs(over) do
  local seat = read_seat(seat_no)
  if seat and seat.state == 'L' then silent = silent + 1 end
end
return {'SILENT', silent}
