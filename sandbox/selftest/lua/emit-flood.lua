return { process = function(record) while true do emit(record) end end }
