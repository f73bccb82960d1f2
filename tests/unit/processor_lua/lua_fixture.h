/* lua_fixture: a test host with processor_lua.so and a script in it. */
#ifndef LUA_FIXTURE_H
#define LUA_FIXTURE_H

#include "test_host.h"

#include <criterion/criterion.h>

/* Fills the host; another status than SLUICE_OK leaves host->error. Script file name: "test.lua".
 */
sluice_status lua_try(struct test_host *host, const char *source);
/* The same, where failure fails the test. */
void lua_start(struct test_host *host, const char *source);
/* lua_start with `return { process = function(record) BODY end }`. */
void lua_start_process(struct test_host *host, const char *body);
/* Runs one record with this value through such a script; the reason it was rejected with, or the
 * value that it emitted, or the kinds of its verdicts. Valid until the next call. */
const char *lua_eval(const char *body, const char *value);

#endif
