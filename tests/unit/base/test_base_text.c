/* test_base_text.c: status rows, bounded text, parsing of numbers, sizes and durations. */
#include "base/bytes.h"
#include "base/status.h"
#include "base/text.h"

#include <criterion/criterion.h>

Test(status, tells_number_sentence_and_codes_of_an_outcome)
{
    char name[16];
    sl_status_name(SLUICE_E_TOPIC_EXISTS, name);
    cr_expect_str_eq(name, "SLU-1303");
    cr_expect_str_eq(sl_status_row(SLUICE_E_TOPIC_EXISTS)->symbol, "E_TOPIC_EXISTS");
    cr_expect_str_eq(sl_status_text(SLUICE_E_TOPIC_EXISTS), "the topic exists already");
    cr_expect_eq(sl_status_kafka(SLUICE_E_TOPIC_EXISTS), 36);
    cr_expect(sl_status_is_retriable(SLUICE_E_BUSY));
    cr_expect_not(sl_status_is_retriable(SLUICE_E_TOPIC_EXISTS));
    cr_expect_eq(sl_status_row(SLUICE_OK)->http, 200);
}

Test(status, takes_an_unknown_number_for_an_internal_error)
{
    cr_expect_eq(sl_status_row(-5), sl_status_row(SLUICE_E_INTERNAL));
    cr_expect_eq(sl_status_row(999999), sl_status_row(SLUICE_E_INTERNAL));
}

Test(status, has_its_numbers_in_rising_order_each_once)
{
    size_t count;
    const struct sluice_status_row *rows = sluice_status_rows(&count);
    for (size_t i = 1; i < count; i++)
        cr_expect_lt(rows[i - 1].status, rows[i].status, "%s", rows[i].symbol);
    for (size_t i = 0; i < count; i++)
        cr_expect_eq(sl_status_row(rows[i].status)->status, rows[i].status);
}

Test(text, is_cut_at_its_capacity_and_says_so)
{
    char bytes[8];
    struct sl_text_out out = SL_TEXT_OUT(bytes);
    sl_text_add(&out, "%d", 12345);
    cr_expect_not(out.truncated);
    sl_text_add(&out, "%s", "6789");
    cr_expect(out.truncated);
    cr_expect_str_eq(bytes, "1234567");
    sl_text_add_bytes(&out, sl_bytes_of_text("x"));
    cr_expect_str_eq(bytes, "1234567");
    cr_expect_eq(out.size, 7);
}

static const char *json(const char *text, size_t size)
{
    static char bytes[128];
    struct sl_text_out out = SL_TEXT_OUT(bytes);
    sl_text_add_json(&out, sl_bytes_of(text, size));
    return bytes;
}

Test(text, becomes_a_json_string_whatever_bytes_it_has)
{
    cr_expect_str_eq(json("a\"b\\c\n\0", 7), "\"a\\\"b\\\\c\\u000a\\u0000\"");
    cr_expect_str_eq(json("grün €😀", 13), "\"grün €😀\"");
    cr_expect_str_eq(json("\xff\xc0\x80", 3), "\"\\ufffd\\ufffd\\ufffd\"");
    cr_expect_str_eq(json("\xed\xa0\x80", 3), "\"\\ufffd\\ufffd\\ufffd\"", "a surrogate");
    cr_expect_str_eq(json("\xe2\x82", 2), "\"\\ufffd\\ufffd\"", "cut short");
}

static const char *shown(void (*add)(struct sl_text_out *out, int64_t value), int64_t value)
{
    static char bytes[64];
    struct sl_text_out out = SL_TEXT_OUT(bytes);
    add(&out, value);
    return bytes;
}

static void add_size(struct sl_text_out *out, int64_t value)
{
    sl_text_add_size(out, (uint64_t)value);
}

Test(text, shows_sizes_durations_and_times)
{
    cr_expect_str_eq(shown(add_size, 0), "0B");
    cr_expect_str_eq(shown(add_size, 1023), "1023B");
    cr_expect_str_eq(shown(add_size, 1536), "1.5KiB");
    cr_expect_str_eq(shown(add_size, 64 << 20), "64MiB");
    cr_expect_str_eq(shown(sl_text_add_duration, 999), "999ns");
    cr_expect_str_eq(shown(sl_text_add_duration, 1500000), "1.5ms");
    cr_expect_str_eq(shown(sl_text_add_duration, -60000000000), "-1min");
    cr_expect_str_eq(shown(sl_text_add_duration, INT64_MIN), "-2562047.7h");
    cr_expect_str_eq(shown(sl_text_add_time, 0), "1970-01-01T00:00:00.000Z");
    cr_expect_str_eq(shown(sl_text_add_time, 951827696789), "2000-02-29T12:34:56.789Z");
    cr_expect_str_eq(shown(sl_text_add_time, -1), "1969-12-31T23:59:59.999Z");
}

