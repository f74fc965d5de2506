-- FREE: forgets what PostgreSQL has been told is over. Each entry is taken only if it still is what was claimed.
-- Keys: 0, after those of the pool.
-- Arguments: 2, after those of the prologue, then a list.
--   ticket_epoch  the epoch of the tickets
--   seat_count    how many seats the list has
--   …             seat_no seq retired (0 or 1) for each seat, then seat_no session for each session
-- Answers:
--   COLD epoch    the copy must be rebuilt
--   FREED number  so many seats and sessions were forgotten
local ticket_epoch, seat_count = unpack(ARGV, 6, 7)
if not is_warm() then return {'COLD', epoch} end
begin_minute()
local index, freed = 8, 0
for _ = 1, tonumber(seat_count) do
  local seat_no, claim_seq, retired = unpack(ARGV, index, index + 2)
  index = index + 3
  local seat, lease_end = read_seat(seat_no), redis.call('ZSCORE', lease_key, seat_no)
  local is_claimed = seat and seat.state == 'X' and tonumber(seat.seq) == tonumber(claim_seq)
  local is_served_quarantine = not seat and lease_end and has_lapsed(tonumber(lease_end))
  if epoch == tonumber(ticket_epoch) and (is_claimed or is_served_quarantine) then
    if seat then
      redis.call('HDEL', seat_key, seat_no)
      redis.call('HDEL', holder_key, seat.holder)
      for session in each_session(seat) do redis.call('ZREM', session_key, session_member(seat_no, session)) end
    end
    if retired == '1' then redis.call('ZREM', lease_key, seat_no)
    elseif lease_end then redis.call('ZADD', lease_key, 'XX', 0, seat_no) end
    freed = freed + 1
  end
end
while ARGV[index] do
  local seat_no, session = unpack(ARGV, index, index + 1)
  index = index + 2
  local seat, member = read_seat(seat_no), session_member(seat_no, session)
  if seat and seat.state == 'L' and redis.call('ZSCORE', session_key, member) == '0' then
    redis.call('ZREM', session_key, member)
    remove_session(seat, session)
    write_seat(seat_no, seat)
    freed = freed + 1
  end
end
save_counters()
if redis.call('HLEN', seat_key) == 0 then expire_or_persist_copy() end
return {'FREED', freed}
