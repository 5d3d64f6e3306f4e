-- Say that a pod still runs its attempts, give back what pods that are gone had reserved, and look whether the contents
-- are still those that were seen.
--
-- KEYS   meta, held, due, then the zsets of slots
-- ARGV 1 {generation that the policy names, generation and sequence last seen, most to give back, members,
--          then each member, then pairs: number of the zset (from 1), number of the member (from 1)}
-- ARGV 2 time (us; 0: the server's)
-- gives  {1 or 0: the contents are what was seen; generation; sequence; how many were given back;
--          then the numbers (from 1) of members that are not held here}

local told = cmsgpack.unpack(ARGV[1])
local now_ms = floor(time_us(tonumber(ARGV[2])) / 1000)
local generation, sequence = contents(KEYS[1], told[1], told[2], told[3])
local gives = {generation and 1 or 0, generation or 0, sequence or 0, 0}
local members = told[5]
for at = 1, members do
  if call('HEXISTS', KEYS[2], told[5 + at]) == 1 then
    call('ZADD', KEYS[3], now_ms + HOLD_MS, told[5 + at])
  else
    gives[#gives + 1] = at
  end
end
for at = 6 + members, #told, 2 do
  local key, member = KEYS[3 + told[at]], told[5 + told[at + 1]]
  -- A lease that lapsed may have been taken by another meanwhile.
  if tonumber(call('ZSCORE', key, member) or '0') > now_ms then
    call('ZADD', key, now_ms + LEASE_MS, member)
    call('PEXPIRE', key, 2 * LEASE_MS)
  end
end
gives[4] = reap(KEYS[2], KEYS[3], now_ms, told[4])
return gives
