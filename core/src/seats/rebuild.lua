-- REBUILD: the one way into Redis. Replaces the copy by what Postgres said under a new epoch; loader.lua says which lease everybody gets.
-- ARGV: [5] nonce  [6] epoch  [7] epoch of the rebuild before  [8] rebuild lease, ms  [9] seats in all
--   [10] entries of n in chunks loaded before, -1: no chunks  [11] number of settings, then name value …
--   ; then seats: k holder since hold_until(-1: none) label sessions …
-- KEYS[7]…[10]: the shadow keys (z s m n) of chunks loaded before; the last is laid there too, and they take the copy's place.
-- Answers LOST (nonce spent or somebody else's turn, or a newer epoch stands; writes nothing) | REBUILT epoch
local r, new = rebuilder(), tonumber(ARGV[6])
if not r or r.nonce ~= ARGV[5] or new <= epoch then return {'LOST'} end
local shadow = {KEYS[7], KEYS[8], KEYS[9], KEYS[10]}
local at = 12 + 2 * tonumber(ARGV[11])
if ARGV[10] ~= '-1' and (redis.call('ZCARD', shadow[1]) + (#ARGV - at + 1) / 6 ~= tonumber(ARGV[9])
    or redis.call('ZCARD', shadow[4]) ~= tonumber(ARGV[10])) then
  return {'LOST'}
end

load_seats(shadow[1], shadow[2], shadow[3], shadow[4], at, tonumber(ARGV[8]), tonumber(ARGV[7]))
-- UNLINK: freeing a hundred thousand seats took half a second. The nonce is spent: what is delivered twice finds none.
redis.call('UNLINK', H, Z, S, M, N, C)
for i, key in ipairs({Z, S, M, N}) do
  if redis.call('EXISTS', shadow[i]) == 1 then
    redis.call('RENAME', shadow[i], key)
    redis.call('PERSIST', key)
  end
end
seq, now = 0, time
for i = 12, at - 1, 2 do redis.call('HSET', H, ARGV[i], ARGV[i + 1]) end
-- Proved old while it was made: still the latest copy, and to be rebuilt at once.
redis.call('HSET', H, 'stamp', rid, 'epoch', int(new), 'stale', new <= r.seen and '1' or '0', 'peak', redis.call('HLEN', S), 'denied', 0)
save()
rest()
return {'REBUILT', new}
