/* cli_salvage_txns.c: see cli_salvage_txns.h. What is learned before, and the way through a log;
 * its end is in cli_salvage_tail.c. */
#include "cli/cli_salvage_txns.h"

#include "admit/txn_rules.h"
#include "record/txn_marker.h"

#include <stdlib.h>
#include <string.h>

/* ---- all logs, before ---- */

sl_err salvage_txns_init(struct salvage_txns *txns, uint32_t shard_count)
{
    *txns = (struct salvage_txns){.shard_count = 0};
    txns->stores = sl_alloc_zero(shard_count, sizeof(*txns->stores));
    txns->shard_losses = sl_alloc_zero(shard_count, sizeof(*txns->shard_losses));
    sl_err err =
        txns->stores == NULL || txns->shard_losses == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    while (err == SLUICE_OK && txns->shard_count < shard_count) {
        err = txn_store_init(&txns->stores[txns->shard_count], 0);
        txns->shard_count += err == SLUICE_OK;
    }
    return err;
}

void salvage_txns_fini(struct salvage_txns *txns)
{
    for (uint32_t i = 0; i < txns->shard_count; i++) {
        txn_store_fini(&txns->stores[i]);
    }
    sl_free(txns->stores);
    sl_free(txns->shard_losses);
    sl_free(txns->decisions);
    *txns = (struct salvage_txns){.shard_count = 0};
}

sl_err salvage_txns_learn(struct salvage_txns *txns, uint32_t shard,
                          const struct wal_item_view *item)
{
    return item->kind != WAL_ITEM_TXN
               ? SLUICE_OK
               : txn_store_apply(&txns->stores[shard], item->version, item->payload);
}

void salvage_txns_lost(struct salvage_txns *txns, uint32_t shard)
{
    txns->has_loss = txns->shard_losses[shard] = true;
}

struct deciding {
    struct salvage_txns *txns;
    bool is_doubtful;
    bool fills;
};

static void decision_add(void *arg, struct txn *txn)
{
    struct deciding *deciding = arg;
    struct salvage_txns *txns = deciding->txns;
    if (!txn_is_prepared(txn->values.state)) {
        return;
    }
    if (deciding->fills) {
        txns->decisions[txns->decision_count] =
            (struct salvage_decision){.txn = txn, .is_doubtful = deciding->is_doubtful};
    }
    txns->decision_count++;
}

static void decisions_walk(struct salvage_txns *txns, bool fills)
{
    txns->decision_count = 0;
    for (uint32_t i = 0; i < txns->shard_count; i++) {
        struct deciding deciding = {txns, txns->shard_losses[i], fills};
        txn_store_each(&txns->stores[i], decision_add, &deciding);
    }
}

static int by_producer(const void *left, const void *right)
{
    int64_t a = ((const struct salvage_decision *)left)->txn->values.producer_id;
    int64_t b = ((const struct salvage_decision *)right)->txn->values.producer_id;
    return (a > b) - (a < b);
}

