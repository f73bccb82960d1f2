/* offset_lease.c: see offset_lease.h. */
#include "shard/offset_lease.h"

#include "shard/partition.h"
#include "shard/produce.h"

struct lease {
    struct lease *next; /* in shard->leases: under way */
    struct lease **previous_next;
    struct wal_unit unit;
    struct wal_item item;
    uint8_t payload[BOUNDS_ITEM_SIZE_MAX];
    struct partition *partition; /* referenced */
    int64_t end;
};

static void lease_free(struct lease *lease)
{
    *lease->previous_next = lease->next;
    if (lease->next != NULL) {
        lease->next->previous_next = lease->previous_next;
    }
    sl_free(lease);
}

void offset_lease_fini(struct shard *shard)
{
    while (shard->leases != NULL) {
        partition_unref(shard->leases->partition);
        lease_free(shard->leases);
    }
}

static void durable(struct wal_unit *unit, sl_err err)
{
    struct lease *lease = SL_CONTAINER_OF(unit, struct lease, unit);
    struct partition *partition = lease->partition;
    partition->leasing = false;
    if (err == SLUICE_OK) {
        partition->lease_end = lease->end;
    }
    lease_free(lease);
    produce_pump(partition);
    partition_unref(partition);
}

static sl_err lease_start(struct partition *partition, int64_t end)
{
    struct lease *lease = sl_alloc_zero(1, sizeof(*lease));
    if (lease == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    const struct bounds_item bounds = {.topic = *partition_topic_id(partition),
                                       .partition = partition->number,
                                       .start_offset = end,
                                       .end_offset = end};
    size_t size = bounds_item_encode(&bounds, lease->payload);
    lease->partition = partition;
    lease->end = end;
    lease->item = (struct wal_item){.kind = WAL_ITEM_LOG_BOUNDS,
                                    .version = BOUNDS_ITEM_VERSION,
                                    .payload = {lease->payload, size}};
    lease->unit = (struct wal_unit){
        .items = &lease->item, .item_count = 1, .reserve = true, .durable = durable};
    sl_err err = commit_log_submit(partition->shard->log, &lease->unit);
    if (err != SLUICE_OK) {
        sl_free(lease);
        return err;
    }
    lease->next = partition->shard->leases;
    lease->previous_next = &partition->shard->leases;
    if (lease->next != NULL) {
        lease->next->previous_next = &lease->next;
    }
    partition->shard->leases = lease;
    partition->leasing = true;
    partition_ref(partition);
    return SLUICE_OK;
}

sl_err offset_lease_take(struct partition *partition, int64_t count)
{
    struct shard *shard = partition->shard;
    bool needs =
        partition->topic->settings->durability == TOPIC_MEMORY && shard->log != shard->memory.log;
    int64_t next = partition->next_offset + count;
    if (!needs || partition->lease_end - next >= OFFSET_LEASE_BLOCK / 2) {
        return SLUICE_OK;
    }
    sl_err err =
        partition->leasing
            ? SLUICE_OK
            : lease_start(partition, SL_MAX(next, partition->lease_end) + OFFSET_LEASE_BLOCK);
    if (next <= partition->lease_end) {
        return SLUICE_OK; /* the next block is not needed yet */
    }
    return err != SLUICE_OK ? err : SLUICE_E_WOULD_BLOCK;
}
