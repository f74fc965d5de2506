-- INVALIDATE: marks a copy stale whose epoch the caller has proved old. The next caller rebuilds it.
-- ARGV: [6] the epoch proved stale
-- Answers STALE | NEWER
local seen, r = tonumber(ARGV[6]), rebuilder()
-- Also the copy that is being made of what was read before.
if r and r.seen < seen then
  r.seen = seen
  enter(r)
end
if redis.call('EXISTS', H) == 1 and epoch <= seen then
  redis.call('HSET', H, 'stale', '1')
  return {'STALE'}
end
return {'NEWER'}
