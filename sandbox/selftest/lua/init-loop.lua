return { init = function() while true do end end, process = function(record) end }
