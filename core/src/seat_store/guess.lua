-- GUESS: one more thing that somebody tries, such as a license key, and that may be wrong: it takes its turn before it is looked at. Trying the
-- same again within a minute tells them nothing new and takes no turn, for ten minutes: then it takes one again, or what is tried without end
-- would be more and more. What was refused a turn is not remembered, so nobody makes this grow faster than the limit lets them try.
-- KEYS[1] the caller's turns [2] what this caller tried: when it took its turn, and until when it is known (ms)
-- ARGV: [1] ms that one try takes up  [2] how many may come at once  [3] ms to remember a try that is not repeated  [4] and one that is
--   [5] test clock (0: none)
-- Answers AGAIN, which took no turn | TURN left | WAIT ms
local TEST = tonumber(ARGV[5])
if TEST ~= 0 and not TEST_BUILD then return redis.error_reply('TESTCLOCK refused: not a test build') end
local clock = redis.call('TIME')
local at = TEST ~= 0 and TEST or clock[1] * 1000 + math.floor(clock[2] / 1000)
local since, known_until = (redis.call('GET', KEYS[2]) or ''):match('^(%d+) (%d+)$')
local known = known_until and tonumber(known_until) > at and at - since < tonumber(ARGV[4])
local wait, left = 0, 0
if not known then wait, left = turn(KEYS[1], at, tonumber(ARGV[1]), tonumber(ARGV[2])) end
if wait > 0 then return {'WAIT', wait} end
redis.call('SET', KEYS[2], string.format('%.0f %.0f', known and since or at, at + ARGV[3]), 'PX', ARGV[3])
if known then return {'AGAIN'} end
return {'TURN', left}
