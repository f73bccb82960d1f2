/* txn_settle.c: see txn_settle.h. */
#include "shard/txn_settle.h"

#include "base/bytes.h"
#include "deliver/offset_item.h"

static void settle_end(struct txn_settle *self, sl_err err)
{
    sl_free(self->items);
    self->items = NULL;
    self->done(self, err);
}

/* The payloads of OFFSET_COMMIT items are those of the pending ones, which are there until the last
 * item is applied. */
static void settle_durable(struct wal_unit *unit, sl_err err)
{
    struct txn_settle *self = SL_CONTAINER_OF(unit, struct txn_settle, unit);
    struct shard *shard = self->shard;
    sl_err applied = SLUICE_OK;
    for (uint32_t i = 0; err == SLUICE_OK && applied == SLUICE_OK && i < unit->item_count; i++) {
        const struct wal_item *item = &self->items[i];
        applied =
            item->kind == WAL_ITEM_OFFSET_COMMIT
                ? offset_store_apply(shard->offsets, item->kind, item->version, item->payload)
                : txn_offsets_apply(&shard->txn_offsets, item->kind, item->version, item->payload);
    }
    if (applied != SLUICE_OK) {
        shard_refuse(shard, applied);
    }
    settle_end(self, err != SLUICE_OK ? err : applied);
}

static void count_one(void *arg, struct sl_bytes payload)
{
    (void)payload;
    (*(uint32_t *)arg)++;
}

static void add_one(void *arg, struct sl_bytes payload)
{
    struct txn_settle *self = arg;
    struct offset_commit commit;
    if (offset_item_commit(payload, &commit) != SLUICE_OK ||
        catalog_by_id(self->shard->catalog, &commit.topic) == NULL) {
        return; /* of a topic that was deleted */
    }
    self->items[self->unit.item_count++] = (struct wal_item){
        .kind = WAL_ITEM_OFFSET_COMMIT, .version = OFFSET_STORE_ITEM_VERSION, .payload = payload};
}

static void settle_run(struct txn_settle *self)
{
    struct shard *shard = self->shard;
    uint32_t count = 0;
    if (shard->status != SLUICE_OK) {
        settle_end(self, shard->status);
        return;
    }
    txn_offsets_each(&shard->txn_offsets, self->group, self->producer_id, count_one, &count);
    if (count == 0) {
        settle_end(self, SLUICE_OK);
        return;
    }
    size_t end_size = TXN_OFFSET_HEAD_SIZE + self->group.size;
    self->items = sl_alloc((count + 1) * sizeof(*self->items) + end_size);
    if (self->items == NULL) {
        settle_end(self, SLUICE_E_NO_MEMORY);
        return;
    }
    uint8_t *end = (uint8_t *)(self->items + count + 1);
    sl_le64_store(end, (uint64_t)self->producer_id);
    sl_bytes_copy(end + TXN_OFFSET_HEAD_SIZE, self->group);
    self->unit =
        (struct wal_unit){.items = self->items, .reserve = true, .durable = settle_durable};
    if (self->commits) {
        txn_offsets_each(&shard->txn_offsets, self->group, self->producer_id, add_one, self);
    }
    self->items[self->unit.item_count++] = (struct wal_item){.kind = WAL_ITEM_TXN_OFFSET_END,
                                                             .version = TXN_OFFSET_ITEM_VERSION,
                                                             .payload = {end, end_size}};
    sl_err err = commit_log_submit(shard->log, &self->unit);
    if (err != SLUICE_OK) {
        settle_end(self, err);
    }
}

static void settle_goes_on(struct cut_waiter *waiter)
{
    settle_run(SL_CONTAINER_OF(waiter, struct txn_settle, waiter));
}

void txn_settle_start(struct shard *shard, struct txn_settle *self, struct sl_bytes group,
                      int64_t producer_id, bool commits)
{
    self->shard = shard;
    self->group = group;
    self->producer_id = producer_id;
    self->commits = commits;
    self->items = NULL;
    self->waiter.go_on = settle_goes_on;
    if (!cut_wait(shard, &self->waiter)) {
        settle_run(self);
    }
}
