/* producer_state.c: producers of a shard: one table over all partitions, and two orders of
 * idleness.
 *
 * An entry stands in its shard's list and in its partition's list, both with the one idle longest
 * first; a batch moves it to the end of both. Batches under way hang on their entry in the order of
 * admission. */
#include "admit/producer_state.h"

#include "admit/producer_entry.h"
#include "base/status.h"

#include <stdlib.h>

/* ---- the two orders ---- */

static void shard_unlink(struct producer_entry *entry)
{
    struct producer_shard *shard = entry->owner->shard;
    struct producer_entry *older = producer_entry_at(shard, entry->shard_older);
    struct producer_entry *newer = producer_entry_at(shard, entry->shard_newer);
    *(older != NULL ? &older->shard_newer : &shard->oldest) = entry->shard_newer;
    *(newer != NULL ? &newer->shard_older : &shard->newest) = entry->shard_older;
}

static void shard_append(struct producer_entry *entry)
{
    struct producer_shard *shard = entry->owner->shard;
    struct producer_entry *newest = producer_entry_at(shard, shard->newest);
    entry->shard_older = shard->newest;
    entry->shard_newer = 0;
    *(newest != NULL ? &newest->shard_newer : &shard->oldest) = entry->number;
    shard->newest = entry->number;
}

static void owner_unlink(struct producer_entry *entry)
{
    struct producers *owner = entry->owner;
    struct producer_entry *older = producer_entry_at(owner->shard, entry->older);
    struct producer_entry *newer = producer_entry_at(owner->shard, entry->newer);
    *(older != NULL ? &older->newer : &owner->oldest) = entry->newer;
    *(newer != NULL ? &newer->older : &owner->newest) = entry->older;
}

static void owner_append(struct producer_entry *entry)
{
    struct producers *owner = entry->owner;
    struct producer_entry *newest = producer_entry_at(owner->shard, owner->newest);
    entry->older = owner->newest;
    entry->newer = 0;
    *(newest != NULL ? &newest->newer : &owner->oldest) = entry->number;
    owner->newest = entry->number;
}

void producer_entry_touch(struct producer_entry *entry, int64_t now_ms)
{
    shard_unlink(entry);
    shard_append(entry);
    owner_unlink(entry);
    owner_append(entry);
    entry->last_ms = SL_MAX(entry->last_ms, now_ms);
}

static void entry_remove(struct producer_entry *entry)
{
    SL_ASSERT(entry->pending == NULL);
    shard_unlink(entry);
    owner_unlink(entry);
    entry->owner->count--;
    producer_entry_forget(entry);
    producer_table_remove(entry);
}

static void entry_drop_empty(struct producer_entry *entry)
{
    if (entry->pending == NULL && entry->past_count == 0 && entry->refused_err == SLUICE_OK &&
        !entry->is_fenced && !entry->in_txn)
        entry_remove(entry);
}

/* A batch under way or an open transaction keeps it. */
static bool is_held(const struct producer_entry *entry)
{
    return entry->pending != NULL || entry->in_txn;
}

/* Makes room where a bound is reached. E_BUSY: everything that could go is held. */
static sl_err room_make(struct producers *producers)
{
    struct producer_shard *shard = producers->shard;
    struct producer_entry *entry = NULL;
    if (producers->count >= shard->limits.partition_max) {
        entry = producer_entry_at(shard, producers->oldest);
        while (entry != NULL && is_held(entry))
            entry = producer_entry_at(shard, entry->newer);
    } else if (shard->count >= shard->limits.shard_max) {
        entry = producer_entry_at(shard, shard->oldest);
        while (entry != NULL && is_held(entry))
            entry = producer_entry_at(shard, entry->shard_newer);
    } else {
        return SLUICE_OK;
    }
    if (entry == NULL)
        return SLUICE_E_BUSY;
    entry_remove(entry);
    shard->evicted++;
    return SLUICE_OK;
}

sl_err producer_entry_add(struct producers *producers, int64_t id, int64_t now_ms,
                          struct producer_entry **ret_entry)
{
    sl_err err = room_make(producers);
    if (err != SLUICE_OK)
        return err;
    struct producer_entry *entry;
    err = producer_table_put(producers, id, &entry);
    if (err != SLUICE_OK)
        return err;
    entry->last_ms = now_ms;
    shard_append(entry);
    owner_append(entry);
    producers->count++;
    *ret_entry = entry;
    return SLUICE_OK;
}

