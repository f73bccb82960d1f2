/* broker_guard_txn.c: see broker_guard_txn.h. As in Kafka's KafkaApis, but that a commit of offsets
 * of which one topic may not be read is refused as a whole. */
#include "intake/broker_guard_txn.h"

#include "intake/broker_guard_judge.h"

#include <string.h>

bool broker_guard_may_write_as(struct broker_guard *guard, const struct sluice_context *context,
                               struct sluice_text id)
{
    return broker_guard_allows(guard, context, SLUICE_OP_WRITE, SLUICE_ACL_TRANSACTIONAL_ID, id);
}

static sl_err judge(struct broker_guard *guard, const struct sluice_context *context,
                    const struct sluice_txn *txn, const struct sluice_text *group)
{
    if (!broker_guard_may_write_as(guard, context, txn->id)) {
        return SLUICE_E_TRANSACTION_AUTHORIZATION;
    }
    if (group != NULL && !broker_guard_may_group(guard, context, SLUICE_OP_READ, *group)) {
        return SLUICE_E_GROUP_AUTHORIZATION;
    }
    return SLUICE_OK;
}

/* ---- the producer's own calls ---- */

static void refuse_producer(sl_err err, sluice_producer_id_done *done, void *arg)
{
    done(arg, &(struct sluice_producer_id){.status = err, .id = -1, .epoch = -1});
}

static void on_txn_producer(const struct sluice_broker *broker,
                            const struct sluice_context *context, const struct sluice_txn *txn,
                            int32_t timeout_ms, sluice_producer_id_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    sl_err err = judge(guard, context, txn, NULL);
    if (err != SLUICE_OK) {
        refuse_producer(err, done, arg);
    } else {
        guard->inner->txn_producer(guard->inner, context, txn, timeout_ms, done, arg);
    }
}

static void on_txn_end(const struct sluice_broker *broker, const struct sluice_context *context,
                       const struct sluice_txn *txn, bool commit, sluice_producer_id_done *done,
                       void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    sl_err err = judge(guard, context, txn, NULL);
    if (err != SLUICE_OK) {
        refuse_producer(err, done, arg);
    } else {
        guard->inner->txn_end(guard->inner, context, txn, commit, done, arg);
    }
}

static void on_txn_group_add(const struct sluice_broker *broker,
                             const struct sluice_context *context, const struct sluice_txn *txn,
                             struct sluice_text group, sluice_status_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    sl_err err = judge(guard, context, txn, &group);
    if (err != SLUICE_OK) {
        done(arg, err);
    } else {
        guard->inner->txn_group_add(guard->inner, context, txn, group, done, arg);
    }
}

/* Answers where one of the topics may not be used: E_TOPIC_AUTHORIZATION for those, the others are
 * not attempted. False: all may. */
static bool refuse_topics(struct broker_guard *guard, const struct sluice_context *context,
                          int32_t operation, const struct sluice_topic_ref *first, size_t stride,
                          uint32_t count, sluice_statuses_done *done, void *arg)
{
    sluice_status *statuses = sl_alloc_zero(count + 1u, sizeof(*statuses));
    bool refused = false;
    for (uint32_t i = 0; statuses != NULL && i < count; i++) {
        const void *at = (const uint8_t *)first + i * stride;
        bool may = broker_guard_may_topic(guard, context, at, operation);
        statuses[i] = may ? SLUICE_E_NOT_ATTEMPTED : SLUICE_E_TOPIC_AUTHORIZATION;
        refused = refused || !may;
    }
    if (statuses == NULL) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
        return true;
    }
    if (refused) {
        done(arg, SLUICE_OK, statuses, count);
    }
    sl_free(statuses);
    return refused;
}

static void on_txn_partitions_add(const struct sluice_broker *broker,
                                  const struct sluice_context *context,
                                  const struct sluice_txn *txn,
                                  const struct sluice_txn_partition *partitions, uint32_t count,
                                  bool verify_only, sluice_statuses_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    sl_err err = judge(guard, context, txn, NULL);
    if (err != SLUICE_OK) {
        done(arg, err, NULL, 0);
    } else if (!refuse_topics(guard, context, SLUICE_OP_WRITE, &partitions[0].topic,
                              sizeof(*partitions), count, done, arg)) {
        guard->inner->txn_partitions_add(guard->inner, context, txn, partitions, count, verify_only,
                                         done, arg);
    }
}

static void on_txn_offsets_commit(const struct sluice_broker *broker,
                                  const struct sluice_context *context,
                                  const struct sluice_txn *txn,
                                  const struct sluice_offset_commit *request,
                                  sluice_statuses_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    sl_err err = judge(guard, context, txn, &request->identity.group);
    if (err != SLUICE_OK) {
        done(arg, err, NULL, 0);
    } else if (!refuse_topics(guard, context, SLUICE_OP_READ, &request->entries[0].topic,
                              sizeof(request->entries[0]), request->entry_count, done, arg)) {
        guard->inner->txn_offsets_commit(guard->inner, context, txn, request, done, arg);
    }
}

/* ---- what operators ask ---- */

