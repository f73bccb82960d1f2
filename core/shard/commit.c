/* commit.c: see commit.h. */
#include "shard/commit.h"

#include "record/txn_marker.h"
#include "shard/offset_lease.h"

/* *now_ms: one time for all of a unit; -1: nobody asked for it yet. */
static void stamp(struct commit *commit, struct commit_batch *batch, int64_t *now_ms)
{
    struct partition *partition = batch->partition;
    batch->append_time_ms = -1;
    batch_patch_base_offset(batch->data, partition->next_offset);
    batch_patch_leader_epoch(batch->data, shard_epoch(commit->shard));
    if (partition->topic->settings->timestamp_log_append) {
        *now_ms = *now_ms < 0 ? shard_wall_ms(commit->shard) : *now_ms;
        batch->append_time_ms = *now_ms;
        batch_patch_append_time(batch->data, batch->size, batch->append_time_ms);
    }
}

/* Of the item: those of the batch, and whether it is a marker that aborts. */
static uint16_t attributes_of(const struct batch_view *view)
{
    struct txn_marker marker;
    bool aborts = batch_view_has(view, BATCH_CONTROL) &&
                  txn_marker_decode(view, &marker) == SLUICE_OK && !marker.commits;
    return (uint16_t)(batch_view_attributes(view) | (aborts ? BATCH_ITEM_ABORTS : 0));
}

/* The offsets are kept aside until the item is encoded: what was just written to the batch would
 * be waited for, until its line has come. */
static void describe(struct commit_batch *batch, struct wal_item *item)
{
    struct batch_view view = {batch->data, batch->size};
    int64_t base_offset = batch->partition->next_offset;
    int64_t last_offset = base_offset + batch_view_last_offset_delta(&view);
    batch->record_count = (uint32_t)batch_view_record_count(&view);
    batch->max_timestamp = batch_view_max_timestamp(&view);
    batch->is_control = batch_view_has(&view, BATCH_CONTROL);
    struct batch_item about = {
        .topic = *partition_topic_id(batch->partition),
        .partition = batch->partition->number,
        .base_offset = base_offset,
        .last_offset = last_offset,
        .record_count = (uint32_t)batch_view_record_count(&view),
        .max_timestamp = batch_view_max_timestamp(&view),
        .producer_id = batch_view_producer_id(&view),
        .producer_epoch = batch_view_producer_epoch(&view),
        .base_sequence = batch_view_base_sequence(&view),
        .last_sequence = batch_view_last_sequence(&view),
        .leader_epoch = batch_view_leader_epoch(&view),
        .attributes = attributes_of(&view),
    };
    batch_item_encode(&about, batch->payload);
    batch->base_offset = base_offset;
    batch->last_offset = last_offset;
    batch->body = (struct sl_iovec){batch->data, batch->size};
    *item = (struct wal_item){
        .kind = WAL_ITEM_BATCH,
        .version = BATCH_ITEM_VERSION,
        .payload = {batch->payload, BATCH_ITEM_SIZE},
        .body = &batch->body,
        .body_count = 1,
        .body_size = batch->size,
    };
}

static sl_err index_batch(struct commit_batch *batch, const struct wal_place *place,
                          int64_t written_ms)
{
    struct stream_batch entry = {
        .base_offset = batch->base_offset,
        .last_offset = batch->last_offset,
        .max_timestamp =
            batch->max_timestamp >= 0 ? batch->max_timestamp : stream_time_unknown(written_ms),
        .leader_epoch = shard_epoch(batch->partition->shard),
        .place = *place,
        .verified = true,
    };
    return stream_index_append(&batch->partition->index, &entry);
}

static void batch_durable(struct commit *commit, struct commit_batch *batch,
                          const struct wal_place *place)
{
    struct shard *shard = commit->shard;
    struct partition *partition = batch->partition;
    if (batch->admission != NULL) {
        producers_commit(&partition->producers, batch->admission, batch->base_offset,
                         batch->last_offset, batch->append_time_ms, commit->unit.time_ms);
    }
    if (!batch->is_control) {
        shard->batches_in++;
        shard->bytes_in += batch->size;
        shard->records_in += batch->record_count;
    }
    if (partition->topic == NULL) {
        return; /* deleted meanwhile */
    }
    /* Memory was reserved at submit, offsets are given out in order. */
    SL_ASSERT(index_batch(batch, place, commit->unit.time_ms) == SLUICE_OK);
    if (partition_is_in_memory(partition)) {
        memory_space_enter(&shard->memory, partition, place->segment);
    } else {
        space_enter(&shard->space, partition);
        roll_note(shard, partition);
    }
    partition_notify(partition);
}

static void batch_failed(struct commit_batch *batch, sl_err err)
{
    if (batch->admission != NULL) {
        producers_abort(&batch->partition->producers, batch->admission, err);
    }
}

static void unit_durable(struct wal_unit *unit, sl_err err)
{
    struct commit *commit = SL_CONTAINER_OF(unit, struct commit, unit);
    for (uint32_t i = 0; i < commit->batch_count; i++) {
        if (err == SLUICE_OK) {
            batch_durable(commit, &commit->batches[i], &commit->items[i].place);
        } else {
            batch_failed(&commit->batches[i], err);
        }
    }
    /* Before done, which may free the commit with its batches. */
    for (uint32_t i = 0; i < commit->batch_count; i++) {
        commit->batches[i].partition->pending_batches--;
        commit->batches[i].partition->pending_synced -= !commit->unit.when_written;
        partition_unref(commit->batches[i].partition);
    }
    commit->done(commit, err);
}

