-- Have a reservation be larger or smaller, where there is room for it.
--
-- KEYS   as in reserve.lua
-- ARGV 1 as in reserve.lua
-- ARGV 2 {member, flags, expected, calibrated, worst}; flags 2: tool loop
-- gives  1: it is so much now; 0: no room, it is as it was; 2: nothing is held any more

local lasting, ask = cmsgpack.unpack(ARGV[1]), cmsgpack.unpack(ARGV[2])
local text = call('HGET', KEYS[3], ask[1])
if not text then
  return 2
end
local hold = cmsgpack.unpack(text)
local place_of = {}
for at = 3, #hold - 1, 3 do
  place_of[hold[at]] = at
end
local rates, budgets = lasting[5], lasting[6]
local changes = {}
for at = 1, budgets do
  local key = KEYS[4 + rates + at]
  local place = place_of[key]
  if place then
    local first = 6 + 4 * rates + 7 * at - 6
    local flags, soft, hard, _, grace = unpack(lasting, first, first + 4)
    local more = floor(ask[2] / 2) % 2 == 1 and grace or 0
    local now = call('HMGET', key, 'p', 'e', 's')
    local posted = tonumber(now[1] or '0')
    local s = floor(flags / 8) % 2 == 1 and ask[5] or ask[4]
    local e_more, s_more = ask[3] - hold[place + 1], s - hold[place + 2]
    local expected, worst = tonumber(now[2] or '0') + e_more, tonumber(now[3] or '0') + s_more
    local is_tight = hard >= 0 and ((s_more > 0 and posted + worst > hard + more)
      or (e_more > 0 and posted + expected > soft + more))
    if is_tight and floor(flags / 4) % 2 == 0 then
      return 0
    elseif not is_tight then
      changes[#changes + 1] = {key, place, max(0, expected), max(0, worst), s}
    end
  end
end
for _, change in ipairs(changes) do
  call('HSET', change[1], 'e', change[3], 's', change[4])
  hold[change[2] + 1], hold[change[2] + 2] = ask[3], change[5]
end
call('HSET', KEYS[3], ask[1], cmsgpack.pack(hold))
return 1
