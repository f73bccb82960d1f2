return { process = function(record)
  error(setmetatable({}, { __tostring = function() while true do end end }))
end }
