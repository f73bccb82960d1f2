/* store.c: see store.h. */
#include "shard/store.h"

#include "extent/extent_set.h"
#include "shard/partition.h"

#define JOINED_BYTES                                                            \
    (512u << 10) /* read at once: what is found in memory before the first page \
                    that is not need not be read again */

static bool is_in_extent(const struct wal_place *place)
{
    return (place->segment & WAL_PLACE_EXTENT) != 0;
}

static struct commit_log *log_of(const struct shard *shard, const struct wal_place *place)
{
    return (place->segment & WAL_PLACE_MEMORY) != 0 ? shard->memory.log : shard->log;
}

static uint64_t extent_of(const struct wal_place *place)
{
    return place->segment & ~WAL_PLACE_EXTENT;
}

sl_err store_read_cached(struct shard *shard, const struct wal_place *place, void *ret_bytes)
{
    return is_in_extent(place) ? extent_set_read_cached(shard->extents, place, ret_bytes)
                               : commit_log_read_cached(log_of(shard, place), place, ret_bytes);
}

sl_err store_read(struct shard *shard, const struct wal_place *place, void *ret_bytes)
{
    return is_in_extent(place) ? extent_set_read(shard->extents, place, ret_bytes)
                               : commit_log_read(log_of(shard, place), place, ret_bytes);
}

static bool follows(const struct wal_place *place, const struct wal_place *next)
{
    return next->segment == place->segment && next->position == place->position + place->size &&
           next->size <= UINT32_MAX - place->size;
}

/* The place at *at with those that lie behind it, as far as they come to bytes_max; *at moves on.
 */
static struct wal_place join(const struct wal_place *places, uint32_t count, uint32_t bytes_max,
                             uint32_t *at)
{
    struct wal_place place = places[(*at)++];
    while (*at < count && place.size < bytes_max && follows(&place, &places[*at])) {
        place.size += places[(*at)++].size;
    }
    return place;
}

sl_err store_read_rest(struct shard *shard, const struct wal_place *places, uint32_t count,
                       void *ret_bytes, store_read_fn *read, uint32_t *done)
{
    uint8_t *into = ret_bytes;
    sl_err err = SLUICE_OK;
    uint32_t i = 0;
    for (; i < *done; i++) {
        into += places[i].size;
    }
    while (i < count && err == SLUICE_OK) {
        struct wal_place place = join(places, count, JOINED_BYTES, &i);
        err = read(shard, &place, into);
        into += place.size;
        *done = err == SLUICE_OK ? i : *done;
    }
    return err;
}

sl_err store_read_places(struct shard *shard, const struct wal_place *places, uint32_t count,
                         void *ret_bytes, store_read_fn *read)
{
    uint32_t done = 0;
    return store_read_rest(shard, places, count, ret_bytes, read, &done);
}

void store_prefetch(struct shard *shard, const struct wal_place *places, uint32_t count)
{
    uint32_t i = 0;
    while (i < count) {
        struct wal_place place = join(places, count, UINT32_MAX, &i);
        if (is_in_extent(&place)) {
            extent_set_prefetch(shard->extents, &place);
        }
    }
}

bool store_pin(struct shard *shard, const struct wal_place *place)
{
    return is_in_extent(place) ? extent_set_pin(shard->extents, extent_of(place))
                               : commit_log_pin(log_of(shard, place), place->segment);
}

void store_unpin(struct shard *shard, const struct wal_place *place)
{
    if (is_in_extent(place)) {
        extent_set_unpin(shard->extents, extent_of(place));
    } else {
        commit_log_unpin(log_of(shard, place), place->segment);
    }
}

struct stream_run store_run_of_block(const struct extent_item *extent,
                                     const struct extent_block *block, bool verified)
{
    bool has_time = block->max_timestamp >= 0;
    return (struct stream_run){.base_offset = block->base_offset,
                               .last_offset = block->last_offset,
                               .max_timestamp = has_time ? block->max_timestamp
                                                         : stream_time_unknown(extent->created_ms),
                               .place = {.segment = WAL_PLACE_EXTENT | extent->id,
                                         .position = block->position,
                                         .size = block->size},
                               .leader_epoch = block->leader_epoch,
                               .crc = block->crc,
                               .verified = verified};
}

void store_swap(struct partition *partition, const struct stream_run *blocks, uint32_t count)
{
    struct stream_index *index = &partition->index;
    struct extent_set *extents = partition->shard->extents;
    int64_t last = blocks[count - 1].last_offset;
    int64_t at = SL_MAX(blocks->base_offset, stream_index_start(index));
    struct stream_run run;
    while (at <= last && stream_index_find(index, at, &run) && run.base_offset <= last) {
        extent_set_release(extents, &run.place);
        at = run.last_offset + 1;
    }
    stream_index_swap(index, blocks, count);
    for (uint32_t i = 0; i < count; i++) {
        if (blocks[i].last_offset >= stream_index_start(index)) {
            extent_set_hold(extents, &blocks[i].place);
        }
    }
}
