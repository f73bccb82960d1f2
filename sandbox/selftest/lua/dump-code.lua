return { process = function(record) return string.dump(function() end) end }
