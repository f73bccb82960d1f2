/* produce.c: see produce.h. */
#include "shard/produce.h"

#include "shard/offset_lease.h"
#include "shard/txn_op.h"

#include <stdio.h>
#include <string.h>

/* ---- the answer, on the origin's loop ---- */

static void request_free(struct produce_request *request)
{
    chunk_unref(request->chunk);
    chunk_unref(request->copy);
    struct shard *home = request->home;
    if (request->entry_count == 1 && home->idle_produce_count < PRODUCE_KEPT_MAX) {
        request->next = home->idle_produces;
        home->idle_produces = request;
        home->idle_produce_count++;
    } else {
        sl_free(request);
    }
    shard_request_end(home);
}

static void request_answer(struct produce_request *request)
{
    for (uint32_t i = 0; i < request->entry_count; i++) {
        struct produce_entry *entry = &request->entries[i];
        entry->result.record_errors = entry->faults;
        entry->result.record_error_count = entry->fault_count;
        entry->result.reason = sluice_text_of(entry->reason);
        request->results[i] = entry->result;
    }
    txn_guard_end(request->guard);
    request->guard = NULL;
    request->done(request->arg, request->results, request->entry_count, request->throttle_ms);
    request_free(request);
}

static void part_replied(struct shard_call *call)
{
    struct produce_part *part = SL_CONTAINER_OF(call, struct produce_part, call);
    struct produce_request *request = part->request;
    request->throttle_ms = SL_MAX(request->throttle_ms, part->throttle_ms);
    if (--request->pending_parts == 0) {
        request_answer(request);
    }
}

/* ---- the owner shard ---- */

static void entry_end(struct produce_entry *entry, sl_err err)
{
    entry->result.status = err;
    if (entry->partition != NULL) {
        entry->result.log_start_offset = partition_start(entry->partition);
        partition_unref(entry->partition);
        entry->partition = NULL;
    }
    if (entry->marked != NULL) {
        entry->marked(entry, err);
        return;
    }
    struct produce_part *part = entry->part;
    if (--part->pending_count == 0) {
        part->throttle_ms = seal_throttle_ms(part->call.target);
        shard_call_reply(&part->call);
    }
}

static void add_fault(struct produce_entry *entry, int32_t index, sl_err err)
{
    if (entry->fault_count == PRODUCE_FAULTS_MAX) {
        return;
    }
    const char *text = err == SLUICE_E_INVALID_TIMESTAMP
                           ? "the timestamp is out of the accepted range"
                           : "the record has no key, which a compacted topic wants";
    entry->faults[entry->fault_count++] =
        (struct sluice_record_error){.index = index, .reason = sluice_text_of(text)};
}

static void entry_committed(struct commit *commit, sl_err err)
{
    struct produce_entry *entry = SL_CONTAINER_OF(commit, struct produce_entry, commit);
    entry->result.base_offset = entry->batch.base_offset;
    entry->result.log_append_time_ms = entry->batch.append_time_ms;
    entry_end(entry, err);
}

static void abort_admission(struct produce_entry *entry, sl_err err)
{
    if (entry->batch.admission != NULL) {
        producers_abort(&entry->partition->producers, &entry->admission, err);
        entry->batch.admission = NULL;
    }
}

static void entry_commit(struct produce_entry *entry)
{
    entry->batch.partition = entry->partition;
    entry->batch.data = entry->data;
    entry->batch.size = entry->size;
    entry->commit.shard = entry->partition->shard;
    entry->commit.batches = &entry->batch;
    entry->commit.batch_count = 1;
    entry->commit.items = &entry->item;
    entry->commit.reserve = entry->marked != NULL;
    entry->commit.done = entry_committed;
    sl_err err = commit_submit(&entry->commit);
    if (err != SLUICE_OK) {
        abort_admission(entry, err);
        entry_end(entry, err);
    }
}

static void duplicate_durable(struct producer_waiter *waiter, sl_err err, int64_t base_offset,
                              int64_t append_time_ms)
{
    struct produce_entry *entry = SL_CONTAINER_OF(waiter, struct produce_entry, waiter);
    entry->result.base_offset = base_offset;
    entry->result.log_append_time_ms = append_time_ms;
    entry_end(entry, err);
}

