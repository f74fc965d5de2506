-- COUNT_SILENT: how many holders of a pool are silent. Takes nothing and writes nothing.
-- Keys: 0, after those of the pool.
-- Arguments: 1, after those of the prologue.
--   most  so many seats whose time is over are looked at, and no more are counted
-- Answers:
--   COLD epoch     the copy must be rebuilt
--   SILENT silent  holders whose lease is over and whose seat was not taken yet
local most = unpack(ARGV, 6, 6)
if not is_warm() then return {'COLD', epoch} end
return {'SILENT', count_silent(most)}
