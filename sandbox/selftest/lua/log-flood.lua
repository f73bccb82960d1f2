return { process = function(record) for i = 1, 1e5 do print(i) end return nil end }
