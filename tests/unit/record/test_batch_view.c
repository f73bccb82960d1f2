/* test_batch_view.c: the header: what is read, refused and patched. */
#include "record_fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct sl_buffer buffer;
static uint8_t *batch;
static size_t size;

static void setup(void)
{
    sl_buffer_init(&buffer, FIXTURE_BYTES_MAX);
    struct batch_view view = fixture_batch(&buffer, 3, 1000, BATCH_CODEC_NONE);
    batch = fixture_copy(&view);
    size = view.size;
}

static void teardown(void)
{
    free(batch);
    sl_buffer_fini(&buffer);
}

TestSuite(batch_view, .init = setup, .fini = teardown);

static struct batch_view view_now(void)
{
    struct batch_view view;
    cr_assert_eq(batch_view_init(&view, sl_bytes_of(batch, size)), SLUICE_OK);
    return view;
}

static sl_err init_now(void)
{
    struct batch_view view;
    return batch_view_init(&view, sl_bytes_of(batch, size));
}

Test(batch_view, refuses_a_length_below_the_header)
{
    sl_be32_store(batch + BATCH_LENGTH_AT, 48);
    cr_assert_eq(init_now(), SLUICE_E_CORRUPT_BATCH);
}

Test(batch_view, refuses_a_negative_length)
{
    sl_be32_store(batch + BATCH_LENGTH_AT, 0x80000000u);
    cr_assert_eq(init_now(), SLUICE_E_CORRUPT_BATCH);
}

Test(batch_view, refuses_a_length_beyond_the_bytes)
{
    sl_be32_store(batch + BATCH_LENGTH_AT, (uint32_t)(size - BATCH_OVERHEAD_SIZE + 1));
    cr_assert_eq(init_now(), SLUICE_E_TRUNCATED);
}

Test(batch_view, refuses_formats_0_and_1)
{
    batch[BATCH_MAGIC_AT] = 1;
    cr_assert_eq(init_now(), SLUICE_E_UNSUPPORTED_MAGIC);
}

Test(batch_view, takes_a_format_that_there_is_not_for_damage)
{
    batch[BATCH_MAGIC_AT] = 3;
    cr_assert_eq(init_now(), SLUICE_E_CORRUPT_BATCH);
}

Test(batch_view, refuses_a_negative_record_count)
{
    sl_be32_store(batch + BATCH_RECORD_COUNT_AT, UINT32_MAX);
    cr_assert_eq(init_now(), SLUICE_E_CORRUPT_BATCH);
}

Test(batch_view, refuses_a_negative_last_offset_delta)
{
    sl_be32_store(batch + BATCH_LAST_OFFSET_DELTA_AT, UINT32_MAX);
    cr_assert_eq(init_now(), SLUICE_E_CORRUPT_BATCH);
}

Test(batch_view, walks_batches_that_follow_each_other)
{
    fixture_batch(&buffer, 1, 0, BATCH_CODEC_NONE);
    struct sl_bytes left = sl_buffer_bytes(&buffer);
    int count = 0;
    for (; left.size > 0; count++) {
        size_t next;
        cr_assert_eq(batch_peek_size(left, &next), SLUICE_OK);
        cr_assert_leq(next, left.size);
        left = sl_bytes_of(left.data + next, left.size - next);
    }
    cr_assert_eq(count, 2);
}

Test(batch_view, keeps_its_crc_when_offset_and_leader_epoch_are_set)
{
    batch_patch_base_offset(batch, 9007199254740993);
    batch_patch_leader_epoch(batch, 7);
    struct batch_view view = view_now();
    cr_expect_eq(batch_view_base_offset(&view), 9007199254740993);
    cr_expect_eq(batch_view_last_offset(&view), 9007199254740995);
    cr_expect_eq(batch_view_next_offset(&view), 9007199254740996);
    cr_expect_eq(batch_view_leader_epoch(&view), 7);
    cr_assert_eq(batch_view_check_crc(&view), SLUICE_OK);
}

Test(batch_view, gives_every_record_the_append_time)
{
    struct record_iterator iterator;
    struct record_view record;
    batch_patch_append_time(batch, size, 5555);
    struct batch_view view = view_now();
    cr_expect(batch_view_has(&view, BATCH_LOG_APPEND_TIME));
    cr_expect_eq(batch_view_check_crc(&view), SLUICE_OK);
    record_iterator_init(&iterator, batch_view_records(&view), 3);
    while (record_iterator_next(&iterator, &record))
        cr_expect_eq(record_timestamp(&view, &record), 5555);
    cr_assert_eq(record_iterator_finish(&iterator), SLUICE_OK);
}

Test(batch_view, corrects_a_max_timestamp_with_its_crc)
{
    batch_patch_max_timestamp(batch, size, 4444);
    struct batch_view view = view_now();
    cr_expect_eq(batch_view_max_timestamp(&view), 4444);
    cr_expect_not(batch_view_has(&view, BATCH_LOG_APPEND_TIME));
    cr_assert_eq(batch_view_check_crc(&view), SLUICE_OK);
}

