-- VALIDATE: what an acquire would say. Takes nothing and writes nothing.
-- Keys: 0, after those of the pool.
-- Arguments: 3, after those of the prologue.
--   key_hmacs   HMACs of the license key, separated by spaces
--   by_machine  the holder where the license counts machines; '': the client did not say
--   by_process  the holder where the license counts processes; '': the client did not say
-- Answers:
--   COLD epoch               the copy must be rebuilt
--   BADKEY epoch             none of the HMACs is valid in this copy
--   REFUSED why since facts  the license gives no seat
--   VALID word facts held cap has_seat wait now [label since lease_end]…
--                            word: whether a seat would be given, as decide_acquire has it; has_seat: 0 or 1; wait: ms
--                            until one is given if nobody sends a heartbeat before, 0: at once, or nothing is known
local key_hmacs, by_machine, by_process = unpack(ARGV, 6, 8)
if not is_warm() then return {'COLD', epoch} end
if not is_valid_key(key_hmacs) then return {'BADKEY', epoch} end
local refusal = license_refusal()
if refusal then
  refusal[4] = copy.facts
  return refusal
end
-- A client that does not say who it is counts as a new holder. No attempt has an empty name.
local holder = copy.holder_by == 'process' and by_process or by_machine
local word, _, _, first_lease_end = decide_acquire(holder, '')
local free_at = 0
if word == 'FULL' then _, free_at = explain_full_pool(holder)
elseif word == 'TOOMANY' then free_at = first_lease_end end
local held, has_seat = redis.call('HLEN', seat_key), redis.call('HEXISTS', holder_key, holder)
return append_silent_holders({'VALID', word, copy.facts, held, tonumber(copy.cap), has_seat, wait_until(free_at), now})
