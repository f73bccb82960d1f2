-- 2^53 steps inside one C call
return { process = function(record) table.move({}, 1, 1 << 53, 2) end }
