if(TARGET http_frontend)
  sl_fuzzer(fuzz_websocket SOURCES fuzz_websocket.c DEPS http_frontend)
endif()
