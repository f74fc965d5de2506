-- LOAD: lays one chunk of a large rebuild into shadow keys, which expire after a minute unless REBUILD takes them over.
-- Keys: 4, after those of the pool.
--   shadow_lease_key    z of the epoch
--   shadow_seat_key     s of the epoch
--   shadow_holder_key   m of the epoch
--   shadow_session_key  n of the epoch
-- Arguments: 4, after those of the prologue, then a list.
--   nonce           of the rebuild
--   new_epoch       the epoch of the rebuild
--   previous_epoch  the epoch of the rebuild before
--   lease           the lease of a holder of whom nothing better is known, ms
--   …               the seats, as load_seats has them
-- Answers:
--   LOADED  the chunk was laid down
--   LOST    the nonce is spent, another instance has the lock, or a newer epoch stands
local shadow_lease_key, shadow_seat_key, shadow_holder_key, shadow_session_key = unpack(KEYS, 7, 10)
local nonce, new_epoch, previous_epoch, lease = unpack(ARGV, 6, 9)
local lock = read_rebuild_lock()
if not lock or lock.nonce ~= nonce or tonumber(new_epoch) <= epoch then return {'LOST'} end
local shadow_keys = {shadow_lease_key, shadow_seat_key, shadow_holder_key, shadow_session_key}
load_seats(shadow_keys, 10, tonumber(lease), keeps_copy(tonumber(previous_epoch)))
for _, key in ipairs(shadow_keys) do redis.call('PEXPIRE', key, 60000) end
extend_rebuild_lock(lock)
return {'LOADED'}
