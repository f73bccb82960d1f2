/* test_telemetry_book.c: who is asked for which metrics, and who may push when (KIP-714). */
#include "base/bytes.h"
#include "deliver/telemetry_book.h"
#include "deliver/telemetry_match.h"

#include <criterion/criterion.h>
#include <stdio.h>

static struct setting_store settings;
static struct telemetry_book *book;
static struct telemetry_wanted wanted;

static void set(const char *name, const char *key, const char *value)
{
    const struct setting setting = {.kind = SETTING_CLIENT_METRICS,
                                    .revision = settings.revision + 1,
                                    .name = sl_bytes_of_text(name),
                                    .key = sl_bytes_of_text(key),
                                    .value = value == NULL ? (struct sl_bytes){0}
                                                           : sl_bytes_of_text(value)};
    struct sl_bytes payload;
    cr_assert_eq(setting_item_encode(&setting, &payload), SLUICE_OK);
    cr_assert_eq(setting_store_apply(&settings, SETTING_ITEM_VERSION, payload), SLUICE_OK);
    sl_free((void *)(uintptr_t)payload.data);
}

static void begin(void)
{
    cr_assert_eq(telemetry_book_new(1, &book), SLUICE_OK);
    sl_buffer_init(&wanted.metrics, TELEMETRY_METRICS_BYTES);
}

static void end(void)
{
    telemetry_book_free(book);
    setting_store_fini(&settings);
    sl_buffer_fini(&wanted.metrics);
}

TestSuite(telemetry_book, .init = begin, .fini = end);

static struct telemetry_client client_of(uint32_t number)
{
    struct telemetry_client client = {.client_id = sl_bytes_of_text("c"),
                                      .software_name = sl_bytes_of_text("tea"),
                                      .software_version = sl_bytes_of_text("1.2"),
                                      .address = sl_bytes_of_text("10.0.0.1"),
                                      .port = 4711};
    sl_be32_store(client.instance.b, number);
    client.instance.b[15] = 9;
    return client;
}

static sl_err ask(uint32_t number, int64_t now_ms)
{
    struct telemetry_client client = client_of(number);
    sl_buffer_reset(&wanted.metrics);
    return telemetry_book_ask(book, &settings, &client, now_ms, &wanted);
}

static sl_err push(uint32_t number, int64_t now_ms, bool terminating)
{
    struct telemetry_client client = client_of(number);
    const struct telemetry_push what = {.subscription_id = wanted.subscription_id,
                                        .codec = 4,
                                        .terminating = terminating,
                                        .size = 10,
                                        .size_max = 10};
    return telemetry_book_push(book, &settings, &client, &what, now_ms);
}

static bool wants(const char *metrics, int32_t interval_ms)
{
    return sl_bytes_equal(sl_buffer_bytes(&wanted.metrics), sl_bytes_of_text(metrics)) &&
           wanted.interval_ms == interval_ms;
}

Test(telemetry_book, wants_nothing_where_no_subscription_matches)
{
    cr_expect_eq(ask(1, 0), SLUICE_OK);
    cr_expect(wants("", 300000));
    set("s", "metrics", "a");
    set("s", "match", "client_id=d");
    cr_expect_eq(ask(2, 0), SLUICE_OK);
    cr_expect(wants("", 300000));
}

Test(telemetry_book, wants_the_union_in_order_and_the_least_interval)
{
    set("s", "metrics", "b, a");
    set("s", "match", "client_source_port=47.., client_software_version = 1[.].* ,client_id=c");
    set("t", "metrics", "c,a");
    set("t", "interval.ms", "400");
    set("u", "interval.ms", "900000");
    cr_expect_eq(ask(1, 0), SLUICE_OK);
    cr_expect(wants("a,b,c", 400));
    set("u", "metrics", "x,*");
    cr_expect_eq(ask(1, 1), SLUICE_OK, "what is wanted has changed");
    cr_expect(wants("*", 400));
}

