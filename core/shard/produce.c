/* produce.c: what the owner shard does with the entries of a request: order within a partition,
 * admission, commit. See produce.h. */
#include "base/ahead.h"
#include "shard/offset_lease.h"
#include "shard/produce_steps.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- the owner shard ---- */

/* Kafka's clients learn with most refusals, too, where the log begins. */
static bool tells_start(sl_err err)
{
    return err == SLUICE_OK ||
           (err != SLUICE_E_UNKNOWN_TOPIC && err != SLUICE_E_CORRUPT_BATCH &&
            err != SLUICE_E_BATCH_TOO_LARGE && err != SLUICE_E_SEGMENT_TOO_SMALL);
}

void produce_entry_init(struct produce_entry *entry, struct sluice_produce_result *result)
{
    memset(entry, 0, offsetof(struct produce_entry, commit));
    entry->expected_offset = -1;
    entry->result = result;
    *result = (struct sluice_produce_result){
        .base_offset = -1, .log_append_time_ms = -1, .log_start_offset = -1};
}

void produce_entry_say(struct produce_entry *entry, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int size = vsnprintf(entry->reason, sizeof(entry->reason), format, args);
    va_end(args);
    entry->reason_size = (uint32_t)SL_MIN(SL_MAX(size, 0), (int)sizeof(entry->reason) - 1);
}

/* What became of the batch is what is remembered of its message id. */
static void message_settle(struct produce_entry *entry, sl_err err)
{
    struct message_entry *message = entry->message;
    if (message == NULL) {
        return;
    }
    const struct message_place place = {entry->result->base_offset,
                                        entry->result->log_append_time_ms};
    struct message_ids *ids = &entry->partition->shard->messages;
    entry->message = NULL;
    if (err == SLUICE_OK) {
        message_ids_commit(ids, message, &place, entry->message_expires_ms,
                           entry->message_in_memory);
    } else {
        message_ids_abort(ids, message, err);
    }
}

