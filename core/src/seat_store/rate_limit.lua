-- Shared by TAKE_TOKEN, TAKE_GUESS_TOKEN, REFUND_GUESS_TOKEN, ACQUIRE and HEARTBEAT: a limit by the generic cell rate
-- algorithm. One request takes one token; a token is regained every `interval` ms, up to `burst` tokens. The key of a
-- limit holds the arrival time of the algorithm: when all tokens that were taken are regained (ms, with fractions where
-- many share a limit). The key expires then, so a caller that keeps to the limit leaves nothing behind.
local function read_arrival_time(key, at) return math.max(tonumber(redis.call('GET', key) or 0), at) end
local function write_arrival_time(key, at, arrival_time)
  if arrival_time <= at then return redis.call('DEL', key) end
  local lifetime = string.format('%.0f', math.ceil(arrival_time - at))
  redis.call('SET', key, string.format('%.16g', arrival_time), 'PX', lifetime)
end
-- Answers 0 and how many tokens are left. Where none was left, it answers how many ms to wait, and writes nothing.
local function take_token(key, at, interval, burst)
  local arrival_time = read_arrival_time(key, at)
  local wait = arrival_time - at - interval * (burst - 1)
  if wait > 0 then return wait, 0 end
  arrival_time = arrival_time + interval
  write_arrival_time(key, at, arrival_time)
  return 0, math.floor((interval * burst - (arrival_time - at)) / interval)
end
