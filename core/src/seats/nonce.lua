-- NONCE: before a rebuild reads Postgres. Proves later that it was read after this incarnation of the copy asked.
-- ARGV: [5] a fresh random text, used if one must be drawn
-- Answers WARM (somebody else was faster) | WAIT (somebody else is at it) | NONCE nonce
-- c = nonce|replication id|issued|handed out|epoch of the last rebuild under it, gone after 10 s
if warm() then return {'WARM'} end
local c = redis.call('GET', C)
if c then
  local nonce, its, issued, handed, done = c:match('^([^|]+)|([^|]+)|(%d+)|(%d+)|(%d+)$')
  if its == rid and now - issued < 10000 then
    if now - handed < 2000 then return {'WAIT'} end
    redis.call('SET', C, table.concat({nonce, rid, issued, int(now), done}, '|'), 'KEEPTTL')
    return {'NONCE', nonce}
  end
end
redis.call('SET', C, table.concat({ARGV[5], rid, int(now), int(now), '0'}, '|'), 'PX', 10000)
return {'NONCE', ARGV[5]}
