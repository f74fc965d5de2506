-- VALIDATE: what an acquire would say, taking nothing and writing nothing.
-- ARGV: [5] key hmacs, space-separated  [6] holder by machine or ''  [7] holder by process or ''
-- Answers COLD epoch | BADKEY epoch | REFUSED why since facts
--   | VALID word facts held cap has_seat now (label since lease_end)…   word as decide.lua has it: whether a seat would be given
if not warm() then return {'COLD', epoch} end
if not known(ARGV[5]) then return {'BADKEY', epoch} end
local no = refused()
if no then
  no[4] = h.facts
  return no
end
-- Who does not say who it is, is somebody new. No attempt has an empty name.
local holder = h.holder_by == 'process' and ARGV[7] or ARGV[6]
local word = decide(holder, '')
return silent({'VALID', word, h.facts, redis.call('HLEN', S), tonumber(h.cap), redis.call('HEXISTS', M, holder), now})
