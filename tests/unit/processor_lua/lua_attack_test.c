/* Scripts that try to run for ever, to eat all memory, or to get out. Each test shows the one
 * outcome that is wanted; the deadline in them is short, and nothing depends on how short. */
#include "lua_fixture.h"

#include <stdio.h>
#include <string.h>

TestSuite(lua_attack, .timeout = 60);

#define ROUNDS_MAX 20u /* a busy machine may spare the attack a few times */

/* Runs a script that never ends on the middle one of three records, as a host does that gives again
 * what is to come again: that record alone is rejected, the others pass, and the instance works on.
 */
static void expect_stopped(const char *attack)
{
    struct test_host host = {0};
    test_host_init(&host);
    host.timeout_ms = 20;
    char body[2048];
    snprintf(body, sizeof(body), "if record.value == 'attack' then\n %s\n end return record",
             attack);
    lua_start_process(&host, body);
    const struct sluice_record records[] = {
        test_record(NULL, "a", 0), test_record(NULL, "attack", 1), test_record(NULL, "b", 2)};
    char outcome[4] = "";
    uint32_t done = 0;
    for (uint32_t round = 0; round < ROUNDS_MAX && done < 3; round++) {
        cr_assert_eq(test_host_run(&host, "in", records + done, 3 - done), SLUICE_OK);
        for (uint32_t i = 0; i < host.verdict_count && host.verdicts[i].kind != TEST_RETRY; i++) {
            outcome[done++] = host.verdicts[i].kind;
            const char *reason = host.verdicts[i].reason;
            cr_expect(reason == NULL || strstr(reason, "the deadline passed") != NULL, "%s",
                      reason);
        }
    }
    cr_expect_str_eq(outcome, "PRP", "%s", attack);
    cr_expect_null(host.violation, "%s", host.violation);
    test_host_fini(&host);
}

Test(lua_attack, a_loop_is_stopped_and_names_its_line)
{
    expect_stopped("while true do end");
    struct test_host host = {0};
    test_host_init(&host);
    host.timeout_ms = 20;
    lua_start_process(&host, "\n\n while true do end");
    cr_assert_eq(test_host_run_value(&host, "x"), SLUICE_OK);
    cr_expect_str_eq(host.verdicts[0].reason,
                     "test.lua:3: the deadline passed, the script was stopped");
    test_host_fini(&host);
}

Test(lua_attack, pcall_does_not_swallow_the_end)
{
    expect_stopped("while true do pcall(function() while true do end end) end");
    expect_stopped("while true do pcall(error, 'x') end");
}

Test(lua_attack, xpcall_handlers_do_not_outlive_the_deadline)
{
    expect_stopped("while true do xpcall(function() while true do end end, function() "
                   "while true do end end) end");
    expect_stopped("xpcall(error, function() while true do end end)");
}

