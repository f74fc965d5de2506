-- NONCE: asked before a rebuild reads PostgreSQL. It proves later that PostgreSQL was read after this incarnation of
-- the copy was asked.
-- Keys: 0, after those of the pool.
-- Arguments: 1, after those of the prologue.
--   random  a fresh random text
-- Answers:
--   WARM                the copy is warm: another instance was faster
--   WAIT                another instance rebuilds it
--   NONCE nonce frozen  leave to rebuild; frozen: the epoch of the copy of this node, which is answered from no longer,
--                       0: there is none
local random = unpack(ARGV, 6, 6)
if is_warm() then return {'WARM'} end
local frozen = copy.stamp == replication_id and epoch or 0
local lock = read_rebuild_lock()
-- The same question again, because its answer was lost.
if lock and lock.nonce:sub(1, #random + 1) == random .. '.' then return {'NONCE', lock.nonce, frozen} end
-- A lock that ends later than one lock time from now was taken before the clock was put back.
if lock and lock.lock_until > redis_time and lock.lock_until <= redis_time + LOCK_TIME then return {'WAIT'} end
-- The nonce carries the time of this very call: the same bytes, delivered late and again, give another nonce.
local nonce = random .. '.' .. redis_seconds .. '.' .. redis_microseconds
extend_rebuild_lock({nonce = nonce, seen = 0})
-- What the rebuild keeps of the copy must not change while chunks are loaded, and the copy may have been warm for
-- instances that give shorter leases. From here on no lease is raised: a rebuild that takes long gives that time back
-- to the leases that still went on (rebuilt_leases.lua).
if copy.epoch then
  redis.call('HSET', settings_key, 'stale', '1')
  if not copy.frozen_at then
    redis.call('HSET', settings_key, 'frozen_at', decimal(redis_time), 'frozen_over', decimal(reap_now))
  end
end
return {'NONCE', nonce, frozen}
