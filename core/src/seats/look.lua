-- LOOK: how many seats of a pool are held, as a refusal of ACQUIRE would say it, taking nothing and writing nothing. Asked by who manages the
-- license and knows no key of it, whatever its status.
-- Answers COLD epoch | LOOK held
if not warm() then return {'COLD', epoch} end
return {'LOOK', redis.call('HLEN', S)}
