-- Shared by NONCE, KEEP, LOAD, REBUILD and INVALIDATE: who rebuilds the pool.
-- c = nonce|replication id|until|seen. One rebuilder and one rebuild under one nonce; it is somebody else's turn after `until` (Redis time, ms)
-- unless the rebuilder says that it goes on; `seen` is the latest epoch that was proved old meanwhile.
local TURN = 2000
-- Nil: nobody does, or somebody on another node did.
local function rebuilder()
  local nonce, its, till, seen = (redis.call('GET', C) or ''):match('^([^|]+)|([^|]+)|(%d+)|(%d+)$')
  if its ~= rid then return nil end
  return {nonce = nonce, till = tonumber(till), seen = tonumber(seen)}
end
local function enter(r)
  redis.call('SET', C, table.concat({r.nonce, rid, int(r.till), int(r.seen)}, '|'), 'PX', 5 * TURN)
end
local function go_on(r)
  r.till = time + TURN
  enter(r)
end