Test(text, is_read_as_a_number_only_when_it_is_one)
{
    uint64_t u = 7;
    int64_t i = 7;
    cr_expect_eq(sl_text_parse_u64(sl_bytes_of_text("18446744073709551615"), &u), SLUICE_OK);
    cr_expect_eq(u, UINT64_MAX);
    cr_expect_eq(sl_text_parse_u64(sl_bytes_of_text("18446744073709551616"), &u), SLUICE_E_LIMIT);
    cr_expect_eq(u, UINT64_MAX, "an output is not touched on failure");
    cr_expect_eq(sl_text_parse_i64(sl_bytes_of_text("-9223372036854775808"), &i), SLUICE_OK);
    cr_expect_eq(i, INT64_MIN);
    cr_expect_eq(sl_text_parse_i64(sl_bytes_of_text("9223372036854775808"), &i), SLUICE_E_LIMIT);
    static const char *const bad[] = {"", "-", "+1", " 1", "1 ", "0x10", "1.5", "--1"};
    for (size_t k = 0; k < SL_COUNT_OF(bad); k++)
        cr_expect_eq(sl_text_parse_i64(sl_bytes_of_text(bad[k]), &i), SLUICE_E_MALFORMED, "%s",
                     bad[k]);
    bool b = false;
    cr_expect_eq(sl_text_parse_bool(sl_bytes_of_text("true"), &b), SLUICE_OK);
    cr_expect(b);
    cr_expect_eq(sl_text_parse_bool(sl_bytes_of_text("yes"), &b), SLUICE_E_MALFORMED);
}

Test(text, is_read_as_a_size_or_a_duration_with_its_unit)
{
    static const struct {
        const char *text;
        uint64_t value;
    } sizes[] = {{"0", 0}, {"17B", 17}, {"8KiB", 8192}, {"64 MiB", 64 << 20}, {"1GB", 1000000000}};
    static const struct {
        const char *text;
        int64_t value;
    } durations[] = {
        {"5", 5000000}, {"10min", 600000000000}, {"250us", 250000}, {"2 d", 172800000000000}};
    uint64_t bytes = 0;
    int64_t ns = 0;
    for (size_t i = 0; i < SL_COUNT_OF(sizes); i++) {
        cr_expect_eq(sl_text_parse_size(sl_bytes_of_text(sizes[i].text), &bytes), SLUICE_OK);
        cr_expect_eq(bytes, sizes[i].value, "%s", sizes[i].text);
    }
    for (size_t i = 0; i < SL_COUNT_OF(durations); i++) {
        cr_expect_eq(sl_text_parse_duration(sl_bytes_of_text(durations[i].text), &ns), SLUICE_OK);
        cr_expect_eq(ns, durations[i].value, "%s", durations[i].text);
    }
    cr_expect_eq(sl_text_parse_size(sl_bytes_of_text("1mb"), &bytes), SLUICE_E_MALFORMED);
    cr_expect_eq(sl_text_parse_size(sl_bytes_of_text("1 "), &bytes), SLUICE_E_MALFORMED);
    cr_expect_eq(sl_text_parse_size(sl_bytes_of_text("99999999TiB"), &bytes), SLUICE_E_LIMIT);
    cr_expect_eq(sl_text_parse_duration(sl_bytes_of_text("-1s"), &ns), SLUICE_E_MALFORMED);
    cr_expect_eq(sl_text_parse_duration(sl_bytes_of_text("999999d"), &ns), SLUICE_E_LIMIT);
}

Test(text, finds_the_word_that_was_meant)
{
    static const char *const known[] = {"kafka.listen", "http.listen", "log.level", "log.format"};
    cr_expect_str_eq(sl_text_nearest(sl_bytes_of_text("log.levl"), known, 4), "log.level");
    cr_expect_str_eq(sl_text_nearest(sl_bytes_of_text("kafka.lisetn"), known, 4), "kafka.listen");
    cr_expect_str_eq(sl_text_nearest(sl_bytes_of_text("prdo"), (const char *[]){"gone", "prod"}, 2),
                     "prod"); /* letters that changed places */
    cr_expect_null(sl_text_nearest(sl_bytes_of_text("wal.segment"), known, 4));
    cr_expect_null(sl_text_nearest(sl_bytes_of_text("x"), known, 0));
}
