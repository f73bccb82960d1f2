/* snapshot.c: see snapshot.h. */
#include "shard/snapshot.h"

#include "shard/partition.h"

#define SLICE_COUNT 512u /* with a producer each about 0.2 ms */

/* Does a slice of one stage; *ret_done: it is at its end. */
typedef sl_err stage_fn(struct shard *shard, uint32_t count, wal_add_fn *add, void *add_arg,
                        bool *ret_done);

static sl_err topics_slice(struct shard *shard, uint32_t count, wal_add_fn *add, void *add_arg,
                           bool *ret_done)
{
    *ret_done = shard->index != 0;
    if (*ret_done) {
        return SLUICE_OK;
    }
    return catalog_walk_next(shard->catalog, &shard->snapshot.topics, count, add, add_arg,
                             ret_done);
}

static sl_err ids_slice(struct shard *shard, uint32_t count, wal_add_fn *add, void *add_arg,
                        bool *ret_done)
{
    uint8_t payload[PRODUCER_BLOCK_ITEM_SIZE];
    (void)count;
    *ret_done = true;
    if (shard->index != 0) {
        return SLUICE_OK;
    }
    producer_ids_snapshot(&shard->producer_ids, payload);
    return add(add_arg, WAL_ITEM_PRODUCER_BLOCK, PRODUCER_BLOCK_ITEM_VERSION,
               (struct sl_bytes){payload, sizeof(payload)});
}

static sl_err extents_slice(struct shard *shard, uint32_t count, wal_add_fn *add, void *add_arg,
                            bool *ret_done)
{
    return extent_walk_next(shard->extents, &shard->snapshot.extents, count, add, add_arg,
                            ret_done);
}

static sl_err add_bounds(const struct partition *partition, wal_add_fn *add, void *add_arg)
{
    struct bounds_item item = {.topic = *partition_topic_id(partition),
                               .partition = partition->number};
    uint8_t payload[BOUNDS_ITEM_SIZE_MAX];
    stream_index_describe(&partition->index, &item);
    if (partition_is_in_memory(partition)) { /* all that is kept of it: its lease */
        item.start_offset = item.end_offset = partition->lease_end;
    }
    if (item.end_offset == 0 || partition->shard->config.mutants.no_bounds) {
        return SLUICE_OK; /* never written to: as if it had not been opened */
    }
    size_t size = bounds_item_encode(&item, payload);
    return add(add_arg, WAL_ITEM_LOG_BOUNDS, BOUNDS_ITEM_VERSION, (struct sl_bytes){payload, size});
}

static sl_err add_compaction(const struct partition *partition, wal_add_fn *add, void *add_arg)
{
    const struct compaction_item item = {.topic = *partition_topic_id(partition),
                                         .partition = partition->number,
                                         .clean_offset = partition->clean_offset};
    uint8_t payload[COMPACTION_ITEM_SIZE];
    if (!partition->compacted) {
        return SLUICE_OK;
    }
    compaction_item_encode(&item, payload);
    return add(add_arg, WAL_ITEM_COMPACTION, COMPACTION_ITEM_VERSION,
               (struct sl_bytes){payload, sizeof(payload)});
}

static sl_err partitions_slice(struct shard *shard, uint32_t count, wal_add_fn *add, void *add_arg,
                               bool *ret_done)
{
    struct snapshot *snapshot = &shard->snapshot;
    sl_err err = SLUICE_OK;
    for (; count > 0 && snapshot->partition != NULL && err == SLUICE_OK; count--) {
        const struct partition *partition = snapshot->partition;
        const struct txn_log *txns = producers_txns(&partition->producers);
        uint32_t producers = partition->producers.count + (txns != NULL ? txns->aborted_count : 0);
        snapshot->partition = partition->next;
        err = add_bounds(partition, add, add_arg);
        err = err != SLUICE_OK ? err : add_compaction(partition, add, add_arg);
        if (err == SLUICE_OK && !shard->config.mutants.no_producers &&
            !partition_is_in_memory(partition)) {
            err = producers_snapshot(&partition->producers, partition_topic_id(partition),
                                     partition->number, partition_end(partition), add, add_arg);
        }
        count = producers < count ? count - producers : 1;
    }
    *ret_done = snapshot->partition == NULL;
    return err;
}

