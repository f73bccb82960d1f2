/* txn_log.h: transactions in one partition: which are open, which were aborted (KIP-98).
 *
 * The last stable offset is the first offset of the transaction that is open longest. Readers of
 * committed records get, beside the records, the aborted transactions that overlap them. An aborted
 * transaction is remembered until the log start has passed its marker.
 *
 * Most partitions have none: the log is made with the first transactional batch, and hangs on
 * struct producers (producer_state.h), which calls this. Room is made when a batch is admitted, so
 * that what is durable always finds it. One thread. */
#ifndef SL_ADMIT_TXN_LOG_H
#define SL_ADMIT_TXN_LOG_H

#include "base/base.h"

struct txn_open {
    int64_t producer_id;
    int64_t first_offset;
};

struct txn_aborted {
    int64_t producer_id;
    int64_t first_offset;
    int64_t last_offset;   /* of its marker */
    int64_t stable_offset; /* the last stable offset when it ended: none that ends later begins
                              below it */
};

struct txn_log {
    struct txn_open *open;       /* by first offset; owned */
    struct txn_aborted *aborted; /* by last offset; owned */
    uint32_t open_count, open_capacity;
    uint32_t aborted_count, aborted_capacity;
    uint32_t pending;       /* transactional batches and markers under way: each has room in both */
    int64_t applied_offset; /* batches below it are in what a checkpoint told; 0: there was none */
    uint32_t forgotten;     /* calls of txn_log_forget that did */
};

void txn_log_init(struct txn_log *log);
void txn_log_fini(struct txn_log *log);
/* Room for one more of both kinds beside those that are pending. E_NO_MEMORY. */
sl_err txn_log_reserve(struct txn_log *log) SL_MUST_CHECK;
/* The producer's first batch of a transaction; nothing when it has one open. There is room. */
void txn_log_begin(struct txn_log *log, int64_t producer_id, int64_t first_offset);
/* The marker at that offset, where the partition ends then: true when one was open. */
bool txn_log_end(struct txn_log *log, int64_t producer_id, int64_t marker_offset, bool aborts);
/* INT64_MAX: none is open. */
int64_t txn_log_first_open(const struct txn_log *log);
/* Of the producer's open transaction; -1: it has none. */
int64_t txn_log_first_of(const struct txn_log *log, int64_t producer_id);
/* The aborted transaction that a record of the producer at that offset is of; NULL: of none. */
const struct txn_aborted *txn_log_find_aborted(const struct txn_log *log, int64_t producer_id,
                                               int64_t offset);
bool txn_log_is_aborted(const struct txn_log *log, int64_t producer_id, int64_t offset);
/* How many aborted transactions have records or their marker in [from, to); those are written to
 * ret_aborted, by first offset, when there is room for all of them (count_max). */
uint32_t txn_log_overlap(const struct txn_log *log, int64_t from, int64_t to,
                         struct txn_aborted *ret_aborted, uint32_t count_max);
/* The aborted ones alone, into an empty log; another thread may ask it. E_NO_MEMORY. */
sl_err txn_log_copy_aborted(struct txn_log *ret_copy, const struct txn_log *log) SL_MUST_CHECK;
/* Forgets what ended below the offset; returns how many aborted ones. */
uint32_t txn_log_drop_below(struct txn_log *log, int64_t offset);
/* Forgets aborted ones of which no record is left (compaction), by the offsets of their markers in
 * rising order; returns how many of them it knew. */
uint32_t txn_log_forget(struct txn_log *log, const int64_t *marker_offsets, uint32_t count);
/* How often it did; bytes that were read before the last time may hold records of such a
 * transaction, and are read again. NULL: 0. */
static inline uint32_t txn_log_forgotten(const struct txn_log *log)
{
    return log != NULL ? log->forgotten : 0;
}
/* Of a checkpoint; at the end of its kind, in order. E_CORRUPT, E_NO_MEMORY. */
sl_err txn_log_restore_open(struct txn_log *log, const struct txn_open *open) SL_MUST_CHECK;
sl_err txn_log_restore_aborted(struct txn_log *log,
                               const struct txn_aborted *aborted) SL_MUST_CHECK;

#endif
