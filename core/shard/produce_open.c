/* produce_open.c: batches that are opened, off the loop: to look at their records where the topic
 * asks for it (sluice.validate, cleanup.policy=compact), and to compress them as it says
 * (compression.type). The memory of a job is bounded by what a batch may expand to; there are as
 * many at a time as helpers. See produce.h. */
#include "record/batch_recompress.h"
#include "shard/produce_steps.h"

#include <string.h>

struct batch_limits produce_limits(const struct produce_entry *entry, const struct shard *shard,
                                   const struct topic *topic)
{
    const struct topic_settings *settings = topic->settings;
    return (struct batch_limits){
        .batch_bytes_max = (size_t)settings->message_bytes_max,
        .segment_bytes_max = (size_t)settings->segment_bytes,
        .expanded_bytes_max = shard->config.expanded_bytes_max,
        .now_ms = shard_wall_ms(shard),
        .timestamp_before_ms = settings->timestamp_before_max_ms,
        .timestamp_after_ms = settings->timestamp_after_max_ms,
        .append_time = settings->timestamp_log_append,
        .compacted = settings->compact,
        .zstd_allowed = !entry->no_zstd,
        .validate_records = settings->validate_records,
    };
}

struct opening {
    struct produce_entry *entry;
    struct sl_job job;
    sl_err err;
    struct batch_limits limits;
    struct batch_verdict verdict;
    int32_t codec; /* to compress with, or TOPIC_CODEC_PRODUCER */
    int32_t level;
    struct sl_buffer out; /* the batch under that codec; empty: it stays as it is */
};

bool produce_wants_codec(const struct produce_entry *entry, const struct topic *topic)
{
    const struct batch_view view = {entry->data, entry->size};
    int32_t codec = topic->settings->codec;
    return codec != TOPIC_CODEC_PRODUCER && codec != batch_view_codec(&view);
}

/* Its records are sound; scratch has them, where they were compressed. */
static sl_err recompress(struct opening *opening, struct codec_context *context,
                         const struct sl_buffer *scratch)
{
    const struct batch_view *view = &opening->verdict.view;
    struct produce_entry *entry = opening->entry;
    bool is_plain = batch_view_codec(view) == BATCH_CODEC_NONE;
    struct sl_bytes records = is_plain ? batch_view_records(view) : sl_buffer_bytes(scratch);
    produce_take_verdict(entry, SLUICE_OK, &opening->verdict); /* before the header is copied */
    sl_buffer_init(&opening->out, BATCH_HEADER_SIZE + codec_compress_room(records.size));
    return batch_recompress(view, records, opening->codec, opening->level, context, &opening->out);
}

static sl_err check_size(const struct opening *opening)
{
    size_t size = opening->out.size;
    return size > opening->limits.batch_bytes_max     ? SLUICE_E_BATCH_TOO_LARGE
           : size > opening->limits.segment_bytes_max ? SLUICE_E_SEGMENT_TOO_SMALL
                                                      : SLUICE_OK;
}

/* [helper] A context of its own per job: opening is the exception, not the rule. */
static void open_work(struct sl_job *job)
{
    struct opening *opening = SL_CONTAINER_OF(job, struct opening, job);
    struct codec_context *context = codec_context_new();
    struct sl_buffer scratch;
    sl_buffer_init(&scratch, opening->limits.expanded_bytes_max);
    opening->err = SLUICE_E_NO_MEMORY;
    if (context != NULL) {
        struct sl_bytes bytes = {opening->entry->data, opening->entry->size};
        opening->err =
            batch_validate(bytes, &opening->limits, context, &scratch, &opening->verdict);
        if (opening->err == SLUICE_OK && opening->codec != TOPIC_CODEC_PRODUCER) {
            opening->err = recompress(opening, context, &scratch);
        }
        if (opening->err == SLUICE_OK) {
            opening->err = check_size(opening);
        }
    }
    sl_buffer_fini(&scratch);
    codec_context_free(context);
}

void produce_take_verdict(struct produce_entry *entry, sl_err err,
                          const struct batch_verdict *verdict)
{
    if (err != SLUICE_OK) {
        int32_t shown = SL_MIN(verdict->fault_count, (int32_t)BATCH_FAULTS_MAX);
        for (int32_t i = 0; i < shown; i++) {
            produce_entry_fault(entry, verdict->faults[i].index, verdict->faults[i].err);
        }
        return;
    }
    const struct batch_view *view = &verdict->view;
    if (batch_view_has(view, BATCH_LOG_APPEND_TIME) ||
        (verdict->walked && verdict->max_timestamp != batch_view_max_timestamp(view))) {
        batch_patch_max_timestamp(entry->data, view->size, verdict->max_timestamp);
    }
}

/* The new bytes are counted as those that came from the client are. */
static sl_err take_batch(struct opening *opening, struct chunk_cache *cache)
{
    struct produce_entry *entry = opening->entry;
    if (opening->out.size == 0) {
        return SLUICE_OK;
    }
    sl_err err = chunk_new(cache, opening->out.size, &entry->recompressed);
    if (err == SLUICE_OK) {
        memcpy(entry->recompressed->data, opening->out.data, opening->out.size);
        entry->data = entry->recompressed->data;
        entry->size = (uint32_t)opening->out.size;
    }
    return err;
}

static void open_done(struct sl_job *job)
{
    struct opening *opening = SL_CONTAINER_OF(job, struct opening, job);
    struct produce_entry *entry = opening->entry;
    struct partition *partition = entry->partition;
    struct shard *shard = partition->shard;
    sl_err err = opening->err;
    produce_take_verdict(entry, err, &opening->verdict);
    entry->opening = false;
    entry->must_open = false;
    if (err == SLUICE_OK) {
        err = take_batch(opening, shard->cache);
    }
    sl_buffer_fini(&opening->out);
    sl_free(opening);
    partition_ref(partition);
    if (err != SLUICE_OK) {
        produce_queue_pop(partition);
        produce_entry_end(entry, err);
    }
    produce_pump(partition);
    partition_unref(partition);
    shard_job_end(shard);
}

void produce_open_start(struct produce_entry *entry)
{
    struct shard *shard = entry->partition->shard;
    const struct topic *topic = entry->partition->topic;
    struct opening *opening = sl_alloc_zero(1, sizeof(*opening));
    if (opening == NULL) {
        produce_queue_pop(entry->partition);
        produce_entry_end(entry, SLUICE_E_NO_MEMORY);
        return;
    }
    opening->entry = entry;
    opening->limits = produce_limits(entry, shard, topic);
    opening->codec = TOPIC_CODEC_PRODUCER;
    if (produce_wants_codec(entry, topic)) {
        opening->codec = topic->settings->codec;
        opening->level = topic->settings->codec_levels[opening->codec];
        opening->limits.validate_records = true;
    }
    entry->opening = true;
    opening->job = (struct sl_job){.work = open_work, .done = open_done};
    opening->job.task.priority = SL_PRIORITY_IO;
    shard_job_begin(shard);
    sl_helpers_submit(shard->config.os, shard->loop, &opening->job);
}
