/* test_batch_item.c: payloads of BATCH and LOG_BOUNDS. */
#include "index/batch_item.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct batch_item sample = {.topic = {{1, 2, 3}},
                                         .base_offset = 1234567890123,
                                         .last_offset = 1234567890130,
                                         .max_timestamp = 1764000000000,
                                         .producer_id = 42,
                                         .partition = 7,
                                         .record_count = 8,
                                         .base_sequence = 100,
                                         .last_sequence = 107,
                                         .leader_epoch = 3,
                                         .producer_epoch = 2,
                                         .attributes = 0x18};

Test(batch_item, says_back_what_it_was_told)
{
    uint8_t bytes[BATCH_ITEM_SIZE];
    struct batch_item back;
    batch_item_encode(&sample, bytes);
    cr_assert_eq(batch_item_decode(1, sl_bytes_of(bytes, sizeof bytes), &back), SLUICE_OK);
    cr_assert_eq(memcmp(&back, &sample, sizeof back), 0);
}

Test(batch_item, refuses_other_sizes_and_newer_versions)
{
    uint8_t bytes[BATCH_ITEM_SIZE + 1] = {0};
    struct batch_item back;
    batch_item_encode(&sample, bytes);
    for (size_t size = 0; size <= sizeof bytes; size++) {
        sl_err wanted = size == BATCH_ITEM_SIZE ? SLUICE_OK : SLUICE_E_CORRUPT;
        cr_assert_eq(batch_item_decode(1, sl_bytes_of(bytes, size), &back), wanted);
    }
    cr_assert_eq(batch_item_decode(2, sl_bytes_of(bytes, BATCH_ITEM_SIZE), &back),
                 SLUICE_E_NEWER_FORMAT);
}

Test(batch_item, refuses_offsets_that_cannot_be)
{
    static const int64_t bad[][2] = {{-1, 5}, {5, 4}, {0, INT32_MAX}, {INT64_MAX, INT64_MAX}};
    uint8_t bytes[BATCH_ITEM_SIZE];
    for (size_t i = 0; i < SL_COUNT_OF(bad); i++) {
        struct batch_item item = sample;
        item.base_offset = bad[i][0];
        item.last_offset = bad[i][1];
        batch_item_encode(&item, bytes);
        cr_assert_eq(batch_item_decode(1, sl_bytes_of(bytes, sizeof bytes), &item),
                     SLUICE_E_CORRUPT, "%zu", i);
    }
}

Test(bounds_item, says_back_what_it_was_told)
{
    const struct bounds_item item = {
        .topic = {{9}}, .start_offset = 10, .end_offset = 20, .partition = 3};
    uint8_t bytes[BOUNDS_ITEM_SIZE_MAX];
    struct bounds_item back;
    size_t size = bounds_item_encode(&item, bytes);
    cr_assert_eq(bounds_item_decode(1, sl_bytes_of(bytes, size), &back), SLUICE_OK);
    cr_assert(sl_uuid_equal(&back.topic, &item.topic));
    cr_assert_eq(back.start_offset, 10);
    cr_assert_eq(back.end_offset, 20);
    cr_assert_eq(back.partition, 3);
}

Test(bounds_item, refuses_an_end_before_its_start)
{
    const struct bounds_item item = {.start_offset = 10, .end_offset = 9};
    uint8_t bytes[BOUNDS_ITEM_SIZE_MAX];
    struct bounds_item back;
    size_t size = bounds_item_encode(&item, bytes);
    cr_assert_eq(bounds_item_decode(1, sl_bytes_of(bytes, size), &back), SLUICE_E_CORRUPT);
}
