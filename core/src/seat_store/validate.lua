-- VALIDATE: what an acquire would say, taking nothing and writing nothing.
-- ARGV: [6] key hmacs, space-separated  [7] holder by machine or ''  [8] holder by process or ''
-- Answers COLD epoch | BADKEY epoch | REFUSED why since facts
--   | VALID word facts held cap has_seat ms now (label since lease_end)…   word as decide.lua has it: whether a seat would be given
--     ms: until one is if nobody gives a sign of life before; 0 where nothing is known, or now
if not warm() then return {'COLD', epoch} end
if not known(ARGV[6]) then return {'BADKEY', epoch} end
local no = refused()
if no then
  no[4] = h.facts
  return no
end
-- Who does not say who it is, is somebody new. No attempt has an empty name.
local holder = h.holder_by == 'process' and ARGV[8] or ARGV[7]
local word, _, _, more = decide(holder, '')
local at = 0
if word == 'FULL' then _, at = room(holder) elseif word == 'TOOMANY' then at = more end
return silent({'VALID', word, h.facts, redis.call('HLEN', S), tonumber(h.cap), redis.call('HEXISTS', M, holder), wait_for(at), now})
