return { process = function(record) while true do end end }
