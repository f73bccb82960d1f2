/* producer_item.c: PRODUCER_STATE items, for checkpoints.
 *
 * Little-endian, version 1, 208 bytes: topic 16, partition u32, epoch i16, count u16 (1 to 5),
 * producer id i64, last time i64, zero u64, then 5 batches (unused ones zero): first sequence i32,
 * last sequence i32, base offset i64, last offset i64, append time i64. */
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

sl_err producers_snapshot(const struct producers *producers, const struct sl_uuid *topic,
                          uint32_t partition, producer_add_fn *add, void *add_arg)
{
    uint8_t payload[PRODUCER_STATE_ITEM_SIZE];
    const struct producer_shard *shard = producers->shard;
    const struct producer_entry *entry = producer_entry_at(shard, producers->oldest);
    for (; entry != NULL; entry = producer_entry_at(shard, entry->newer)) {
        if (entry->past_count == 0)
            continue;
        entry_write(entry, topic, partition, payload);
        sl_err err = add(add_arg, WAL_ITEM_PRODUCER_STATE, PRODUCER_STATE_ITEM_VERSION,
                         sl_bytes_of(payload, sizeof payload));
        if (err != SLUICE_OK)
            return err;
    }
    return SLUICE_OK;
}

static sl_err version_check(uint8_t version, struct sl_bytes payload)
{
    if (version > PRODUCER_STATE_ITEM_VERSION)
        return SLUICE_E_NEWER_FORMAT;
    return version == 0 || payload.size != PRODUCER_STATE_ITEM_SIZE ? SLUICE_E_CORRUPT : SLUICE_OK;
}

sl_err producer_state_item_target(uint8_t version, struct sl_bytes payload,
                                  struct sl_uuid *ret_topic, uint32_t *ret_partition)
{
    sl_err err = version_check(version, payload);
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
    if (ret_entry->epoch < 0 || ret_entry->id < 0 || ret_entry->past_count == 0 ||
        ret_entry->past_count > PRODUCER_BATCHES_MAX)
        return SLUICE_E_CORRUPT;
    for (uint32_t i = 0; i < ret_entry->past_count; i++) {
        ret_entry->past[i] = past_read(&reader);
        if (!past_is_sound(&ret_entry->past[i]))
            return SLUICE_E_CORRUPT;
    }
    return reader.failed ? SLUICE_E_CORRUPT : SLUICE_OK;
}

sl_err producers_restore(struct producers *producers, uint8_t version, struct sl_bytes payload)
{
    struct entry_values read;
    sl_err err = version_check(version, payload);
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
    producer_entry_touch(entry, read.last_ms);
    return err;
}
