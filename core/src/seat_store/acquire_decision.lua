-- Shared by ACQUIRE and VALIDATE: what a process start of a holder is answered now.

-- Writes nothing. Answers one of:
--   RENEWED seat_no seat session  this attempt has a session already
--   JOINED seat_no seat           the holder has a seat, and this is one more session of it
--   TOOMANY nil nil lease_end     the seat carries as many processes as it may; the first of their leases ends then
--   TAKEN seat_no seat lease_end  a seat that is free (no seat), or whose holder's lease lapsed then
--   FULL                          none of them
local function decide_acquire(holder, attempt)
  -- The records were restored to an earlier point: a holder of a seat by the records may have left it to somebody they
  -- know nothing of.
  if tonumber(copy.opens or 0) > reap_now then return 'FULL' end
  local seat_no = redis.call('HGET', holder_key, holder)
  if seat_no then
    local seat, live, soonest = read_seat(seat_no), 0, nil
    for session, its_attempt in each_session(seat) do
      local lease_end = session_lease_end(seat_no, seat, session)
      if seat.state == 'L' and not has_lapsed(lease_end) then
        if its_attempt == attempt then return 'RENEWED', seat_no, seat, session end
        live, soonest = live + 1, math.min(soonest or lease_end, lease_end)
      end
    end
    if live >= tonumber(copy.processes) then return 'TOOMANY', nil, nil, soonest end
    return 'JOINED', seat_no, seat
  end
  local first_seat_no, first_lease_end = unpack(redis.call('ZRANGE', lease_key, 0, 0, 'WITHSCORES'))
  -- Seats whose lease goes on are counted: in a pool that was shrunk while it was full the dead must not keep the
  -- living out.
  local live = redis.call('ZCOUNT', lease_key, '(' .. decimal(reap_now), '+inf')
  if not first_seat_no or not has_lapsed(tonumber(first_lease_end)) or live >= tonumber(copy.cap) then
    return 'FULL'
  end
  return 'TAKEN', first_seat_no, read_seat(first_seat_no), tonumber(first_lease_end)
end