/* Idempotence on the client's own batch, before any gate. True: the batch is new and goes on. */
static bool entry_admit(struct produce_entry *entry)
{
    struct producers *producers = &entry->partition->producers;
    struct shard *shard = entry->partition->shard;
    if (entry->producer.producer_id < 0) {
        return true;
    }
    struct producer_verdict verdict;
    sl_err err = producers_check(producers, &entry->producer, &verdict);
    if (err != SLUICE_OK) {
        entry_end(entry, err);
        return false;
    }
    if (verdict.kind == PRODUCER_DUPLICATE) {
        shard->duplicates++;
        entry->result.base_offset = verdict.base_offset;
        entry->result.log_append_time_ms = verdict.append_time_ms;
        entry_end(entry, SLUICE_OK);
        return false;
    }
    if (verdict.kind == PRODUCER_PENDING) {
        shard->duplicates++;
        entry->waiter.done = duplicate_durable;
        producers_wait(producers, &entry->producer, &entry->waiter);
        return false;
    }
    err = producers_admit(producers, &entry->producer, &entry->admission, shard_wall_ms(shard));
    if (err != SLUICE_OK) {
        entry_end(entry, err);
        return false;
    }
    entry->batch.admission = &entry->admission;
    return true;
}

/* ---- markers ---- */

static void marker_write(struct produce_entry *entry)
{
    const struct produce_marker *marker = SL_CONTAINER_OF(entry, struct produce_marker, entry);
    struct producers *producers = &entry->partition->producers;
    if (entry->again && !producers_in_txn(producers, entry->producer.producer_id)) {
        entry_end(entry, SLUICE_OK);
        return;
    }
    sl_err err = producers_admit_marker(producers, entry->producer.producer_id,
                                        entry->producer.producer_epoch, marker->aborts,
                                        &entry->admission, shard_wall_ms(entry->partition->shard));
    if (err != SLUICE_OK) {
        entry_end(entry, err);
        return;
    }
    entry->batch.admission = &entry->admission;
    entry_commit(entry);
}

static void marker_ended(struct produce_entry *entry, sl_err err)
{
    struct produce_marker *marker = SL_CONTAINER_OF(entry, struct produce_marker, entry);
    marker->done(marker, err);
}

/* ---- opening compressed batches, off the loop ---- */

static struct batch_limits entry_limits(const struct produce_entry *entry,
                                        const struct shard *shard, const struct topic *topic)
{
    const struct topic_settings *settings = topic->settings;
    struct batch_limits limits;
    batch_limits_init(&limits);
    limits.batch_bytes_max = (size_t)settings->message_bytes_max;
    limits.segment_bytes_max = (size_t)settings->segment_bytes;
    limits.expanded_bytes_max = shard->config.expanded_bytes_max;
    limits.now_ms = shard_wall_ms(shard);
    limits.timestamp_before_ms = settings->timestamp_before_max_ms;
    limits.timestamp_after_ms = settings->timestamp_after_max_ms;
    limits.append_time = settings->timestamp_log_append;
    limits.compacted = settings->compact;
    limits.zstd_allowed = !entry->no_zstd;
    limits.validate_records = settings->validate_records;
    return limits;
}

struct opening {
    struct batch_limits limits;
    struct batch_verdict verdict;
};

/* [helper] A context of its own per job: opening is the exception, not the rule. */
static void open_work(struct sl_job *job)
{
    struct produce_entry *entry = SL_CONTAINER_OF(job, struct produce_entry, job);
    struct opening *opening = SL_CONTAINER_OF(entry->verdict, struct opening, verdict);
    struct codec_context *context = codec_context_new();
    struct sl_buffer scratch;
    sl_buffer_init(&scratch, opening->limits.expanded_bytes_max);
    entry->job_err = SLUICE_E_NO_MEMORY;
    if (context != NULL) {
        struct sl_bytes bytes = {entry->data, entry->size};
        entry->job_err = batch_validate(bytes, &opening->limits, context, &scratch, entry->verdict);
    }
    sl_buffer_fini(&scratch);
    codec_context_free(context);
}

