/* compact_clean.c: the helper's part of compaction: keys into the table, batches into an extent
 * (compact_job.h, where the rules are said in compact.h). */
#include "extent/extent_file.h"
#include "shard/compact_job.h"
#include "shard/filler.h"

#include <stdlib.h>

/* ---- runs ---- */

static sl_err read_run(struct compact_job *job, const struct compact_run *run)
{
    return read_claim_read(job->shard, &run->claim, &run->place, &job->bytes);
}

/* The batch at *at, which moves behind it. */
static sl_err next_batch(const struct compact_job *job, size_t *at, struct batch_view *ret_batch)
{
    struct sl_bytes rest = {job->bytes.data + *at, job->bytes.size - *at};
    if (batch_view_init(ret_batch, rest) != SLUICE_OK) {
        return SLUICE_E_CORRUPT;
    }
    *at += ret_batch->size;
    return SLUICE_OK;
}

/* Control batches have no keys of users; what cannot be opened stays as it is. E_NO_MEMORY. */
static sl_err open_batch(struct compact_job *job, const struct batch_view *batch, bool *ret_open,
                         struct sl_bytes *ret_records)
{
    *ret_open = false;
    if (batch_view_has(batch, BATCH_CONTROL)) {
        return SLUICE_OK;
    }
    sl_err err = batch_decompress(batch, job->codecs, job->shard->config.expanded_bytes_max,
                                  &job->records, ret_records);
    *ret_open = err == SLUICE_OK;
    return err == SLUICE_E_NO_MEMORY ? err : SLUICE_OK;
}

static bool is_sound(const struct batch_view *batch, struct sl_bytes records)
{
    struct record_iterator iterator;
    struct record_view record;
    record_iterator_init(&iterator, records, batch_view_record_count(batch));
    while (record_iterator_next(&iterator, &record)) {
    }
    return record_iterator_finish(&iterator) == SLUICE_OK;
}

/* Its records were never committed: they count for nothing. */
static bool is_aborted(const struct compact_job *job, const struct batch_view *batch)
{
    return batch_view_has(batch, BATCH_TRANSACTIONAL) &&
           txn_log_is_aborted(&job->aborted, batch_view_producer_id(batch),
                              batch_view_base_offset(batch));
}

/* ---- pass 1 ---- */

static sl_err map_batch(struct compact_job *job, const struct batch_view *batch)
{
    struct sl_bytes records;
    bool open = false;
    sl_err err = open_batch(job, batch, &open, &records);
    if (err != SLUICE_OK || !open || is_aborted(job, batch) || !is_sound(batch, records)) {
        return err;
    }
    struct record_iterator iterator;
    struct record_view record;
    record_iterator_init(&iterator, records, batch_view_record_count(batch));
    while (err == SLUICE_OK && record_iterator_next(&iterator, &record)) {
        if (!record.key_is_null) {
            err = key_map_put(&job->map, record.key, record_offset(batch, &record));
        }
    }
    return err;
}

/* What the table holds of a run that it had no room for does no harm: those records exist. */
static sl_err map_run(struct compact_job *job, const struct compact_run *run)
{
    sl_err err = read_run(job, run);
    for (size_t at = 0; err == SLUICE_OK && at < job->bytes.size;) {
        struct batch_view batch;
        err = next_batch(job, &at, &batch);
        err = err != SLUICE_OK ? err : map_batch(job, &batch);
    }
    return err;
}

static int by_producer(const void *left, const void *right)
{
    const struct producer_end *a = left;
    const struct producer_end *b = right;
    int order = (a->producer_id > b->producer_id) - (a->producer_id < b->producer_id);
    return order != 0 ? order
                      : (a->last_offset > b->last_offset) - (a->last_offset < b->last_offset);
}

