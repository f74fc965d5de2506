-- INVALIDATE: marks a copy stale whose epoch the caller has proved old. The next caller rebuilds it.
-- ARGV: [5] the epoch proved stale
-- Answers STALE | NEWER
if redis.call('EXISTS', H) == 1 and epoch <= tonumber(ARGV[5]) then
  redis.call('HSET', H, 'stale', '1')
  return {'STALE'}
end
return {'NEWER'}
