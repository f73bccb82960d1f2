/* What a script can do with records, and what the host learns of it. */
#include "lua_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(processor_lua, .timeout = 60);

Test(processor_lua, a_returned_record_passes_and_nil_drops_it)
{
    cr_expect_str_eq(lua_eval("return record", "x"), "P");
    cr_expect_str_eq(lua_eval("return nil", "x"), "D");
    cr_expect_str_eq(lua_eval("", "x"), "D");
}

Test(processor_lua, a_changed_record_is_emitted_with_its_changes)
{
    struct test_host host = {0};
    lua_start_process(&host, "record.key = 'k'; record.value = record.value .. '!';"
                             "record.timestamp = record.timestamp + 1; return record");
    cr_assert_eq(test_host_run_value(&host, "x"), SLUICE_OK);
    cr_expect_str_eq(test_host_value(&host), "x!");
    cr_expect_str_eq((const char *)host.verdicts[0].key.data, "k");
    cr_expect_eq(host.verdicts[0].timestamp, 1001);
    cr_expect_str_eq(host.verdicts[0].topic, "");
    test_host_fini(&host);
}

Test(processor_lua, fields_read_as_they_came)
{
    cr_expect_str_eq(lua_eval("record.value = table.concat({record.topic, record.partition, "
                              "record.offset, record.timestamp, tostring(record.key), "
                              "math.type(record.offset)}, ' '); return record",
                              "x"),
                     "in 3 7 1000 nil integer");
}

Test(processor_lua, null_and_empty_values_stay_apart)
{
    cr_expect_str_eq(lua_eval("reject(tostring(record.value))", NULL), "nil");
    cr_expect_str_eq(lua_eval("reject('[' .. record.value .. ']')", ""), "[]");
    struct test_host host = {0};
    lua_start_process(&host, "record.value = nil; return record");
    cr_assert_eq(test_host_run_value(&host, "x"), SLUICE_OK);
    cr_assert_eq(host.verdict_count, 1);
    cr_expect_null(host.verdicts[0].value.data);
    test_host_fini(&host);
}

Test(processor_lua, read_only_fields_and_unknown_ones_are_refused_by_name)
{
    cr_expect_str_eq(lua_eval("record.offset = 1", "x"), "test.lua:1: record.offset is read-only");
    cr_expect_str_eq(lua_eval("record.headers = {}", "x"),
                     "test.lua:1: record.headers is read-only (set record.headers[name])");
    cr_expect_str_eq(lua_eval("return record.valu", "x"), "test.lua:1: a record has no such field");
    cr_expect_not_null(strstr(lua_eval("record.value = {}", "x"), "not a table (json.encode"));
}

Test(processor_lua, several_records_come_out_in_order)
{
    struct test_host host = {0};
    lua_start_process(&host,
                      "local a, b = record:copy(), record:copy(); a.value = 'a'; b.value = 'b';"
                      "emit(a); a.value = 'later'; emit('side', b); return {a, b}, record");
    cr_assert_eq(test_host_run_value(&host, "x"), SLUICE_OK);
    cr_assert_str_eq(test_host_kinds(&host), "EEEEE");
    static const char *const values[] = {"a", "b", "later", "b", "x"};
    for (uint32_t i = 0; i < 5; i++) {
        cr_expect_str_eq((const char *)host.verdicts[i].value.data, values[i]);
    }
    cr_expect_str_eq(host.verdicts[1].topic, "side");
    cr_expect_str_eq(host.verdicts[2].topic, "");
    cr_expect_null(host.violation);
    test_host_fini(&host);
}

Test(processor_lua, an_empty_list_drops_and_anything_else_is_an_error)
{
    cr_expect_str_eq(lua_eval("return {}", "x"), "D");
    cr_expect_str_eq(lua_eval("return 1", "x"), "process must return records or nil");
    cr_expect_str_eq(lua_eval("return {record, 'x'}", "x"), "process must return records or nil");
}

Test(processor_lua, a_topic_that_is_not_granted_costs_that_record)
{
    struct test_host host = {0};
    lua_start_process(&host, "emit(record.value, record)");
    host.granted[host.granted_count++] = "good";
    const struct sluice_record records[] = {
        test_record(NULL, "good", 0), test_record(NULL, "bad", 1), test_record(NULL, "good", 2)};
    cr_assert_eq(test_host_run(&host, "in", records, 3), SLUICE_OK);
    cr_expect_str_eq(test_host_kinds(&host), "ERE");
    cr_expect_not_null(strstr(host.verdicts[1].reason, "not granted"));
    test_host_fini(&host);
}

