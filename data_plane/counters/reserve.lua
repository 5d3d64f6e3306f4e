-- Decide about one attempt and count it: all checks before any write, so what is denied leaves no trace.
--
-- KEYS   rev, meta, held, due, then each rate's, then each budget's
-- ARGV 1 what is lasting: {key id, generation, latest start of a period (ms), earliest end (ms; 0: none), rates, budgets,
--          for each rate:   flags, limit, window (us) or end of the period (ms), burst (us) or when it is forgotten
--                           unless it is used (ms; 0: not before its period ends)
--          for each budget: flags, soft, hard, downgrade_at, grace, allowance, end of the period (ms; 0: never; below 0:
--                           never, and it is forgotten so long after it was last used)}
--        flags of both: 1, 2: counts for that candidate; 4: shadow. Of a rate: + 8 * kind + 32 * unit. Of a budget: 8:
--        strict; 16: gives allowances
-- ARGV 2 what is asked: {member, flags, five amounts of the first candidate, five of the second, generation and sequence
--          last seen, pod, live pods, budgets whose allowance is asked for (bits), time (us; 0: the server's)}
--        flags: 1: the second is offered; 2: tool loop; 4: requests are counted already; 8: count without any check.
--        Amounts: expected, calibrated, worst, input tokens, output tokens
-- gives  the answer of switchyard_contract/counters.py, the same again for what is held already
--
-- Example: limit 10.00 (soft = hard = 10000000), posted 9.50, reserved 0.30 expected and 0.40 bounded: an attempt that is
-- expected to cost 0.05 and bounded by 0.10 is let in (9.50 + 0.40 + 0.10 = hard); the next one is denied.

local lasting, ask = cmsgpack.unpack(ARGV[1]), cmsgpack.unpack(ARGV[2])
local member, asked = ask[1], ask[2]
local held = call('HGET', KEYS[3], member)
if held then
  return cmsgpack.unpack(held)[1]
end

local now_us = time_us(ask[18])
local now_ms = floor(now_us / 1000)
local rates, budgets = lasting[5], lasting[6]
local is_offered, is_loop = asked % 2 == 1, floor(asked / 2) % 2 == 1
local is_further, is_unchecked = floor(asked / 4) % 2 == 1, asked >= 8

local generation, sequence = 0, 0
local function nothing_counted(verdict)
  return cmsgpack.pack({1, verdict, 0, -1, 0, now_ms, generation, sequence, 0, 0, 0, 0, 0, 0})
end

if not is_unchecked then
  if call('SISMEMBER', KEYS[1], lasting[1]) == 1 then
    return nothing_counted(3)
  end
  generation, sequence = contents(KEYS[2], lasting[2], ask[13], ask[14])
  if not generation then
    generation, sequence = 0, 0
    return nothing_counted(4)
  end
  if now_ms < lasting[3] or (lasting[4] > 0 and now_ms >= lasting[4]) then
    return nothing_counted(5)
  end
end
reap(KEYS[3], KEYS[4], now_ms, 4)

-- How everything stands now.
local used, posted, expected, worst, is_new = {}, {}, {}, {}, {}
for at = 1, rates do
  local kind = floor(lasting[3 + 4 * at] / 8) % 4
  if kind == 3 then
    used[at] = call('ZCOUNT', KEYS[4 + at], now_ms + 1, '+inf')
  else
    used[at] = tonumber(call('GET', KEYS[4 + at]) or '0')
  end
end
local budgets_at = 6 + 4 * rates
for at = 1, budgets do
  local now = call('HMGET', KEYS[4 + rates + at], 'p', 'e', 's')
  posted[at], expected[at], worst[at] = tonumber(now[1] or '0'), tonumber(now[2] or '0'), tonumber(now[3] or '0')
  is_new[at] = not now[2]
end

-- What each claim says to a candidate. Fills counts, refuses, level, wait; gives what denies, and whether the next
-- candidate is to be tried.
local counts, refuses, level, wait, charge = {}, {}, {}, {}, {}
local function judge(candidate)
  local first = 5 * candidate - 2
  local e, input, output = ask[first], ask[first + 3], ask[first + 4]
  local denying, patience, wants_next = -1, 0, false
  for at = 1, rates do
    local flags, limit, span, burst = unpack(lasting, 3 + 4 * at, 6 + 4 * at)
    local kind, unit = floor(flags / 8) % 4, floor(flags / 32)
    local n = 1
    if unit == 2 then n = input + output elseif unit == 3 then n = input elseif unit == 4 then n = output end
    counts[at] = floor(flags / candidate) % 2 == 1 and not (is_further and unit == 1 and kind ~= 3)
    if kind == 1 then
      local tat = max(used[at], now_us)
      charge[at] = ceil(n * span / limit)
      level[at] = floor((tat - now_us) * limit / span)
      local over = tat + charge[at] - now_us - burst
      wait[at] = over <= 0 and 0 or charge[at] > burst and -1 or ceil(over / 1000)
    elseif kind == 2 then
      charge[at], level[at] = n, used[at]
      wait[at] = used[at] + n <= limit and 0 or (n > limit or span == 0) and -1 or span - now_ms
    else
      charge[at], level[at] = 1, used[at]
      wait[at] = used[at] + 1 <= limit and 0 or limit == 0 and -1 or 1000
    end
    refuses[at] = counts[at] and wait[at] ~= 0
    -- The longest wait is told: after a shorter one it would be refused again.
    if refuses[at] and floor(flags / 4) % 2 == 0 and patience ~= -1 and (wait[at] > patience or wait[at] == -1) then
      denying, patience = at - 1, wait[at]
    end
  end
  local is_budget = false
  for at = 1, budgets do
    local flags, soft, hard, downgrade_at, grace, _, period_end =
      unpack(lasting, budgets_at + 7 * at - 6, budgets_at + 7 * at)
    local place = rates + at
    local more = is_loop and grace or 0
    local s = floor(flags / 8) % 2 == 1 and ask[first + 2] or ask[first + 1]
    counts[place], charge[place] = floor(flags / candidate) % 2 == 1, s
    refuses[place] = counts[place] and hard >= 0
      and (posted[at] + worst[at] + s > hard + more or posted[at] + expected[at] + e > soft + more)
    if counts[place] and floor(flags / 4) % 2 == 0 then
      -- A spent budget goes before a rate: waiting for the rate would not help.
      if refuses[place] and not is_budget then
        denying, patience, is_budget = place - 1, period_end > 0 and period_end - now_ms or -1, true
      end
      wants_next = wants_next or (downgrade_at >= 0 and posted[at] + expected[at] + e >= downgrade_at)
    end
  end
  return denying, patience, wants_next
end

local candidate = 1
local denying, patience, wants_next = judge(1)
if is_unchecked then
  candidate = is_offered and 2 or 1
  judge(candidate)
  denying = -1
elseif is_offered and wants_next then
  if judge(2) == -1 then
    candidate, denying, patience = 2, -1, 0
  else
    judge(1)
  end
end

local is_admitted = denying == -1
local e = ask[5 * candidate - 2]
local index, fullest = denying, -1
local answer = {1, is_admitted and 1 or 2, candidate, index, is_admitted and 0 or patience, now_ms, generation, sequence,
  e, ask[5 * candidate - 1], ask[5 * candidate], rates, budgets, 0}
local bits = 0
for at = 1, rates do
  local is_counted = is_admitted and counts[at] and (is_unchecked or not refuses[at])
  counts[at] = is_counted
  bits = bits + (is_counted and 2 ^ (at - 1) or 0)
  local place = 12 + 3 * at
  answer[place], answer[place + 1] = (is_counted and 1 or 0) + (refuses[at] and 2 or 0), level[at]
  answer[place + 2] = refuses[at] and wait[at] or 0
end
for at = 1, budgets do
  local flags, soft, hard = unpack(lasting, budgets_at + 7 * at - 6, budgets_at + 7 * at - 4)
  local place = rates + at
  local is_counted = is_admitted and counts[place] and (is_unchecked or not refuses[place])
  if is_admitted and counts[place] and hard >= 0 and floor(flags / 4) % 2 == 0 then
    local fullness = (posted[at] + expected[at] + e) / max(soft, 1)
    if fullness > fullest then
      index, fullest = place - 1, fullness
    end
  end
  counts[place] = is_counted
  bits = bits + (is_counted and 2 ^ (place - 1) or 0)
  local row = 10 + 3 * rates + 5 * at
  answer[row], answer[row + 1] = (is_counted and 1 or 0) + (refuses[place] and 2 or 0), posted[at]
  answer[row + 2], answer[row + 3], answer[row + 4] = expected[at], worst[at], 0
end
answer[4], answer[14] = index, bits
if not is_admitted then
  return cmsgpack.pack(answer)
end

-- From here on everything is written.
for at = 1, rates do
  if counts[at] then
    local key, flags, span = KEYS[4 + at], lasting[3 + 4 * at], lasting[5 + 4 * at]
    local kind = floor(flags / 8) % 4
    if kind == 3 then
      -- Whatever runs is renewed more often than this, and the expiry with it.
      if used[at] == 0 then
        call('DEL', key)
      end
      call('ZADD', key, now_ms + LEASE_MS, member)
      if used[at] == 0 then
        call('PEXPIRE', key, 2 * LEASE_MS)
      end
    elseif kind == 2 then
      local now, idle_ms = call('INCRBY', key, charge[at]), lasting[6 + 4 * at]
      if idle_ms > 0 then
        call('PEXPIRE', key, idle_ms)
      elseif now == charge[at] then
        keep(key, span, now_ms)
      end
    elseif charge[at] > 0 then
      local tat = max(used[at], now_us) + charge[at]
      call('SET', key, tat, 'PX', ceil((tat - now_us) / 1000) + LINGER_MS)
    end
  end
end
local hold = {'', candidate}
for at = 1, budgets do
  local place = rates + at
  if counts[place] then
    local key, s = KEYS[4 + place], charge[place]
    local flags, _, _, _, _, allowance, period_end = unpack(lasting, budgets_at + 7 * at - 6, budgets_at + 7 * at)
    call('HSET', key, 'e', expected[at] + e, 's', worst[at] + s)
    if is_new[at] or period_end < 0 then
      keep(key, period_end, now_ms)
    end
    if floor(flags / 16) % 2 == 1 and floor(ask[17] / 2 ^ (at - 1)) % 2 == 1 then
      local given = call('HMGET', key, 'o', 'o:' .. ask[15])
      local mine = tonumber(given[2] or '-1')
      if mine < 0 then
        local sum = tonumber(given[1] or '0')
        mine = max(0, min(floor(allowance / max(ask[16], 1)), allowance - sum))
        call('HSET', key, 'o', sum + mine, 'o:' .. ask[15], mine)
      end
      local row = 10 + 3 * rates + 5 * at
      answer[row], answer[row + 4] = answer[row] + 4, mine
    end
    local last = #hold
    hold[last + 1], hold[last + 2], hold[last + 3] = key, e, s
  end
end
answer[8] = call('HINCRBY', KEYS[2], 'seq', 1)
hold[1] = cmsgpack.pack(answer)
call('HSET', KEYS[3], member, cmsgpack.pack(hold))
call('ZADD', KEYS[4], now_ms + HOLD_MS, member)
return hold[1]