/* A call whose results are masked, by what was decided when it came. */
struct masked {
    struct broker_guard *guard;
    struct sluice_context context; /* of a list: its answer may come later, texts are copied */
    union {
        sluice_txns_done *txns;
        sluice_producers_done *producers;
    } done;
    void *arg;
    bool is_list;
    char texts[512];
    bool denied[];
};

static struct sluice_text copy_text(struct masked *masked, size_t *used, struct sluice_text from)
{
    size_t size = SL_MIN((size_t)from.size, (sizeof(masked->texts) - *used) / 2);
    char *to = masked->texts + *used;
    if (size > 0) {
        memcpy(to, from.data, size);
    }
    *used += size;
    return (struct sluice_text){to, size};
}

static struct masked *masked_new(struct broker_guard *guard, const struct sluice_context *context,
                                 uint32_t count, void *arg)
{
    struct masked *masked = sl_alloc_zero(1, sizeof(*masked) + count);
    size_t used = 0;
    if (masked != NULL) {
        masked->guard = guard;
        masked->arg = arg;
        masked->context = *context;
        masked->context.principal = copy_text(masked, &used, context->principal);
        masked->context.client_host = copy_text(masked, &used, context->client_host);
    }
    return masked;
}

/* In a list what may not be described is not there; named it is refused. */
static void txns_told(void *arg, sluice_status status, const struct sluice_txn_info *txns,
                      uint32_t count)
{
    struct masked *masked = arg;
    struct sluice_txn_info *seen = sl_alloc_zero(count + 1u, sizeof(*seen));
    uint32_t seen_count = 0;
    status = seen == NULL ? SLUICE_E_NO_MEMORY : status;
    for (uint32_t i = 0; status == SLUICE_OK && i < count; i++) {
        if (!masked->is_list && masked->denied[i]) {
            seen[seen_count++] = (struct sluice_txn_info){
                .status = SLUICE_E_TRANSACTION_AUTHORIZATION, .id = txns[i].id};
        } else if (!masked->is_list ||
                   broker_guard_allows(masked->guard, &masked->context, SLUICE_OP_DESCRIBE,
                                       SLUICE_ACL_TRANSACTIONAL_ID, txns[i].id)) {
            seen[seen_count++] = txns[i];
        }
    }
    masked->done.txns(masked->arg, status, seen, seen_count);
    sl_free(seen);
    sl_free(masked);
}

static void on_txns_describe(const struct sluice_broker *broker,
                             const struct sluice_context *context, const struct sluice_text *ids,
                             uint32_t count, sluice_txns_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    struct masked *masked = masked_new(guard, context, count, arg);
    if (masked == NULL) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
        return;
    }
    masked->done.txns = done;
    for (uint32_t i = 0; i < count; i++) {
        masked->denied[i] = !broker_guard_allows(guard, context, SLUICE_OP_DESCRIBE,
                                                 SLUICE_ACL_TRANSACTIONAL_ID, ids[i]);
    }
    guard->inner->txns_describe(guard->inner, context, ids, count, txns_told, masked);
}

static void on_txns_list(const struct sluice_broker *broker, const struct sluice_context *context,
                         struct sluice_text pattern, sluice_txns_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    struct masked *masked = masked_new(guard, context, 0, arg);
    if (masked == NULL) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
        return;
    }
    masked->done.txns = done;
    masked->is_list = true;
    guard->inner->txns_list(guard->inner, context, pattern, txns_told, masked);
}

static void producers_told(void *arg, const struct sluice_producers_result *results, uint32_t count)
{
    struct masked *masked = arg;
    struct sluice_producers_result *seen = sl_alloc_zero(count + 1u, sizeof(*seen));
    for (uint32_t i = 0; seen != NULL && i < count; i++) {
        seen[i] = results[i];
        if (masked->denied[i]) {
            seen[i] = (struct sluice_producers_result){.status = SLUICE_E_TOPIC_AUTHORIZATION};
        }
    }
    masked->done.producers(masked->arg, seen, seen != NULL ? count : 0);
    sl_free(seen);
    sl_free(masked);
}

static void on_producers_describe(const struct sluice_broker *broker,
                                  const struct sluice_context *context,
                                  const struct sluice_txn_partition *partitions, uint32_t count,
                                  sluice_producers_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    struct masked *masked = masked_new(guard, context, count, arg);
    if (masked == NULL) {
        done(arg, NULL, 0);
        return;
    }
    masked->done.producers = done;
    for (uint32_t i = 0; i < count; i++) {
        masked->denied[i] =
            !broker_guard_may_topic(guard, context, &partitions[i].topic, SLUICE_OP_READ);
    }
    guard->inner->producers_describe(guard->inner, context, partitions, count, producers_told,
                                     masked);
}

void broker_guard_txn_init(struct sluice_broker *table)
{
    table->txn_producer = on_txn_producer;
    table->txn_partitions_add = on_txn_partitions_add;
    table->txn_group_add = on_txn_group_add;
    table->txn_offsets_commit = on_txn_offsets_commit;
    table->txn_end = on_txn_end;
    table->txns_describe = on_txns_describe;
    table->txns_list = on_txns_list;
    table->producers_describe = on_producers_describe;
}
