-- Shared by ACQUIRE and REAP: a lease that ends later than any clock nearly right gave was given while Redis's was far ahead. Who has it was
-- told one lease like everybody, so it ends as after a rebuild that knows nothing.
local function tame()
  local present, longest = math.max(time, SERVICE), tonumber(h.longest)
  for _, key in ipairs({Z, N}) do
    for _, of_whom in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. int(present + AHEAD + longest), '+inf', 'LIMIT', 0, 1000)) do
      redis.call('ZADD', key, 'XX', int(present + longest), of_whom)
    end
  end
end