Test(processor_lua, a_changed_record_keeps_whatever_timestamp_its_producer_sent)
{
    static const int64_t times[] = {-1, INT64_MIN, -2, 0, INT64_MAX};
    struct test_host host = {0};
    lua_start_process(&host, "record.value = record.timestamp .. '!'; return record");
    struct sluice_record records[5];
    for (size_t i = 0; i < 5; i++) {
        records[i] = test_record(NULL, "x", (int64_t)i);
        records[i].timestamp = times[i];
    }
    cr_assert_eq(test_host_run(&host, "in", records, 5), SLUICE_OK);
    cr_assert_str_eq(test_host_kinds(&host), "EEEEE");
    cr_expect_str_eq((const char *)host.verdicts[1].value.data, "-9223372036854775808!");
    for (size_t i = 0; i < 5; i++) { /* -1 to the writer: the input record's */
        cr_expect_eq(host.verdicts[i].timestamp, times[i] < 0 ? -1 : times[i]);
    }
    test_host_fini(&host);
}

Test(processor_lua, when_the_output_is_full_the_rest_comes_again)
{
    struct test_host host = {0};
    lua_start_process(&host, "record.value = record.value .. record.value; return record");
    host.output_bytes_max = 10;
    const struct sluice_record records[] = {
        test_record(NULL, "1234", 0), test_record(NULL, "5678", 1), test_record(NULL, "9", 2)};
    cr_assert_eq(test_host_run(&host, "in", records, 3), SLUICE_OK);
    cr_expect_str_eq(test_host_kinds(&host), "ET");
    cr_expect_eq(host.verdicts[1].index, 1);
    host.output_bytes_max = 4;
    cr_assert_eq(test_host_run(&host, "in", records, 1), SLUICE_OK);
    cr_expect_str_eq(test_host_kinds(&host), "R");
    test_host_fini(&host);
}

Test(processor_lua, an_error_costs_one_record_and_names_file_and_line)
{
    struct test_host host = {0};
    lua_start(&host, "return {\n process = function(record)\n  if record.value == 'bad' then\n"
                     "   emit(record)\n   local x = nil + 1\n  end\n  return record\n end }");
    const struct sluice_record records[] = {test_record(NULL, "a", 0), test_record(NULL, "bad", 1),
                                            test_record(NULL, "b", 2)};
    cr_assert_eq(test_host_run(&host, "in", records, 3), SLUICE_OK);
    cr_expect_str_eq(test_host_kinds(&host), "PRP");
    cr_expect_str_eq(host.verdicts[1].reason,
                     "test.lua:5: attempt to perform arithmetic on a nil value");
    test_host_fini(&host);
}

Test(processor_lua, reject_carries_its_reason_and_error_objects_get_one)
{
    cr_expect_str_eq(lua_eval("reject('no card')", "x"), "no card");
    cr_expect_str_eq(lua_eval("error({})", "x"), "test.lua: an error that is not a string: table");
    cr_expect_str_eq(lua_eval("error('plain', 0)", "x"), "test.lua: plain");
}

Test(processor_lua, headers_keep_order_and_duplicates)
{
    struct test_host host = {0};
    lua_start_process(&host,
                      "local h = record.headers; assert(#h == 3 and h.a == '3' and h.none == nil);"
                      "h:add('z', 9); h.b = 'B'; h.add = 'x'; assert(h:get('add') == 'x');"
                      "h:add('null'); local n = {}; for k, v in pairs(h) do n[#n+1] = k .. '=' .. "
                      "tostring(v) end; record.value = table.concat(n, ' '); return record");
    const struct sluice_header headers[] = {{sluice_text_of("a"), {(const uint8_t *)"1", 1}},
                                            {sluice_text_of("b"), {(const uint8_t *)"2", 1}},
                                            {sluice_text_of("a"), {(const uint8_t *)"3", 1}}};
    struct sluice_record record = test_record(NULL, "x", 0);
    record.headers = headers;
    record.header_count = 3;
    cr_assert_eq(test_host_run(&host, "in", &record, 1), SLUICE_OK);
    cr_expect_str_eq(test_host_value(&host), "a=1 b=B a=3 z=9 add=x null=nil");
    cr_assert_eq(host.verdicts[0].header_count, 6);
    cr_expect_null(host.verdicts[0].headers[5].value.data);
    test_host_fini(&host);
}

Test(processor_lua, assigning_a_header_replaces_all_of_its_name)
{
    struct test_host host = {0};
    lua_start_process(&host, "record.headers.a = 'n'; local c = record:copy(); c.headers.a = nil;"
                             "return record, c");
    const struct sluice_header headers[] = {{sluice_text_of("a"), {(const uint8_t *)"1", 1}},
                                            {sluice_text_of("b"), {NULL, 0}},
                                            {sluice_text_of("a"), {(const uint8_t *)"3", 1}}};
    struct sluice_record record = test_record(NULL, "x", 0);
    record.headers = headers;
    record.header_count = 3;
    cr_assert_eq(test_host_run(&host, "in", &record, 1), SLUICE_OK);
    cr_assert_str_eq(test_host_kinds(&host), "EE");
    cr_assert_eq(host.verdicts[0].header_count, 2);
    cr_expect_str_eq((const char *)host.verdicts[0].headers[0].value.data, "n");
    cr_assert_eq(host.verdicts[1].header_count, 1);
    cr_expect_str_eq(host.verdicts[1].headers[0].key.data, "b");
    test_host_fini(&host);
}

