/* fetch_aborted.c: what a reader of committed records is told of aborted transactions (KIP-98).
 *
 * Clients pass over the records of a producer from where its aborted transaction begins until its
 * marker. Compaction takes away the records of aborted transactions, later their markers, and at
 * last the broker forgets them (compact_markers.c). A client that is told of a transaction whose
 * marker is gone would pass over what the producer committed behind it: in a compacted partition
 * only those are told that have records in the answer. And an answer that was read before the
 * broker forgot some may hold records of those: it is given up, and asked for again. [loop] */
#include "shard/fetch.h"

#include <stdlib.h>
#include <string.h>

static int by_first_offset(const void *left, const void *right)
{
    const struct sluice_aborted *a = left;
    const struct sluice_aborted *b = right;
    return (a->first_offset > b->first_offset) - (a->first_offset < b->first_offset);
}

static bool has_records(const struct batch_view *batch)
{
    return batch_view_has(batch, BATCH_TRANSACTIONAL) && !batch_view_has(batch, BATCH_CONTROL);
}

/* Those that have records in the answer go to the front, the others keep their order; returns how
 * many. */
static uint32_t keep_present(const struct txn_log *log, struct sl_bytes rest,
                             struct sluice_aborted *aborted, uint32_t count)
{
    uint32_t kept = 0;
    struct batch_view batch;
    for (; kept < count && batch_view_init(&batch, rest) == SLUICE_OK;
         rest = sl_bytes_of(rest.data + batch.size, rest.size - batch.size)) {
        const struct txn_aborted *txn =
            has_records(&batch) ? txn_log_find_aborted(log, batch_view_producer_id(&batch),
                                                       batch_view_base_offset(&batch))
                                : NULL;
        if (txn == NULL) {
            continue;
        }
        const struct sluice_aborted wanted = {.first_offset = txn->first_offset};
        struct sluice_aborted *first = aborted + kept;
        struct sluice_aborted *at =
            bsearch(&wanted, first, count - kept, sizeof(wanted), by_first_offset);
        if (at != NULL) {
            struct sluice_aborted found = *at;
            memmove(first + 1, first, (size_t)(at - first) * sizeof(found));
            *first = found;
            kept++;
        }
    }
    if (kept > 1) {
        qsort(aborted, kept, sizeof(*aborted), by_first_offset);
    }
    return kept;
}

static sl_err list_overlap(const struct txn_log *log, int64_t from, int64_t to,
                           struct sluice_aborted **ret_aborted, uint32_t *ret_count)
{
    uint32_t count = txn_log_overlap(log, from, to, NULL, 0);
    if (count == 0) {
        return SLUICE_OK;
    }
    struct txn_aborted *found = sl_alloc(count * sizeof(*found));
    struct sluice_aborted *aborted = sl_alloc(count * sizeof(*aborted));
    if (found == NULL || aborted == NULL) {
        sl_free(found);
        sl_free(aborted);
        return SLUICE_E_NO_MEMORY;
    }
    (void)txn_log_overlap(log, from, to, found, count);
    for (uint32_t i = 0; i < count; i++) {
        aborted[i] = (struct sluice_aborted){found[i].producer_id, found[i].first_offset};
    }
    sl_free(found);
    *ret_aborted = aborted;
    *ret_count = count;
    return SLUICE_OK;
}

void fetch_list_aborted(struct fetch_entry *entry, struct sluice_fetch_result *result)
{
    const struct txn_log *log = producers_txns(&entry->partition->producers);
    const struct read_plan *plan = entry->plan;
    uint32_t count = 0;
    if (log == NULL || result->records.size == 0) {
        return;
    }
    if (log->forgotten != entry->forgotten) {
        result->records = (struct sluice_bytes){NULL, 0};
        return;
    }
    /* Up to the end of the last place read. */
    uint32_t last = entry->is_cut ? 0 : plan->place_count - 1;
    int64_t to = SL_MIN(plan->claims[last].last_offset + 1, entry->end_offset);
    sl_err err = list_overlap(log, entry->offset, to, &entry->aborted, &count);
    if (err != SLUICE_OK) {
        result->status = err; /* without the list they would look committed */
        result->records = (struct sluice_bytes){NULL, 0};
    } else if (entry->partition->compacted) {
        struct sl_bytes given = {result->records.data, (size_t)result->records.size};
        count = keep_present(log, given, entry->aborted, count);
    }
    result->aborted = entry->aborted;
    result->aborted_count = count;
}