/* ---- shard and partition ---- */

struct producer_shard *producer_shard_new(const struct producer_limits *limits)
{
    struct producer_shard *shard = sl_alloc_zero(1, sizeof *shard);
    if (shard == NULL)
        return NULL;
    shard->limits.partition_max = limits->partition_max != 0 ? limits->partition_max : 10000;
    shard->limits.shard_max = limits->shard_max != 0 ? limits->shard_max : 1000000;
    shard->limits.expiry_ms = limits->expiry_ms != 0 ? limits->expiry_ms : 86400000;
    if (producer_table_init(shard) == SLUICE_OK)
        return shard;
    sl_free(shard);
    return NULL;
}

struct producer_shard *producer_shard_free(struct producer_shard *shard)
{
    if (shard != NULL) {
        SL_ASSERT(shard->count == 0);
        producer_table_fini(shard);
        sl_free(shard->txns);
        sl_free(shard);
    }
    return NULL;
}

uint32_t producer_shard_count(const struct producer_shard *shard)
{
    return shard->count;
}

uint64_t producer_shard_evicted(const struct producer_shard *shard)
{
    return shard->evicted;
}

uint32_t producer_shard_expire(struct producer_shard *shard, int64_t now_ms)
{
    uint32_t count = 0;
    struct producer_entry *entry = producer_entry_at(shard, shard->oldest);
    while (entry != NULL && now_ms - entry->last_ms >= shard->limits.expiry_ms) {
        struct producer_entry *newer = producer_entry_at(shard, entry->shard_newer);
        if (!is_held(entry)) {
            entry_remove(entry);
            count++;
        }
        entry = newer;
    }
    return count;
}

struct idle_entry {
    int64_t last_ms;
    size_t order;
    struct producer_entry *entry;
};

