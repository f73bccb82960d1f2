/* txn_store.c: see txn_store.h. */
#include "admit/txn_store.h"

#include "base/hash.h"
#include "catalog/item_codec.h"

#include <string.h>

#define HEAD_SIZE      52u
#define PARTITION_SIZE 20u
#define FLAG_V2        1u

const char *txn_state_name(uint8_t state)
{
    static const char *const names[TXN_STATE_COUNT] = {
        [TXN_EMPTY] = "Empty",
        [TXN_ONGOING] = "Ongoing",
        [TXN_PREPARE_COMMIT] = "PrepareCommit",
        [TXN_PREPARE_ABORT] = "PrepareAbort",
        [TXN_COMPLETE_COMMIT] = "CompleteCommit",
        [TXN_COMPLETE_ABORT] = "CompleteAbort",
        [TXN_DEAD] = "Dead",
    };
    SL_ASSERT(state < TXN_STATE_COUNT);
    return names[state];
}

/* ---- the table ---- */

static struct txn *txn_of(const struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct txn, by_id);
}

static bool id_matches(const struct chain_link *link, const void *key)
{
    return sl_bytes_equal(txn_of(link)->values.id, *(const struct sl_bytes *)key);
}

static uint64_t hash_of(struct sl_bytes id)
{
    return sl_hash64(id.data, id.size);
}

sl_err txn_store_init(struct txn_store *store, uint32_t ids_max)
{
    *store = (struct txn_store){.ids_max = ids_max != 0 ? ids_max : TXN_IDS_MAX};
    return chain_map_init(&store->ids);
}

static void groups_free(struct txn_values *values)
{
    sl_free((void *)(uintptr_t)values->groups); /* one block with their bytes */
    values->groups = NULL;
    values->group_count = 0;
}

static void ongoing_unlist(struct txn_store *store, struct txn *txn)
{
    if (!txn->is_listed)
        return;
    *(txn->previous_ongoing != NULL ? &txn->previous_ongoing->next_ongoing : &store->ongoing) =
        txn->next_ongoing;
    if (txn->next_ongoing != NULL)
        txn->next_ongoing->previous_ongoing = txn->previous_ongoing;
    txn->is_listed = false;
}

static void ongoing_list(struct txn_store *store, struct txn *txn)
{
    if (txn->is_listed)
        return;
    txn->previous_ongoing = NULL;
    txn->next_ongoing = store->ongoing;
    if (store->ongoing != NULL)
        store->ongoing->previous_ongoing = txn;
    store->ongoing = txn;
    txn->is_listed = true;
}

static void txn_free(struct txn *txn)
{
    sl_free((void *)(uintptr_t)txn->values.partitions);
    groups_free(&txn->values);
    sl_free(txn);
}

static void free_visit(void *arg, struct chain_link *link)
{
    chain_map_remove(arg, link);
    txn_free(txn_of(link));
}

void txn_store_fini(struct txn_store *store)
{
    if (store->ids.buckets != NULL)
        chain_map_each(&store->ids, free_visit, &store->ids);
    chain_map_fini(&store->ids);
}

struct txn *txn_store_get(const struct txn_store *store, struct sl_bytes id)
{
    struct chain_link *link = chain_map_get(&store->ids, hash_of(id), id_matches, &id);
    return link == NULL ? NULL : txn_of(link);
}

/* Beyond the bound too: what is durable is kept. */
static sl_err txn_make(struct txn_store *store, struct sl_bytes id, struct txn **ret_txn)
{
    struct txn *txn = sl_alloc(sizeof *txn + id.size);
    if (txn == NULL)
        return SLUICE_E_NO_MEMORY;
    *txn = (struct txn){.values = {.producer_id = -1,
                                   .next_producer_id = -1,
                                   .start_ms = -1,
                                   .epoch = -1,
                                   .last_epoch = -1,
                                   .state = TXN_EMPTY,
                                   .id = {(uint8_t *)(txn + 1), id.size}}};
    sl_bytes_copy((uint8_t *)(txn + 1), id);
    chain_map_put(&store->ids, &txn->by_id, hash_of(id));
    *ret_txn = txn;
    return SLUICE_OK;
}

sl_err txn_store_open(struct txn_store *store, struct sl_bytes id, struct txn **ret_txn)
{
    struct txn *txn = txn_store_get(store, id);
    if (txn != NULL) {
        *ret_txn = txn;
        return SLUICE_OK;
    }
    return store->ids.count >= store->ids_max ? SLUICE_E_LIMIT : txn_make(store, id, ret_txn);
}

void txn_store_drop_idle(struct txn_store *store, struct txn *txn)
{
    if (txn->is_durable || txn->first_op != NULL || txn->guard_count > 0 || txn->is_pumping ||
        txn->is_completing)
        return;
    ongoing_unlist(store, txn);
    chain_map_remove(&store->ids, &txn->by_id);
    txn_free(txn);
}

