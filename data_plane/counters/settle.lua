-- Replace reservations by what the attempts came to, each once: saying it again changes nothing. All are of one claims'.
--
-- KEYS   as in reserve.lua, then done
-- ARGV 1 as in reserve.lua
-- ARGV 2 {pod, time (us; 0: the server's), then each settlement}
--        a settlement: {member, cost, input and output tokens, input and output tokens that were charged at admission,
--          claims that counted it (bits: rates, then budgets; -1: those that its hold says), flags}
--        flags: 1: post the cost although nothing is held; 2: it was spent of the pod's allowance
-- gives  for each a digit: 1: settled; 2: it was before; 3: nothing was held any more, posted all the same; 0: neither
--        held nor posted

local lasting, told = cmsgpack.unpack(ARGV[1]), cmsgpack.unpack(ARGV[2])
local now_us = time_us(told[2])
local now_ms = floor(now_us / 1000)
local rates, budgets = lasting[5], lasting[6]
local pod, done_name = told[1], KEYS[#KEYS]
local span = floor(now_ms / DONE_SPAN_MS)

-- Spans of which anything is remembered, looked up once. Clocks of stores that follow one another differ a little: the
-- next span is looked at as well.
local remembered
local function was_settled(member)
  if not remembered then
    remembered = {}
    for back = -1, DONE_SPANS do
      local key = done_name .. ':' .. string.format('%d', span - back)
      if call('EXISTS', key) == 1 then
        remembered[#remembered + 1] = key
      end
    end
  end
  for at = 1, #remembered do
    if call('SISMEMBER', remembered[at], member) == 1 then
      return true
    end
  end
  return false
end

-- Counters that are settled here, read once each and written once each.
local names, purses = {}, {}
local function purse_of(key)
  local purse = purses[key]
  if not purse then
    local now = call('HMGET', key, 'p', 'e', 's')
    purse = {tonumber(now[1] or 0), tonumber(now[2] or 0), tonumber(now[3] or 0), not now[2]}
    purses[key], names[#names + 1] = purse, key
  end
  return purse
end

local function post(key, cost, e, s, is_of_allowance)
  local purse = purse_of(key)
  purse[1], purse[2], purse[3] = purse[1] + cost, max(0, purse[2] - e), max(0, purse[3] - s)
  if is_of_allowance then
    local left = call('HGET', key, 'o:' .. pod)
    if left then
      call('HSET', key, 'o:' .. pod, max(0, tonumber(left) - cost))
    end
  end
end

-- Rates that were charged what was expected: what is stored, and what it is to be. Slots are given back.
local stored, becomes, freed = {}, {}, {}
local function correct(at, settled)
  local row = 3 + 4 * at
  local flags = lasting[row]
  local kind, unit = floor(flags / 8) % 4, floor(flags / 32)
  if kind == 3 then
    local words = freed[at] or {}
    words[#words + 1] = settled[1]
    freed[at] = words
    return
  end
  local now_n, then_n = 0, 0
  if unit == 2 then
    now_n, then_n = settled[3] + settled[4], settled[5] + settled[6]
  elseif unit == 3 then
    now_n, then_n = settled[3], settled[5]
  elseif unit == 4 then
    now_n, then_n = settled[4], settled[6]
  end
  if now_n == then_n then
    return
  end
  if stored[at] == nil then
    stored[at] = tonumber(call('GET', KEYS[4 + at]) or nil) or false
    becomes[at] = stored[at]
  end
  local is = becomes[at]
  if kind == 1 then
    local limit, window, burst = lasting[row + 1], lasting[row + 2], lasting[row + 3]
    local more = ceil(now_n * window / limit) - ceil(then_n * window / limit)
    if more > 0 then
      becomes[at] = max(is or 0, now_us) + more
    elseif is then
      becomes[at] = max(is + more, now_us - burst)
    end
  elseif is then
    becomes[at] = max(0, is + now_n - then_n)
  end
end

local gives, settled_members, unheld = {}, {}, {}
for number = 1, #told - 2 do
  local settled = told[2 + number]
  local member, cost, counted, flags = settled[1], settled[2], settled[7], settled[8]
  local text = call('HGET', KEYS[3], member)
  local gave = 1
  if not text then
    -- Its pod is back, or was never gone: what it says is truer than what was kept of it.
    call('HDEL', 'lost' .. string.sub(KEYS[4], 4), member)
    if unheld[member] or was_settled(member) then
      gave = 2
    elseif flags % 2 == 0 then
      gave = 0
    else
      gave = 3
    end
  end
  if gave == 1 or gave == 3 then
    local is_of_allowance = flags >= 2
    local hold = text and cmsgpack.unpack(text)
    if hold and counted < 0 then
      counted = hold[2]
    end
    counted = max(counted, 0)
    for at = 1, rates do
      if floor(counted / 2 ^ (at - 1)) % 2 == 1 then
        correct(at, settled)
      end
    end
    -- What is held knows best what it holds; without it, what counted the exchange is taken from the pod's word.
    if hold then
      for at = 3, #hold - 1, 3 do
        post(hold[at], cost, hold[at + 1], hold[at + 2], is_of_allowance)
      end
      call('HDEL', KEYS[3], member)
    else
      for at = 1, budgets do
        if floor(counted / 2 ^ (rates + at - 1)) % 2 == 1 then
          post(KEYS[4 + rates + at], cost, 0, 0, is_of_allowance)
        end
      end
    end
    unheld[member], settled_members[#settled_members + 1] = true, member
  end
  gives[number] = gave
end

if #settled_members > 0 then
  for at = 1, rates do
    local key = KEYS[4 + at]
    if freed[at] then
      call('ZREM', key, unpack(freed[at]))
    end
    local was, is = stored[at], becomes[at]
    if is and is ~= was then
      if floor(lasting[3 + 4 * at] / 8) % 4 == 1 then
        call('SET', key, is, 'PX', max(0, ceil((is - now_us) / 1000)) + LINGER_MS)
      else
        call('INCRBY', key, is - was)
      end
    end
  end
  for _, key in ipairs(names) do
    local purse = purses[key]
    call('HSET', key, 'p', purse[1], 'e', purse[2], 's', purse[3])
    if purse[4] then
      for at = 1, budgets do
        if KEYS[4 + rates + at] == key then
          keep(key, lasting[6 + 4 * rates + 7 * at], now_ms)
        end
      end
    end
  end
  call('ZREM', KEYS[4], unpack(settled_members))
  local done_key = done_name .. ':' .. string.format('%d', span)
  if call('SADD', done_key, unpack(settled_members)) > 0 and call('PTTL', done_key) < 0 then
    call('PEXPIRE', done_key, (DONE_SPANS + 2) * DONE_SPAN_MS)
  end
end
return table.concat(gives)
