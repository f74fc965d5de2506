-- NONCE: before a rebuild reads Postgres. Proves later that it was read after this incarnation of the copy asked.
-- ARGV: [6] a fresh random text
-- Answers WARM (somebody else was faster) | WAIT (somebody else is at it) | NONCE nonce frozen
--   frozen: the epoch of this node's copy, which says nothing to anybody from here on; 0: there is none
if warm() then return {'WARM'} end
local frozen = h.stamp == rid and epoch or 0
local r = rebuilder()
-- The same question again, its answer was lost.
if r and r.nonce:sub(1, #ARGV[6] + 1) == ARGV[6] .. '.' then return {'NONCE', r.nonce, frozen} end
-- Further ahead than a turn: the clock was put back.
if r and r.till > time and r.till <= time + TURN then return {'WAIT'} end
-- With the time of this very call: the same bytes, delivered late and again, give another nonce.
local nonce = ARGV[6] .. '.' .. clock[1] .. '.' .. clock[2]
go_on({nonce = nonce, seen = 0})
-- What the rebuild keeps of the copy must not change while chunks are loaded, and it may have been warm for who gives shorter leases.
-- From here on nobody's lease is raised: a rebuild that takes long gives that time back (loader.lua), to whose lease still went on.
if h.epoch then
  redis.call('HSET', H, 'stale', '1')
  if not h.frozen_at then redis.call('HSET', H, 'frozen_at', int(time), 'frozen_over', int(reap_now)) end
end
return {'NONCE', nonce, frozen}
