return { process = function(record) json.decode(("["):rep(1e6)) end }
