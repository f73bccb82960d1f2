return { process = function(record) getmetatable(record).__index = {} end }
