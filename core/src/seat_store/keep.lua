-- KEEP: the rebuilder goes on, however long it takes. Makes no nonce.
-- ARGV: [6] nonce
-- Answers KEPT | LOST: it is spent, or somebody else's turn
local r = rebuilder()
if not r or r.nonce ~= ARGV[6] then return {'LOST'} end
go_on(r)
return {'KEPT'}
