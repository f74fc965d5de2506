-- RATE: one more request of somebody. Belongs to no pool, so no prologue stands in front.
-- KEYS[1] the caller's turns  ARGV: [1] ms that one request takes up  [2] how many may come at once  [3] test clock (0: none)
-- Answers TURN left | WAIT ms
local TEST = tonumber(ARGV[3])
if TEST ~= 0 and not TEST_BUILD then return redis.error_reply('TESTCLOCK refused: not a test build') end
local clock = redis.call('TIME')
local wait, left = turn(KEYS[1], TEST ~= 0 and TEST or clock[1] * 1000 + math.floor(clock[2] / 1000), tonumber(ARGV[1]), tonumber(ARGV[2]))
if wait > 0 then return {'WAIT', wait} end
return {'TURN', left}
