-- Drops records whose key came within the last minute, and forgets old keys in the background.
-- What it remembers is memory only: after a restart a repeated key passes once more.
local PIECE = 1000

local passed = metrics.counter("records_passed")
local repeated = metrics.counter("records_repeated")
local remembered = metrics.gauge("keys_remembered")
local sizes = metrics.histogram("value_bytes")

local last, count = {}, 0            -- key to the time when it came last
local queue, head, tail = {}, 1, 0   -- keys in the order in which they came
local sweeping = false

-- One piece, then the next: a batch that comes meanwhile waits for one piece only.
local function sweep()
  local now = time.now_ms()
  for _ = 1, PIECE do
    local entry = queue[head]
    if entry == nil or now - entry.at < config.keep_ms then
      sweeping = false
      remembered:set(count)
      return
    end
    queue[head] = nil
    head = head + 1
    if last[entry.key] == entry.at then
      last[entry.key] = nil
      count = count - 1
    end
  end
  task(sweep, "background")
end

return {
  name = "recent",
  input = "events",
  output = "events.recent",
  config = { keep_ms = 60000 },
  on_error = "drop",                  -- a record without a key is left out

  process = function(record)
    local now = time.now_ms()
    local before = last[record.key]
    last[record.key] = now            -- an error when the key is nil
    tail = tail + 1
    queue[tail] = { key = record.key, at = now }
    sizes:observe(#(record.value or ""))
    if before == nil then
      count = count + 1
      remembered:set(count)
    end
    if not sweeping then
      sweeping = true
      task(sweep, "background")
    end
    if before ~= nil and now - before < config.keep_ms then
      repeated:add()
      return nil
    end
    passed:add()
    return record
  end,
}
