/* test_record_random.c: what is built by chance is read back; what is damaged by chance never
 * harms. */
#include "record/batch_validate.h"
#include "record_fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { ROUNDS = 400, RECORDS_MAX = 60, FIELD_MAX = 300, HEADERS_MAX = 4 };

struct sample {
    struct record_fields fields;
    struct header_view headers[HEADERS_MAX];
    int32_t offset_delta;
};

static uint8_t noise[FIELD_MAX];

static struct sl_bytes random_field(uint64_t *random, bool *ret_is_null)
{
    uint64_t kind = fixture_random_below(random, 8);
    *ret_is_null = kind == 0;
    if (kind <= 1)
        return (struct sl_bytes){0};
    return sl_bytes_of(noise, 1 + fixture_random_below(random, FIELD_MAX - 1));
}

static void random_sample(uint64_t *random, struct sample *sample, int32_t offset_delta)
{
    struct record_fields *fields = &sample->fields;
    bool ignored;
    fields->key = random_field(random, &fields->key_is_null);
    fields->value = random_field(random, &fields->value_is_null);
    fields->timestamp_ms = (int64_t)(fixture_random(random) >> fixture_random_below(random, 63));
    fields->headers = sample->headers;
    fields->header_count = fixture_random_below(random, HEADERS_MAX + 1);
    for (size_t i = 0; i < fields->header_count; i++) {
        sample->headers[i].key = random_field(random, &ignored);
        sample->headers[i].value = random_field(random, &sample->headers[i].value_is_null);
    }
    sample->offset_delta = offset_delta;
}

static void expect_same(const struct sample *sample, const struct batch_view *batch,
                        const struct record_view *record)
{
    struct record_fields read;
    struct header_view headers[HEADERS_MAX];
    const struct record_fields *wrote = &sample->fields;
    cr_assert_eq(record_fields_from_view(&read, batch, record, headers, HEADERS_MAX), SLUICE_OK);
    cr_assert_eq(record->offset_delta, sample->offset_delta);
    cr_assert_eq(read.timestamp_ms, wrote->timestamp_ms);
    cr_assert_eq(read.key_is_null, wrote->key_is_null);
    cr_assert_eq(read.value_is_null, wrote->value_is_null);
    cr_assert(sl_bytes_equal(read.key, wrote->key));
    cr_assert(sl_bytes_equal(read.value, wrote->value));
    cr_assert_eq(read.header_count, wrote->header_count);
    for (size_t i = 0; i < read.header_count; i++) {
        cr_assert(sl_bytes_equal(headers[i].key, wrote->headers[i].key));
        cr_assert(sl_bytes_equal(headers[i].value, wrote->headers[i].value));
        cr_assert_eq(headers[i].value_is_null, wrote->headers[i].value_is_null);
    }
}

struct bench {
    struct codec_context *context;
    struct sl_buffer out, scratch;
    struct sample samples[RECORDS_MAX];
};

static struct batch_view build(struct bench *bench, uint64_t *random, int count)
{
    struct batch_builder builder;
    struct batch_view view;
    sl_buffer_reset(&bench->out);
    cr_assert_eq(batch_builder_start(&builder, &bench->out, NULL), SLUICE_OK);
    int32_t delta = 0;
    for (int i = 0; i < count; i++, delta++) {
        delta +=
            fixture_random_below(random, 10) == 0 ? (int32_t)fixture_random_below(random, 999) : 0;
        random_sample(random, &bench->samples[i], delta);
        cr_assert_eq(batch_builder_append_at(&builder, &bench->samples[i].fields, delta),
                     SLUICE_OK);
    }
    int codec = (int)fixture_random_below(random, BATCH_CODEC_COUNT);
    cr_assert_eq(batch_builder_finish(&builder, codec, bench->context, &bench->scratch, &view),
                 SLUICE_OK);
    return view;
}

static void expect_read_back(struct bench *bench, const struct batch_view *view, int count)
{
    struct sl_bytes records;
    struct record_iterator iterator;
    struct record_view record;
    cr_assert_eq(batch_view_check_crc(view), SLUICE_OK);
    cr_assert_eq(
        batch_decompress(view, bench->context, FIXTURE_BYTES_MAX, &bench->scratch, &records),
        SLUICE_OK);
    record_iterator_init(&iterator, records, batch_view_record_count(view));
    int seen = 0;
    for (; record_iterator_next(&iterator, &record); seen++)
        expect_same(&bench->samples[seen], view, &record);
    cr_assert_eq(record_iterator_finish(&iterator), SLUICE_OK);
    cr_assert_eq(seen, count);
}

/* Damage with a CRC that fits: as a hostile client would send it. Any answer is fine, harm is not.
 */
static void damage(struct bench *bench, const struct batch_view *view, uint64_t *random)
{
    struct batch_limits limits;
    struct batch_verdict verdict;
    uint8_t *batch = fixture_copy(view);
    batch_limits_init(&limits);
    limits.validate_records = true;
    limits.allow_holes = true;
    for (uint64_t i = 0; i <= fixture_random_below(random, 4); i++)
        batch[21 + fixture_random_below(random, view->size - 21)] ^=
            (uint8_t)fixture_random(random);
    fixture_reseal(batch, view->size);
    sl_err err = batch_validate(sl_bytes_of(batch, view->size), &limits, bench->context,
                                &bench->scratch, &verdict);
    cr_assert(err == SLUICE_OK || err >= SLUICE_E_CORRUPT_BATCH);
    free(batch);
}

Test(random, batches_are_read_back_as_built_and_damaged_ones_do_no_harm, .timeout = 60)
{
    uint64_t random = fixture_seed("random batches");
    struct bench *bench = calloc(1, sizeof *bench);
    bench->context = codec_context_new();
    sl_buffer_init(&bench->out, FIXTURE_BYTES_MAX);
    sl_buffer_init(&bench->scratch, FIXTURE_BYTES_MAX);
    for (size_t i = 0; i < sizeof noise; i++)
        noise[i] = (uint8_t)(fixture_random(&random) >> 56);
    for (int round = 0; round < ROUNDS; round++) {
        int count = 1 + (int)fixture_random_below(&random, RECORDS_MAX);
        struct batch_view view = build(bench, &random, count);
        expect_read_back(bench, &view, count);
        for (int i = 0; i < 20; i++)
            damage(bench, &view, &random);
    }
    codec_context_free(bench->context);
    sl_buffer_fini(&bench->out);
    sl_buffer_fini(&bench->scratch);
    free(bench);
}
