/* recovery.c: see recovery.h. */
#include "shard/recovery.h"

#include "extent/extent_set.h"
#include "index/batch_item.h"
#include "shard/partition.h"
#include "shard/store.h"

#include <stdio.h>

/* ---- items ---- */

/* *ret_partition: opened if need be; NULL when it is of a topic that was deleted later. */
static sl_err recovered_partition(struct shard *shard, const struct sl_uuid *id, uint32_t number,
                                  struct partition **ret_partition)
{
    struct topic *topic = shard_topic_by_id(shard, id); /* mostly that of the item before */
    if (topic == NULL || number >= topic->partition_count) {
        *ret_partition = NULL;
        return SLUICE_OK;
    }
    return partition_open(shard, topic, number, ret_partition);
}

static sl_err index_batch(struct shard *shard, struct partition *partition,
                          const struct batch_item *item, const struct wal_place *place)
{
    struct stream_index *index = &partition->index;
    int64_t max_timestamp = item->max_timestamp >= 0
                                ? item->max_timestamp
                                : stream_time_unknown(shard->recovery_begun_ms);
    struct stream_batch entry = {.base_offset = item->base_offset,
                                 .last_offset = item->last_offset,
                                 .max_timestamp = max_timestamp,
                                 .leader_epoch = item->leader_epoch,
                                 .place = *place};
    /* What lies before it is in an extent: room for both at once leaves no hole behind. */
    bool is_first = stream_index_run_count(index) == 0;
    bool has_older = item->base_offset > stream_index_start(index);
    sl_err err = is_first && has_older ? stream_index_reserve(index, 2) : SLUICE_OK;
    err = err != SLUICE_OK ? err : stream_index_append(index, &entry);
    space_enter(&shard->space, partition);
    return err;
}

static sl_err recover_batch(struct shard *shard, uint64_t lsn, uint8_t version,
                            struct sl_bytes payload, const struct wal_place *place)
{
    struct batch_item item;
    struct partition *partition = NULL;
    sl_err err = batch_item_decode(version, payload, &item);
    err = err != SLUICE_OK ? err
                           : recovered_partition(shard, &item.topic, item.partition, &partition);
    if (partition == NULL) {
        return err;
    }
    err = index_batch(shard, partition, &item, place);
    if (err != SLUICE_OK || item.producer_id < 0 || lsn <= shard->recovery.checkpoint_lsn) {
        return err; /* the checkpoint has what is remembered of its producer */
    }
    if ((item.attributes & BATCH_CONTROL) != 0) {
        return producers_apply_marker(&partition->producers, item.producer_id, item.producer_epoch,
                                      (item.attributes & BATCH_ITEM_ABORTS) != 0, item.base_offset,
                                      shard->recovery_begun_ms);
    }
    struct producer_batch producer = {.producer_id = item.producer_id,
                                      .producer_epoch = item.producer_epoch,
                                      .transactional = (item.attributes & BATCH_TRANSACTIONAL) != 0,
                                      .base_sequence = item.base_sequence,
                                      .record_count =
                                          (uint32_t)(item.last_offset - item.base_offset + 1)};
    bool append_time = (item.attributes & BATCH_LOG_APPEND_TIME) != 0;
    return producers_apply(&partition->producers, &producer, item.base_offset, item.last_offset,
                           append_time ? item.max_timestamp : -1, shard->recovery_begun_ms);
}

static sl_err recover_producer(struct shard *shard, uint16_t kind, uint8_t version,
                               struct sl_bytes payload)
{
    struct sl_uuid id;
    uint32_t number = 0;
    struct partition *partition = NULL;
    sl_err err = producer_state_item_target(kind, version, payload, &id, &number);
    err = err != SLUICE_OK ? err : recovered_partition(shard, &id, number, &partition);
    return partition == NULL ? err
                             : producers_restore(&partition->producers, kind, version, payload);
}

static sl_err recover_bounds(struct shard *shard, uint8_t version, struct sl_bytes payload)
{
    struct bounds_item item;
    struct partition *partition = NULL;
    sl_err err = bounds_item_decode(version, payload, &item);
    err = err != SLUICE_OK ? err
                           : recovered_partition(shard, &item.topic, item.partition, &partition);
    return partition == NULL ? err : stream_index_restore(&partition->index, &item);
}

static sl_err recover_compaction(struct shard *shard, uint8_t version, struct sl_bytes payload)
{
    struct compaction_item item;
    struct partition *partition = NULL;
    sl_err err = compaction_item_decode(version, payload, &item);
    err = err != SLUICE_OK ? err
                           : recovered_partition(shard, &item.topic, item.partition, &partition);
    if (partition != NULL) {
        partition->compacted = true;
        partition->clean_offset = SL_MAX(partition->clean_offset, item.clean_offset);
    }
    return err;
}

