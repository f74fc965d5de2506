-- REFUND_GUESS_TOKEN: what a caller tried was not wrong. Its token is given back, and the try is not remembered.
-- Keys: 2.
--   limit_key  the limit of the caller
--   tried_key  what this caller tried
-- Arguments: 1, after the one of the prologue.
--   interval  ms after which a token is regained
-- Answers:
--   RIGHT  the token was given back
local limit_key, tried_key = unpack(KEYS, 1, 2)
local interval = unpack(ARGV, 2, 2)
redis.call('DEL', tried_key)
write_arrival_time(limit_key, redis_time, read_arrival_time(limit_key, redis_time) - interval)
return {'RIGHT'}
