-- takes the metatable that all strings share
return { process = function(record) getmetatable("").__index = function() end end }
