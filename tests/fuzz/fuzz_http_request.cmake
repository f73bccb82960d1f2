if(TARGET http_frontend)
  sl_fuzzer(fuzz_http_request SOURCES fuzz_http_request.c DEPS http_frontend)
endif()
