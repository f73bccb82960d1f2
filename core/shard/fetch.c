/* fetch.c: see fetch.h. */
#include "shard/fetch.h"

#include "shard/store.h"

#include <string.h>

static void part_try(struct fetch_part *part);

/* ---- waiting ---- */

static void unwait(struct fetch_part *part)
{
    struct fetch_request *request = part->request;
    for (uint32_t i = 0; i < part->entry_count; i++) {
        struct fetch_waiter *waiter = &request->entries[part->entries[i]].waiter;
        if (waiter->previous_next != NULL) {
            *waiter->previous_next = waiter->next;
            if (waiter->next != NULL) {
                waiter->next->previous_next = waiter->previous_next;
            }
            waiter->previous_next = NULL;
        }
    }
    if (part->previous_waiting != NULL) {
        *part->previous_waiting = part->next_waiting;
        if (part->next_waiting != NULL) {
            part->next_waiting->previous_waiting = part->previous_waiting;
        }
        part->previous_waiting = NULL;
    }
}

static void wait_on(struct fetch_part *part, struct fetch_entry *entry)
{
    struct fetch_waiter *waiter = &entry->waiter;
    struct partition *partition = entry->partition;
    waiter->part = part;
    waiter->next = partition->waiters;
    waiter->previous_next = &partition->waiters;
    if (waiter->next != NULL) {
        waiter->next->previous_next = &waiter->next;
    }
    partition->waiters = waiter;
}

static void part_wait(struct fetch_part *part)
{
    struct shard *shard = part->call.target;
    for (uint32_t i = 0; i < part->entry_count; i++) {
        wait_on(part, &part->request->entries[part->entries[i]]);
    }
    part->next_waiting = shard->waiting;
    part->previous_waiting = &shard->waiting;
    if (part->next_waiting != NULL) {
        part->next_waiting->previous_waiting = &part->next_waiting;
    }
    shard->waiting = part;
    shard_schedule(shard);
}

static void retry_run(struct sl_task *task)
{
    struct fetch_part *part = SL_CONTAINER_OF(task, struct fetch_part, retry);
    if (part->ended) {
        shard_call_reply(&part->call);
    } else if (!part->reading) {
        part_try(part);
    }
}

void fetch_wake(struct fetch_waiter *waiter)
{
    struct fetch_part *part = waiter->part;
    if (!part->retry.queued) {
        part->retry.run = retry_run;
        part->retry.priority = SL_PRIORITY_IO;
        sl_loop_post(part->call.target->loop, &part->retry);
    }
}

/* ---- the answer, on the origin's loop ---- */

static struct fetch_request **tagged_of(struct shard *home, uint64_t tag)
{
    return &home->tagged[tag % SHARD_TAG_BUCKETS];
}

static void request_tag(struct fetch_request *request)
{
    struct fetch_request **bucket = tagged_of(request->home, request->tag);
    request->next_tagged = *bucket;
    request->previous_tagged = bucket;
    if (request->next_tagged != NULL) {
        request->next_tagged->previous_tagged = &request->next_tagged;
    }
    *bucket = request;
}

static void request_untag(struct fetch_request *request)
{
    if (request->previous_tagged != NULL) {
        *request->previous_tagged = request->next_tagged;
        if (request->next_tagged != NULL) {
            request->next_tagged->previous_tagged = request->previous_tagged;
        }
        request->previous_tagged = NULL;
    }
}

static void request_free(struct fetch_request *request)
{
    struct shard *home = request->home;
    for (uint32_t i = 0; i < request->entry_count; i++) {
        chunk_unref(request->entries[i].chunk);
        sl_free(request->entries[i].aborted);
    }
    sl_free(request);
    shard_request_end(home);
}

static void request_answer(struct fetch_request *request)
{
    request_untag(request); /* done may begin another one of that name */
    for (uint32_t i = 0; i < request->entry_count; i++) {
        request->chunks[i] = request->entries[i].chunk;
        request->results[i].records_token = request->chunks[i] != NULL ? i + 1 : 0;
    }
    if (request->set_tokens != NULL) {
        request->set_tokens(request->set_tokens_arg, request->chunks, request->entry_count);
    }
    request->done(request->arg, request->results, request->entry_count, 0);
    if (request->set_tokens != NULL) {
        request->set_tokens(request->set_tokens_arg, NULL, 0);
    }
    request_free(request);
}

