-- RIGHT: what somebody tried was no wrong guess after all: its turn is given back, and it is not remembered as tried.
-- KEYS[1] the caller's turns [2] what this caller tried  ARGV: [1] ms that one try takes up  [2] test clock (0: none)
-- Answers RIGHT
local TEST = tonumber(ARGV[2])
if TEST ~= 0 and not TEST_BUILD then return redis.error_reply('TESTCLOCK refused: not a test build') end
local clock = redis.call('TIME')
local at = TEST ~= 0 and TEST or clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('DEL', KEYS[2])
keep(KEYS[1], at, used_up(KEYS[1], at) - ARGV[1])
return {'RIGHT'}
