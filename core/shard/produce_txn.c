/* produce_txn.c: batches of a transaction wait for the coordinator's word that it is open. [loop of
 * home] */
#include "shard/produce_steps.h"
#include "shard/txn_op.h"

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
    return entry->producer.transactional && entry->result->status == SLUICE_OK;
}

/* Parts keep the entries that nothing was found against, and those that were refused before. */
static void parts_filter(struct produce_request *request)
{
    for (uint32_t i = 0; i < request->part_count; i++) {
        request->parts[i].last = NULL;
        request->parts[i].entry_count = 0;
    }
    for (uint32_t i = 0; i < request->entry_count; i++) {
        struct produce_entry *entry = &request->entries[i];
        if (entry->part != NULL && (entry->result->status == SLUICE_OK || entry->refused)) {
            produce_part_push(entry->part, entry);
        }
    }
}

static void guard_granted(struct txn_guard *guard)
{
    struct produce_request *request = guard->arg;
    uint32_t at = 0;
    for (uint32_t i = 0; i < request->entry_count; i++) {
        struct produce_entry *entry = &request->entries[i];
        if (is_guarded(entry)) {
            entry->result->status = guard_status(guard, guard->statuses[at++]);
        }
    }
    parts_filter(request);
    produce_hand_over(request);
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
            entry->result->status = SLUICE_E_INVALID_PRODUCER_ID_MAPPING;
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
            request->entries[i].result->status = err;
        }
    }
    parts_filter(request);
    produce_hand_over(request);
}

/* False: no batch is of a transaction. Else they go on when the coordinator has said that it is
 * open, in the order of the requests. */
bool produce_guard_take(struct produce_request *request, const struct sluice_produce *from)
{
    if (!request->is_guarded) {
        return false;
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < request->entry_count; i++) {
        count += is_guarded(&request->entries[i]);
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
