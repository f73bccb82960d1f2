/* txn_rules.h: what a request may do to a transactional id (KIP-98, KIP-360, KIP-890): from what is
 * durable to what is to be made durable, or why not. Pure.
 *
 *   Empty ─► Ongoing ─► PrepareCommit ─► CompleteCommit ─► Ongoing …
 *              └──────► PrepareAbort ──► CompleteAbort ──► Ongoing …
 *
 * A transaction of version 2 bumps the epoch when it is decided: its markers carry the new epoch,
 * so that nothing late can follow them. One that ran out of time, or whose producer was replaced,
 * is fenced likewise in both versions. The last epochs are Kafka's: then a new producer id is
 * taken. [any] */
#ifndef SL_ADMIT_TXN_RULES_H
#define SL_ADMIT_TXN_RULES_H

#include "admit/txn_store.h"

/* Who asks. */
struct txn_who {
    int64_t producer_id; /* -1: nobody in particular */
    int16_t epoch;
    bool is_v2;
};

#define TXN_NO_ID ((int64_t)-1) /* as fresh_id: none was taken yet */

/* A producer takes the id over. fresh_id: a producer id that nobody has. E_WOULD_BLOCK: it is
 * needed; E_BUSY: a transaction is open and must be aborted first (txn_rules_fence);
 * E_PRODUCER_FENCED, E_CONCURRENT_TRANSACTIONS. */
sl_err txn_rules_init(const struct txn_values *now, const struct txn_who *expected,
                      int32_t timeout_ms, int64_t fresh_id, int64_t now_ms,
                      struct txn_values *ret_next) SL_MUST_CHECK;
/* The producer's own: E_INVALID_PRODUCER_ID_MAPPING, E_PRODUCER_FENCED. */
sl_err txn_rules_check(const struct txn_values *now, const struct txn_who *who) SL_MUST_CHECK;
/* Partitions or groups are added (the caller adds them to ret_next). E_CONCURRENT_TRANSACTIONS and
 * those of txn_rules_check. */
sl_err txn_rules_add(const struct txn_values *now, const struct txn_who *who, int64_t now_ms,
                     struct txn_values *ret_next) SL_MUST_CHECK;
/* Decides. *ret_repeated: the producer asks again for what is done; nothing is to be written.
 * E_WOULD_BLOCK as in txn_rules_init; E_INVALID_TXN_STATE and those of txn_rules_add. */
sl_err txn_rules_end(const struct txn_values *now, const struct txn_who *who, bool commits,
                     int64_t fresh_id, int64_t now_ms, struct txn_values *ret_next,
                     bool *ret_repeated) SL_MUST_CHECK;
/* Aborts an open transaction, whoever it is of, and fences its producer. */
void txn_rules_fence(const struct txn_values *now, int64_t now_ms, struct txn_values *ret_next);
/* All markers are durable. */
void txn_rules_complete(const struct txn_values *now, int64_t now_ms, struct txn_values *ret_next);

static inline bool txn_is_prepared(uint8_t state)
{
    return state == TXN_PREPARE_COMMIT || state == TXN_PREPARE_ABORT;
}

#endif