static sl_err recover_share(struct shard *shard, uint8_t version, struct sl_bytes payload)
{
    struct share_item item;
    sl_err err = share_item_decode(version, payload, &item);
    if (err != SLUICE_OK || catalog_by_id(shard->catalog, &item.topic) == NULL) {
        return err; /* of a topic that was deleted later */
    }
    return share_store_apply(&shard->shares, WAL_ITEM_SHARE_STATE, version, payload);
}

sl_err recovery_apply(void *arg, uint64_t lsn, uint16_t kind, uint8_t version,
                      struct sl_bytes payload, const struct wal_place *place)
{
    struct shard *shard = arg;
    switch (kind) {
    case WAL_ITEM_BATCH:
        return recover_batch(shard, lsn, version, payload, place);
    case WAL_ITEM_TOPIC_CREATE:
    case WAL_ITEM_TOPIC_DELETE:
    case WAL_ITEM_TOPIC_CONFIG:
    case WAL_ITEM_TOPIC_GROW:
        return catalog_apply(shard->catalog, kind, version, payload);
    case WAL_ITEM_OFFSET_COMMIT:
    case WAL_ITEM_OFFSET_FORGET:
        return offset_store_apply(shard->offsets, kind, version, payload);
    case WAL_ITEM_TXN:
        return txn_store_apply(&shard->txns.store, version, payload);
    case WAL_ITEM_TXN_OFFSET:
    case WAL_ITEM_TXN_OFFSET_END:
        return txn_offsets_apply(&shard->txn_offsets, kind, version, payload);
    case WAL_ITEM_GROUP:
    case WAL_ITEM_GROUP_MEMBER:
    case WAL_ITEM_GROUP_ASSIGNMENT:
        return consumer_groups_apply(shard->consumers.groups, kind, version, payload);
    case WAL_ITEM_STREAMS_GROUP:
    case WAL_ITEM_STREAMS_MEMBER:
        return streams_groups_apply(shard->consumers.streams, kind, version, payload);
    case WAL_ITEM_SHARE_STATE:
        return recover_share(shard, version, payload);
    case WAL_ITEM_SHARE_FORGET:
    case WAL_ITEM_SHARE_CONFIG:
        return share_store_apply(&shard->shares, kind, version, payload);
    case WAL_ITEM_SHARE_GROUP:
        return share_members_apply(&shard->share_members, version, payload);
    case WAL_ITEM_STAGE_POSITION:
        return position_store_apply(shard->positions, version, payload);
    case WAL_ITEM_PLUGIN_SWITCH:
        return switch_store_apply(&shard->switches, version, payload);
    case WAL_ITEM_ACL:
    case WAL_ITEM_CREDENTIAL:
        return access_store_apply(&shard->access, kind, version, payload);
    case WAL_ITEM_SETTING:
        return setting_store_apply(&shard->settings, version, payload);
    case WAL_ITEM_QUOTA:
        return quota_book_apply(shard->quotas, version, payload);
    case WAL_ITEM_DELAY:
        return delay_book_apply(&shard->delayed.book, version, payload);
    case WAL_ITEM_MESSAGE_ID:
        return message_ids_apply(&shard->messages, version, payload, shard->recovery_begun_ms);
    case WAL_ITEM_PRODUCER_BLOCK:
        return producer_ids_apply(&shard->producer_ids, version, payload);
    case WAL_ITEM_PRODUCER_STATE:
    case WAL_ITEM_TXN_OPEN:
    case WAL_ITEM_TXN_ABORTED:
        return recover_producer(shard, kind, version, payload);
    case WAL_ITEM_LOG_BOUNDS:
        return recover_bounds(shard, version, payload);
    case WAL_ITEM_EXTENT:
    case WAL_ITEM_EXTENT_DROP:
        return extent_set_apply(shard->extents, kind, version, payload);
    case WAL_ITEM_COMPACTION:
        return recover_compaction(shard, version, payload);
    default:
        return SLUICE_E_NEWER_FORMAT;
    }
}

/* ---- extents ---- */

struct extent_load {
    struct shard *shard;
    struct stream_run *blocks; /* of one stream; owned */
    uint32_t block_capacity;
    bool overlaps; /* an extent and the log, or another extent, hold the same records twice */
};

