return { process = function(r) ffi.bind("libm.so.6", "f64 sin(f64)")(1) return r end }
