/* share_fetch.c: acknowledging and acquiring (shares.h).
 *
 * One request at a time reads for a stream, so that no record is read for two; it takes what it
 * read when it has it, and lets the next one in. What a request acknowledges is in the log before
 * it is answered; what it acquires is in memory only. */
#include "base/bytes.h"
#include "base/siphash.h"
#include "record/txn_marker.h"
#include "shard/fetch.h"
#include "shard/partition.h"
#include "shard/share_bury.h"
#include "shard/shares.h"

#include <string.h>

#define RUNS_AT_ONCE 64u

struct share_wait {
    struct sl_link link; /* in the stream's waiters */
    struct partition_observer observer;
    struct share_part *part;
    bool observes;
};

struct share_entry {
    const struct sluice_share_entry *from;
    struct sl_uuid topic;
    uint32_t number;
    struct share_stream *stream;
    struct partition *partition;
    struct share_wait wait;
    int64_t offset; /* that is read */
    bool reading;
    struct chunk *chunk;
    struct sluice_share_acquired *acquired; /* owned; of the result */
    uint32_t acquired_capacity;
};

struct share_part {
    struct shard_call call;
    struct shard_call finish;
    struct share_request *request;
    struct sl_link in_waiting; /* in shard->share_waiting */
    struct sl_task retry;
    struct share_change change;
    uint32_t *entries;
    uint32_t entry_count;
    struct share_settings settings;
    struct sluice_fetch_entry *reads; /* owned */
    uint32_t *read_places;            /* behind them: index of each one's entry */
    uint32_t read_count;
    struct chunk *const *chunks; /* while a read is answered */
    uint64_t owner;
    int64_t records_left;
    int64_t deadline_ms;
    bool changing; /* what it acknowledged is on its way to the log */
    bool reading;
    bool finishing;
    bool failed; /* an entry has an error */
    bool gave;   /* something was acquired */
    bool alone;  /* the last read gave nothing: one partition at a time tells a hole in the log */
    bool ended;
    bool used, finish_sent, answered; /* the origin's own */
};

struct share_request {
    struct shard *home;
    uint64_t connection;
    const struct sluice_share_fetch *from;
    struct sluice_context context; /* of the reads: nothing but the connection */
    sl_err status;
    int32_t lock_ms;
    uint32_t pending_parts;
    uint32_t pending_finishes;
    uint32_t entry_count;
    uint32_t part_count;
    struct share_part *parts;
    struct share_entry *entries;
    struct sluice_share_result *results;
    struct chunk **chunks;
    void (*set_tokens)(void *arg, struct chunk *const *chunks, uint32_t count);
    void *set_tokens_arg;
    sluice_share_fetched_done *done;
    void *arg;
};

static void part_try(struct share_part *part);

struct share_rules share_rules_of(const struct share_settings *settings)
{
    return (struct share_rules){.deliveries_max =
                                    (uint32_t)share_setting(settings, SHARE_CONFIG_deliveries_max),
                                .dead_letters = share_letters_topic(settings).size > 0};
}

uint64_t share_owner_of(const struct shard *shard, struct sluice_text group,
                        struct sluice_text member)
{
    struct sl_hash128 one = sl_siphash128(shard->share_key, group.data, (size_t)group.size);
    struct sl_hash128 two = sl_siphash128(shard->share_key, member.data, (size_t)member.size);
    uint64_t owner = one.low ^ (two.high + (two.low << 1));
    return owner != 0 ? owner : 1;
}

/* ---- waiting ---- */

static void retry_run(struct sl_task *task)
{
    struct share_part *part = SL_CONTAINER_OF(task, struct share_part, retry);
    if (part->ended) {
        shard_call_reply(&part->call);
    } else if (!part->reading && !part->changing) {
        part_try(part);
    }
}

static void part_wake(struct share_part *part)
{
    if (!part->retry.queued) {
        part->retry.run = retry_run;
        part->retry.priority = SL_PRIORITY_IO;
        sl_loop_post(part->call.target->loop, &part->retry);
    }
}

static void records_came(struct partition_observer *observer)
{
    part_wake(SL_CONTAINER_OF(observer, struct share_wait, observer)->part);
}

