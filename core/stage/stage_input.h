/* stage_input.h: stored batches in, one uncompressed batch of records for a worker out.
 *
 * Small stored batches travel together, a large one in parts. Offsets and timestamps stay: deltas
 * are counted anew, holes remain holes. Pure data; one thread. */
#ifndef SL_STAGE_STAGE_INPUT_H
#define SL_STAGE_STAGE_INPUT_H

#include "record/batch_builder.h"

#define STAGE_INPUT_BYTES       (512u << 10) /* a batch for the worker stops growing here */
#define STAGE_INPUT_RECORDS_MAX 4096u
#define STAGE_HEADERS_MAX       65536u /* of one record */

/* Room for the headers of one record, grown when needed. */
struct header_room {
    struct header_view *items; /* owned */
    size_t capacity;
};
void header_room_fini(struct header_room *room);
/* As record_fields_from_view, with room for `extra` more headers behind. E_NO_MEMORY, E_LIMIT. */
sl_err header_room_fields(struct header_room *room, const struct batch_view *batch,
                          const struct record_view *record, size_t extra,
                          struct record_fields *ret_fields) SL_MUST_CHECK;
/* Room for count headers. */
sl_err header_room_reserve(struct header_room *room, size_t count) SL_MUST_CHECK;

struct stage_input {
    struct sl_buffer bytes; /* the batch under way, then whole */
    struct batch_builder builder;
    struct batch_view view; /* after finish */
    int64_t base_offset;    /* of the first record */
    int64_t next_offset;    /* position behind what is in it */
    uint32_t record_count;
    uint32_t records_max;
    bool open; /* a builder is under way */
};

void stage_input_init(struct stage_input *input);
void stage_input_fini(struct stage_input *input);
/* Empty; records come from `offset` on. */
void stage_input_begin(struct stage_input *input, int64_t offset, uint32_t records_max);
bool stage_input_is_full(const struct stage_input *input);
/* Takes records of the batch (its records decompressed) from next_offset on until it is full.
 * *ret_whole: the batch is used up, next_offset is behind it. E_INVALID_RECORD: it cannot be
 * walked; what came before the fault is not taken either. E_NO_MEMORY, E_LIMIT. */
sl_err stage_input_add(struct stage_input *input, const struct batch_view *batch,
                       struct sl_bytes records, struct header_room *headers,
                       bool *ret_whole) SL_MUST_CHECK;
/* One record, at an offset above those that are there; next_offset is the caller's. E_NO_MEMORY,
 * E_LIMIT. */
sl_err stage_input_append(struct stage_input *input, int64_t offset,
                          const struct record_fields *fields) SL_MUST_CHECK;
/* A batch that holds nothing to process (control records) or is wholly behind: passes over it. */
void stage_input_skip(struct stage_input *input, const struct batch_view *batch);
sl_err stage_input_finish(struct stage_input *input) SL_MUST_CHECK; /* record_count > 0 */

#endif