Test(processor_lua, scratch_survives_and_copies_may_be_kept_but_the_record_not)
{
    struct test_host host = {0};
    lua_start(&host,
              "local kept; return { process = function(record)\n"
              "if not kept then kept = record:copy(); scratch.f = function() return record end;"
              "return nil end\n"
              "record.value = kept.value .. kept.topic; return record end }");
    const struct sluice_record records[] = {test_record(NULL, "1", 0), test_record(NULL, "2", 1)};
    cr_assert_eq(test_host_run(&host, "in", records, 1), SLUICE_OK);
    cr_assert_eq(test_host_run(&host, "in", records + 1, 1), SLUICE_OK);
    cr_expect_str_eq(test_host_value(&host), "1in");
    test_host_fini(&host);
}

Test(processor_lua, the_script_describes_its_attachment)
{
    struct test_host host = {0};
    lua_start(&host, "return { name='mask', input='orders', output='%s.masked', on='produce',"
                     "outputs={'a','b'}, deadline_ms=20, process=function(r) return r end }");
    struct sluice_attachment is = {.size = sizeof(is)};
    cr_assert_eq(host.processor->describe(host.self, &is), SLUICE_OK);
    cr_expect_eq(is.on, SLUICE_ON_PRODUCE);
    cr_expect_str_eq(is.name.data, "mask");
    cr_expect_str_eq(is.input.data, "orders");
    cr_expect_str_eq(is.output.data, "%s.masked");
    cr_expect_eq(is.deadline_ms, 20);
    cr_assert_eq(is.extra_output_count, 2);
    cr_expect_str_eq(is.extra_outputs[1].data, "b");
    test_host_fini(&host);
}