static void take_verdict(struct produce_entry *entry, sl_err err,
                         const struct batch_verdict *verdict)
{
    int32_t shown = SL_MIN(verdict->fault_count, (int32_t)BATCH_FAULTS_MAX);
    for (int32_t i = 0; err != SLUICE_OK && i < shown; i++) {
        add_fault(entry, verdict->faults[i].index, verdict->faults[i].err);
    }
    if (err == SLUICE_OK && verdict->walked &&
        verdict->max_timestamp != batch_view_max_timestamp(&verdict->view)) {
        batch_patch_max_timestamp(entry->data, entry->size, verdict->max_timestamp);
    }
}

/* The queue is a circle known by its last entry, whose next is the first. */
static struct produce_entry *queue_first(const struct partition *partition)
{
    return partition->queue == NULL ? NULL : partition->queue->next;
}

static void queue_pop(struct partition *partition)
{
    struct produce_entry *first = partition->queue->next;
    if (first == partition->queue) {
        partition->queue = NULL;
    } else {
        partition->queue->next = first->next;
    }
    first->next = NULL;
}

static void queue_push(struct partition *partition, struct produce_entry *entry)
{
    if (partition->queue == NULL) {
        entry->next = entry;
    } else {
        entry->next = partition->queue->next;
        partition->queue->next = entry;
    }
    partition->queue = entry;
}

static void open_done(struct sl_job *job)
{
    struct produce_entry *entry = SL_CONTAINER_OF(job, struct produce_entry, job);
    struct partition *partition = entry->partition;
    struct opening *opening = SL_CONTAINER_OF(entry->verdict, struct opening, verdict);
    take_verdict(entry, entry->job_err, &opening->verdict);
    entry->verdict = NULL;
    entry->opening = false;
    entry->must_open = false;
    sl_free(opening);
    partition_ref(partition);
    if (entry->job_err != SLUICE_OK) {
        queue_pop(partition);
        entry_end(entry, entry->job_err);
    }
    produce_pump(partition);
    struct shard *shard = partition->shard;
    partition_unref(partition);
    shard_job_end(shard);
}

static void open_start(struct produce_entry *entry)
{
    struct shard *shard = entry->partition->shard;
    struct opening *opening = sl_alloc_zero(1, sizeof(*opening));
    if (opening == NULL) {
        queue_pop(entry->partition);
        entry_end(entry, SLUICE_E_NO_MEMORY);
        return;
    }
    opening->limits = entry_limits(entry, shard, entry->partition->topic);
    entry->verdict = &opening->verdict;
    entry->opening = true;
    entry->job = (struct sl_job){.work = open_work, .done = open_done};
    entry->job.task.priority = SL_PRIORITY_IO;
    shard_job_begin(shard);
    sl_helpers_submit(shard->config.os, shard->loop, &entry->job);
}

/* ---- gates ---- */

struct gated {
    struct produce_entry *entry;
    struct commit commit;
    struct commit_batch *batches;
    struct wal_item *items;
    void (*release)(void *arg);
    void *release_arg;
};

static void gated_committed(struct commit *commit, sl_err err)
{
    struct gated *gated = SL_CONTAINER_OF(commit, struct gated, commit);
    struct produce_entry *entry = gated->entry;
    entry->result.base_offset = gated->batches[0].base_offset;
    entry->result.log_append_time_ms = gated->batches[0].append_time_ms;
    if (gated->release != NULL) {
        gated->release(gated->release_arg);
    }
    sl_free(gated->batches);
    sl_free(gated->items);
    sl_free(gated);
    entry_end(entry, err);
}

static sl_err gated_commit(struct produce_entry *entry, const struct gate_outcome *outcome)
{
    uint32_t count = 1 + outcome->extra_count;
    struct gated *gated = sl_alloc_zero(1, sizeof(*gated));
    struct commit_batch *batches = sl_alloc_zero(count, sizeof(*batches));
    struct wal_item *items = sl_alloc_zero(count, sizeof(*items));
    sl_err err = gated == NULL || batches == NULL || items == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    if (err == SLUICE_OK) {
        batches[0] = entry->batch;
        batches[0].partition = entry->partition;
        batches[0].data = outcome->data != NULL ? outcome->data : entry->data;
        batches[0].size = outcome->data != NULL ? outcome->size : entry->size;
        for (uint32_t i = 1; i < count; i++) {
            batches[i] = outcome->extra[i - 1];
        }
        *gated = (struct gated){.entry = entry,
                                .batches = batches,
                                .items = items,
                                .release = outcome->release,
                                .release_arg = outcome->release_arg};
        gated->commit = (struct commit){.shard = entry->partition->shard,
                                        .batches = batches,
                                        .batch_count = count,
                                        .items = items,
                                        .done = gated_committed};
        err = commit_submit(&gated->commit);
    }
    if (err != SLUICE_OK) {
        sl_free(gated);
        sl_free(batches);
        sl_free(items);
    }
    return err;
}

