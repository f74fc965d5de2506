-- FREE: forgets what Postgres has been told is over. Each entry is taken only if it still is what was claimed.
-- ARGV: [6] epoch of the tickets  [7] number of seats, then for each: k seq retired(0/1) ; then for each ended session: k session
-- Answers COLD epoch | FREED number
if not warm() then return {'COLD', epoch} end
local count, at, freed = tonumber(ARGV[7]), 8, 0
for _ = 1, count do
  local k, its, retired = ARGV[at], tonumber(ARGV[at + 1]), ARGV[at + 2] == '1'
  at = at + 3
  local t, score = seat(k), redis.call('ZSCORE', Z, k)
  local mine = epoch == tonumber(ARGV[6]) and ((t and t.state == 'X' and tonumber(t.seq) == its) or (not t and score and lapsed(tonumber(score))))
  if mine then
    if t then
      redis.call('HDEL', S, k) ; redis.call('HDEL', M, t.holder)
      for id in sessions(t) do redis.call('ZREM', N, of(k, id)) end
    end
    if retired then redis.call('ZREM', Z, k) elseif score then redis.call('ZADD', Z, 'XX', 0, k) end
    freed = freed + 1
  end
end
while ARGV[at] do
  local k, session = ARGV[at], ARGV[at + 1]
  at = at + 2
  local t = seat(k)
  if t and t.state == 'L' and redis.call('ZSCORE', N, of(k, session)) == '0' then
    redis.call('ZREM', N, of(k, session))
    drop(t, session) ; put(k, t)
    freed = freed + 1
  end
end
save()
if redis.call('HLEN', S) == 0 then rest() end
return {'FREED', freed}
