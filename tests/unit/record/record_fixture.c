/* record_fixture.c: see record_fixture.h. */
#include "record_fixture.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t fixture_seed(const char *name)
{
    const char *given = getenv("SLUICE_TEST_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)now.tv_nsec | 1;
    fprintf(stderr, "%s: SLUICE_TEST_SEED=%" PRIu64 "\n", name, seed);
    return seed == 0 ? 1 : seed;
}

uint64_t fixture_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1du;
}

uint64_t fixture_random_below(uint64_t *state, uint64_t bound)
{
    return (fixture_random(state) >> 11) % bound;
}

static struct sl_bytes text_bytes(const char *text)
{
    return text == NULL ? (struct sl_bytes){0} : sl_bytes_of_text(text);
}

struct record_fields fixture_record(const char *key, const char *value, int64_t timestamp_ms)
{
    return (struct record_fields){
        .key = text_bytes(key),
        .value = text_bytes(value),
        .timestamp_ms = timestamp_ms,
        .key_is_null = key == NULL,
        .value_is_null = value == NULL,
    };
}

struct batch_view fixture_batch(struct sl_buffer *out, int count, int64_t first_ms, int codec)
{
    struct batch_builder builder;
    struct batch_view view;
    struct sl_buffer scratch;
    sl_buffer_init(&scratch, FIXTURE_BYTES_MAX);
    struct codec_context *context = codec_context_new();
    cr_assert_not_null(context);
    cr_assert_eq(batch_builder_start(&builder, out, NULL), SLUICE_OK);
    for (int i = 0; i < count; i++) {
        char key[32], value[64];
        snprintf(key, sizeof key, "key-%d", i);
        snprintf(value, sizeof value, "value-%d-aaaaaaaaaaaaaaaaaaaaaaaaa", i);
        struct record_fields record = fixture_record(key, value, first_ms + i);
        cr_assert_eq(batch_builder_append(&builder, &record), SLUICE_OK);
    }
    cr_assert_eq(batch_builder_finish(&builder, codec, context, &scratch, &view), SLUICE_OK);
    codec_context_free(context);
    sl_buffer_fini(&scratch);
    return view;
}

uint8_t *fixture_copy(const struct batch_view *view)
{
    uint8_t *copy = malloc(view->size);
    cr_assert_not_null(copy);
    memcpy(copy, view->data, view->size);
    return copy;
}

void fixture_reseal(uint8_t *batch, size_t size)
{
    struct batch_view view = {.data = batch, .size = size};
    sl_be32_store(batch + BATCH_CRC_AT, batch_view_computed_crc(&view));
}

static sl_err walk(const struct batch_view *view, struct codec_context *context,
                   struct sl_buffer *scratch)
{
    struct sl_bytes records;
    sl_err err = batch_decompress(view, context, FIXTURE_BYTES_MAX, scratch, &records);
    if (err != SLUICE_OK)
        return err;
    struct record_iterator iterator;
    struct record_view record;
    record_iterator_init(&iterator, records, batch_view_record_count(view));
    while (record_iterator_next(&iterator, &record)) {
    }
    return record_iterator_finish(&iterator);
}

sl_err fixture_walk(const struct batch_view *view)
{
    struct sl_buffer scratch;
    sl_buffer_init(&scratch, FIXTURE_BYTES_MAX);
    struct codec_context *context = codec_context_new();
    sl_err err = walk(view, context, &scratch);
    codec_context_free(context);
    sl_buffer_fini(&scratch);
    return err;
}
