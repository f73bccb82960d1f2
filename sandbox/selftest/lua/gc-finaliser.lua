-- hooks are off in finalisers
return { process = function(record)
  setmetatable({}, { __gc = function() while true do end end })
end }
