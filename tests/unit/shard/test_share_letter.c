/* test_share_letter.c: what a dead letter of a share group holds. */
#include "base/bytes.h"
#include "shard/share_letter.h"

#include <criterion/criterion.h>

#include <string.h>

static struct sl_buffer stored, out;

static void setup(void)
{
    sl_buffer_init(&stored, 1 << 20);
    sl_buffer_init(&out, 1 << 20);
}

static void teardown(void)
{
    sl_buffer_fini(&stored);
    sl_buffer_fini(&out);
}

TestSuite(share_letter, .init = setup, .fini = teardown);

/* A batch of records "0", "1" … of a header each, at these offsets. */
static void store(int64_t base, uint32_t count, int codec)
{
    struct batch_builder builder;
    struct batch_header header;
    struct batch_view view;
    struct codec_context *codecs = codec_context_new();
    struct sl_buffer scratch;
    sl_buffer_init(&scratch, 1 << 20);
    batch_header_init(&header);
    header.base_offset = base;
    cr_assert_eq(batch_builder_start(&builder, &stored, &header), SLUICE_OK);
    for (uint32_t i = 0; i < count; i++) {
        const struct header_view own = {.key = sl_bytes_of_text("own"),
                                        .value = sl_bytes_of_text("1")};
        char text[8] = {(char)('0' + i)};
        const struct record_fields fields = {.key_is_null = true,
                                             .value = sl_bytes_of_text(text),
                                             .headers = &own,
                                             .header_count = 1};
        cr_assert_eq(batch_builder_append(&builder, &fields), SLUICE_OK);
    }
    cr_assert_eq(batch_builder_finish(&builder, codec, codecs, &scratch, &view), SLUICE_OK);
    sl_buffer_fini(&scratch);
    codec_context_free(codecs);
}

static uint32_t write_of(const int64_t *offsets, uint32_t count, uint32_t bytes_max,
                         int64_t read_end)
{
    struct share_letter letters[8];
    uint32_t written = 0;
    for (uint32_t i = 0; i < count; i++) {
        letters[i] = (struct share_letter){offsets[i], (uint16_t)(i + 1), SHARE_REJECTED};
    }
    const struct share_letter_page page = {
        .origin = {.group = sl_bytes_of_text("g"), .topic = sl_bytes_of_text("t"), .partition = 3},
        .letters = letters,
        .letter_count = count,
        .records = sl_buffer_bytes(&stored),
        .read_end = read_end,
        .now_ms = 1234,
        .bytes_max = bytes_max,
        .expanded_bytes_max = 1 << 20};
    cr_assert_eq(share_letters_write(&page, &out, &written), SLUICE_OK);
    return written;
}

/* "value/header=value/…" of each letter, '-' for one without its record. */
static void expect(uint32_t index, const char *value, const char *offset, const char *deliveries)
{
    struct batch_view batch;
    struct record_iterator records;
    struct record_view record;
    struct header_iterator headers;
    struct header_view header;
    bool has_offset = false, has_deliveries = false;
    cr_assert_eq(batch_view_init(&batch, sl_buffer_bytes(&out)), SLUICE_OK);
    record_iterator_init(&records, batch_view_records(&batch), batch_view_record_count(&batch));
    for (uint32_t i = 0; i <= index; i++) {
        cr_assert(record_iterator_next(&records, &record));
    }
    cr_assert_eq(record.value_is_null, value == NULL);
    cr_assert(value == NULL || sl_bytes_equal(record.value, sl_bytes_of_text(value)));
    cr_assert_eq(record_timestamp(&batch, &record), 1234);
    cr_assert_eq(record.header_count, value == NULL ? 6 : 7, "its own first");
    header_iterator_init(&headers, &record);
    while (header_iterator_next(&headers, &header)) {
        has_offset |= sl_bytes_equal(header.key, sl_bytes_of_text("__dlq.errors.offset")) &&
                      sl_bytes_equal(header.value, sl_bytes_of_text(offset));
        has_deliveries |=
            sl_bytes_equal(header.key, sl_bytes_of_text("__dlq.errors.delivery.count")) &&
            sl_bytes_equal(header.value, sl_bytes_of_text(deliveries));
    }
    cr_assert(has_offset && has_deliveries);
}

Test(share_letter, holds_its_record_of_a_plain_or_compressed_batch)
{
    store(10, 3, BATCH_CODEC_NONE);
    store(13, 3, BATCH_CODEC_LZ4);
    cr_assert_eq(write_of((const int64_t[]){11, 15}, 2, 4096, 16), 2);
    expect(0, "1", "11", "1");
    expect(1, "2", "15", "2");
}

Test(share_letter, of_a_record_that_is_gone_says_where_it_was)
{
    store(10, 2, BATCH_CODEC_NONE);
    store(15, 1, BATCH_CODEC_NONE);
    cr_assert_eq(write_of((const int64_t[]){8, 11, 13, 15, 16}, 5, 4096, 17), 5);
    expect(0, NULL, "8", "1");
    expect(1, "1", "11", "2");
    expect(2, NULL, "13", "3");
    expect(3, "0", "15", "4");
    expect(4, NULL, "16", "5");
}

Test(share_letter, beyond_what_was_read_is_left_for_the_next_batch)
{
    store(10, 2, BATCH_CODEC_NONE);
    cr_assert_eq(write_of((const int64_t[]){11, 12}, 2, 4096, 12), 1);
    expect(0, "1", "11", "1");
}

Test(share_letter, batches_are_as_large_as_the_topic_takes_and_a_record_that_is_larger_is_left_out)
{
    store(10, 3, BATCH_CODEC_NONE);
    cr_assert_eq(write_of((const int64_t[]){10, 11, 12}, 3, 61 + 500, 13), 1);
    expect(0, "0", "10", "1");
    sl_buffer_reset(&out);
    cr_assert_eq(write_of((const int64_t[]){10, 11, 12}, 3, 61, 13), 1);
    expect(0, NULL, "10", "1");
}

Test(share_letter, of_a_damaged_batch_holds_no_record)
{
    store(10, 3, BATCH_CODEC_LZ4);
    stored.data[61 + 8] ^= 0x55;
    stored.data[61 + 9] ^= 0x55;
    cr_assert_eq(write_of((const int64_t[]){10, 12}, 2, 4096, 13), 2);
    expect(0, NULL, "10", "1");
    expect(1, NULL, "12", "2");
}
