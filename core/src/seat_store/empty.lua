-- EMPTY: forgets everything: every copy of a pool and every limit. For a database that was restored.
-- Keys: 0.
-- Arguments: 0, after the one of the prologue.
-- Answers:
--   EMPTY  nothing is there any more
redis.call('FLUSHALL', 'ASYNC')
return {'EMPTY'}