Test(telemetry_book, settings_of_others_change_nothing)
{
    cr_assert_eq(ask(1, 0), SLUICE_OK);
    const struct setting group = {.kind = SETTING_GROUP,
                                  .revision = 7,
                                  .name = sl_bytes_of_text("g"),
                                  .key = sl_bytes_of_text("k"),
                                  .value = sl_bytes_of_text("1")};
    struct sl_bytes payload;
    cr_assert_eq(setting_item_encode(&group, &payload), SLUICE_OK);
    cr_assert_eq(setting_store_apply(&settings, SETTING_ITEM_VERSION, payload), SLUICE_OK);
    sl_free((void *)(uintptr_t)payload.data);
    cr_expect_eq(ask(1, 1), SLUICE_E_QUOTA_EXCEEDED);
}

Test(telemetry_book, a_push_follows_a_question_at_once_and_then_the_interval)
{
    set("s", "interval.ms", "1000");
    cr_expect_eq(ask(1, 0), SLUICE_OK);
    cr_expect_eq(push(1, 1, false), SLUICE_OK);
    cr_expect_eq(push(1, 1000, false), SLUICE_E_QUOTA_EXCEEDED);
    cr_expect_eq(push(1, 1001, false), SLUICE_OK);
    cr_expect_eq(ask(1, 2000), SLUICE_E_QUOTA_EXCEEDED);
    cr_expect_eq(ask(1, 2001), SLUICE_OK);
    cr_expect_eq(push(1, 2002, true), SLUICE_OK);
    cr_expect_eq(push(1, 9000, true), SLUICE_E_INVALID_REQUEST, "it has ended");
}

Test(telemetry_book, one_with_an_old_id_may_ask_at_once)
{
    cr_expect_eq(ask(1, 0), SLUICE_OK);
    set("s", "metrics", "a");
    cr_expect_eq(push(1, 1, false), SLUICE_E_UNKNOWN_SUBSCRIPTION);
    cr_expect_eq(ask(1, 2), SLUICE_OK);
    cr_expect_eq(ask(1, 3), SLUICE_E_QUOTA_EXCEEDED);
    cr_expect_eq(push(1, 4, true), SLUICE_OK);
}

Test(telemetry_book, the_one_heard_of_longest_ago_goes_first)
{
    for (uint32_t i = 0; i < TELEMETRY_INSTANCES_MAX; i++) {
        cr_assert_eq(ask(i, 0), SLUICE_OK);
    }
    cr_expect_eq(ask(0, 1), SLUICE_E_QUOTA_EXCEEDED, "heard of again");
    cr_expect_eq(ask(TELEMETRY_INSTANCES_MAX, 1), SLUICE_OK);
    cr_expect_eq(telemetry_book_count(book), TELEMETRY_INSTANCES_MAX);
    cr_expect_eq(ask(0, 2), SLUICE_E_QUOTA_EXCEEDED);
    cr_expect_eq(ask(1, 2), SLUICE_OK, "it was forgotten");
}

Test(telemetry_book, who_is_silent_for_three_intervals_is_forgotten)
{
    for (uint32_t i = 0; i < 100; i++) {
        cr_assert_eq(ask(i, 0), SLUICE_OK);
    }
    for (uint32_t i = 0; i < 50; i++) {
        cr_assert_eq(ask(1000, 900001 + i * INT64_C(300000)), SLUICE_OK);
    }
    cr_expect_eq(telemetry_book_count(book), 1);
}

Test(telemetry_match, refuses_what_is_no_selector_with_a_pattern)
{
    static const char *const wrong[] = {"x=1",           "client_id", "client_id=",   "client_id=(",
                                        "client_id=a=b", "=a",        "client_id=a,b"};
    for (size_t i = 0; i < SL_COUNT_OF(wrong); i++) {
        struct telemetry_match match = {{NULL}};
        const char *reason = NULL;
        sl_err err = telemetry_match_parse(sl_bytes_of_text(wrong[i]), &match, &reason);
        cr_expect_eq(err, SLUICE_E_INVALID_CONFIG, "%s", wrong[i]);
        cr_expect_not_null(reason);
    }
}