bool txn_has_partition(const struct txn *txn, const struct txn_partition *partition)
{
    for (uint32_t i = 0; i < txn->values.partition_count; i++) {
        const struct txn_partition *at = &txn->values.partitions[i];
        if (at->number == partition->number && sl_uuid_equal(&at->topic, &partition->topic))
            return true;
    }
    return false;
}

bool txn_has_group(const struct txn *txn, struct sl_bytes group)
{
    for (uint32_t i = 0; i < txn->values.group_count; i++) {
        if (sl_bytes_equal(txn->values.groups[i], group))
            return true;
    }
    return false;
}

/* ---- items ---- */

size_t txn_item_size(const struct txn_values *values, const struct txn_additions *added)
{
    size_t partitions = (size_t)values->partition_count + added->partition_count;
    size_t size = HEAD_SIZE + values->id.size + partitions * PARTITION_SIZE;
    for (uint32_t i = 0; i < values->group_count; i++)
        size += 2 + values->groups[i].size;
    return added->group.data == NULL ? size : size + 2 + added->group.size;
}

static uint8_t *partitions_write(uint8_t *at, const struct txn_partition *partitions,
                                 uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        at = item_write_uuid(at, &partitions[i].topic);
        at = item_write_u32(at, partitions[i].number);
    }
    return at;
}

static uint8_t *group_write(uint8_t *at, struct sl_bytes group)
{
    at = item_write_u16(at, (uint16_t)group.size);
    return item_write_bytes(at, group);
}

void txn_item_encode(const struct txn_values *values, const struct txn_additions *added,
                     uint8_t *ret_payload)
{
    bool has_group = added->group.data != NULL;
    uint8_t *at = item_write_u64(ret_payload, (uint64_t)values->producer_id);
    at = item_write_u64(at, (uint64_t)values->next_producer_id);
    at = item_write_u64(at, (uint64_t)values->start_ms);
    at = item_write_u64(at, (uint64_t)values->update_ms);
    at = item_write_u32(at, (uint32_t)values->timeout_ms);
    at = item_write_u16(at, (uint16_t)values->epoch);
    at = item_write_u16(at, (uint16_t)values->last_epoch);
    at = item_write_u8(at, values->state);
    at = item_write_u8(at, values->is_v2 ? FLAG_V2 : 0);
    at = item_write_u16(at, (uint16_t)values->id.size);
    at = item_write_u32(at, values->partition_count + added->partition_count);
    at = item_write_u16(at, (uint16_t)(values->group_count + has_group));
    at = item_write_u16(at, 0);
    at = item_write_bytes(at, values->id);
    at = partitions_write(at, values->partitions, values->partition_count);
    at = partitions_write(at, added->partitions, added->partition_count);
    for (uint32_t i = 0; i < values->group_count; i++)
        at = group_write(at, values->groups[i]);
    if (has_group)
        (void)group_write(at, added->group);
}

/* What an item holds; partitions and groups are still to be read. */
static struct txn_values head_read(struct item_reader *reader)
{
    struct txn_values values = {0};
    values.producer_id = (int64_t)item_read_u64(reader);
    values.next_producer_id = (int64_t)item_read_u64(reader);
    values.start_ms = (int64_t)item_read_u64(reader);
    values.update_ms = (int64_t)item_read_u64(reader);
    values.timeout_ms = (int32_t)item_read_u32(reader);
    values.epoch = (int16_t)item_read_u16(reader);
    values.last_epoch = (int16_t)item_read_u16(reader);
    values.state = item_read_u8(reader);
    uint8_t flags = item_read_u8(reader);
    values.is_v2 = (flags & FLAG_V2) != 0;
    uint16_t id_size = item_read_u16(reader);
    values.partition_count = item_read_u32(reader);
    values.group_count = item_read_u16(reader);
    uint16_t zero = item_read_u16(reader);
    values.id = item_read_bytes(reader, id_size);
    bool is_sound = values.state < TXN_STATE_COUNT && flags <= FLAG_V2 && zero == 0 &&
                    values.id.size > 0 && values.id.size <= TXN_ID_BYTES_MAX &&
                    values.producer_id >= 0 && values.epoch >= 0 && values.last_epoch >= -1 &&
                    values.next_producer_id >= -1 &&
                    values.partition_count <= reader->size / PARTITION_SIZE;
    reader->failed = reader->failed || !is_sound;
    return values;
}

static sl_err partitions_read(struct item_reader *reader, uint32_t count,
                              struct txn_partition **ret_partitions)
{
    struct txn_partition *partitions = count == 0 ? NULL : sl_alloc(count * sizeof *partitions);
    if (count > 0 && partitions == NULL)
        return SLUICE_E_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        partitions[i].topic = item_read_uuid(reader);
        partitions[i].number = item_read_u32(reader);
    }
    *ret_partitions = partitions;
    return SLUICE_OK;
}

