/* test_batch_builder.c: writing batches, and writing them again with holes. */
#include "record_fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct sl_buffer out, scratch;
static struct codec_context *context;
static struct batch_builder builder;
static struct batch_view view;

static void setup(void)
{
    sl_buffer_init(&out, FIXTURE_BYTES_MAX);
    sl_buffer_init(&scratch, FIXTURE_BYTES_MAX);
    context = codec_context_new();
}

static void teardown(void)
{
    sl_buffer_fini(&out);
    sl_buffer_fini(&scratch);
    codec_context_free(context);
}

TestSuite(batch_builder, .init = setup, .fini = teardown);

static void start(const struct batch_header *header)
{
    cr_assert_eq(batch_builder_start(&builder, &out, header), SLUICE_OK);
}

static sl_err append(const char *key, const char *value, int64_t timestamp_ms)
{
    struct record_fields record = fixture_record(key, value, timestamp_ms);
    return batch_builder_append(&builder, &record);
}

static sl_err append_at(int32_t offset_delta)
{
    struct record_fields record = fixture_record("k", "v", 10);
    return batch_builder_append_at(&builder, &record, offset_delta);
}

static void finish(int codec)
{
    cr_assert_eq(batch_builder_finish(&builder, codec, context, &scratch, &view), SLUICE_OK);
    struct batch_view again;
    cr_assert_eq(batch_view_init(&again, sl_bytes_of(view.data, view.size)), SLUICE_OK);
    cr_assert_eq(batch_view_check_crc(&view), SLUICE_OK);
    cr_assert_eq(fixture_walk(&view), SLUICE_OK);
}

Test(batch_builder, writes_the_bytes_that_kafka_documents)
{
    static const uint8_t records[] = {22, 0, 0, 0, 2, 'k', 2,   'v', 2, 2, 'h', 1, /* first */
                                      16, 0, 9, 2, 1, 4,   'w', 'x', 0};
    struct header_view header = {.key = sl_bytes_of_text("h"), .value_is_null = true};
    struct record_fields first = fixture_record("k", "v", 100);
    first.headers = &header;
    first.header_count = 1;
    start(NULL);
    cr_assert_eq(batch_builder_append(&builder, &first), SLUICE_OK);
    cr_assert_eq(append(NULL, "wx", 95), SLUICE_OK);
    finish(BATCH_CODEC_NONE);
    cr_assert_eq(batch_view_record_count(&view), 2);
    cr_assert_eq(batch_view_base_timestamp(&view), 100);
    cr_assert_eq(batch_view_max_timestamp(&view), 100);
    cr_assert_eq(batch_view_last_offset_delta(&view), 1);
    struct sl_bytes written = batch_view_records(&view);
    cr_assert_eq(written.size, sizeof records);
    cr_assert_arr_eq(written.data, records, sizeof records);
}

Test(batch_builder, sets_producer_fields_and_attributes)
{
    struct batch_header header;
    batch_header_init(&header);
    header.base_offset = 77;
    header.leader_epoch = 3;
    header.producer_id = 4000;
    header.producer_epoch = 5;
    header.base_sequence = 6;
    header.attributes = BATCH_TRANSACTIONAL;
    start(&header);
    cr_assert_eq(append("k", NULL, 1), SLUICE_OK);
    finish(BATCH_CODEC_LZ4);
    struct batch_header read;
    batch_view_header(&view, &read);
    cr_expect_eq(read.base_offset, 77);
    cr_expect_eq(read.leader_epoch, 3);
    cr_expect_eq(read.producer_id, 4000);
    cr_expect_eq(read.producer_epoch, 5);
    cr_expect_eq(read.base_sequence, 6);
    cr_expect_eq(read.attributes, BATCH_TRANSACTIONAL | BATCH_CODEC_LZ4);
}

Test(batch_builder, leaves_holes_between_offset_deltas)
{
    start(NULL);
    cr_expect_eq(append_at(3), SLUICE_OK);
    cr_expect_eq(append_at(3), SLUICE_E_INVALID);
    cr_expect_eq(append_at(9), SLUICE_OK);
    finish(BATCH_CODEC_NONE);
    cr_expect_eq(batch_view_last_offset_delta(&view), 9);
    cr_expect_eq(batch_view_record_count(&view), 2);
}

Test(batch_builder, stands_as_before_when_the_buffer_is_full)
{
    sl_buffer_fini(&out);
    sl_buffer_init(&out, 100);
    start(NULL);
    cr_expect_eq(append("key", "value", 1), SLUICE_OK);
    cr_expect_eq(append("key", "a value that has no room in the buffer", 1), SLUICE_E_LIMIT);
    finish(BATCH_CODEC_NONE);
    cr_expect_eq(batch_view_record_count(&view), 1);
}

Test(batch_builder, has_no_offset_behind_the_last_one)
{
    start(NULL);
    cr_expect_eq(append_at(INT32_MAX), SLUICE_OK);
    cr_expect_eq(append("k", "v", 1), SLUICE_E_LIMIT);
}

