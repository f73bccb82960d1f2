/* producer_item.c: PRODUCER_STATE, TXN_OPEN and TXN_ABORTED items, for checkpoints.
 *
 * TXN_OPEN and TXN_ABORTED, little-endian, version 1, 64 bytes: topic 16, partition u32, zero u32,
 * end offset i64 (the item knows of what is below it), producer id i64, first offset i64, then of
 * an aborted one last offset i64 and stable offset i64, of an open one zeros (txn_log.h).
 *
 * PRODUCER_STATE, little-endian, version 1, 208 bytes: topic 16, partition u32, epoch i16, count
 * u16 (0 to 5; 0: a marker brought the epoch), producer id i64, last time i64, zero u64, then 5
 * batches (unused ones zero): first sequence i32, last sequence i32, base offset i64, last offset
 * i64, append time i64. */
#include "admit/producer_entry.h"
#include "catalog/item_codec.h"

_Static_assert(16 + 4 + 2 + 2 + 8 + 8 + 8 + PRODUCER_BATCHES_MAX * 32 == PRODUCER_STATE_ITEM_SIZE,
               "the size in the header is that of the format");

static uint8_t *past_write(uint8_t *at, const struct producer_past *past)
{
    at = item_write_u32(at, (uint32_t)past->first_sequence);
    at = item_write_u32(at, (uint32_t)past->last_sequence);
    at = item_write_u64(at, (uint64_t)past->base_offset);
    at = item_write_u64(at, (uint64_t)past->last_offset);
    return item_write_u64(at, (uint64_t)past->append_time_ms);
}

static void entry_write(const struct producer_entry *entry, const struct sl_uuid *topic,
                        uint32_t partition, uint8_t payload[PRODUCER_STATE_ITEM_SIZE])
{
    memset(payload, 0, PRODUCER_STATE_ITEM_SIZE);
    uint8_t *at = item_write_uuid(payload, topic);
    at = item_write_u32(at, partition);
    at = item_write_u16(at, (uint16_t)entry->epoch);
    at = item_write_u16(at, (uint16_t)entry->past_count);
    at = item_write_u64(at, (uint64_t)entry->id);
    at = item_write_u64(at, (uint64_t)entry->last_ms);
    at = item_write_u64(at, 0);
    for (uint32_t i = 0; i < entry->past_count; i++) {
        struct producer_past past = producer_entry_past(entry, i);
        at = past_write(at, &past);
    }
}

/* What TXN_* items begin with; the rest is zero. */
static uint8_t *txn_write(const struct sl_uuid *topic, uint32_t partition, int64_t end_offset,
                          uint8_t payload[TXN_LOG_ITEM_SIZE])
{
    memset(payload, 0, TXN_LOG_ITEM_SIZE);
    uint8_t *at = item_write_uuid(payload, topic);
    at = item_write_u32(at, partition);
    at = item_write_u32(at, 0);
    return item_write_u64(at, (uint64_t)end_offset);
}

static sl_err txns_snapshot(const struct txn_log *log, const struct sl_uuid *topic,
                            uint32_t partition, int64_t end_offset, producer_add_fn *add,
                            void *add_arg)
{
    uint8_t payload[TXN_LOG_ITEM_SIZE];
    struct sl_bytes bytes = {payload, sizeof payload};
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < log->open_count && err == SLUICE_OK; i++) {
        uint8_t *at = txn_write(topic, partition, end_offset, payload);
        at = item_write_u64(at, (uint64_t)log->open[i].producer_id);
        (void)item_write_u64(at, (uint64_t)log->open[i].first_offset);
        err = add(add_arg, WAL_ITEM_TXN_OPEN, TXN_LOG_ITEM_VERSION, bytes);
    }
    for (uint32_t i = 0; i < log->aborted_count && err == SLUICE_OK; i++) {
        const struct txn_aborted *aborted = &log->aborted[i];
        uint8_t *at = txn_write(topic, partition, end_offset, payload);
        at = item_write_u64(at, (uint64_t)aborted->producer_id);
        at = item_write_u64(at, (uint64_t)aborted->first_offset);
        at = item_write_u64(at, (uint64_t)aborted->last_offset);
        (void)item_write_u64(at, (uint64_t)aborted->stable_offset);
        err = add(add_arg, WAL_ITEM_TXN_ABORTED, TXN_LOG_ITEM_VERSION, bytes);
    }
    return err;
}

sl_err producers_snapshot(const struct producers *producers, const struct sl_uuid *topic,
                          uint32_t partition, int64_t end_offset, producer_add_fn *add,
                          void *add_arg)
{
    uint8_t payload[PRODUCER_STATE_ITEM_SIZE];
    const struct producer_shard *shard = producers->shard;
    const struct producer_entry *entry = producer_entry_at(shard, producers->oldest);
    for (; entry != NULL; entry = producer_entry_at(shard, entry->newer)) {
        if (entry->past_count == 0 && !entry->is_fenced)
            continue;
        entry_write(entry, topic, partition, payload);
        sl_err err = add(add_arg, WAL_ITEM_PRODUCER_STATE, PRODUCER_STATE_ITEM_VERSION,
                         sl_bytes_of(payload, sizeof payload));
        if (err != SLUICE_OK)
            return err;
    }
    const struct txn_log *log = producers_txns(producers);
    return log == NULL ? SLUICE_OK : txns_snapshot(log, topic, partition, end_offset, add, add_arg);
}

