-- Replace a reservation by what the attempt came to, once: saying it again changes nothing.
--
-- KEYS   as in reserve.lua, then done:{org}:<member>
-- ARGV 1 as in reserve.lua
-- ARGV 2 {member, cost, input and output tokens, input and output tokens that were charged at admission, claims that
--          counted it (bits: rates, then budgets; -1: those that its answer said), flags, pod, time (us; 0: the server's)}
--        flags: 1: post the cost although nothing is held; 2: it was spent of the pod's allowance
-- gives  1: settled; 2: it was before; 3: nothing was held any more, posted all the same; 0: neither held nor posted

local lasting, told = cmsgpack.unpack(ARGV[1]), cmsgpack.unpack(ARGV[2])
local member, cost, counted, flags = told[1], told[2], told[7], told[8]
local done_key = KEYS[#KEYS]
local text = call('HGET', KEYS[3], member)
if not text then
  if call('EXISTS', done_key) == 1 then
    return 2
  elseif flags % 2 == 0 then
    return 0
  end
end

local hold = text and cmsgpack.unpack(text)
if hold and counted < 0 then
  counted = cmsgpack.unpack(hold[1])[14]
end
counted = max(counted, 0)
local now_us = time_us(told[10])
local now_ms = floor(now_us / 1000)
local rates, budgets = lasting[5], lasting[6]
for at = 1, rates do
  if floor(counted / 2 ^ (at - 1)) % 2 == 1 then
    local claim, limit, span, burst = unpack(lasting, 3 + 4 * at, 6 + 4 * at)
    local key, kind, unit = KEYS[4 + at], floor(claim / 8) % 4, floor(claim / 32)
    local now_n, then_n = 0, 0
    if unit == 2 then
      now_n, then_n = told[3] + told[4], told[5] + told[6]
    elseif unit == 3 then
      now_n, then_n = told[3], told[5]
    elseif unit == 4 then
      now_n, then_n = told[4], told[6]
    end
    if kind == 3 then
      call('ZREM', key, member)
    elseif now_n ~= then_n and kind == 1 then
      local more = ceil(now_n * span / limit) - ceil(then_n * span / limit)
      local stored = call('GET', key)
      if more > 0 then
        local tat = max(tonumber(stored or '0'), now_us) + more
        call('SET', key, tat, 'PX', ceil((tat - now_us) / 1000) + LINGER_MS)
      elseif stored then
        local tat = max(tonumber(stored) + more, now_us - burst)
        call('SET', key, tat, 'PX', max(0, ceil((tat - now_us) / 1000)) + LINGER_MS)
      end
    elseif now_n ~= then_n and kind == 2 then
      local stored = call('GET', key)
      if stored then
        call('INCRBY', key, max(now_n - then_n, -tonumber(stored)))
      end
    end
  end
end

-- What is held knows best what it holds; without it, what counted the exchange is taken from the pod's word.
local posts = {}
if hold then
  for at = 3, #hold, 3 do
    posts[#posts + 1] = {hold[at], hold[at + 1], hold[at + 2]}
  end
  call('HDEL', KEYS[3], member)
else
  for at = 1, budgets do
    if floor(counted / 2 ^ (rates + at - 1)) % 2 == 1 then
      posts[#posts + 1] = {KEYS[4 + rates + at], 0, 0}
    end
  end
end
call('ZREM', KEYS[4], member)
for _, post in ipairs(posts) do
  local key = post[1]
  local now = call('HMGET', key, 'p', 'e', 's')
  call('HSET', key, 'p', tonumber(now[1] or '0') + cost, 'e', max(0, tonumber(now[2] or '0') - post[2]),
    's', max(0, tonumber(now[3] or '0') - post[3]))
  if not now[2] then
    for at = 1, budgets do
      if KEYS[4 + rates + at] == key then
        keep(key, lasting[6 + 4 * rates + 7 * at], now_ms)
      end
    end
  end
  if floor(flags / 2) % 2 == 1 then
    local left = call('HGET', key, 'o:' .. told[9])
    if left then
      call('HSET', key, 'o:' .. told[9], max(0, tonumber(left) - cost))
    end
  end
end
call('SET', done_key, '1', 'PX', DONE_MS)
return hold and 1 or 3
