-- Stamps a `processed_at` header (milliseconds since the epoch) on every record of `events`, and
-- logs a line per record at the level that the configuration names (`log_level`, "info" when it
-- names none).

local write

local function configure(config)
  write = log[config.log_level]
  if not write then
    error("log_level must be debug, info, warn or error, not '"
      .. tostring(config.log_level) .. "'")
  end
end

return {
  name = "logging_lua",
  on = "log",
  input = "events",
  output = "events.logged",
  config = { log_level = "info" },

  init = configure,

  process = function(record)
    record.headers["processed_at"] = time.now_ms()
    write("stamped offset " .. record.offset .. " of " .. record.topic)
    return record
  end,
}
