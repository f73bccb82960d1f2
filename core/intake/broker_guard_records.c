/* broker_guard_records.c: who may write, read, find by time and delete records (broker_guard.h). */
#include "intake/broker_guard_judge.h"

#include "intake/broker_guard_txn.h"
#include "record/batch_view.h"
#include <string.h>

/* ---- produce ---- */

static void refuse_produce(void *to, const void *entry)
{
    struct sluice_produce_result *result = to;
    (void)entry;
    result->status = SLUICE_E_TOPIC_AUTHORIZATION;
    result->base_offset = result->log_append_time_ms = result->log_start_offset = -1;
}

static const struct guard_kind produce_kind = {
    sizeof(struct sluice_produce_entry),
    sizeof(struct sluice_produce_result),
    offsetof(struct sluice_produce_entry, topic),
    broker_guard_may_topic,
    SLUICE_OP_WRITE,
    refuse_produce,
};

static void produced(void *arg, const struct sluice_produce_result *results, uint32_t count,
                     int32_t throttle_ms)
{
    struct guarded *guarded = arg;
    uint32_t all = guarded_merge_all(guarded, results, count);
    guarded->done.produce(guarded->arg, guarded->results, all, throttle_ms);
    guarded_free(guarded);
}

/* All of a request, of which its frontend may know less. */
static struct sluice_produce whole(const struct sluice_produce *request)
{
    struct sluice_produce copy = {0};
    memcpy(&copy, request, SL_MIN((size_t)request->size, sizeof(copy)));
    return copy;
}

/* Those of the allowed entries. NULL: no memory. */
static struct sluice_produce_terms *allowed_terms(const struct guarded *guarded,
                                                  const struct sluice_produce_terms *terms)
{
    struct sluice_produce_terms *allowed =
        sl_alloc_zero(guarded->allowed_count + 1u, sizeof(*allowed));
    for (uint32_t i = 0; allowed != NULL && i < guarded->allowed_count; i++) {
        allowed[i] = terms[guarded->places[i]];
    }
    return allowed;
}

/* What is left of a request goes on. */
static void produce_rest(struct guarded *guarded, const struct sluice_context *context,
                         const struct sluice_produce *request)
{
    const struct sluice_broker *inner = guarded->guard->inner;
    struct sluice_produce rest = whole(request);
    struct sluice_produce_terms *terms =
        rest.terms != NULL ? allowed_terms(guarded, rest.terms) : NULL;
    if (rest.terms != NULL && terms == NULL) {
        produced(guarded, NULL, 0, 0);
        return;
    }
    rest.entries = guarded->entries;
    rest.entry_count = guarded->allowed_count;
    rest.terms = terms;
    inner->produce(inner, context, &rest, produced, guarded);
    sl_free(terms); /* borrowed for the call only */
}

static void produce_judged(struct broker_guard *guard, const struct sluice_context *context,
                           const struct sluice_produce *request, sluice_produce_done *done,
                           void *arg)
{
    struct guarded *guarded = NULL;
    enum guard_verdict verdict = guarded_judge(guard, context, &produce_kind, request->entries,
                                               request->entry_count, arg, &guarded);
    if (verdict == GUARD_ALL) {
        guard->inner->produce(guard->inner, context, request, done, arg);
        return;
    }
    if (verdict == GUARD_NO_MEMORY) {
        done(arg, NULL, 0, 0);
        return;
    }
    guarded->done.produce = done;
    if (verdict == GUARD_NONE) {
        produced(guarded, NULL, 0, 0);
    } else {
        produce_rest(guarded, context, request);
    }
}

static bool is_of_transaction(const struct sluice_produce_entry *entry)
{
    struct batch_view view;
    return batch_view_init(&view, sl_bytes_of(entry->batch.data, entry->batch.size)) == SLUICE_OK &&
           batch_view_has(&view, BATCH_TRANSACTIONAL);
}

static bool has_transaction(const struct sluice_produce *request)
{
    uint32_t i = 0;
    while (i < request->entry_count && !is_of_transaction(&request->entries[i])) {
        i++;
    }
    return i < request->entry_count;
}

