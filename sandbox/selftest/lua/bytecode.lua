return { process = function(record) end }
