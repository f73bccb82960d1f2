/* stage_input.c: see stage_input.h. */
#include "stage/stage_input.h"

#define INPUT_BYTES_MAX (40u << 20) /* one record of the largest frame, decompressed */

void header_room_fini(struct header_room *room)
{
    sl_free(room->items);
    *room = (struct header_room){0};
}

sl_err header_room_reserve(struct header_room *room, size_t count)
{
    if (count <= room->capacity) {
        return SLUICE_OK;
    }
    if (count > STAGE_HEADERS_MAX) {
        return SLUICE_E_LIMIT;
    }
    size_t capacity = SL_MAX(count, (size_t)16);
    struct header_view *items = sl_realloc(room->items, capacity * sizeof(*items));
    if (items == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    room->items = items;
    room->capacity = capacity;
    return SLUICE_OK;
}

sl_err header_room_fields(struct header_room *room, const struct batch_view *batch,
                          const struct record_view *record, size_t extra,
                          struct record_fields *ret_fields)
{
    size_t count = (size_t)record->header_count;
    sl_err err = header_room_reserve(room, count + extra);
    return err != SLUICE_OK
               ? err
               : record_fields_from_view(ret_fields, batch, record, room->items, count);
}

void stage_input_init(struct stage_input *input)
{
    *input = (struct stage_input){0};
    sl_buffer_init(&input->bytes, INPUT_BYTES_MAX);
}

void stage_input_fini(struct stage_input *input)
{
    sl_buffer_fini(&input->bytes);
    input->open = false;
}

void stage_input_begin(struct stage_input *input, int64_t offset, uint32_t records_max)
{
    sl_buffer_reset(&input->bytes);
    input->next_offset = offset;
    input->base_offset = offset;
    input->record_count = 0;
    input->records_max = SL_MIN(records_max, STAGE_INPUT_RECORDS_MAX);
    input->open = false;
}

bool stage_input_is_full(const struct stage_input *input)
{
    return input->record_count >= input->records_max || input->bytes.size >= STAGE_INPUT_BYTES;
}

sl_err stage_input_append(struct stage_input *input, int64_t offset,
                          const struct record_fields *fields)
{
    if (!input->open) {
        struct batch_header header;
        batch_header_init(&header);
        header.base_offset = offset;
        sl_err err = batch_builder_start(&input->builder, &input->bytes, &header);
        if (err != SLUICE_OK) {
            return err;
        }
        input->base_offset = offset;
        input->open = true;
    }
    return batch_builder_append_at(&input->builder, fields, (int32_t)(offset - input->base_offset));
}

/* Whether the batch can be walked to its end: a fault must not show after half of it was used. */
static sl_err check(const struct batch_view *batch, struct sl_bytes records)
{
    struct record_iterator iterator;
    struct record_view record;
    int32_t last = -1;
    record_iterator_init(&iterator, records, batch_view_record_count(batch));
    while (record_iterator_next(&iterator, &record)) {
        if (record.offset_delta <= last ||
            record.offset_delta > batch_view_last_offset_delta(batch)) {
            return SLUICE_E_INVALID_RECORD;
        }
        last = record.offset_delta;
    }
    return record_iterator_finish(&iterator);
}

sl_err stage_input_add(struct stage_input *input, const struct batch_view *batch,
                       struct sl_bytes records, struct header_room *headers, bool *ret_whole)
{
    sl_err err = check(batch, records);
    struct record_iterator iterator;
    struct record_view record;
    bool whole = true;
    record_iterator_init(&iterator, records, batch_view_record_count(batch));
    while (err == SLUICE_OK && record_iterator_next(&iterator, &record)) {
        int64_t offset = record_offset(batch, &record);
        if (offset < input->next_offset) {
            continue;
        }
        size_t size = record.whole.size;
        bool too_much = input->record_count > 0 && (input->bytes.size + size > STAGE_INPUT_BYTES ||
                                                    offset - input->base_offset > INT32_MAX);
        if (stage_input_is_full(input) || too_much) {
            whole = false;
            break;
        }
        struct record_fields fields;
        err = header_room_fields(headers, batch, &record, 0, &fields);
        err = err != SLUICE_OK ? err : stage_input_append(input, offset, &fields);
        if (err == SLUICE_OK) {
            input->record_count++;
            input->next_offset = offset + 1;
        }
    }
    if (err != SLUICE_OK) {
        return err;
    }
    if (whole) {
        input->next_offset = batch_view_next_offset(batch);
    }
    *ret_whole = whole;
    return SLUICE_OK;
}

void stage_input_skip(struct stage_input *input, const struct batch_view *batch)
{
    input->next_offset = SL_MAX(input->next_offset, batch_view_next_offset(batch));
}

sl_err stage_input_finish(struct stage_input *input)
{
    SL_ASSERT(input->open && input->record_count > 0);
    input->open = false;
    return batch_builder_finish(&input->builder, BATCH_CODEC_NONE, NULL, NULL, &input->view);
}