static sl_err offsets_slice(struct shard *shard, uint32_t count, wal_add_fn *add, void *add_arg,
                            bool *ret_done)
{
    uint32_t *at = &shard->snapshot.offset;
    if (shard->config.mutants.no_offsets) {
        *ret_done = true;
        return SLUICE_OK;
    }
    sl_err err = offset_store_snapshot(shard->offsets, at, count, add, add_arg);
    *ret_done = *at == UINT32_MAX;
    return err;
}

static sl_err positions_slice(struct shard *shard, uint32_t count, wal_add_fn *add, void *add_arg,
                              bool *ret_done)
{
    size_t *at = &shard->snapshot.position;
    if (shard->config.mutants.no_positions) {
        *ret_done = true;
        return SLUICE_OK;
    }
    sl_err err = position_store_snapshot(shard->positions, at, count, add, add_arg);
    *ret_done = *at == SIZE_MAX;
    return err;
}

static sl_err txns_slice(struct shard *shard, uint32_t count, wal_add_fn *add, void *add_arg,
                         bool *ret_done)
{
    uint32_t *at = &shard->snapshot.txn;
    *ret_done = shard->config.mutants.no_txns;
    if (*ret_done) {
        return SLUICE_OK;
    }
    sl_err err = txn_store_snapshot(&shard->txns.store, at, count, add, add_arg);
    *ret_done = *at == UINT32_MAX;
    return err;
}

static sl_err txn_offsets_slice(struct shard *shard, uint32_t count, wal_add_fn *add, void *add_arg,
                                bool *ret_done)
{
    uint32_t *at = &shard->snapshot.txn_offset;
    sl_err err = txn_offsets_snapshot(&shard->txn_offsets, at, count, add, add_arg);
    *ret_done = *at == UINT32_MAX;
    return err;
}

static sl_err shares_slice(struct shard *shard, uint32_t count, wal_add_fn *add, void *add_arg,
                           bool *ret_done)
{
    uint32_t *at = &shard->snapshot.share;
    if (*at != UINT32_MAX) {
        return share_store_snapshot(&shard->shares, at, count, add, add_arg);
    }
    at = &shard->snapshot.share_group;
    sl_err err = share_members_snapshot(&shard->share_members, at, count, add, add_arg);
    *ret_done = *at == UINT32_MAX;
    return err;
}

/* Most brokers have none: no slice is spent on them. */
static bool has_shares(const struct shard *shard)
{
    return shard->shares.groups.count > 0 || shard->share_members.groups.count > 0;
}

/* At most SWITCH_COUNT_MAX small ones: at once. */
static sl_err switches_slice(struct shard *shard, uint32_t count, wal_add_fn *add, void *add_arg,
                             bool *ret_done)
{
    uint8_t payload[SWITCH_ITEM_BYTES_MAX];
    sl_err err = SLUICE_OK;
    (void)count;
    *ret_done = true;
    for (uint32_t i = 0; i < shard->switches.count && err == SLUICE_OK; i++) {
        size_t size = switch_item_encode(&shard->switches.entries[i], payload);
        err = add(add_arg, WAL_ITEM_PLUGIN_SWITCH, SWITCH_ITEM_VERSION,
                  (struct sl_bytes){payload, size});
    }
    return err;
}

struct access_slice {
    wal_add_fn *add;
    void *add_arg;
    sl_err err;
};

