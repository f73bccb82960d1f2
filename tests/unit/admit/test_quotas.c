/* Quotas in virtual time: what is counted over windows, how long one waits, and whose limit holds.
 */
#include "admit/quota_book.h"
#include "base/bytes.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct quota_windows kafkas = {11, 1000};
#define START INT64_C(1700000000000)

/* ---- the meter ---- */

Test(quota_meter, waits_as_long_as_the_rate_over_all_windows_needs_to_be_the_limit)
{
    struct quota_meter meter = {0};
    quota_meter_add(&meter, &kafkas, START, 10000);
    /* Ten windows have passed, the eleventh begins: 10,000 in 10 s is the limit of 1,000. */
    cr_assert_eq(quota_meter_wait_ms(&meter, &kafkas, START, 1000), 0);
    quota_meter_add(&meter, &kafkas, START, 5000);
    cr_assert_eq(quota_meter_wait_ms(&meter, &kafkas, START, 1000), 5000);
    cr_assert_eq(quota_meter_wait_ms(&meter, &kafkas, START + 999, 1000), 4001);
}

Test(quota_meter, who_waits_as_told_is_within_the_limit_after_all_windows_at_most)
{
    srand(7);
    for (int run = 0; run < 2000; run++) {
        struct quota_windows windows = {2 + (uint32_t)rand() % 30, 1 + rand() % 2000};
        struct quota_meter meter = {0};
        int64_t now = START + rand() % 100000;
        double limit = 1 + rand() % 100000;
        for (int i = 0; i < 5; i++) {
            quota_meter_add(&meter, &windows, now, rand() % 1000000);
            now += rand() % 500;
        }
        int64_t end = now + SL_MAX((int64_t)quota_meter_wait_ms(&meter, &windows, now, limit),
                                   windows.count * windows.window_ms);
        for (int32_t wait = 1; wait > 0 && now <= end; now += wait) {
            wait = quota_meter_wait_ms(&meter, &windows, now, limit);
            cr_assert_geq(wait, 0);
        }
        cr_assert_eq(quota_meter_wait_ms(&meter, &windows, now, limit), 0, "run %d", run);
    }
}

Test(quota_meter, windows_that_are_over_do_not_count)
{
    struct quota_meter meter = {0};
    quota_meter_add(&meter, &kafkas, START, INT64_C(1) << 40);
    cr_assert_gt(quota_meter_wait_ms(&meter, &kafkas, START + 10999, 1000), 0);
    cr_assert_eq(quota_meter_wait_ms(&meter, &kafkas, START + 11000, 1000), 0);
    cr_assert(quota_meter_is_idle(&meter, &kafkas, START + 11000));
}

Test(quota_meter, what_is_taken_back_was_not_used)
{
    struct quota_meter meter = {0};
    quota_meter_add(&meter, &kafkas, START, 900000);
    cr_assert_gt(quota_meter_wait_ms(&meter, &kafkas, START, 1000), 0);
    quota_meter_add(&meter, &kafkas, START + 10, -900000);
    cr_assert_eq(quota_meter_wait_ms(&meter, &kafkas, START + 10, 1000), 0);
}

Test(quota_meter, in_the_long_run_the_rate_is_near_the_limit)
{
    struct quota_meter meter = {0};
    int64_t now = START;
    int64_t sent = 0;
    while (now < START + 600000) { /* who waits as told */
        quota_meter_add(&meter, &kafkas, now, 3000);
        sent += 3000;
        now += 1 + quota_meter_wait_ms(&meter, &kafkas, now, 10000);
    }
    cr_assert_leq(sent, 10000 * 660); /* a tenth more: windows slide */
    cr_assert_geq(sent, 10000 * 540);
}

Test(quota_meter, a_time_that_goes_back_is_no_harm)
{
    struct quota_meter meter = {0};
    quota_meter_add(&meter, &kafkas, START, 10);
    quota_meter_add(&meter, &kafkas, START - 5000, 10);
    quota_meter_add(&meter, &kafkas, 0, 10);
    cr_assert_geq(quota_meter_wait_ms(&meter, &kafkas, 0, 1), 0);
}