static int idle_compare(const void *left, const void *right)
{
    const struct idle_entry *a = left;
    const struct idle_entry *b = right;
    if (a->last_ms != b->last_ms)
        return a->last_ms < b->last_ms ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

static bool is_sorted(const struct producer_shard *shard)
{
    const struct producer_entry *entry = producer_entry_at(shard, shard->oldest);
    while (entry != NULL) {
        const struct producer_entry *newer = producer_entry_at(shard, entry->shard_newer);
        if (newer != NULL && newer->last_ms < entry->last_ms)
            return false;
        entry = newer;
    }
    return true;
}

void producer_shard_sort(struct producer_shard *shard)
{
    if (is_sorted(shard))
        return;
    struct idle_entry *all = sl_alloc(shard->count * sizeof *all);
    if (all == NULL)
        return;
    size_t count = 0;
    struct producer_entry *entry = producer_entry_at(shard, shard->oldest);
    for (; entry != NULL; entry = producer_entry_at(shard, entry->shard_newer)) {
        all[count] = (struct idle_entry){entry->last_ms, count, entry};
        count++;
    }
    qsort(all, count, sizeof *all, idle_compare);
    shard->oldest = shard->newest = 0;
    for (size_t i = 0; i < count; i++)
        shard_append(all[i].entry);
    sl_free(all);
}

void producers_init(struct producers *producers, struct producer_shard *shard)
{
    *producers = (struct producers){.shard = shard};
}

void producers_fini(struct producers *producers)
{
    while (producers->oldest != 0)
        entry_remove(producer_entry_at(producers->shard, producers->oldest));
    SL_ASSERT(producers->count == 0);
    producer_txns_free(producers);
}

static struct producer_past newest_past(const struct producer_entry *entry)
{
    return producer_entry_past(entry, entry->past_count - 1u);
}

/* ---- the rules ---- */

/* a + delta on the circle of 2^31 sequence numbers. */
static int32_t sequence_add(int32_t sequence, uint32_t delta)
{
    return (int32_t)(((uint32_t)sequence + delta) & INT32_MAX);
}

static int32_t last_sequence_of(const struct producer_batch *batch)
{
    return sequence_add(batch->base_sequence, batch->record_count - 1);
}

static struct producer_admission *newest_pending(const struct producer_entry *entry)
{
    struct producer_admission *admission = entry->pending;
    while (admission != NULL && admission->next != NULL)
        admission = admission->next;
    return admission;
}

static struct producer_admission *pending_match(const struct producer_entry *entry,
                                                const struct producer_batch *batch)
{
    struct producer_admission *admission = entry->pending;
    while (admission != NULL && (admission->epoch != batch->producer_epoch ||
                                 admission->first_sequence != batch->base_sequence ||
                                 admission->last_sequence != last_sequence_of(batch)))
        admission = admission->next;
    return admission;
}

static bool past_match(const struct producer_entry *entry, const struct producer_batch *batch,
                       struct producer_past *ret_past)
{
    if (entry->epoch != batch->producer_epoch)
        return false;
    for (uint32_t i = 0; i < entry->past_count; i++) {
        struct producer_past past = producer_entry_past(entry, i);
        if (past.first_sequence == batch->base_sequence &&
            past.last_sequence == last_sequence_of(batch)) {
            *ret_past = past;
            return true;
        }
    }
    return false;
}

/* ---- what was refused for now ----
 *
 * A producer has several batches under way. When one is refused as the disk is full, those behind
 * it are out of order; told so, librdkafka gives its producer up when it had to send them again
 * over a new connection. Kafka looks at the disk before it looks at sequences, so that all are
 * refused alike. The same here, also when there is room again meanwhile: until the first of them is
 * back. */

static void refused_note(struct producer_entry *entry, const struct producer_admission *admission,
                         sl_err err)
{
    if (entry->refused_err == SLUICE_OK || entry->refused_epoch != admission->epoch) {
        entry->refused_err = (int16_t)err;
        entry->refused_epoch = admission->epoch;
        entry->refused_sequence = admission->first_sequence;
    }
}

static bool is_behind_refused(const struct producer_entry *entry,
                              const struct producer_batch *batch)
{
    return entry->refused_err != SLUICE_OK && entry->refused_epoch == batch->producer_epoch &&
           entry->refused_sequence != batch->base_sequence;
}

static bool is_known(const struct producer_entry *entry)
{
    return entry->pending != NULL || entry->past_count > 0 || entry->is_fenced;
}

/* That the next one follows; -1: it begins with 0. */
static int32_t last_sequence(const struct producer_entry *entry)
{
    const struct producer_admission *pending = newest_pending(entry);
    if (pending != NULL)
        return pending->last_sequence;
    return entry->past_count > 0 ? newest_past(entry).last_sequence : -1;
}

static bool in_txn(const struct producer_entry *entry)
{
    bool is_in = entry->in_txn;
    for (const struct producer_admission *at = entry->pending; at != NULL; at = at->next)
        is_in = at->transactional ? !at->is_marker : is_in;
    return is_in;
}

/* Rule 5. */
static sl_err begin_check(const struct producer_batch *batch)
{
    return batch->begins_at_zero && batch->base_sequence != 0 ? SLUICE_E_OUT_OF_ORDER_SEQUENCE
                                                              : SLUICE_OK;
}

static sl_err order_check(const struct producer_entry *entry, const struct producer_batch *batch)
{
    const struct producer_admission *pending = newest_pending(entry);
    int16_t epoch = pending != NULL ? pending->epoch : entry->epoch;
    if (is_behind_refused(entry, batch))
        return entry->refused_err;
    if (!is_known(entry))
        return begin_check(batch); /* all that is known is what was refused: as good as unknown */
    if (batch->producer_epoch < epoch)
        return SLUICE_E_INVALID_PRODUCER_EPOCH;
    if (batch->producer_epoch > epoch)
        return batch->base_sequence == 0 ? SLUICE_OK : SLUICE_E_OUT_OF_ORDER_SEQUENCE;
    return batch->base_sequence == sequence_add(last_sequence(entry), 1)
               ? SLUICE_OK
               : SLUICE_E_OUT_OF_ORDER_SEQUENCE;
}

static bool batch_is_sound(const struct producer_batch *batch)
{
    return batch->producer_id >= 0 && batch->producer_epoch >= 0 && batch->base_sequence >= 0 &&
           batch->record_count >= 1 && batch->record_count <= INT32_MAX;
}

/* Rule 6, and the bound on what is aborted. */
static sl_err txn_check(const struct producers *producers, const struct producer_entry *entry,
                        const struct producer_batch *batch)
{
    if (!batch->transactional)
        return entry != NULL && in_txn(entry) ? SLUICE_E_INVALID_TXN_STATE : SLUICE_OK;
    return producers->shard->aborted_count >= PRODUCER_ABORTED_MAX ? SLUICE_E_LIMIT : SLUICE_OK;
}

sl_err producers_check(const struct producers *producers, const struct producer_batch *batch,
                       struct producer_verdict *ret_verdict)
{
    struct producer_verdict verdict = {PRODUCER_NEW, -1, -1};
    if (!batch_is_sound(batch))
        return batch->producer_epoch < 0 ? SLUICE_E_INVALID_PRODUCER_EPOCH
                                         : SLUICE_E_INVALID_RECORD;
    const struct producer_entry *entry = producer_entry_get(producers, batch->producer_id);
    struct producer_past past;
    if (entry != NULL && past_match(entry, batch, &past)) {
        verdict =
            (struct producer_verdict){PRODUCER_DUPLICATE, past.base_offset, past.append_time_ms};
    } else if (entry != NULL && pending_match(entry, batch) != NULL) {
        verdict.kind = PRODUCER_PENDING;
    } else {
        sl_err err = entry != NULL ? order_check(entry, batch) : begin_check(batch);
        if (err == SLUICE_OK)
            err = txn_check(producers, entry, batch);
        if (err != SLUICE_OK)
            return err;
    }
    *ret_verdict = verdict;
    return SLUICE_OK;
}

/* ---- two phases ---- */

static int16_t known_epoch(const struct producer_entry *entry)
{
    const struct producer_admission *pending = newest_pending(entry);
    return pending != NULL ? pending->epoch : entry->epoch;
}

static void pending_append(struct producer_entry *entry, struct producer_admission *admission)
{
    struct producer_admission *newest = newest_pending(entry);
    *(newest != NULL ? &newest->next : &entry->pending) = admission;
}

sl_err producers_admit(struct producers *producers, const struct producer_batch *batch,
                       struct producer_admission *ret_admission, int64_t now_ms)
{
    struct producer_entry *entry = producer_entry_get(producers, batch->producer_id);
    sl_err err = producer_spare_fill(producers->shard);
    if (err == SLUICE_OK && batch->transactional)
        err = producer_txns_reserve(producers);
    if (err != SLUICE_OK)
        return err;
    if (entry == NULL)
        err = producer_entry_add(producers, batch->producer_id, now_ms, &entry);
    if (err != SLUICE_OK) {
        if (batch->transactional)
            producer_txns_release(producers);
        return err;
    }
    entry->refused_err = SLUICE_OK;
    *ret_admission = (struct producer_admission){
        .entry = entry,
        .first_sequence = batch->base_sequence,
        .last_sequence = last_sequence_of(batch),
        .epoch = batch->producer_epoch,
        .transactional = batch->transactional,
    };
    pending_append(entry, ret_admission);
    return SLUICE_OK;
}

sl_err producers_admit_marker(struct producers *producers, int64_t producer_id, int16_t epoch,
                              bool aborts, struct producer_admission *ret_admission, int64_t now_ms)
{
    struct producer_entry *entry = producer_entry_get(producers, producer_id);
    if (entry != NULL && is_known(entry) && epoch < known_epoch(entry))
        return SLUICE_E_INVALID_PRODUCER_EPOCH;
    sl_err err = producer_txns_reserve(producers);
    if (err != SLUICE_OK)
        return err;
    if (entry == NULL)
        err = producer_entry_add(producers, producer_id, now_ms, &entry);
    if (err != SLUICE_OK) {
        producer_txns_release(producers);
        return err;
    }
    bool same_epoch = is_known(entry) && epoch == known_epoch(entry);
    *ret_admission = (struct producer_admission){
        .entry = entry,
        .first_sequence = -1,
        .last_sequence = same_epoch ? last_sequence(entry) : -1,
        .epoch = epoch,
        .transactional = true,
        .is_marker = true,
        .aborts = aborts,
    };
    pending_append(entry, ret_admission);
    return SLUICE_OK;
}

bool producers_in_txn(const struct producers *producers, int64_t producer_id)
{
    const struct producer_entry *entry = producer_entry_get(producers, producer_id);
    return entry != NULL && in_txn(entry);
}

static void pending_unlink(struct producer_admission *admission)
{
    struct producer_admission **at = &admission->entry->pending;
    while (*at != NULL && *at != admission)
        at = &(*at)->next;
    SL_ASSERT(*at == admission);
    *at = admission->next;
    admission->next = NULL;
}

static void waiters_answer(struct producer_waiter *waiters, sl_err err, int64_t base_offset,
                           int64_t append_time_ms)
{
    while (waiters != NULL) {
        struct producer_waiter *waiter = waiters;
        waiters = waiter->next;
        waiter->next = NULL;
        waiter->done(waiter, err, base_offset, append_time_ms);
    }
}

/* What a durable marker leaves of its producer. */
static void entry_mark(struct producer_entry *entry, int16_t epoch)
{
    if (epoch > entry->epoch || entry->past_count == 0) {
        producer_entry_forget(entry);
        entry->epoch = epoch;
        entry->is_fenced = true;
    }
    entry->in_txn = false;
}

static void marker_commit(struct producers *producers, struct producer_admission *admission,
                          int64_t offset, int64_t now_ms)
{
    struct producer_entry *entry = admission->entry;
    producer_txns_release(producers);
    producer_txns_end(producers, entry->id, offset, admission->aborts);
    entry_mark(entry, admission->epoch);
    producer_entry_touch(entry, now_ms);
    admission->entry = NULL;
}

void producers_commit(struct producers *producers, struct producer_admission *admission,
                      int64_t base_offset, int64_t last_offset, int64_t append_time_ms,
                      int64_t now_ms)
{
    struct producer_entry *entry = admission->entry;
    struct producer_waiter *waiters = admission->waiters;
    SL_ASSERT(entry->owner == producers && entry->pending == admission);
    pending_unlink(admission);
    if (admission->is_marker) {
        marker_commit(producers, admission, base_offset, now_ms);
        return;
    }
    if (admission->transactional) {
        producer_txns_release(producers);
        producer_txns_begin(producers, entry->id, base_offset);
        entry->in_txn = true;
    }
    struct producer_past past = {
        .first_sequence = admission->first_sequence,
        .last_sequence = admission->last_sequence,
        .base_offset = base_offset,
        .last_offset = last_offset,
        .append_time_ms = append_time_ms,
    };
    sl_err err = producer_entry_remember(entry, admission->epoch, &past);
    (void)err; /* the batch is durable: older ones are forgotten, where the spare was used too */
    producer_entry_touch(entry, now_ms);
    admission->entry = NULL;
    admission->waiters = NULL;
    waiters_answer(waiters, SLUICE_OK, base_offset, append_time_ms);
}

void producers_abort(struct producers *producers, struct producer_admission *admission, sl_err err)
{
    struct producer_entry *entry = admission->entry;
    struct producer_waiter *waiters = admission->waiters;
    SL_ASSERT(entry->owner == producers && err != SLUICE_OK);
    pending_unlink(admission);
    if (admission->transactional)
        producer_txns_release(producers);
    /* Fenced, nothing is taken any more; a marker comes again by itself. */
    if (sl_status_is_retriable(err) && err != SLUICE_E_FENCED && !admission->is_marker)
        refused_note(entry, admission, err);
    entry_drop_empty(entry);
    admission->entry = NULL;
    admission->waiters = NULL;
    waiters_answer(waiters, err, -1, -1);
}

void producers_wait(struct producers *producers, const struct producer_batch *batch,
                    struct producer_waiter *waiter)
{
    struct producer_entry *entry = producer_entry_get(producers, batch->producer_id);
    struct producer_admission *admission = entry == NULL ? NULL : pending_match(entry, batch);
    SL_ASSERT(admission != NULL);
    struct producer_waiter **at = &admission->waiters;
    while (*at != NULL)
        at = &(*at)->next;
    waiter->next = NULL;
    *at = waiter;
}

bool producers_unwait(struct producers *producers, const struct producer_batch *batch,
                      struct producer_waiter *waiter)
{
    struct producer_entry *entry = producer_entry_get(producers, batch->producer_id);
    struct producer_admission *admission = entry == NULL ? NULL : pending_match(entry, batch);
    if (admission == NULL)
        return false;
    struct producer_waiter **at = &admission->waiters;
    while (*at != NULL && *at != waiter)
        at = &(*at)->next;
    if (*at == NULL)
        return false;
    *at = waiter->next;
    waiter->next = NULL;
    return true;
}

/* Whether the checkpoint told of it already. */
static bool is_applied(const struct producers *producers, int64_t offset)
{
    const struct txn_log *log = producers_txns(producers);
    return log != NULL && offset < log->applied_offset;
}

static sl_err apply_begin(struct producers *producers, struct producer_entry *entry,
                          int64_t base_offset)
{
    if (is_applied(producers, base_offset))
        return SLUICE_OK;
    sl_err err = producer_txns_reserve(producers);
    if (err == SLUICE_OK) {
        producer_txns_release(producers);
        producer_txns_begin(producers, entry->id, base_offset);
        entry->in_txn = true;
    }
    return err;
}

sl_err producers_apply_marker(struct producers *producers, int64_t producer_id, int16_t epoch,
                              bool aborts, int64_t offset, int64_t time_ms)
{
    if (producer_id < 0 || epoch < 0)
        return SLUICE_E_CORRUPT;
    struct producer_entry *entry = producer_entry_get(producers, producer_id);
    if (is_applied(producers, offset) || (entry != NULL && epoch < entry->epoch))
        return SLUICE_OK;
    sl_err err = producer_txns_reserve(producers);
    if (err != SLUICE_OK)
        return err;
    producer_txns_release(producers);
    if (entry == NULL)
        err = producer_entry_add(producers, producer_id, time_ms, &entry);
    if (err != SLUICE_OK)
        return err;
    producer_txns_end(producers, producer_id, offset, aborts);
    entry_mark(entry, epoch);
    producer_entry_touch(entry, time_ms);
    return SLUICE_OK;
}

sl_err producers_apply(struct producers *producers, const struct producer_batch *batch,
                       int64_t base_offset, int64_t last_offset, int64_t append_time_ms,
                       int64_t time_ms)
{
    if (!batch_is_sound(batch))
        return SLUICE_E_CORRUPT;
    struct producer_entry *entry = producer_entry_get(producers, batch->producer_id);
    if (entry == NULL) {
        sl_err err = producer_entry_add(producers, batch->producer_id, time_ms, &entry);
        if (err != SLUICE_OK)
            return err;
    }
    /* A checkpoint may hold what the frames behind it tell again. */
    if (entry->past_count != 0 && newest_past(entry).base_offset >= base_offset)
        return SLUICE_OK;
    if (batch->transactional) {
        sl_err err = apply_begin(producers, entry, base_offset);
        if (err != SLUICE_OK)
            return err;
    }
    struct producer_past past = {
        .first_sequence = batch->base_sequence,
        .last_sequence = last_sequence_of(batch),
        .base_offset = base_offset,
        .last_offset = last_offset,
        .append_time_ms = append_time_ms,
    };
    sl_err err = producer_entry_remember(entry, batch->producer_epoch, &past);
    producer_entry_touch(entry, time_ms);
    return err;
}

uint32_t producers_ends(const struct producers *producers, struct producer_end *ret_ends,
                        uint32_t count_max)
{
    uint32_t count = 0;
    const struct producer_shard *shard = producers->shard;
    const struct producer_entry *entry = producer_entry_at(shard, producers->newest);
    for (; entry != NULL && count < count_max; entry = producer_entry_at(shard, entry->older)) {
        if (entry->past_count > 0 || entry->is_fenced) {
            ret_ends[count++] = (struct producer_end){
                .producer_id = entry->id,
                .last_offset = entry->past_count > 0 ? newest_past(entry).last_offset : -1,
                .epoch = entry->epoch};
        }
    }
    return count;
}

uint32_t producers_list(const struct producers *producers, struct producer_info *ret_infos,
                        uint32_t count_max)
{
    uint32_t count = 0;
    const struct producer_shard *shard = producers->shard;
    const struct txn_log *log = producers_txns(producers);
    const struct producer_entry *entry = producer_entry_at(shard, producers->newest);
    for (; entry != NULL && count < count_max; entry = producer_entry_at(shard, entry->older)) {
        if (entry->past_count == 0 && !entry->is_fenced)
            continue;
        ret_infos[count++] = (struct producer_info){
            .producer_id = entry->id,
            .last_ms = entry->last_ms,
            .txn_first_offset = log != NULL ? txn_log_first_of(log, entry->id) : -1,
            .last_sequence = entry->past_count > 0 ? newest_past(entry).last_sequence : -1,
            .epoch = entry->epoch,
        };
    }
    return count;
}
