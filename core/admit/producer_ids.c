/* producer_ids.c: the lease of blocks of producer ids. */
#include "admit/producer_ids.h"

#include "base/bytes.h"

/* Kafka keeps the last epoch for fencing, so that it is never given to a producer. */
#define EPOCH_LAST (INT16_MAX - 1)

void producer_ids_init(struct producer_ids *ids)
{
    *ids = (struct producer_ids){0};
}

sl_err producer_ids_take(struct producer_ids *ids, int64_t *ret_id)
{
    if (ids->next >= ids->end)
        return SLUICE_E_WOULD_BLOCK;
    *ret_id = ids->next++;
    return SLUICE_OK;
}

bool producer_ids_lease_begin(struct producer_ids *ids,
                              uint8_t ret_payload[PRODUCER_BLOCK_ITEM_SIZE])
{
    if (ids->wanted != 0)
        return false;
    SL_ASSERT(ids->end <= INT64_MAX - PRODUCER_BLOCK_IDS);
    ids->wanted = ids->end + PRODUCER_BLOCK_IDS;
    sl_le64_store(ret_payload, (uint64_t)ids->wanted);
    return true;
}

void producer_ids_lease_end(struct producer_ids *ids, sl_err err)
{
    SL_ASSERT(ids->wanted != 0);
    if (err == SLUICE_OK)
        ids->end = ids->wanted;
    ids->wanted = 0;
}

sl_err producer_ids_bump(const struct producer_ids *ids, int64_t id, int16_t epoch,
                         int16_t *ret_epoch)
{
    if (id < 0 || id >= ids->next)
        return SLUICE_E_UNKNOWN_PRODUCER_ID;
    if (epoch < 0 || epoch >= EPOCH_LAST)
        return SLUICE_E_INVALID_PRODUCER_EPOCH;
    *ret_epoch = (int16_t)(epoch + 1);
    return SLUICE_OK;
}

sl_err producer_ids_apply(struct producer_ids *ids, uint8_t version, struct sl_bytes payload)
{
    if (version > PRODUCER_BLOCK_ITEM_VERSION)
        return SLUICE_E_NEWER_FORMAT;
    if (version == 0 || payload.size != PRODUCER_BLOCK_ITEM_SIZE)
        return SLUICE_E_CORRUPT;
    uint64_t end = sl_le64_load(payload.data);
    if (end > (uint64_t)(INT64_MAX - PRODUCER_BLOCK_IDS))
        return SLUICE_E_CORRUPT;
    ids->end = SL_MAX(ids->end, (int64_t)end);
    ids->next = ids->end;
    return SLUICE_OK;
}

void producer_ids_snapshot(const struct producer_ids *ids,
                           uint8_t ret_payload[PRODUCER_BLOCK_ITEM_SIZE])
{
    sl_le64_store(ret_payload, (uint64_t)ids->end);
}
