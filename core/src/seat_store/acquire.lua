-- ACQUIRE: takes a seat for a holder, joins its seat, or repeats an answer. Decides; Postgres fences.
-- ARGV: [6] key hmacs, space-separated  [7] holder by machine  [8] holder by process or ''  [9] attempt  [10] new session  [11] label  [12] product the client names, or ''
--   [13] ms that one acquire of a holder takes up (0: no limit)  [14] how many may come at once
--   [15] [16] the same of one new session for each of the pool's seats
-- KEYS[7] turns of the holder by machine  [8] by process  [9] of all new sessions of the pool
-- Answers COLD epoch | BADKEY epoch | RATED holder/license, ms to wait, how many a minute, how many at once | REFUSED why since | PRODUCT the license's
--   | NEEDS instance_id | TOOMANY processes by_process(0/1) ms until the first of them is over unless it gives a sign of life
--   | FULL held cap waiting why next_lease_end ms_until_then now facts (label since lease_end)…   why: as room.lua has it
--   | GRANTED/RENEWED k session epoch seq tenant pool holder facts held displaced_lease_end lease held_for live_session…   lease, held_for: ms
-- Not allowed when Redis is out of memory: nobody new gets in then.
if not warm() then return {'COLD', epoch} end
if not known(ARGV[6]) then return {'BADKEY', epoch} end
local by_process = h.holder_by == 'process'
local holder = by_process and ARGV[8] or ARGV[7]
-- One more of this holder's acquires, unless there were too many. A retry and FULL take no turn: waiting is no fault.
-- As many as the license allows may come at once: where that is more than the limit's number, its pace rises by as much.
local function allowed(every, burst)
  local most = math.max(burst, tonumber(h.processes))
  return math.max(1, math.floor(every * burst / most)), most
end
local function too_many(by, wait, every, burst)
  if wait > 0 then return {'RATED', by, math.ceil(wait), math.floor(60000 / every), burst} end
end
local function rated()
  local every, burst = tonumber(ARGV[13]), tonumber(ARGV[14])
  if every == 0 then return nil end
  every, burst = allowed(every, burst)
  return too_many('holder', turn(by_process and KEYS[8] or KEYS[7], now, every, burst), every, burst)
end
-- New sessions of the whole pool: as many as the holders of all its seats may begin if each keeps to a limit like the one above. So it stops
-- who takes seat after seat under ever new names, and never a crowd that fits on the seats. `joins`: a holder that has its seat is not refused
-- here; what it begins counts, down to as much below nothing as may come at once, and who takes a seat waits until that is made good.
local function begins(joins)
  local every, burst = tonumber(ARGV[15]), tonumber(ARGV[16])
  if every == 0 then return nil end
  every, burst = allowed(every, burst)
  local seats = math.max(1, tonumber(h.cap))
  every, burst = math.max(0.001, every / seats), burst * seats
  local used = used_up(KEYS[9], now)
  local no = not joins and too_many('license', used - now - every * (burst - 1), every, burst)
  if no then return no end
  return nil, function() keep(KEYS[9], now, math.min(used + every, now + 2 * every * burst)) end
end
local no = refused()
if not no and ARGV[12] ~= '' and ARGV[12] ~= h.product then no = {'PRODUCT', h.product} end
if no then return rated() or no end
if holder == '' then return {'NEEDS', 'instance_id'} end
local attempt, session, label = ARGV[9], ARGV[10], ARGV[11]

local function answer(word, k, id, t, displaced, lease)
  local held = redis.call('HLEN', S)
  if held > tonumber(h.peak or 0) then redis.call('HSET', H, 'peak', held) end
  local out = {word, tonumber(k), id, epoch, seq, h.tenant, h.pool, holder, h.facts, held, displaced, lease, held_for(t)}
  for other in sessions(t) do if lease_end(k, t, other) ~= 0 then out[#out + 1] = other end end
  return out
end

local word, k, t, more = decide(holder, attempt)
if word == 'RENEWED' then -- a retry: it draws a fresh ticket, so that an older copy of it cannot overtake
  t.seq = ticket()
  local lease = trusted(listed(t) - 1)
  put(k, t) ; raise(k, t, more, lease) ; save()
  return answer('RENEWED', k, more, t, 0, lease)
end
if word == 'FULL' then
  tame()
  redis.call('HINCRBY', H, 'denied', 1)
  local why, next_end, waiting = room(holder)
  return silent({'FULL', redis.call('HLEN', S), tonumber(h.cap), waiting, why, next_end, wait_for(next_end), now, h.facts})
end
local stop, counted
if word ~= 'TOOMANY' then stop, counted = begins(word == 'JOINED') end
stop = stop or rated()
if stop then return stop end
if counted then counted() end
if word == 'TOOMANY' then return {'TOOMANY', tonumber(h.processes), by_process and 1 or 0, wait_for(more)} end

if word == 'JOINED' then
  for id in sessions(t) do -- each has its own lease from now on
    local its = lease_end(k, t, id)
    -- grant_seat will end those that lapsed: a late heartbeat must not revive them. Claimed ones are over by any clock.
    if t.state == 'X' or lapsed(its) then its = 0 end
    redis.call('ZADD', N, int(its), of(k, id))
  end
  if t.state == 'X' then t.since = time end
  t.state, t.seq, t.label = 'L', ticket(), label
  local lease = trusted(listed(t))
  t.sessions = (t.sessions == '' and '' or t.sessions .. ',') .. session .. ':' .. attempt
  put(k, t) ; raise(k, t, session, lease) ; save()
  if h.sessions == '0' and redis.call('PTTL', H) > 0 then passing() end
  return answer('GRANTED', k, session, t, 0, lease)
end

if t then -- the lapsed holder's processes leave with it
  redis.call('HDEL', M, t.holder)
  for id in sessions(t) do redis.call('ZREM', N, of(k, id)) end
end
local mine = {holder = holder, state = 'L', seq = ticket(), since = time, sessions = session .. ':' .. attempt, label = label}
put(k, mine) ; redis.call('HSET', M, holder, k) ; raise(k, mine, session, TTL) ; save()
-- Until a sweep finds that the grant was written down (reap.lua): a reservation that died must not keep for ever what no sweep looks at.
if h.held == '0' then passing() end
return answer('GRANTED', k, session, mine, t and more or 0, TTL)
