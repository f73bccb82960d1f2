local ok, why = pcall(ffi.bind, "libc.so.6", "i32 system(cstr)")
return { process = function(r) if ok then error("BREACH") end error(why) end }
