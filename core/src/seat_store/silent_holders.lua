-- Shared by COUNT_SILENT and LOOK_UP_POOL: how many holders are silent.

-- Writes nothing. Holders whose lease is over and whose seat was not taken yet; so many seats whose time is over are
-- looked at, and no more are counted.
local function count_silent(most)
  local silent = 0
  -- A quarantine that is over has an end as well, and no holder.
  local over = redis.call('ZRANGEBYSCORE', lease_key, '(0', reap_now, 'LIMIT', 0, most)
  for _, seat_no in ipairs(over) do
    local seat = read_seat(seat_no)
    if seat and seat.state == 'L' then silent = silent + 1 end
  end
  return silent
end
