-- a coroutine in a coroutine without end
return { process = function(record)
  local function deeper() return coroutine.wrap(deeper)() end
  deeper()
end }