/* Counts the batches as pending, each with its place in the index reserved. */
static sl_err reserve(struct commit *commit)
{
    sl_err err = SLUICE_OK;
    uint32_t count = 0;
    while (err == SLUICE_OK && count < commit->batch_count) {
        struct partition *partition = commit->batches[count].partition;
        err = stream_index_reserve(&partition->index, partition->pending_batches + 1);
        partition->pending_batches += err == SLUICE_OK;
        count += err == SLUICE_OK;
    }
    while (err != SLUICE_OK && count > 0) {
        commit->batches[--count].partition->pending_batches--;
    }
    return err;
}

/* Whether it may be at all, and how many of its batches are of topics in memory. */
static sl_err check(const struct commit *commit, uint32_t *ret_in_memory)
{
    const struct shard *shard = commit->shard;
    uint32_t in_memory = 0;
    if (shard->status != SLUICE_OK) {
        return shard->status;
    }
    for (uint32_t i = 0; i < commit->batch_count; i++) {
        const struct topic *topic = commit->batches[i].partition->topic;
        if (topic == NULL) {
            return SLUICE_E_UNKNOWN_TOPIC;
        }
        if (commit->is_exact && !shard_topic_is_exact(shard, topic)) {
            return SLUICE_E_INVALID_CONFIG;
        }
        in_memory += topic->settings->durability == TOPIC_MEMORY;
    }
    *ret_in_memory = in_memory;
    return SLUICE_OK;
}

/* NULL: what it holds cannot be in one. */
static struct commit_log *log_of(const struct commit *commit, uint32_t in_memory)
{
    const struct shard *shard = commit->shard;
    if (in_memory == 0 || shard->log == shard->memory.log) {
        return shard->log;
    }
    return in_memory == commit->batch_count && commit->extra_count == 0 ? shard->memory.log : NULL;
}

static sl_err leases_take(const struct commit *commit, uint32_t in_memory)
{
    sl_err err = SLUICE_OK;
    if (in_memory == 0) {
        return err;
    }
    for (uint32_t i = 0; i < commit->batch_count && err == SLUICE_OK; i++) {
        const struct batch_view view = {commit->batches[i].data, commit->batches[i].size};
        err = offset_lease_take(commit->batches[i].partition,
                                (int64_t)batch_view_last_offset_delta(&view) + 1);
    }
    return err == SLUICE_E_WOULD_BLOCK ? SLUICE_E_BUSY : err;
}

/* In memory, what is oldest goes where the topics allow it. */
static sl_err submit_to(struct commit *commit, struct commit_log *log)
{
    struct memory_space *memory = &commit->shard->memory;
    sl_err err = log == memory->log ? memory_space_reserve(memory) : SLUICE_OK;
    err = err != SLUICE_OK ? err : commit_log_submit(log, &commit->unit);
    while (err == SLUICE_E_LOG_FULL && log == memory->log && memory_space_make_room(memory)) {
        err = commit_log_submit(log, &commit->unit);
    }
    return err == SLUICE_E_LOG_FULL && log == memory->log ? SLUICE_E_MEMORY_FULL : err;
}

/* A unit is as durable as the most demanding of its topics, and what it carries beside batches is
 * synced. What is told when it is written may not pass what waits in the same partition. */
static bool may_be_told_when_written(const struct commit *commit)
{
    bool may = (commit->extra_count == 0 || commit->extra_follow) && commit->batch_count > 0;
    for (uint32_t i = 0; i < commit->batch_count && may; i++) {
        const struct partition *partition = commit->batches[i].partition;
        may = partition->topic->settings->durability == TOPIC_OS && partition->pending_synced == 0;
    }
    return may;
}

sl_err commit_submit(struct commit *commit)
{
    uint32_t in_memory = 0;
    sl_err err = check(commit, &in_memory);
    if (err != SLUICE_OK) {
        return err;
    }
    struct commit_log *log = log_of(commit, in_memory);
    err = log == NULL ? SLUICE_E_MIXED_DURABILITY : leases_take(commit, in_memory);
    err = err != SLUICE_OK ? err : reserve(commit);
    if (err != SLUICE_OK) {
        return err;
    }
    int64_t now_ms = -1;
    for (uint32_t i = 0; i < commit->batch_count; i++) {
        struct commit_batch *batch = &commit->batches[i];
        stamp(commit, batch, &now_ms);
        describe(batch, &commit->items[i]);
        batch->partition->next_offset = batch->last_offset + 1;
    }
    commit->unit.items = commit->items;
    commit->unit.item_count = commit->batch_count + commit->extra_count;
    commit->unit.reserve = commit->reserve;
    commit->unit.durable = unit_durable;
    commit->unit.when_written = may_be_told_when_written(commit);
    err = submit_to(commit, log);
    if (err == SLUICE_E_FENCED) {
        /* The log tells when its last job is back; until then nothing may be judged by what the
         * refused batches left behind. */
        shard_set_status(commit->shard, err);
    }
    for (uint32_t i = commit->batch_count; i > 0; i--) {
        struct commit_batch *batch = &commit->batches[i - 1];
        if (err == SLUICE_OK) {
            partition_ref(batch->partition);
            batch->partition->pending_synced += !commit->unit.when_written;
        } else {
            batch->partition->next_offset = batch->base_offset;
            batch->partition->pending_batches--;
        }
    }
    return err;
}