Test(quota_meter, a_bucket_begins_full_and_fills_at_its_rate)
{
    struct quota_meter meter = {0};
    cr_assert_eq(quota_bucket_wait_ms(&meter, &kafkas, START, 2), 0);
    quota_bucket_take(&meter, &kafkas, START, 2, 22);
    cr_assert_eq(quota_bucket_wait_ms(&meter, &kafkas, START, 2), 0);
    quota_bucket_take(&meter, &kafkas, START, 2, 10); /* one may take what is not there, once */
    cr_assert_eq(quota_bucket_wait_ms(&meter, &kafkas, START, 2), 5000);
    cr_assert_eq(quota_bucket_wait_ms(&meter, &kafkas, START + 4000, 2), 1000);
    cr_assert_eq(quota_bucket_wait_ms(&meter, &kafkas, START + 5000, 2), 0);
    cr_assert_eq(quota_bucket_wait_ms(&meter, &kafkas, START + 1000000, 2), 0);
    cr_assert_leq(fabs(meter.tokens - 22), 1e-9);
}

/* ---- the book ---- */

static struct quota_book *book_new(void)
{
    static const uint8_t hash_key[16] = {1};
    struct quota_book *book = NULL;
    cr_assert_eq(quota_book_new(&kafkas, hash_key, &book), SLUICE_OK);
    return book;
}

static struct sluice_text part(const char *name) /* NULL: none; "": the default */
{
    return name == NULL ? (struct sluice_text){NULL, 0} : sluice_text_of(name);
}

static void set(struct quota_book *book, const char *user, const char *client, const char *ip,
                int32_t kind, double value)
{
    struct sluice_quota_entity entity = {part(user), part(client), part(ip)};
    uint8_t payload[QUOTA_ITEM_BYTES_MAX];
    size_t size = quota_item_encode(&entity, kind, value, payload);
    cr_assert_eq(quota_book_apply(book, QUOTA_ITEM_VERSION, sl_bytes_of(payload, size)), SLUICE_OK);
}

static struct quota_user user_of(const char *user, const char *client)
{
    return (struct quota_user){.user = sl_bytes_of_text(user),
                               .client_id = sl_bytes_of_text(client)};
}

/* What the limit of kind PRODUCE is; 0: none. */
static int64_t limit_of(struct quota_book *book, const char *user, const char *client)
{
    struct quota_user who = user_of(user, client);
    int64_t allowed = quota_book_allowance(book, &who, SLUICE_QUOTA_PRODUCE);
    return allowed == INT64_MAX ? 0 : allowed / 10;
}

Test(quota_book, the_most_specific_limit_holds_as_in_kafka)
{
    static const struct {
        const char *user, *client;
    } rising[] = {{NULL, ""}, {NULL, "c"}, {"", NULL}, {"", ""},
                  {"", "c"},  {"u", NULL}, {"u", ""},  {"u", "c"}};
    struct quota_book *book = book_new();
    for (int i = 0; i < 8; i++) {
        set(book, rising[i].user, rising[i].client, NULL, SLUICE_QUOTA_PRODUCE, 10 + i);
        cr_assert_eq(limit_of(book, "u", "c"), 10 + i, "step %d", i);
    }
    cr_assert_eq(limit_of(book, "u", "other"), 16);
    cr_assert_eq(limit_of(book, "u", ""), 15);
    cr_assert_eq(limit_of(book, "other", "c"), 14);
    cr_assert_eq(limit_of(book, "other", "other"), 13);
    cr_assert_eq(limit_of(book, "other", ""), 12);
    cr_assert_eq(limit_of(book, "", "c"), 11);
    cr_assert_eq(limit_of(book, "", "other"), 10);
    cr_assert_eq(limit_of(book, "", ""), 0);
    for (int i = 7; i >= 0; i--) {
        set(book, rising[i].user, rising[i].client, NULL, SLUICE_QUOTA_PRODUCE, 0);
        cr_assert_eq(limit_of(book, "u", "c"), i > 0 ? 9 + i : 0);
    }
    cr_assert_eq(quota_book_count(book), 0);
    cr_assert_not(quota_book_limits(book, SLUICE_QUOTA_PRODUCE));
    quota_book_free(book);
}

static int32_t charge(struct quota_book *book, const char *user, const char *client, int64_t amount)
{
    struct quota_user who = user_of(user, client);
    return quota_book_charge(book, &who, SLUICE_QUOTA_FETCH, amount, START);
}

