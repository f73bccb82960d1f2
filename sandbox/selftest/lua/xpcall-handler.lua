-- works on in the handler of the error that stops it
return { process = function(record)
  xpcall(function() while true do end end, function() while true do end end)
  while true do end
end }
