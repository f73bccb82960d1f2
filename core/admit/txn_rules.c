/* txn_rules.c: see txn_rules.h; Kafka's TransactionCoordinator and TransactionMetadata. */
#include "admit/txn_rules.h"

/* The last epoch is kept for fencing, as in Kafka: it is never given to a producer. */
#define EPOCH_LAST (INT16_MAX - 1)

static bool is_complete(uint8_t state)
{
    return state == TXN_COMPLETE_COMMIT || state == TXN_COMPLETE_ABORT;
}

static void drop_lists(struct txn_values *values)
{
    values->partitions = NULL;
    values->groups = NULL;
    values->partition_count = values->group_count = 0;
    values->start_ms = -1;
}

static struct txn_values fresh_values(const struct txn_values *now, int64_t fresh_id)
{
    struct txn_values next = *now;
    next.producer_id = fresh_id;
    next.epoch = 0;
    next.last_epoch = -1;
    next.next_producer_id = -1;
    return next;
}

/* The epoch of a producer that takes over. */
static sl_err init_epoch(const struct txn_values *now, const struct txn_who *expected,
                         int64_t fresh_id, struct txn_values *ret_next)
{
    *ret_next = *now;
    bool is_expected = expected->producer_id >= 0;
    if (is_expected && expected->epoch != now->epoch)
        return expected->epoch >= 0 && expected->epoch == now->last_epoch
                   ? SLUICE_OK /* the answer to the first try was lost */
                   : SLUICE_E_PRODUCER_FENCED;
    if (now->producer_id < 0 || now->epoch >= EPOCH_LAST) {
        *ret_next = fresh_values(now, fresh_id);
        return fresh_id < 0 ? SLUICE_E_WOULD_BLOCK : SLUICE_OK;
    }
    ret_next->epoch = (int16_t)(now->epoch + 1);
    ret_next->last_epoch = is_expected ? now->epoch : (int16_t)-1;
    return SLUICE_OK;
}

sl_err txn_rules_init(const struct txn_values *now, const struct txn_who *expected,
                      int32_t timeout_ms, int64_t fresh_id, int64_t now_ms,
                      struct txn_values *ret_next)
{
    bool is_new = now->producer_id < 0;
    const struct txn_who nobody = {.producer_id = -1, .epoch = -1};
    if (!is_new && expected->producer_id >= 0 && expected->producer_id != now->producer_id)
        return SLUICE_E_PRODUCER_FENCED;
    if (txn_is_prepared(now->state))
        return SLUICE_E_CONCURRENT_TRANSACTIONS;
    if (now->state == TXN_ONGOING)
        return expected->producer_id >= 0 && expected->epoch != now->epoch
                   ? SLUICE_E_PRODUCER_FENCED
                   : SLUICE_E_BUSY;
    struct txn_values next;
    sl_err err = init_epoch(now, is_new ? &nobody : expected, fresh_id, &next);
    if (err != SLUICE_OK)
        return err;
    drop_lists(&next);
    next.state = TXN_EMPTY;
    next.timeout_ms = timeout_ms;
    next.update_ms = now_ms;
    *ret_next = next;
    return SLUICE_OK;
}

sl_err txn_rules_check(const struct txn_values *now, const struct txn_who *who)
{
    if (now->producer_id < 0 || now->producer_id != who->producer_id)
        return SLUICE_E_INVALID_PRODUCER_ID_MAPPING;
    return now->epoch == who->epoch ? SLUICE_OK : SLUICE_E_PRODUCER_FENCED;
}

sl_err txn_rules_add(const struct txn_values *now, const struct txn_who *who, int64_t now_ms,
                     struct txn_values *ret_next)
{
    sl_err err = txn_rules_check(now, who);
    if (err == SLUICE_OK && txn_is_prepared(now->state))
        err = SLUICE_E_CONCURRENT_TRANSACTIONS;
    if (err != SLUICE_OK)
        return err;
    struct txn_values next = *now;
    if (now->state != TXN_ONGOING) {
        drop_lists(&next);
        next.start_ms = now_ms;
        next.state = TXN_ONGOING;
        next.is_v2 = who->is_v2;
    }
    next.update_ms = now_ms;
    *ret_next = next;
    return SLUICE_OK;
}