static void finish_run(struct shard_call *call)
{
    struct fetch_part *part = SL_CONTAINER_OF(call, struct fetch_part, finish);
    part->finishing = true;
    if (part->previous_waiting != NULL) {
        part_try(part);
    }
    shard_call_reply(call);
}

static void maybe_answer(struct fetch_request *request)
{
    if (request->pending_parts == 0 && request->pending_finishes == 0) {
        request_answer(request);
    }
}

static void finish_replied(struct shard_call *call)
{
    struct fetch_part *part = SL_CONTAINER_OF(call, struct fetch_part, finish);
    part->request->pending_finishes--;
    maybe_answer(part->request);
}

/* One part has ended, so the answer is due: the others give what they have. */
static void finish_others(struct fetch_request *request)
{
    request->pending_finishes++; /* keeps the request while we look */
    for (uint32_t i = 0; i < request->part_count; i++) {
        struct fetch_part *part = &request->parts[i];
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

void fetch_cancel_tag(struct shard *home, uint64_t connection, uint64_t tag)
{
    struct fetch_request *request = *tagged_of(home, tag);
    while (request != NULL) {
        struct fetch_request *next = request->next_tagged;
        if (request->tag == tag && request->connection == connection) {
            request_untag(request);
            finish_others(request);
            maybe_answer(request);
            return; /* the tags of a connection differ, and its done may have changed the list */
        }
        request = next;
    }
}

static void part_replied(struct shard_call *call)
{
    struct fetch_part *part = SL_CONTAINER_OF(call, struct fetch_part, call);
    struct fetch_request *request = part->request;
    part->answered = true;
    request->pending_parts--;
    if (request->pending_parts > 0) {
        finish_others(request);
    }
    maybe_answer(request);
}

/* ---- reading ---- */

static void settle_plan(struct shard *shard, struct fetch_entry *entry,
                        struct sluice_fetch_result *result)
{
    if (entry->is_cut) {
        entry->plan->place_count = 1; /* nothing of it is pinned any more */
    }
    if (entry->plan != NULL && result->status == SLUICE_OK && result->records.size > 0) {
        const struct read_plan *plan = entry->plan;
        partition_mark_verified(entry->partition, plan);
        readahead_note(shard, entry->partition, entry->offset,
                       plan->claims[plan->place_count - 1].last_offset + 1, result->records.size,
                       entry->was_cold);
    }
    bool is_damaged = entry->plan != NULL &&
                      (result->status == SLUICE_E_CORRUPT || result->status == SLUICE_E_IO);
    if (is_damaged) { /* not the answer that makes clients wait for another leader */
        result->status = SLUICE_E_DAMAGED_RECORDS;
    }
    if (is_damaged && entry->partition->topic != NULL) {
        sl_log(shard->logger, SL_LOG_ERROR, "fetch",
               "stored records are damaged and not served; run sluice scrub --now",
               sl_log_bytes("topic", entry->partition->topic->name),
               sl_log_u64("partition", entry->partition->number),
               sl_log_i64("offset", entry->offset));
    }
    sl_free(entry->plan);
    entry->plan = NULL;
}

/* What is read are whole frames, of which the answer may be a small part: while memory is scarce,
 * it keeps no more than its part. */
static void entry_shrink(struct shard *shard, struct fetch_entry *entry,
                         struct sluice_fetch_result *result)
{
    size_t size = result->records.size;
    struct chunk *small = NULL;
    if (entry->chunk == NULL || !chunk_cache_is_scarce(shard->cache) ||
        size > entry->chunk->size / 2 || chunk_new(shard->cache, size, &small) != SLUICE_OK) {
        return;
    }
    if (size > 0) {
        memcpy(small->data, result->records.data, size);
    }
    result->records.data = small->data;
    chunk_unref(entry->chunk);
    entry->chunk = small;
}

static void part_reply(struct fetch_part *part)
{
    struct shard *shard = part->call.target;
    struct fetch_request *request = part->request;
    for (uint32_t i = 0; i < part->entry_count; i++) {
        uint32_t index = part->entries[i];
        struct fetch_entry *entry = &request->entries[index];
        if (request->committed && entry->plan != NULL) {
            fetch_list_aborted(entry, &request->results[index]);
        }
        settle_plan(shard, entry, &request->results[index]);
        entry_shrink(shard, entry, &request->results[index]);
        shard->bytes_out += request->results[index].records.size;
        if (entry->partition != NULL) {
            partition_unref(entry->partition);
            entry->partition = NULL;
        }
    }
    shard->fetches++;
    part->ended = true;
    if (!part->retry.queued) {
        shard_call_reply(&part->call);
    } /* else when the retry that is queued has run: it points here */
}

static void entry_cut(struct fetch_entry *entry, struct sluice_fetch_result *result)
{
    uint32_t bytes = entry->is_cut ? entry->plan->places[0].size : entry->plan->bytes;
    struct sl_bytes all = {entry->chunk->data, bytes};
    struct sl_bytes batches = {NULL, 0};
    sl_err err =
        partition_cut(all, entry->offset, entry->end_offset, entry->read_bytes_max, &batches);
    result->status = err;
    result->records = (struct sluice_bytes){batches.data, batches.size};
}

static sl_err places_read(struct shard *shard, struct fetch_entry *entry, uint32_t count,
                          store_read_fn *read)
{
    const struct read_plan *plan = entry->plan;
    uint8_t *bytes = entry->chunk->data;
    sl_err err = store_read_rest(shard, plan->places, count, bytes, read, &entry->places_read);
    return err != SLUICE_OK ? err : partition_check_first(plan, count, bytes);
}

/* Damage further on does not stand in the way of what lies before it. */
static sl_err entry_read(struct shard *shard, struct fetch_entry *entry,
                         struct sluice_fetch_result *result, store_read_fn *read)
{
    uint32_t count = entry->plan->place_count;
    sl_err err = places_read(shard, entry, count, read);
    if ((err == SLUICE_E_CORRUPT || err == SLUICE_E_IO) && count > 1) {
        entry->is_cut = true;
        entry->places_read = 0;
        err = places_read(shard, entry, 1, read);
    }
    if (err == SLUICE_OK) {
        entry_cut(entry, result);
    }
    return err;
}

static void entry_unpin(struct shard *shard, struct fetch_entry *entry)
{
    read_plan_unpin(shard, entry->plan);
    entry->cold = false;
    entry->was_cold = true;
}

static void cold_work(struct sl_job *job)
{
    struct fetch_part *part = SL_CONTAINER_OF(job, struct fetch_part, job);
    for (uint32_t i = 0; i < part->entry_count; i++) {
        uint32_t index = part->entries[i];
        struct fetch_entry *entry = &part->request->entries[index];
        struct sluice_fetch_result *result = &part->request->results[index];
        if (entry->cold) {
            sl_err err = entry_read(part->call.target, entry, result, store_read);
            result->status = err != SLUICE_OK ? err : result->status;
        }
    }
}

static void cold_done(struct sl_job *job)
{
    struct fetch_part *part = SL_CONTAINER_OF(job, struct fetch_part, job);
    struct shard *shard = part->call.target;
    for (uint32_t i = 0; i < part->entry_count; i++) {
        struct fetch_entry *entry = &part->request->entries[part->entries[i]];
        if (entry->cold) {
            entry_unpin(shard, entry);
        }
    }
    part_reply(part);
    shard_job_end(shard);
}

static void part_read(struct fetch_part *part)
{
    struct shard *shard = part->call.target;
    bool cold = false;
    part->reading = true;
    for (uint32_t i = 0; i < part->entry_count; i++) {
        uint32_t index = part->entries[i];
        struct fetch_entry *entry = &part->request->entries[index];
        struct sluice_fetch_result *result = &part->request->results[index];
        if (entry->plan == NULL || entry->plan->place_count == 0 || result->status != SLUICE_OK) {
            continue;
        }
        sl_err err = chunk_new(shard->cache, entry->plan->bytes, &entry->chunk);
        entry->places_read = 0;
        if (err == SLUICE_OK) {
            err = entry_read(shard, entry, result, store_read_cached);
        }
        if (err == SLUICE_E_WOULD_BLOCK) {
            entry->cold = read_plan_pin(shard, entry->plan);
            cold = cold || entry->cold;
            err = entry->cold ? SLUICE_OK : SLUICE_E_UNKNOWN_TOPIC;
        }
        result->status = err != SLUICE_OK ? err : result->status;
    }
    if (!cold) {
        part_reply(part);
        return;
    }
    shard_job_begin(shard);
    part->job = (struct sl_job){.work = cold_work, .done = cold_done};
    part->job.task.priority = SL_PRIORITY_IO;
    sl_helpers_submit(shard->config.os, shard->loop, &part->job);
}

/* ---- looking ---- */

static sl_err check_epoch(const struct fetch_entry *entry, int32_t current)
{
    if (entry->leader_epoch < 0 || entry->leader_epoch == current) {
        return SLUICE_OK;
    }
    return entry->leader_epoch > current ? SLUICE_E_UNKNOWN_LEADER_EPOCH
                                         : SLUICE_E_FENCED_LEADER_EPOCH;
}

/* A client that read beyond what a power cut left learns where (KIP-320, KIP-595). */
static bool diverges(const struct fetch_entry *entry, struct sluice_fetch_result *result)
{
    int32_t epoch = -1;
    result->diverging_epoch = 0;
    if (entry->last_epoch <= 0 || entry->last_epoch > result->leader_epoch) {
        return false;
    }
    int64_t end = stream_index_epoch_end(&entry->partition->index, entry->last_epoch, &epoch);
    if (epoch <= 0 || (epoch == entry->last_epoch && entry->offset <= end)) {
        return false; /* nothing is known of that epoch any more, or all is well */
    }
    result->diverging_epoch = epoch;
    result->diverging_end_offset = end;
    return true;
}

static sl_err entry_look(struct shard *shard, struct fetch_entry *entry,
                         struct sluice_fetch_result *result)
{
    struct partition *partition = entry->partition;
    if (partition->topic == NULL) {
        return SLUICE_E_UNKNOWN_TOPIC;
    }
    if (shard->stopping) {
        return SLUICE_E_STOPPING; /* its log is closing */
    }
    result->leader_epoch = shard_epoch(shard);
    result->high_watermark = partition_end(partition);
    result->last_stable_offset = partition_stable_end(partition);
    result->log_start_offset = partition_start(partition);
    sl_err err = check_epoch(entry, result->leader_epoch);
    if (err != SLUICE_OK) {
        return err;
    }
    if (diverges(entry, result)) {
        return SLUICE_OK;
    }
    if (entry->last_epoch > result->leader_epoch) {
        return SLUICE_E_OFFSET_OUT_OF_RANGE; /* where it ends nobody knows */
    }
    if (entry->offset < result->log_start_offset || entry->offset > result->high_watermark) {
        return SLUICE_E_OFFSET_OUT_OF_RANGE;
    }
    return SLUICE_OK;
}

/* Plans the reads within the answer's bounds. True: it is to be answered now. */
static bool part_plan(struct fetch_part *part)
{
    struct fetch_request *request = part->request;
    struct shard *shard = part->call.target;
    bool failed = false;
    uint64_t bytes = 0;
    /* As memory is now, not when the request came: many may have waited for the same record. */
    uint64_t bytes_max = SL_MIN(chunk_cache_answer_bytes(shard->cache), request->bytes_max);
    uint64_t bytes_min = SL_MIN(bytes_max, request->bytes_min);
    for (uint32_t i = 0; i < part->entry_count; i++) {
        uint32_t index = part->entries[i];
        struct fetch_entry *entry = &request->entries[index];
        struct sluice_fetch_result *result = &request->results[index];
        if (entry->plan != NULL) {
            entry->plan->place_count = 0;
        }
        result->status = entry_look(shard, entry, result);
        failed = failed || result->status != SLUICE_OK || result->diverging_epoch > 0;
        uint32_t left = bytes >= bytes_max ? 0 : (uint32_t)(bytes_max - bytes);
        entry->read_bytes_max = SL_MIN(entry->bytes_max, left);
        if (result->status != SLUICE_OK || result->diverging_epoch > 0 ||
            (bytes > 0 && entry->read_bytes_max == 0)) {
            continue;
        }
        entry->end_offset = request->committed ? result->last_stable_offset : INT64_MAX;
        entry->forgotten = txn_log_forgotten(producers_txns(&entry->partition->producers));
        if (entry->offset >= SL_MIN(result->high_watermark, entry->end_offset)) {
            continue; /* it takes no memory to wait */
        }
        if (entry->plan == NULL) {
            entry->plan = sl_alloc(sizeof(*entry->plan));
        }
        if (entry->plan == NULL) {
            result->status = SLUICE_E_NO_MEMORY;
            failed = true;
            continue;
        }
        const struct read_plan *plan = entry->plan;
        if (!partition_plan(entry->partition, entry->offset, entry->read_bytes_max, entry->plan) ||
            !read_plan_end(entry->plan, entry->end_offset)) {
            continue;
        }
        bytes += plan->is_full ? SL_MAX(plan->bytes, entry->read_bytes_max) : plan->bytes;
    }
    int64_t now_ms = shard_now_ms(shard);
    return failed || part->finishing || bytes >= bytes_min || now_ms >= part->deadline_ms;
}

static void part_try(struct fetch_part *part)
{
    bool ready = part_plan(part);
    if (!ready && part->previous_waiting != NULL) {
        return;
    }
    if (!ready) {
        part_wait(part);
        return;
    }
    unwait(part);
    part_read(part);
}

static sl_err entry_open(struct shard *shard, struct fetch_entry *entry)
{
    if (shard->status == SLUICE_E_CORRUPT || shard->log == NULL) {
        return shard->status;
    }
    struct topic *topic = catalog_by_id(shard->catalog, &entry->topic);
    if (topic == NULL) {
        return SLUICE_E_UNKNOWN_TOPIC;
    }
    sl_err err = partition_open(shard, topic, entry->partition_number, &entry->partition);
    if (err == SLUICE_OK) {
        partition_ref(entry->partition);
    }
    return err;
}

static void part_run(struct shard_call *call)
{
    struct fetch_part *part = SL_CONTAINER_OF(call, struct fetch_part, call);
    struct fetch_request *request = part->request;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < part->entry_count; i++) {
        uint32_t index = part->entries[i];
        sl_err err = entry_open(call->target, &request->entries[index]);
        request->results[index].status = err;
        if (err == SLUICE_OK) {
            part->entries[kept++] = index;
        } else {
            part->finishing = true;
        }
    }
    part->entry_count = kept;
    part->deadline_ms = shard_now_ms(call->target) + request->wait_ms;
    part_try(part);
}

int64_t fetch_tick(struct shard *shard, int64_t now_ms)
{
    int64_t next_ms = INT64_MAX;
    struct fetch_part *part = shard->waiting;
    while (part != NULL) {
        struct fetch_part *next = part->next_waiting;
        if (part->deadline_ms <= now_ms) {
            part_try(part);
        } else {
            next_ms = SL_MIN(next_ms, part->deadline_ms);
        }
        part = next;
    }
    return next_ms;
}

void fetch_cancel(struct shard *shard, const struct shard *home, uint64_t connection)
{
    struct fetch_part *part = shard->waiting;
    while (part != NULL) {
        struct fetch_part *next = part->next_waiting;
        if (part->request->connection == connection && part->request->home == home) {
            part->finishing = true;
            fetch_wake(&(struct fetch_waiter){.part = part});
        }
        part = next;
    }
}

void fetch_finish_all(struct shard *shard)
{
    for (struct fetch_part *part = shard->waiting; part != NULL; part = part->next_waiting) {
        part->finishing = true;
        fetch_wake(&(struct fetch_waiter){.part = part});
    }
}

/* ---- the origin ---- */

static struct fetch_request *request_new(uint32_t entry_count, uint32_t shard_count)
{
    size_t per_entry = sizeof(struct fetch_entry) + sizeof(struct sluice_fetch_result) +
                       sizeof(struct chunk *) + sizeof(uint32_t) * shard_count;
    size_t size = sizeof(struct fetch_request) + shard_count * sizeof(struct fetch_part) +
                  entry_count * per_entry;
    struct fetch_request *request = sl_alloc_zero(1, size);
    if (request == NULL) {
        return NULL;
    }
    request->entries = (struct fetch_entry *)(request + 1);
    request->parts = (struct fetch_part *)(request->entries + entry_count);
    request->results = (struct sluice_fetch_result *)(request->parts + shard_count);
    request->chunks = (struct chunk **)(request->results + entry_count);
    uint32_t *indices = (uint32_t *)(request->chunks + entry_count);
    for (uint32_t i = 0; i < shard_count; i++) {
        request->parts[i].entries = indices + (size_t)i * entry_count;
        request->parts[i].request = request;
    }
    request->entry_count = entry_count;
    request->part_count = shard_count;
    return request;
}

static sl_err entry_prepare(struct fetch_request *request, uint32_t index,
                            const struct sluice_fetch_entry *from)
{
    struct shard *home = request->home;
    sluice_status status = SLUICE_OK;
    struct topic *topic = shard_find_topic(home, &from->topic, &status);
    if (topic == NULL) {
        return status;
    }
    if (from->partition < 0 || (uint32_t)from->partition >= topic->partition_count) {
        return SLUICE_E_UNKNOWN_TOPIC;
    }
    struct fetch_entry *entry = &request->entries[index];
    entry->topic = topic->id;
    entry->partition_number = (uint32_t)from->partition;
    entry->leader_epoch = from->leader_epoch;
    entry->last_epoch = from->last_epoch;
    entry->offset = from->offset;
    entry->bytes_max = (uint32_t)SL_MAX(from->bytes_max, 0);
    struct shard *owner = shard_of_partition(home->set, topic, entry->partition_number);
    struct fetch_part *part = &request->parts[owner->index];
    part->entries[part->entry_count++] = index;
    return SLUICE_OK;
}

static void hand_over(struct fetch_request *request)
{
    struct shard *home = request->home;
    request->pending_parts = 1;
    for (uint32_t i = 0; i < request->part_count; i++) {
        request->parts[i].used = request->parts[i].entry_count > 0;
        request->pending_parts += request->parts[i].used;
        request->parts[i].call.target = home->set->shards[i];
    }
    for (uint32_t i = 0; i < request->part_count; i++) {
        struct fetch_part *part = &request->parts[i];
        if (part->used) {
            part->call.run = part_run;
            part->call.reply = part_replied;
            shard_call_start(&part->call, home->set->shards[i], home->loop, SL_PRIORITY_IO);
        }
    }
    request->pending_parts--;
    maybe_answer(request);
}

void fetch_start(struct shard *home, const struct sluice_context *context,
                 const struct sluice_fetch *from,
                 void (*set_tokens)(void *arg, struct chunk *const *chunks, uint32_t count),
                 void *set_tokens_arg, sluice_fetch_done *done, void *arg)
{
    struct fetch_request *request = from->entry_count > FETCH_ENTRIES_MAX
                                        ? NULL
                                        : request_new(from->entry_count, home->set->count);
    if (request == NULL) {
        done(arg, NULL, 0, 0);
        return;
    }
    shard_request_begin(home);
    request->home = home;
    request->connection = context->connection;
    request->bytes_max = SL_MIN((uint32_t)SL_MAX(from->bytes_max, 0), FETCH_BYTES_MAX);
    request->bytes_min = SL_MIN((uint32_t)SL_MAX(from->bytes_min, 0), request->bytes_max);
    request->wait_ms = SL_MIN(SL_MAX(from->wait_ms, 0), FETCH_WAIT_MS_MAX);
    request->committed = from->isolation == SLUICE_ISOLATION_COMMITTED;
    request->set_tokens = set_tokens;
    request->set_tokens_arg = set_tokens_arg;
    request->done = done;
    request->arg = arg;
    for (uint32_t i = 0; i < from->entry_count; i++) {
        request->results[i] = (struct sluice_fetch_result){.leader_epoch = -1,
                                                           .high_watermark = -1,
                                                           .last_stable_offset = -1,
                                                           .log_start_offset = -1};
        request->results[i].status = entry_prepare(request, i, &from->entries[i]);
        if (request->results[i].status != SLUICE_OK) {
            request->wait_ms = 0; /* an error answers at once */
        }
    }
    request->tag =
        from->size >= offsetof(struct sluice_fetch, tag) + sizeof(from->tag) ? from->tag : 0;
    if (request->tag != 0) {
        request_tag(request);
    }
    hand_over(request);
}
