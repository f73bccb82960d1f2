/* ffi.bind in scripts: what it gives, what it refuses. */
#include "lua_fixture.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

TestSuite(lua_ffi, .timeout = 60);

static struct sluice_resource granted[2];

static sluice_status try(struct test_host *host, const char *top, const char *body)
{
    static char source[4096];

    granted[0] = (struct sluice_resource){
        .size = sizeof(granted[0]),
        .kind = SLUICE_RESOURCE_LIBRARY,
        .descriptor = open(SLUICE_BINARY_DIR "/tests/sample_library.so", O_RDONLY),
        .name = sluice_text_of("sample")};
    granted[1] = (struct sluice_resource){.size = sizeof(granted[1]),
                                          .kind = SLUICE_RESOURCE_LIBRARY,
                                          .descriptor = -1,
                                          .name = sluice_text_of("libm.so.6")};
    test_host_init(host);
    host->resources =
        (struct sluice_resources){sizeof(host->resources), 2, sizeof(granted[0]), granted};
    snprintf(source, sizeof(source), "%s\nreturn { process = function(record) %s end }", top, body);
    return lua_try(host, source);
}

/* What an expression gives, with `f` bound to a function of the sample; or its error. */
static const char *eval(const char *signature, const char *expression)
{
    static char result[1024];
    char top[512];
    char body[1024];
    struct test_host host = {0};

    snprintf(top, sizeof(top), "local f = ffi.bind('sample', '%s')", signature);
    snprintf(body, sizeof(body), "record.value = tostring(%s) return record", expression);
    cr_assert_eq(try(&host, top, body), SLUICE_OK, "%s", host.error);
    cr_assert_eq(test_host_run_value(&host, "x"), SLUICE_OK);
    cr_assert_eq(host.verdict_count, 1);
    snprintf(result, sizeof(result), "%s",
             host.verdicts[0].reason != NULL ? host.verdicts[0].reason : test_host_value(&host));
    test_host_fini(&host);
    return result;
}

static void expect_refused(const char *top, const char *text)
{
    struct test_host host = {0};

    cr_expect_neq(try(&host, top, "return record"), SLUICE_OK, "%s", top);
    cr_expect(host.error != NULL && strstr(host.error, text) != NULL, "%s: %s", top, host.error);
    test_host_fini(&host);
}

Test(lua_ffi, a_function_of_the_system_is_called)
{
    struct test_host host = {0};

    cr_assert_eq(try(&host, "local pow = ffi.bind('libm.so.6', 'f64 pow(f64,f64)')",
                     "record.value = tostring(pow(2, 0.5)) return record"),
                 SLUICE_OK, "%s", host.error);
    cr_assert_eq(test_host_run_value(&host, "x"), SLUICE_OK);
    cr_expect_str_eq(test_host_value(&host), "1.4142135623731");
    test_host_fini(&host);
}

Test(lua_ffi, each_type_goes_there_and_back)
{
    static const char *const cases[][3] = {
        {"i8 same_i8(i8)", "f(-128)", "-128"},
        {"u16 same_u16(u16)", "f(65535.0)", "65535"},
        {"i64 same_i64(i64)", "f(math.mininteger)", "-9223372036854775808"},
        {"u64 same_u64(u64)", "f(math.maxinteger)", "9223372036854775807"},
        {"u64 same_u64(u64)", "f(json.decode('18446744073709551615'))", "18446744073709551615"},
        {"u64 length_of(bytes)", "f(nil)", "18446744073709551615"},
        {"u64 length_of(bytes)", "f('a\\0b')", "3"},
        {"u32 last_byte(bytes32)", "f('ab')", "98"},
        {"f32 same_f32(f32)", "f(0.5)", "0.5"},
        {"f64 same_f64(f64)", "f(3)", "3.0"},
        {"bool same_bool(bool)", "f(true)", "true"},
        {"cstr same_cstr(cstr)", "f('text')", "text"},
        {"cstr no_text()", "f()", "nil"},
        {"i64 reverse(bytes, out(16))", "f('abc')", "cba"},
        {"void nothing()", "select('#', f())", "0"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_expect_str_eq(eval(cases[i][0], cases[i][1]), cases[i][2]);
    }
}

Test(lua_ffi, wrong_arguments_are_errors_and_nothing_is_called)
{
    static const char *const cases[][3] = {
        {"i8 same_i8(i8)", "f(128)", "same_i8: argument 1 (i8): the integer is out of range"},
        {"u8 same_u8(u8)", "f(-1)", "argument 1 (u8): the integer is out of range"},
        {"i32 same_i32(i32)", "f(1.5)", "an integer is wanted"},
        {"i32 same_i32(i32)", "f('1')", "an integer is wanted"},
        {"u64 same_u64(u64)", "f(-1)", "out of range"},
        {"u64 same_u64(u64)", "f(json.decode('18446744073709551616'))", "out of range"},
        {"f32 same_f32(f32)", "f(1e39)", "the number is out of range"},
        {"f64 same_f64(f64)", "f('1')", "a number is wanted"},
        {"bool same_bool(bool)", "f(1)", "true or false is wanted"},
        {"cstr same_cstr(cstr)", "f('a\\0b')", "the string has a NUL in it"},
        {"cstr same_cstr(cstr)", "f(nil)", "a string is wanted"},
        {"u64 length_of(bytes)", "f(1)", "a string or nil is wanted"},
        {"i8 same_i8(i8)", "f()", "same_i8 takes 1 arguments, not 0"},
        {"i8 same_i8(i8)", "f(1, 2)", "same_i8 takes 1 arguments, not 2"},
        {"i64 reverse(bytes, out(2))", "f('abc')", "the function failed"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *text = eval(cases[i][0], cases[i][1]);

        cr_expect(strstr(text, cases[i][2]) != NULL, "%s: %s", cases[i][1], text);
    }
}

Test(lua_ffi, what_is_not_allowed_or_not_there_is_refused_with_what_to_write)
{
    expect_refused(
        "ffi.bind('libz.so.1', 'u64 crc32(u64, bytes32)')",
        "the library libz.so.1 is not allowed: to allow it, write \"library libz.so.1\"");
    expect_refused("ffi.bind('sample', 'int f()')",
                   "signature 'int f()': byte 1: a type is wanted");
    expect_refused("ffi.bind('sample', 'void nowhere()')", "has no function nowhere");
    expect_refused("ffi.bind('sample', 'void()')", "has no name");
    expect_refused("ffi.bind('sample')", "string expected");
    expect_refused("ffi.cast('int', 1)", "field 'cast'");
    expect_refused("ffi.bind = nil", "ffi is read-only");
    expect_refused("for i = 1, 65 do ffi.bind('sample', 'void nothing()') end", "more than 64");
}

Test(lua_ffi, functions_are_bound_only_while_the_script_is_loaded)
{
    struct test_host host = {0};

    cr_assert_eq(try(&host, "", "ffi.bind('sample', 'void nothing()') return record"), SLUICE_OK);
    cr_assert_eq(test_host_run_value(&host, "x"), SLUICE_OK);
    cr_assert_not_null(host.verdicts[0].reason);
    cr_expect(strstr(host.verdicts[0].reason, "only while the script is loaded") != NULL);
    test_host_fini(&host);
}