static void add_acl(void *arg, struct chain_link *link)
{
    struct access_slice *slice = arg;
    const struct sluice_acl rule = acl_view(SL_CONTAINER_OF(link, struct acl, link));
    struct sl_bytes payload;
    if (slice->err != SLUICE_OK ||
        (slice->err = acl_item_encode(&rule, false, &payload)) != SLUICE_OK) {
        return;
    }
    slice->err = slice->add(slice->add_arg, WAL_ITEM_ACL, ACL_ITEM_VERSION, payload);
    sl_free((void *)(uintptr_t)payload.data);
}

static sl_err acls_slice(struct shard *shard, uint32_t count, wal_add_fn *add, void *add_arg,
                         bool *ret_done)
{
    struct access_slice slice = {.add = add, .add_arg = add_arg};
    uint32_t *at = &shard->snapshot.acl;
    *at = chain_map_visit(&shard->access.acls, *at, count, add_acl, &slice);
    *ret_done = *at == UINT32_MAX;
    return slice.err;
}

static void add_credential(void *arg, struct chain_link *link)
{
    struct access_slice *slice = arg;
    uint8_t payload[CREDENTIAL_ITEM_BYTES_MAX];
    if (slice->err == SLUICE_OK) {
        size_t size =
            credential_item_encode(SL_CONTAINER_OF(link, struct credential, link), payload);
        slice->err = slice->add(slice->add_arg, WAL_ITEM_CREDENTIAL, CREDENTIAL_ITEM_VERSION,
                                (struct sl_bytes){payload, size});
    }
}

static sl_err credentials_slice(struct shard *shard, uint32_t count, wal_add_fn *add, void *add_arg,
                                bool *ret_done)
{
    struct access_slice slice = {.add = add, .add_arg = add_arg};
    uint32_t *at = &shard->snapshot.credential;
    *at = chain_map_visit(&shard->access.credentials, *at, count, add_credential, &slice);
    *ret_done = *at == UINT32_MAX;
    return slice.err;
}

/* A few: in one turn. */
static sl_err settings_slice(struct shard *shard, uint32_t count, wal_add_fn *add, void *add_arg,
                             bool *ret_done)
{
    sl_err err = SLUICE_OK;
    (void)count;
    *ret_done = true;
    for (uint32_t i = 0; i < shard->settings.count && err == SLUICE_OK; i++) {
        struct sl_bytes payload;
        err = setting_item_encode(shard->settings.entries[i], &payload);
        if (err == SLUICE_OK) {
            err = add(add_arg, WAL_ITEM_SETTING, SETTING_ITEM_VERSION, payload);
            sl_free((void *)(uintptr_t)payload.data);
        }
    }
    return err;
}

static sl_err consumers_slice(struct shard *shard, uint32_t count, wal_add_fn *add, void *add_arg,
                              bool *ret_done)
{
    struct snapshot *snapshot = &shard->snapshot;
    if (snapshot->consumers.member != UINT32_MAX) {
        bool consumers_done = false;
        return consumer_groups_snapshot(shard->consumers.groups, &snapshot->consumers, count, add,
                                        add_arg, &consumers_done);
    }
    return streams_groups_snapshot(shard->consumers.streams, &snapshot->streams, count, add,
                                   add_arg, ret_done);
}

static void add_quota(void *arg, struct chain_link *link)
{
    struct access_slice *slice = arg;
    const struct quota_entry *entry = SL_CONTAINER_OF(link, struct quota_entry, link);
    uint8_t payload[QUOTA_ITEM_BYTES_MAX];
    for (int32_t kind = 1; kind <= SLUICE_QUOTA_KINDS; kind++) {
        if (entry->limits[kind] > 0 && slice->err == SLUICE_OK) {
            size_t size = quota_item_encode(&entry->entity, kind, entry->limits[kind], payload);
            slice->err = slice->add(slice->add_arg, WAL_ITEM_QUOTA, QUOTA_ITEM_VERSION,
                                    (struct sl_bytes){payload, size});
        }
    }
}

