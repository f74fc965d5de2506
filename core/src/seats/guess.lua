-- GUESS: one more thing that somebody tries, such as a license key, and that was wrong. Trying the same again tells them nothing new and takes
-- no turn. What was refused a turn is not remembered, so nobody makes this grow faster than the limit lets them try.
-- KEYS[1] the caller's turns [2] until when (ms) this try of this caller is remembered
-- ARGV: [1] ms that one try takes up  [2] how many may come at once  [3] ms to remember  [4] test clock (0: none)
-- Answers AGAIN, which took no turn | TURN left | WAIT ms
local TEST = tonumber(ARGV[4])
if TEST ~= 0 and not TEST_BUILD then return redis.error_reply('TESTCLOCK refused: not a test build') end
local clock = redis.call('TIME')
local at = TEST ~= 0 and TEST or clock[1] * 1000 + math.floor(clock[2] / 1000)
local known = tonumber(redis.call('GET', KEYS[2]) or 0) > at
local wait, left = 0, 0
if not known then wait, left = turn(KEYS[1], at, tonumber(ARGV[1]), tonumber(ARGV[2])) end
if wait > 0 then return {'WAIT', wait} end
redis.call('SET', KEYS[2], string.format('%.0f', at + ARGV[3]), 'PX', ARGV[3])
if known then return {'AGAIN'} end
return {'TURN', left}
