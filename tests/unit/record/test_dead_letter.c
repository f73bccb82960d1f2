/* test_dead_letter.c: what a letter says of itself, in the words of stages and of groups. */
#include "base/bytes.h"
#include "record/dead_letter.h"
#include "record/record_iterator.h"

#include <criterion/criterion.h>

#define HEADERS_MAX 16u

static struct sl_buffer batch, scratch;
static struct header_view headers[HEADERS_MAX];
static uint32_t header_count;

static void say(const char *key, const char *value)
{
    headers[header_count++] =
        (struct header_view){.key = sl_bytes_of_text(key), .value = sl_bytes_of_text(value)};
}

/* Views into `batch`. */
static struct dead_letter letter_of(const char *value)
{
    struct batch_builder builder;
    struct batch_view view;
    struct record_iterator iterator;
    struct record_view record;
    struct dead_letter letter;
    struct record_fields fields = {.key_is_null = true,
                                   .value = sl_bytes_of_text(value != NULL ? value : ""),
                                   .value_is_null = value == NULL,
                                   .headers = headers,
                                   .header_count = header_count};
    sl_buffer_init(&batch, 1 << 20);
    sl_buffer_init(&scratch, 1 << 20);
    cr_assert_eq(batch_builder_start(&builder, &batch, NULL), SLUICE_OK);
    cr_assert_eq(batch_builder_append(&builder, &fields), SLUICE_OK);
    cr_assert_eq(batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, &scratch, &view),
                 SLUICE_OK);
    record_iterator_init(&iterator, batch_view_records(&view), 1);
    cr_assert(record_iterator_next(&iterator, &record));
    dead_letter_read(&record, &letter);
    sl_buffer_fini(&scratch);
    return letter;
}

static void say_group(const char *topic)
{
    say("__dlq.errors.topic", topic);
    say("__dlq.errors.partition", "3");
    say("__dlq.errors.offset", "77");
    say("__dlq.errors.group", "work");
    say("__dlq.errors.message", "Offset rejected by client.");
}

static void say_stage(const char *topic)
{
    say("sluice.reason", "no JSON");
    say("sluice.topic", topic);
    say("sluice.partition", "1");
    say("sluice.offset", "5");
}

static void expect(const struct dead_letter *letter, const char *topic, uint32_t partition,
                   int64_t offset, uint32_t own, bool of_group)
{
    cr_expect(letter->whole);
    cr_expect(sl_bytes_equal(letter->origin.topic, sl_bytes_of_text(topic)));
    cr_expect_eq(letter->origin.partition, partition);
    cr_expect_eq(letter->origin.offset, offset);
    cr_expect_eq(letter->own_headers, own);
    cr_expect_eq(letter->of_group, of_group);
    sl_buffer_fini(&batch);
}

Test(dead_letter, of_a_group_says_where_it_is_from_in_kafkas_words)
{
    say("own", "x");
    say_group("jobs");
    struct dead_letter letter = letter_of("v");
    cr_expect(sl_bytes_equal(letter.origin.reason, sl_bytes_of_text("Offset rejected by client.")));
    cr_expect_not(letter.is_bare);
    expect(&letter, "jobs", 3, 77, 1, true);
}

Test(dead_letter, the_last_who_wrote_a_letter_is_believed)
{
    say_group("forged");
    say_stage("orders");
    struct dead_letter letter = letter_of("v");
    expect(&letter, "orders", 1, 5, 5, false);
    header_count = 0;
    say_stage("forged");
    say_group("jobs");
    letter = letter_of("v");
    cr_expect_eq(letter.origin.redrives, 0);
    expect(&letter, "jobs", 3, 77, 4, true);
}

Test(dead_letter, words_of_the_other_kind_behind_it_say_nothing)
{
    say_stage("orders");
    say("__dlq.errors.partition", "9");
    struct dead_letter letter = letter_of("v");
    expect(&letter, "orders", 1, 5, 0, false);
}

Test(dead_letter, without_a_record_it_only_says_where_that_is)
{
    say_group("jobs");
    struct dead_letter letter = letter_of(NULL);
    cr_expect(letter.is_bare);
    expect(&letter, "jobs", 3, 77, 0, true);
}
