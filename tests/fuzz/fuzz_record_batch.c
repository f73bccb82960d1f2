/* fuzz_record_batch.c: a Produce entry from a hostile client, through validation, walk and rewrite.
 *
 * The first byte sets the limits' flags; the rest is the entry. The CRC is made to fit, or the
 * fuzzer would never get behind it. What passes validation must rewrite to a batch that passes
 * again. */
#include "record/batch_builder.h"
#include "record/batch_validate.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { EXPANDED_MAX = 1 << 20, HEADERS_MAX = 16 };

struct state {
    struct codec_context *context;
    struct sl_buffer records, out, scratch;
};

/* Made once: that a context survives whatever it met before is part of what is tested. */
static struct state *state_get(void)
{
    static struct state state;
    if (state.context == NULL) {
        state.context = codec_context_new();
        sl_buffer_init(&state.records, EXPANDED_MAX);
        sl_buffer_init(&state.out, 4 * EXPANDED_MAX);
        sl_buffer_init(&state.scratch, 8 * EXPANDED_MAX);
    }
    return &state;
}

static void limits_from(uint8_t flags, struct batch_limits *limits)
{
    batch_limits_init(limits);
    limits->expanded_bytes_max = EXPANDED_MAX;
    limits->now_ms = 1700000000000;
    limits->timestamp_after_ms = (flags & 1) != 0 ? BATCH_TIMESTAMP_UNLIMITED : 3600000;
    limits->validate_records = (flags & 2) != 0;
    limits->compacted = (flags & 4) != 0;
    limits->append_time = (flags & 8) != 0;
    limits->allow_holes = (flags & 16) != 0;
}

static void put(struct batch_builder *builder, const struct batch_view *view,
                const struct record_view *record, bool copy)
{
    struct record_fields fields;
    struct header_view headers[HEADERS_MAX];
    sl_err err = SLUICE_E_LIMIT;
    if (!copy)
        err = record_fields_from_view(&fields, view, record, headers, HEADERS_MAX);
    if (err == SLUICE_OK)
        err = batch_builder_append_at(builder, &fields, record->offset_delta);
    else
        err = batch_builder_keep(builder, record);
    SL_ASSERT(err == SLUICE_OK);
}

static void rewrite(struct state *state, const struct batch_view *view, struct sl_bytes records,
                    struct batch_limits *limits, int codec)
{
    struct batch_builder builder;
    struct record_iterator iterator;
    struct record_view record;
    struct batch_view built;
    struct batch_verdict verdict;
    sl_buffer_reset(&state->out);
    SL_ASSERT(batch_builder_start_rewrite(&builder, &state->out, view) == SLUICE_OK);
    record_iterator_init(&iterator, records, batch_view_record_count(view));
    while (record_iterator_next(&iterator, &record))
        if (record.offset_delta % 3 != 0)
            put(&builder, view, &record, record.offset_delta % 3 == 1);
    SL_ASSERT(record_iterator_finish(&iterator) == SLUICE_OK);
    sl_err err = batch_builder_finish(&builder, codec, state->context, &state->scratch, &built);
    SL_ASSERT(err == SLUICE_OK);
    limits->allow_holes = limits->validate_records = true;
    limits->batch_bytes_max = SIZE_MAX;
    limits->expanded_bytes_max = 4 * EXPANDED_MAX;
    err = batch_validate(sl_bytes_of(built.data, built.size), limits, state->context,
                         &state->scratch, &verdict);
    SL_ASSERT(err == SLUICE_OK && verdict.walked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct state *state = state_get();
    struct batch_limits limits;
    struct batch_verdict verdict;
    struct sl_bytes records;
    if (size < 1)
        return 0;
    limits_from(data[0], &limits);
    uint8_t *entry = malloc(size);
    size_t entry_size = size - 1;
    memcpy(entry, data + 1, entry_size);
    struct batch_view view = {.data = entry, .size = entry_size};
    if (entry_size >= BATCH_HEADER_SIZE)
        sl_be32_store(entry + BATCH_CRC_AT, batch_view_computed_crc(&view));
    sl_err err = batch_validate(sl_bytes_of(entry, entry_size), &limits, state->context,
                                &state->records, &verdict);
    SL_ASSERT(state->records.capacity <= EXPANDED_MAX);
    if (err == SLUICE_OK && verdict.walked) {
        err = batch_decompress(&view, state->context, EXPANDED_MAX, &state->records, &records);
        SL_ASSERT(err == SLUICE_OK);
        rewrite(state, &view, records, &limits,
                data[0] >> 5 < BATCH_CODEC_COUNT ? data[0] >> 5 : 0);
    }
    free(entry);
    return 0;
}