Test(quota_book, what_is_counted_together_is_what_the_limit_is_of)
{
    struct quota_book *book = book_new();
    set(book, "u", NULL, NULL, SLUICE_QUOTA_FETCH, 100);
    set(book, "", "", NULL, SLUICE_QUOTA_FETCH, 100);
    cr_assert_eq(charge(book, "u", "a", 1000), 0);
    cr_assert_gt(charge(book, "u", "b", 1), 0); /* one user */
    cr_assert_eq(charge(book, "v", "a", 1000), 0);
    cr_assert_eq(charge(book, "v", "b", 1000), 0); /* pairs, each has its own */
    cr_assert_gt(charge(book, "v", "a", 1), 0);
    cr_assert_eq(charge(book, "", "a", 100000), 0); /* nobody */
    quota_book_free(book);
}

Test(quota_book, kinds_do_not_touch_one_another)
{
    struct quota_book *book = book_new();
    struct quota_user who = user_of("u", "c");
    set(book, "u", NULL, NULL, SLUICE_QUOTA_REQUEST, 50);
    cr_assert_eq(charge(book, "u", "c", INT64_MAX / 2), 0);
    cr_assert_eq(quota_book_charge(book, &who, SLUICE_QUOTA_REQUEST, 5000000000, START), 0);
    /* Half of ten seconds is used: the next nanoseconds are waited for, at most a window. */
    cr_assert_eq(quota_book_charge(book, &who, SLUICE_QUOTA_REQUEST, 50000000, START), 100);
    cr_assert_eq(quota_book_charge(book, &who, SLUICE_QUOTA_REQUEST, 5000000000, START), 1000);
    quota_book_free(book);
}

Test(quota_book, an_address_has_its_own_or_the_default_limit)
{
    struct quota_book *book = book_new();
    struct quota_user here = {.ip = sl_bytes_of_text("10.0.0.1")};
    struct quota_user there = {.ip = sl_bytes_of_text("10.0.0.2")};
    set(book, NULL, NULL, "10.0.0.1", SLUICE_QUOTA_CONNECTIONS, 1);
    for (int i = 0; i < 10; i++) {
        cr_assert_eq(quota_book_charge(book, &here, SLUICE_QUOTA_CONNECTIONS, 1, START), 0);
    }
    cr_assert_gt(quota_book_charge(book, &here, SLUICE_QUOTA_CONNECTIONS, 1, START), 0);
    cr_assert_eq(quota_book_charge(book, &there, SLUICE_QUOTA_CONNECTIONS, 1000, START), 0);
    set(book, NULL, NULL, "", SLUICE_QUOTA_CONNECTIONS, 1);
    cr_assert_gt(quota_book_charge(book, &there, SLUICE_QUOTA_CONNECTIONS, 1000, START), 0);
    quota_book_free(book);
}

Test(quota_book, more_names_than_it_keeps_share_a_meter_until_others_are_idle)
{
    struct quota_book *book = book_new();
    char name[16];
    set(book, NULL, "", NULL, SLUICE_QUOTA_FETCH, 100);
    for (uint32_t i = 0; i < QUOTA_METERS_MAX; i++) {
        snprintf(name, sizeof(name), "c%u", i);
        cr_assert_eq(charge(book, "", name, 1000), 0);
    }
    cr_assert_eq(charge(book, "", "x", 1000), 0);
    cr_assert_gt(charge(book, "", "y", 1), 0);
    struct quota_user late = user_of("", "z");
    cr_assert_eq(quota_book_charge(book, &late, SLUICE_QUOTA_FETCH, 1000, START + 11000), 0);
    cr_assert_gt(quota_book_charge(book, &late, SLUICE_QUOTA_FETCH, 1, START + 11000), 0);
    quota_book_free(book);
}

/* ---- what may be set ---- */

static sl_err check(const char *user, const char *client, const char *ip, const char *key,
                    double value)
{
    struct sluice_quota_entity entity = {part(user), part(client), part(ip)};
    struct sluice_quota_value limit = {sluice_text_of(key), value};
    char reason[QUOTA_REASON_BYTES] = "";
    sl_err err = quota_entity_check(&entity, reason);
    err = err != SLUICE_OK ? err : quota_value_check(&entity, &limit, reason);
    cr_assert_eq(err == SLUICE_OK, reason[0] == '\0');
    return err;
}

