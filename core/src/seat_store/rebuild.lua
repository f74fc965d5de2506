-- REBUILD: the one way into Redis. Replaces the copy by what PostgreSQL said under a new epoch; rebuilt_leases.lua says
-- which lease each seat gets.
-- Keys: 7, after those of the pool. The last chunk is laid into the shadow keys too, and they take the place of the copy.
--   shadow_lease_key    z of the epoch
--   shadow_seat_key     s of the epoch
--   shadow_holder_key   m of the epoch
--   shadow_session_key  n of the epoch
--   wants_key           y: who wants a seat, as wants.lua has it
--   want_end_key        v: when each want is over
--   change_key          e: what PostgreSQL was not told of wants
-- Arguments: 7, after those of the prologue, then a list.
--   nonce           of the rebuild
--   new_epoch       the epoch of the rebuild
--   previous_epoch  the epoch of the rebuild before
--   lease           the lease of a holder of whom nothing better is known, ms
--   seat_count      how many seats the pool has
--   session_count   how many entries of n the chunks laid down that were loaded before; -1: there were none
--   setting_count   how many settings the list has
--   …               name value for each setting, then the seats, as load_seats has them
-- Answers:
--   REBUILT epoch  the copy was replaced
--   LOST           the nonce is spent, another instance has the lock, a newer epoch stands, or a chunk is missing;
--                  nothing was written
local shadow_lease_key, shadow_seat_key, shadow_holder_key, shadow_session_key, wants_key, want_end_key, change_key =
  unpack(KEYS, 7, 13)
local nonce, new_epoch, previous_epoch, lease, seat_count, session_count, setting_count = unpack(ARGV, 6, 12)
local lock = read_rebuild_lock()
new_epoch, lease = tonumber(new_epoch), tonumber(lease)
if not lock or lock.nonce ~= nonce or new_epoch <= epoch then return {'LOST'} end
local first_setting = 13
local first_seat = first_setting + 2 * tonumber(setting_count)
if session_count ~= '-1' then
  local seats = redis.call('ZCARD', shadow_lease_key) + (#ARGV - first_seat + 1) / 6
  if seats ~= tonumber(seat_count) or redis.call('ZCARD', shadow_session_key) ~= tonumber(session_count) then
    return {'LOST'}
  end
end

local keeps = keeps_copy(tonumber(previous_epoch))
if keeps then begin_minute()
else copy.minute, copy.peak, copy.denied, copy.minute_seen = math.floor(redis_time / 60000), 0, 0, 0 end
-- What this node counted to its end stays true also where its leases cannot be kept.
local is_same_node = copy.stamp == replication_id
local minutes = is_same_node and redis.call('HGET', settings_key, 'minutes') or ''
local refused = keeps and count_of_refused() or 0
-- Wants go on too: they are about no lease. On another node some may be missing.
local wants_since, want_number = unpack(redis.call('HMGET', settings_key, 'wants_since', 'want_number'))
if not is_same_node or not wants_since then
  wants_since, want_number = decimal(redis_time), 0
  redis.call('UNLINK', wants_key, want_end_key, change_key)
end
local shadow_keys = {shadow_lease_key, shadow_seat_key, shadow_holder_key, shadow_session_key}
load_seats(shadow_keys, first_seat, lease, keeps)
-- UNLINK: freeing a hundred thousand seats took half a second. The nonce is spent: what is delivered twice finds none.
redis.call('UNLINK', settings_key, lease_key, seat_key, holder_key, session_key, rebuild_lock_key)
for index, key in ipairs({lease_key, seat_key, holder_key, session_key}) do
  if redis.call('EXISTS', shadow_keys[index]) == 1 then
    redis.call('RENAME', shadow_keys[index], key)
    redis.call('PERSIST', key)
  end
end
seq, now = 0, redis_time
copy.longest, copy.longer_until = longest_lease(lease, keeps)
for index = first_setting, first_seat - 1, 2 do
  local name, value = unpack(ARGV, index, index + 1)
  redis.call('HSET', settings_key, name, value)
end
-- Proved old while it was made: it is the latest copy all the same, and to be rebuilt at once.
redis.call('HSET', settings_key, 'stamp', replication_id, 'epoch', decimal(new_epoch),
  'stale', new_epoch <= lock.seen and '1' or '0', 'minute', copy.minute, 'minutes', minutes,
  'minute_seen', copy.minute_seen, 'denied', copy.denied, 'refused', refused,
  'wants_since', wants_since, 'want_number', want_number or 0,
  'peak', math.max(tonumber(copy.peak), redis.call('HLEN', seat_key)),
  'longest', decimal(copy.longest), 'longer_until', decimal(copy.longer_until))
save_counters()
expire_or_persist_copy()
return {'REBUILT', new_epoch}