/* ---- the end ---- */

/* Epoch of the markers, and of the producer after them. */
static sl_err bump(int64_t fresh_id, struct txn_values *next)
{
    next->last_epoch = next->epoch;
    next->epoch = (int16_t)(next->epoch + 1);
    if (next->epoch < EPOCH_LAST)
        return SLUICE_OK;
    next->next_producer_id = fresh_id;
    return fresh_id < 0 ? SLUICE_E_WOULD_BLOCK : SLUICE_OK;
}

/* Whether there is something to decide in this state; *ret_repeated: it was decided so. */
static sl_err end_check(const struct txn_values *now, bool is_v2, bool is_retry, bool commits,
                        bool *ret_repeated)
{
    *ret_repeated = false;
    switch (now->state) {
    case TXN_ONGOING:
        return is_retry ? SLUICE_E_PRODUCER_FENCED : SLUICE_OK;
    case TXN_PREPARE_COMMIT:
    case TXN_PREPARE_ABORT:
        return commits == (now->state == TXN_PREPARE_COMMIT) ? SLUICE_E_CONCURRENT_TRANSACTIONS
                                                             : SLUICE_E_INVALID_TXN_STATE;
    default:
        break;
    }
    bool is_same = is_complete(now->state) && commits == (now->state == TXN_COMPLETE_COMMIT);
    *ret_repeated = is_same && (!is_v2 || is_retry);
    if (*ret_repeated || (is_v2 && !is_retry && !commits))
        return SLUICE_OK; /* of version 2: an abort without any partition still bumps the epoch */
    return SLUICE_E_INVALID_TXN_STATE;
}

sl_err txn_rules_end(const struct txn_values *now, const struct txn_who *who, bool commits,
                     int64_t fresh_id, int64_t now_ms, struct txn_values *ret_next,
                     bool *ret_repeated)
{
    sl_err err = txn_rules_check(now, who);
    bool is_retry = err == SLUICE_E_PRODUCER_FENCED && who->is_v2 && who->epoch >= 0 &&
                    who->epoch == now->last_epoch;
    bool repeated = false;
    if (err == SLUICE_OK || is_retry)
        err = end_check(now, who->is_v2, is_retry, commits, &repeated);
    if (err != SLUICE_OK)
        return err;
    struct txn_values next = *now;
    if (!repeated) {
        if (now->state != TXN_ONGOING)
            drop_lists(&next);
        next.state = commits ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT;
        next.update_ms = now_ms;
        next.is_v2 = who->is_v2;
        err = who->is_v2 ? bump(fresh_id, &next) : SLUICE_OK;
    }
    if (err == SLUICE_OK) {
        *ret_next = next;
        *ret_repeated = repeated;
    }
    return err;
}

void txn_rules_fence(const struct txn_values *now, int64_t now_ms, struct txn_values *ret_next)
{
    SL_ASSERT(now->state == TXN_ONGOING);
    struct txn_values next = *now;
    next.state = TXN_PREPARE_ABORT;
    next.epoch = (int16_t)(now->epoch < INT16_MAX ? now->epoch + 1 : now->epoch);
    next.last_epoch = -1;
    next.update_ms = now_ms;
    *ret_next = next;
}

void txn_rules_complete(const struct txn_values *now, int64_t now_ms, struct txn_values *ret_next)
{
    SL_ASSERT(txn_is_prepared(now->state));
    struct txn_values next =
        now->next_producer_id >= 0 ? fresh_values(now, now->next_producer_id) : *now;
    drop_lists(&next);
    next.state = now->state == TXN_PREPARE_COMMIT ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT;
    next.update_ms = now_ms;
    *ret_next = next;
}
