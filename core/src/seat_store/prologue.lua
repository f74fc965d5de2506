-- Prologue: stands in front of every script of a pool. It reads the clocks and the settings of the copy. All times are
-- in ms.
-- Keys: 6, all with the hash tag of the license.
--   settings_key      h: the settings and counters of the copy
--   lease_key         z: seat number -> lease end; 0 is free
--   seat_key          s: seat number -> holder and sessions, as read_seat has them
--   holder_key        m: holder -> seat number
--   session_key       n: seat/session -> lease end; the only session of a seat has the lease of the seat and no entry
--   rebuild_lock_key  c: which instance rebuilds the copy, as rebuild_lock.lua has it
-- Arguments: 5, the first of every script.
--   replication_id  of the node that runs this; '' to ask the node
--   service_clock   the clock of the service
--   held_clock      the same clock, which stands still while this store is away and for a while after
--   ttl             the lease of a session
--   test_clock      the time that takes the place of the clock of Redis in tests; 0: none
-- Answers:
--   READONLY  this node is no master
local settings_key, lease_key, seat_key, holder_key, session_key, rebuild_lock_key = unpack(KEYS, 1, 6)
local replication_id, service_clock, held_clock, ttl, test_clock = unpack(ARGV, 1, 5)
service_clock, held_clock = tonumber(service_clock), tonumber(held_clock)
ttl, test_clock = tonumber(ttl), tonumber(test_clock)
if test_clock ~= 0 and not TEST_BUILD then return redis.error_reply('TESTCLOCK refused: not a test build') end

if replication_id == '' then
  local info = redis.call('INFO', 'replication')
  if info:match('role:(%a+)') ~= 'master' then return {'READONLY'} end
  replication_id = info:match('master_replid:(%w+)')
end

local setting_names = {
  'stamp', 'epoch', 'seq', 'cap', 'seats', 'held', 'sessions', 'last', 'stale', 'status', 'status_since', 'not_before',
  'expires', 'holder_by', 'processes', 'key_hmacs', 'tenant', 'pool', 'product', 'facts', 'denied', 'peak', 'minute',
  'minute_seen', 'opens', 'lease', 'longest', 'longer_until', 'frozen_at', 'frozen_over', 'grace_before',
}
local copy = {}
for index, value in ipairs(redis.call('HMGET', settings_key, unpack(setting_names))) do
  copy[setting_names[index]] = value
end
local epoch, seq = tonumber(copy.epoch or 0), tonumber(copy.seq or 0)

local redis_seconds, redis_microseconds = unpack(redis.call('TIME'))
local redis_time = test_clock ~= 0 and test_clock or redis_seconds * 1000 + math.floor(redis_microseconds / 1000)
-- No clock that was ever ahead counts for more than this: a lease ends within two hours (for a TTL of up to one).
local AHEAD = 7200000 - math.min(ttl, 3600000)
-- Two present times: `now` decides what extends a lease, `reap_now` what takes a seat away. Redis and the held clock of
-- the service must agree that a lease is over before the seat is taken.
local now = math.min(math.max(redis_time, tonumber(copy.last or 0)), redis_time + AHEAD)
-- copy.last has no part in it: a clock of Redis that was ahead once must not vouch for a clock of the service that is
-- ahead later.
local reap_now = math.min(redis_time, held_clock)
-- A lease counts from the later clock, and never from a held one: a lease given by a clock that is behind must not
-- lapse when that clock is put right. It is bounded, so that a clock far ahead cannot lease seats for ever.
local lease_start = math.min(math.max(now, service_clock), redis_time + AHEAD)
local function has_lapsed(lease_end) return lease_end <= reap_now end

-- True if no key of the copy was lost.
local function is_complete()
  return tonumber(copy.seats) == redis.call('ZCARD', lease_key)
    and tonumber(copy.sessions) == redis.call('ZCARD', session_key)
    and tonumber(copy.held) == redis.call('HLEN', seat_key) and tonumber(copy.held) == redis.call('HLEN', holder_key)
end
-- A copy is trusted only where the node that runs now has rebuilt it, and for leases no longer than those the records
-- expect of it.
local function is_warm()
  return copy.stamp == replication_id and copy.stale ~= '1' and tonumber(copy.lease or 0) >= ttl and is_complete()
end

local function decimal(number) return string.format('%.0f', number) end
local function hexadecimal(number) return string.format('%x', number) end
local function session_member(seat_no, session) return seat_no .. '/' .. session end

-- A value of seat_key is holder|state|seq|since|session:attempt,…|label. State L is live, X is ending: claimed, and
-- PostgreSQL is not told yet. `since` is hexadecimal: with two bytes less a seat fits the next smaller size of the
-- allocator where its label has 17 characters.
local function read_seat(seat_no)
  local value = redis.call('HGET', seat_key, seat_no)
  if not value then return nil end
  local seat = {}
  seat.holder, seat.state, seat.seq, seat.since, seat.sessions, seat.label =
    value:match('^([^|]*)|(%u)|(%d+)|(%x+)|([^|]*)|(.*)$')
  seat.since = tonumber(seat.since, 16)
  return seat
