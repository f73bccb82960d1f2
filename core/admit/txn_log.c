/* txn_log.c: see txn_log.h. */
#include "admit/txn_log.h"

#include <stdlib.h>
#include <string.h>

#define CAPACITY_FIRST 4u

void txn_log_init(struct txn_log *log)
{
    *log = (struct txn_log){0};
}

void txn_log_fini(struct txn_log *log)
{
    sl_free(log->open);
    sl_free(log->aborted);
    *log = (struct txn_log){0};
}

/* ---- room ---- */

static uint32_t grown(uint32_t capacity, uint32_t count)
{
    return SL_MAX(SL_MAX(capacity * 2, count), CAPACITY_FIRST);
}

static sl_err open_reserve(struct txn_log *log, uint32_t count)
{
    if (count <= log->open_capacity)
        return SLUICE_OK;
    uint32_t capacity = grown(log->open_capacity, count);
    struct txn_open *open = sl_realloc(log->open, capacity * sizeof *open);
    if (open == NULL)
        return SLUICE_E_NO_MEMORY;
    log->open = open;
    log->open_capacity = capacity;
    return SLUICE_OK;
}

static sl_err aborted_reserve(struct txn_log *log, uint32_t count)
{
    if (count <= log->aborted_capacity)
        return SLUICE_OK;
    uint32_t capacity = grown(log->aborted_capacity, count);
    struct txn_aborted *aborted = sl_realloc(log->aborted, capacity * sizeof *aborted);
    if (aborted == NULL)
        return SLUICE_E_NO_MEMORY;
    log->aborted = aborted;
    log->aborted_capacity = capacity;
    return SLUICE_OK;
}

sl_err txn_log_reserve(struct txn_log *log)
{
    sl_err err = open_reserve(log, log->open_count + log->pending + 1);
    return err != SLUICE_OK ? err : aborted_reserve(log, log->aborted_count + log->pending + 1);
}

/* ---- open ones ---- */

static struct txn_open *open_of(const struct txn_log *log, int64_t producer_id)
{
    for (uint32_t i = 0; i < log->open_count; i++) {
        if (log->open[i].producer_id == producer_id)
            return &log->open[i];
    }
    return NULL;
}

int64_t txn_log_first_open(const struct txn_log *log)
{
    return log->open_count > 0 ? log->open[0].first_offset : INT64_MAX;
}

int64_t txn_log_first_of(const struct txn_log *log, int64_t producer_id)
{
    const struct txn_open *open = open_of(log, producer_id);
    return open != NULL ? open->first_offset : -1;
}

void txn_log_begin(struct txn_log *log, int64_t producer_id, int64_t first_offset)
{
    if (open_of(log, producer_id) != NULL)
        return;
    SL_ASSERT(log->open_count < log->open_capacity);
    SL_ASSERT(log->open_count == 0 || log->open[log->open_count - 1].first_offset < first_offset);
    log->open[log->open_count++] = (struct txn_open){producer_id, first_offset};
}

bool txn_log_end(struct txn_log *log, int64_t producer_id, int64_t marker_offset, bool aborts)
{
    struct txn_open *open = open_of(log, producer_id);
    if (open == NULL)
        return false;
    struct txn_aborted aborted = {.producer_id = producer_id,
                                  .first_offset = open->first_offset,
                                  .last_offset = marker_offset};
    uint32_t index = (uint32_t)(open - log->open);
    log->open_count--;
    memmove(open, open + 1, (log->open_count - index) * sizeof *open);
    aborted.stable_offset = SL_MIN(txn_log_first_open(log), marker_offset + 1);
    if (aborts) {
        SL_ASSERT(log->aborted_count < log->aborted_capacity);
        log->aborted[log->aborted_count++] = aborted;
    }
    return true;
}

/* ---- aborted ones ---- */

