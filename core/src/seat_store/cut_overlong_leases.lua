-- Shared by ACQUIRE and REAP: a lease that ends later than any clock nearly right gave was given while the clock of
-- Redis was far ahead. Its client was told one lease like everybody, so it ends as after a rebuild that knows nothing.
local function cut_overlong_leases()
  local present, longest = math.max(redis_time, service_clock), tonumber(copy.longest)
  local latest = '(' .. decimal(present + AHEAD + longest)
  for _, key in ipairs({lease_key, session_key}) do
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, latest, '+inf', 'LIMIT', 0, 1000)) do
      redis.call('ZADD', key, 'XX', decimal(present + longest), member)
    end
  end
end