Test(batch_builder, keeps_its_records_when_compression_has_no_room)
{
    start(NULL);
    cr_assert_eq(append("key", "value", 1), SLUICE_OK);
    sl_buffer_fini(&scratch);
    sl_buffer_init(&scratch, 8);
    cr_expect_eq(batch_builder_finish(&builder, BATCH_CODEC_GZIP, context, &scratch, &view),
                 SLUICE_E_LIMIT);
    finish(BATCH_CODEC_NONE);
}

Test(batch_builder, refuses_a_new_batch_without_records)
{
    start(NULL);
    cr_expect_eq(batch_builder_finish(&builder, 0, NULL, NULL, &view), SLUICE_E_INVALID);
    batch_builder_abandon(&builder);
    cr_expect_eq(out.size, 0);
}

Test(batch_builder, writes_behind_what_the_buffer_holds)
{
    cr_assert_eq(sl_buffer_append(&out, "front", 5), SLUICE_OK);
    start(NULL);
    cr_assert_eq(append("k", "v", 1), SLUICE_OK);
    finish(BATCH_CODEC_ZSTD);
    cr_expect_eq(view.data - out.data, 5);
    cr_expect_eq(out.size, 5 + view.size);
}

/* An original with everything a rewrite has to keep. */
static uint8_t *original(int codec, struct batch_view *ret_view)
{
    struct batch_header header;
    batch_header_init(&header);
    header.base_offset = 1000;
    header.producer_id = 8;
    header.producer_epoch = 1;
    header.base_sequence = 50;
    header.attributes = BATCH_TRANSACTIONAL;
    start(&header);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(append("k", "value", 100 + i), SLUICE_OK);
    finish(codec);
    uint8_t *copy = fixture_copy(&view);
    *ret_view = (struct batch_view){.data = copy, .size = view.size};
    sl_buffer_reset(&out);
    return copy;
}

static void expect_kept_fields(const struct batch_view *old)
{
    struct batch_header before, after;
    batch_view_header(old, &before);
    batch_view_header(&view, &after);
    cr_expect_eq(after.base_offset, before.base_offset);
    cr_expect_eq(after.last_offset_delta, before.last_offset_delta);
    cr_expect_eq(after.producer_id, before.producer_id);
    cr_expect_eq(after.producer_epoch, before.producer_epoch);
    cr_expect_eq(after.base_sequence, before.base_sequence);
    cr_expect_eq(after.base_timestamp, before.base_timestamp);
    cr_expect(after.attributes & BATCH_TRANSACTIONAL);
}

/* Keeps the record at 0, drops 1 and 3, replaces the value at 2. */
static void rewrite_some(const struct batch_view *old)
{
    struct sl_bytes records;
    struct sl_buffer opened;
    struct record_iterator iterator;
    struct record_view record;
    sl_buffer_init(&opened, FIXTURE_BYTES_MAX);
    cr_assert_eq(batch_decompress(old, context, FIXTURE_BYTES_MAX, &opened, &records), SLUICE_OK);
    cr_assert_eq(batch_builder_start_rewrite(&builder, &out, old), SLUICE_OK);
    record_iterator_init(&iterator, records, batch_view_record_count(old));
    cr_assert(record_iterator_next(&iterator, &record));
    cr_assert_eq(batch_builder_keep(&builder, &record), SLUICE_OK);
    struct record_fields other = fixture_record("k", "another", 102);
    cr_assert_eq(batch_builder_append_at(&builder, &other, 2), SLUICE_OK);
    cr_assert_eq(batch_builder_append_at(&builder, &other, 4), SLUICE_E_INVALID);
    sl_buffer_fini(&opened);
}

Test(batch_builder, rewrites_with_the_offsets_and_sequences_of_the_original)
{
    for (int codec = 0; codec < BATCH_CODEC_COUNT; codec++) {
        struct batch_view old;
        uint8_t *bytes = original(codec, &old);
        rewrite_some(&old);
        finish(codec);
        expect_kept_fields(&old);
        cr_expect_eq(batch_view_record_count(&view), 2);
        cr_expect_eq(batch_view_max_timestamp(&view), 102);
        cr_expect_eq(batch_view_next_offset(&view), 1004);
        free(bytes);
    }
}

Test(batch_builder, keeps_the_header_of_a_batch_that_lost_all_records)
{
    struct batch_view old;
    uint8_t *bytes = original(BATCH_CODEC_ZSTD, &old);
    cr_assert_eq(batch_builder_start_rewrite(&builder, &out, &old), SLUICE_OK);
    finish(BATCH_CODEC_ZSTD);
    expect_kept_fields(&old);
    cr_expect_eq(view.size, BATCH_HEADER_SIZE);
    cr_expect_eq(batch_view_record_count(&view), 0);
    cr_expect_eq(batch_view_codec(&view), BATCH_CODEC_NONE);
    cr_expect_eq(batch_view_max_timestamp(&view), 103);
    free(bytes);
}

Test(batch_builder, keeps_the_append_time_of_the_original)
{
    struct batch_view old;
    uint8_t *bytes = original(BATCH_CODEC_NONE, &old);
    batch_patch_append_time(bytes, old.size, 9999);
    rewrite_some(&old);
    finish(BATCH_CODEC_NONE);
    cr_expect_eq(batch_view_max_timestamp(&view), 9999);
    free(bytes);
}