static void gate_refused(struct produce_entry *entry, const struct gate_outcome *outcome,
                         sl_err err)
{
    abort_admission(entry, err);
    snprintf(entry->reason, sizeof(entry->reason), "%.*s",
             (int)SL_MIN(outcome->reason.size, sizeof(entry->reason) - 1),
             outcome->reason.data != NULL ? outcome->reason.data : "");
    for (uint32_t i = 0; i < SL_MIN(outcome->fault_count, PRODUCE_FAULTS_MAX); i++) {
        entry->faults[i] = outcome->faults[i];
        entry->faults[i].reason = sluice_text_of(entry->reason);
        entry->fault_count = i + 1;
    }
    if (outcome->release != NULL) {
        outcome->release(outcome->release_arg);
    }
    entry_end(entry, err);
}

static void gate_done(void *arg, const struct gate_outcome *outcome)
{
    struct produce_entry *entry = arg;
    struct partition *partition = entry->partition;
    partition_ref(partition);
    entry->gating = false;
    queue_pop(partition);
    sl_err err = outcome->err;
    if (err == SLUICE_OK && entry->producer.transactional && outcome->extra_count > 0) {
        err = SLUICE_E_INVALID_TXN_STATE; /* what it adds would not be of the transaction */
    }
    err = err != SLUICE_OK ? err : gated_commit(entry, outcome);
    if (err != SLUICE_OK) {
        gate_refused(entry, outcome, err);
    }
    produce_pump(partition);
    partition_unref(partition);
}

/* ---- order within a partition ---- */

/* Offsets for the entry at the head of the queue. False: it waits for a lease, or ended. */
static bool entry_lease(struct partition *partition, struct produce_entry *entry)
{
    const struct batch_view view = {entry->data, entry->size};
    sl_err err = offset_lease_take(partition, (int64_t)batch_view_last_offset_delta(&view) + 1);
    if (err != SLUICE_OK && err != SLUICE_E_WOULD_BLOCK) {
        queue_pop(partition);
        entry_end(entry, err);
    }
    return err == SLUICE_OK;
}

/* Takes entries off the queue until one has to wait for a helper or a gate. */
void produce_pump(struct partition *partition)
{
    if (partition->pumping) {
        return;
    }
    partition->pumping = true;
    struct produce_entry *entry;
    while ((entry = queue_first(partition)) != NULL) {
        if (entry->opening || entry->gating) {
            break;
        }
        if (partition->topic == NULL) {
            queue_pop(partition);
            entry_end(entry, SLUICE_E_UNKNOWN_TOPIC);
        } else if (entry->must_open) {
            open_start(entry);
        } else if (!entry_lease(partition, entry)) {
            if (partition->leasing) {
                break;
            }
        } else if (entry->marked != NULL) {
            queue_pop(partition);
            marker_write(entry);
        } else if (partition->gate == NULL) {
            queue_pop(partition);
            if (entry_admit(entry)) {
                entry_commit(entry);
            }
        } else if (!entry_admit(entry)) {
            queue_pop(partition);
        } else {
            entry->gating = true;
            partition->gate->submit(partition->gate, partition,
                                    (struct sl_bytes){entry->data, entry->size},
                                    &entry->part->request->context, gate_done, entry);
        }
    }
    partition->pumping = false;
}

