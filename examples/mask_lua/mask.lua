-- Masks card numbers: every record of `orders` appears in `orders.masked` with all digits of `card`
-- but the last four replaced by '*'. Everything else stays as it came, byte for byte.

local function mask(card)
  local keep = select(2, card:gsub("%d", "")) - 4
  local seen = 0
  return (card:gsub("%d", function(digit)
    seen = seen + 1
    return seen <= keep and "*" or digit
  end))
end

return {
  name = "mask",
  on = "log",
  input = "orders",
  output = "orders.masked",

  process = function(record)
    local card = record:json_get("card")
    if type(card) == "string" then
      record:json_set("card", mask(card))
    end
    return record
  end,
}