void share_stream_wake(struct share_stream *stream)
{
    for (struct sl_link *link = stream->waiters.head.next; link != &stream->waiters.head;
         link = link->next) {
        part_wake(SL_CONTAINER_OF(link, struct share_wait, link)->part);
    }
}

static void unwait(struct share_part *part)
{
    sl_list_remove(&part->in_waiting);
    for (uint32_t i = 0; i < part->entry_count; i++) {
        struct share_entry *entry = &part->request->entries[part->entries[i]];
        sl_list_remove(&entry->wait.link);
        if (entry->wait.observes) {
            partition_unobserve(entry->partition, &entry->wait.observer);
            entry->wait.observes = false;
        }
    }
}

static void part_wait(struct share_part *part)
{
    struct shard *shard = part->call.target;
    for (uint32_t i = 0; i < part->entry_count; i++) {
        struct share_entry *entry = &part->request->entries[part->entries[i]];
        if (!entry->from->reads || entry->stream == NULL) {
            continue;
        }
        sl_list_push_back(&entry->stream->waiters, &entry->wait.link);
        entry->wait.part = part;
        entry->wait.observer.notify = records_came;
        entry->wait.observes = true;
        partition_observe(entry->partition, &entry->wait.observer);
    }
    sl_list_push_back(&shard->share_waiting, &part->in_waiting);
    shard_schedule(shard);
}

/* ---- the answer, on the origin's loop ---- */

static void request_free(struct share_request *request)
{
    struct shard *home = request->home;
    for (uint32_t i = 0; i < request->entry_count; i++) {
        chunk_unref(request->entries[i].chunk);
        sl_free(request->entries[i].acquired);
    }
    for (uint32_t i = 0; i < request->part_count; i++) {
        share_change_fini(&request->parts[i].change);
        sl_free(request->parts[i].reads);
    }
    sl_free(request);
    shard_request_end(home);
}

static void maybe_answer(struct share_request *request)
{
    if (request->pending_parts > 0 || request->pending_finishes > 0) {
        return;
    }
    for (uint32_t i = 0; i < request->entry_count; i++) {
        request->chunks[i] = request->entries[i].chunk;
        request->results[i].records_token = request->chunks[i] != NULL ? i + 1 : 0;
        request->results[i].acquired = request->entries[i].acquired;
    }
    if (request->set_tokens != NULL) {
        request->set_tokens(request->set_tokens_arg, request->chunks, request->entry_count);
    }
    request->done(request->arg, request->status, request->lock_ms, request->results,
                  request->entry_count);
    if (request->set_tokens != NULL) {
        request->set_tokens(request->set_tokens_arg, NULL, 0);
    }
    request_free(request);
}

static void finish_run(struct shard_call *call)
{
    struct share_part *part = SL_CONTAINER_OF(call, struct share_part, finish);
    part->finishing = true;
    if (sl_link_is_listed(&part->in_waiting)) {
        part_try(part);
    }
    shard_call_reply(call);
}

static void finish_replied(struct shard_call *call)
{
    struct share_part *part = SL_CONTAINER_OF(call, struct share_part, finish);
    part->request->pending_finishes--;
    maybe_answer(part->request);
}

static void finish_others(struct share_request *request)
{
    request->pending_finishes++;
    for (uint32_t i = 0; i < request->part_count; i++) {
        struct share_part *part = &request->parts[i];
        if (!part->used || part->answered || part->finish_sent) {
            continue;
        }
        part->finish_sent = true;
        request->pending_finishes++;
        part->finish.run = finish_run;
        part->finish.reply = finish_replied;
        shard_call_start(&part->finish, part->call.target, request->home->loop, SL_PRIORITY_IO);
    }
    request->pending_finishes--;
}

static void part_replied(struct shard_call *call)
{
    struct share_part *part = SL_CONTAINER_OF(call, struct share_part, call);
    struct share_request *request = part->request;
    part->answered = true;
    request->pending_parts--;
    if (request->pending_parts > 0 && (part->gave || part->failed || part->finishing)) {
        finish_others(request); /* one that only acknowledged keeps nobody from waiting */
    }
    maybe_answer(request);
}