static void entry_begin(struct shard *shard, struct produce_entry *entry)
{
    struct topic *topic = catalog_by_id(shard->catalog, &entry->topic);
    sl_err err = shard->status;
    if (err == SLUICE_OK && shard->stopping) {
        err = SLUICE_E_STOPPING;
    }
    if (err == SLUICE_OK && topic == NULL) {
        err = SLUICE_E_UNKNOWN_TOPIC;
    }
    struct partition *partition = NULL;
    if (err == SLUICE_OK) {
        err = partition_open(shard, topic, entry->partition_number, &partition);
    }
    if (err != SLUICE_OK) {
        entry_end(entry, err);
        return;
    }
    partition_ref(partition);
    entry->partition = partition;
    partition_ref(partition);
    queue_push(entry->partition, entry);
    produce_pump(partition);
    partition_unref(partition);
}

void produce_marker_start(struct shard *shard, struct produce_marker *marker,
                          const struct sl_uuid *topic, uint32_t partition,
                          const struct txn_marker *what, bool again)
{
    struct produce_entry *entry = &marker->entry;
    memset(entry, 0, offsetof(struct produce_entry, faults));
    txn_marker_encode(what, marker->batch);
    marker->aborts = !what->commits;
    entry->marked = marker_ended;
    entry->again = again;
    entry->topic = *topic;
    entry->partition_number = partition;
    entry->data = marker->batch;
    entry->size = sizeof(marker->batch);
    entry->producer.producer_id = what->producer_id;
    entry->producer.producer_epoch = what->producer_epoch;
    entry_begin(shard, entry);
}

/* ---- the line of a shard ----
 *
 * A request may write to 10,000 partitions. Others on the loop do not wait for all of them, but
 * those that came later for the same partitions do. */

static void line_pop(struct produce_line *line)
{
    line->first = line->first->next;
    if (line->first == NULL) {
        line->last = NULL;
    }
}

/* Begins entries of the first part, at most `count`; returns how many. At the end the part may be
 * gone. */
static uint32_t line_begin(struct shard *shard, uint32_t count)
{
    struct produce_part *part = shard->produces.first;
    uint32_t left = part->entry_count - part->begun_count;
    uint32_t now = SL_MIN(left, count);
    for (uint32_t i = 0; i < now; i++) {
        uint32_t index = part->entries[part->begun_count++];
        entry_begin(shard, &part->request->entries[index]);
    }
    if (now == left) {
        line_pop(&shard->produces);
        if (--part->pending_count == 0) {
            shard_call_reply(&part->call);
        }
    }
    return now;
}

static void line_run(struct sl_task *task)
{
    struct produce_line *line = SL_CONTAINER_OF(task, struct produce_line, task);
    struct shard *shard = SL_CONTAINER_OF(line, struct shard, produces);
    uint32_t left = PRODUCE_SLICE;
    while (line->first != NULL && left > 0) {
        left -= line_begin(shard, left);
    }
    if (line->first != NULL && !task->queued) {
        task->run = line_run;
        task->priority = SL_PRIORITY_IO;
        sl_loop_post(shard->loop, task);
    }
}

static void part_run(struct shard_call *call)
{
    struct produce_part *part = SL_CONTAINER_OF(call, struct produce_part, call);
    struct produce_line *line = &call->target->produces;
    /* One more than its entries, so that the part ends after the last was begun. */
    part->pending_count = part->entry_count + 1;
    bool is_first = line->first == NULL;
    *(is_first ? &line->first : &line->last->next) = part;
    line->last = part;
    if (is_first) {
        line_run(&line->task);
    }
}

/* ---- the origin: copy, resolve, validate, hand over ---- */

static void keep_text(struct produce_request *request, size_t *used, struct sluice_text from,
                      struct sluice_text *ret_text)
{
    size_t size = SL_MIN((size_t)from.size, (sizeof(request->texts) - *used) / 2);
    if (size > 0) {
        memcpy(request->texts + *used, from.data, size);
    }
    *ret_text = (struct sluice_text){request->texts + *used, size};
    *used += size;
}

static void keep_context(struct produce_request *request, const struct sluice_context *context)
{
    size_t used = 0;
    request->context = *context;
    request->context.trace_id = (struct sluice_bytes){NULL, 0};
    keep_text(request, &used, context->principal, &request->context.principal);
    keep_text(request, &used, context->listener, &request->context.listener);
    keep_text(request, &used, context->client_id, &request->context.client_id);
    keep_text(request, &used, context->client_host, &request->context.client_host);
}

/* What a request starts with; its texts, faults and reasons, most of its bytes, count only as far
 * as they are written. */