static void refuse_writer(const struct sluice_produce *request, sluice_produce_done *done,
                          void *arg)
{
    struct sluice_produce_result *results = sl_alloc_zero(request->entry_count, sizeof(*results));
    for (uint32_t i = 0; results != NULL && i < request->entry_count; i++) {
        refuse_produce(&results[i], NULL);
        results[i].status = SLUICE_E_TRANSACTION_AUTHORIZATION;
    }
    done(arg, results, results == NULL ? 0 : request->entry_count, 0);
    sl_free(results);
}

/* A request with a batch of a transaction that it does not name, or may not use, is refused as a
 * whole, whatever else is in it. */
static void on_produce(const struct sluice_broker *broker, const struct sluice_context *context,
                       const struct sluice_produce *request, sluice_produce_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    if (has_transaction(request)) {
        struct sluice_text id = whole(request).transactional_id;
        if (id.data == NULL || !broker_guard_may_write_as(guard, context, id)) {
            refuse_writer(request, done, arg);
            return;
        }
    }
    produce_judged(guard, context, request, done, arg);
}

/* ---- fetch ---- */

static void refuse_fetch(void *to, const void *entry)
{
    struct sluice_fetch_result *result = to;
    (void)entry;
    result->status = SLUICE_E_TOPIC_AUTHORIZATION;
    result->leader_epoch = result->diverging_epoch = -1;
    result->high_watermark = result->last_stable_offset = result->log_start_offset = -1;
    result->diverging_end_offset = -1;
}

static const struct guard_kind fetch_kind = {
    sizeof(struct sluice_fetch_entry),
    sizeof(struct sluice_fetch_result),
    offsetof(struct sluice_fetch_entry, topic),
    broker_guard_may_topic,
    SLUICE_OP_READ,
    refuse_fetch,
};

static void fetched(void *arg, const struct sluice_fetch_result *results, uint32_t count,
                    int32_t throttle_ms)
{
    struct guarded *guarded = arg;
    uint32_t all = guarded_merge_all(guarded, results, count);
    guarded->done.fetch(guarded->arg, guarded->results, all, throttle_ms);
    guarded_free(guarded);
}

static void on_fetch(const struct sluice_broker *broker, const struct sluice_context *context,
                     const struct sluice_fetch *request, sluice_fetch_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    struct guarded *guarded = NULL;
    enum guard_verdict verdict = guarded_judge(guard, context, &fetch_kind, request->entries,
                                               request->entry_count, arg, &guarded);
    if (verdict == GUARD_ALL) {
        guard->inner->fetch(guard->inner, context, request, done, arg);
        return;
    }
    if (verdict == GUARD_NO_MEMORY) {
        done(arg, NULL, 0, 0);
        return;
    }
    struct sluice_fetch rest = {0};
    memcpy(&rest, request, SL_MIN((size_t)request->size, sizeof(rest)));
    rest.entries = guarded->entries;
    rest.entry_count = guarded->allowed_count;
    rest.wait_ms = 0; /* an error answers at once */
    guarded->done.fetch = done;
    if (verdict == GUARD_NONE) {
        fetched(guarded, NULL, 0, 0);
    } else {
        guard->inner->fetch(guard->inner, context, &rest, fetched, guarded);
    }
}

/* ---- offsets by time ---- */

static void refuse_offset(void *to, const void *entry)
{
    (void)entry;
    *(struct sluice_offset_answer *)to =
        (struct sluice_offset_answer){SLUICE_E_TOPIC_AUTHORIZATION, -1, -1, -1};
}

static const struct guard_kind query_kind = {
    sizeof(struct sluice_offset_query),
    sizeof(struct sluice_offset_answer),
    offsetof(struct sluice_offset_query, topic),
    broker_guard_may_topic,
    SLUICE_OP_DESCRIBE,
    refuse_offset,
};