static void part_end(struct share_part *part)
{
    unwait(part);
    for (uint32_t i = 0; i < part->entry_count; i++) {
        struct share_entry *entry = &part->request->entries[part->entries[i]];
        if (entry->stream != NULL) {
            share_stream_unref(entry->stream);
            entry->stream = NULL;
        }
        if (entry->partition != NULL) {
            partition_unref(entry->partition);
            entry->partition = NULL;
        }
    }
    part->ended = true;
    if (!part->retry.queued) {
        shard_call_reply(&part->call);
    } /* else when the retry that is queued has run: it points here */
}

/* ---- acquiring ---- */

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
        .until_ms = now_ms + share_setting(settings, SHARE_CONFIG_lock_ms),
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
    part_wake(part); /* not from within the read: it may have come at once */
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

static bool wants_records(const struct share_part *part)
{
    const struct share_request *request = part->request;
    bool wants = false;
    for (uint32_t i = 0; i < part->entry_count; i++) {
        wants = wants || request->entries[part->entries[i]].from->reads;
    }
    return wants && part->records_left > 0 && (request->from->flags & SLUICE_SHARE_LEAVES) == 0;
}

static void part_try(struct share_part *part)
{
    struct share_request *request = part->request;
    struct shard *shard = part->call.target;
    unwait(part);
    if (!wants_records(part) || part->gave || part->failed) {
        part_end(part);
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
        part_end(part);
    } else if (part->read_count > 0) {
        read_start(part);
    } else if (part->finishing || shard_now_ms(shard) >= part->deadline_ms) {
        part->finishing = true;
        part_end(part);
    } else {
        part_wait(part);
    }
}

/* ---- acknowledging ---- */

static void count_acks(struct share_stream *stream, const struct share_ack *ack)
{
    static const enum share_count counts[] = {
        [SHARE_ACK_ACCEPT] = SHARE_COUNT_ACCEPTED,
        [SHARE_ACK_RELEASE] = SHARE_COUNT_RELEASED,
        [SHARE_ACK_REJECT] = SHARE_COUNT_REJECTED,
        [SHARE_ACK_RENEW] = SHARE_COUNT_RENEWED,
    };
    int64_t each = ack->type_count == 1 ? ack->last - ack->first + 1 : 1;
    for (uint32_t i = 0; i < ack->type_count; i++) {
        if (ack->types[i] != SHARE_ACK_GAP) {
            share_stream_count(stream, counts[ack->types[i]], each);
        }
    }
}

static sl_err entry_acknowledge(struct share_part *part, struct share_entry *entry)
{
    struct shard *shard = part->call.target;
    struct share_window *window = &entry->stream->window;
    const struct sluice_share_entry *from = entry->from;
    const struct share_rules rules = share_rules_of(&part->settings);
    bool renews = share_setting(&part->settings, SHARE_CONFIG_renews) != 0;
    int64_t now_ms = shard_now_ms(shard);
    int64_t renew_ms = now_ms + share_setting(&part->settings, SHARE_CONFIG_lock_ms);
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < from->ack_count && err == SLUICE_OK; i++) {
        const struct share_ack ack = {from->acks[i].first, from->acks[i].last, from->acks[i].types,
                                      from->acks[i].type_count};
        err = share_window_check(window, part->owner, &ack);
        for (uint32_t k = 0; !renews && err == SLUICE_OK && k < ack.type_count; k++) {
            err = ack.types[k] == SHARE_ACK_RENEW ? SLUICE_E_INVALID_REQUEST : SLUICE_OK;
        }
    }
    for (uint32_t i = 0; i < from->ack_count && err == SLUICE_OK; i++) {
        const struct share_ack ack = {from->acks[i].first, from->acks[i].last, from->acks[i].types,
                                      from->acks[i].type_count};
        err = share_window_check(window, part->owner, &ack); /* once more: none twice */
        err = err != SLUICE_OK ? err
                               : share_window_acknowledge(window, &ack, &rules, now_ms, renew_ms);
        if (err == SLUICE_OK) {
            count_acks(entry->stream, &ack);
            share_change_note(&part->change, ack.first, ack.last);
        }
    }
    share_change_add(&part->change, entry->stream);
    share_store_arm(&shard->shares, entry->stream);
    share_stream_wake(entry->stream);
    return err;
}

