/* What a signature may say. */
#include "native_signature.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char *recode(const char *text)
{
    static char out[NATIVE_SIGNATURE_BYTES_MAX];
    struct native_signature signature;
    struct native_fault fault = {"", 0};

    if (!native_signature_parse(text, strlen(text), &signature, &fault)) {
        snprintf(out, sizeof(out), "%zu: %s", fault.at, fault.what);
        return out;
    }
    cr_assert_eq(native_signature_print(&signature, out), strlen(out));
    return out;
}

Test(native_signature, names_and_blanks_are_free)
{
    cr_expect_str_eq(recode("f64(cstr,f64)"), "f64(cstr, f64)");
    cr_expect_str_eq(recode("  f64\tpow ( f64 ,f64 ) "), "f64 pow(f64, f64)");
    cr_expect_str_eq(recode("void x()"), "void x()");
    cr_expect_str_eq(recode("u8 _x9( void )"), "u8 _x9()");
    cr_expect_str_eq(recode("i64 f(bytes, bytes32, out(64), bool)"),
                     "i64 f(bytes, bytes32, out(64), bool)");
    cr_expect_str_eq(recode("f64 f64(f64)"), "f64 f64(f64)");
}

Test(native_signature, each_fault_has_its_place_and_its_sentence)
{
    static const struct {
        const char *text;
        size_t at;
        const char *what;
    } cases[] = {
        {"", 0, "a type is wanted"},
        {"int f()", 0, "a type is wanted"},
        {"f64 f(int)", 6, "a type is wanted"},
        {"f64 f(f64*)", 9, "',' or ')' is wanted"},
        {"f64 f(f64", 9, "',' or ')' is wanted"},
        {"f64 f(f64,)", 10, "a type is wanted"},
        {"f64 f(void, f64)", 6, "cannot be void"},
        {"f64 f f()", 6, "'(' is wanted"},
        {"f64 9f()", 4, "'(' is wanted"},
        {"bytes f()", 0, "a result cannot be bytes"},
        {"f64 f(out(4))", 6, "must be an integer"},
        {"i32 f(out)", 9, "'(' is wanted here: out(N)"},
        {"i32 f(out(0))", 10, "must be 1 to 1048576"},
        {"i32 f(out(1048577))", 10, "must be 1 to 1048576"},
        {"i32 f(out(99999999999999999999))", 10, "must be 1 to 1048576"},
        {"i32 f(out(8), out(8))", 14, "only one"},
        {"i32 f() x", 8, "nothing may follow"},
        {"i32 f(i8,i8,i8,i8,i8,i8,i8,i8,i8,i8,i8,i8,i8,i8,i8,i8,i8)", 54, "more than 16"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct native_signature signature;
        struct native_fault fault = {"", 0};

        cr_expect_not(
            native_signature_parse(cases[i].text, strlen(cases[i].text), &signature, &fault), "%s",
            cases[i].text);
        cr_expect_eq(fault.at, cases[i].at, "%s: at %zu", cases[i].text, fault.at);
        cr_expect(strstr(fault.what, cases[i].what) != NULL, "%s: %s", cases[i].text, fault.what);
    }
}

Test(native_signature, names_and_texts_have_a_bound)
{
    char text[2 * NATIVE_SIGNATURE_BYTES_MAX];
    struct native_signature signature;
    struct native_fault fault;

    memset(text, 'n', sizeof(text));
    memcpy(text, "f64 ", 4);
    memcpy(text + 4 + 127, "()", 2);
    cr_expect(native_signature_parse(text, 4 + 127 + 2, &signature, &fault));
    memcpy(text + 4 + 127, "n()", 3);
    cr_expect_not(native_signature_parse(text, 4 + 128 + 2, &signature, &fault));
    cr_expect_str_eq(fault.what, "the name is longer than 127 bytes");
    memset(text + 4, ' ', sizeof(text) - 4);
    cr_expect_not(native_signature_parse(text, NATIVE_SIGNATURE_BYTES_MAX, &signature, &fault));
    cr_expect_str_eq(fault.what, "the signature is longer than 1023 bytes");
}

Test(native_signature, ranges_are_those_of_c)
{
    cr_expect_eq(native_kind_min(NATIVE_I8), INT8_MIN);
    cr_expect_eq(native_kind_max(NATIVE_I8), INT8_MAX);
    cr_expect_eq(native_kind_min(NATIVE_I64), INT64_MIN);
    cr_expect_eq(native_kind_max(NATIVE_I64), INT64_MAX);
    cr_expect_eq(native_kind_min(NATIVE_U32), 0);
    cr_expect_eq(native_kind_max(NATIVE_U32), UINT32_MAX);
    cr_expect_eq(native_kind_max(NATIVE_U64), UINT64_MAX);
}