/* One block: the views, then the bytes. */
static sl_err groups_read(struct item_reader *reader, uint32_t count, struct sl_bytes **ret_groups)
{
    if (count == 0) {
        *ret_groups = NULL;
        return SLUICE_OK;
    }
    struct sl_bytes *groups = sl_alloc(count * sizeof *groups + reader->size);
    if (groups == NULL)
        return SLUICE_E_NO_MEMORY;
    uint8_t *bytes = (uint8_t *)(groups + count);
    for (uint32_t i = 0; i < count; i++) {
        struct sl_bytes group = item_read_bytes(reader, item_read_u16(reader));
        sl_bytes_copy(bytes, group);
        groups[i] = (struct sl_bytes){bytes, group.size};
        bytes += group.size;
    }
    *ret_groups = groups;
    return SLUICE_OK;
}

static void forget(struct txn_store *store, struct txn *txn)
{
    ongoing_unlist(store, txn);
    struct sl_bytes id = txn->values.id;
    sl_free((void *)(uintptr_t)txn->values.partitions);
    groups_free(&txn->values);
    txn->values = (struct txn_values){.producer_id = -1,
                                      .next_producer_id = -1,
                                      .start_ms = -1,
                                      .epoch = -1,
                                      .last_epoch = -1,
                                      .id = id};
    txn->is_durable = false;
    txn_store_drop_idle(store, txn);
}

static sl_err values_set(struct txn_store *store, struct txn_values *values,
                         struct item_reader *reader)
{
    struct txn_partition *partitions = NULL;
    struct sl_bytes *groups = NULL;
    struct txn *txn = txn_store_get(store, values->id);
    sl_err err = partitions_read(reader, values->partition_count, &partitions);
    if (err == SLUICE_OK)
        err = groups_read(reader, values->group_count, &groups);
    if (err == SLUICE_OK && !item_read_end(reader))
        err = SLUICE_E_CORRUPT;
    if (err == SLUICE_OK && txn == NULL)
        err = txn_make(store, values->id, &txn);
    if (err != SLUICE_OK) {
        sl_free(partitions);
        sl_free(groups);
        return err;
    }
    sl_free((void *)(uintptr_t)txn->values.partitions);
    groups_free(&txn->values);
    values->id = txn->values.id;
    values->partitions = partitions;
    values->groups = groups;
    txn->values = *values;
    txn->is_durable = true;
    if (values->state == TXN_ONGOING)
        ongoing_list(store, txn);
    else
        ongoing_unlist(store, txn);
    return SLUICE_OK;
}

sl_err txn_store_apply(struct txn_store *store, uint8_t version, struct sl_bytes payload)
{
    if (version > TXN_ITEM_VERSION)
        return SLUICE_E_NEWER_FORMAT;
    struct item_reader reader = item_reader_of(payload);
    struct txn_values values = head_read(&reader);
    if (version == 0 || reader.failed)
        return SLUICE_E_CORRUPT;
    if (values.state != TXN_DEAD)
        return values_set(store, &values, &reader);
    struct txn *txn = txn_store_get(store, values.id);
    if (txn != NULL)
        forget(store, txn);
    return SLUICE_OK;
}

/* ---- walks ---- */

struct snapshot_visit {
    txn_add_fn *add;
    void *add_arg;
    sl_err err;
};

static void snapshot_one(void *arg, struct chain_link *link)
{
    struct snapshot_visit *visit = arg;
    const struct txn *txn = txn_of(link);
    const struct txn_additions none = {0};
    if (visit->err != SLUICE_OK || !txn->is_durable)
        return;
    size_t size = txn_item_size(&txn->values, &none);
    uint8_t *payload = sl_alloc(size);
    if (payload == NULL) {
        visit->err = SLUICE_E_NO_MEMORY;
        return;
    }
    txn_item_encode(&txn->values, &none, payload);
    visit->err =
        visit->add(visit->add_arg, WAL_ITEM_TXN, TXN_ITEM_VERSION, sl_bytes_of(payload, size));
    sl_free(payload);
}

sl_err txn_store_snapshot(const struct txn_store *store, uint32_t *at, uint32_t count,
                          txn_add_fn *add, void *add_arg)
{
    struct snapshot_visit visit = {add, add_arg, SLUICE_OK};
    *at = chain_map_visit(&store->ids, *at, count, snapshot_one, &visit);
    return visit.err;
}

struct each_visit {
    void (*visit)(void *arg, struct txn *txn);
    void *arg;
};

static void each_one(void *arg, struct chain_link *link)
{
    const struct each_visit *each = arg;
    if (txn_of(link)->is_durable)
        each->visit(each->arg, txn_of(link));
}

void txn_store_each(const struct txn_store *store, void (*visit)(void *arg, struct txn *txn),
                    void *arg)
{
    struct each_visit each = {visit, arg};
    chain_map_each(&store->ids, each_one, &each);
}
