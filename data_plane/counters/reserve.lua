-- Decide about attempts and count them: all checks before any write, so what is denied leaves no trace. Several of one
-- claims' that ask at once are decided one after the other, and written together.
--
-- KEYS   rev, meta, held, due, then each rate's, then each budget's
-- ARGV 1 what is lasting: {key id, generation, latest start of a period (ms), earliest end (ms; 0: none), rates, budgets,
--          for each rate:   flags, limit, window (us) or end of the period (ms), burst (us) or when it is forgotten
--                           unless it is used (ms; 0: not before its period ends)
--          for each budget: flags, soft, hard, downgrade_at, grace, allowance, end of the period (ms; 0: never; below 0:
--                           never, and it is forgotten so long after it was last used),
--          the model asked for}
--        flags of both: 1, 2: counts for that candidate; 4: shadow. Of a rate: + 8 * kind + 32 * unit. Of a budget: 8:
--        strict; 16: gives allowances
-- ARGV 2 what is asked: {generation and sequence last seen, pod and its run (holds.py, `maker_text`), live pods, budgets
--          whose allowance is asked for (bits), time (us; 0: the server's), then each ask}
--        an ask: {member, flags, five amounts of the first candidate, five of the second where there is one}
--        flags: 1: the second is offered; 2: tool loop; 4: requests are counted already; 8: count without any check.
--        Amounts: expected, calibrated, worst, input tokens, output tokens
-- gives  for each ask, the same again for what is held already: 36 bytes of what every pod looks at (verdict, candidate,
--        index, nothing, claims that count it, generation, sequence, what is posted to the budget that index names), and
--        behind them the answer of switchyard_contract/counters.py
--
-- Example: limit 10.00 (soft = hard = 10000000), posted 9.50, reserved 0.30 expected and 0.40 bounded: an attempt that is
-- expected to cost 0.05 and bounded by 0.10 is let in (9.50 + 0.40 + 0.10 = hard); the next one is denied.

local lasting, told = cmsgpack.unpack(ARGV[1]), cmsgpack.unpack(ARGV[2])

-- An answer with what is looked at first.
local function written(answer, posted_there)
  return struct.pack('>BBbBI8I8I8I8', answer[2], answer[3], answer[4], 0, answer[14], answer[7], answer[8], posted_there)
    .. cmsgpack.pack(answer)
end

local now_us = time_us(told[6])
local now_ms = floor(now_us / 1000)
local rates, budgets = lasting[5], lasting[6]
-- Whose it is, should nobody but this store be left to tell.
local witness = lasting[1] .. '\n' .. told[3] .. '\n' .. (lasting[7 + 4 * rates + 7 * budgets] or '')
local generation, sequence = 0, 0
local asks = #told - 6

-- What each claim is about: read once for all that ask.
local bits_of, is_shadow, kind_of, unit_of = {}, {}, {}, {}
local function read_flags(place, flags)
  bits_of[place], is_shadow[place] = flags % 4, flags % 8 >= 4
end
for at = 1, rates do
  local flags = lasting[3 + 4 * at]
  read_flags(at, flags)
  kind_of[at], unit_of[at] = floor(flags / 8) % 4, floor(flags / 32)
end
local budgets_at = 6 + 4 * rates
for at = 1, budgets do
  read_flags(rates + at, lasting[budgets_at + 7 * at - 6])
end

-- How everything stands now. Read when the first one asks that is not held already; what is let in is added to it.
local used, posted, expected, worst, is_new = {}, {}, {}, {}, {}
local was_used = {}
local is_read = false
local function read_all()
  is_read = true
  reap(KEYS[3], KEYS[4], now_ms, 4 * asks)
  for at = 1, rates do
    if kind_of[at] == 3 then
      used[at] = call('ZCOUNT', KEYS[4 + at], now_ms + 1, '+inf')
    else
      used[at] = tonumber(call('GET', KEYS[4 + at]) or 0)
    end
    was_used[at] = used[at]
  end
  for at = 1, budgets do
    local now = call('HMGET', KEYS[4 + rates + at], 'p', 'e', 's')
    posted[at], expected[at], worst[at] = tonumber(now[1] or 0), tonumber(now[2] or 0), tonumber(now[3] or 0)
    is_new[at] = not now[2]
  end
end

-- What each claim says to a candidate. Fills counts, refuses, level, wait, charge; gives what denies, and whether the
-- next candidate is to be tried.
local counts, refuses, level, wait, charge = {}, {}, {}, {}, {}
local function judge(ask, candidate)
  local first, asked = 5 * candidate - 2, ask[2]
  local e, calibrated, bound, input, output = ask[first], ask[first + 1], ask[first + 2], ask[first + 3], ask[first + 4]
  local is_loop, is_further = asked % 4 >= 2, asked % 8 >= 4
  local denying, patience, wants_next = -1, 0, false
  for at = 1, rates do
    local row, kind, unit, now = 3 + 4 * at, kind_of[at], unit_of[at], used[at]
    local limit = lasting[row + 1]
    local n = 1
    if unit == 2 then n = input + output elseif unit == 3 then n = input elseif unit == 4 then n = output end
    local bits = bits_of[at]
    local is_counted = (bits == 3 or bits == candidate) and not (is_further and unit == 1 and kind ~= 3)
    local more, waits
    if kind == 1 then
      local span, burst = lasting[row + 2], lasting[row + 3]
      local ahead = max(now - now_us, 0)
      more = ceil(n * span / limit)
      level[at] = floor(ahead * limit / span)
      local over = ahead + more - burst
      waits = over <= 0 and 0 or more > burst and -1 or ceil(over / 1000)
    elseif kind == 2 then
      local ends = lasting[row + 2]
      more, level[at] = n, now
      waits = now + n <= limit and 0 or (n > limit or ends == 0) and -1 or ends - now_ms
    else
      more, level[at] = 1, now
      waits = now + 1 <= limit and 0 or limit == 0 and -1 or 1000
    end
    charge[at], wait[at], counts[at] = more, waits, is_counted
    local is_refused = is_counted and waits ~= 0
    refuses[at] = is_refused
    -- The longest wait is told: after a shorter one it would be refused again.
    if is_refused and not is_shadow[at] and patience ~= -1 and (waits > patience or waits == -1) then
      denying, patience = at - 1, waits
    end
  end
  local is_budget = false
  for at = 1, budgets do
    local row, place = budgets_at + 7 * at - 6, rates + at
    local hard, bits = lasting[row + 2], bits_of[place]
    local s = lasting[row] % 16 >= 8 and bound or calibrated
    local is_counted, is_refused = bits == 3 or bits == candidate, false
    if is_counted then
      local likely = posted[at] + expected[at] + e
      if hard >= 0 then
        local more = is_loop and lasting[row + 4] or 0
        is_refused = posted[at] + worst[at] + s > hard + more or likely > lasting[row + 1] + more
      end
      if not is_shadow[place] then
        -- A spent budget goes before a rate: waiting for the rate would not help.
        if is_refused and not is_budget then
          local ends = lasting[row + 6]
          denying, patience, is_budget = place - 1, ends > 0 and ends - now_ms or -1, true
        end
        local downgrade_at = lasting[row + 3]
        wants_next = wants_next or (downgrade_at >= 0 and likely >= downgrade_at)
      end
    end
    counts[place], refuses[place], charge[place] = is_counted, is_refused, s
  end
  return denying, patience, wants_next
end

-- Allowances are given to a pod once: what it has of each that it asks for, by the first that is let in.
local given = {}
local function give_allowance(at, allowance)
  local key, mine_is = KEYS[4 + rates + at], 'o:' .. string.match(told[3], '^[^\31]*')
  local so_far = call('HMGET', key, 'o', mine_is)
  local mine = tonumber(so_far[2] or -1)
  if mine < 0 then
    local sum = tonumber(so_far[1] or 0)
    mine = max(0, min(floor(allowance / max(told[4], 1)), allowance - sum))
    call('HSET', key, 'o', sum + mine, mine_is, mine)
  end
  given[at] = mine
  return mine
end

-- What is to be written when all are decided.
local let_in, held_words, due_words, slot_words = 0, {}, {}, {}
local is_touched, fresh = {}, {}

local function decide(ask)
  local member, asked = ask[1], ask[2]
  local is_offered, is_unchecked = asked % 2 == 1, asked >= 8
  local candidate = 1
  local denying, patience, wants_next = judge(ask, 1)
  if is_unchecked then
    candidate = is_offered and 2 or 1
    judge(ask, candidate)
    denying = -1
  elseif is_offered and wants_next then
    if judge(ask, 2) == -1 then
      candidate, denying, patience = 2, -1, 0
    else
      judge(ask, 1)
    end
  end
  local is_admitted = denying == -1
  local e = ask[5 * candidate - 2]
  local index, fullest, there, bits = denying, -1, 0, 0
  local answer = {1, is_admitted and 1 or 2, candidate, index, is_admitted and 0 or patience, now_ms, generation,
    sequence, e, ask[5 * candidate - 1], ask[5 * candidate], rates, budgets, 0}
  local place = 14
  for at = 1, rates do
    local is_refused = refuses[at]
    local is_counted = is_admitted and counts[at] and (is_unchecked or not is_refused)
    answer[place + 1] = (is_counted and 1 or 0) + (is_refused and 2 or 0)
    answer[place + 2], answer[place + 3] = level[at], is_refused and wait[at] or 0
    place = place + 3
    if is_counted then
      bits = bits + 2 ^ (at - 1)
      is_touched[at] = true
      local kind = kind_of[at]
      if kind == 1 then
        used[at] = max(used[at], now_us) + charge[at]
      else
        used[at] = used[at] + charge[at]
        if kind == 3 then
          local words = slot_words[at] or {}
          words[#words + 1], words[#words + 2] = now_ms + LEASE_MS, member
          slot_words[at] = words
        end
      end
    end
  end
  local hold, last = {'', 0}, 2
  for at = 1, budgets do
    local of, row = rates + at, budgets_at + 7 * at - 6
    local is_refused = refuses[of]
    local is_counted = is_admitted and counts[of] and (is_unchecked or not is_refused)
    local p, is_e, is_s, issued, flags = posted[at], expected[at], worst[at], 0, is_refused and 2 or 0
    if is_admitted and counts[of] and lasting[row + 2] >= 0 and not is_shadow[of] then
      local fullness = (p + is_e + e) / max(lasting[row + 1], 1)
      if fullness > fullest then
        index, fullest, there = of - 1, fullness, p
      end
    end
    if is_counted then
      local s, key = charge[of], KEYS[4 + of]
      bits, flags = bits + 2 ^ (of - 1), flags + 1
      is_touched[of] = true
      expected[at], worst[at] = is_e + e, is_s + s
      if lasting[row] % 32 >= 16 and floor(told[5] / 2 ^ (at - 1)) % 2 == 1 then
        issued, flags = given[at] or give_allowance(at, lasting[row + 5]), flags + 4
      end
      hold[last + 1], hold[last + 2], hold[last + 3] = key, e, s
      last = last + 3
    end
    answer[place + 1], answer[place + 2], answer[place + 3] = flags, p, is_e
    answer[place + 4], answer[place + 5] = is_s, issued
    place = place + 5
  end
  answer[4], answer[14] = index, bits
  if not is_admitted then
    return written(answer, 0)
  end
  sequence, let_in = sequence + 1, let_in + 1
  answer[8] = sequence
  local text = written(answer, there)
  hold[1], hold[2], hold[last + 1] = text, bits, witness
  fresh[member] = text
  held_words[2 * let_in - 1], held_words[2 * let_in] = member, cmsgpack.pack(hold)
  due_words[2 * let_in - 1], due_words[2 * let_in] = now_ms + HOLD_MS, member
  return text
end

-- Why nobody is to be asked about: 0: nothing speaks against it.
local verdict
local function look_around()
  if call('SISMEMBER', KEYS[1], lasting[1]) == 1 then
    return 3
  end
  generation, sequence = contents(KEYS[2], lasting[2], told[1], told[2])
  if not generation then
    generation, sequence = 0, 0
    return 4
  end
  if now_ms < lasting[3] or (lasting[4] > 0 and now_ms >= lasting[4]) then
    return 5
  end
  return 0
end

local answers = {}
for number = 1, asks do
  local ask = told[6 + number]
  local text = fresh[ask[1]]
  if not text then
    local held = call('HGET', KEYS[3], ask[1])
    text = held and cmsgpack.unpack(held)[1]
  end
  if not text then
    local said = 0
    if ask[2] >= 8 then
      -- The pod's word, after the contents were lost: they are whatever they are.
      generation, sequence = 0, tonumber(call('HGET', KEYS[2], 'seq') or 0) + let_in
    else
      verdict = verdict or look_around()
      said = verdict
    end
    if said ~= 0 then
      text = written({1, said, 0, -1, 0, now_ms, generation, sequence, 0, 0, 0, 0, 0, 0}, 0)
    else
      if not is_read then
        read_all()
      end
      text = decide(ask)
    end
  end
  answers[number] = text
end
if let_in == 0 then
  return answers
end

-- From here on everything is written.
for at = 1, rates do
  if is_touched[at] then
    local key, kind, more = KEYS[4 + at], kind_of[at], used[at] - was_used[at]
    if kind == 3 then
      -- Whatever runs is renewed more often than this, and the expiry with it.
      if was_used[at] == 0 then
        call('DEL', key)
      end
      call('ZADD', key, unpack(slot_words[at]))
      if was_used[at] == 0 then
        call('PEXPIRE', key, 2 * LEASE_MS)
      end
    elseif kind == 2 then
      local now, idle_ms = call('INCRBY', key, more), lasting[6 + 4 * at]
      if idle_ms > 0 then
        call('PEXPIRE', key, idle_ms)
      elseif now == more then
        keep(key, lasting[5 + 4 * at], now_ms)
      end
    elseif used[at] > now_us then
      call('SET', key, used[at], 'PX', ceil((used[at] - now_us) / 1000) + LINGER_MS)
    end
  end
end
for at = 1, budgets do
  if is_touched[rates + at] then
    local key, period_end = KEYS[4 + rates + at], lasting[budgets_at + 7 * at]
    call('HSET', key, 'e', expected[at], 's', worst[at])
    if is_new[at] or period_end < 0 then
      keep(key, period_end, now_ms)
    end
  end
end
call('HINCRBY', KEYS[2], 'seq', let_in)
call('HSET', KEYS[3], unpack(held_words))
call('ZADD', KEYS[4], unpack(due_words))
return answers
