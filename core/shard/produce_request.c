/* produce_request.c: a produce request on the loop that it came on: copied or kept, resolved,
 * checked, handed to the owners of its partitions, answered. See produce.h. */
#include "shard/produce_steps.h"
#include "shard/txn_op.h"

#include <stdio.h>
#include <string.h>

#define ACKS_ALL (-1)

/* ---- the answer, on the origin's loop ---- */

static void request_free(struct produce_request *request)
{
    for (uint32_t i = 0; i < request->entry_count; i++) {
        chunk_unref(request->entries[i].recompressed);
    }
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
    struct batch_limits limits = produce_limits(entry, home, topic);
    struct sl_bytes bytes = {entry->data, entry->size};
    struct batch_view view;
    bool is_batch = batch_view_init(&view, bytes) == SLUICE_OK;
    entry->must_open =
        is_batch && (batch_validate_opens(&view, &limits) || produce_wants_codec(entry, topic));
    if (is_batch && batch_validate_opens(&view, &limits)) {
        limits.validate_records = false;
        limits.compacted = false;
    }
    struct batch_verdict verdict;
    sl_err err = batch_validate(bytes, &limits, NULL, NULL, &verdict);
    produce_take_verdict(entry, err, &verdict);
    if (err != SLUICE_OK) {
        entry->refused = verdict.formed;
        return err;
    }
    entry->size = (uint32_t)verdict.view.size;
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
                            const struct sluice_produce_entry *from, struct topic **ret_topic)
{
    struct produce_entry *entry = &request->entries[index];
    struct shard *home = request->home;
    sluice_status status = SLUICE_OK;
    struct topic *topic = shard_find_topic(home, &from->topic, &status);
    *ret_topic = topic;
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
    if (request->acks == ACKS_ALL && topic->settings->min_insync_replicas > 1) {
        snprintf(entry->reason, sizeof(entry->reason),
                 "min.insync.replicas is %d, and there is one replica",
                 topic->settings->min_insync_replicas);
        entry->refused = true;
        return SLUICE_E_NOT_ENOUGH_REPLICAS;
    }
    sl_err err = entry_validate(entry, home, topic);
    if (err == SLUICE_OK && entry->producer.transactional && !shard_topic_is_exact(home, topic)) {
        err = SLUICE_E_TXN_DURABILITY;
    }
    return err;
}

/* What the client wants to hold beyond the batch. */
static sl_err terms_take(struct produce_request *request, struct produce_entry *entry,
                         const struct sluice_produce_terms *terms)
{
    entry->expected_offset = terms->expected_offset;
    entry->deliver_at_ms = terms->deliver_at_ms;
    entry->has_message_id = terms->message_id.size > 0;
    if (terms->deliver_at_ms > 0) {
        sl_err err = produce_later_check(request, entry);
        if (err != SLUICE_OK) {
            return err;
        }
    }
    if (!entry->has_message_id) {
        return SLUICE_OK;
    }
    if (terms->message_id.size > MESSAGE_ID_BYTES_MAX) {
        snprintf(entry->reason, sizeof(entry->reason), "a message id has at most %u bytes",
                 MESSAGE_ID_BYTES_MAX);
        return SLUICE_E_INVALID;
    }
    if (entry->producer.producer_id >= 0) {
        snprintf(entry->reason, sizeof(entry->reason),
                 "a batch of a producer has sequences, and no message id");
        return SLUICE_E_INVALID_REQUEST;
    }
    const struct sl_bytes id = {(const uint8_t *)terms->message_id.data, terms->message_id.size};
    message_digest_of(&entry->topic, entry->partition_number, id, &entry->message_digest);
    return SLUICE_OK;
}

/* To the owner of the partition; a refusal, too, where it is answered with what the log begins
 * with. */
static void entry_place(struct produce_request *request, uint32_t index,
                        const struct sluice_produce_entry *from,
                        const struct sluice_produce_terms *terms)
{
    struct produce_entry *entry = &request->entries[index];
    struct topic *topic = NULL;
    sl_err err = entry_prepare(request, index, from, &topic);
    if (err == SLUICE_OK && terms != NULL) {
        err = terms_take(request, entry, terms);
    }
    entry->result.status = err;
    if (err != SLUICE_OK && !entry->refused) {
        return;
    }
    struct shard *owner = shard_of_partition(request->home->set, topic, entry->partition_number);
    struct produce_part *part = &request->parts[owner->index];
    entry->part = part;
    part->entries[part->entry_count++] = index;
}

void produce_hand_over(struct produce_request *request)
{
    request->pending_parts = 1; /* until all parts have been started */
    struct shard *home = request->home;
    for (uint32_t i = 0; i < request->part_count; i++) {
        struct produce_part *part = &request->parts[i];
        if (part->entry_count > 0) {
            request->pending_parts++;
            part->call.run = produce_part_run;
            part->call.reply = part_replied;
            shard_call_start(&part->call, home->set->shards[i], home->loop, SL_PRIORITY_IO);
        }
    }
    if (--request->pending_parts == 0) {
        request_answer(request);
    }
}

static void refuse(const struct sluice_produce *from, sl_err err, sluice_produce_done *done,
                   void *arg)
{
    struct sluice_produce_result result = {
        .status = err, .base_offset = -1, .log_append_time_ms = -1, .log_start_offset = -1};
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
        entry->expected_offset = -1;
    }
    if (chunk != NULL) {
        request->chunk = chunk_ref(chunk);
    } else if (copy_batches(request, from) != SLUICE_OK) {
        request_free(request);
        refuse(from, SLUICE_E_NO_MEMORY, done, arg);
        return;
    }
    bool has_terms = from->size >= offsetof(struct sluice_produce, terms) + sizeof(from->terms);
    const struct sluice_produce_terms *terms = has_terms ? from->terms : NULL;
    for (uint32_t i = 0; i < from->entry_count; i++) {
        entry_place(request, i, &from->entries[i], terms == NULL ? NULL : &terms[i]);
    }
    if (!produce_guard_take(request, from) && !produce_later_prepare(request)) {
        produce_hand_over(request);
    }
}
