-- How often each key came, exactly: `state` is durable and counts every record once, whatever ends
-- on the way. A record that is rejected leaves nothing in it.
local function count(record)
  if record.key == nil then
    reject("a record without a key cannot be counted")
  end
  state[record.key] = (state[record.key] or 0) + 1
  record.value = tostring(state[record.key])
  return record
end

return { name = "count", on = "log", input = "clicks", output = "clicks.counted", process = count }
