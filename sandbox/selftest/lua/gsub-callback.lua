return { process = function(record)
  (("a"):rep(1e6)):gsub("a", function() while true do end end)
end }
