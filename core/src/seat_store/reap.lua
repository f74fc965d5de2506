-- REAP: claims what is over, so that no late heartbeat can revive it, and draws a ticket for each claim. Postgres is told next, then FREE.
-- ARGV: [6] the pool's epoch in Postgres  [7] at most so many of each kind  [8] after how many ms an unfinished claim is taken up again
--   [9] who holds its seat since later has no grace, ms; 0: everybody may have some, '': as before
-- Answers COLD epoch | REAPED epoch minute denied peak held seats sessions; minute (Unix) 0: this minute's use was told before;
--   the last two are lists:
--   seats k seq last_lease_end … ; sessions k session seq lease_end …
if not warm() or epoch < tonumber(ARGV[6]) then return {'COLD', epoch} end
local limit, age = tonumber(ARGV[7]), tonumber(ARGV[8])
if ARGV[9] ~= '' and ARGV[9] ~= (h.grace_before or '0') then redis.call('HSET', H, 'grace_before', ARGV[9]) end
local seats, singles, ending = {}, {}, 0
local function add(list, ...) for _, v in ipairs({...}) do list[#list + 1] = v end end
local function claim(k, t, was)
  t.seq, t.state, t.since = ticket(), 'X', time
  put(k, t)
  ending = ending + 1
  add(seats, tonumber(k), seq, was)
end
-- Either way: a claim made by a clock that was ahead must not wait until that time has come.
local function unfinished(t) return t.state == 'X' and math.abs(time - t.since) > age end

tame()
-- Lapsed seats, and quarantines that are served (no holder: nothing to mark, FREE looks at the score again).
local over = redis.call('ZRANGEBYSCORE', Z, '(0', int(reap_now), 'WITHSCORES', 'LIMIT', 0, limit)
for i = 1, #over, 2 do
  local k, t = over[i], seat(over[i])
  if not t then add(seats, tonumber(k), ticket(), 0)
  elseif t.state == 'L' or unfinished(t) then claim(k, t, tonumber(over[i + 1])) end
end
-- Lapsed or ended sessions: of seats that live on, and of releases that nobody finished.
local ends = redis.call('ZRANGEBYSCORE', N, '-inf', int(reap_now), 'WITHSCORES', 'LIMIT', 0, limit)
for i = 1, #ends, 2 do
  local k, session = ends[i]:match('^(%d+)/(.+)$')
  local t = seat(k)
  if t and t.state == 'L' then
    t.seq = ticket()
    put(k, t) ; redis.call('ZADD', N, 0, ends[i])
    add(singles, tonumber(k), session, seq, tonumber(ends[i + 1]))
  elseif t and unfinished(t) then claim(k, t, 0) end
end
save()
local minute, denied, peak = math.floor(time / 60000), 0, 0
if tonumber(h.counted or 0) == minute then
  minute = 0
else
  denied, peak = tonumber(h.denied or 0), tonumber(h.peak or 0)
  redis.call('HSET', H, 'counted', minute, 'denied', 0, 'peak', redis.call('HLEN', S) - ending)
end
-- A copy with a holder stays; the others go a day after their last holder.
if (redis.call('PTTL', H) > 0) == (redis.call('EXISTS', S) == 1) then rest() end
return {'REAPED', epoch, minute, denied, peak, redis.call('HLEN', S) - ending, seats, singles}
