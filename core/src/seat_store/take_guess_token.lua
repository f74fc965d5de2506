-- TAKE_GUESS_TOKEN: a caller tries something that may be wrong, such as a license key, and takes a token of its limit
-- before it is looked at. Trying the same again within a minute tells the caller nothing new and takes no token, for
-- ten minutes: then it takes one again, or what is tried without end would become more and more. A try that found no
-- token left is not remembered, so nobody makes this grow faster than the limit lets them try.
-- Keys: 2.
--   limit_key  the limit of the caller
--   tried_key  what this caller tried: when it took its token, and until when it is remembered
-- Arguments: 4, after the one of the prologue.
--   interval     ms after which a token is regained
--   burst        how many tokens there are at most
--   remembered   for how many ms a try is remembered that is not repeated
--   repeatable   for how many ms a try may be repeated before it takes a token again
-- Answers:
--   AGAIN       it was tried before, and no token was taken
--   TAKEN left  a token was taken, and so many are left
--   WAIT ms     no token is left, and the next one comes in so many ms
local limit_key, tried_key = unpack(KEYS, 1, 2)
local interval, burst, remembered, repeatable = unpack(ARGV, 2, 5)
local since, known_until = (redis.call('GET', tried_key) or ''):match('^(%d+) (%d+)$')
local is_known = known_until and tonumber(known_until) > redis_time and redis_time - since < tonumber(repeatable)
local wait, left = 0, 0
if not is_known then wait, left = take_token(limit_key, redis_time, tonumber(interval), tonumber(burst)) end
if wait > 0 then return {'WAIT', wait} end
local times = string.format('%.0f %.0f', is_known and since or redis_time, redis_time + remembered)
redis.call('SET', tried_key, times, 'PX', remembered)
if is_known then return {'AGAIN'} end
return {'TAKEN', left}