Test(lua_attack, coroutines_do_not_hide_a_loop)
{
    expect_stopped(
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end");
    expect_stopped("while true do pcall(coroutine.wrap(function() while true do end end)) end");
    expect_stopped("local c = coroutine.wrap(function() while true do coroutine.yield() end end) "
                   "while true do c() end");
    expect_stopped("local function f() return coroutine.wrap(f)() end while true do pcall(f) end");
}

Test(lua_attack, closing_variables_do_not_hide_a_loop)
{
    expect_stopped(
        "local c = coroutine.create(function() local x <close> = setmetatable({}, {__close = "
        "function() while true do end end}) coroutine.yield() end) coroutine.resume(c) "
        "while true do coroutine.close(c) end");
    expect_stopped(
        "local x <close> = setmetatable({}, {__close = function() while true do end end})");
    expect_stopped(
        "local x <close> = setmetatable({}, {__close = function() while true do end end}) "
        "while true do end");
}

Test(lua_attack, callbacks_of_sort_and_gsub_are_stopped)
{
    expect_stopped("table.sort({3, 2, 1, 4}, function() while true do end end)");
    expect_stopped("string.gsub('x', 'x', function() while true do end end)");
    expect_stopped("tostring(setmetatable({}, {__tostring = function() while true do end end}))");
}

Test(lua_attack, many_slow_records_are_not_blamed)
{
    struct test_host host = {0};
    test_host_init(&host);
    host.timeout_ms = 40;
    lua_start_process(&host, "for i = 1, 20000 do end return record");
    enum { COUNT = 8000 };
    static struct sluice_record records[COUNT];
    for (int i = 0; i < COUNT; i++) {
        records[i] = test_record(NULL, "x", i);
    }
    uint32_t done = 0;
    for (int round = 0; round < 4 * COUNT && done < COUNT; round++) {
        cr_assert_eq(test_host_run(&host, "in", records + done, COUNT - done), SLUICE_OK);
        uint32_t count = host.verdict_count;
        count -= host.verdicts[count - 1].kind == TEST_RETRY ? 1 : 0;
        done += count;
    }
    cr_expect_eq(done, COUNT);
    test_host_fini(&host);
}

static void expect_no_memory(const char *attack)
{
    struct test_host host = {0};
    test_host_init(&host);
    host.limits = (struct sluice_limits){.size = sizeof(host.limits), .memory_bytes = 4 << 20};
    lua_start_process(&host, attack);
    cr_assert_eq(test_host_run_value(&host, "{\"a\":1}"), SLUICE_OK);
    cr_assert_str_eq(test_host_kinds(&host), "R", "%s", attack);
    cr_expect_not_null(strstr(host.verdicts[0].reason, "not enough memory"), "%s",
                       host.verdicts[0].reason);
    test_host_fini(&host);
}

Test(lua_attack, memory_ends_at_the_cap)
{
    expect_no_memory("record.value = string.rep('x', 1e9)");
    expect_no_memory("local t = {} for i = 1, 1e9 do t[i] = {} end");
    expect_no_memory("local s = 'x' while true do s = s .. s end");
    expect_no_memory("while true do record:json_set('a', string.rep('x', 1e6)); "
                     "record:json_set(string.rep('k', 200) .. math.random(), record.value) end");
    expect_no_memory("local s = string.rep('x', 1500000) json.encode({s, s})");
}

static void expect_error(const char *body, const char *error)
{
    const char *outcome = lua_eval(body, "x");
    cr_expect_not_null(strstr(outcome, error), "%s", outcome);
}

Test(lua_attack, recursion_ends_in_an_error)
{
    expect_error("local function f() return 1 + f() end f()", "not enough memory");
    expect_error("local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x", "loop");
    expect_error("local function f() return coroutine.wrap(f)() end f()", "overflow");
    expect_error("local f = ('x'):rep(10) return f:gsub('x', function() return f:gsub('x', "
                 "function() error('deep') end) end)",
                 "deep");
}

Test(lua_attack, what_is_dangerous_is_not_there)
{
    cr_expect_str_eq(
        lua_eval("for _, n in ipairs{'load', 'loadstring', 'loadfile', 'dofile', 'require', "
                 "'package', 'io', 'os', 'debug', 'collectgarbage', 'warn'} do "
                 "assert(_G[n] == nil, n) end "
                 "assert(string.dump == nil and (''):rep(0).dump == nil) return record",
                 "x"),
        "P");
}

Test(lua_attack, finalizers_are_refused)
{
    cr_expect_str_eq(lua_eval("setmetatable({}, {__gc = function() end})", "x"),
                     "test.lua:1: __gc is not available here");
    /* Added later it is no finalizer: Lua marks an object when the metatable is set. */
    cr_expect_str_eq(
        lua_eval("local m = {} setmetatable({}, m) m.__gc = function() error('ran') end "
                 "for i = 1, 1e5 do local t = {} end return record",
                 "x"),
        "P");
}

Test(lua_attack, metatables_of_the_host_cannot_be_taken)
{
    cr_expect_str_eq(
        lua_eval("assert(getmetatable('') == false and getmetatable(record) == false) "
                 "assert(getmetatable(record.headers) == false and getmetatable(string) == false) "
                 "assert(getmetatable(json.null) == false and getmetatable(json.array()) == false) "
                 "return record",
                 "x"),
        "P");
    cr_expect_str_eq(lua_eval("string.rep = nil", "x"), "test.lua:1: string is read-only");
    cr_expect_str_eq(lua_eval("json.decode = nil", "x"), "test.lua:1: json is read-only");
    cr_expect_not_null(strstr(lua_eval("rawset(string, 'rep', 1)", "x"), "protected"));
    cr_expect_not_null(strstr(lua_eval("setmetatable(json, {})", "x"), "protected metatable"));
}

Test(lua_attack, host_objects_refuse_each_other)
{
    cr_expect_not_null(strstr(lua_eval("record.headers.get(record, 'x')", "x"), "headers"));
    cr_expect_not_null(strstr(lua_eval("record.copy(record.headers)", "x"), "record expected"));
    cr_expect_not_null(
        strstr(lua_eval("record.json_get(json.decode('123456789012345678901'), 'x')", "x"),
               "record expected"));
    cr_expect_not_null(strstr(lua_eval("emit(json.null)", "x"), "record expected"));
    cr_expect_not_null(strstr(lua_eval("emit(coroutine.create(print))", "x"), "record expected"));
}

Test(lua_attack, bytecode_is_refused)
{
    struct test_host host = {0};
    cr_expect_eq(lua_try(&host, "\x1bLua\x54"), SLUICE_E_PLUGIN_LOAD);
    cr_expect_not_null(strstr(host.error, "attempt to load a binary chunk"), "%s", host.error);
    test_host_fini(&host);
}

Test(lua_attack, the_record_is_gone_after_the_batch)
{
    struct test_host host = {0};
    test_host_init(&host);
    lua_start(&host, "local kept; return { init = function() if kept then kept.value = 'x' end end,"
                     "process = function(record) kept = record; return record end }");
    cr_assert_eq(test_host_run_value(&host, "x"), SLUICE_OK);
    cr_expect_eq(host.processor->reconfigure(host.self), SLUICE_E_PLUGIN_CONFIG);
    cr_expect_str_eq(host.error, "test.lua:1: the record is gone: keep record:copy() instead");
    test_host_fini(&host);
}
