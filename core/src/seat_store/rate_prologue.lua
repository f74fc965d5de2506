-- Prologue of the scripts that keep a limit and belong to no pool. It reads the clock. All times are in ms.
-- Keys: 0.
-- Arguments: 1, the first of every such script.
--   test_clock  the time that takes the place of the clock of Redis in tests; 0: none
local test_clock = unpack(ARGV, 1, 1)
test_clock = tonumber(test_clock)
if test_clock ~= 0 and not TEST_BUILD then return redis.error_reply('TESTCLOCK refused: not a test build') end
local redis_seconds, redis_microseconds = unpack(redis.call('TIME'))
local redis_time = test_clock ~= 0 and test_clock or redis_seconds * 1000 + math.floor(redis_microseconds / 1000)
