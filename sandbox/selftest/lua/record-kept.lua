-- uses a record after its batch
local kept
return { process = function(record)
  if kept then return kept.value end
  kept = record
  return record
end }
