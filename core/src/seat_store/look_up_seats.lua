-- LOOK_UP_SEATS: what a copy knows of numbered seats. Takes nothing and writes nothing.
-- Keys: 0, after those of the pool.
-- Arguments: 0, after those of the prologue, then a list.
--   …  seat_no for each seat that is asked about
-- Answers:
--   COLD epoch  the copy must be rebuilt
--   SEATS epoch [word lease_end free_at]…
--               for each seat that was asked about; word: LIVE, SILENT (the lease of its holder is over and nobody has
--               taken the seat yet), ENDING (claimed for its end), WAITING (nobody holds it, and nobody is given it
--               yet) or FREE; lease_end of its holder, ms, 0: it has none, or it was over before anybody knew when;
--               free_at, ms: from when it can be granted if its holder is not heard from, 0: now, or that is not known
if not is_warm() then return {'COLD', epoch} end
local opens, answer = tonumber(copy.opens or 0), {'SEATS', epoch}
for index = 6, #ARGV do
  local seat_no = ARGV[index]
  -- A seat that was retired meanwhile has no entry: nobody holds it.
  local seat, score = read_seat(seat_no), tonumber(redis.call('ZSCORE', lease_key, seat_no) or 0)
  local free_at, lease_end = math.max(score, opens), 0
  local word = has_lapsed(free_at) and 'FREE' or 'WAITING'
  if seat and seat.state == 'X' then
    word, free_at = 'ENDING', 0
  elseif seat then
    word, lease_end = has_lapsed(score) and 'SILENT' or 'LIVE', score
  end
  if has_lapsed(free_at) then free_at = 0 end
  for _, value in ipairs({word, lease_end > OVER and lease_end or 0, free_at}) do answer[#answer + 1] = value end
end
return answer
