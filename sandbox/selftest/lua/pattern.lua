-- backtracks for ever inside one C call: no hook reaches it
return { process = function(record) return ("a"):rep(3000):find((".-"):rep(40) .. "b") end }
