-- HEARTBEAT: extends a session's lease, also when it is late but nobody has claimed it. Only the script says OK.
-- ARGV: [6] seat  [7] session  [8] ms that one heartbeat takes up (0: no limit)  [9] how many may come at once
-- KEYS[7] turns of the session
-- Answers COLD epoch | UNKNOWN epoch (why since, where the license gives no seat) | REFUSED why since, RATED ms to wait (lease not raised)
--   | OK holder facts lease (ms) held_for (ms; trust.lua)
if not warm() then return {'COLD', epoch} end
local k, session = ARGV[6], ARGV[7]
local t = seat(k)
local its = t and t.state ~= 'X' and has(t, session) and lease_end(k, t, session) or 0
local no = refused()
if its == 0 then return {'UNKNOWN', epoch, no and no[2], no and no[3]} end
if no then return no end
local every = tonumber(ARGV[8])
-- Its lease says when it came last: who keeps a pace leaves no key behind, and no limit can cost a lease that was just raised.
local apart = now - (its - TTL)
if every > 0 and (apart < every or redis.call('EXISTS', KEYS[7]) == 1) then
  local wait = turn(KEYS[7], now, every, tonumber(ARGV[9]))
  if wait > 0 then return {'RATED', wait} end
end
local lease = trusted(listed(t) - 1, its)
raise(k, t, session, lease)
redis.call('HSET', H, 'last', int(now))
return {'OK', t.holder, h.facts, lease, held_for(t)}
