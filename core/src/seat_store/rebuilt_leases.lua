-- Shared by LOAD and REBUILD: writes the seats that PostgreSQL said into shadow keys, and decides which lease each of
-- them gets from what the copy of this node knows.

-- Whether the rebuild keeps what the copy knows. `previous_epoch` is the epoch of the latest rebuild that anybody began
-- before this one. Where the copy is of that epoch, of this node, and complete, every answer since it was made came
-- from it: its lease ends are those that clients were told, and a session that lapsed in it is over. Otherwise another
-- node may have answered too, and everybody gets a full lease.
local function keeps_copy(previous_epoch)
  return copy.stamp == replication_id and epoch == previous_epoch and is_complete()
end

-- The longest lease that may be out, and until when it is longer than what is given now (0: it never was). The records
-- know by their clock alone when a longer one is over; here two clocks must agree.
local function longest_lease(lease, keeps)
  if not keeps then return lease, 0 end
  local longest, longer_until = tonumber(copy.longest), tonumber(copy.longer_until or 0)
  if ttl < tonumber(copy.lease) then
    longer_until = math.min(math.max(redis_time, service_clock), redis_time + AHEAD) + longest
  end
  return longer_until > reap_now and math.max(lease, longest) or lease, longer_until
end

-- Reads seats from the argument of number `first` on, six for each: seat_no, holder ('': none), since (ms), hold_epoch
-- (the epoch of its quarantine; -1: it has none), label, sessions (session:attempt,…). No lease is longer than the full
-- one: a clock that was years ahead must not lease seats through rebuilds too. A seat held without a session is
-- nobody's: no process can believe in it. A kicked one stays free until its quarantine is over.
local function load_seats(shadow_keys, first, lease, keeps)
  local shadow_lease_key, shadow_seat_key, shadow_holder_key, shadow_session_key = unpack(shadow_keys)
  local full = math.min(math.max(redis_time, service_clock), redis_time + AHEAD) + longest_lease(lease, keeps)
  -- While the copy was frozen nobody could renew. A request waits 5 s for a rebuild: a client that asked in a shorter
  -- one is answered by it, and gives the dead nothing.
  local frozen_for = redis_time - tonumber(copy.frozen_at or redis_time)
  if frozen_for < 5000 then frozen_for = 0 end

  -- The lease end of a session that PostgreSQL knows as open on a seat; `known` is the seat in the copy.
  local function rebuilt_lease_end(seat_no, known, holder, session)
    if not known then return full end
    -- Claimed for its end, or taken over by somebody after it lapsed: PostgreSQL was not told yet.
    if known.state == 'X' or known.holder ~= holder then return OVER end
    if not has_session(known, session) then return full end
    local lease_end = session_lease_end(seat_no, known, session)
    return math.min(lease_end > tonumber(copy.frozen_over or 0) and lease_end + frozen_for or lease_end, full)
  end

  for index = first, #ARGV, 6 do
    local seat_no, holder, since, hold_epoch, label, sessions = unpack(ARGV, index, index + 5)
    hold_epoch = tonumber(hold_epoch)
    local known = keeps and read_seat(seat_no) or nil
    local seat_lease_end = 0
    if holder ~= '' then
      seat_lease_end = OVER
      local is_shared = sessions:find(',', 1, true)
      for session in sessions:gmatch('([^:,]+):') do
        local lease_end = rebuilt_lease_end(seat_no, known, holder, session)
        seat_lease_end = math.max(seat_lease_end, lease_end)
        if is_shared then
          redis.call('ZADD', shadow_session_key, decimal(lease_end), session_member(seat_no, session))
        end
      end
      local fields = {holder, 'L', '0', hexadecimal(since), sessions, label}
      redis.call('HSET', shadow_seat_key, seat_no, table.concat(fields, '|'))
      redis.call('HSET', shadow_holder_key, holder, seat_no)
    elseif hold_epoch >= 0 then
      local quarantine = keeps and tonumber(redis.call('ZSCORE', lease_key, seat_no) or 0) or 0
      -- Somebody is on it, and the records do not know. If this copy was made with the quarantine, they took the seat
      -- when that was over, and nobody can believe in it. If the kick came later, it may be the kicked one.
      if known then quarantine = hold_epoch <= epoch and OVER or 0 end
      seat_lease_end = quarantine > 0 and math.min(quarantine, full) or full
    end
    redis.call('ZADD', shadow_lease_key, decimal(seat_lease_end), seat_no)
  end
end
