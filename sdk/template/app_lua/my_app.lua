-- my_app: hands work to whoever takes it.
--
--   my_app.lua publish TEXT...   a message for each text
--   my_app.lua work [COUNT]      takes messages, until COUNT are done or nobody sends any for a minute
--
-- Several workers share the messages; one that dies leaves its own to the others. The broker is at
-- $SLUICE_ADDRESS, else tcp://127.0.0.1:9192.
local sluice = require "sluice"

local TOPIC = "my_app"
local WORKERS = "my_app-workers"
local PATIENCE_S = 60

local function publish(connection, texts)
  for _, text in ipairs(texts) do
    local offset = assert(connection:publish(TOPIC, text)) -- waits: it is stored
    print(("published %s as offset %d"):format(text, offset))
  end
end

-- Here is what you do with a message. An error: it is given again, to anybody.
local function handle(message)
  print(message.value)
end

local function work(connection, count)
  local subscription = assert(connection:subscribe(TOPIC, { group = WORKERS, start = "beginning" }))
  local done = 0
  while count == 0 or done < count do
    local message = assert(subscription:next(PATIENCE_S))
    local handled, problem = pcall(handle, message)
    assert(subscription:ack(message, handled and "done" or "again"))
    assert(handled, problem)
    done = done + 1
  end
end

local command = table.remove(arg, 1)
if not (command == "work" or (command == "publish" and #arg > 0)) then
  io.stderr:write("usage: my_app.lua publish TEXT... | work [COUNT]\n")
  os.exit(2)
end
local connection <close> = assert(sluice.connect(os.getenv "SLUICE_ADDRESS" or "tcp://127.0.0.1:9192"))
if command == "publish" then
  publish(connection, arg)
else
  work(connection, tonumber(arg[1] or "0"))
end
