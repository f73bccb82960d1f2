return { process = function(record) dofile("/etc/passwd") end }
