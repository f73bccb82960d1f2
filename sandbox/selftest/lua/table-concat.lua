return { process = function(record)
  local t = {}
  for i = 1, 1e6 do t[i] = ("x"):rep(1000) end
  return table.concat(t)
end }
