-- REBUILD: the one way into Redis. Replaces the copy by what Postgres said under a new epoch; every holder gets a full lease and a drain margin.
-- ARGV: [5] nonce  [6] epoch  [7] rebuild lease, ms  [8] seats in all  [9] entries of n in chunks loaded before, -1: no chunks
--   [10] number of settings, then name value … ; then seats: k holder since hold_until(-1: none) label sessions …
-- Chunks loaded before lie under the shadow keys [7]…[10] (z s m n); they take the copy's place.
-- Answers LOST (nonce gone, or a newer epoch stands; writes nothing) | REBUILT epoch
local c = redis.call('GET', C)
local nonce, its, issued, done = (c or ''):match('^([^|]+)|([^|]+)|(%d+)|%d+|(%d+)$')
local new = tonumber(ARGV[6])
-- Each epoch once: where h was lost since, this may be the same rebuild delivered again, and grants were made in between.
if nonce ~= ARGV[5] or its ~= rid or now - issued >= 10000 or new <= math.max(epoch, tonumber(done)) then return {'LOST'} end
local shadow = ARGV[9] ~= '-1'
local settings = tonumber(ARGV[10])
local at = 11 + 2 * settings
local inline_seats = (#ARGV - at + 1) / 6
if shadow and (redis.call('ZCARD', KEYS[7]) + inline_seats ~= tonumber(ARGV[8]) or redis.call('ZCARD', KEYS[10]) ~= tonumber(ARGV[9])) then
  return {'LOST'}
end

redis.call('DEL', H, Z, S, M, N)
if shadow then
  for i, key in ipairs({Z, S, M, N}) do
    if redis.call('EXISTS', KEYS[6 + i]) == 1 then
      redis.call('RENAME', KEYS[6 + i], key)
      redis.call('PERSIST', key)
    end
  end
end
seq = 0
load_seats(Z, S, M, N, at, given + tonumber(ARGV[7]))
for i = 11, at - 1, 2 do redis.call('HSET', H, ARGV[i], ARGV[i + 1]) end
redis.call('HSET', H, 'stamp', rid, 'epoch', int(new), 'stale', '0', 'peak', redis.call('HLEN', S), 'denied', 0)
save()
rest()
-- The nonce lives on: a higher epoch under it replaces this copy. Nobody is at it any more, so nobody need wait for it.
redis.call('SET', C, table.concat({nonce, rid, issued, '0', int(new)}, '|'), 'KEEPTTL')
return {'REBUILT', new}
