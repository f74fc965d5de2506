-- Shared by ACQUIRE, FREE, REAP and REBUILD: the use of the pool, minute by minute of the clock of Redis. Of the minute
-- that is counted now the settings have `minute`, `peak`, `denied`, `refused` and `minute_seen` (0: the copy was not
-- there from its beginning on). `minutes` are those that are over and that PostgreSQL was not told of yet, oldest first,
-- separated by spaces: minute:count:held:peak:cap:denied:refused:seen. One entry stands for `count` minutes in which nothing changed.
local MOST_ENTRIES = 240
-- An entry for a time in which no script counted is no longer than a week.
local MOST_QUIET_MINUTES = 10080
-- Where a lease has been over for so long, ms, no sweep has looked: when its holder left is not known to the minute.
local UNWATCHED = 120000
-- So much may a clock be ahead and be waited for: it counts on in the minute that it was in. What was counted further
-- ahead belongs to no time and is forgotten.
local MINUTES_AHEAD = 5

-- How many wants began in the minute that is counted. Asked for here, so that no other script reads it for nothing.
local function count_of_refused() return redis.call('HGET', settings_key, 'refused') or 0 end

-- Begins the present minute if another one is counted, to be called before the number of held seats or of refusals
-- changes. No script has changed them in the minutes between: they were used as the one before them ended. They are
-- not seen if somebody's lease ended in them and nobody swept.
local function begin_minute()
  local this_minute, minute = math.floor(redis_time / 60000), tonumber(copy.minute or 0)
  if this_minute == minute or (this_minute < minute and minute - this_minute <= MINUTES_AHEAD) then return end
  local held, seen = redis.call('HLEN', seat_key), 0
  if minute ~= 0 and minute < this_minute then
    local entries = {}
    local function close(first, count, peak, denied, refused, was_seen)
      entries[#entries + 1] =
        table.concat({decimal(first), decimal(count), held, peak, copy.cap, denied, refused, was_seen}, ':')
    end
    for entry in (redis.call('HGET', settings_key, 'minutes') or ''):gmatch('%S+') do
      entries[#entries + 1] = entry
    end
    close(minute, 1, copy.peak, copy.denied, count_of_refused(), copy.minute_seen)
    local quiet = math.min(this_minute - minute - 1, MOST_QUIET_MINUTES)
    local is_watched = redis.call('ZCOUNT', lease_key, '(0', decimal(reap_now - UNWATCHED)) == 0
    if quiet > 0 then close(this_minute - quiet, quiet, held, 0, 0, is_watched and 1 or 0) end
    redis.call('HSET', settings_key, 'minutes',
      table.concat(entries, ' ', math.max(1, #entries - MOST_ENTRIES + 1)))
    seen = 1
  end
  copy.minute, copy.peak, copy.denied, copy.minute_seen = this_minute, held, 0, seen
  redis.call('HSET', settings_key, 'minute', this_minute, 'peak', held, 'denied', 0, 'refused', 0,
    'minute_seen', seen)
end
