/* cli_salvage_tail.c: the end of a log whose folder has lost something: what is open is ended
 * (cli_salvage_txns.h). */
#include "cli/cli_salvage_txns.h"

#include "admit/txn_rules.h"
#include "base/bytes.h"
#include "deliver/offset_item.h"

#include <stdlib.h>
#include <string.h>

#define ITEMS_AT_ONCE 1024u /* about as many in a frame */

/* ---- partitions ---- */

static const struct salvage_decision *decision_find(const struct salvage_txns *txns,
                                                    int64_t producer_id)
{
    uint32_t low = 0;
    uint32_t high = txns->decision_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (txns->decisions[middle].txn->values.producer_id < producer_id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool is_there =
        low < txns->decision_count && txns->decisions[low].txn->values.producer_id == producer_id;
    return is_there ? &txns->decisions[low] : NULL;
}

/* Its coordinator has durably decided to commit this transaction and no other: the start does it.
 * Of version 2 the epoch says which; else nothing may be lost that could have been between. */
static bool will_be_committed(const struct salvage_txns *txns, const struct salvage_stream *stream,
                              const struct coverage_stream *known, const struct producer_info *open)
{
    const struct salvage_decision *decision = decision_find(txns, open->producer_id);
    const struct txn_partition where = {.topic = known->topic, .number = known->partition};
    if (decision == NULL || decision->txn->values.state != TXN_PREPARE_COMMIT ||
        !txn_has_partition(decision->txn, &where)) {
        return false;
    }
    bool is_certain = !decision->is_doubtful && stream->losses == txns->losses;
    return is_certain ||
           (decision->txn->values.is_v2 && decision->txn->values.epoch == open->epoch + 1);
}

static sl_err opens_end(struct salvage_txns *txns, struct coverage_stream *known,
                        struct wal_salvage_adder *adder, uint32_t *ret_count)
{
    struct salvage_stream *stream = known->txns;
    struct producer_info *infos = sl_alloc(SL_MAX(stream->producers.count, 1u) * sizeof(*infos));
    sl_err err = infos == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    uint32_t count =
        infos == NULL ? 0 : producers_list(&stream->producers, infos, stream->producers.count);
    for (uint32_t i = 0; i < count && err == SLUICE_OK; i++) {
        if (infos[i].txn_first_offset < 0 || will_be_committed(txns, stream, known, &infos[i])) {
            continue;
        }
        int64_t offset = SL_MAX(known->end, SL_MAX(stream->seen_end, stream->told_end));
        txns->aborted(txns->arg, known, infos[i].producer_id, infos[i].txn_first_offset);
        err = salvage_marker_add(stream, known, infos[i].producer_id, true, offset, adder);
        err = err != SLUICE_OK ? err : coverage_add(known, offset, offset);
        known->end = stream->seen_end = offset + 1;
        ++*ret_count;
    }
    sl_free(infos);
    return err;
}

static sl_err stream_end(struct salvage_txns *txns, struct coverage_stream *known,
                         struct wal_salvage_adder *adder, uint32_t *ret_count)
{
    struct salvage_stream *stream = known->txns;
    const struct txn_log *log = stream == NULL ? NULL : producers_txns(&stream->producers);
    if (log == NULL) {
        return SLUICE_OK;
    }
    int64_t from = stream->seen_end >= 0 ? stream->seen_end : known->start;
    sl_err err = salvage_markers_restore(stream, known, from, INT64_MAX, adder);
    return err != SLUICE_OK ? err : opens_end(txns, known, adder, ret_count);
}

/* ---- coordinators ---- */

struct fencing {
    struct wal_salvage_adder *adder;
    sl_err err;
};

static void fence(void *arg, struct txn *txn)
{
    struct fencing *fencing = arg;
    const struct txn_additions none = {0};
    struct txn_values next;
    if (fencing->err != SLUICE_OK || txn->values.state != TXN_ONGOING) {
        return;
    }
    txn_rules_fence(&txn->values, txn->values.update_ms, &next);
    size_t size = txn_item_size(&next, &none);
    uint8_t *payload = sl_alloc(size);
    if (payload == NULL) {
        fencing->err = SLUICE_E_NO_MEMORY;
        return;
    }
    txn_item_encode(&next, &none, payload);
    const struct sl_bytes no_body = {NULL, 0};
    fencing->err = wal_salvage_add(fencing->adder, WAL_ITEM_TXN, TXN_ITEM_VERSION,
                                   sl_bytes_of(payload, size), no_body);
    sl_free(payload);
}

/* ---- offsets ---- */

struct giving_up {
    struct salvage_txns *txns;
    struct wal_salvage_adder *adder;
};

struct looking {
    int64_t producer_id;
    struct sl_bytes group;
    bool found;
};

static void look(void *arg, struct txn *txn)
{
    struct looking *looking = arg;
    looking->found = looking->found ||
                     (txn->values.producer_id == looking->producer_id &&
                      (txn->values.state == TXN_ONGOING || txn_is_prepared(txn->values.state)) &&
                      txn_has_group(txn, looking->group));
}

static sl_err give_up(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    struct giving_up *giving = arg;
    struct offset_commit commit;
    struct sl_bytes rest = {payload.data + TXN_OFFSET_HEAD_SIZE,
                            payload.size - TXN_OFFSET_HEAD_SIZE};
    sl_err err = offset_item_commit(rest, &commit);
    (void)kind;
    (void)version;
    struct looking looking = {.producer_id = (int64_t)sl_le64_load(payload.data),
                              .group = commit.group};
    for (uint32_t i = 0; err == SLUICE_OK && i < giving->txns->shard_count; i++) {
        txn_store_each(&giving->txns->stores[i], look, &looking);
    }
    if (err != SLUICE_OK || looking.found) {
        return err; /* fenced or decided: the start sees to it */
    }
    uint8_t *end = sl_alloc(TXN_OFFSET_HEAD_SIZE + commit.group.size);
    if (end == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    sl_le64_store(end, (uint64_t)looking.producer_id);
    sl_bytes_copy(end + TXN_OFFSET_HEAD_SIZE, commit.group);
    const struct sl_bytes no_body = {NULL, 0};
    err = wal_salvage_add(giving->adder, WAL_ITEM_TXN_OFFSET_END, TXN_OFFSET_ITEM_VERSION,
                          sl_bytes_of(end, TXN_OFFSET_HEAD_SIZE + commit.group.size), no_body);
    sl_free(end);
    return err;
}

/* ---- all ---- */

sl_err salvage_txns_tail(struct salvage_txns *txns, struct wal_salvage_adder *adder)
{
    uint32_t capacity = txns->coverage->capacity;
    uint32_t count = 0;
    sl_err err = SLUICE_OK;
    if (!txns->has_loss) {
        return SLUICE_OK;
    }
    for (; txns->tail_at < capacity && count < ITEMS_AT_ONCE && err == SLUICE_OK; txns->tail_at++) {
        struct coverage_stream *known = txns->coverage->streams[txns->tail_at];
        err = known == NULL ? SLUICE_OK : stream_end(txns, known, adder, &count);
    }
    if (err != SLUICE_OK || txns->tail_at != capacity || count > 0) {
        return err;
    }
    txns->tail_at++; /* once */
    struct fencing fencing = {.adder = adder};
    txn_store_each(&txns->stores[txns->shard], fence, &fencing);
    struct giving_up giving = {.txns = txns, .adder = adder};
    for (uint32_t at = 0; fencing.err == SLUICE_OK && at != UINT32_MAX;) {
        fencing.err = txn_offsets_snapshot(&txns->offsets, &at, ITEMS_AT_ONCE, give_up, &giving);
    }
    return fencing.err;
}
