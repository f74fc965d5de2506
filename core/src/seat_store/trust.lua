-- Shared by ACQUIRE and HEARTBEAT: how long a lease a session is given. A seat that carries a quarter of the processes it may is crowded.
-- There a new process gets a short lease, and with each sign of life four times what is left of its lease, until it has a full one: so
-- processes that are started and killed one after the other do not keep those to come out for a lease, and nobody is ended within a lease.
local FIRST = math.max(math.floor(TTL / 18), 10000)
-- `its`: the end of the lease it has; nil: it is new. Counted are all that are listed, also those that are ending.
local function trusted(others, its)
  if others < math.max(1, math.floor(tonumber(h.processes) / 4)) then return TTL end
  return math.min(TTL, math.max(FIRST, its and 4 * (its - given) or 0))
end
local function listed(t)
  local _, count = t.sessions:gsub('[^,]+', '')
  return count
end
-- How long the holder has held its seat, ms: what it has earned its grace by (decisions/2026-11-28-grace-is-earned.md). The records count by
-- the lease that the copy was made for: an instance that gives shorter ones is told of as much less, and signs no grace before they count it.
-- -1: as many machines as the license allows have grace already, and this holder came later than they.
local function held_for(t)
  local before = tonumber(h.grace_before or 0)
  return before > 0 and t.since > before and -1 or math.max(0, math.floor((time - t.since) * (TTL / tonumber(h.lease))))
end
