-- Put in front of every script at compile time.
-- KEYS of one pool, one hash tag: h settings, z seat -> lease end, s seat -> who, m holder -> seat, n seat/session -> lease end
-- (a seat's only session has the seat's and is not in n), c who rebuilds.
-- ARGV[1] the node's replication id, or '' to ask; [2] service clock, [3] the same as it is held while and after this store was away,
-- [4] TTL, [5] test clock (0: none), all ms. A script's own begin at [6].
-- now: what extends. reap_now: what takes away; Redis and the held clock of the service must agree that a lease is over.
local H, Z, S, M, N, C = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local SERVICE, HELD, TTL, TEST = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if TEST ~= 0 and not TEST_BUILD then return redis.error_reply('TESTCLOCK refused: not a test build') end

local rid = ARGV[1]
if rid == '' then
  local info = redis.call('INFO', 'replication')
  if info:match('role:(%a+)') ~= 'master' then return {'READONLY'} end
  rid = info:match('master_replid:(%w+)')
end

local names = {'stamp', 'epoch', 'seq', 'cap', 'seats', 'held', 'sessions', 'last', 'stale', 'status', 'status_since', 'not_before',
  'expires', 'holder_by', 'processes', 'key_hmacs', 'tenant', 'pool', 'product', 'facts', 'denied', 'peak', 'counted', 'opens', 'lease', 'longest', 'longer_until', 'frozen_at', 'frozen_over', 'grace_before'}
local h = {}
for i, value in ipairs(redis.call('HMGET', H, unpack(names))) do h[names[i]] = value end
local epoch, seq = tonumber(h.epoch or 0), tonumber(h.seq or 0)

local clock = redis.call('TIME')
local time = TEST ~= 0 and TEST or clock[1] * 1000 + math.floor(clock[2] / 1000)
-- No clock that was ever ahead counts for more than this: a lease ends within two hours (for a TTL of up to one).
local AHEAD = 7200000 - math.min(TTL, 3600000)
local now = math.min(math.max(time, tonumber(h.last or 0)), time + AHEAD)
-- Not by h.last: a Redis clock that was ahead once must not vouch for a service's for ever after.
local reap_now = math.min(time, HELD)
-- A lease counts from the later clock, and never from a held one: one given by a clock that is behind must not lapse when it is put right.
-- Bounded, so that a clock far ahead cannot lease seats for ever.
local given = math.min(math.max(now, SERVICE), time + AHEAD)
local function lapsed(lease_end) return lease_end <= reap_now end

-- No key of the copy was lost.
local function whole()
  return tonumber(h.seats) == redis.call('ZCARD', Z) and tonumber(h.sessions) == redis.call('ZCARD', N)
    and tonumber(h.held) == redis.call('HLEN', S) and tonumber(h.held) == redis.call('HLEN', M)
end
-- Trusted only where the node that runs now has rebuilt this copy, and for leases no longer than those the records expect of it.
local function warm()
  return h.stamp == rid and h.stale ~= '1' and tonumber(h.lease or 0) >= TTL and whole()
end

local function int(x) return string.format('%.0f', x) end
local function hex(x) return string.format('%x', x) end
local function of(k, session) return k .. '/' .. session end

-- s[k] = holder|state|seq|since|session:attempt,…|label ; state L live, X ending: claimed, Postgres not told yet; since in hexadecimal: with
-- two bytes less a seat fits the allocator's next smaller size where its label is of 17 characters
local function seat(k)
  local v = redis.call('HGET', S, k)
  if not v then return nil end
  local t = {}
  t.holder, t.state, t.seq, t.since, t.sessions, t.label = v:match('^([^|]*)|(%u)|(%d+)|(%x+)|([^|]*)|(.*)$')
  t.since = tonumber(t.since, 16)
  return t
end
local function put(k, t)
  redis.call('HSET', S, k, table.concat({t.holder, t.state, int(t.seq), hex(t.since), t.sessions, t.label}, '|'))
end
local function sessions(t) return t.sessions:gmatch('([^:,]+):([^:,]+)') end
local function has(t, session)
  for id in sessions(t) do if id == session then return true end end
  return false
end
local function drop(t, session)
  local kept = {}
  for id, attempt in sessions(t) do if id ~= session then kept[#kept + 1] = id .. ':' .. attempt end end
  t.sessions = table.concat(kept, ',')
end

-- An entry in n would be a quarter of what a seat costs in memory, and most seats carry one session: that one has the seat's lease. n names
-- every session of a seat that has or had several, and every one that is ending: there is no other way to find a release nobody finished.
local function alone(t) return not t.sessions:find(',', 1, true) end
-- The lease end of a session the seat lists; 0: it is ending.
local function lease_end(k, t, session)
  local its = redis.call('ZSCORE', N, of(k, session)) or (t.state == 'L' and alone(t) and redis.call('ZSCORE', Z, k))
  return tonumber(its or 0)
end
-- A lease is only ever raised; only RELEASE, REAP and REBUILD lower one. `lease`: of so many ms; the client is told as much (trust.lua).
local function raise(k, t, session, lease)
  if alone(t) then redis.call('ZADD', N, 'XX', 'GT', int(given + lease), of(k, session))
  else redis.call('ZADD', N, 'GT', int(given + lease), of(k, session)) end
  redis.call('ZADD', Z, 'GT', int(given + lease), k)
end
local function ticket() seq = seq + 1 ; return seq end
local function save()
  redis.call('HSET', H, 'seq', int(seq), 'last', int(now), 'seats', redis.call('ZCARD', Z), 'held', redis.call('HLEN', S),
    'sessions', redis.call('ZCARD', N))
end
-- A copy nobody holds a seat of goes after a day, all of it, but not before its quarantines are over; strangers' keys cannot fill Redis either
-- way, since only REBUILD makes one.
local function passing()
  for i = 1, 5 do redis.call('PEXPIRE', KEYS[i], int(math.max(86400000, tonumber(h.longest) + AHEAD))) end
end
local function rest()
  if redis.call('EXISTS', S) == 0 then return passing() end
  for i = 1, 5 do redis.call('PERSIST', KEYS[i]) end
end

local function known(key_hmacs)
  for given in key_hmacs:gmatch('%S+') do
    for hmac, valid_until in h.key_hmacs:gmatch('(%S+):(%d+)') do
      if hmac == given and (valid_until == '0' or tonumber(valid_until) > reap_now) then return true end
    end
  end
  return false
end
local function refused()
  if h.status ~= 'active' then return {'REFUSED', h.status, tonumber(h.status_since)} end
  if h.expires ~= '0' and tonumber(h.expires) <= reap_now then return {'REFUSED', 'expired', tonumber(h.expires)} end
  if tonumber(h.not_before) > math.max(now, SERVICE) then return {'REFUSED', 'not_started', tonumber(h.not_before)} end
  return nil
end
-- The lease end of whom a rebuild found to be over already: by any clock, and at no time that anybody should be shown.
local OVER = 1
-- Who has been silent longest: label, since, lease end of up to five.
local function silent(answer)
  for _, k in ipairs(redis.call('ZRANGEBYSCORE', Z, '(' .. OVER, '+inf', 'LIMIT', 0, 5)) do
    local t = seat(k)
    if t then
      for _, v in ipairs({t.label, t.since, tonumber(redis.call('ZSCORE', Z, k))}) do answer[#answer + 1] = v end
    end
  end
  return answer
end