/* The member is gone: of all streams of its group here. */
static void abandon(struct share_part *part)
{
    struct shard *shard = part->call.target;
    struct share_owner_group *group =
        share_store_group(&shard->shares, sl_of_text(part->request->from->group));
    for (struct sl_link *link = group == NULL ? NULL : group->streams.head.next;
         link != NULL && link != &group->streams.head; link = link->next) {
        struct share_stream *stream = SL_CONTAINER_OF(link, struct share_stream, in_group);
        if (share_window_abandon(&stream->window, part->owner, share_change_note, &part->change) >
            0) {
            share_change_add(&part->change, stream);
            share_store_arm(&shard->shares, stream);
            share_stream_wake(stream);
        }
    }
}

/* ---- streams ---- */

static int64_t start_of(struct shard *shard, const struct share_settings *settings,
                        const struct partition *partition)
{
    int64_t reset = share_setting(settings, SHARE_CONFIG_reset);
    struct stream_run run;
    if (reset == SHARE_RESET_EARLIEST) {
        return partition_start(partition);
    }
    /* By time: from the batch on that holds the first record, or a few before it. */
    if (reset >= 0 &&
        stream_index_find_time(&partition->index, shard_wall_ms(shard) - reset, &run)) {
        return SL_MAX(run.base_offset, partition_start(partition));
    }
    return partition_end(partition);
}

sl_err share_stream_settle(struct shard *shard, struct share_stream *stream,
                           const struct share_settings *settings, struct partition **ret_partition,
                           struct share_change *change)
{
    struct topic *topic = catalog_by_id(shard->catalog, &stream->topic);
    struct partition *partition = NULL;
    if (topic == NULL || stream->partition >= topic->partition_count) {
        return SLUICE_E_UNKNOWN_TOPIC_ID;
    }
    sl_err err = partition_open(shard, topic, stream->partition, &partition);
    if (err != SLUICE_OK) {
        return err;
    }
    share_window_raise(&stream->window, partition_start(partition));
    if (!stream->checked) {
        const struct share_rules rules = share_rules_of(settings);
        if (stream->window.start > partition_end(partition)) { /* a power cut took the end */
            share_window_reset(&stream->window, partition_end(partition));
            share_change_add_whole(change, stream);
        }
        (void)share_window_condemn(&stream->window, &rules, share_change_note, change);
        share_change_add(change, stream);
        share_store_arm(&shard->shares, stream);
        stream->checked = true;
    }
    *ret_partition = partition;
    return SLUICE_OK;
}

static sl_err stream_new(struct share_part *part, const struct share_entry *entry,
                         struct share_stream **ret_stream)
{
    struct shard *shard = part->call.target;
    struct topic *topic = catalog_by_id(shard->catalog, &entry->topic);
    struct partition *partition = NULL;
    if (topic == NULL || entry->number >= topic->partition_count) {
        return SLUICE_E_UNKNOWN_TOPIC_ID;
    }
    sl_err err = partition_open(shard, topic, entry->number, &partition);
    if (err == SLUICE_OK) {
        err =
            share_store_add(&shard->shares, sl_of_text(part->request->from->group), &entry->topic,
                            entry->number, start_of(shard, &part->settings, partition), ret_stream);
    }
    if (err == SLUICE_OK) { /* where it began is kept: else "latest" would pass records over */
        share_change_add_whole(&part->change, *ret_stream);
    }
    return err;
}

static sl_err entry_open(struct share_part *part, struct share_entry *entry)
{
    struct shard *shard = part->call.target;
    struct share_stream *stream = share_store_find(
        &shard->shares, sl_of_text(part->request->from->group), &entry->topic, entry->number);
    sl_err err = SLUICE_OK;
    if (stream == NULL && entry->from->ack_count > 0 && !entry->from->reads) {
        return SLUICE_E_INVALID_RECORD_STATE;
    }
    if (stream == NULL) {
        err = stream_new(part, entry, &stream);
    }
    err = err != SLUICE_OK ? err
                           : share_stream_settle(shard, stream, &part->settings, &entry->partition,
                                                 &part->change);
    if (err == SLUICE_OK) {
        partition_ref(entry->partition);
        share_stream_ref(stream);
        entry->stream = stream;
    }
    return err;
}

