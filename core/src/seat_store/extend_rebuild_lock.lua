-- EXTEND_REBUILD_LOCK: the rebuilder goes on, however long it takes. Makes no nonce.
-- Keys: 0, after those of the pool.
-- Arguments: 1, after those of the prologue.
--   nonce  of the rebuild
-- Answers:
--   KEPT  the lock lasts for another 2 s
--   LOST  the nonce is spent, or another instance has the lock
local nonce = unpack(ARGV, 6, 6)
local lock = read_rebuild_lock()
if not lock or lock.nonce ~= nonce then return {'LOST'} end
extend_rebuild_lock(lock)
return {'KEPT'}
