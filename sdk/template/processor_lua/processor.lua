-- A processor in Lua. Drop this file into the broker's plugin directory.
--
-- process returns the record (goes on, with its changes), nil (dropped) or several records;
-- emit(record) and emit("topic", record) send more; reject("why") and any error cost this one
-- record. `scratch` survives between records but may be lost or replayed at any moment.

return {
  name = "my_processor",       -- the instance, and whose position in the log is remembered
  on = "log",                  -- "log": a stage, after the commit; "produce": a gate, before it
  input = "in",
  output = "out",
  outputs = { "out.large" },   -- further topics that emit may name
  config = { large_bytes = 1000 }, -- defaults; the broker's configuration goes over them

  init = function(config)
    log.info("records above " .. config.large_bytes .. " bytes go to out.large")
  end,

  process = function(record)
    if record.value == nil then
      reject("a record without a value")
    end
    if #record.value > config.large_bytes then
      emit("out.large", record)
      return nil
    end
    scratch.count = (scratch.count or 0) + 1
    record.headers["count"] = scratch.count
    return record
  end,
}
