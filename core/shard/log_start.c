/* log_start.c: see log_start.h. */
#include "shard/log_start.h"

void log_start_add(struct log_start *self, const struct partition *partition, int64_t start_offset)
{
    struct log_start_move *move = &self->moves[self->count];
    SL_ASSERT(start_offset <= partition_end(partition));
    move->bounds = (struct bounds_item){.topic = *partition_topic_id(partition),
                                        .partition = partition->number,
                                        .start_offset = start_offset,
                                        .end_offset = partition_end(partition)};
    size_t size = bounds_item_encode(&move->bounds, move->payload);
    self->items[self->count++] = (struct wal_item){.kind = WAL_ITEM_LOG_BOUNDS,
                                                   .version = BOUNDS_ITEM_VERSION,
                                                   .payload = {move->payload, size}};
}

void log_start_move_now(struct partition *partition, int64_t start_offset)
{
    struct shard *shard = partition->shard;
    uint64_t bytes = stream_index_bytes(&partition->index);
    int64_t start = partition_start(partition);
    partition_drop_below(partition, start_offset);
    shard->bytes_removed += bytes - stream_index_bytes(&partition->index);
    shard->records_removed += (uint64_t)(partition_start(partition) - start);
    partition_notify(partition); /* who waits below the start learns it now */
}

static void apply(struct shard *shard, const struct bounds_item *bounds)
{
    struct topic *topic = catalog_by_id(shard->catalog, &bounds->topic);
    struct partition *partition = topic == NULL ? NULL : partition_find(topic, bounds->partition);
    if (partition == NULL) {
        return; /* deleted meanwhile */
    }
    log_start_move_now(partition, bounds->start_offset);
}

static void durable(struct wal_unit *unit, sl_err err)
{
    struct log_start *self = SL_CONTAINER_OF(unit, struct log_start, unit);
    for (uint32_t i = 0; err == SLUICE_OK && i < self->count; i++) {
        apply(self->shard, &self->moves[i].bounds);
    }
    self->done(self, err);
}

sl_err log_start_submit(struct log_start *self)
{
    SL_ASSERT(self->count > 0);
    if (self->shard->status != SLUICE_OK) {
        return self->shard->status;
    }
    if (self->shard->config.mutants.start_unlogged) {
        durable(&self->unit, SLUICE_OK);
        return SLUICE_OK;
    }
    self->unit = (struct wal_unit){.items = self->items,
                                   .item_count = self->count,
                                   .reserve = true,
                                   .frees_space = true,
                                   .durable = durable};
    return commit_log_submit(self->shard->log, &self->unit);
}