void produce_entry_end(struct produce_entry *entry, sl_err err)
{
    entry->result->status = err;
    produce_later_settle(entry, err);
    message_settle(entry, err);
    if (entry->partition != NULL) {
        entry->result->log_start_offset = tells_start(err) ? partition_start(entry->partition) : -1;
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

sl_err produce_expectation_check(struct produce_entry *entry)
{
    int64_t next = entry->partition->next_offset;
    if (entry->expected_offset < 0 || entry->expected_offset == next) {
        return SLUICE_OK;
    }
    produce_entry_say(entry, "the next offset is %lld, not %lld", (long long)next,
                      (long long)entry->expected_offset);
    return SLUICE_E_UNEXPECTED_OFFSET;
}

static uint32_t message_describe(struct produce_entry *entry, struct wal_item *ret_item)
{
    const struct partition *partition = entry->partition;
    if (entry->message == NULL) {
        return 0;
    }
    const struct topic_settings *settings = partition->topic->settings;
    int64_t now_ms = shard_wall_ms(partition->shard);
    /* What commit_submit will stamp. */
    bool is_later = entry->delay != NULL;
    const struct message_place place = {is_later ? -1 : partition->next_offset,
                                        settings->timestamp_log_append && !is_later ? now_ms : -1};
    entry->message_expires_ms = now_ms + settings->dedup_window_ms;
    entry->message_in_memory = partition_is_in_memory(partition);
    if (entry->message_in_memory) {
        return 0;
    }
    message_item_encode(&entry->message_digest, &place, entry->message_expires_ms,
                        entry->message_item);
    *ret_item = (struct wal_item){.kind = WAL_ITEM_MESSAGE_ID,
                                  .version = MESSAGE_ID_ITEM_VERSION,
                                  .payload = {entry->message_item, sizeof(entry->message_item)}};
    return 1;
}

uint32_t produce_place(struct produce_entry *entry, struct commit_batch *batch,
                       struct wal_item ret_items[PRODUCE_EXTRA_ITEMS_MAX])
{
    batch->partition = entry->partition;
    if (entry->partition->topic == NULL) {
        return 0; /* commit_submit refuses it */
    }
    uint32_t count = message_describe(entry, ret_items);
    return count + produce_later_describe(entry, batch, &ret_items[count]);
}

void produce_entry_fault(struct produce_entry *entry, int32_t index, sl_err err)
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
    entry->result->base_offset = entry->batch.base_offset;
    entry->result->log_append_time_ms = entry->batch.append_time_ms;
    produce_entry_end(entry, err);
}

void produce_entry_abort(struct produce_entry *entry, sl_err err)
{
    if (entry->admitted != NULL) {
        producers_abort(&entry->partition->producers, entry->admitted, err);
        entry->admitted = NULL;
    }
}

/* What the answer will use, where it is made on this loop. */
static void entry_approach(const struct wal_unit *unit, bool is_next)
{
    const struct commit *commit = SL_CONTAINER_OF(unit, struct commit, unit);
    const struct produce_entry *entry = SL_CONTAINER_OF(commit, struct produce_entry, commit);
    if (entry->part == NULL || entry->part->call.origin != commit->shard->loop) {
        return;
    }
    const struct produce_request *request = entry->part->request;
    if (!is_next) {
        sl_fetch_ahead(request->chunk, sizeof(*request->chunk));
        sl_fetch_ahead(request->arg, PRODUCE_ARG_AHEAD);
    }
    if (request->watch != NULL) {
        request->watch->approaches(request->watch, request->connection, is_next);
    }
}

static void entry_commit(struct produce_entry *entry)
{
    entry->batch.data = entry->data;
    entry->batch.size = entry->size;
    entry->batch.admission = entry->admitted;
    entry->commit =
        (struct commit){.unit = {.approach = entry_approach},
                        .shard = entry->partition->shard,
                        .batches = &entry->batch,
                        .batch_count = 1,
                        .items = entry->items,
                        .extra_count = produce_place(entry, &entry->batch, &entry->items[1]),
                        .extra_follow = true,
                        .reserve = entry->marked != NULL,
                        .done = entry_committed};
    sl_err err = commit_submit(&entry->commit);
    if (err != SLUICE_OK) {
        produce_entry_abort(entry, err);
        produce_entry_end(entry, err);
    }
}

static void duplicate_durable(struct producer_waiter *waiter, sl_err err, int64_t base_offset,
                              int64_t append_time_ms)
{
    struct produce_entry *entry = SL_CONTAINER_OF(waiter, struct produce_entry, waiter);
    entry->result->base_offset = base_offset;
    entry->result->log_append_time_ms = append_time_ms;
    entry->result->is_duplicate = err == SLUICE_OK;
    produce_entry_end(entry, err);
}

static void entry_is_known(struct produce_entry *entry, sl_err err,
                           const struct message_place *place)
{
    entry->partition->shard->duplicates += err == SLUICE_OK;
    entry->result->base_offset = place->base_offset;
    entry->result->log_append_time_ms = place->append_time_ms;
    entry->result->is_duplicate = err == SLUICE_OK;
    entry->result->is_later = err == SLUICE_OK && place->base_offset < 0;
    produce_entry_end(entry, err);
}

static void message_known(struct message_waiter *waiter, sl_err err,
                          const struct message_place *place)
{
    entry_is_known(SL_CONTAINER_OF(waiter, struct produce_entry, message_waiter), err, place);
}

/* Idempotence by the message's id. True: it is new and goes on. */
static bool message_admit(struct produce_entry *entry)
{
    struct shard *shard = entry->partition->shard;
    enum message_verdict verdict = MESSAGE_NEW;
    struct message_place place;
    entry->message_waiter.done = message_known;
    sl_err err = message_ids_admit(&shard->messages, &entry->message_digest, shard_wall_ms(shard),
                                   &entry->message_waiter, &verdict, &entry->message, &place);
    if (err != SLUICE_OK) {
        produce_entry_say(entry, "no more than %u message ids are remembered at once",
                          MESSAGE_IDS_MAX);
        produce_entry_end(entry, err);
        return false;
    }
    if (verdict == MESSAGE_KNOWN) {
        entry_is_known(entry, SLUICE_OK, &place);
    }
    return verdict == MESSAGE_NEW;
}

/* Idempotence on the client's own batch, before any gate. True: the batch is new and goes on. */
static bool entry_admit(struct produce_entry *entry)
{
    struct producers *producers = &entry->partition->producers;
    struct shard *shard = entry->partition->shard;
    if (entry->has_message_id && !message_admit(entry)) {
        return false;
    }
    sl_err expectation = produce_expectation_check(entry);
    if (expectation != SLUICE_OK) {
        produce_entry_end(entry, expectation);
        return false;
    }
    bool is_later = entry->deliver_at_ms > 0 && entry->deliver_at_ms > shard_wall_ms(shard);
    if (is_later && !produce_later_admit(entry)) {
        return false;
    }
    if (entry->producer.producer_id < 0) {
        return true;
    }
    struct producer_verdict verdict;
    sl_err err = producers_check(producers, &entry->producer, &verdict);
    if (err != SLUICE_OK) {
        produce_entry_end(entry, err);
        return false;
    }
    if (verdict.kind == PRODUCER_DUPLICATE) {
        shard->duplicates++;
        entry->result->base_offset = verdict.base_offset;
        entry->result->log_append_time_ms = verdict.append_time_ms;
        entry->result->is_duplicate = true;
        produce_entry_end(entry, SLUICE_OK);
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
        produce_entry_end(entry, err);
        return false;
    }
    entry->admitted = &entry->admission;
    return true;
}

/* ---- markers ---- */

static void marker_write(struct produce_entry *entry)
{
    const struct produce_marker *marker = SL_CONTAINER_OF(entry, struct produce_marker, entry);
    struct producers *producers = &entry->partition->producers;
    if (entry->again && !producers_in_txn(producers, entry->producer.producer_id)) {
        produce_entry_end(entry, SLUICE_OK);
        return;
    }
    sl_err err = producers_admit_marker(producers, entry->producer.producer_id,
                                        entry->producer.producer_epoch, marker->aborts,
                                        &entry->admission, shard_wall_ms(entry->partition->shard));
    if (err != SLUICE_OK) {
        produce_entry_end(entry, err);
        return;
    }
    entry->admitted = &entry->admission;
    entry_commit(entry);
}

static void marker_ended(struct produce_entry *entry, sl_err err)
{
    struct produce_marker *marker = SL_CONTAINER_OF(entry, struct produce_marker, entry);
    marker->done(marker, err);
}

/* Queues are circles known by their last entry, whose next is the first. */
static struct produce_entry *circle_pop(struct produce_entry **last)
{
    struct produce_entry *first = (*last)->next;
    if (first == *last) {
        *last = NULL;
    } else {
        (*last)->next = first->next;
    }
    first->next = NULL;
    return first;
}

static void circle_push(struct produce_entry **last, struct produce_entry *entry)
{
    if (*last == NULL) {
        entry->next = entry;
    } else {
        entry->next = (*last)->next;
        (*last)->next = entry;
    }
    *last = entry;
}

static struct produce_entry *queue_first(const struct partition *partition)
{
    return partition->queue == NULL ? NULL : partition->queue->next;
}

void produce_queue_pop(struct partition *partition)
{
    circle_pop(&partition->queue);
}

void produce_part_push(struct produce_part *part, struct produce_entry *entry)
{
    entry->part = part;
    circle_push(&part->last, entry);
    part->entry_count++;
}

/* ---- order within a partition ---- */

/* Offsets for the entry at the head of the queue. False: it waits for a lease, or ended. */
static bool entry_lease(struct partition *partition, struct produce_entry *entry)
{
    if (!partition_is_in_memory(partition)) {
        return true; /* its offsets are in the log with the batch */
    }
    const struct batch_view view = {entry->data, entry->size};
    sl_err err = offset_lease_take(partition, (int64_t)batch_view_last_offset_delta(&view) + 1);
    if (err != SLUICE_OK && err != SLUICE_E_WOULD_BLOCK) {
        produce_queue_pop(partition);
        produce_entry_end(entry, err);
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
            produce_queue_pop(partition);
            produce_entry_end(entry, SLUICE_E_UNKNOWN_TOPIC);
        } else if (entry->must_open) {
            produce_open_start(entry);
        } else if (!entry_lease(partition, entry)) {
            if (partition->leasing) {
                break;
            }
        } else if (entry->marked != NULL) {
            produce_queue_pop(partition);
            marker_write(entry);
        } else if (partition->gate == NULL) {
            produce_queue_pop(partition);
            if (entry_admit(entry)) {
                entry_commit(entry);
            }
        } else if (!entry_admit(entry)) {
            produce_queue_pop(partition);
        } else {
            produce_gate_submit(entry);
        }
    }
    partition->pumping = false;
}

static void entry_begin(struct shard *shard, struct produce_entry *entry)
{
    struct topic *topic = shard_topic_by_id(shard, &entry->topic);
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
        produce_entry_end(entry, err);
        return;
    }
    partition_ref(partition);
    entry->partition = partition;
    if (entry->refused) {
        produce_entry_end(entry, entry->result->status);
        return;
    }
    partition_ref(partition);
    circle_push(&partition->queue, entry);
    produce_pump(partition);
    partition_unref(partition);
}

void produce_marker_start(struct shard *shard, struct produce_marker *marker,
                          const struct sl_uuid *topic, uint32_t partition,
                          const struct txn_marker *what, bool again)
{
    struct produce_entry *entry = &marker->entry;
    produce_entry_init(entry, &marker->result);
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
    uint32_t now = SL_MIN(part->entry_count, count);
    part->entry_count -= now;
    for (uint32_t i = 0; i < now; i++) {
        entry_begin(shard, circle_pop(&part->last));
    }
    if (part->entry_count == 0) {
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

void produce_part_run(struct shard_call *call)
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