sl_err salvage_txns_decide(struct salvage_txns *txns)
{
    decisions_walk(txns, false);
    if (txns->decision_count == 0) {
        return SLUICE_OK;
    }
    txns->decisions = sl_alloc(txns->decision_count * sizeof(*txns->decisions));
    if (txns->decisions == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    decisions_walk(txns, true);
    qsort(txns->decisions, txns->decision_count, sizeof(*txns->decisions), by_producer);
    return SLUICE_OK;
}

/* ---- a shard ---- */

sl_err salvage_txns_begin(struct salvage_txns *txns, uint32_t shard, struct coverage *coverage)
{
    const struct producer_limits limits = {0};
    txns->shard = shard;
    txns->losses = 0;
    txns->tail_at = 0;
    txns->coverage = coverage;
    txns->producers = producer_shard_new(&limits);
    return txns->producers == NULL ? SLUICE_E_NO_MEMORY : txn_offsets_init(&txns->offsets);
}

void salvage_txns_end(struct salvage_txns *txns)
{
    for (uint32_t i = 0; i < txns->coverage->capacity; i++) {
        struct coverage_stream *known = txns->coverage->streams[i];
        if (known != NULL && known->txns != NULL) {
            producers_fini(&known->txns->producers);
            sl_free(known->txns->condemned);
            sl_free(known->txns);
            known->txns = NULL;
        }
    }
    producer_shard_free(txns->producers);
    txns->producers = NULL;
    txn_offsets_fini(&txns->offsets);
}

struct salvage_stream *salvage_stream_of(struct salvage_txns *txns, struct coverage_stream *known)
{
    if (known != NULL && known->txns == NULL) {
        known->txns = sl_alloc_zero(1, sizeof(*known->txns));
        if (known->txns != NULL) {
            producers_init(&known->txns->producers, txns->producers);
            known->txns->seen_end = -1;
        }
    }
    return known == NULL ? NULL : known->txns;
}

static sl_err producer_item(struct salvage_txns *txns, const struct wal_item_view *item)
{
    struct sl_uuid topic;
    uint32_t partition = 0;
    sl_err err =
        producer_state_item_target(item->kind, item->version, item->payload, &topic, &partition);
    struct salvage_stream *stream =
        err != SLUICE_OK
            ? NULL
            : salvage_stream_of(txns, coverage_stream(txns->coverage, &topic, partition));
    if (stream == NULL) {
        return err != SLUICE_OK ? err : SLUICE_E_NO_MEMORY;
    }
    return producers_restore(&stream->producers, item->kind, item->version, item->payload);
}

static sl_err bounds_item(struct salvage_txns *txns, const struct wal_item_view *item)
{
    struct bounds_item bounds;
    sl_err err = bounds_item_decode(item->version, item->payload, &bounds);
    struct salvage_stream *stream =
        err != SLUICE_OK ? NULL
                         : salvage_stream_of(txns, coverage_stream(txns->coverage, &bounds.topic,
                                                                   bounds.partition));
    if (stream == NULL) {
        return err != SLUICE_OK ? err : SLUICE_E_NO_MEMORY;
    }
    stream->told_end = SL_MAX(stream->told_end, bounds.end_offset);
    return SLUICE_OK;
}

sl_err salvage_txns_item(struct salvage_txns *txns, const struct wal_item_view *item,
                         bool from_checkpoint)
{
    switch (item->kind) {
    case WAL_ITEM_PRODUCER_STATE:
    case WAL_ITEM_TXN_OPEN:
    case WAL_ITEM_TXN_ABORTED:
        return producer_item(txns, item);
    case WAL_ITEM_LOG_BOUNDS:
        return from_checkpoint ? bounds_item(txns, item) : SLUICE_OK;
    case WAL_ITEM_TXN_OFFSET:
    case WAL_ITEM_TXN_OFFSET_END:
        return txn_offsets_apply(&txns->offsets, item->kind, item->version, item->payload);
    default:
        return SLUICE_OK;
    }
}

/* ---- markers ---- */

/* The epoch that is known of the producer. */
static int16_t epoch_of(const struct producers *producers, int64_t producer_id)
{
    int16_t epoch = 0;
    struct producer_info *infos = sl_alloc(SL_MAX(producers->count, 1u) * sizeof(*infos));
    uint32_t count = infos == NULL ? 0 : producers_list(producers, infos, producers->count);
    for (uint32_t i = 0; i < count; i++) {
        epoch = infos[i].producer_id == producer_id ? infos[i].epoch : epoch;
    }
    sl_free(infos);
    return epoch;
}

static sl_err marker_write(const struct coverage_stream *known, const struct txn_marker *marker,
                           int64_t offset, struct wal_salvage_adder *adder)
{
    uint8_t bytes[TXN_MARKER_SIZE];
    uint8_t payload[BATCH_ITEM_SIZE];
    txn_marker_encode(marker, bytes);
    batch_patch_base_offset(bytes, offset);
    batch_patch_leader_epoch(bytes, 0);
    const struct batch_item item = {
        .topic = known->topic,
        .partition = known->partition,
        .base_offset = offset,
        .last_offset = offset,
        .record_count = 1,
        .max_timestamp = marker->time_ms,
        .producer_id = marker->producer_id,
        .producer_epoch = marker->producer_epoch,
        .base_sequence = BATCH_NO_SEQUENCE,
        .last_sequence = BATCH_NO_SEQUENCE,
        .attributes = (uint16_t)(BATCH_TRANSACTIONAL | BATCH_CONTROL |
                                 (marker->commits ? 0 : BATCH_ITEM_ABORTS)),
    };
    batch_item_encode(&item, payload);
    return wal_salvage_add(adder, WAL_ITEM_BATCH, BATCH_ITEM_VERSION,
                           sl_bytes_of(payload, sizeof(payload)),
                           sl_bytes_of(bytes, sizeof(bytes)));
}

sl_err salvage_marker_add(struct salvage_stream *stream, const struct coverage_stream *known,
                          int64_t producer_id, bool aborts, int64_t offset,
                          struct wal_salvage_adder *adder)
{
    const struct txn_marker marker = {.producer_id = producer_id,
                                      .producer_epoch = epoch_of(&stream->producers, producer_id),
                                      .coordinator_epoch = TXN_COORDINATOR_EPOCH,
                                      .commits = !aborts};
    sl_err err = marker_write(known, &marker, offset, adder);
    return err != SLUICE_OK ? err
                            : producers_apply_marker(&stream->producers, producer_id,
                                                     marker.producer_epoch, aborts, offset, 0);
}

sl_err salvage_markers_restore(struct salvage_stream *stream, struct coverage_stream *known,
                               int64_t from, int64_t to, struct wal_salvage_adder *adder)
{
    const struct txn_log *log = producers_txns(&stream->producers);
    sl_err err = SLUICE_OK;
    from = SL_MAX(from, known->extent_last + 1);
    for (uint32_t i = 0; log != NULL && i < log->aborted_count && err == SLUICE_OK; i++) {
        const struct txn_aborted *aborted = &log->aborted[i];
        if (aborted->last_offset < from || aborted->last_offset >= to) {
            continue;
        }
        const struct txn_marker marker = {.producer_id = aborted->producer_id,
                                          .producer_epoch =
                                              epoch_of(&stream->producers, aborted->producer_id),
                                          .coordinator_epoch = TXN_COORDINATOR_EPOCH};
        err = marker_write(known, &marker, aborted->last_offset, adder);
        err = err != SLUICE_OK ? err
                               : coverage_add(known, aborted->last_offset, aborted->last_offset);
    }
    return err;
}

/* ---- batches ---- */

/* Its further markers end nothing: which of them would is not known. */
static sl_err condemn(struct salvage_stream *stream, int64_t producer_id)
{
    int64_t *grown =
        sl_realloc(stream->condemned, (stream->condemned_count + 1) * sizeof(*stream->condemned));
    if (grown == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    stream->condemned = grown;
    stream->condemned[stream->condemned_count++] = producer_id;
    return SLUICE_OK;
}

static bool is_condemned(const struct salvage_stream *stream, int64_t producer_id)
{
    for (uint32_t i = 0; i < stream->condemned_count; i++) {
        if (stream->condemned[i] == producer_id) {
            return true;
        }
    }
    return false;
}

/* Every transaction that is open may have ended at the offsets that are missing. */
static sl_err doubt(struct salvage_txns *txns, struct salvage_stream *stream,
                    const struct coverage_stream *known, int64_t from, int64_t to,
                    struct wal_salvage_adder *adder)
{
    const struct txn_log *log = producers_txns(&stream->producers);
    sl_err err = SLUICE_OK;
    while (log != NULL && log->open_count > 0 && from < to && err == SLUICE_OK) {
        struct txn_open open = log->open[0];
        txns->aborted(txns->arg, known, open.producer_id, open.first_offset);
        err = salvage_marker_add(stream, known, open.producer_id, true, from++, adder);
    }
    for (uint32_t i = 0; log != NULL && i < log->open_count && err == SLUICE_OK; i++) {
        if (!is_condemned(stream, log->open[i].producer_id)) {
            err = condemn(stream, log->open[i].producer_id);
        }
    }
    return err;
}

static bool is_marker(const struct batch_item *batch)
{
    return (batch->attributes & BATCH_CONTROL) != 0 &&
           (batch->attributes & BATCH_TRANSACTIONAL) != 0;
}

/* As recovery does it. */
static sl_err batch_apply(struct salvage_stream *stream, const struct batch_item *batch)
{
    if (batch->producer_id < 0) {
        return SLUICE_OK;
    }
    if (is_marker(batch)) {
        return producers_apply_marker(&stream->producers, batch->producer_id, batch->producer_epoch,
                                      (batch->attributes & BATCH_ITEM_ABORTS) != 0,
                                      batch->base_offset, 0);
    }
    const struct producer_batch producer = {
        .producer_id = batch->producer_id,
        .producer_epoch = batch->producer_epoch,
        .transactional = (batch->attributes & BATCH_TRANSACTIONAL) != 0,
        .base_sequence = batch->base_sequence,
        .record_count = (uint32_t)(batch->last_offset - batch->base_offset + 1)};
    return producers_apply(&stream->producers, &producer, batch->base_offset, batch->last_offset,
                           -1, 0);
}

sl_err salvage_txns_before(struct salvage_txns *txns, uint64_t lsn, const struct batch_item *batch,
                           bool is_whole, struct wal_salvage_adder *adder)
{
    struct coverage_stream *known =
        coverage_stream(txns->coverage, &batch->topic, batch->partition);
    struct salvage_stream *stream = salvage_stream_of(txns, known);
    if (stream == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    bool is_told =
        lsn <= txns->checkpoint_lsn; /* the checkpoint has what it says of transactions */
    bool is_first = stream->seen_end < 0;
    int64_t from = is_first ? SL_MAX(known->extent_last + 1, known->start) : stream->seen_end;
    sl_err err = SLUICE_OK;
    if (from < batch->base_offset) {
        err = salvage_markers_restore(stream, known, from, batch->base_offset, adder);
    }
    from = SL_MAX(is_first ? (int64_t)0 : stream->seen_end, stream->told_end);
    if (err == SLUICE_OK && !is_told && from < batch->base_offset) {
        err = doubt(txns, stream, known, from, batch->base_offset, adder);
    }
    if (err == SLUICE_OK && is_marker(batch) && !is_whole &&
        !is_condemned(stream, batch->producer_id)) {
        const struct txn_marker marker = {.producer_id = batch->producer_id,
                                          .producer_epoch = batch->producer_epoch,
                                          .time_ms = batch->max_timestamp,
                                          .coordinator_epoch = TXN_COORDINATOR_EPOCH,
                                          .commits = (batch->attributes & BATCH_ITEM_ABORTS) == 0};
        err = marker_write(known, &marker, batch->base_offset, adder);
        err = err != SLUICE_OK ? err : coverage_add(known, batch->base_offset, batch->base_offset);
    }
    stream->seen_end = SL_MAX(stream->seen_end, batch->last_offset + 1);
    stream->losses = txns->losses;
    bool applies = !is_told && !(is_marker(batch) && is_condemned(stream, batch->producer_id));
    return err != SLUICE_OK || !applies ? err : batch_apply(stream, batch);
}

bool salvage_txns_refuses(const struct salvage_txns *txns, const struct batch_item *batch)
{
    const struct coverage_stream *known =
        coverage_stream(txns->coverage, &batch->topic, batch->partition);
    return known != NULL && known->txns != NULL && is_marker(batch) &&
           is_condemned(known->txns, batch->producer_id);
}