static void request_clear(struct produce_request *request, struct produce_entry *entries,
                          uint32_t entry_count)
{
    memset(request, 0, offsetof(struct produce_request, texts));
    for (uint32_t i = 0; i < entry_count; i++) {
        memset(&entries[i], 0, offsetof(struct produce_entry, faults));
        entries[i].reason[0] = '\0';
    }
}

void produce_free_kept(struct shard *home)
{
    while (home->idle_produces != NULL) {
        struct produce_request *request = home->idle_produces;
        home->idle_produces = request->next;
        sl_free(request);
    }
    home->idle_produce_count = 0;
}

/* A kept one of one entry, as long as there are any. */
static struct produce_request *request_memory(struct shard *home, uint32_t entry_count, size_t size)
{
    struct produce_request *request = entry_count == 1 ? home->idle_produces : NULL;
    if (request == NULL) {
        return sl_alloc(size);
    }
    home->idle_produces = request->next;
    home->idle_produce_count--;
    return request;
}

/* One block for the request, its entries, parts, indices and results. */
static struct produce_request *request_new(struct shard *home, uint32_t entry_count)
{
    uint32_t shard_count = home->set->count;
    size_t per_entry = sizeof(struct produce_entry) + sizeof(struct sluice_produce_result) +
                       sizeof(uint32_t) * shard_count;
    size_t size = sizeof(struct produce_request) + shard_count * sizeof(struct produce_part) +
                  entry_count * per_entry;
    struct produce_request *request = request_memory(home, entry_count, size);
    if (request == NULL) {
        return NULL;
    }
    struct produce_entry *entries = (struct produce_entry *)(request + 1);
    request_clear(request, entries, entry_count);
    request->entries = entries;
    request->parts = (struct produce_part *)(request->entries + entry_count);
    memset(request->parts, 0, shard_count * sizeof(struct produce_part));
    request->results = (struct sluice_produce_result *)(request->parts + shard_count);
    uint32_t *indices = (uint32_t *)(request->results + entry_count);
    for (uint32_t i = 0; i < shard_count; i++) {
        request->parts[i].entries = indices + (size_t)i * entry_count;
        request->parts[i].request = request;
    }
    request->entry_count = entry_count;
    request->part_count = shard_count;
    return request;
}

static sl_err copy_batches(struct produce_request *request, const struct sluice_produce *from)
{
    size_t total = 0;
    for (uint32_t i = 0; i < from->entry_count; i++) {
        total += from->entries[i].batch.size;
    }
    sl_err err = chunk_new(request->home->cache, total, &request->copy);
    size_t at = 0;
    for (uint32_t i = 0; err == SLUICE_OK && i < from->entry_count; i++) {
        struct produce_entry *entry = &request->entries[i];
        if (entry->size > 0) {
            memcpy(request->copy->data + at, from->entries[i].batch.data, entry->size);
        }
        entry->data = request->copy->data + at;
        at += entry->size;
    }
    return err;
}

static sl_err entry_validate(struct produce_entry *entry, struct shard *home,
                             const struct topic *topic)
{
    struct batch_limits limits = entry_limits(entry, home, topic);
    struct sl_bytes bytes = {entry->data, entry->size};
    struct batch_view view;
    if (batch_view_init(&view, bytes) == SLUICE_OK && batch_validate_opens(&view, &limits)) {
        entry->must_open = true;
        limits.validate_records = false;
        limits.compacted = false;
    }
    struct batch_verdict verdict;
    sl_err err = batch_validate(bytes, &limits, NULL, NULL, &verdict);
    take_verdict(entry, err, &verdict);
    if (err != SLUICE_OK) {
        return err;
    }
    entry->producer = (struct producer_batch){
        .producer_id = batch_view_producer_id(&verdict.view),
        .producer_epoch = batch_view_producer_epoch(&verdict.view),
        .transactional = batch_view_has(&verdict.view, BATCH_TRANSACTIONAL),
        .base_sequence = batch_view_base_sequence(&verdict.view),
        .record_count = (uint32_t)batch_view_record_count(&verdict.view),
    };
    return SLUICE_OK;
}

