-- LOOK_UP_POOL: how a pool is used now. Takes nothing and writes nothing.
-- Keys: 0, after those of the pool.
-- Arguments: 1, after those of the prologue.
--   most  so many seats whose time is over are looked at, and no more are counted as silent
-- Answers:
--   COLD epoch  the copy must be rebuilt
--   USED epoch held silent waiting next_free_at
--               held: seats that have a holder; silent of them: whose lease is over; waiting and next_free_at as
--               explain_full_pool has them, 0 also where a seat is free now
local most = unpack(ARGV, 6, 6)
if not is_warm() then return {'COLD', epoch} end
-- Of no holder in particular.
local _, next_free_at, waiting = explain_full_pool('')
return {'USED', epoch, redis.call('HLEN', seat_key), count_silent(most), waiting, next_free_at}