Test(batch_view, sees_every_flipped_bit_of_what_the_crc_covers)
{
    for (size_t bit = BATCH_CRC_AT * 8; bit < size * 8; bit++) {
        batch[bit / 8] ^= (uint8_t)(1 << bit % 8);
        struct batch_view view = {.data = batch, .size = size};
        cr_assert_eq(batch_view_check_crc(&view), SLUICE_E_CORRUPT_BATCH);
        batch[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

Test(batch_view, counts_sequences_from_0_again_after_the_largest)
{
    cr_expect_eq(batch_sequence_add(INT32_MAX, 0), INT32_MAX);
    cr_expect_eq(batch_sequence_add(INT32_MAX, 1), 0);
    cr_expect_eq(batch_sequence_add(INT32_MAX - 1, 3), 1);
    sl_be32_store(batch + BATCH_BASE_SEQUENCE_AT, INT32_MAX - 1);
    struct batch_view view = view_now();
    cr_expect_eq(batch_view_last_sequence(&view), 0);
}

Test(batch_view, survives_offsets_that_overflow)
{
    batch_patch_base_offset(batch, INT64_MAX);
    struct batch_view view = view_now();
    cr_expect_eq(batch_view_next_offset(&view), INT64_MIN + 2);
}

static sl_err walk_bytes(const uint8_t *records, size_t records_size, int32_t count)
{
    struct record_iterator iterator;
    struct record_view record;
    uint8_t *copy = malloc(records_size + (records_size == 0));
    memcpy(copy, records, records_size);
    record_iterator_init(&iterator, sl_bytes_of(copy, records_size), count);
    while (record_iterator_next(&iterator, &record)) {
    }
    sl_err err = record_iterator_finish(&iterator);
    free(copy);
    return err;
}

/* length 6: attributes, timestamp delta, offset delta, key -1, value -1, no headers */
static const uint8_t smallest[] = {12, 0, 0, 0, 1, 1, 0};

Test(record_iterator, reads_the_smallest_record)
{
    cr_assert_eq(walk_bytes(smallest, sizeof smallest, 1), SLUICE_OK);
}

Test(record_iterator, refuses_bytes_behind_the_last_record)
{
    static const uint8_t more[] = {12, 0, 0, 0, 1, 1, 0, 0};
    cr_assert_eq(walk_bytes(more, sizeof more, 1), SLUICE_E_INVALID_RECORD);
}

Test(record_iterator, refuses_fewer_records_than_counted)
{
    cr_assert_eq(walk_bytes(smallest, sizeof smallest, 2), SLUICE_E_INVALID_RECORD);
}

Test(record_iterator, refuses_bytes_behind_the_headers_inside_a_record)
{
    static const uint8_t slack[] = {14, 0, 0, 0, 1, 1, 0, 0};
    cr_assert_eq(walk_bytes(slack, sizeof slack, 1), SLUICE_E_INVALID_RECORD);
}

Test(record_iterator, refuses_lengths_that_leave_the_record)
{
    static const uint8_t key[] = {12, 0, 0, 0, 8, 1, 0};
    static const uint8_t value[] = {12, 0, 0, 0, 1, 4, 0};
    static const uint8_t huge[] = {0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 1, 1, 0};
    static const uint8_t negative[] = {12, 0, 0, 0, 3, 1, 0};
    cr_expect_eq(walk_bytes(key, sizeof key, 1), SLUICE_E_INVALID_RECORD);
    cr_expect_eq(walk_bytes(value, sizeof value, 1), SLUICE_E_INVALID_RECORD);
    cr_expect_eq(walk_bytes(huge, sizeof huge, 1), SLUICE_E_INVALID_RECORD);
    cr_expect_eq(walk_bytes(negative, sizeof negative, 1), SLUICE_E_INVALID_RECORD);
}

Test(record_iterator, refuses_a_header_without_key_and_a_negative_count)
{
    static const uint8_t null_key[] = {16, 0, 0, 0, 1, 1, 2, 1, 1};
    static const uint8_t negative[] = {12, 0, 0, 0, 1, 1, 1};
    static const uint8_t many[] = {20, 0, 0, 0, 1, 1, 0xfe, 0xff, 0xff, 0xff, 0x0f};
    cr_expect_eq(walk_bytes(null_key, sizeof null_key, 1), SLUICE_E_INVALID_RECORD);
    cr_expect_eq(walk_bytes(negative, sizeof negative, 1), SLUICE_E_INVALID_RECORD);
    cr_expect_eq(walk_bytes(many, sizeof many, 1), SLUICE_E_INVALID_RECORD);
}

Test(record_iterator, tells_null_from_empty)
{
    static const uint8_t bytes[] = {12, 0, 0, 0, 1, 0, 0, 12, 0, 0, 2, 0, 1, 0};
    struct record_iterator iterator;
    struct record_view first, second;
    record_iterator_init(&iterator, sl_bytes_of(bytes, sizeof bytes), 2);
    cr_assert(record_iterator_next(&iterator, &first));
    cr_assert(record_iterator_next(&iterator, &second));
    cr_expect(first.key_is_null && !first.value_is_null && first.value.size == 0);
    cr_expect(!second.key_is_null && second.value_is_null && second.key.size == 0);
}

Test(record_iterator, shows_nothing_in_a_batch_without_records)
{
    cr_assert_eq(walk_bytes(smallest, 0, 0), SLUICE_OK);
}
