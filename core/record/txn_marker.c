/* txn_marker.c: see txn_marker.h. */
#include "record/txn_marker.h"

#include "record/codec.h"
#include "record/record_iterator.h"

#include <string.h>

/* The record: length 16, attributes, timestamp delta, offset delta, key of 4, value of 6, no
 * headers; lengths are zig-zag varints of one byte. */
enum {
    RECORD_AT = BATCH_HEADER_SIZE,
    KEY_AT = RECORD_AT + 5,
    TYPE_AT = KEY_AT + 2,
    VALUE_AT = KEY_AT + 5,
    EPOCH_AT = VALUE_AT + 2,
};
#define RECORD_LENGTH 16
#define TYPE_ABORT    0
#define TYPE_COMMIT   1

static uint8_t zig_zag(uint8_t value)
{
    return (uint8_t)(value << 1);
}

static void record_encode(const struct txn_marker *marker, uint8_t *batch)
{
    batch[RECORD_AT] = zig_zag(RECORD_LENGTH);
    batch[KEY_AT - 1] = zig_zag(4);
    sl_be16_store(batch + TYPE_AT, marker->commits ? TYPE_COMMIT : TYPE_ABORT);
    batch[VALUE_AT - 1] = zig_zag(6);
    sl_be32_store(batch + EPOCH_AT, (uint32_t)marker->coordinator_epoch);
}

void txn_marker_encode(const struct txn_marker *marker, uint8_t batch[TXN_MARKER_SIZE])
{
    memset(batch, 0, TXN_MARKER_SIZE);
    sl_be32_store(batch + BATCH_LENGTH_AT, TXN_MARKER_SIZE - BATCH_OVERHEAD_SIZE);
    sl_be32_store(batch + BATCH_LEADER_EPOCH_AT, (uint32_t)BATCH_NO_LEADER_EPOCH);
    batch[BATCH_MAGIC_AT] = BATCH_MAGIC;
    sl_be16_store(batch + BATCH_ATTRIBUTES_AT, BATCH_TRANSACTIONAL | BATCH_CONTROL);
    sl_be64_store(batch + BATCH_BASE_TIMESTAMP_AT, (uint64_t)marker->time_ms);
    sl_be64_store(batch + BATCH_MAX_TIMESTAMP_AT, (uint64_t)marker->time_ms);
    sl_be64_store(batch + BATCH_PRODUCER_ID_AT, (uint64_t)marker->producer_id);
    sl_be16_store(batch + BATCH_PRODUCER_EPOCH_AT, (uint16_t)marker->producer_epoch);
    sl_be32_store(batch + BATCH_BASE_SEQUENCE_AT, (uint32_t)BATCH_NO_SEQUENCE);
    sl_be32_store(batch + BATCH_RECORD_COUNT_AT, 1);
    record_encode(marker, batch);
    struct batch_view view = {batch, TXN_MARKER_SIZE};
    sl_be32_store(batch + BATCH_CRC_AT, batch_view_computed_crc(&view));
}

/* Version, and type or coordinator epoch. */
static bool is_marker_record(const struct record_view *record)
{
    return !record->key_is_null && record->key.size >= 4 && !record->value_is_null &&
           record->value.size >= 6 && sl_be16_load(record->key.data + 2) <= TYPE_COMMIT;
}

sl_err txn_marker_decode(const struct batch_view *batch, struct txn_marker *ret_marker)
{
    struct record_iterator iterator;
    struct record_view record;
    if (!batch_view_has(batch, BATCH_TRANSACTIONAL) || !batch_view_has(batch, BATCH_CONTROL) ||
        batch_view_codec(batch) != BATCH_CODEC_NONE || batch_view_record_count(batch) != 1)
        return SLUICE_E_INVALID_RECORD;
    record_iterator_init(&iterator, batch_view_records(batch), 1);
    if (!record_iterator_next(&iterator, &record) || !is_marker_record(&record))
        return SLUICE_E_INVALID_RECORD;
    *ret_marker = (struct txn_marker){
        .producer_id = batch_view_producer_id(batch),
        .time_ms = batch_view_max_timestamp(batch),
        .coordinator_epoch = (int32_t)sl_be32_load(record.value.data + 2),
        .producer_epoch = batch_view_producer_epoch(batch),
        .commits = sl_be16_load(record.key.data + 2) == TYPE_COMMIT,
    };
    return SLUICE_OK;
}
