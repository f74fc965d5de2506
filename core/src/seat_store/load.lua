-- LOAD: one chunk of a large rebuild into shadow keys, gone after a minute unless REBUILD takes them over.
-- KEYS[7]…[10] the shadow keys  ARGV: [6] nonce  [7] epoch  [8] epoch of the rebuild before  [9] rebuild lease, ms ; then seats as for REBUILD
-- Answers LOST | LOADED
local r = rebuilder()
if not r or r.nonce ~= ARGV[6] or tonumber(ARGV[7]) <= epoch then return {'LOST'} end
load_seats(KEYS[7], KEYS[8], KEYS[9], KEYS[10], 10, tonumber(ARGV[9]), keeps(tonumber(ARGV[8])))
for i = 7, 10 do redis.call('PEXPIRE', KEYS[i], 60000) end
go_on(r)
return {'LOADED'}
