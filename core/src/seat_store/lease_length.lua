-- Shared by ACQUIRE and HEARTBEAT: how long a lease a session is given. A seat that carries a quarter of the processes
-- it may is crowded. There a new process gets a short lease, and with each heartbeat four times what is left of its
-- lease, until it has a full one. So processes that are started and killed one after the other do not keep those to
-- come out for a whole lease, and no session ends within its lease.
local FIRST_LEASE = math.max(math.floor(ttl / 18), 10000)
-- `siblings`: how many other sessions the seat lists, also those that are ending. `lease_end`: of the lease it has;
-- nil: it is new.
local function lease_length(siblings, lease_end)
  if siblings < math.max(1, math.floor(tonumber(copy.processes) / 4)) then return ttl end
  return math.min(ttl, math.max(FIRST_LEASE, lease_end and 4 * (lease_end - lease_start) or 0))
end
local function count_sessions(seat)
  local _, count = seat.sessions:gsub('[^,]+', '')
  return count
end
-- How many ms the holder has held its seat, by which it earns its grace (decisions/2026-11-28-grace-is-earned.md). The
-- records count by the lease that the copy was made for: an instance that gives shorter leases is told of as much less,
-- and signs no grace before they count it. -1: as many machines as the
-- license allows have grace already, and this holder came later than they.
local function held_for(seat)
  local grace_before = tonumber(copy.grace_before or 0)
  if grace_before > 0 and seat.since > grace_before then return -1 end
  return math.max(0, math.floor((redis_time - seat.since) * (ttl / tonumber(copy.lease))))
end