static sl_err prepare(struct compact_job *job)
{
    if (!job->sorted && job->producer_count > 0) {
        qsort(job->producers, job->producer_count, sizeof(*job->producers), by_producer);
    }
    job->sorted = true;
    if (job->codecs == NULL) {
        job->codecs = codec_context_new();
    }
    return job->codecs == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

void compact_job_map(struct compact_job *job)
{
    uint64_t bytes = 0;
    sl_err err = prepare(job);
    while (err == SLUICE_OK && job->run < job->run_count && bytes < COMPACT_SLICE_BYTES) {
        const struct compact_run *run = &job->runs[job->run];
        bytes += run->place.size;
        err = map_run(job, run);
        if (err == SLUICE_E_LIMIT) {
            job->full = true;
            job->end_offset = run->claim.base_offset;
        }
        job->run += err == SLUICE_OK;
    }
    job->written = job->full || (err == SLUICE_OK && job->run == job->run_count);
    job->err = job->full ? SLUICE_OK : err;
}

/* ---- one batch ---- */

/* What is to become of a batch. */
struct fate {
    int32_t kept;
    bool has_tombstones; /* among those kept */
};

static bool is_kept(const struct compact_job *job, const struct batch_view *batch,
                    const struct record_view *record)
{
    if (record->key_is_null) {
        return false;
    }
    bool is_over = record->value_is_null && batch_view_has(batch, BATCH_DELETE_HORIZON) &&
                   job->now_ms >= batch_view_base_timestamp(batch);
    is_over = is_over || (record->value_is_null && job->mutants.tombstone_early);
    return !is_over && record_offset(batch, record) >= key_map_get(&job->map, record->key);
}

static sl_err fate_of(const struct compact_job *job, const struct batch_view *batch,
                      struct sl_bytes records, struct fate *ret_fate)
{
    struct record_iterator iterator;
    struct record_view record;
    *ret_fate = (struct fate){0};
    if (is_aborted(job, batch)) {
        return SLUICE_OK; /* none is kept */
    }
    record_iterator_init(&iterator, records, batch_view_record_count(batch));
    while (record_iterator_next(&iterator, &record)) {
        bool kept = is_kept(job, batch, &record);
        ret_fate->kept += kept;
        ret_fate->has_tombstones = ret_fate->has_tombstones || (kept && record.value_is_null);
    }
    return record_iterator_finish(&iterator);
}

const struct producer_end *compact_producer_find(const struct compact_job *job, int64_t producer_id,
                                                 int64_t last_offset)
{
    const struct producer_end end = {.producer_id = producer_id, .last_offset = last_offset};
    return job->producer_count == 0
               ? NULL
               : bsearch(&end, job->producers, job->producer_count, sizeof(end), by_producer);
}

static bool is_newest_of_producer(const struct compact_job *job, const struct batch_view *batch)
{
    return batch_view_has_producer_id(batch) &&
           compact_producer_find(job, batch_view_producer_id(batch),
                                 batch_view_last_offset(batch)) != NULL;
}

static sl_err headers_reserve(struct compact_job *job, int32_t count)
{
    size_t wanted = SL_MAX((size_t)count, (size_t)16);
    if (wanted <= job->header_capacity) {
        return SLUICE_OK;
    }
    struct header_view *headers = sl_realloc(job->headers, wanted * sizeof(*headers));
    if (headers == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    job->headers = headers;
    job->header_capacity = wanted;
    return SLUICE_OK;
}

/* A record whose timestamp counts from another base than before. */
static sl_err restamp(struct compact_job *job, struct batch_builder *builder,
                      const struct batch_view *batch, const struct record_view *record)
{
    struct record_fields fields;
    sl_err err = headers_reserve(job, record->header_count);
    err = err != SLUICE_OK
              ? err
              : record_fields_from_view(&fields, batch, record, job->headers, job->header_capacity);
    return err != SLUICE_OK ? err : batch_builder_append_at(builder, &fields, record->offset_delta);
}

static sl_err keep_records(struct compact_job *job, struct batch_builder *builder,
                           const struct batch_view *batch, struct sl_bytes records,
                           bool sets_horizon)
{
    struct record_iterator iterator;
    struct record_view record;
    sl_err err = SLUICE_OK;
    record_iterator_init(&iterator, records, batch_view_record_count(batch));
    while (err == SLUICE_OK && !is_aborted(job, batch) &&
           record_iterator_next(&iterator, &record)) {
        if (!is_kept(job, batch, &record)) {
            continue;
        }
        err = sets_horizon ? restamp(job, builder, batch, &record)
                           : batch_builder_keep(builder, &record);
    }
    return err;
}

static sl_err rewrite_batch(struct compact_job *job, const struct batch_view *batch,
                            struct sl_bytes records, const struct fate *fate)
{
    struct batch_builder builder;
    struct batch_view made;
    sl_err err = batch_builder_start_rewrite(&builder, &job->out, batch);
    if (err != SLUICE_OK) {
        return err;
    }
    bool sets_horizon = fate->has_tombstones && !batch_view_has(batch, BATCH_DELETE_HORIZON);
    if (sets_horizon) {
        builder.header.base_timestamp = compact_horizon_ms(job);
        builder.header.attributes |= BATCH_DELETE_HORIZON;
    }
    if (fate->kept == 0) {
        builder.header.max_timestamp = builder.header.base_timestamp = BATCH_NO_TIMESTAMP;
        builder.header.attributes &= (uint16_t)~BATCH_DELETE_HORIZON;
    }
    err = keep_records(job, &builder, batch, records, sets_horizon);
    return err != SLUICE_OK ? err
                            : batch_builder_finish(&builder, batch_view_codec(batch), job->codecs,
                                                   &job->packed, &made);
}

static sl_err copy_batch(struct compact_job *job, const struct batch_view *batch)
{
    return sl_buffer_append(&job->out, batch->data, batch->size);
}

sl_err compact_batch(struct compact_job *job, const struct batch_view *batch, bool is_margin,
                     bool *ret_changed)
{
    struct sl_bytes records;
    struct fate fate = {0};
    bool open = false;
    *ret_changed = false;
    compact_markers_note(job, batch);
    if (batch_view_has(batch, BATCH_CONTROL)) {
        return compact_marker(job, batch, is_margin, ret_changed);
    }
    sl_err err = open_batch(job, batch, &open, &records);
    if (err != SLUICE_OK) {
        return err;
    }
    if (!open || fate_of(job, batch, records, &fate) != SLUICE_OK) {
        return copy_batch(job, batch);
    }
    int32_t count = batch_view_record_count(batch);
    bool stays = fate.kept > 0 || is_margin || is_newest_of_producer(job, batch);
    bool sets_horizon = fate.has_tombstones && !batch_view_has(batch, BATCH_DELETE_HORIZON);
    if (stays && fate.kept == count && !sets_horizon) {
        return copy_batch(job, batch);
    }
    *ret_changed = true;
    job->records_removed += (uint64_t)(count - fate.kept);
    return stays ? rewrite_batch(job, batch, records, &fate) : SLUICE_OK;
}

/* ---- pass 2 ---- */

/* All batches of the run that was read, into job->out. */
static sl_err compact_run(struct compact_job *job, bool begins, bool ends, bool *ret_changed)
{
    sl_err err = SLUICE_OK;
    *ret_changed = false;
    sl_buffer_reset(&job->out);
    for (size_t at = 0; err == SLUICE_OK && at < job->bytes.size;) {
        struct batch_view batch;
        bool changed = false;
        bool is_first = begins && at == 0 && !job->mutants.no_margin;
        err = next_batch(job, &at, &batch);
        bool is_margin = is_first || (ends && at == job->bytes.size);
        if (err == SLUICE_OK && batch_view_leader_epoch(&batch) != job->leader_epoch) {
            is_margin = is_margin || job->leader_epoch >= 0; /* KIP-320: an epoch begins here */
            job->leader_epoch = batch_view_leader_epoch(&batch);
        }
        err = err != SLUICE_OK ? err : compact_batch(job, &batch, is_margin, &changed);
        *ret_changed = *ret_changed || changed;
    }
    return err;
}

static sl_err begin_file(struct compact_job *job)
{
    const struct shard_config *config = &job->shard->config;
    const struct extent_header header = {.cluster = config->cluster,
                                         .shard = config->index,
                                         .id = job->extent_id,
                                         .created_ms = job->now_ms};
    sl_err err = extent_writer_new(config->os, extent_set_directory(job->shard->extents), &header,
                                   &job->writer);
    return err != SLUICE_OK ? err : extent_writer_stream(job->writer, &job->topic, job->number);
}

/* Offsets that are missing before the round's first run belong to what it replaces: an older extent
 * may have records there. */
static sl_err fill_before(struct compact_job *job, const struct compact_run *run)
{
    const struct compact_run *before = job->run == 0 ? NULL : &job->runs[job->run - 1];
    int64_t from = before == NULL ? job->first_offset : before->claim.last_offset + 1;
    int32_t epoch = before == NULL ? job->epoch_before : before->claim.leader_epoch;
    struct batch_view next;
    sl_err err = batch_view_init(&next, sl_buffer_bytes(&job->bytes));
    if (err != SLUICE_OK || job->mutants.no_margin) {
        return err;
    }
    return filler_add(job->writer, &job->records, &next, epoch, from, run->claim.base_offset);
}

/* A round's first runs stay where they are while nothing of them changes. */
static sl_err rewrite_run(struct compact_job *job, const struct compact_run *run)
{
    bool changed = false;
    bool begins = job->writer == NULL;
    sl_err err = read_run(job, run);
    err =
        err != SLUICE_OK ? err : compact_run(job, begins, job->run + 1 == job->run_count, &changed);
    if (err != SLUICE_OK || (begins && !changed)) {
        return err;
    }
    if (begins) {
        err = begin_file(job);
        err = err != SLUICE_OK ? err : fill_before(job, run);
    }
    job->bytes_in += job->bytes.size;
    job->bytes_out += job->out.size;
    return err != SLUICE_OK ? err : extent_writer_add(job->writer, sl_buffer_bytes(&job->out));
}

void compact_job_rewrite(struct compact_job *job)
{
    uint64_t bytes = 0;
    sl_err err = prepare(job);
    while (err == SLUICE_OK && job->run < job->run_count && bytes < COMPACT_SLICE_BYTES) {
        bytes += job->runs[job->run].place.size;
        err = rewrite_run(job, &job->runs[job->run]);
        job->run += err == SLUICE_OK;
    }
    job->err = err;
    if (err != SLUICE_OK || job->run < job->run_count) {
        return;
    }
    if (job->writer != NULL && bytes > 0) {
        return; /* a sync is enough for one turn */
    }
    if (job->writer != NULL) {
        job->err = extent_writer_finish(job->writer, &job->item, &job->file);
    }
    job->written = job->err == SLUICE_OK;
}

void compact_job_discard(struct compact_job *job)
{
    job->writer = extent_writer_free(job->writer);
    job->file = extent_file_discard(
        job->shard->config.os, extent_set_directory(job->shard->extents), job->item.id, job->file);
    compact_job_free(job);
}

void compact_job_free(struct compact_job *job)
{
    key_map_fini(&job->map);
    codec_context_free(job->codecs);
    job->codecs = NULL;
    sl_buffer_fini(&job->bytes);
    sl_buffer_fini(&job->records);
    sl_buffer_fini(&job->packed);
    sl_buffer_fini(&job->out);
    sl_free(job->headers);
    job->headers = NULL;
    job->header_capacity = 0;
}
