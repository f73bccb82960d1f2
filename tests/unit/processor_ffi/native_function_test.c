/* Calls by signature: every type there and back. */
#include "native_function.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static struct native_function bound;

static struct native_function *bind(const char *text)
{
    struct native_signature signature;
    struct native_fault fault;
    void *library = dlopen(SLUICE_BINARY_DIR "/tests/sample_library.so", RTLD_NOW);

    cr_assert_not_null(library, "%s", dlerror());
    cr_assert(native_signature_parse(text, strlen(text), &signature, &fault), "%s", fault.what);
    cr_assert_null(native_function_init(&bound, &signature, dlsym(library, signature.name)));
    return &bound;
}

static uint64_t same_integer(const char *type, uint64_t bits)
{
    char text[64];
    struct native_function *function;

    snprintf(text, sizeof(text), "%s same_%s(%s)", type, type, type);
    function = bind(text);
    native_function_set_integer(function, 0, bits);
    native_function_call(function);
    return native_function_integer(function);
}

Test(native_function, integers_come_back_with_their_sign)
{
    cr_expect_eq((int64_t)same_integer("i8", (uint64_t)-5), -5);
    cr_expect_eq((int64_t)same_integer("i16", (uint64_t)INT16_MIN), INT16_MIN);
    cr_expect_eq((int64_t)same_integer("i32", (uint64_t)-1), -1);
    cr_expect_eq((int64_t)same_integer("i64", (uint64_t)INT64_MIN), INT64_MIN);
    cr_expect_eq(same_integer("u8", 255), 255);
    cr_expect_eq(same_integer("u16", 65535), 65535);
    cr_expect_eq(same_integer("u32", UINT32_MAX), UINT32_MAX);
    cr_expect_eq(same_integer("u64", UINT64_MAX), UINT64_MAX);
}

Test(native_function, many_kinds_at_once)
{
    struct native_function *function = bind("f64 sum(i8, u16, i32, u64, f32, f64, cstr, bool)");

    native_function_set_integer(function, 0, (uint64_t)-1);
    native_function_set_integer(function, 1, 60000);
    native_function_set_integer(function, 2, (uint64_t)-100000);
    native_function_set_integer(function, 3, 1ull << 40);
    native_function_set_real(function, 4, 0.5);
    native_function_set_real(function, 5, 0.25);
    native_function_set_bytes(function, 6, "four", 4);
    native_function_set_integer(function, 7, 1);
    native_function_call(function);
    cr_expect_eq(native_function_real(function), -1 + 60000 - 100000 + 1099511627776.0 + 0.75 + 5);
}

Test(native_function, bytes_are_a_pointer_and_a_length_of_either_width)
{
    struct native_function *function = bind("u64 length_of(bytes)");

    native_function_set_bytes(function, 0, "abc", 3);
    native_function_call(function);
    cr_expect_eq(native_function_integer(function), 3);
    native_function_set_bytes(function, 0, NULL, 0);
    native_function_call(function);
    cr_expect_eq(native_function_integer(function), UINT64_MAX);
    function = bind("u32 last_byte(bytes32)");
    native_function_set_bytes(function, 0, "abc", 3);
    native_function_call(function);
    cr_expect_eq(native_function_integer(function), 'c');
}

Test(native_function, an_out_parameter_gives_what_was_written)
{
    struct native_function *function = bind("i64 reverse(bytes, out(5))");
    const uint8_t *data;
    size_t size;

    native_function_set_bytes(function, 0, "abcde", 5);
    native_function_call(function);
    cr_expect_null(native_function_bytes(function, &data, &size));
    cr_expect(size == 5 && memcmp(data, "edcba", 5) == 0);
    native_function_set_bytes(function, 0, "abcdef", 6);
    native_function_call(function);
    cr_expect_str_eq(native_function_bytes(function, &data, &size),
                     "the function failed: its result is negative");
    native_function_fini(function);
    function = bind("u32 lies(out(1))");
    native_function_call(function);
    cr_expect(strstr(native_function_bytes(function, &data, &size), "more than out(N)") != NULL);
    native_function_fini(function);
}

Test(native_function, behind_an_out_parameter_is_nothing, .signal = SIGSEGV)
{
    (void)signal(SIGSEGV, SIG_DFL); /* a sanitizer would make a report of it */
    struct native_function *function = bind("u32 lies(out(4096))");

    function->out[4096] = 1;
}
