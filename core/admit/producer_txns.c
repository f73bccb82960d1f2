/* producer_txns.c: the transactions of a partition (txn_log.h), in the table of its shard: a
 * partition without any has a zero for them. */
#include "admit/producer_entry.h"

struct txn_log *producers_txns(const struct producers *producers)
{
    return producers->txns == 0 ? NULL : producers->shard->txns[producers->txns - 1];
}

/* A place in the table. 0: no memory. */
static uint32_t number_new(struct producer_shard *shard)
{
    for (uint32_t i = shard->txns_count; i > 0 && shard->txns_free > 0; i--) {
        if (shard->txns[i - 1] == NULL) {
            shard->txns_free--;
            return i;
        }
    }
    if (shard->txns_count == shard->txns_capacity) {
        uint32_t capacity = SL_MAX(shard->txns_capacity * 2, 16u);
        struct txn_log **txns = sl_realloc(shard->txns, capacity * sizeof *txns);
        if (txns == NULL)
            return 0;
        shard->txns = txns;
        shard->txns_capacity = capacity;
    }
    shard->txns[shard->txns_count] = NULL;
    return ++shard->txns_count;
}

sl_err producer_txns_open(struct producers *producers, struct txn_log **ret_log)
{
    struct txn_log *log = producers_txns(producers);
    if (log == NULL) {
        log = sl_alloc(sizeof *log);
        uint32_t number = log == NULL ? 0 : number_new(producers->shard);
        if (number == 0) {
            sl_free(log);
            return SLUICE_E_NO_MEMORY;
        }
        txn_log_init(log);
        producers->shard->txns[number - 1] = log;
        producers->txns = number;
    }
    *ret_log = log;
    return SLUICE_OK;
}

sl_err producer_txns_reserve(struct producers *producers)
{
    struct txn_log *log;
    sl_err err = producer_txns_open(producers, &log);
    if (err == SLUICE_OK)
        err = txn_log_reserve(log);
    if (err == SLUICE_OK)
        log->pending++;
    return err;
}

void producer_txns_release(struct producers *producers)
{
    struct txn_log *log = producers_txns(producers);
    SL_ASSERT(log != NULL && log->pending > 0);
    log->pending--;
}

void producer_txns_begin(struct producers *producers, int64_t producer_id, int64_t first_offset)
{
    txn_log_begin(producers_txns(producers), producer_id, first_offset);
}

void producer_txns_end(struct producers *producers, int64_t producer_id, int64_t marker_offset,
                       bool aborts)
{
    bool was_open = txn_log_end(producers_txns(producers), producer_id, marker_offset, aborts);
    producers->shard->aborted_count += was_open && aborts;
}

void producers_drop_below(struct producers *producers, int64_t offset)
{
    struct txn_log *log = producers_txns(producers);
    if (log != NULL)
        producers->shard->aborted_count -= txn_log_drop_below(log, offset);
}

void producers_forget_aborted(struct producers *producers, const int64_t *marker_offsets,
                              uint32_t count)
{
    struct txn_log *log = producers_txns(producers);
    if (log != NULL)
        producers->shard->aborted_count -= txn_log_forget(log, marker_offsets, count);
}

void producer_txns_free(struct producers *producers)
{
    struct txn_log *log = producers_txns(producers);
    if (log != NULL) {
        SL_ASSERT(log->pending == 0);
        producers->shard->aborted_count -= log->aborted_count;
        txn_log_fini(log);
        sl_free(log);
        producers->shard->txns[producers->txns - 1] = NULL;
        producers->shard->txns_free++;
        producers->txns = 0;
    }
}
