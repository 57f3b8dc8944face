/** Finds its place in a list whose lines begin with their times. */
export const later = `
-- How many lines are not of later than a time. Times only grow, so that is found by halving.
local function lines_before(key, since)
  local low, high = 0, redis.call('LLEN', key)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if tonumber(string.match(redis.call('LINDEX', key, middle), '^%d+')) > since then high = middle else low = middle + 1 end
  end
  return low
end
`;