/* The first that ends at or behind the offset. */
static uint32_t aborted_find(const struct txn_log *log, int64_t offset)
{
    uint32_t low = 0;
    uint32_t high = log->aborted_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (log->aborted[middle].last_offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct txn_aborted *txn_log_find_aborted(const struct txn_log *log, int64_t producer_id,
                                               int64_t offset)
{
    for (uint32_t i = aborted_find(log, offset); i < log->aborted_count; i++) {
        const struct txn_aborted *aborted = &log->aborted[i];
        if (aborted->producer_id == producer_id && aborted->first_offset <= offset)
            return aborted;
        if (aborted->stable_offset > offset)
            break;
    }
    return NULL;
}

bool txn_log_is_aborted(const struct txn_log *log, int64_t producer_id, int64_t offset)
{
    return txn_log_find_aborted(log, producer_id, offset) != NULL;
}

static int by_first(const void *left, const void *right)
{
    const struct txn_aborted *a = left;
    const struct txn_aborted *b = right;
    return (a->first_offset > b->first_offset) - (a->first_offset < b->first_offset);
}

uint32_t txn_log_overlap(const struct txn_log *log, int64_t from, int64_t to,
                         struct txn_aborted *ret_aborted, uint32_t count_max)
{
    uint32_t count = 0;
    for (uint32_t i = aborted_find(log, from); i < log->aborted_count; i++) {
        const struct txn_aborted *aborted = &log->aborted[i];
        if (aborted->first_offset < to) {
            if (count < count_max)
                ret_aborted[count] = *aborted;
            count++;
        }
        if (aborted->stable_offset >= to)
            break;
    }
    if (count > 0 && count <= count_max)
        qsort(ret_aborted, count, sizeof *ret_aborted, by_first);
    return count;
}

sl_err txn_log_copy_aborted(struct txn_log *ret_copy, const struct txn_log *log)
{
    txn_log_init(ret_copy);
    if (log->aborted_count == 0)
        return SLUICE_OK;
    sl_err err = aborted_reserve(ret_copy, log->aborted_count);
    if (err == SLUICE_OK) {
        memcpy(ret_copy->aborted, log->aborted, log->aborted_count * sizeof *log->aborted);
        ret_copy->aborted_count = log->aborted_count;
    }
    return err;
}

uint32_t txn_log_drop_below(struct txn_log *log, int64_t offset)
{
    uint32_t count = aborted_find(log, offset);
    if (count > 0) {
        log->aborted_count -= count;
        memmove(log->aborted, log->aborted + count, log->aborted_count * sizeof *log->aborted);
    }
    return count;
}

uint32_t txn_log_forget(struct txn_log *log, const int64_t *marker_offsets, uint32_t count)
{
    uint32_t kept = 0;
    uint32_t next = 0;
    for (uint32_t i = 0; i < log->aborted_count; i++) {
        while (next < count && marker_offsets[next] < log->aborted[i].last_offset)
            next++;
        if (next == count || marker_offsets[next] != log->aborted[i].last_offset)
            log->aborted[kept++] = log->aborted[i];
    }
    uint32_t forgotten = log->aborted_count - kept;
    log->aborted_count = kept;
    log->forgotten += forgotten > 0;
    return forgotten;
}

/* ---- of a checkpoint ---- */

sl_err txn_log_restore_open(struct txn_log *log, const struct txn_open *open)
{
    if (log->open_count > 0 && log->open[log->open_count - 1].first_offset >= open->first_offset)
        return SLUICE_E_CORRUPT;
    sl_err err = open_reserve(log, log->open_count + 1);
    if (err == SLUICE_OK)
        log->open[log->open_count++] = *open;
    return err;
}

sl_err txn_log_restore_aborted(struct txn_log *log, const struct txn_aborted *aborted)
{
    if (aborted->first_offset < 0 || aborted->last_offset <= aborted->first_offset ||
        aborted->stable_offset > aborted->last_offset + 1 ||
        (log->aborted_count > 0 &&
         log->aborted[log->aborted_count - 1].last_offset >= aborted->last_offset))
        return SLUICE_E_CORRUPT;
    sl_err err = aborted_reserve(log, log->aborted_count + 1);
    if (err == SLUICE_OK)
        log->aborted[log->aborted_count++] = *aborted;
    return err;
}
