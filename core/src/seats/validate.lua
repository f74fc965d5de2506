-- VALIDATE: what an acquire would say, taking nothing and writing nothing.
-- ARGV: [6] key hmacs, space-separated  [7] holder by machine or ''  [8] holder by process or ''
-- Answers COLD epoch | BADKEY epoch | REFUSED why since facts
--   | VALID word facts held cap has_seat now (label since lease_end)…   word as decide.lua has it: whether a seat would be given
if not warm() then return {'COLD', epoch} end
if not known(ARGV[6]) then return {'BADKEY', epoch} end
local no = refused()
if no then
  no[4] = h.facts
  return no
end
-- Who does not say who it is, is somebody new. No attempt has an empty name.
local holder = h.holder_by == 'process' and ARGV[8] or ARGV[7]
local word = decide(holder, '')
return silent({'VALID', word, h.facts, redis.call('HLEN', S), tonumber(h.cap), redis.call('HEXISTS', M, holder), now})
