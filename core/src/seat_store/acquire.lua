-- ACQUIRE: takes a seat for a holder, joins its seat, or repeats an answer. Decides; PostgreSQL fences. It is not
-- allowed when Redis is out of memory: nobody new gets a seat then.
-- Keys: 6, after those of the pool.
--   machine_limit_key  the limit of the holder by machine
--   process_limit_key  the limit of the holder by process
--   pool_limit_key     the limit of all new sessions of the pool
--   wants_key          y: who wants a seat, as wants.lua has it
--   want_end_key       v: when each want is over
--   change_key         e: what PostgreSQL was not told of wants
-- Arguments: 13, after those of the prologue.
--   key_hmacs         HMACs of the license key, separated by spaces
--   by_machine        the holder where the license counts machines
--   by_process        the holder where the license counts processes; '': the client did not say
--   attempt           the process start
--   new_session       the id that a new session gets
--   label             what people are shown of the holder
--   machine           the public hash of its machine
--   person            the address that the client says its user has; '': it does not say
--   product           the product that the client names; '': it names none
--   holder_interval   ms after which a holder regains a token; 0: no limit
--   holder_burst      how many tokens a holder has at most
--   session_interval  ms after which each seat of the pool regains a token for a new session; 0: no limit
--   session_burst     how many such tokens each seat has at most
-- Answers:
--   COLD epoch                             the copy must be rebuilt
--   BADKEY epoch                           none of the HMACs is valid in this copy
--   REFUSED why since                      the license gives no seat
--   PRODUCT product                        the license is for this product, not for the one that the client names
--   NEEDS instance_id                      the license counts processes, and the client did not say which it is
--   RATED by wait per_minute burst         no token is left; by: holder or license; wait: ms
--   TOOMANY processes by_process wait      the seat carries so many processes; by_process: 0 or 1; wait: ms until the
--                                          first of them is over unless it sends a heartbeat
--   FULL held cap waiting why next_lease_end wait now facts [label since lease_end]…
--                                          no seat is free; waiting, why and next_lease_end as explain_full_pool has
--                                          them; wait: ms until then
--   GRANTED seat_no session epoch seq tenant pool holder facts held displaced_lease_end lease held_for live_session…
--                                          a new session; lease and held_for: ms
--   RENEWED                                the same for an attempt that has its session already
local machine_limit_key, process_limit_key, pool_limit_key, wants_key, want_end_key, change_key = unpack(KEYS, 7, 12)
local key_hmacs, by_machine, by_process, attempt, new_session, label, machine, person, product, holder_interval,
  holder_burst, session_interval, session_burst = unpack(ARGV, 6, 18)
local want_keys = {wants_key, want_end_key, change_key}
if not is_warm() then return {'COLD', epoch} end
if not is_valid_key(key_hmacs) then return {'BADKEY', epoch} end
local counts_processes = copy.holder_by == 'process'
local holder = counts_processes and by_process or by_machine
-- The limit as it is for this license. As many requests as it allows processes may come at once: where that is more
-- than the burst of the limit, its pace rises by as much.
local function scale_limit(interval, burst)
  local most = math.max(burst, tonumber(copy.processes))
  return math.max(1, math.floor(interval * burst / most)), most
end
local function rate_refusal(by, wait, interval, burst)
  if wait > 0 then return {'RATED', by, math.ceil(wait), math.floor(60000 / interval), burst} end
end
-- Takes a token of this holder; answers the refusal where none is left. A retry and FULL take none: waiting is no
-- fault.
local function take_holder_token()
  local interval, burst = tonumber(holder_interval), tonumber(holder_burst)
  if interval == 0 then return nil end
  interval, burst = scale_limit(interval, burst)
  local limit_key = counts_processes and process_limit_key or machine_limit_key
  return rate_refusal('holder', take_token(limit_key, now, interval, burst), interval, burst)
end
-- Looks at the limit of new sessions of the whole pool; answers the refusal, or nil and a function that counts one
-- session. There are as many tokens as the holders of all its seats may take if each keeps to a limit like the one
-- above. So the limit stops a client that takes seat after seat under ever new names, and never a crowd that fits on
-- the seats. `joins`: a holder that has its seat is not refused here; its sessions count, down to one burst below
-- nothing, and a client that takes a seat waits until that is regained.
local function check_pool_limit(joins)
  local interval, burst = tonumber(session_interval), tonumber(session_burst)
  if interval == 0 then return nil end
  interval, burst = scale_limit(interval, burst)
  local seats = math.max(1, tonumber(copy.cap))
  interval, burst = math.max(0.001, interval / seats), burst * seats
  local arrival_time = read_arrival_time(pool_limit_key, now)
  local wait = arrival_time - now - interval * (burst - 1)
  local refusal = not joins and rate_refusal('license', wait, interval, burst)
  if refusal then return refusal end
  return nil, function()
    write_arrival_time(pool_limit_key, now, math.min(arrival_time + interval, now + 2 * interval * burst))
  end
