-- a host's function on an object of another kind
return { process = function(record) return record.headers.add(record, "a", "b") end }
