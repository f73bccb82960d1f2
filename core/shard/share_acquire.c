/* share_acquire.c: a part of a share fetch reads its streams and takes what is available of them
 * (share_steps.h). One request at a time reads for a stream, so that no record is read for two; it
 * takes what it read when it has it, and lets the next one in. What is taken is in memory only. */
#include "record/txn_marker.h"
#include "shard/fetch.h"
#include "shard/share_steps.h"

#include <string.h>

#define RUNS_AT_ONCE 64u

/* Whose records, from when on, are to be passed over. */
struct aborted_walk {
    const struct sluice_aborted *aborted;
    bool *ended;
    uint32_t count;
};

static bool is_aborted(struct aborted_walk *walk, const struct batch_view *batch)
{
    int64_t base = batch_view_base_offset(batch);
    int64_t producer = batch_view_producer_id(batch);
    for (uint32_t i = 0; i < walk->count; i++) {
        if (walk->aborted[i].producer_id == producer && walk->aborted[i].first_offset <= base &&
            !walk->ended[i]) {
            return batch_view_has(batch, BATCH_TRANSACTIONAL);
        }
    }
    return false;
}

static void note_marker(struct aborted_walk *walk, const struct batch_view *batch)
{
    struct txn_marker marker;
    if (walk->count == 0 || txn_marker_decode(batch, &marker) != SLUICE_OK || marker.commits) {
        return;
    }
    for (uint32_t i = 0; i < walk->count; i++) {
        if (walk->aborted[i].producer_id == marker.producer_id && !walk->ended[i] &&
            walk->aborted[i].first_offset <= batch_view_base_offset(batch)) {
            walk->ended[i] = true;
            return;
        }
    }
}

/* Told in runs of batch_records at best: those that say the same, and go on, are one. */
static sl_err tell_run(struct share_entry *entry, struct sluice_share_result *result,
                       int32_t batch_records, const struct share_range *run)
{
    struct sluice_share_acquired *before =
        result->acquired_count > 0 ? &entry->acquired[result->acquired_count - 1] : NULL;
    if (before != NULL && before->last + 1 == run->first && before->deliveries == run->deliveries &&
        before->last - before->first + 1 < batch_records) {
        before->last = run->last;
        return SLUICE_OK;
    }
    if (result->acquired_count == entry->acquired_capacity) {
        uint32_t capacity = entry->acquired_capacity == 0 ? 8 : entry->acquired_capacity * 2;
        void *grown = sl_realloc(entry->acquired, capacity * sizeof(*entry->acquired));
        if (grown == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
        entry->acquired = grown;
        entry->acquired_capacity = capacity;
    }
    entry->acquired[result->acquired_count++] = (struct sluice_share_acquired){
        .first = run->first, .last = run->last, .deliveries = run->deliveries};
    return SLUICE_OK;
}

/* Takes of one batch of the log. Returns how many records, negative: an error. */
static int64_t acquire_batch(struct share_part *part, struct share_entry *entry,
                             struct sluice_share_result *result, int64_t first, int64_t last)
{
    struct shard *shard = part->call.target;
    const struct sluice_share_fetch *request = part->request->from;
    const struct share_settings *settings = &part->settings;
    bool is_exact = (request->flags & SLUICE_SHARE_EXACT) != 0;
    int64_t now_ms = shard_now_ms(shard);
    struct share_ask ask = {
        .owner = part->owner,
        .now_ms = now_ms,
        .until_ms = now_ms + share_part_lock_ms(part),
        .deliveries_max = (uint32_t)share_setting(settings, SHARE_CONFIG_deliveries_max),
        .in_flight_max = (uint32_t)share_setting(settings, SHARE_CONFIG_in_flight_max)};
    int64_t taken = 0;
    uint32_t count = RUNS_AT_ONCE;
    while (count == RUNS_AT_ONCE) {
        struct share_range runs[RUNS_AT_ONCE];
        ask.records_max =
            is_exact ? (uint32_t)SL_MIN(part->records_left, (int64_t)INT32_MAX) : UINT32_MAX;
        int64_t more = share_window_acquire(&entry->stream->window, &ask, first, last, runs,
                                            RUNS_AT_ONCE, &count);
        for (uint32_t i = 0; more > 0 && i < count; i++) {
            if (tell_run(entry, result, request->batch_records, &runs[i]) != SLUICE_OK) {
                return -(int64_t)SLUICE_E_NO_MEMORY; /* its lock ends by itself */
            }
        }
        if (more < 0) {
            return more;
        }
        taken += more;
        part->records_left -= more;
    }
    return taken;
}

/* What was read, batch by batch. The result gets what holds acquired records. */
static sl_err acquire_read(struct share_part *part, struct share_entry *entry,
                           struct sluice_share_result *result, struct sl_bytes bytes,
                           struct aborted_walk *walk, int64_t *ret_next)
{
    struct share_window *window = &entry->stream->window;
    const uint8_t *from = NULL, *to = NULL;
    sl_err err = SLUICE_OK;
    while (bytes.size > 0 && err == SLUICE_OK && part->records_left > 0) {
        struct batch_view batch;
        err = batch_view_init(&batch, bytes);
        if (err != SLUICE_OK) {
            return SLUICE_E_DAMAGED_RECORDS;
        }
        int64_t base = batch_view_base_offset(&batch);
        int64_t last = batch_view_last_offset(&batch);
        bool is_control = batch_view_has(&batch, BATCH_CONTROL);
        if (base > *ret_next) { /* compaction has left nothing there */
            err = share_window_skip(window, *ret_next, base - 1);
        }
        if (is_control || is_aborted(walk, &batch)) {
            err = err != SLUICE_OK ? err : share_window_skip(window, base, last);
        } else if (err == SLUICE_OK) {
            int64_t taken = acquire_batch(part, entry, result, base, last);
            err = taken < 0 ? SLUICE_E_NO_MEMORY : SLUICE_OK;
            from = taken > 0 && from == NULL ? bytes.data : from;
            to = taken > 0 ? bytes.data + batch.size : to;
        }
        if (is_control) {
            note_marker(walk, &batch);
        }
        *ret_next = SL_MAX(*ret_next, last + 1);
        bytes = (struct sl_bytes){bytes.data + batch.size, bytes.size - batch.size};
    }
    if (from != NULL) {
        result->records = (struct sluice_bytes){from, (uint64_t)(to - from)};
    }
    return err;
}

static int64_t readable_end(const struct share_part *part, const struct partition *partition)
{
    bool committed = share_setting(&part->settings, SHARE_CONFIG_committed) != 0;
    return committed ? SL_MIN(partition_end(partition), partition_stable_end(partition))
                     : partition_end(partition);
}

static void count_acquired(const struct share_entry *entry, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        share_stream_count(entry->stream, SHARE_COUNT_ACQUIRED,
                           entry->acquired[i].last - entry->acquired[i].first + 1);
    }
}