Test(quota_entry, takes_what_kafka_takes_and_nothing_else)
{
    cr_assert_eq(check("u", NULL, NULL, "producer_byte_rate", 1024), SLUICE_OK);
    cr_assert_eq(check("", "c", NULL, "request_percentage", 12.5), SLUICE_OK);
    cr_assert_eq(check(NULL, NULL, "::1", "connection_creation_rate", 5), SLUICE_OK);
    cr_assert_eq(check(NULL, NULL, NULL, "producer_byte_rate", 1), SLUICE_E_INVALID_REQUEST);
    cr_assert_eq(check("u", NULL, "::1", "producer_byte_rate", 1), SLUICE_E_INVALID_REQUEST);
    cr_assert_eq(check("u", NULL, NULL, "connection_creation_rate", 1), SLUICE_E_INVALID_REQUEST);
    cr_assert_eq(check(NULL, NULL, "", "producer_byte_rate", 1), SLUICE_E_INVALID_REQUEST);
    cr_assert_eq(check(NULL, NULL, "host", "connection_creation_rate", 1),
                 SLUICE_E_INVALID_REQUEST);
    cr_assert_eq(check("u", NULL, NULL, "no_such_rate", 1), SLUICE_E_INVALID_REQUEST);
    cr_assert_eq(check("u", NULL, NULL, "producer_byte_rate", -1), SLUICE_E_INVALID_REQUEST);
    cr_assert_eq(check("u", NULL, NULL, "producer_byte_rate", 0.5), SLUICE_E_INVALID_REQUEST);
    cr_assert_eq(check("u", NULL, NULL, "producer_byte_rate", 1e30), SLUICE_E_INVALID_REQUEST);
    cr_assert_eq(check("u", NULL, NULL, "producer_byte_rate", (double)NAN),
                 SLUICE_E_INVALID_REQUEST);
}

Test(quota_entry, an_ip_is_an_address_of_four_numbers_or_of_up_to_eight_groups)
{
    static const char *const good[] = {"0.0.0.0",
                                       "255.1.20.3",
                                       "::",
                                       "::1",
                                       "fe80::",
                                       "1::2",
                                       "1:2:3:4:5:6:7:8",
                                       "2001:db8::ff00:42:8329"};
    static const char *const bad[] = {"1.2.3",
                                      "1.2.3.4.5",
                                      "1.2.3.256",
                                      "1..2.3",
                                      ".1.2.3.4",
                                      "1.2.3.4.",
                                      "a.b.c.d",
                                      "1",
                                      ":",
                                      ":::",
                                      "1:2:3:4",
                                      "1::2::3",
                                      "12345::",
                                      "1:2:",
                                      ":1::2",
                                      "1:2:3:4:5:6:7:8:9",
                                      "1:2:3:4::5:6:7:8",
                                      "g::"};
    for (size_t i = 0; i < SL_COUNT_OF(good); i++) {
        cr_assert_eq(check(NULL, NULL, good[i], "connection_creation_rate", 1), SLUICE_OK, "%s",
                     good[i]);
    }
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        cr_assert_eq(check(NULL, NULL, bad[i], "connection_creation_rate", 1),
                     SLUICE_E_INVALID_REQUEST, "%s", bad[i]);
    }
}

Test(quota_entry, items_of_all_lengths_and_flips_are_read_or_refused)
{
    struct sluice_quota_entity entity = {part("alice"), part(""), part(NULL)};
    uint8_t payload[QUOTA_ITEM_BYTES_MAX];
    struct sluice_quota_entity read;
    int32_t kind = 0;
    double value = 0;
    size_t size = quota_item_encode(&entity, SLUICE_QUOTA_REQUEST, 7.25, payload);
    cr_assert_eq(quota_item_decode(1, sl_bytes_of(payload, size), &read, &kind, &value), SLUICE_OK);
    cr_assert(quota_entity_equal(&entity, &read));
    cr_assert_eq(kind, SLUICE_QUOTA_REQUEST);
    cr_assert_eq(value, 7.25);
    cr_assert_eq(quota_item_decode(2, sl_bytes_of(payload, size), &read, &kind, &value),
                 SLUICE_E_NEWER_FORMAT);
    for (size_t cut = 0; cut < size; cut++) {
        cr_assert_eq(quota_item_decode(1, sl_bytes_of(payload, cut), &read, &kind, &value),
                     SLUICE_E_CORRUPT);
    }
    for (size_t at = 0; at < 6 + 6; at++) {
        payload[at] ^= 0x40;
        cr_assert_eq(quota_item_decode(1, sl_bytes_of(payload, size), &read, &kind, &value),
                     SLUICE_E_CORRUPT, "byte %zu", at);
        payload[at] ^= 0x40;
    }
}
