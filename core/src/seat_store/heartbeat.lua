-- HEARTBEAT: extends the lease of a session, also when it is late but nobody has claimed it. Only the script says OK.
-- Keys: 1, after those of the pool.
--   limit_key  the limit of the session
-- Arguments: 4, after those of the prologue.
--   seat_no   the seat
--   session   the session
--   interval  ms after which a session regains a token; 0: no limit
--   burst     how many tokens a session has at most
-- Answers:
--   COLD epoch                   the copy must be rebuilt
--   UNKNOWN epoch [why since]    the session is not counted in; why and since: where the license gives no seat
--   REFUSED why since            the license gives no seat; the lease was not raised
--   RATED wait                   no token is left for so many ms; the lease was not raised
--   OK holder facts lease held_for
--                                the lease was raised; lease and held_for (lease_length.lua): ms
local limit_key = unpack(KEYS, 7, 7)
local seat_no, session, interval, burst = unpack(ARGV, 6, 9)
if not is_warm() then return {'COLD', epoch} end
local seat = read_seat(seat_no)
local is_live = seat and seat.state ~= 'X' and has_session(seat, session)
local lease_end = is_live and session_lease_end(seat_no, seat, session) or 0
local refusal = license_refusal()
if lease_end == 0 then return {'UNKNOWN', epoch, refusal and refusal[2], refusal and refusal[3]} end
if refusal then return refusal end
interval = tonumber(interval)
-- The lease says when the session came last: a session that keeps its pace leaves no key behind, and no limit can cost
-- a lease that was just raised.
local since_last = now - (lease_end - ttl)
if interval > 0 and (since_last < interval or redis.call('EXISTS', limit_key) == 1) then
  local wait = take_token(limit_key, now, interval, tonumber(burst))
  if wait > 0 then return {'RATED', wait} end
end
local lease = lease_length(count_sessions(seat) - 1, lease_end)
raise_lease(seat_no, seat, session, lease)
redis.call('HSET', settings_key, 'last', decimal(now))
return {'OK', seat.holder, copy.facts, lease, held_for(seat)}