static void change_done(struct share_change *change, sl_err err)
{
    struct share_part *part = SL_CONTAINER_OF(change, struct share_part, change);
    struct share_request *request = part->request;
    part->changing = false;
    for (uint32_t i = 0; err != SLUICE_OK && i < part->entry_count; i++) {
        struct sluice_share_result *result = &request->results[part->entries[i]];
        result->ack_status = result->ack_status == SLUICE_OK ? err : result->ack_status;
        result->status = result->status == SLUICE_OK ? err : result->status;
        part->failed = true;
    }
    part_try(part);
}

static void part_run(struct shard_call *call)
{
    struct share_part *part = SL_CONTAINER_OF(call, struct share_part, call);
    struct share_request *request = part->request;
    struct shard *shard = call->target;
    share_change_init(&part->change, shard);
    part->settings = share_store_settings(&shard->shares, sl_of_text(request->from->group));
    part->owner = share_owner_of(shard, request->from->group, request->from->member);
    part->deadline_ms = shard_now_ms(shard) + request->from->wait_ms;
    for (uint32_t i = 0; i < part->entry_count; i++) {
        struct share_entry *entry = &request->entries[part->entries[i]];
        struct sluice_share_result *result = &request->results[part->entries[i]];
        sl_err err = shard->status != SLUICE_OK ? shard->status : entry_open(part, entry);
        result->leader_epoch = shard_epoch(shard);
        result->ack_status = entry->from->ack_count > 0 ? err : SLUICE_OK;
        result->status = entry->from->reads ? err : SLUICE_OK;
        part->failed = part->failed || err != SLUICE_OK;
        if (err == SLUICE_OK && entry->from->ack_count > 0) {
            result->ack_status = entry_acknowledge(part, entry);
        }
    }
    if ((request->from->flags & SLUICE_SHARE_LEAVES) != 0 && shard->status == SLUICE_OK) {
        abandon(part);
    }
    shard_schedule(shard);
    part->changing = true;
    share_change_submit(&part->change, change_done);
}

/* ---- time, ends ---- */

struct expiry {
    struct share_change change;
};

static void expiry_done(struct share_change *change, sl_err err)
{
    (void)err; /* what ended is so in memory; after a crash it ends again */
    share_change_fini(change);
    sl_free(SL_CONTAINER_OF(change, struct expiry, change));
}

static void expire(struct shard *shard, int64_t now_ms)
{
    struct share_stream *stream = share_store_due(&shard->shares, now_ms);
    struct expiry *expiry = stream == NULL ? NULL : sl_alloc_zero(1, sizeof(*expiry));
    if (expiry != NULL) {
        share_change_init(&expiry->change, shard);
    }
    while (expiry != NULL && stream != NULL) {
        const struct share_rules rules = share_rules_of(&stream->group->settings);
        share_stream_count(stream, SHARE_COUNT_TIMED_OUT,
                           share_window_expire(&stream->window, &rules, now_ms, share_change_note,
                                               &expiry->change));
        share_change_add(&expiry->change, stream);
        share_store_arm(&shard->shares, stream);
        share_stream_wake(stream);
        stream = share_store_due(&shard->shares, now_ms);
    }
    if (expiry != NULL) {
        share_change_submit(&expiry->change, expiry_done);
    } else if (stream != NULL) {
        share_store_arm(&shard->shares, stream); /* no memory: at the next look */
    }
}

int64_t shares_due_ms(const struct shard *shard)
{
    int64_t due_ms =
        SL_MIN(share_store_due_ms(&shard->shares), share_members_due_ms(&shard->share_members));
    for (const struct sl_link *link = shard->share_waiting.head.next;
         link != &shard->share_waiting.head; link = link->next) {
        const struct share_part *part = SL_CONTAINER_OF(link, struct share_part, in_waiting);
        due_ms = SL_MIN(due_ms, part->deadline_ms);
    }
    return SL_MIN(due_ms, share_bury_due_ms(shard));
}

