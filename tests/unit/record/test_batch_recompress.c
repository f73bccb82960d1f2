/* test_batch_recompress.c: the same records under another codec, at any level. */
#include "record/batch_recompress.h"
#include "record/batch_validate.h"
#include "record_fixture.h"

#include <criterion/criterion.h>

enum { RECORDS = 400 };

static struct codec_context *context;
static struct sl_buffer in, out, scratch;

static void setup(void)
{
    context = codec_context_new();
    sl_buffer_init(&in, FIXTURE_BYTES_MAX);
    sl_buffer_init(&out, FIXTURE_BYTES_MAX);
    sl_buffer_init(&scratch, FIXTURE_BYTES_MAX);
}

static void teardown(void)
{
    codec_context_free(context);
    sl_buffer_fini(&in);
    sl_buffer_fini(&out);
    sl_buffer_fini(&scratch);
}

TestSuite(batch_recompress, .init = setup, .fini = teardown);

static struct batch_view recompress(const struct batch_view *batch, int codec, int32_t level)
{
    struct sl_bytes records;
    struct batch_view view;
    cr_assert_eq(batch_decompress(batch, context, FIXTURE_BYTES_MAX, &scratch, &records),
                 SLUICE_OK);
    sl_buffer_reset(&out);
    cr_assert_eq(batch_recompress(batch, records, codec, level, context, &out), SLUICE_OK);
    cr_assert_eq(batch_view_init(&view, sl_buffer_bytes(&out)), SLUICE_OK);
    cr_assert_eq(view.size, out.size);
    return view;
}

Test(batch_recompress, keeps_records_and_header_from_every_codec_to_every_other)
{
    for (int from = 0; from < BATCH_CODEC_COUNT; from++) {
        for (int to = 0; to < BATCH_CODEC_COUNT; to++) {
            sl_buffer_reset(&in);
            struct batch_view before = fixture_batch(&in, RECORDS, 1000, from);
            struct batch_view after = recompress(&before, to, CODEC_LEVEL_DEFAULT);
            struct batch_header a, b;
            struct sl_buffer plain;
            struct sl_bytes expected, found;
            cr_assert_eq(batch_view_codec(&after), to);
            cr_assert_eq(batch_view_check_crc(&after), SLUICE_OK);
            cr_assert_eq(fixture_walk(&after), SLUICE_OK);
            batch_view_header(&before, &a);
            batch_view_header(&after, &b);
            a.attributes = b.attributes;
            cr_assert_eq(memcmp(&a, &b, sizeof(a)), 0);
            cr_assert_eq(batch_view_record_count(&after), RECORDS);
            sl_buffer_init(&plain, FIXTURE_BYTES_MAX);
            cr_assert_eq(batch_decompress(&before, context, FIXTURE_BYTES_MAX, &scratch, &expected),
                         SLUICE_OK);
            cr_assert_eq(batch_decompress(&after, context, FIXTURE_BYTES_MAX, &plain, &found),
                         SLUICE_OK);
            cr_assert(sl_bytes_equal(expected, found), "%d to %d", from, to);
            sl_buffer_fini(&plain);
        }
    }
}

/* A higher level is smaller, and what all of them make is read. */
Test(batch_recompress, levels_have_an_effect)
{
    static const struct {
        int codec;
        int32_t fast, small;
    } rows[] = {
        {BATCH_CODEC_GZIP, 2, 9}, {BATCH_CODEC_GZIP, 2, 6},   {BATCH_CODEC_LZ4, 9, 12},
        {BATCH_CODEC_LZ4, 9, 1},  {BATCH_CODEC_ZSTD, -50, 3}, {BATCH_CODEC_ZSTD, -20, 19},
    };
    struct batch_view batch = fixture_batch(&in, RECORDS, 1000, BATCH_CODEC_NONE);
    for (size_t i = 0; i < SL_COUNT_OF(rows); i++) {
        struct batch_view fast = recompress(&batch, rows[i].codec, rows[i].fast);
        cr_assert_eq(fixture_walk(&fast), SLUICE_OK);
        size_t size = fast.size;
        struct batch_view small = recompress(&batch, rows[i].codec, rows[i].small);
        cr_assert_eq(fixture_walk(&small), SLUICE_OK);
        cr_assert_lt(small.size, size, "codec %d, level %d", rows[i].codec, rows[i].small);
    }
}

Test(batch_recompress, a_bound_that_is_too_close_leaves_the_buffer_as_it_was)
{
    struct batch_view batch = fixture_batch(&in, RECORDS, 1000, BATCH_CODEC_NONE);
    struct sl_buffer narrow;
    sl_buffer_init(&narrow, BATCH_HEADER_SIZE + 10);
    cr_assert_eq(batch_recompress(&batch, batch_view_records(&batch), BATCH_CODEC_SNAPPY, 0,
                                  context, &narrow),
                 SLUICE_E_LIMIT);
    cr_assert_eq(narrow.size, 0);
    sl_buffer_fini(&narrow);
}
