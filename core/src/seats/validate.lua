-- VALIDATE: what an acquire would say, taking nothing and writing nothing.
-- ARGV: [5] key hmacs, space-separated  [6] holder by machine or ''
-- Answers COLD epoch | BADKEY epoch | REFUSED why since facts | VALID facts held cap has_seat now (label since lease_end)…
if not warm() then return {'COLD', epoch} end
if not known(ARGV[5]) then return {'BADKEY', epoch} end
local no = refused()
if no then
  no[4] = h.facts
  return no
end
local mine = ARGV[6] ~= '' and redis.call('HGET', M, ARGV[6]) or false
return silent({'VALID', h.facts, redis.call('HLEN', S), tonumber(h.cap), mine and 1 or 0, now})
