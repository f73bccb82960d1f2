return { process = function(record) return ("x"):rep(1 << 40) end }
