-- Shared by RATE, ACQUIRE and HEARTBEAT: the generic cell rate algorithm. The key holds when all turns taken so far are used up (ms) and
-- goes by itself then, so whoever keeps to the limit leaves nothing behind.
-- Answers 0 and how many more may come at once; or how many ms to wait, and then nothing is written.
local function turn(key, at, every, burst)
  local used_up = math.max(tonumber(redis.call('GET', key) or 0), at)
  local wait = used_up - at - every * (burst - 1)
  if wait > 0 then return wait, 0 end
  used_up = used_up + every
  redis.call('SET', key, string.format('%.0f', used_up), 'PX', string.format('%.0f', used_up - at))
  return 0, math.floor((every * burst - (used_up - at)) / every)
end