static sl_err version_check(uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    bool is_state = kind == WAL_ITEM_PRODUCER_STATE;
    size_t size = is_state ? PRODUCER_STATE_ITEM_SIZE : TXN_LOG_ITEM_SIZE;
    if (version > (is_state ? PRODUCER_STATE_ITEM_VERSION : TXN_LOG_ITEM_VERSION))
        return SLUICE_E_NEWER_FORMAT;
    return version == 0 || payload.size != size ? SLUICE_E_CORRUPT : SLUICE_OK;
}

sl_err producer_state_item_target(uint16_t kind, uint8_t version, struct sl_bytes payload,
                                  struct sl_uuid *ret_topic, uint32_t *ret_partition)
{
    sl_err err = version_check(kind, version, payload);
    if (err != SLUICE_OK)
        return err;
    struct item_reader reader = item_reader_of(payload);
    *ret_topic = item_read_uuid(&reader);
    *ret_partition = item_read_u32(&reader);
    return SLUICE_OK;
}

static struct producer_past past_read(struct item_reader *reader)
{
    struct producer_past past;
    past.first_sequence = (int32_t)item_read_u32(reader);
    past.last_sequence = (int32_t)item_read_u32(reader);
    past.base_offset = (int64_t)item_read_u64(reader);
    past.last_offset = (int64_t)item_read_u64(reader);
    past.append_time_ms = (int64_t)item_read_u64(reader);
    return past;
}

static bool past_is_sound(const struct producer_past *past)
{
    return past->first_sequence >= 0 && past->last_sequence >= 0 && past->base_offset >= 0 &&
           past->last_offset >= past->base_offset;
}

/* What an item holds. */
struct entry_values {
    int64_t id;
    int64_t last_ms;
    int16_t epoch;
    uint16_t past_count;
    struct producer_past past[PRODUCER_BATCHES_MAX];
};

static sl_err entry_read(struct sl_bytes payload, struct entry_values *ret_entry)
{
    struct item_reader reader = item_reader_of(payload);
    (void)item_read_uuid(&reader);
    (void)item_read_u32(&reader);
    *ret_entry = (struct entry_values){0};
    ret_entry->epoch = (int16_t)item_read_u16(&reader);
    ret_entry->past_count = item_read_u16(&reader);
    ret_entry->id = (int64_t)item_read_u64(&reader);
    ret_entry->last_ms = (int64_t)item_read_u64(&reader);
    (void)item_read_u64(&reader);
    if (ret_entry->epoch < 0 || ret_entry->id < 0 || ret_entry->past_count > PRODUCER_BATCHES_MAX)
        return SLUICE_E_CORRUPT;
    for (uint32_t i = 0; i < ret_entry->past_count; i++) {
        ret_entry->past[i] = past_read(&reader);
        if (!past_is_sound(&ret_entry->past[i]))
            return SLUICE_E_CORRUPT;
    }
    return reader.failed ? SLUICE_E_CORRUPT : SLUICE_OK;
}

static sl_err txn_restore(struct producers *producers, uint16_t kind, struct sl_bytes payload)
{
    struct item_reader reader = item_reader_of(payload);
    (void)item_read_bytes(&reader, 16 + 4 + 4);
    int64_t end_offset = (int64_t)item_read_u64(&reader);
    struct txn_aborted txn = {.producer_id = (int64_t)item_read_u64(&reader),
                              .first_offset = (int64_t)item_read_u64(&reader),
                              .last_offset = (int64_t)item_read_u64(&reader),
                              .stable_offset = (int64_t)item_read_u64(&reader)};
    if (txn.producer_id < 0 || txn.first_offset < 0 || end_offset <= txn.first_offset)
        return SLUICE_E_CORRUPT;
    struct txn_log *log;
    sl_err err = producer_txns_open(producers, &log);
    if (err != SLUICE_OK)
        return err;
    log->applied_offset = SL_MAX(log->applied_offset, end_offset);
    if (kind == WAL_ITEM_TXN_OPEN) {
        struct txn_open open = {txn.producer_id, txn.first_offset};
        struct producer_entry *entry = producer_entry_get(producers, txn.producer_id);
        if (entry != NULL)
            entry->in_txn = true;
        return entry == NULL ? SLUICE_E_CORRUPT : txn_log_restore_open(log, &open);
    }
    err = txn_log_restore_aborted(log, &txn);
    producers->shard->aborted_count += err == SLUICE_OK;
    return err;
}

sl_err producers_restore(struct producers *producers, uint16_t kind, uint8_t version,
                         struct sl_bytes payload)
{
    struct entry_values read;
    sl_err err = version_check(kind, version, payload);
    if (err == SLUICE_OK && kind != WAL_ITEM_PRODUCER_STATE)
        return txn_restore(producers, kind, payload);
    if (err == SLUICE_OK)
        err = entry_read(payload, &read);
    if (err != SLUICE_OK)
        return err;
    struct producer_entry *entry = producer_entry_get(producers, read.id);
    if (entry == NULL)
        err = producer_entry_add(producers, read.id, read.last_ms, &entry);
    if (err != SLUICE_OK)
        return err;
    producer_entry_forget(entry);
    for (uint32_t i = 0; i < read.past_count && err == SLUICE_OK; i++)
        err = producer_entry_remember(entry, read.epoch, &read.past[i]);
    if (read.past_count == 0) {
        entry->epoch = read.epoch;
        entry->is_fenced = true;
    }
    producer_entry_touch(entry, read.last_ms);
    return err;
}
