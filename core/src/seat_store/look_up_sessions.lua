-- LOOK_UP_SESSIONS: what a copy knows of sessions. Takes nothing and writes nothing.
-- Keys: 0, after those of the pool.
-- Arguments: 0, after those of the prologue, then a list.
--   …  seat_no session for each session that is asked about
-- Answers:
--   COLD epoch  the copy must be rebuilt
--   SEEN now held cap [word lease_end free_at]…
--               for each pair that was asked; word: LIVE, SILENT (its lease is over and nobody has taken the seat yet)
--               or ENDING (claimed for its end, or not counted in); lease_end of the session, ms, 0: it is ending, or
--               was over before anybody knew when; free_at of the seat, ms: from when it can be granted, 0: now, -1:
--               somebody holds it, or there is no seat of this number
if not is_warm() then return {'COLD', epoch} end
local answer = {'SEEN', now, redis.call('HLEN', seat_key), tonumber(copy.cap)}
for index = 6, #ARGV, 2 do
  local seat_no, session = unpack(ARGV, index, index + 1)
  local seat, lease_end, free_at = read_seat(seat_no), 0, -1
  if seat and seat.state == 'L' and has_session(seat, session) then
    lease_end = session_lease_end(seat_no, seat, session)
  end
  if not seat then free_at = tonumber(redis.call('ZSCORE', lease_key, seat_no) or -1) end
  local word = lease_end == 0 and 'ENDING' or has_lapsed(lease_end) and 'SILENT' or 'LIVE'
  for _, value in ipairs({word, lease_end > OVER and lease_end or 0, free_at}) do answer[#answer + 1] = value end
end
return answer
