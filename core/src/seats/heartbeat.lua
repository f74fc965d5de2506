-- HEARTBEAT: extends a session's lease, also when it is late but nobody has claimed it. Only the script says OK.
-- ARGV: [5] seat  [6] session
-- Answers COLD epoch | UNKNOWN epoch | REFUSED why since (lease not raised) | OK holder facts
if not warm() then return {'COLD', epoch} end
local k, session = ARGV[5], ARGV[6]
local t = seat(k)
if not t or t.state == 'X' or not has(t, session) or lease_end(k, t, session) == 0 then return {'UNKNOWN', epoch} end
local no = refused()
if no then return no end
raise(k, t, session)
redis.call('HSET', H, 'last', int(now))
return {'OK', t.holder, h.facts}
