-- Raise what is posted to what the books say; never lower it. Both are sums of the same entries, so nothing is counted
-- twice.
--
-- KEYS   meta, then budgets'
-- ARGV   where it leads: '', or <attempt>:<floors so far> of the whole books of an organization; where it goes on from,
--        the same ('': it begins); the generation that the whole books are laid in for, with their end (0: they go on);
--        then for each budget: what the books say (micro-USD), how long a counter that is new is kept (ms; 0: for ever)
-- gives  how many were raised; -1: what was laid before is not in these contents, and neither is this

local leads_to, goes_on_from, opens = ARGV[1], ARGV[2], tonumber(ARGV[3])
if goes_on_from ~= '' then
  local laying = call('HGET', KEYS[1], 'laying')
  if laying ~= goes_on_from and laying ~= leads_to then
    return -1
  end
end
local raised = 0
for at = 2, #KEYS do
  local key, said = KEYS[at], tonumber(ARGV[2 * at])
  if said > tonumber(call('HGET', key, 'p') or '0') then
    local is_new = call('EXISTS', key) == 0
    call('HSET', key, 'p', said)
    local kept = tonumber(ARGV[2 * at + 1])
    if is_new and kept > 0 then
      call('PEXPIRE', key, kept)
    end
    raised = raised + 1
  end
end
if leads_to ~= '' then
  call('HSET', KEYS[1], 'laying', leads_to)
  if opens > 0 then
    call('HSET', KEYS[1], 'laid', opens)
  end
end
return raised
