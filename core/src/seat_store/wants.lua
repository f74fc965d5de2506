-- Shared by ACQUIRE and REAP: who wants a seat of a full pool. A want is one holder's run of refused asks, with less
-- than a lease between one and the next; a seat ends it, or a lease without an ask. Nothing is decided by it, so what
-- does not fit is counted as denied and as nothing else. want_keys are three keys, in this order:
--   wants_key    y: holder -> A|first ask|last ask|asks; state A asks, and has no place in a line
--   want_end_key v: holder -> when the want is over unless the holder asks again
--   change_key   e: what PostgreSQL was not told of yet, by its number:
--                B|holder|first ask|machine|person<newline>label   a want began
--                E|holder|first ask|last ask|asks|granted          it is over; granted: when a seat was given, 0: never
-- All times are in ms.
local MOST_WANTS = 10000
local MOST_CHANGES = 20000
local WANTS_KEPT = 86400000

local function read_want(want_keys, holder)
  local value = redis.call('HGET', want_keys[1], holder)
  local first, last, asks = (value or ''):match('^A|(%d+)|(%d+)|(%d+)$')
  return first and {first = first, last = tonumber(last), asks = tonumber(asks)}
end
-- Also true of one whose last ask was counted by a clock that was far ahead.
local function is_over(want) return math.abs(now - want.last) >= ttl end
local function add_change(want_keys, ...)
  redis.call('ZADD', want_keys[3], redis.call('HINCRBY', settings_key, 'want_number', 1), table.concat({...}, '|'))
end
local function keep_wants(want_keys)
  for _, key in ipairs(want_keys) do redis.call('PEXPIRE', key, WANTS_KEPT) end
end

-- The want of the holder is over, if it has one. A seat that comes when it was over already is none that it was given.
local function end_want(want_keys, holder, granted)
  local want = read_want(want_keys, holder)
  redis.call('ZREM', want_keys[2], holder)
  if not want then return end
  redis.call('HDEL', want_keys[1], holder)
  if is_over(want) then granted = 0 end
  add_change(want_keys, 'E', holder, want.first, decimal(want.last), decimal(want.asks), decimal(granted))
end

-- The pool is full, and this holder has asked. To be called after begin_minute.
local function count_refusal(want_keys, holder, machine, person, label)
  local want = read_want(want_keys, holder)
  if want and is_over(want) then
    end_want(want_keys, holder, 0)
    want = nil
  end
  if not want then
    local is_full = redis.call('HLEN', want_keys[1]) >= MOST_WANTS or redis.call('ZCARD', want_keys[3]) >= MOST_CHANGES
    if is_full then return end
    redis.call('HINCRBY', settings_key, 'refused', 1)
    want = {first = decimal(now), last = now, asks = 0}
    add_change(want_keys, 'B', holder, want.first, machine, person .. '\n' .. label)
    keep_wants(want_keys)
  end
  local last = math.max(now, want.last)
  local value = table.concat({'A', want.first, decimal(last), decimal(want.asks + 1)}, '|')
  redis.call('HSET', want_keys[1], holder, value)
  redis.call('ZADD', want_keys[2], decimal(last + ttl), holder)
end
