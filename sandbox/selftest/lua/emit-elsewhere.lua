return { process = function(record) emit("secrets", record) end }
