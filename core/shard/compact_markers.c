/* compact_markers.c: markers of transactions in compacted partitions (KIP-534, as in Kafka's
 * CleanedTransactionMetadata); see compact.h.
 *
 * A job reads its partition from the log start on, so that when it meets a marker it has seen every
 * batch of the transaction that is still there: those of the producer since its marker before.
 * While there is one, also one without records, the marker stays. Where there is none the marker
 * gets a delete horizon, now + delete.retention.ms, so that readers who have old records in hand
 * still find it; a later job takes it away whole. Margins of a round stay, and so does the marker
 * that brought the epoch of a producer who has written nothing since.
 *
 * Of an aborted transaction without a batch nothing need be known any more: after the job it is
 * forgotten. When the power goes before a checkpoint is without it, it is known again until the
 * next job; fetch_aborted.c tells readers only of those that have records. [helper], but for
 * compact_markers_forget */
#include "shard/compact_job.h"

#include <stdlib.h>
#include <string.h>

#define OPEN_FIRST 64u
#define OPEN_MAX   65536u /* producers with a transaction between first batch and marker */

sl_err compact_markers_init(struct compact_job *job)
{
    struct compact_markers *markers = &job->markers;
    uint32_t count = job->aborted.aborted_count;
    markers->seen = count > 0 ? sl_alloc_zero(count, sizeof(*markers->seen)) : NULL;
    markers->gone = count > 0 ? sl_alloc(count * sizeof(*markers->gone)) : NULL;
    return count > 0 && (markers->seen == NULL || markers->gone == NULL) ? SLUICE_E_NO_MEMORY
                                                                         : SLUICE_OK;
}

void compact_markers_fini(struct compact_job *job)
{
    sl_free(job->markers.open);
    sl_free(job->markers.seen);
    sl_free(job->markers.gone);
    job->markers = (struct compact_markers){0};
}

/* ---- producers with batches before their marker ---- */

/* Where it is, or would be. */
static uint32_t open_find(const struct compact_markers *markers, int64_t producer_id)
{
    uint32_t low = 0;
    uint32_t high = markers->open_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (markers->open[middle] < producer_id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool open_has(const struct compact_markers *markers, uint32_t index, int64_t producer_id)
{
    return index < markers->open_count && markers->open[index] == producer_id;
}

static bool open_reserve(struct compact_markers *markers)
{
    if (markers->open_count < markers->open_capacity) {
        return true;
    }
    uint32_t capacity = SL_MAX(markers->open_capacity * 2, OPEN_FIRST);
    int64_t *open =
        capacity > OPEN_MAX ? NULL : sl_realloc(markers->open, capacity * sizeof(*markers->open));
    if (open == NULL) {
        return false;
    }
    markers->open = open;
    markers->open_capacity = capacity;
    return true;
}

static void open_add(struct compact_markers *markers, int64_t producer_id)
{
    uint32_t index = open_find(markers, producer_id);
    if (open_has(markers, index, producer_id)) {
        return;
    }
    if (!open_reserve(markers)) {
        markers->all_stay = true;
        return;
    }
    int64_t *at = markers->open + index;
    memmove(at + 1, at, (markers->open_count - index) * sizeof(*at));
    *at = producer_id;
    markers->open_count++;
}

/* False: it had none. */
static bool open_remove(struct compact_markers *markers, int64_t producer_id)
{
    uint32_t index = open_find(markers, producer_id);
    if (!open_has(markers, index, producer_id)) {
        return false;
    }
    int64_t *at = markers->open + index;
    markers->open_count--;
    memmove(at, at + 1, (markers->open_count - index) * sizeof(*at));
    return true;
}

/* ---- batches ---- */

void compact_markers_note(struct compact_job *job, const struct batch_view *batch)
{
    int64_t producer_id = batch_view_producer_id(batch);
    if (!batch_view_has(batch, BATCH_TRANSACTIONAL) || batch_view_has(batch, BATCH_CONTROL)) {
        return;
    }
    open_add(&job->markers, producer_id);
    const struct txn_aborted *aborted =
        txn_log_find_aborted(&job->aborted, producer_id, batch_view_base_offset(batch));
    if (aborted != NULL) {
        job->markers.seen[aborted - job->aborted.aborted] = true;
    }
}

/* The marker that brought the epoch which its producer has now, and nothing was written since. */
static bool is_newest(const struct compact_job *job, const struct batch_view *batch)
{
    const struct producer_end *end =
        compact_producer_find(job, batch_view_producer_id(batch), COMPACT_NO_BATCH);
    return end != NULL && end->epoch == batch_view_producer_epoch(batch);
}

static sl_err set_horizon(struct compact_job *job, const struct batch_view *batch)
{
    struct batch_builder builder;
    struct record_iterator iterator;
    struct record_view record;
    struct record_fields fields;
    struct header_view header;
    struct batch_view made;
    sl_err err = batch_builder_start_rewrite(&builder, &job->out, batch);
    if (err != SLUICE_OK) {
        return err;
    }
    builder.header.base_timestamp = compact_horizon_ms(job);
    builder.header.attributes |= BATCH_DELETE_HORIZON;
    record_iterator_init(&iterator, batch_view_records(batch), batch_view_record_count(batch));
    bool is_there = record_iterator_next(&iterator, &record);
    SL_ASSERT(is_there); /* it was decoded */
    err = record_fields_from_view(&fields, batch, &record, &header, 1);
    err = err != SLUICE_OK ? err : batch_builder_append_at(&builder, &fields, record.offset_delta);
    return err != SLUICE_OK
               ? err
               : batch_builder_finish(&builder, BATCH_CODEC_NONE, job->codecs, &job->packed, &made);
}

sl_err compact_marker(struct compact_job *job, const struct batch_view *batch, bool is_margin,
                      bool *ret_changed)
{
    struct txn_marker marker;
    bool is_known = txn_marker_decode(batch, &marker) == SLUICE_OK;
    bool is_over = is_known && !open_remove(&job->markers, batch_view_producer_id(batch));
    is_over = (is_over && !job->markers.all_stay) || (is_known && job->mutants.marker_early);
    bool has_horizon = batch_view_has(batch, BATCH_DELETE_HORIZON);
    bool goes = is_over && !is_margin && !is_newest(job, batch) &&
                ((has_horizon && job->now_ms >= batch_view_base_timestamp(batch)) ||
                 job->mutants.marker_early);
    *ret_changed = goes || (is_over && !has_horizon);
    if (goes) {
        job->records_removed++;
        return SLUICE_OK;
    }
    return *ret_changed ? set_horizon(job, batch)
                        : sl_buffer_append(&job->out, batch->data, batch->size);
}

/* ---- the end [loop] ---- */

void compact_markers_forget(struct compact_job *job)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < job->aborted.aborted_count; i++) {
        if (!job->markers.seen[i] && job->aborted.aborted[i].last_offset < job->end_offset) {
            job->markers.gone[count++] = job->aborted.aborted[i].last_offset;
        }
    }
    if (count > 0) {
        producers_forget_aborted(&job->partition->producers, job->markers.gone, count);
    }
}
