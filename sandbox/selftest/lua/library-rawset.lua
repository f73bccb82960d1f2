return { process = function(record) rawset(string, "format", print) end }
