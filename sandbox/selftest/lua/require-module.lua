return { process = function(record) require("socket") end }