int64_t shares_tick(struct shard *shard, int64_t now_ms)
{
    if (shard->status == SLUICE_OK) {
        expire(shard, now_ms);
        share_bury_tick(shard, now_ms);
    }
    share_members_tick(&shard->share_members, now_ms);
    for (struct sl_link *link = shard->share_waiting.head.next, *next;
         link != &shard->share_waiting.head; link = next) {
        struct share_part *part = SL_CONTAINER_OF(link, struct share_part, in_waiting);
        next = link->next;
        if (part->deadline_ms <= now_ms) { /* not due any more: its retry is on its way */
            sl_list_remove(link);
            part->finishing = true;
            part_wake(part);
        }
    }
    return shard->status == SLUICE_OK ? shares_due_ms(shard) : INT64_MAX;
}

void share_fetch_cancel(struct shard *shard, const struct shard *home, uint64_t connection)
{
    for (struct sl_link *link = shard->share_waiting.head.next; link != &shard->share_waiting.head;
         link = link->next) {
        struct share_part *part = SL_CONTAINER_OF(link, struct share_part, in_waiting);
        if (part->request->connection == connection && part->request->home == home) {
            part->finishing = true;
            part_wake(part);
        }
    }
}

void share_fetch_finish_all(struct shard *shard)
{
    for (struct sl_link *link = shard->share_waiting.head.next; link != &shard->share_waiting.head;
         link = link->next) {
        struct share_part *part = SL_CONTAINER_OF(link, struct share_part, in_waiting);
        part->finishing = true;
        part_wake(part);
    }
}

struct topic_wake {
    const struct sl_uuid *topic;
};

static void wake_of_topic(void *arg, struct chain_link *link)
{
    const struct topic_wake *wake = arg;
    struct share_stream *stream = SL_CONTAINER_OF(link, struct share_stream, by_key);
    if (memcmp(stream->topic.b, wake->topic->b, sizeof(stream->topic.b)) == 0) {
        share_stream_wake(stream);
    }
}

void shares_topic_deleted(struct shard *shard, const struct sl_uuid *topic)
{
    if (shard->shares.stream_count > 0) {
        chain_map_each(&shard->shares.streams, wake_of_topic, &(struct topic_wake){topic});
        share_store_forget_topic(&shard->shares, topic);
    }
}

/* ---- the origin ---- */

static struct share_request *request_new(uint32_t entry_count, uint32_t shard_count)
{
    size_t per_entry = sizeof(struct share_entry) + sizeof(struct sluice_share_result) +
                       sizeof(struct chunk *) + sizeof(uint32_t) * shard_count;
    size_t size = sizeof(struct share_request) + shard_count * sizeof(struct share_part) +
                  entry_count * per_entry;
    struct share_request *request = sl_alloc_zero(1, size);
    if (request == NULL) {
        return NULL;
    }
    request->parts = (struct share_part *)(request + 1);
    request->entries = (struct share_entry *)(request->parts + shard_count);
    request->results = (struct sluice_share_result *)(request->entries + entry_count);
    request->chunks = (struct chunk **)(request->results + entry_count);
    uint32_t *indices = (uint32_t *)(request->chunks + entry_count);
    for (uint32_t i = 0; i < shard_count; i++) {
        request->parts[i].entries = indices + (size_t)i * entry_count;
        request->parts[i].request = request;
        sl_link_init(&request->parts[i].in_waiting);
    }
    request->entry_count = entry_count;
    request->part_count = shard_count;
    return request;
}

static sl_err entry_prepare(struct share_request *request, uint32_t index)
{
    struct share_entry *entry = &request->entries[index];
    const struct sluice_share_entry *from = &request->from->entries[index];
    sluice_status status = SLUICE_OK;
    entry->from = from;
    sl_link_init(&entry->wait.link);
    const struct topic *topic = shard_find_topic(request->home, &from->topic, &status);
    if (topic == NULL) {
        return status;
    }
    if (from->partition < 0 || (uint32_t)from->partition >= topic->partition_count) {
        return SLUICE_E_UNKNOWN_TOPIC;
    }
    entry->topic = topic->id;
    entry->number = (uint32_t)from->partition;
    struct shard *owner = shard_of_partition(request->home->set, topic, entry->number);
    struct share_part *part = &request->parts[owner->index];
    part->entries[part->entry_count++] = index;
    return SLUICE_OK;
}

