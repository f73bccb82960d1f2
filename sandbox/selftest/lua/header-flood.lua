return { process = function(record) for i = 1, 1e9 do record.headers:add("a", "b") end end }
