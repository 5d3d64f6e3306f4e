-- Raise what is posted to what the books say; never lower it. Both are sums of the same entries, so nothing is counted
-- twice.
--
-- KEYS   budgets'
-- ARGV   for each: what the books say (micro-USD), how long a counter that is new is kept (ms; 0: for ever)
-- gives  how many were raised

local raised = 0
for at, key in ipairs(KEYS) do
  local posted = call('HGET', key, 'p')
  local said = tonumber(ARGV[2 * at - 1])
  if said > tonumber(posted or '0') then
    local is_new = call('EXISTS', key) == 0
    call('HSET', key, 'p', said)
    local kept = tonumber(ARGV[2 * at])
    if is_new and kept > 0 then
      call('PEXPIRE', key, kept)
    end
    raised = raised + 1
  end
end
return raised