/* Each shard may give its share; what is left over goes to one after the other. */
static void divide(struct share_request *request)
{
    struct shard *home = request->home;
    uint32_t readers = 0;
    for (uint32_t i = 0; i < request->part_count; i++) {
        readers += request->parts[i].entry_count > 0;
    }
    int64_t all = SL_MAX(request->from->records_max, 0);
    uint32_t turn = readers == 0 ? 0 : home->share_turn++ % readers;
    for (uint32_t i = 0, at = 0; i < request->part_count; i++) {
        struct share_part *part = &request->parts[i];
        if (part->entry_count > 0) {
            bool has_more = (at + readers - turn) % readers < (uint32_t)(all % readers);
            part->records_left = all / readers + has_more;
            if (all > 0 && (request->from->flags & SLUICE_SHARE_EXACT) == 0) {
                part->records_left = SL_MAX(part->records_left, (int64_t)1);
            }
            at++;
        }
    }
}

static void hand_over(struct share_request *request)
{
    struct shard *home = request->home;
    bool leaves = (request->from->flags & SLUICE_SHARE_LEAVES) != 0;
    request->pending_parts = 1;
    for (uint32_t i = 0; i < request->part_count; i++) {
        request->parts[i].used = leaves || request->parts[i].entry_count > 0;
        request->pending_parts += request->parts[i].used;
        request->parts[i].call.target = home->set->shards[i];
    }
    for (uint32_t i = 0; i < request->part_count; i++) {
        struct share_part *part = &request->parts[i];
        if (part->used) {
            part->call.run = part_run;
            part->call.reply = part_replied;
            shard_call_start(&part->call, home->set->shards[i], home->loop, SL_PRIORITY_IO);
        }
    }
    request->pending_parts--;
    maybe_answer(request);
}

void share_fetch_start(struct shard *home, const struct sluice_context *context,
                       const struct sluice_share_fetch *from,
                       void (*set_tokens)(void *arg, struct chunk *const *chunks, uint32_t count),
                       void *set_tokens_arg, sluice_share_fetched_done *done, void *arg)
{
    struct share_request *request = NULL;
    bool is_named = from->group.size > 0 && from->group.size <= SHARE_GROUP_BYTES_MAX;
    if (is_named && from->entry_count <= SHARE_ENTRIES_MAX) {
        request = request_new(from->entry_count, home->set->count);
    }
    if (!shares_are_in_force(home->set)) {
        sl_free(request);
        done(arg, SLUICE_E_UNSUPPORTED_VERSION, 0, NULL, 0);
        return;
    }
    if (request == NULL) {
        done(arg, is_named ? SLUICE_E_LIMIT : SLUICE_E_INVALID_GROUP_ID, 0, NULL, 0);
        return;
    }
    shard_request_begin(home);
    request->home = home;
    request->connection = context->connection;
    request->context = (struct sluice_context){.size = sizeof(request->context)};
    request->from = from;
    request->set_tokens = set_tokens;
    request->set_tokens_arg = set_tokens_arg;
    request->done = done;
    request->arg = arg;
    const struct share_settings settings =
        share_store_settings(&home->shares, sl_of_text(from->group));
    request->lock_ms = (int32_t)share_setting(&settings, SHARE_CONFIG_lock_ms);
    for (uint32_t i = 0; i < from->entry_count; i++) {
        struct sluice_share_result *result = &request->results[i];
        *result = (struct sluice_share_result){.leader_epoch = -1};
        sl_err err = entry_prepare(request, i);
        result->status = from->entries[i].reads ? err : SLUICE_OK;
        result->ack_status = from->entries[i].ack_count > 0 ? err : SLUICE_OK;
        if (err != SLUICE_OK) { /* an error answers at once */
            for (uint32_t k = 0; k < request->part_count; k++) {
                request->parts[k].finishing = true;
            }
        }
    }
    divide(request);
    hand_over(request);
}
