-- Shared by NONCE, EXTEND_REBUILD_LOCK, LOAD, REBUILD and INVALIDATE: which instance rebuilds the pool. The value of
-- rebuild_lock_key is nonce|replication id|until|seen. There is one rebuilder, and one rebuild under one nonce. Another
-- instance takes over after `until` (Redis time, ms) unless the rebuilder extends its lock; `seen` is the latest epoch
-- proved old meanwhile.
local LOCK_TIME = 2000
-- Nil: nobody has the lock, or a rebuilder has it on another node.
local function read_rebuild_lock()
  local nonce, locked_on, lock_until, seen =
    (redis.call('GET', rebuild_lock_key) or ''):match('^([^|]+)|([^|]+)|(%d+)|(%d+)$')
  if locked_on ~= replication_id then return nil end
  return {nonce = nonce, lock_until = tonumber(lock_until), seen = tonumber(seen)}
end
local function write_rebuild_lock(lock)
  local value = table.concat({lock.nonce, replication_id, decimal(lock.lock_until), decimal(lock.seen)}, '|')
  redis.call('SET', rebuild_lock_key, value, 'PX', 5 * LOCK_TIME)
end
local function extend_rebuild_lock(lock)
  lock.lock_until = redis_time + LOCK_TIME
  write_rebuild_lock(lock)
end
