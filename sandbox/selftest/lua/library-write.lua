return { process = function(record) string.format = function() return "stolen" end end }
