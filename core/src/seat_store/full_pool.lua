-- Shared by ACQUIRE, VALIDATE and LOOK_UP_POOL: why a pool gives a holder no seat, and when it will. ACQUIRE and VALIDATE
-- use it only where decide_acquire says FULL.

-- Writes nothing. Answers why, lease_end and waiting:
--   why        HELD: the lease of a holder must end first; WAITS: the wait of a kicked or restored seat; OPENS: the
--              wait of a restored pool; NONE: the pool has no seats
--   lease_end  the latest time at which that is over if nobody else comes and no holder sends a heartbeat before, ms;
--              0: nothing is known
--   waiting    how many seats nobody holds and nobody is given yet
local function explain_full_pool(holder)
  local cap, opens = tonumber(copy.cap), tonumber(copy.opens or 0)
  local waiting = redis.call('ZCARD', lease_key) - redis.call('HLEN', seat_key)
  if waiting > 0 then
    for _, seat_no in ipairs(redis.call('ZRANGEBYSCORE', lease_key, '-inf', decimal(reap_now), 'LIMIT', 0, 1000)) do
      if redis.call('HEXISTS', seat_key, seat_no) == 0 then waiting = waiting - 1 end
    end
  end
  if opens > reap_now and redis.call('HEXISTS', holder_key, holder) == 1 then return 'OPENS', opens, waiting end
  if cap == 0 then return 'NONE', 0, waiting end
  local after_now = '(' .. decimal(reap_now)
  local live = redis.call('ZCOUNT', lease_key, after_now, '+inf')
  local next_seat_no, next_lease_end
  if live >= cap or live >= redis.call('ZCARD', lease_key) then
    -- In a pool that was shrunk more than one lease must end.
    local surplus = math.max(live - cap, 0)
    next_seat_no, next_lease_end =
      unpack(redis.call('ZRANGEBYSCORE', lease_key, after_now, '+inf', 'WITHSCORES', 'LIMIT', surplus, 1))
  end
  local lease_end = tonumber(next_lease_end or 0)
  if opens > reap_now and opens >= lease_end then return 'OPENS', opens, waiting end
  local is_quarantine = next_seat_no and redis.call('HEXISTS', seat_key, next_seat_no) == 0
  return is_quarantine and 'WAITS' or 'HELD', lease_end, waiting
end
-- How many ms until then, by the clock that takes seats away.
local function wait_until(lease_end) return math.max(0, lease_end - reap_now) end
