-- INVALIDATE: marks a copy stale whose epoch the caller has proved old. The next caller rebuilds it.
-- Keys: 0, after those of the pool.
-- Arguments: 1, after those of the prologue.
--   seen  the epoch that was proved old
-- Answers:
--   STALE  the copy is marked
--   NEWER  the copy is of a later epoch, or there is none
local seen = unpack(ARGV, 6, 6)
seen = tonumber(seen)
-- Also the copy that is being made of what was read before.
local lock = read_rebuild_lock()
if lock and lock.seen < seen then
  lock.seen = seen
  write_rebuild_lock(lock)
end
if redis.call('EXISTS', settings_key) == 1 and epoch <= seen then
  redis.call('HSET', settings_key, 'stale', '1')
  return {'STALE'}
end
return {'NEWER'}
