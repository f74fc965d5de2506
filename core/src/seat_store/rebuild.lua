-- REBUILD: the one way into Redis. Replaces the copy by what Postgres said under a new epoch; loader.lua says which lease everybody gets.
-- ARGV: [6] nonce  [7] epoch  [8] epoch of the rebuild before  [9] rebuild lease, ms  [10] seats in all
--   [11] entries of n in chunks loaded before, -1: no chunks  [12] number of settings, then name value …
--   ; then seats: k holder since hold_epoch(-1: no quarantine) label sessions …
-- KEYS[7]…[10]: the shadow keys (z s m n) of chunks loaded before; the last is laid there too, and they take the copy's place.
-- Answers LOST (nonce spent or somebody else's turn, or a newer epoch stands; writes nothing) | REBUILT epoch
local r, new = rebuilder(), tonumber(ARGV[7])
if not r or r.nonce ~= ARGV[6] or new <= epoch then return {'LOST'} end
local shadow = {KEYS[7], KEYS[8], KEYS[9], KEYS[10]}
local at = 13 + 2 * tonumber(ARGV[12])
if ARGV[11] ~= '-1' and (redis.call('ZCARD', shadow[1]) + (#ARGV - at + 1) / 6 ~= tonumber(ARGV[10])
    or redis.call('ZCARD', shadow[4]) ~= tonumber(ARGV[11])) then
  return {'LOST'}
end

local lease, kept = tonumber(ARGV[9]), keeps(tonumber(ARGV[8]))
load_seats(shadow[1], shadow[2], shadow[3], shadow[4], at, lease, kept)
-- UNLINK: freeing a hundred thousand seats took half a second. The nonce is spent: what is delivered twice finds none.
redis.call('UNLINK', H, Z, S, M, N, C)
for i, key in ipairs({Z, S, M, N}) do
  if redis.call('EXISTS', shadow[i]) == 1 then
    redis.call('RENAME', shadow[i], key)
    redis.call('PERSIST', key)
  end
end
seq, now = 0, time
h.longest, h.longer_until = longest(lease, kept)
for i = 13, at - 1, 2 do redis.call('HSET', H, ARGV[i], ARGV[i + 1]) end
-- Proved old while it was made: still the latest copy, and to be rebuilt at once.
redis.call('HSET', H, 'stamp', rid, 'epoch', int(new), 'stale', new <= r.seen and '1' or '0', 'peak', redis.call('HLEN', S), 'denied', 0,
  'longest', int(h.longest), 'longer_until', int(h.longer_until))
save()
rest()
return {'REBUILT', new}
