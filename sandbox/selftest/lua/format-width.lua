return { process = function(record) return ("%099999d"):format(1) end }
