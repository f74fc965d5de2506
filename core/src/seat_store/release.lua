-- RELEASE: one session leaves. The seat lives on with its siblings, or is claimed for its end. Never refused.
-- ARGV: [6] seat  [7] session
-- Answers COLD epoch | NOTHELD epoch | LEFT epoch | VACATED epoch seq
if not warm() then return {'COLD', epoch} end
local k, session = ARGV[6], ARGV[7]
local t = seat(k)
if not t or t.state == 'X' or not has(t, session) or lease_end(k, t, session) == 0 then return {'NOTHELD', epoch} end
redis.call('ZADD', N, 0, of(k, session))
if h.sessions == '0' and redis.call('PTTL', H) > 0 then passing() end
local latest = 0
for id in sessions(t) do latest = math.max(latest, lease_end(k, t, id)) end
if not lapsed(latest) then
  redis.call('ZADD', Z, int(latest), k)
  save()
  return {'LEFT', epoch}
end
t.seq, t.state, t.since = ticket(), 'X', time
put(k, t) ; redis.call('ZADD', Z, 0, k) ; save()
return {'VACATED', epoch, seq}
