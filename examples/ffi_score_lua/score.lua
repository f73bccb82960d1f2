-- A score out of two fields of an order, by functions of the C library's libm.
local pow = ffi.bind("libm.so.6", "f64 pow(f64, f64)")
local log1p = ffi.bind("libm.so.6", "f64 log1p(f64)")

return {
  name = "score",
  input = "orders",
  output = "orders.scored",
  process = function(record)
    local amount = record:json_get("amount")
    local days = record:json_get("days")
    if math.type(amount) == nil or math.type(days) == nil then
      reject("amount and days must be numbers")
    end
    -- Worth falls by half every 30 days.
    return record:json_set("score", log1p(amount) * pow(0.5, days / 30))
  end,
}
