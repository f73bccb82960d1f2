/* processor_ffi on records: where arguments come from, where results go, what is refused. */
#include "test_host.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SAMPLE SLUICE_BINARY_DIR "/tests/sample_library.so"

TestSuite(processor_ffi, .timeout = 60);

static struct sluice_resource granted[2];

/* The sample by descriptor, libm by name. */
static void grant(struct test_host *host)
{
    granted[0] = (struct sluice_resource){.size = sizeof(granted[0]),
                                          .kind = SLUICE_RESOURCE_LIBRARY,
                                          .descriptor = open(SAMPLE, O_RDONLY),
                                          .name = sluice_text_of("sample")};
    granted[1] = (struct sluice_resource){.size = sizeof(granted[1]),
                                          .kind = SLUICE_RESOURCE_LIBRARY,
                                          .descriptor = -1,
                                          .name = sluice_text_of("libm.so.6")};
    cr_assert_geq(granted[0].descriptor, 0);
    host->resources =
        (struct sluice_resources){sizeof(host->resources), 2, sizeof(granted[0]), granted};
}

static sluice_status try(struct test_host *host, const char *config)
{
    static const struct sluice_plugin_descriptor *plugin;

    plugin = test_host_open_module(SLUICE_BINARY_DIR "/lib/sluice/plugins/processor_ffi.so");
    cr_assert_not_null(plugin);
    test_host_init(host);
    grant(host);
    host->config_json = config;
    return test_host_start(host, plugin->entry);
}

static void start(struct test_host *host, const char *signature, const char *arguments,
                  const char *result)
{
    static char config[2048];

    snprintf(config, sizeof(config),
             "{\"library\":\"sample\",\"signature\":\"%s\",\"arguments\":%s,\"result\":%s}",
             signature, arguments, result);
    cr_assert_eq(try(host, config), SLUICE_OK, "%s: %s", config, host->error);
}

static const char *outcome(struct test_host *host)
{
    static char text[1024];
    const struct test_verdict *verdict = host->verdicts;

    cr_assert_eq(host->verdict_count, 1);
    snprintf(text, sizeof(text), "%c%s", verdict->kind,
             verdict->reason != NULL      ? verdict->reason
             : verdict->kind == TEST_EMIT ? (const char *)verdict->value.data
                                          : "");
    return text;
}

/* One record with this value through the function. */
static const char *run(const char *signature, const char *arguments, const char *result,
                       const char *value)
{
    struct test_host host = {0};
    const char *text;

    start(&host, signature, arguments, result);
    cr_assert_eq(test_host_run_value(&host, value), SLUICE_OK);
    cr_assert_null(host.violation, "%s", host.violation);
    text = outcome(&host);
    test_host_fini(&host);
    return text;
}