Test(processor_lua, what_is_wrong_with_a_script_is_said_with_file_and_line)
{
    static const struct {
        const char *source, *error;
    } cases[] = {
        {"return {\n process = function(record)\n  retrun record\n end }",
         "test.lua:3: syntax error near 'record'"},
        {"local x = 1\nx()", "test.lua:2: attempt to call a number value (local 'x')"},
        {"return 1", "test.lua: the script returned a number; it must return a table"},
        {"return {}", "test.lua: the script's table has no function 'process'"},
        {"return { proces = 1 }", "test.lua: the script's table has an unknown key 'proces'"},
        {"return { process = 1 }",
         "test.lua: 'process' in the script's table must be a function, not a number"},
        {"return { on = 'write', process = print }",
         "test.lua: 'on' in the script's table must be \"log\" or \"produce\", not \"write\""},
        {"return { process = print, init = function()\n error('no') end }", "test.lua:2: no"},
        {"while true do end", "test.lua:1: the deadline passed, the script was stopped"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct test_host host = {0};
        cr_expect_eq(lua_try(&host, cases[i].source), SLUICE_E_PLUGIN_LOAD);
        cr_expect_str_eq(host.error, cases[i].error);
        test_host_fini(&host);
    }
}

Test(processor_lua, configuration_goes_over_defaults_and_is_read_only)
{
    struct test_host host = {0};
    test_host_init(&host);
    host.config_json =
        "{\"level\":\"warn\",\"deep\":{\"b\":9007199254740993},\"gone\":null,\"list\":[1]}";
    lua_start(
        &host,
        "local seen; return { config = { level='info', deep={a=1,b=2}, gone='here', list={7,8} },"
        "init = function(c) seen = c end, process = function(record)\n"
        "assert(seen.level == 'warn' and config.deep.a == 1 and config.gone == 'here');"
        "assert(#config.list == 1 and config.deep.b == 9007199254740993);"
        "assert(not pcall(function() config.level = 1 end));"
        "assert(not pcall(function() config.deep.a = 1 end));"
        "assert(not pcall(rawset, config, 'level', 1)); return record end }");
    cr_assert_eq(test_host_run_value(&host, "x"), SLUICE_OK);
    cr_expect_str_eq(test_host_kinds(&host), "P", "%s", host.verdicts[0].reason);
    test_host_fini(&host);
}

Test(processor_lua, a_refused_configuration_leaves_the_old_one_in_force)
{
    struct test_host host = {0};
    test_host_init(&host);
    lua_start(&host,
              "return { config = { n = 1 }, init = function(c) if c.n == 3 then error('not three') "
              "end end, process = function(record) record.value = config.n; return record end }");
    host.config_json = "{\"n\":2}";
    cr_expect_eq(host.processor->reconfigure(host.self), SLUICE_OK);
    host.config_json = "{\"n\":3}";
    cr_expect_eq(host.processor->reconfigure(host.self), SLUICE_E_PLUGIN_CONFIG);
    cr_expect_str_eq(host.error, "test.lua:1: not three");
    cr_assert_eq(test_host_run_value(&host, "x"), SLUICE_OK);
    cr_expect_str_eq(test_host_value(&host), "2");
    test_host_fini(&host);
}

Test(processor_lua, log_lines_reach_the_host_with_their_level)
{
    struct test_host host = {0};
    lua_start_process(&host, "log.debug('a', 1, nil); log.warn('b'); print('c'); return record");
    cr_assert_eq(test_host_run_value(&host, "x"), SLUICE_OK);
    cr_assert_eq(host.line_count, 3);
    cr_expect_str_eq(host.lines[0].text, "a\t1\tnil");
    cr_expect_eq(host.lines[0].level, SLUICE_LOG_DEBUG);
    cr_expect_eq(host.lines[1].level, SLUICE_LOG_WARN);
    cr_expect_eq(host.lines[2].level, SLUICE_LOG_INFO);
    test_host_fini(&host);
}

static char *read_source(const char *path)
{
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    char *text = calloc(1, 65536);
    cr_assert_not_null(text);
    cr_assert_gt(fread(text, 1, 65535, file), 0);
    fclose(file);
    return text;
}

Test(processor_lua, the_mask_example_masks_and_keeps_the_64_bit_id)
{
    char *source = read_source(SLUICE_SOURCE_DIR "/examples/mask_lua/mask.lua");
    struct test_host host = {0};
    lua_start(&host, source);
    cr_assert_eq(
        test_host_run_value(&host, "{\"card\":\"4111 1111 1111 1111\",\"id\":9007199254740993}"),
        SLUICE_OK);
    cr_expect_str_eq(test_host_value(&host),
                     "{\"card\":\"**** **** **** 1111\",\"id\":9007199254740993}");
    cr_assert_eq(test_host_run_value(&host, "{\"card\":"), SLUICE_OK);
    cr_assert_str_eq(test_host_kinds(&host), "R");
    cr_expect_not_null(strstr(host.verdicts[0].reason, "json: the text ends too early at byte 8"));
    cr_assert_eq(test_host_run_value(&host, "{\"card\":\"1\",\"card\":\"2\"}"), SLUICE_OK);
    cr_expect_str_eq(test_host_kinds(&host), "R", "two cards: one of them would leak");
    test_host_fini(&host);
    free(source);
}

Test(processor_lua, the_logging_example_stamps_and_reads_its_level)
{
    char *source = read_source(SLUICE_SOURCE_DIR "/examples/logging/lua/logging.lua");
    struct test_host host = {0};
    test_host_init(&host);
    lua_start(&host, source);
    cr_assert_eq(test_host_run_value(&host, "x"), SLUICE_OK);
    cr_assert_eq(host.verdicts[0].header_count, 1);
    cr_expect_str_eq(host.verdicts[0].headers[0].key.data, "processed_at");
    cr_expect_eq(host.lines[0].level, SLUICE_LOG_INFO);
    host.config_json = "{\"log_level\":\"loud\"}";
    cr_expect_eq(host.processor->reconfigure(host.self), SLUICE_E_PLUGIN_CONFIG);
    host.config_json = "{\"log_level\":\"debug\"}";
    cr_expect_eq(host.processor->reconfigure(host.self), SLUICE_OK);
    cr_assert_eq(test_host_run_value(&host, "x"), SLUICE_OK);
    cr_expect_eq(host.lines[host.line_count - 1].level, SLUICE_LOG_DEBUG);
    test_host_fini(&host);
    free(source);
}

Test(processor_lua, the_lua_template_routes_by_size)
{
    char *source = read_source(SLUICE_SOURCE_DIR "/sdk/template/processor_lua/processor.lua");
    struct test_host host = {0};
    test_host_init(&host);
    host.config_json = "{\"large_bytes\":3}";
    lua_start(&host, source);
    const struct sluice_record records[] = {test_record(NULL, "abcd", 0), test_record(NULL, "a", 1),
                                            test_record(NULL, NULL, 2)};
    cr_assert_eq(test_host_run(&host, "in", records, 3), SLUICE_OK);
    cr_expect_str_eq(test_host_kinds(&host), "EER");
    cr_expect_str_eq(host.verdicts[0].topic, "out.large");
    test_host_fini(&host);
    free(source);
}
