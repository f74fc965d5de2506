-- Shared by LOAD and REBUILD: writes seats from ARGV[at] on into z, s, m, n, and keeps what this node's copy knows.

-- `previous` is the epoch of the latest rebuild that anybody began before this one. Where the copy is of that epoch, of this node, and whole,
-- every answer since it was made came from it: its lease ends are those that clients were told, and who lapsed in it is over. Otherwise
-- another node may have answered too, and everybody gets a full lease.
local function keeps(previous) return h.stamp == rid and epoch == previous and whole() end

-- The longest lease that may be out, and until when it is longer than what is given now (0: it never was). The records know by their clock
-- alone when a longer one is over; here two clocks must agree.
local function longest(lease, kept)
  if not kept then return lease, 0 end
  local before, till = tonumber(h.longest), tonumber(h.longer_until or 0)
  if TTL < tonumber(h.lease) then till = math.min(math.max(time, SERVICE), time + AHEAD) + before end
  return till > reap_now and math.max(lease, before) or lease, till
end

-- Never more than the full lease: a clock that was years ahead must not lease seats through rebuilds too.
-- A seat held without a session is nobody's: no process can believe in it. A kicked one stays free until its quarantine is over.
local function load_seats(z, s, m, n, at, lease, kept)
  local full = math.min(math.max(time, SERVICE), time + AHEAD) + longest(lease, kept)
  -- While the copy was frozen nobody could renew. A request waits 5 s for a rebuild: who asked in a shorter one is answered by it, and
  -- gives the dead nothing.
  local frozen_for = time - tonumber(h.frozen_at or time)
  if frozen_for < 5000 then frozen_for = 0 end

  -- The lease end of a session that Postgres knows as open on a seat.
  local function goes_on(k, old, holder, id)
    if not old then return full end
    -- Claimed for its end, or taken over by somebody after it lapsed: Postgres was not told yet.
    if old.state == 'X' or old.holder ~= holder then return OVER end
    if not has(old, id) then return full end
    local its = lease_end(k, old, id)
    return math.min(its > tonumber(h.frozen_over or 0) and its + frozen_for or its, full)
  end

  for i = at, #ARGV, 6 do
    local k, holder, since, hold, label, list = ARGV[i], ARGV[i + 1], hex(ARGV[i + 2]), tonumber(ARGV[i + 3]), ARGV[i + 4], ARGV[i + 5]
    local old = kept and seat(k) or nil
    local score = 0
    if holder ~= '' then
      score = OVER
      for id in list:gmatch('([^:,]+):') do
        local its = goes_on(k, old, holder, id)
        score = math.max(score, its)
        if list:find(',', 1, true) then redis.call('ZADD', n, int(its), of(k, id)) end
      end
      redis.call('HSET', s, k, table.concat({holder, 'L', '0', since, list, label}, '|'))
      redis.call('HSET', m, holder, k)
    elseif hold >= 0 then
      local quarantine = kept and tonumber(redis.call('ZSCORE', Z, k) or 0) or 0
      -- Somebody is on it, and the records do not know. If this copy was made with the quarantine, they took the seat when that was over, and
      -- nobody can believe in it. If the kick came later, it may be the kicked one.
      if old then quarantine = hold <= epoch and OVER or 0 end
      score = quarantine > 0 and math.min(quarantine, full) or full
    end
    redis.call('ZADD', z, int(score), k)
  end
end