static sl_err entry_prepare(struct produce_request *request, uint32_t index,
                            const struct sluice_produce_entry *from)
{
    struct produce_entry *entry = &request->entries[index];
    struct shard *home = request->home;
    sluice_status status = SLUICE_OK;
    struct topic *topic = shard_find_topic(home, &from->topic, &status);
    if (topic == NULL) {
        return status;
    }
    if (from->partition < 0 || (uint32_t)from->partition >= topic->partition_count) {
        return SLUICE_E_UNKNOWN_TOPIC;
    }
    if (topic_name_is_reserved(topic->name)) {
        snprintf(entry->reason, sizeof(entry->reason),
                 "internal topics are written by the broker alone");
        return SLUICE_E_TOPIC_AUTHORIZATION;
    }
    entry->topic = topic->id;
    entry->partition_number = (uint32_t)from->partition;
    sl_err err = entry_validate(entry, home, topic);
    if (err == SLUICE_OK && entry->producer.transactional && !shard_topic_is_exact(home, topic)) {
        err = SLUICE_E_TXN_DURABILITY;
    }
    if (err != SLUICE_OK) {
        return err;
    }
    struct shard *owner = shard_of_partition(home->set, topic, entry->partition_number);
    struct produce_part *part = &request->parts[owner->index];
    entry->part = part;
    part->entries[part->entry_count++] = index;
    return SLUICE_OK;
}

static void hand_over(struct produce_request *request)
{
    request->pending_parts = 1; /* until all parts have been started */
    struct shard *home = request->home;
    for (uint32_t i = 0; i < request->part_count; i++) {
        struct produce_part *part = &request->parts[i];
        if (part->entry_count > 0) {
            request->pending_parts++;
            part->call.run = part_run;
            part->call.reply = part_replied;
            shard_call_start(&part->call, home->set->shards[i], home->loop, SL_PRIORITY_IO);
        }
    }
    if (--request->pending_parts == 0) {
        request_answer(request);
    }
}

/* ---- batches of a transaction ---- */

/* The coordinator's word, in those of a produce request. */
static sl_err guard_status(const struct txn_guard *guard, sl_err err)
{
    switch (err) {
    case SLUICE_E_PRODUCER_FENCED:
        return SLUICE_E_INVALID_PRODUCER_EPOCH;
    case SLUICE_E_COORDINATOR_NOT_AVAILABLE:
        return SLUICE_E_BUSY;
    case SLUICE_E_CONCURRENT_TRANSACTIONS:
        return guard->adds ? err : SLUICE_E_BUSY;
    default:
        return err;
    }
}

static bool is_guarded(const struct produce_entry *entry)
{
    return entry->producer.transactional && entry->result.status == SLUICE_OK;
}

/* Parts keep the entries that nothing was found against. */
static void parts_filter(struct produce_request *request)
{
    for (uint32_t i = 0; i < request->part_count; i++) {
        struct produce_part *part = &request->parts[i];
        uint32_t kept = 0;
        for (uint32_t j = 0; j < part->entry_count; j++) {
            uint32_t index = part->entries[j];
            if (request->entries[index].result.status == SLUICE_OK) {
                part->entries[kept++] = index;
            }
        }
        part->entry_count = kept;
    }
}

static void guard_granted(struct txn_guard *guard)
{
    struct produce_request *request = guard->arg;
    uint32_t at = 0;
    for (uint32_t i = 0; i < request->entry_count; i++) {
        struct produce_entry *entry = &request->entries[i];
        if (is_guarded(entry)) {
            entry->result.status = guard_status(guard, guard->statuses[at++]);
        }
    }
    parts_filter(request);
    hand_over(request);
}

/* Of one request all are of one producer. */
static void guard_fill(struct produce_request *request, struct txn_guard *guard)
{
    const struct produce_entry *first = NULL;
    for (uint32_t i = 0; i < request->entry_count; i++) {
        struct produce_entry *entry = &request->entries[i];
        if (!is_guarded(entry)) {
            continue;
        }
        first = first == NULL ? entry : first;
        if (entry->producer.producer_id != first->producer.producer_id ||
            entry->producer.producer_epoch != first->producer.producer_epoch) {
            entry->result.status = SLUICE_E_INVALID_PRODUCER_ID_MAPPING;
            continue;
        }
        entry->producer.begins_at_zero = guard->adds;
        guard->partitions[guard->count++] =
            (struct txn_partition){entry->topic, entry->partition_number};
    }
    SL_ASSERT(first != NULL);
    guard->op.who = (struct txn_who){.producer_id = first->producer.producer_id,
                                     .epoch = first->producer.producer_epoch,
                                     .is_v2 = guard->adds};
}

