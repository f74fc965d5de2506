-- TAKE_TOKEN: one more request of a caller takes a token of its limit.
-- Keys: 1.
--   limit_key  the limit of the caller
-- Arguments: 2, after the one of the prologue.
--   interval  ms after which a token is regained
--   burst     how many tokens there are at most
-- Answers:
--   TAKEN left  a token was taken, and so many are left
--   WAIT ms     no token is left, and the next one comes in so many ms
local limit_key = unpack(KEYS, 1, 1)
local interval, burst = unpack(ARGV, 2, 3)
local wait, left = take_token(limit_key, redis_time, tonumber(interval), tonumber(burst))
if wait > 0 then return {'WAIT', wait} end
return {'TAKEN', left}