static void entry_acquire(struct share_part *part, struct share_entry *entry,
                          struct sluice_share_result *result,
                          const struct sluice_fetch_result *read, struct chunk *chunk)
{
    struct shard *shard = part->call.target;
    struct share_stream *stream = entry->stream;
    struct aborted_walk walk = {.aborted = read->aborted, .count = read->aborted_count};
    int64_t next = entry->offset;
    sl_err err = read->status;
    if (stream->removed || entry->partition->topic == NULL) {
        err = SLUICE_E_UNKNOWN_TOPIC_ID;
    }
    walk.ended = walk.count == 0 ? NULL : sl_alloc_zero(walk.count, sizeof(*walk.ended));
    if (err == SLUICE_E_OFFSET_OUT_OF_RANGE) {
        err = SLUICE_OK; /* the log's start has moved: seen at the next look */
    } else if (err == SLUICE_OK && walk.count > 0 && walk.ended == NULL) {
        err = SLUICE_E_NO_MEMORY;
    } else if (err == SLUICE_OK) {
        struct sl_bytes bytes = {read->records.data, (size_t)read->records.size};
        err = acquire_read(part, entry, result, bytes, &walk, &next);
        if (err == SLUICE_OK && bytes.size == 0 && part->read_count == 1) {
            int64_t end = readable_end(part, entry->partition);
            err = end > next ? share_window_skip(&stream->window, next, end - 1) : SLUICE_OK;
        }
    }
    sl_free(walk.ended);
    if (result->acquired_count > 0 && err == SLUICE_OK) {
        entry->chunk = chunk != NULL ? chunk_ref(chunk) : NULL;
        part->gave = true;
        count_acquired(entry, result->acquired_count);
    } else {
        result->records = (struct sluice_bytes){NULL, 0};
        result->acquired_count = 0;
    }
    result->status = err;
    part->failed = part->failed || err != SLUICE_OK;
    if (!stream->removed) {
        share_store_arm(&shard->shares, stream);
    }
}

static void take_chunks(void *arg, struct chunk *const *chunks, uint32_t count)
{
    struct share_part *part = arg;
    (void)count;
    part->chunks = chunks;
}

static void read_done(void *arg, const struct sluice_fetch_result *results, uint32_t count,
                      int32_t throttle_ms)
{
    struct share_part *part = arg;
    struct share_request *request = part->request;
    (void)throttle_ms;
    for (uint32_t i = 0; i < part->read_count; i++) {
        uint32_t index = part->read_places[i];
        struct share_entry *entry = &request->entries[index];
        entry->reading = false;
        entry->stream->fetching = false;
        if (i < count) {
            entry_acquire(part, entry, &request->results[index], &results[i],
                          part->chunks != NULL ? part->chunks[i] : NULL);
        } else {
            request->results[index].status = SLUICE_E_NO_MEMORY;
            part->failed = true;
        }
        share_stream_wake(entry->stream);
    }
    part->reading = false;
    part->alone = !part->gave && part->read_count > 1;
    shard_schedule(part->call.target);
    share_part_wake(part); /* not from within the read: it may have come at once */
}

