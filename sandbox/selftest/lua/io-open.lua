return { process = function(record) return io.open("/etc/passwd"):read("a") end }
