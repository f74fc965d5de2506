-- Shared by RATE, GUESS, RIGHT, ACQUIRE and HEARTBEAT: the generic cell rate algorithm. The key holds when all turns taken so far are used up
-- (ms, with fractions where many share a limit) and goes by itself then, so whoever keeps to the limit leaves nothing behind.
local function used_up(key, at) return math.max(tonumber(redis.call('GET', key) or 0), at) end
local function keep(key, at, until_then)
  if until_then <= at then return redis.call('DEL', key) end
  redis.call('SET', key, string.format('%.16g', until_then), 'PX', string.format('%.0f', math.ceil(until_then - at)))
end
-- Answers 0 and how many more may come at once; or how many ms to wait, and then nothing is written.
local function turn(key, at, every, burst)
  local used = used_up(key, at)
  local wait = used - at - every * (burst - 1)
  if wait > 0 then return wait, 0 end
  used = used + every
  keep(key, at, used)
  return 0, math.floor((every * burst - (used - at)) / every)
end
