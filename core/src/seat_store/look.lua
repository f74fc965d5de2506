-- LOOK: what a copy knows of sessions. Takes nothing and writes nothing.
-- ARGV: [6]… pairs of seat and session
-- Answers COLD epoch | SEEN now held cap, then for each pair: word lease_end free_at
--   word LIVE | SILENT: its lease is over and nobody has taken the seat yet | ENDING: claimed for its end, or not counted in any more
--   lease_end of the session, ms; 0 where it is ending, or was over before anybody knew when
--   free_at of the seat, ms: from when it can be granted, 0 for now, -1 where somebody holds it or there is none of this number
if not warm() then return {'COLD', epoch} end
local answer = {'SEEN', now, redis.call('HLEN', S), tonumber(h.cap)}
for at = 6, #ARGV, 2 do
  local k, session = ARGV[at], ARGV[at + 1]
  local t, its, free = seat(k), 0, -1
  if t and t.state == 'L' and has(t, session) then its = lease_end(k, t, session) end
  if not t then free = tonumber(redis.call('ZSCORE', Z, k) or -1) end
  for _, v in ipairs({its == 0 and 'ENDING' or lapsed(its) and 'SILENT' or 'LIVE', its > OVER and its or 0, free}) do answer[#answer + 1] = v end
end
return answer
