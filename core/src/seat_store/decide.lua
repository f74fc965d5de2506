-- Shared by ACQUIRE and VALIDATE: what a process start of this holder is told now. Writes nothing.
-- Answers RENEWED k seat session (this attempt has a session) | JOINED k seat (one more session of the holder's seat) | TOOMANY nil nil lease_end (the first
--   to end of its processes') | TAKEN k seat-or-nil lease_end (a seat that is free, or whose holder lapsed) | FULL
local function decide(holder, attempt)
  -- The records were restored to an earlier point: who holds a seat by them may have left it to somebody they know nothing of.
  if tonumber(h.opens or 0) > reap_now then return 'FULL' end
  local k = redis.call('HGET', M, holder)
  if k then
    local t, live, soonest = seat(k), 0, nil
    for id, its in sessions(t) do
      local its_end = lease_end(k, t, id)
      if t.state == 'L' and not lapsed(its_end) then
        if its == attempt then return 'RENEWED', k, t, id end
        live, soonest = live + 1, math.min(soonest or its_end, its_end)
      end
    end
    if live >= tonumber(h.processes) then return 'TOOMANY', nil, nil, soonest end
    return 'JOINED', k, t
  end
  local first = redis.call('ZRANGE', Z, 0, 0, 'WITHSCORES')
  -- Counted are those whose lease goes on: in a pool that was shrunk while it was full the dead must not keep the living out.
  local live = redis.call('ZCOUNT', Z, '(' .. int(reap_now), '+inf')
  if not first[1] or not lapsed(tonumber(first[2])) or live >= tonumber(h.cap) then return 'FULL' end
  return 'TAKEN', first[1], seat(first[1]), tonumber(first[2])
end