Test(processor_ffi, each_type_comes_from_text_and_goes_to_text)
{
    static const char *const cases[][3] = {
        {"i8", "-128", "E-128"},
        {"i8", "128",
         "Rargument 1 (value) of same_i8: the integer is out of the parameter's range"},
        {"u8", "-1", "Rargument 1 (value) of same_u8: the integer is out of the parameter's range"},
        {"u8", "1.5", "Rargument 1 (value) of same_u8: it is not an integer"},
        {"u16", "65535", "E65535"},
        {"i64", "-9223372036854775808", "E-9223372036854775808"},
        {"i64", "9223372036854775808",
         "Rargument 1 (value) of same_i64: the integer is out of the parameter's range"},
        {"u64", "18446744073709551615", "E18446744073709551615"},
        {"u64", "18446744073709551616",
         "Rargument 1 (value) of same_u64: the integer is out of the parameter's range"},
        {"f64", "2.5", "E2.5"},
        {"f64", "1e400",
         "Rargument 1 (value) of same_f64: the number is out of the parameter's range"},
        {"f64", "0x10", "Rargument 1 (value) of same_f64: it is not a number"},
        {"f64", "", "Rargument 1 (value) of same_f64: it is not a number"},
        {"f32", "1e39",
         "Rargument 1 (value) of same_f32: the number is out of the parameter's range"},
        {"f32", "0.5", "E0.5"},
        {"bool", "true", "Etrue"},
        {"bool", "2", "Rargument 1 (value) of same_bool: it is not true or false"},
        {"cstr", "text", "Etext"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char signature[64];

        snprintf(signature, sizeof(signature), "%s same_%s(%s)", cases[i][0], cases[i][0],
                 cases[i][0]);
        cr_expect_str_eq(run(signature, "[\"value\"]", "\"value\"", cases[i][1]), cases[i][2]);
    }
}

Test(processor_ffi, a_cstr_with_a_nul_in_it_is_not_called_with)
{
    struct test_host host = {0};
    struct sluice_record record = test_record(NULL, "", 1);

    start(&host, "cstr same_cstr(cstr)", "[\"value\"]", "\"value\"");
    record.value = (struct sluice_bytes){(const uint8_t *)"a\0b", 3};
    cr_assert_eq(test_host_run(&host, "in", &record, 1), SLUICE_OK);
    cr_expect(strstr(outcome(&host), "NUL") != NULL);
    test_host_fini(&host);
    cr_expect(strstr(run("cstr same_cstr(cstr)", "[{\"json\":\"a\"}]", "\"value\"",
                         "{\"a\":\"x\\u0000y\"}"),
                     "NUL") != NULL);
}

Test(processor_ffi, arguments_come_from_key_header_json_and_constants)
{
    struct test_host host = {0};
    struct sluice_header headers[] = {{{"n", 1}, {(const uint8_t *)"9", 1}},
                                      {{"n", 1}, {(const uint8_t *)"10", 2}}};
    struct sluice_record record = test_record("5", "{\"a\":{\"b\":[7,8]},\"s\":\"xyz\"}", 1);

    record.headers = headers;
    record.header_count = 2;
    start(&host, "f64 sum(i8, u16, i32, u64, f32, f64, cstr, bool)",
          "[\"key\",{\"header\":\"n\"},{\"json\":\"a.b[1]\"},{\"constant\":1000},"
          "{\"json\":\"none\",\"default\":0.5},{\"constant\":\"0.25\"},{\"json\":\"s\"},"
          "{\"constant\":true}]",
          "{\"json\":\"a.sum\"}");
    cr_assert_eq(test_host_run(&host, "in", &record, 1), SLUICE_OK);
    cr_expect_str_eq(outcome(&host), "E{\"a\":{\"b\":[7,8],\"sum\":1027.75},\"s\":\"xyz\"}");
    test_host_fini(&host);
}

Test(processor_ffi, what_is_missing_is_a_reason_a_default_or_no_bytes)
{
    cr_expect_str_eq(run("i8 same_i8(i8)", "[{\"json\":\"a\"}]", "\"value\"", "{}"),
                     "Rargument 1 (json a) of same_i8: the record has none");
    cr_expect_str_eq(run("i8 same_i8(i8)", "[{\"json\":\"a\"}]", "\"value\"", "{\"a\":null}"),
                     "Rargument 1 (json a) of same_i8: the record has none");
    cr_expect_str_eq(run("i8 same_i8(i8)", "[{\"json\":\"a\",\"default\":3}]", "\"value\"", "{}"),
                     "E3");
    cr_expect_str_eq(run("i8 same_i8(i8)", "[\"value\"]", "\"value\"", NULL),
                     "Rargument 1 (value) of same_i8: the record has none");
    cr_expect_str_eq(run("u64 length_of(bytes)", "[\"key\"]", "\"value\"", "x"),
                     "E18446744073709551615");
    cr_expect_str_eq(run("i8 same_i8(i8)", "[{\"json\":\"a\"}]", "\"value\"", "{a"),
                     "Rthe value is not the JSON that argument 1 wants: a key is wanted at "
                     "byte 1");
}

Test(processor_ffi, results_go_to_value_key_header_and_json)
{
    struct test_host host = {0};
    struct sluice_header headers[] = {{{"h", 1}, {(const uint8_t *)"old", 3}},
                                      {{"x", 1}, {NULL, 0}}};
    struct sluice_record record = test_record("key", "255", 1);

    record.headers = headers;
    record.header_count = 2;
    start(&host, "u32 same_u32(u32)", "[\"value\"]", "{\"header\":\"h\",\"format\":\"hex\"}");
    cr_assert_eq(test_host_run(&host, "in", &record, 1), SLUICE_OK);
    cr_expect_str_eq(outcome(&host), "E255");
    cr_assert_eq(host.verdicts[0].header_count, 2);
    cr_expect_str_eq(host.verdicts[0].headers[0].key.data, "x");
    cr_expect_str_eq(host.verdicts[0].headers[1].key.data, "h");
    cr_expect_str_eq((const char *)host.verdicts[0].headers[1].value.data, "000000ff");
    test_host_fini(&host);
    start(&host, "u32 same_u32(u32)", "[\"value\"]", "\"key\"");
    cr_assert_eq(test_host_run(&host, "in", &record, 1), SLUICE_OK);
    cr_expect_str_eq((const char *)host.verdicts[0].key.data, "255");
    test_host_fini(&host);
    cr_expect_str_eq(run("i64 reverse(bytes, out(64))", "[\"value\"]", "\"value\"", "abc"), "Ecba");
    cr_expect_str_eq(run("i64 reverse(bytes, out(2))", "[\"value\"]", "\"value\"", "abc"),
                     "Rreverse: the function failed: its result is negative");
    cr_expect_str_eq(run("cstr a_quote()", "[]", "{\"json\":\"q\"}", "{ }"),
                     "E{\"q\":\"say \\\"\\u0001\\n\\\" \\\\\" }");
    cr_expect_str_eq(run("cstr no_text()", "[]", "{\"json\":\"q\"}", "{\"q\":1}"), "E{\"q\":null}");
    cr_expect(strstr(run("cstr no_utf8()", "[]", "{\"json\":\"q\"}", "{}"), "UTF-8") != NULL);
    cr_expect(strstr(run("f64 not_a_number()", "[]", "\"value\"", "{}"), "finite") != NULL);
    cr_expect(strstr(run("cstr a_quote()", "[]", "{\"json\":\"q.r\"}", "{\"q\":1}"),
                     "something else") != NULL);
    cr_expect_str_eq(run("void nothing()", "[]", "\"none\"", "x"), "P");
}

Test(processor_ffi, a_changed_record_keeps_whatever_timestamp_its_producer_sent)
{
    static const int64_t times[] = {-1, INT64_MIN, 0, INT64_MAX};
    struct test_host host = {0};
    struct sluice_record records[4];

    for (size_t i = 0; i < 4; i++) {
        records[i] = test_record("key", "255", (int64_t)i);
        records[i].timestamp = times[i];
    }
    start(&host, "u32 same_u32(u32)", "[\"value\"]", "\"key\"");
    cr_assert_eq(test_host_run(&host, "in", records, 4), SLUICE_OK);
    cr_assert_str_eq(test_host_kinds(&host), "EEEE");
    for (size_t i = 0; i < 4; i++) {
        cr_expect_eq(host.verdicts[i].timestamp, -1); /* the input record's */
    }
    test_host_fini(&host);
}

Test(processor_ffi, results_decide_about_the_record)
{
    const char *drop = "{\"drop_if\":\"zero\"}";

    cr_expect_str_eq(run("i32 same_i32(i32)", "[\"value\"]", drop, "0"), "D");
    cr_expect_str_eq(run("i32 same_i32(i32)", "[\"value\"]", drop, "-1"), "P");
    cr_expect_str_eq(run("bool same_bool(bool)", "[\"value\"]", drop, "false"), "D");
    cr_expect_str_eq(run("f64 same_f64(f64)", "[\"value\"]", "{\"reject_if\":\"nonzero\"}", "0.5"),
                     "Rsame_f64 says no: its result is not zero");
}

Test(processor_ffi, a_configuration_is_refused_with_the_key_and_what_to_write)
{
    static const char *const cases[][2] = {
        {"[]", "must be an object"},
        {"{}", "library is missing"},
        {"{\"library\":\"sample\"}", "signature is missing"},
        {"{\"library\":\"sample\",\"signature\":\"int f()\"}", "byte 1: a type is wanted"},
        {"{\"library\":\"sample\",\"signature\":\"void()\"}", "symbol is missing"},
        {"{\"library\":\"sample\",\"symbol\":\"a\",\"signature\":\"void b()\"}",
         "symbol is a, the signature says b"},
        {"{\"library\":\"sample\",\"signature\":\"void nothing()\"}", "result is missing"},
        {"{\"library\":\"sample\",\"signature\":\"void nothing()\",\"result\":\"value\"}",
         "the function is void"},
        {"{\"library\":\"sample\",\"signature\":\"i8 same_i8(i8)\",\"result\":\"value\"}",
         "argument 1 is missing"},
        {"{\"library\":\"sample\",\"signature\":\"i8 same_i8(i8)\",\"result\":\"value\","
         "\"arguments\":[\"value\",\"key\"]}",
         "more entries"},
        {"{\"library\":\"sample\",\"signature\":\"i8 same_i8(i8)\",\"result\":\"value\","
         "\"arguments\":[{\"constant\":300}]}",
         "out of the parameter's range"},
        {"{\"library\":\"sample\",\"signature\":\"i8 same_i8(i8)\",\"result\":\"value\","
         "\"arguments\":[{\"json\":\"a[\"}]}",
         "an index is wanted"},
        {"{\"library\":\"sample\",\"signature\":\"i8 same_i8(i8)\",\"result\":\"value\","
         "\"arguments\":[{\"json\":\"a\",\"header\":\"b\"}]}",
         "exactly one"},
        {"{\"library\":\"sample\",\"signature\":\"i8 same_i8(i8)\",\"result\":{\"heder\":\"x\"},"
         "\"arguments\":[\"value\"]}",
         "unknown key heder"},
        {"{\"library\":\"sample\",\"signature\":\"f64 same_f64(f64)\","
         "\"result\":{\"json\":\"x\",\"format\":\"hex\"},\"arguments\":[\"value\"]}",
         "hex needs"},
        {"{\"library\":\"sample\",\"signature\":\"cstr "
         "a_quote()\",\"result\":{\"drop_if\":\"zero\"}}",
         "returns a number"},
        {"{\"library\":\"sample\",\"signature\":\"void nowhere()\",\"result\":\"none\"}",
         "the library sample has no function nowhere"},
        {"{\"library\":\"sample\",\"signature\":\"void some_data()\",\"result\":\"none\"}",
         "no function some_data: it is data"},
        {"{\"library\":\"libz.so.1\",\"signature\":\"void f()\",\"result\":\"none\"}",
         "the library libz.so.1 is not allowed: to allow it, write \"library libz.so.1\" into the "
         "list plugins.instances.NAME.permissions"},
        {"{\"libary\":\"sample\"}", "unknown key libary"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_host host = {0};

        cr_expect_neq(try(&host, cases[i][0]), SLUICE_OK, "%s", cases[i][0]);
        cr_expect(host.error != NULL && strstr(host.error, cases[i][1]) != NULL, "%s: %s",
                  cases[i][0], host.error);
        test_host_fini(&host);
    }
}

Test(processor_ffi, a_new_configuration_keeps_the_function)
{
    struct test_host host = {0};

    start(&host, "i32 same_i32(i32)", "[\"value\"]", "\"value\"");
    host.config_json = "{\"library\":\"sample\",\"signature\":\"i32 same_i32(i32)\","
                       "\"arguments\":[{\"constant\":7}],\"result\":\"value\"}";
    cr_assert_eq(host.processor->reconfigure(host.self), SLUICE_OK, "%s", host.error);
    cr_assert_eq(test_host_run_value(&host, "1"), SLUICE_OK);
    cr_expect_str_eq(outcome(&host), "E7");
    host.config_json = "{\"library\":\"libm.so.6\",\"signature\":\"f64 sin(f64)\","
                       "\"arguments\":[{\"constant\":7}],\"result\":\"value\"}";
    cr_assert_eq(host.processor->reconfigure(host.self), SLUICE_E_PLUGIN_CONFIG);
    cr_expect(strstr(host.error, "cannot change") != NULL);
    cr_assert_eq(test_host_run_value(&host, "1"), SLUICE_OK);
    cr_expect_str_eq(outcome(&host), "E7");
    test_host_fini(&host);
}

Test(processor_ffi, only_a_worker_calls_functions)
{
    struct test_host host = {0};
    const struct sluice_plugin_descriptor *plugin =
        test_host_open_module(SLUICE_BINARY_DIR "/lib/sluice/plugins/processor_ffi.so");

    test_host_init(&host);
    host.config_json = "{\"library\":\"libm.so.6\",\"signature\":\"f64 sin(f64)\","
                       "\"arguments\":[\"value\"],\"result\":\"value\"}";
    cr_assert_neq(test_host_start(&host, plugin->entry), SLUICE_OK);
    cr_expect(strstr(host.error, "in workers only") != NULL, "%s", host.error);
    test_host_fini(&host);
}
