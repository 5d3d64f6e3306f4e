-- What every script of the counters begins with. Put before each of them by scripts.py.
--
-- Names, all with the tag {org} so that an organization lives on one node:
--   rev:{org}    set      ids of revoked keys; written by the control plane
--   meta:{org}   hash     gen: generation of the contents; seq: grows with each admission; lost: 1 while they are
--                         known to be incomplete; laying: <attempt>:<floors> of the books that are being laid in; laid:
--                         the generation that all of them are laid in for
--   held:{org}   hash     <exchange>:<attempt> -> what is reserved for it: {what was said of it, claims that count it
--                         (bits: rates, then budgets), key, e, s, key, e, s ..., whose it is: id of the key, pod and the
--                         model asked for, on a line each}
--   lost:{org}   hash     the same, of what was given back because no pod renewed it: read and removed by the control
--                         plane, which writes it into the ledger as an estimate
--   due:{org}    zset     <exchange>:<attempt> -> when it is given back because its pod no longer renews it, Unix ms
--   done:{org}:<quarters of a minute since 1970>   set, for a while: <exchange>:<attempt> that were settled then
--   r:{org}:<rule>:<period>:<counter> sliding: theoretical arrival time, Unix us; period: what was used;
--                                     concurrent: zset of <exchange>:<attempt> -> end of its lease, Unix ms
--   b:{org}:<budget>:<period>:<counter>  hash  p: posted, e: reserved as expected, s: reserved as bounded,
--                                     o: allowances given out, o:<pod>: what that pod still has of its own
--
-- Money is whole micro-USD. Lua's numbers are doubles: every one here stays below 2^53.

local HOLD_MS, LEASE_MS, LINGER_MS = 120000, 30000, 60000
-- What is lost waits so long for a control plane that is away.
local LOST_MS = 14 * 86400000
-- What is settled is remembered for so many whole spans, and the one that runs: short ones, so that none is large when it
-- is forgotten.
local DONE_SPAN_MS, DONE_SPANS = 15000, 60
local call, floor, ceil, max, min = redis.call, math.floor, math.ceil, math.max, math.min
local HOUR_MS, DAY_MS = 3600000, 86400000

-- Time is the server's, in microseconds; a test may bring its own.
local function time_us(given)
  if given > 0 then
    return given
  end
  local now = call('TIME')
  return tonumber(now[1]) * 1000000 + tonumber(now[2])
end

-- How long a counter is kept: some time after its period, for what comes late. period_end 0: for ever; below 0: so long
-- after it was last used.
local function keep(key, period_end, now_ms)
  if period_end > 0 then
    local left = period_end - now_ms
    call('PEXPIRE', key, max(left, 0) + min(max(left, HOUR_MS), 3 * DAY_MS))
  elseif period_end < 0 then
    call('PEXPIRE', key, -period_end)
  end
end

-- Give back what is reserved. A counter that is gone by now has nothing to give back to.
local function release(held_key, due_key, member)
  local text = call('HGET', held_key, member)
  if text then
    local hold = cmsgpack.unpack(text)
    for at = 3, #hold - 1, 3 do
      local now = call('HMGET', hold[at], 'e', 's')
      if now[1] then
        call('HSET', hold[at], 'e', max(0, tonumber(now[1]) - hold[at + 1]),
          's', max(0, tonumber(now[2]) - hold[at + 2]))
      end
    end
    call('HDEL', held_key, member)
  end
  call('ZREM', due_key, member)
  return text
end

-- Give back what pods that are gone had reserved, some of it at a time, and keep a witness of it.
local function reap(held_key, due_key, now_ms, most)
  local due = call('ZRANGEBYSCORE', due_key, '-inf', now_ms, 'LIMIT', 0, most)
  if #due == 0 then
    return 0
  end
  local lost_key = 'lost' .. string.sub(due_key, 4)
  for at = 1, #due do
    local text = release(held_key, due_key, due[at])
    if text then
      call('HSET', lost_key, due[at], text)
    end
  end
  call('PEXPIRE', lost_key, LOST_MS)
  return #due
end

-- Whether the contents are what the caller last saw, or later: the generation and sequence now, or nil when they were
-- lost or are older. wanted: the generation that the policy names. A new one is believed where the books were laid into
-- these very contents for it: contents that were lost after that do not have the mark, whoever lost them. The first two
-- need no books: nothing was ever spent (0), or all of it into contents that are here (1).
local function contents(meta_key, wanted, seen_generation, seen_sequence)
  local now = call('HMGET', meta_key, 'gen', 'seq', 'lost')
  local generation, sequence = tonumber(now[1] or '-1'), tonumber(now[2] or '0')
  local known = max(generation, seen_generation)
  local is_older = generation < 0 or generation < seen_generation
    or (generation == seen_generation and sequence < seen_sequence)
  if wanted > known then
    if wanted == 0 or (wanted == 1 and not is_older and not now[3])
      or tonumber(call('HGET', meta_key, 'laid') or '-1') == wanted then
      call('HSET', meta_key, 'gen', wanted)
      call('HDEL', meta_key, 'lost', 'laying', 'laid')
      return wanted, sequence
    end
  elseif now[3] then
    return nil
  elseif not is_older then
    return generation, sequence
  end
  call('HSET', meta_key, 'gen', max(known, wanted), 'lost', 1)
  return nil
end
