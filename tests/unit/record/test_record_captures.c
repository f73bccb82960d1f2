/* test_record_captures.c: batches that real producers sent, read and written again. */
#include "capture_file.h"
#include "record_fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static struct capture_file file;

static void setup(void)
{
    capture_file_open(&file);
}

static void teardown(void)
{
    capture_file_close(&file);
}

TestSuite(captures, .init = setup, .fini = teardown);

static struct batch_view view_of(const struct capture *capture)
{
    struct batch_view view;
    cr_assert_eq(batch_view_init(&view, sl_bytes_of(capture->batch, capture->size)), SLUICE_OK);
    cr_assert_eq(view.size, capture->size);
    return view;
}

Test(captures, have_the_header_fields_that_were_noted_when_they_were_taken)
{
    for (int i = 0; i < CAPTURE_COUNT; i++) {
        const struct capture *capture = &file.captures[i];
        struct batch_view view = view_of(capture);
        cr_expect_eq(batch_view_record_count(&view), capture->record_count);
        cr_expect_eq(batch_view_last_offset_delta(&view), capture->last_offset_delta);
        cr_expect_eq(batch_view_base_timestamp(&view), capture->base_timestamp);
        cr_expect_eq(batch_view_max_timestamp(&view), capture->max_timestamp);
        cr_expect_eq(batch_view_producer_id(&view), capture->producer_id);
        cr_expect_eq(batch_view_producer_epoch(&view), capture->producer_epoch);
        cr_expect_eq(batch_view_base_sequence(&view), capture->base_sequence);
        cr_expect_eq(batch_view_crc(&view), capture->crc);
        cr_expect_eq(batch_view_has(&view, BATCH_TRANSACTIONAL), capture->transactional);
        cr_expect_str_eq(codec_name(batch_view_codec(&view)), capture->codec);
        cr_expect_eq(batch_view_check_crc(&view), SLUICE_OK);
    }
}

Test(captures, open_and_walk_to_the_last_byte)
{
    for (int i = 0; i < CAPTURE_COUNT; i++) {
        struct batch_view view = view_of(&file.captures[i]);
        cr_expect_eq(fixture_walk(&view), SLUICE_OK, "capture %d", i);
    }
}

Test(captures, show_key_and_header_of_the_first_record)
{
    struct record_view first;
    struct record_iterator iterator;
    struct batch_view view = view_of(&file.captures[0]);
    record_iterator_init(&iterator, batch_view_records(&view), batch_view_record_count(&view));
    cr_assert(record_iterator_next(&iterator, &first));
    cr_expect(sl_bytes_equal(first.key, sl_bytes_of_text("key3")));
    cr_expect_eq(first.header_count, 1);
    struct header_view header;
    struct header_iterator headers;
    header_iterator_init(&headers, &first);
    cr_assert(header_iterator_next(&headers, &header));
    cr_expect(sl_bytes_equal(header.key, sl_bytes_of_text("h1")));
    cr_expect(sl_bytes_equal(header.value, sl_bytes_of_text("v1")));
    cr_expect_not(header_iterator_next(&headers, &header));
}

static void rebuild(const struct capture *capture, struct sl_buffer *out)
{
    struct batch_view view = view_of(capture), built;
    struct batch_builder builder;
    struct record_iterator iterator;
    struct record_view record;
    struct record_fields fields;
    struct header_view headers[8];
    sl_buffer_reset(out);
    cr_assert_eq(batch_builder_start_rewrite(&builder, out, &view), SLUICE_OK);
    record_iterator_init(&iterator, batch_view_records(&view), batch_view_record_count(&view));
    while (record_iterator_next(&iterator, &record)) {
        cr_assert_eq(record_fields_from_view(&fields, &view, &record, headers, 8), SLUICE_OK);
        cr_assert_eq(batch_builder_append(&builder, &fields), SLUICE_OK);
    }
    cr_assert_eq(batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, NULL, &built), SLUICE_OK);
    cr_assert_eq(built.size, view.size);
    cr_assert_arr_eq(built.data, view.data, view.size);
}

Test(captures, rebuilt_from_their_records_are_the_same_bytes)
{
    int count = 0;
    struct sl_buffer out;
    sl_buffer_init(&out, FIXTURE_BYTES_MAX);
    for (int i = 0; i < CAPTURE_COUNT; i++) {
        if (strcmp(file.captures[i].codec, "none") != 0)
            continue;
        rebuild(&file.captures[i], &out);
        count++;
    }
    cr_assert_eq(count, 11);
    sl_buffer_fini(&out);
}

/* The batch alone in memory of its size, so that reading one byte too far is seen by ASan. */
static void refuse_cut(const struct capture *capture, size_t size)
{
    struct batch_view view;
    uint8_t *cut = malloc(size + (size == 0));
    memcpy(cut, capture->batch, size);
    sl_err err = batch_view_init(&view, sl_bytes_of(cut, size));
    cr_assert_eq(err, SLUICE_E_TRUNCATED, "%zu of %zu bytes", size, capture->size);
    free(cut);
}

Test(captures, cut_short_anywhere_are_refused)
{
    for (int i = 0; i < CAPTURE_COUNT; i++)
        for (size_t size = 0; size < file.captures[i].size; size++)
            refuse_cut(&file.captures[i], size);
}

/* A batch whose length field agrees with the cut: only the walk can find out. */
static void refuse_shortened(const struct capture *capture, size_t size)
{
    struct batch_view view;
    uint8_t *cut = malloc(size);
    memcpy(cut, capture->batch, size);
    sl_be32_store(cut + BATCH_LENGTH_AT, (uint32_t)(size - BATCH_OVERHEAD_SIZE));
    cr_assert_eq(batch_view_init(&view, sl_bytes_of(cut, size)), SLUICE_OK);
    cr_assert_eq(fixture_walk(&view), SLUICE_E_INVALID_RECORD, "%s: %zu of %zu bytes",
                 capture->codec, size, capture->size);
    cr_assert_eq(batch_view_check_crc(&view), SLUICE_E_CORRUPT_BATCH);
    free(cut);
}

Test(captures, whose_records_are_cut_anywhere_are_refused_by_the_walk)
{
    for (int i = 0; i < CAPTURE_COUNT; i++)
        for (size_t size = BATCH_HEADER_SIZE; size < file.captures[i].size; size++)
            refuse_shortened(&file.captures[i], size);
}
