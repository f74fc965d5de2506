-- Shared by LOAD and REBUILD: writes seats from ARGV[at] on. A held seat is live with the full lease, also when it has no session;
-- a kicked one stays free until the lease would be over; others are free.
local function load_seats(z, s, m, n, at, lease)
  for i = at, #ARGV, 6 do
    local k, holder, since, hold, label, list = ARGV[i], ARGV[i + 1], hex(ARGV[i + 2]), tonumber(ARGV[i + 3]), ARGV[i + 4], ARGV[i + 5]
    if holder ~= '' then
      redis.call('ZADD', z, int(lease), k)
      redis.call('HSET', s, k, table.concat({holder, 'L', '0', since, list, label}, '|'))
      redis.call('HSET', m, holder, k)
      if list:find(',', 1, true) then
        for id in list:gmatch('([^:,]+):') do redis.call('ZADD', n, int(lease), of(k, id)) end
      end
    else
      redis.call('ZADD', z, hold >= 0 and int(math.max(hold, lease)) or 0, k)
    end
  end
end