static sl_err room_for_reads(struct share_part *part)
{
    if (part->reads != NULL) {
        return SLUICE_OK;
    }
    size_t each = sizeof(*part->reads) + sizeof(*part->read_places);
    part->reads = sl_alloc_zero(part->entry_count + 1u, each);
    part->read_places = (uint32_t *)(part->reads + part->entry_count + 1u);
    return part->reads == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

/* What could be read now for an entry. False: nothing. */
static bool entry_look(struct share_part *part, struct share_entry *entry,
                       struct sluice_share_result *result)
{
    struct shard *shard = part->call.target;
    struct share_stream *stream = entry->stream;
    if (stream == NULL || !entry->from->reads || result->status != SLUICE_OK) {
        return false;
    }
    if (stream->removed || entry->partition->topic == NULL || shard->stopping) {
        result->status = shard->stopping ? SLUICE_E_STOPPING : SLUICE_E_UNKNOWN_TOPIC_ID;
        part->failed = true;
        return false;
    }
    if (stream->fetching) {
        return false;
    }
    share_window_raise(&stream->window, partition_start(entry->partition));
    entry->offset =
        share_window_next(&stream->window, shard_now_ms(shard),
                          (uint32_t)share_setting(&part->settings, SHARE_CONFIG_deliveries_max),
                          (uint32_t)share_setting(&part->settings, SHARE_CONFIG_in_flight_max));
    return entry->offset < readable_end(part, entry->partition);
}

static void read_start(struct share_part *part)
{
    struct share_request *request = part->request;
    struct shard *shard = part->call.target;
    uint32_t bytes_max = (uint32_t)SL_MAX(request->from->bytes_max, 1);
    const struct sluice_fetch fetch = {
        .size = sizeof(fetch),
        .bytes_max = (int32_t)bytes_max,
        .isolation = share_setting(&part->settings, SHARE_CONFIG_committed) != 0
                         ? SLUICE_ISOLATION_COMMITTED
                         : SLUICE_ISOLATION_UNCOMMITTED,
        .entry_count = part->read_count,
        .entries = part->reads};
    for (uint32_t i = 0; i < part->read_count; i++) {
        struct share_entry *entry = &request->entries[part->read_places[i]];
        struct sluice_fetch_entry *read = &part->reads[i];
        *read = (struct sluice_fetch_entry){.partition = (int32_t)entry->number,
                                            .leader_epoch = -1,
                                            .offset = entry->offset,
                                            .bytes_max =
                                                (int32_t)SL_MIN(SHARE_READ_BYTES_MAX, bytes_max),
                                            .last_epoch = -1};
        memcpy(read->topic.id.bytes, entry->topic.b, sizeof(read->topic.id.bytes));
        read->topic.name = sluice_text_of("");
        entry->stream->fetching = true;
        entry->reading = true;
    }
    part->reading = true;
    part->chunks = NULL;
    fetch_start(shard, &request->context, &fetch, take_chunks, part, read_done, part);
}

/* With fewer records asked for than shards: it tells when something is there. */
static bool only_looks(const struct share_part *part)
{
    const struct sluice_share_fetch *request = part->request->from;
    return part->records_left == 0 && request->records_max > 0 &&
           (request->flags & SLUICE_SHARE_EXACT) != 0;
}

static bool wants_records(const struct share_part *part)
{
    const struct share_request *request = part->request;
    bool wants = false;
    for (uint32_t i = 0; i < part->entry_count; i++) {
        wants = wants || request->entries[part->entries[i]].from->reads;
    }
    return wants && (part->records_left > 0 || only_looks(part)) &&
           (request->from->flags & SLUICE_SHARE_LEAVES) == 0;
}

void share_part_try(struct share_part *part)
{
    struct share_request *request = part->request;
    struct shard *shard = part->call.target;
    share_part_unwait(part);
    if (!wants_records(part) || part->gave || part->failed) {
        share_part_end(part);
        return;
    }
    part->read_count = 0;
    sl_err err = room_for_reads(part);
    uint32_t reads_max = part->alone ? 1 : part->entry_count;
    for (uint32_t i = 0; err == SLUICE_OK && i < part->entry_count && part->read_count < reads_max;
         i++) {
        uint32_t index = part->entries[i];
        if (entry_look(part, &request->entries[index], &request->results[index])) {
            part->read_places[part->read_count++] = index;
        }
    }
    if (part->failed || err != SLUICE_OK) {
        request->status = err != SLUICE_OK ? err : request->status;
        share_part_end(part);
    } else if (part->read_count > 0 && only_looks(part)) {
        part->could = true;
        share_part_end(part);
    } else if (part->read_count > 0) {
        read_start(part);
    } else if (part->finishing || shard_now_ms(shard) >= part->deadline_ms) {
        part->finishing = true;
        share_part_end(part);
    } else {
        share_part_wait(part);
    }
}
