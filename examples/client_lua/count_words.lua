-- count_words.lua ADDRESS: publishes three lines as one batch, takes them from a durable subscription, counts their words.
--   lua5.4 count_words.lua tcp://127.0.0.1:9192
local sluice = require "sluice"

local connection <close> = assert(sluice.connect(arg[1]))
local offset = assert(connection:publish("lines", { "to be or", { value = "not to be", key = "hamlet" }, "that" }))
local lines = assert(connection:subscribe("lines", { group = "counters", start = "beginning" }))
local counts = {}
for _ = 1, 3 do
  local message = assert(lines:next(30))
  for word in message.value:gmatch "%a+" do
    counts[word] = (counts[word] or 0) + 1
  end
  assert(lines:ack(message))
end
print(("from %d: to %d, be %d, that %d"):format(offset, counts.to, counts.be, counts.that))