end
local refusal = license_refusal()
if not refusal and product ~= '' and product ~= copy.product then refusal = {'PRODUCT', copy.product} end
if refusal then return take_holder_token() or refusal end
if holder == '' then return {'NEEDS', 'instance_id'} end

local function granted(word, seat_no, session, seat, displaced_lease_end, lease)
  end_want(want_keys, holder, now)
  local held = redis.call('HLEN', seat_key)
  if held > tonumber(copy.peak or 0) then redis.call('HSET', settings_key, 'peak', held) end
  local answer = {
    word, tonumber(seat_no), session, epoch, seq, copy.tenant, copy.pool, holder, copy.facts, held, displaced_lease_end,
    lease, held_for(seat),
  }
  for other in each_session(seat) do
    if session_lease_end(seat_no, seat, other) ~= 0 then answer[#answer + 1] = other end
  end
  return answer
end

-- The last one is a session or a lease end, as acquire_decision.lua has it.
local word, seat_no, seat, session_or_lease_end = decide_acquire(holder, attempt)
begin_minute()
if word == 'RENEWED' then -- A retry draws a fresh ticket, so that an older copy of it cannot overtake it.
  local session = session_or_lease_end
  seat.seq = draw_ticket()
  local lease = lease_length(count_sessions(seat) - 1)
  write_seat(seat_no, seat)
  raise_lease(seat_no, seat, session, lease)
  save_counters()
  return granted('RENEWED', seat_no, session, seat, 0, lease)
end
if word == 'FULL' then
  cut_overlong_leases()
  redis.call('HINCRBY', settings_key, 'denied', 1)
  count_refusal(want_keys, holder, machine, person, label)
  local why, next_lease_end, waiting = explain_full_pool(holder)
  local held, wait = redis.call('HLEN', seat_key), wait_until(next_lease_end)
  return append_silent_holders({'FULL', held, tonumber(copy.cap), waiting, why, next_lease_end, wait, now, copy.facts})
end
local rated, count_session
if word ~= 'TOOMANY' then rated, count_session = check_pool_limit(word == 'JOINED') end
rated = rated or take_holder_token()
if rated then return rated end
if count_session then count_session() end
if word == 'TOOMANY' then
  return {'TOOMANY', tonumber(copy.processes), counts_processes and 1 or 0, wait_until(session_or_lease_end)}
end

if word == 'JOINED' then
  for session in each_session(seat) do -- Each has its own lease from now on.
    local lease_end = session_lease_end(seat_no, seat, session)
    -- grant_seat will end those that lapsed: a late heartbeat must not revive them. Claimed ones are over by any clock.
    if seat.state == 'X' or has_lapsed(lease_end) then lease_end = 0 end
    redis.call('ZADD', session_key, decimal(lease_end), session_member(seat_no, session))
  end
  if seat.state == 'X' then seat.since = redis_time end
  seat.state, seat.seq, seat.label = 'L', draw_ticket(), label
  local lease = lease_length(count_sessions(seat))
  seat.sessions = (seat.sessions == '' and '' or seat.sessions .. ',') .. new_session .. ':' .. attempt
  write_seat(seat_no, seat)
  raise_lease(seat_no, seat, new_session, lease)
  save_counters()
  if copy.sessions == '0' and redis.call('PTTL', settings_key) > 0 then expire_copy() end
  return granted('GRANTED', seat_no, new_session, seat, 0, lease)
end

if seat then -- The processes of the holder whose lease lapsed leave with it.
  redis.call('HDEL', holder_key, seat.holder)
  for session in each_session(seat) do redis.call('ZREM', session_key, session_member(seat_no, session)) end
end
local new_seat = {
  holder = holder, state = 'L', seq = draw_ticket(), since = redis_time,
  sessions = new_session .. ':' .. attempt, label = label,
}
write_seat(seat_no, new_seat)
redis.call('HSET', holder_key, holder, seat_no)
raise_lease(seat_no, new_seat, new_session, ttl)
save_counters()
-- Until a sweep finds that the grant was written down (reap.lua): a reservation that died must not keep for ever what
-- no sweep looks at.
if copy.held == '0' then expire_copy() end
return granted('GRANTED', seat_no, new_session, new_seat, seat and session_or_lease_end or 0, ttl)
