-- RELEASE: one session leaves. The seat lives on with its other sessions, or is claimed for its end. Never refused.
-- Keys: 0, after those of the pool.
-- Arguments: 2, after those of the prologue.
--   seat_no  the seat
--   session  the session
-- Answers:
--   COLD epoch         the copy must be rebuilt
--   NOTHELD epoch      the session is not counted in
--   LEFT epoch         other sessions stay on the seat
--   VACATED epoch seq  it was the last session, and the seat is claimed for its end under this ticket
local seat_no, session = unpack(ARGV, 6, 7)
if not is_warm() then return {'COLD', epoch} end
local seat = read_seat(seat_no)
if not seat or seat.state == 'X' or not has_session(seat, session)
  or session_lease_end(seat_no, seat, session) == 0 then
  return {'NOTHELD', epoch}
end
redis.call('ZADD', session_key, 0, session_member(seat_no, session))
if copy.sessions == '0' and redis.call('PTTL', settings_key) > 0 then expire_copy() end
local latest = 0
for other in each_session(seat) do latest = math.max(latest, session_lease_end(seat_no, seat, other)) end
if not has_lapsed(latest) then
  redis.call('ZADD', lease_key, decimal(latest), seat_no)
  save_counters()
  return {'LEFT', epoch}
end
seat.seq, seat.state, seat.since = draw_ticket(), 'X', redis_time
write_seat(seat_no, seat)
redis.call('ZADD', lease_key, 0, seat_no)
save_counters()
return {'VACATED', epoch, seq}