end
local function write_seat(seat_no, seat)
  local fields = {seat.holder, seat.state, decimal(seat.seq), hexadecimal(seat.since), seat.sessions, seat.label}
  redis.call('HSET', seat_key, seat_no, table.concat(fields, '|'))
end
-- Iterates over session and attempt.
local function each_session(seat) return seat.sessions:gmatch('([^:,]+):([^:,]+)') end
local function has_session(seat, session)
  for other in each_session(seat) do if other == session then return true end end
  return false
end
local function remove_session(seat, session)
  local kept = {}
  for other, attempt in each_session(seat) do
    if other ~= session then kept[#kept + 1] = other .. ':' .. attempt end
  end
  seat.sessions = table.concat(kept, ',')
end

-- An entry of session_key would be a quarter of what a seat costs in memory, and most seats carry one session: that one
-- has the lease of the seat. session_key names every session of a seat that has or had several, and every session that
-- is ending: a release that nobody finished can be found in no other way.
local function has_no_siblings(seat) return not seat.sessions:find(',', 1, true) end
-- The lease end of a session that the seat lists; 0: it is ending.
local function session_lease_end(seat_no, seat, session)
  local lease_end = redis.call('ZSCORE', session_key, session_member(seat_no, session))
    or (seat.state == 'L' and has_no_siblings(seat) and redis.call('ZSCORE', lease_key, seat_no))
  return tonumber(lease_end or 0)
end
-- Gives a session a lease of `lease` ms. A lease is only ever raised here; only RELEASE, REAP and REBUILD lower one.
-- The client is told the same length (lease_length.lua).
local function raise_lease(seat_no, seat, session, lease)
  local lease_end, member = decimal(lease_start + lease), session_member(seat_no, session)
  if has_no_siblings(seat) then redis.call('ZADD', session_key, 'XX', 'GT', lease_end, member)
  else redis.call('ZADD', session_key, 'GT', lease_end, member) end
  redis.call('ZADD', lease_key, 'GT', lease_end, seat_no)
end
local function draw_ticket()
  seq = seq + 1
  return seq
end
local function save_counters()
  redis.call('HSET', settings_key, 'seq', decimal(seq), 'last', decimal(now), 'seats', redis.call('ZCARD', lease_key),
    'held', redis.call('HLEN', seat_key), 'sessions', redis.call('ZCARD', session_key))
end
-- All keys of a copy of which no seat is held expire after a day, but not before its quarantines are over. License
-- numbers that nobody knows cannot fill Redis in either case, since only REBUILD makes a copy.
local function expire_copy()
  local lifetime = decimal(math.max(86400000, tonumber(copy.longest) + AHEAD))
  for index = 1, 5 do redis.call('PEXPIRE', KEYS[index], lifetime) end
end
local function expire_or_persist_copy()
  if redis.call('EXISTS', seat_key) == 0 then return expire_copy() end
  for index = 1, 5 do redis.call('PERSIST', KEYS[index]) end
end

local function is_valid_key(key_hmacs)
  for asked in key_hmacs:gmatch('%S+') do
    for hmac, valid_until in copy.key_hmacs:gmatch('(%S+):(%d+)') do
      if hmac == asked and (valid_until == '0' or tonumber(valid_until) > reap_now) then return true end
    end
  end
  return false
end
-- Why the license gives no seat now; nil where it gives seats.
local function license_refusal()
  if copy.status ~= 'active' then return {'REFUSED', copy.status, tonumber(copy.status_since)} end
  if copy.expires ~= '0' and tonumber(copy.expires) <= reap_now then
    return {'REFUSED', 'expired', tonumber(copy.expires)}
  end
  if tonumber(copy.not_before) > math.max(now, service_clock) then
    return {'REFUSED', 'not_started', tonumber(copy.not_before)}
  end
  return nil
end
-- The lease end of a session that a rebuild found to be over already: it is over by any clock, and no time that anybody
-- should be shown.
local OVER = 1
-- Appends label, since and lease end of up to five holders, those who have been silent longest first.
local function append_silent_holders(answer)
  for _, seat_no in ipairs(redis.call('ZRANGEBYSCORE', lease_key, '(' .. OVER, '+inf', 'LIMIT', 0, 5)) do
    local seat = read_seat(seat_no)
    if seat then
      local lease_end = tonumber(redis.call('ZSCORE', lease_key, seat_no))
      for _, value in ipairs({seat.label, seat.since, lease_end}) do answer[#answer + 1] = value end
    end
  end
  return answer
end
