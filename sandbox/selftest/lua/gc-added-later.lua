return { process = function(record)
  local meta = {}
  local t = setmetatable({}, meta)
  meta.__gc = function() while true do end end
  t = nil
  for i = 1, 1e5 do local garbage = { i } end
  return nil
end }
