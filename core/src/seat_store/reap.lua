-- REAP: claims what is over, so that no late heartbeat can revive it, and draws a ticket for each claim. PostgreSQL is
-- told next, then FREE.
-- Keys: 3, after those of the pool.
--   wants_key     y: who wants a seat, as wants.lua has it
--   want_end_key  v: when each want is over
--   change_key    e: what PostgreSQL was not told of wants
-- Arguments: 7, after those of the prologue.
--   records_epoch  the epoch of the pool in PostgreSQL
--   limit          at most so many seats, and so many sessions
--   claim_age      after how many ms an unfinished claim is taken up again
--   told_minute    the last minute (Unix) that PostgreSQL was told of: those up to it are forgotten
--   grace_before   a holder that has held its seat since later has no grace, ms; 0: every holder may have some; '': as
--                  before
--   told_since     since when wants were counted without a gap, as it was answered with …
--   told_change    … the last change of a want that PostgreSQL was told of: it and those before it are forgotten; 0:
--                  none
-- Answers:
--   COLD epoch  the copy must be rebuilt
--   REAPED epoch minutes seats sessions wants_since changes
--               minutes is a list of minute (Unix) count held peak cap denied refused seen (0 or 1) for those that are
--               over and that PostgreSQL was not told of, seats one of seat_no seq lease_end, sessions one of seat_no
--               session seq lease_end; wants_since: since when wants have been counted without a gap, ms; changes is a
--               list of change (as wants.lua has it) number, at most `limit`
local wants_key, want_end_key, change_key = unpack(KEYS, 7, 9)
local records_epoch, limit, claim_age, told_minute, grace_before, told_since, told_change = unpack(ARGV, 6, 12)
if not is_warm() or epoch < tonumber(records_epoch) then return {'COLD', epoch} end
claim_age, told_minute = tonumber(claim_age), tonumber(told_minute)
begin_minute()
if grace_before ~= '' and grace_before ~= (copy.grace_before or '0') then
  redis.call('HSET', settings_key, 'grace_before', grace_before)
end
local seat_claims, session_claims = {}, {}
local function append(list, ...) for _, value in ipairs({...}) do list[#list + 1] = value end end
local function claim_seat(seat_no, seat, lease_end)
  seat.seq, seat.state, seat.since = draw_ticket(), 'X', redis_time
  write_seat(seat_no, seat)
  append(seat_claims, tonumber(seat_no), seq, lease_end)
end
-- Either way: a claim made by a clock that was ahead must not wait until that time has come.
local function is_unfinished(seat) return seat.state == 'X' and math.abs(redis_time - seat.since) > claim_age end

cut_overlong_leases()
-- Lapsed seats, and quarantines that are served (no holder: nothing to mark, FREE looks at the lease end again).
local over = redis.call('ZRANGEBYSCORE', lease_key, '(0', decimal(reap_now), 'WITHSCORES', 'LIMIT', 0, limit)
for index = 1, #over, 2 do
  local seat_no, lease_end = over[index], tonumber(over[index + 1])
  local seat = read_seat(seat_no)
  if not seat then append(seat_claims, tonumber(seat_no), draw_ticket(), 0)
  elseif seat.state == 'L' or is_unfinished(seat) then claim_seat(seat_no, seat, lease_end) end
end
-- Lapsed or ended sessions: of seats that live on, and of releases that nobody finished.
local ended = redis.call('ZRANGEBYSCORE', session_key, '-inf', decimal(reap_now), 'WITHSCORES', 'LIMIT', 0, limit)
for index = 1, #ended, 2 do
  local member, lease_end = ended[index], tonumber(ended[index + 1])
  local seat_no, session = member:match('^(%d+)/(.+)$')
  local seat = read_seat(seat_no)
  if seat and seat.state == 'L' then
    seat.seq = draw_ticket()
    write_seat(seat_no, seat)
    redis.call('ZADD', session_key, 0, member)
    append(session_claims, tonumber(seat_no), session, seq, lease_end)
  elseif seat and is_unfinished(seat) then claim_seat(seat_no, seat, 0) end
end
save_counters()
-- Wants that are over, and what PostgreSQL is to be told of them.
local want_keys = {wants_key, want_end_key, change_key}
local wants_since = redis.call('HGET', settings_key, 'wants_since') or '0'
for _, holder in ipairs(redis.call('ZRANGEBYSCORE', want_end_key, '-inf', decimal(reap_now), 'LIMIT', 0, limit)) do
  end_want(want_keys, holder, 0)
end
if told_since == wants_since then
  for _, change in ipairs(redis.call('ZRANGEBYSCORE', change_key, '-inf', told_change)) do
    redis.call('ZREM', change_key, change)
  end
end
local changes = redis.call('ZRANGE', change_key, 0, limit - 1, 'WITHSCORES')
keep_wants(want_keys)

-- Told when both clocks say that they are over, and again until PostgreSQL has written them down: a sweep may die before
-- it does. A last minute that has not come was told by a clock that was ahead, and forgets none.
local untold, minutes, this_minute = {}, {}, math.floor(redis_time / 60000)
if told_minute - this_minute > MINUTES_AHEAD then told_minute = 0 end
local recorded = redis.call('HGET', settings_key, 'minutes') or ''
for entry in recorded:gmatch('%S+') do
  -- One that another build wrote in another form is forgotten: it would be read as something else.
  local first, count, counts = entry:match('^(%d+):(%d+)(:%d+:%d+:%d+:%d+:%d+:)%d$')
  local last = first and tonumber(first) + tonumber(count) - 1 or told_minute
  if last - this_minute > MINUTES_AHEAD then
    -- Of a quiet time that a clock made longer, what is over stays. It is not seen, since some of it may have been counted
    -- as a later time.
    last = this_minute - 2
    entry = table.concat({first, ':', decimal(last - tonumber(first) + 1), counts, '0'})
  end
  if last > told_minute and last >= tonumber(first) then
    untold[#untold + 1] = entry
    if (last + 1) * 60000 <= reap_now then
      for number in entry:gmatch('%d+') do append(minutes, tonumber(number)) end
    end
  end
end
untold = table.concat(untold, ' ')
if untold ~= recorded then redis.call('HSET', settings_key, 'minutes', untold) end
-- A copy with a holder stays; the others go a day after their last holder.
local expires, has_holder = redis.call('PTTL', settings_key) > 0, redis.call('EXISTS', seat_key) == 1
if expires == has_holder then expire_or_persist_copy() end
return {'REAPED', epoch, minutes, seat_claims, session_claims, tonumber(wants_since), changes}
