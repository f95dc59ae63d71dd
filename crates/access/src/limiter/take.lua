-- Takes all charges or none. Whole numbers only; see limiter.rs.
--
-- KEYS  one per charge, all with the tenant's hash tag
-- ARGV  now in microseconds ('' for Redis's own clock), then three per charge:
--       'bucket', rate a second, cost   or   'log', most in the window, cost
-- Reply {index of the charge that takes longest, microseconds to wait} when one does not pass, else {0, then two per charge}:
--       what is left, and in how many microseconds a bucket is full again, or the oldest in the window leaves it

local SECOND = 1000000
local BURST = 2 * SECOND
local WINDOW = 3600 * SECOND

local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * SECOND + tonumber(time[2])
end

local function whole(number)
  return string.format('%.0f', number)
end

local function bucket_level(key, rate)
  local held = redis.call('HMGET', key, 'level', 'at')
  local full = rate * BURST
  if not held[1] then return full end
  local elapsed = now - tonumber(held[2])
  -- A clock that went back refills nothing, and time counts again from there.
  if elapsed < 0 then redis.call('HSET', key, 'at', whole(now)) end
  return math.min(tonumber(held[1]) + math.min(math.max(elapsed, 0), BURST) * rate, full)
end

local function divided_up(number, by)
  local rest = math.fmod(number, by)
  return (number - rest) / by + (rest > 0 and 1 or 0)
end

local function log_wait(key, most, cost)
  while true do
    local oldest = redis.call('LINDEX', key, 0)
    if not oldest or tonumber(oldest) + WINDOW > now then break end
    redis.call('LPOP', key)
  end
  local too_many = redis.call('LLEN', key) + cost - most
  if too_many <= 0 then return 0 end
  return tonumber(redis.call('LINDEX', key, too_many - 1)) + WINDOW - now
end

local levels = {}
local longest, longest_at = 0, 0
for at, key in ipairs(KEYS) do
  local rule, number, cost = ARGV[at * 3 - 1], tonumber(ARGV[at * 3]), tonumber(ARGV[at * 3 + 1])
  local wait
  if rule == 'bucket' then
    levels[at] = bucket_level(key, number)
    wait = divided_up(math.max(cost * SECOND - levels[at], 0), number)
  else
    wait = log_wait(key, number, cost)
  end
  if wait > longest then longest, longest_at = wait, at end
end
if longest > 0 then return { longest_at, whole(longest) } end

local standings = { 0 }
for at, key in ipairs(KEYS) do
  local rule, number, cost = ARGV[at * 3 - 1], tonumber(ARGV[at * 3]), tonumber(ARGV[at * 3 + 1])
  local left, renewed
  if rule == 'bucket' then
    local level = levels[at] - cost * SECOND
    redis.call('HSET', key, 'level', whole(level), 'at', whole(now))
    redis.call('PEXPIRE', key, 60000)
    left = (level - math.fmod(level, SECOND)) / SECOND
    renewed = divided_up(number * BURST - level, number)
  else
    for _ = 1, cost do redis.call('RPUSH', key, whole(now)) end
    redis.call('PEXPIRE', key, 3660000)
    left = number - redis.call('LLEN', key)
    renewed = tonumber(redis.call('LINDEX', key, 0)) + WINDOW - now
  end
  standings[at * 2], standings[at * 2 + 1] = whole(left), whole(renewed)
end
return standings
