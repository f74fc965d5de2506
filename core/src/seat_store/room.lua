-- Shared by ACQUIRE and VALIDATE: why this holder is not seated, and when it is at the latest if nobody else comes and no holder gives a
-- sign of life before. Only where decide.lua says FULL. Writes nothing.
-- Answers why lease_end waiting
--   why HELD: a holder's lease must end first | WAITS: a kicked or restored seat's wait | OPENS: a restored pool's | NONE: it has no seats
--   lease_end: of that, ms; 0 where nothing is known   waiting: how many seats nobody holds and nobody is given yet
local function room(holder)
  local cap, opens = tonumber(h.cap), tonumber(h.opens or 0)
  local waiting = redis.call('ZCARD', Z) - redis.call('HLEN', S)
  if waiting > 0 then
    for _, k in ipairs(redis.call('ZRANGEBYSCORE', Z, '-inf', int(reap_now), 'LIMIT', 0, 1000)) do
      if redis.call('HEXISTS', S, k) == 0 then waiting = waiting - 1 end
    end
  end
  if opens > reap_now and redis.call('HEXISTS', M, holder) == 1 then return 'OPENS', opens, waiting end
  if cap == 0 then return 'NONE', 0, waiting end
  -- In a pool that was shrunk more than one lease must end.
  local live = redis.call('ZCOUNT', Z, '(' .. int(reap_now), '+inf')
  local free = live < cap and live < redis.call('ZCARD', Z)
  local soon = free and {} or redis.call('ZRANGEBYSCORE', Z, '(' .. int(reap_now), '+inf', 'WITHSCORES', 'LIMIT', math.max(live - cap, 0), 1)
  local its = tonumber(soon[2] or 0)
  if opens > reap_now and opens >= its then return 'OPENS', opens, waiting end
  return soon[1] and redis.call('HEXISTS', S, soon[1]) == 0 and 'WAITS' or 'HELD', its, waiting
end
-- How long until then: what takes a seat away looks at this clock.
local function wait_for(lease_end) return math.max(0, lease_end - reap_now) end