static void refuse_guarded(struct produce_request *request, sl_err err)
{
    for (uint32_t i = 0; i < request->entry_count; i++) {
        if (is_guarded(&request->entries[i])) {
            request->entries[i].result.status = err;
        }
    }
    parts_filter(request);
    hand_over(request);
}

/* False: no batch is of a transaction. Else they go on when the coordinator has said that it is
 * open, in the order of the requests. */
static bool guard_take(struct produce_request *request, const struct sluice_produce *from)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < request->entry_count; i++) {
        count += is_guarded(&request->entries[i]);
    }
    if (count == 0) {
        return false;
    }
    bool has_id = from->size >= offsetof(struct sluice_produce, transactional_id) +
                                    sizeof(from->transactional_id) &&
                  from->transactional_id.data != NULL;
    struct txn_guard *guard = has_id ? txn_guard_new(from->transactional_id, count) : NULL;
    if (guard == NULL) {
        refuse_guarded(request, has_id ? SLUICE_E_NO_MEMORY : SLUICE_E_TRANSACTION_AUTHORIZATION);
        return true;
    }
    guard->adds = (from->flags & SLUICE_PRODUCE_TXN_V2) != 0;
    guard->arg = request;
    guard->granted = guard_granted;
    guard_fill(request, guard);
    request->guard = guard;
    txn_guard_start(request->home, guard);
    return true;
}

static void refuse(const struct sluice_produce *from, sl_err err, sluice_produce_done *done,
                   void *arg)
{
    struct sluice_produce_result result = {
        .status = err, .base_offset = -1, .log_append_time_ms = -1};
    if (from->entry_count <= 1) {
        done(arg, &result, from->entry_count, 0); /* also without memory */
        return;
    }
    struct sluice_produce_result *results = sl_alloc_zero(from->entry_count + 1u, sizeof(result));
    if (results == NULL) {
        done(arg, NULL, 0, 0);
        return;
    }
    for (uint32_t i = 0; i < from->entry_count; i++) {
        results[i] = result;
    }
    done(arg, results, from->entry_count, 0);
    sl_free(results);
}

void produce_start(struct shard *home, struct chunk *chunk, const struct sluice_context *context,
                   const struct sluice_produce *from, sluice_produce_done *done, void *arg)
{
    bool bad_acks = from->acks < -1 || from->acks > 1;
    if (bad_acks || from->entry_count > PRODUCE_ENTRIES_MAX) {
        refuse(from, bad_acks ? SLUICE_E_INVALID_REQUIRED_ACKS : SLUICE_E_LIMIT, done, arg);
        return;
    }
    struct produce_request *request = request_new(home, from->entry_count);
    if (request == NULL) {
        refuse(from, SLUICE_E_NO_MEMORY, done, arg);
        return;
    }
    shard_request_begin(home);
    request->home = home;
    request->done = done;
    request->arg = arg;
    request->acks = from->acks;
    keep_context(request, context);
    for (uint32_t i = 0; i < from->entry_count; i++) {
        struct produce_entry *entry = &request->entries[i];
        entry->data = (uint8_t *)(uintptr_t)from->entries[i].batch.data;
        entry->size = (uint32_t)SL_MIN(from->entries[i].batch.size, (uint64_t)INT32_MAX);
        entry->no_zstd = (from->flags & SLUICE_PRODUCE_NO_ZSTD) != 0;
        entry->result.base_offset = entry->result.log_append_time_ms = -1;
        entry->result.log_start_offset = -1;
    }
    if (chunk != NULL) {
        request->chunk = chunk_ref(chunk);
    } else if (copy_batches(request, from) != SLUICE_OK) {
        request_free(request);
        refuse(from, SLUICE_E_NO_MEMORY, done, arg);
        return;
    }
    for (uint32_t i = 0; i < from->entry_count; i++) {
        request->entries[i].result.status = entry_prepare(request, i, &from->entries[i]);
    }
    if (!guard_take(request, from)) {
        hand_over(request);
    }
}
