/* produce_request.c: a produce request on the loop that it came on: copied or kept, resolved,
 * checked, handed to the owners of its partitions, answered. See produce.h. */
#include "base/ahead.h"
#include "shard/produce_steps.h"
#include "shard/txn_op.h"

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

static void watch_end(struct produce_watch *watch, uint64_t connection)
{
    if (watch != NULL) {
        watch->ended(watch, connection);
    }
}

static void request_answer(struct produce_request *request)
{
    for (uint32_t i = 0; i < request->entry_count; i++) {
        struct produce_entry *entry = &request->entries[i];
        entry->result->record_errors = entry->faults;
        entry->result->record_error_count = entry->fault_count;
        entry->result->reason = (struct sluice_text){entry->reason, entry->reason_size};
    }
    txn_guard_end(request->guard);
    request->guard = NULL;
    request->done(request->arg, request->results, request->entry_count, request->throttle_ms);
    watch_end(request->watch, request->connection);
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

static void keep_text(struct produce_context *kept, size_t *used, struct sluice_text *text)
{
    size_t size = SL_MIN((size_t)text->size, (sizeof(kept->texts) - *used) / 2);
    if (size > 0) {
        memcpy(kept->texts + *used, text->data, size);
    }
    *text = (struct sluice_text){kept->texts + *used, size};
    *used += size;
}

/* Of texts that lie elsewhere, so that it costs most of what a request of one record does here:
 * only where a gate may ask. */
static void keep_context(struct produce_request *request, const struct sluice_context *context)
{
    struct produce_context *kept =
        (struct produce_context *)(request->entries + request->entry_count);
    size_t used = 0;
    if (!shard_set_is_gated(request->home->set)) {
        return;
    }
    request->context = kept;
    kept->context = *context;
    kept->context.trace_id = (struct sluice_bytes){NULL, 0};
    keep_text(kept, &used, &kept->context.principal);
    keep_text(kept, &used, &kept->context.listener);
    keep_text(kept, &used, &kept->context.client_id);
    keep_text(kept, &used, &kept->context.client_host);
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

/* What every request touches of its memory left the cache since it was used: that of the next one
 * comes while this one is worked on. */
static void fetch_kept(const struct produce_request *next)
{
    sl_fetch_ahead(next, sizeof(*next) + sizeof(*next->parts) + sizeof(*next->results) +
                             offsetof(struct produce_entry, items[1]));
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
    fetch_kept(home->idle_produces);
    return request;
}

/* One block: the request, its parts, results, entries, and what only gates look at. */
static struct produce_request *request_new(struct shard *home, uint32_t entry_count)
{
    uint32_t shard_count = home->set->count;
    size_t per_entry = sizeof(struct produce_entry) + sizeof(struct sluice_produce_result);
    size_t size = sizeof(struct produce_request) + sizeof(struct produce_context) +
                  shard_count * sizeof(struct produce_part) + entry_count * per_entry;
    struct produce_request *request = request_memory(home, entry_count, size);
    if (request == NULL) {
        return NULL;
    }
    struct produce_part *parts = (struct produce_part *)(request + 1);
    struct sluice_produce_result *results = (struct sluice_produce_result *)(parts + shard_count);
    struct produce_entry *entries = (struct produce_entry *)(results + entry_count);
    *request = (struct produce_request){.home = home,
                                        .entry_count = entry_count,
                                        .part_count = shard_count,
                                        .parts = parts,
                                        .entries = entries,
                                        .results = results};
    for (uint32_t i = 0; i < shard_count; i++) {
        parts[i] = (struct produce_part){.request = request};
    }
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
    bool may_open = limits.validate_records || limits.compacted ||
                    topic->settings->codec != TOPIC_CODEC_PRODUCER;
    if (may_open && batch_view_init(&view, bytes) == SLUICE_OK) {
        bool opens = batch_validate_opens(&view, &limits);
        entry->must_open = opens || produce_wants_codec(entry, topic);
        limits.validate_records = limits.validate_records && !opens;
        limits.compacted = limits.compacted && !opens;
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
        produce_entry_say(entry, "internal topics are written by the broker alone");
        return SLUICE_E_TOPIC_AUTHORIZATION;
    }
    entry->topic = topic->id;
    entry->partition_number = (uint32_t)from->partition;
    if (request->acks == ACKS_ALL && topic->settings->min_insync_replicas > 1) {
        produce_entry_say(entry, "min.insync.replicas is %d, and there is one replica",
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
        produce_entry_say(entry, "a message id has at most %u bytes", MESSAGE_ID_BYTES_MAX);
        return SLUICE_E_INVALID;
    }
    if (entry->producer.producer_id >= 0) {
        produce_entry_say(entry, "a batch of a producer has sequences, and no message id");
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
    entry->result->status = err;
    request->is_guarded |= err == SLUICE_OK && entry->producer.transactional;
    request->is_later |= entry->deliver_at_ms > 0;
    if (err != SLUICE_OK && !entry->refused) {
        return;
    }
    struct shard *owner = shard_of_partition(request->home->set, topic, entry->partition_number);
    produce_part_push(&request->parts[owner->index], entry);
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
                   const struct sluice_produce *from, sluice_produce_done *done, void *arg,
                   struct produce_watch *watch)
{
    bool bad_acks = from->acks < -1 || from->acks > 1;
    bool is_bad = bad_acks || from->entry_count > PRODUCE_ENTRIES_MAX;
    struct produce_request *request = is_bad ? NULL : request_new(home, from->entry_count);
    if (request == NULL) {
        sl_err err = bad_acks ? SLUICE_E_INVALID_REQUIRED_ACKS : SLUICE_E_LIMIT;
        refuse(from, is_bad ? err : SLUICE_E_NO_MEMORY, done, arg);
        watch_end(watch, context->connection);
        return;
    }
    shard_request_begin(home);
    request->done = done;
    request->arg = arg;
    request->watch = watch;
    request->connection = context->connection;
    request->acks = from->acks;
    keep_context(request, context);
    for (uint32_t i = 0; i < from->entry_count; i++) {
        struct produce_entry *entry = &request->entries[i];
        produce_entry_init(entry, &request->results[i]);
        entry->data = (uint8_t *)(uintptr_t)from->entries[i].batch.data;
        entry->size = (uint32_t)SL_MIN(from->entries[i].batch.size, (uint64_t)INT32_MAX);
        entry->no_zstd = (from->flags & SLUICE_PRODUCE_NO_ZSTD) != 0;
    }
    if (chunk != NULL) {
        request->chunk = chunk_ref(chunk);
    } else if (copy_batches(request, from) != SLUICE_OK) {
        request_free(request);
        refuse(from, SLUICE_E_NO_MEMORY, done, arg);
        watch_end(watch, context->connection);
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