static void offsets_answered(void *arg, const struct sluice_offset_answer *answers, uint32_t count)
{
    struct guarded *guarded = arg;
    uint32_t all = guarded_merge_all(guarded, answers, count);
    guarded->done.offsets(guarded->arg, guarded->results, all);
    guarded_free(guarded);
}

static void on_offsets(const struct sluice_broker *broker, const struct sluice_context *context,
                       int32_t isolation, const struct sluice_offset_query *queries, uint32_t count,
                       sluice_offsets_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    struct guarded *guarded = NULL;
    enum guard_verdict verdict =
        guarded_judge(guard, context, &query_kind, queries, count, arg, &guarded);
    if (verdict == GUARD_ALL) {
        guard->inner->offsets(guard->inner, context, isolation, queries, count, done, arg);
    } else if (verdict == GUARD_NO_MEMORY) {
        done(arg, NULL, 0);
    } else {
        guarded->done.offsets = done;
        if (verdict == GUARD_NONE) {
            offsets_answered(guarded, NULL, 0);
            return;
        }
        guard->inner->offsets(guard->inner, context, isolation, guarded->entries,
                              guarded->allowed_count, offsets_answered, guarded);
    }
}

/* ---- deletion ---- */

static void refuse_deletion(void *to, const void *entry)
{
    (void)entry;
    *(struct sluice_records_deleted *)to =
        (struct sluice_records_deleted){SLUICE_E_TOPIC_AUTHORIZATION, 0, -1};
}

static const struct guard_kind deletion_kind = {
    sizeof(struct sluice_records_delete),
    sizeof(struct sluice_records_deleted),
    offsetof(struct sluice_records_delete, topic),
    broker_guard_may_topic,
    SLUICE_OP_DELETE,
    refuse_deletion,
};

static void records_deleted(void *arg, const struct sluice_records_deleted *results, uint32_t count)
{
    struct guarded *guarded = arg;
    uint32_t all = guarded_merge_all(guarded, results, count);
    guarded->done.records_deleted(guarded->arg, guarded->results, all);
    guarded_free(guarded);
}

static void on_records_delete(const struct sluice_broker *broker,
                              const struct sluice_context *context,
                              const struct sluice_records_delete *entries, uint32_t count,
                              sluice_records_deleted_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    struct guarded *guarded = NULL;
    enum guard_verdict verdict =
        guarded_judge(guard, context, &deletion_kind, entries, count, arg, &guarded);
    if (verdict == GUARD_ALL) {
        guard->inner->records_delete(guard->inner, context, entries, count, done, arg);
    } else if (verdict == GUARD_NO_MEMORY) {
        done(arg, NULL, 0);
    } else {
        guarded->done.records_deleted = done;
        if (verdict == GUARD_NONE) {
            records_deleted(guarded, NULL, 0);
            return;
        }
        guard->inner->records_delete(guard->inner, context, guarded->entries,
                                     guarded->allowed_count, records_deleted, guarded);
    }
}

/* ---- producer ids ---- */

/* Who may write to any topic may do so idempotently (KIP-679). */
static void on_producer_id(const struct sluice_broker *broker, const struct sluice_context *context,
                           int64_t id, int16_t epoch, sluice_producer_id_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    struct policy_action write = broker_guard_action(context, SLUICE_OP_WRITE, SLUICE_ACL_TOPIC,
                                                     (struct sluice_text){"", 0});
    if (policy_allows_any(guard->policy, &write) ||
        broker_guard_may_cluster(guard, context, SLUICE_OP_IDEMPOTENT_WRITE)) {
        guard->inner->producer_id(guard->inner, context, id, epoch, done, arg);
        return;
    }
    const struct sluice_producer_id refused = {
        .status = SLUICE_E_CLUSTER_AUTHORIZATION, .epoch = -1, .id = -1};
    done(arg, &refused);
}

void broker_guard_records_init(struct sluice_broker *table)
{
    table->produce = on_produce;
    table->fetch = on_fetch;
    table->offsets = on_offsets;
    table->records_delete = on_records_delete;
    table->producer_id = on_producer_id;
}