static sl_err quotas_slice(struct shard *shard, uint32_t count, wal_add_fn *add, void *add_arg,
                           bool *ret_done)
{
    struct access_slice slice = {.add = add, .add_arg = add_arg};
    uint32_t *at = &shard->snapshot.quota;
    *at = quota_book_visit(shard->quotas, *at, count, add_quota, &slice);
    *ret_done = *at == UINT32_MAX;
    return slice.err;
}

static sl_err messages_slice(struct shard *shard, uint32_t count, wal_add_fn *add, void *add_arg,
                             bool *ret_done)
{
    uint32_t *at = &shard->snapshot.message;
    *ret_done = shard->config.mutants.no_messages || message_ids_count(&shard->messages) == 0;
    if (*ret_done) {
        return SLUICE_OK;
    }
    sl_err err =
        message_ids_snapshot(&shard->messages, at, count, shard_wall_ms(shard), add, add_arg);
    *ret_done = *at == UINT32_MAX;
    return err;
}

static sl_err delays_slice(struct shard *shard, uint32_t count, wal_add_fn *add, void *add_arg,
                           bool *ret_done)
{
    uint32_t *at = &shard->snapshot.delay;
    *ret_done = delay_book_count(&shard->delayed.book) == 0;
    if (*ret_done) {
        return SLUICE_OK;
    }
    sl_err err = delay_book_snapshot(&shard->delayed.book, at, count, add, add_arg);
    *ret_done = *at == UINT32_MAX;
    return err;
}

static void begin(struct shard *shard)
{
    struct snapshot *snapshot = &shard->snapshot;
    *snapshot =
        (struct snapshot){.slice_count = snapshot->slice_count, .partition = shard->partitions};
    catalog_walk_begin(shard->catalog, &snapshot->topics);
    extent_walk_begin(shard->extents, &snapshot->extents);
}

sl_err snapshot_slice(void *arg, bool begins, wal_add_fn *add, void *add_arg, bool *ret_done)
{
    static stage_fn *const stages[SNAPSHOT_STAGE_COUNT] = {
        [SNAPSHOT_TOPICS] = topics_slice,     [SNAPSHOT_IDS] = ids_slice,
        [SNAPSHOT_EXTENTS] = extents_slice,   [SNAPSHOT_PARTITIONS] = partitions_slice,
        [SNAPSHOT_OFFSETS] = offsets_slice,   [SNAPSHOT_POSITIONS] = positions_slice,
        [SNAPSHOT_TXNS] = txns_slice,         [SNAPSHOT_TXN_OFFSETS] = txn_offsets_slice,
        [SNAPSHOT_SHARES] = shares_slice,     [SNAPSHOT_SWITCHES] = switches_slice,
        [SNAPSHOT_ACLS] = acls_slice,         [SNAPSHOT_CREDENTIALS] = credentials_slice,
        [SNAPSHOT_SETTINGS] = settings_slice, [SNAPSHOT_CONSUMERS] = consumers_slice,
        [SNAPSHOT_QUOTAS] = quotas_slice,     [SNAPSHOT_MESSAGES] = messages_slice,
        [SNAPSHOT_DELAYS] = delays_slice,
    };
    struct shard *shard = arg;
    struct snapshot *snapshot = &shard->snapshot;
    if (shard->is_behind) {
        return SLUICE_E_NO_MEMORY; /* what it lacks must come from the log at the next start */
    }
    if (begins) {
        begin(shard);
    }
    uint32_t count = snapshot->slice_count != 0 ? snapshot->slice_count : SLICE_COUNT;
    bool stage_done = false;
    snapshot->stage += snapshot->stage == SNAPSHOT_SHARES && !has_shares(shard);
    sl_err err = stages[snapshot->stage](shard, count, add, add_arg, &stage_done);
    snapshot->stage += stage_done;
    *ret_done = snapshot->stage == SNAPSHOT_STAGE_COUNT;
    return err;
}

void snapshot_skip(struct snapshot *snapshot, const struct partition *partition)
{
    if (snapshot->partition == partition) {
        snapshot->partition = partition->next;
    }
}