static sl_err blocks_take(struct extent_load *load, const struct extent_item *item,
                          const struct extent_footer *footer, uint32_t first, uint32_t end)
{
    uint32_t count = end - first;
    if (count > load->block_capacity) {
        size_t size = count * sizeof(*load->blocks);
        struct stream_run *blocks = sl_realloc(load->blocks, size);
        if (blocks == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
        load->blocks = blocks;
        load->block_capacity = count;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct extent_block block = extent_footer_block(footer, first + i);
        load->blocks[i] = store_run_of_block(item, &block, false);
    }
    return SLUICE_OK;
}

/* Extents come in the order in which they were made: the later one is right where two hold the same
 * offsets, and what it leaves of an older run is in another later one. */
static sl_err index_compacted(struct extent_load *load, struct partition *partition,
                              uint32_t block_count)
{
    sl_err err = stream_index_reserve(&partition->index, block_count);
    if (err == SLUICE_OK) {
        store_swap(partition, load->blocks, block_count);
    }
    return err;
}

static sl_err index_range(struct extent_load *load, const struct extent_item *item,
                          struct partition *partition, uint32_t block_count)
{
    struct stream_index *index = &partition->index;
    if (partition->compacted) {
        return index_compacted(load, partition, block_count);
    }
    sl_err err = stream_index_keep(index, block_count, 0);
    if (err == SLUICE_OK) {
        err = stream_index_replace(index, load->blocks, block_count);
        load->overlaps = err == SLUICE_E_CORRUPT;
        stream_index_shrink(index, 0);
    }
    uint64_t held = 0;
    for (uint32_t i = 0; i < block_count && err == SLUICE_OK; i++) {
        bool is_live = load->blocks[i].last_offset >= stream_index_start(index);
        held += is_live ? load->blocks[i].place.size : 0;
    }
    extent_set_hold_bytes(load->shard->extents, item->id, held);
    return err;
}

/* Each range by itself: what lies between two of them is in another extent. */
static sl_err index_stream(struct extent_load *load, const struct extent_item *item,
                           const struct extent_footer *footer, const struct extent_stream *stream,
                           struct partition *partition)
{
    uint32_t end = stream->first_block + stream->block_count;
    sl_err err = SLUICE_OK;
    for (uint32_t at = stream->first_block; at < end && err == SLUICE_OK;) {
        uint32_t next = extent_footer_range(footer, at, end);
        err = blocks_take(load, item, footer, at, next);
        err = err != SLUICE_OK ? err : index_range(load, item, partition, next - at);
        at = next;
    }
    return err;
}

static sl_err extent_found(void *arg, const struct extent_item *item,
                           const struct extent_footer *footer)
{
    struct extent_load *load = arg;
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < item->stream_count && err == SLUICE_OK; i++) {
        struct extent_stream stream = extent_footer_stream(footer, i);
        struct partition *partition = NULL;
        err = recovered_partition(load->shard, &stream.topic, stream.partition, &partition);
        err = partition == NULL ? err : index_stream(load, item, footer, &stream, partition);
    }
    return err;
}

/* Extents come in the order of their ids, which need not be that of offsets. */
static bool indexes_are_ordered(const struct shard *shard)
{
    for (const struct partition *p = shard->partitions; p != NULL; p = p->next) {
        if (!stream_index_is_ordered(&p->index)) {
            return false;
        }
    }
    return true;
}

sl_err recovery_end(void *arg, char ret_problem[WAL_PROBLEM_BYTES])
{
    struct shard *shard = arg;
    struct extent_load load = {.shard = shard};
    char problem[EXTENT_PROBLEM_BYTES] = "";
    sl_err err = extent_set_load(shard->extents, extent_found, &load, problem);
    if (err == SLUICE_OK && !indexes_are_ordered(shard)) {
        err = SLUICE_E_CORRUPT;
        load.overlaps = true;
    }
    if (err != SLUICE_OK) {
        snprintf(ret_problem, WAL_PROBLEM_BYTES, "%s",
                 load.overlaps ? "extents and the write-ahead log hold different records at the "
                                 "same offsets: restore from a backup or run sluice wal salvage"
                               : problem);
    }
    sl_free(load.blocks);
    producer_shard_sort(shard->producers);
    err = err != SLUICE_OK ? err : delay_book_sort(&shard->delayed.book);
    struct extent_set_status status;
    extent_set_status_get(shard->extents, &status);
    shard->extents_recovered = status.extent_count;
    shard->extents_removed = status.removed_files;
    return err;
}

uint64_t recovery_repairs(const struct shard *shard)
{
    const struct wal_recovery *recovery = &shard->recovery;
    return (recovery->bytes_cut > 0) + recovery->checkpoints_damaged + recovery->files_removed +
           shard->extents_removed;
}
