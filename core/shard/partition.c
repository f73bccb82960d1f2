/* partition.c: see partition.h. */
#include "shard/partition.h"

#include "base/crc32c.h"
#include "extent/extent_set.h"
#include "shard/compact.h"
#include "shard/fetch.h"
#include "shard/retention.h"
#include "shard/store.h"

/* topic->user of a shard's catalog: its open partitions by number. Where those of a shard are
 * `stride` apart there is a slot for each of them, not for those of other shards. */
static struct partition **slot_of(const struct topic *topic, uint32_t number)
{
    struct partition **slots = topic->user;
    return &slots[topic->stride == 1 ? number : number / topic->stride]; /* a division is dear */
}

struct partition *partition_find(const struct topic *topic, uint32_t number)
{
    SL_ASSERT(number < topic->partition_count);
    struct partition *partition = topic->user == NULL ? NULL : *slot_of(topic, number);
    return partition == NULL || partition->number != number ? NULL : partition;
}

static sl_err make_slots(struct topic *topic)
{
    if (topic->user == NULL) {
        uint32_t count = (topic->partition_count - 1) / topic->stride + 1;
        topic->user = sl_alloc_zero(count, sizeof(struct partition *));
    }
    return topic->user == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

sl_err partition_slots_grow(struct topic *topic, uint32_t was_count, uint16_t was_stride)
{
    struct partition **old = topic->user;
    if (old == NULL) {
        return SLUICE_OK;
    }
    topic->user = NULL;
    sl_err err = make_slots(topic);
    if (err != SLUICE_OK) {
        topic->user = old;
        return err;
    }
    for (uint32_t i = 0; i <= (was_count - 1) / was_stride; i++) {
        if (old[i] != NULL) {
            *slot_of(topic, old[i]->number) = old[i];
        }
    }
    sl_free(old);
    return SLUICE_OK;
}

/* Not inlined: seldom, and partition_open is asked for every batch. */
__attribute__((noinline)) static sl_err make_partition(struct shard *shard, struct topic *topic,
                                                       uint32_t number,
                                                       struct partition **ret_partition)
{
    sl_err err = make_slots(topic);
    if (err != SLUICE_OK) {
        return err;
    }
    struct partition *partition = sl_alloc_zero(1, sizeof(*partition));
    if (partition == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    partition->shard = shard;
    partition->topic = topic;
    SL_ASSERT(number < 1u << PARTITION_NUMBER_BITS);
    partition->number = number & ((1u << PARTITION_NUMBER_BITS) - 1);
    partition->refs = 1;
    stream_index_init(&partition->index);
    producers_init(&partition->producers, shard->producers);
    partition->next = shard->partitions;
    partition->previous_next = &shard->partitions;
    if (partition->next != NULL) {
        partition->next->previous_next = &partition->next;
    }
    shard->partitions = partition;
    *slot_of(topic, number) = partition;
    if (shard->config.hooks != NULL && shard->config.hooks->partition_opened != NULL) {
        shard->config.hooks->partition_opened(shard->config.hooks_arg, shard, partition);
    }
    *ret_partition = partition;
    return SLUICE_OK;
}

sl_err partition_open(struct shard *shard, struct topic *topic, uint32_t number,
                      struct partition **ret_partition)
{
    struct partition *partition = partition_find(topic, number);
    if (partition == NULL) {
        return make_partition(shard, topic, number, ret_partition);
    }
    *ret_partition = partition;
    return SLUICE_OK;
}

void partition_ref(struct partition *partition)
{
    SL_ASSERT(partition->refs > 0 && partition->refs < UINT32_MAX);
    partition->refs++;
}

void partition_unref(struct partition *partition)
{
    SL_ASSERT(partition->refs > 0);
    if (--partition->refs == 0) {
        producers_fini(&partition->producers);
        stream_index_fini(&partition->index);
        sl_free(partition);
    }
}

void partition_delete(struct partition *partition)
{
    struct topic *topic = partition->topic;
    bool in_memory = partition_is_in_memory(partition);
    *slot_of(topic, partition->number) = NULL;
    partition->topic = NULL;
    retention_skip(partition->shard->retention, partition);
    compact_skip(partition->shard, partition);
    snapshot_skip(&partition->shard->snapshot, partition);
    if (in_memory) {
        memory_space_leave(partition);
    } else {
        space_leave(&partition->shard->space, partition);
    }
    *partition->previous_next = partition->next;
    if (partition->next != NULL) {
        partition->next->previous_next = partition->previous_next;
    }
    partition_notify(partition);
    partition->observers = NULL;
    partition->gate = NULL;
    partition_unref(partition);
}

/* Gives back what the runs below the offset hold in extents. */
static void release_below(struct partition *partition, int64_t offset)
{
    struct stream_run run;
    int64_t at = partition_start(partition);
    while (stream_index_find(&partition->index, at, &run) && run.last_offset < offset &&
           (run.place.segment & WAL_PLACE_EXTENT) != 0) {
        extent_set_release(partition->shard->extents, &run.place);
        at = run.last_offset + 1;
    }
}

void partition_release(struct partition *partition)
{
    release_below(partition, INT64_MAX);
}

void partition_drop_below(struct partition *partition, int64_t offset)
{
    release_below(partition, offset);
    partition->unsealable = partition->uncompactable = false; /* what is damaged may be gone */
    producers_drop_below(&partition->producers, offset);
    stream_index_drop_below(&partition->index, offset);
    stream_index_shrink(&partition->index, partition->pending_batches);
    space_freed(partition->shard);
    memory_space_freed(&partition->shard->memory);
}

static void free_slots(void *arg, struct topic *topic)
{
    (void)arg;
    sl_free(topic->user);
    topic->user = NULL;
}

void partition_free_all(struct shard *shard)
{
    while (shard->partitions != NULL) {
        partition_delete(shard->partitions);
    }
    if (shard->catalog != NULL) {
        catalog_each(shard->catalog, free_slots, NULL);
    }
}

void partition_notify(struct partition *partition)
{
    for (struct fetch_waiter *waiter = partition->waiters; waiter != NULL; waiter = waiter->next) {
        fetch_wake(waiter);
    }
    struct partition_observer *observer = partition->observers;
    while (observer != NULL) {
        struct partition_observer *next = observer->next;
        observer->notify(observer);
        observer = next;
    }
}

void partition_observe(struct partition *partition, struct partition_observer *observer)
{
    observer->next = partition->observers;
    partition->observers = observer;
}

void partition_unobserve(struct partition *partition, struct partition_observer *observer)
{
    struct partition_observer **at = &partition->observers;
    while (*at != NULL && *at != observer) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = observer->next;
    }
}

int64_t partition_start(const struct partition *partition)
{
    return stream_index_start(&partition->index);
}

int64_t partition_end(const struct partition *partition)
{
    return stream_index_end(&partition->index);
}

int64_t partition_stable_end(const struct partition *partition)
{
    const struct txn_log *log = producers_txns(&partition->producers);
    int64_t end = partition_end(partition);
    if (log == NULL) {
        return end;
    }
    /* Records of an open transaction may have been deleted. */
    return SL_MAX(SL_MIN(end, txn_log_first_open(log)), partition_start(partition));
}

/* A run in memory right behind the last of the plan: they are read as one. */
static bool plan_extend(struct read_plan *plan, const struct stream_run *run)
{
    struct wal_place *place = &plan->places[plan->place_count - 1];
    struct read_claim *claim = &plan->claims[plan->place_count - 1];
    bool extends = (run->place.segment & WAL_PLACE_MEMORY) != 0 &&
                   place->segment == run->place.segment &&
                   place->position + place->size == run->place.position && claim->verified &&
                   run->verified && claim->leader_epoch == run->leader_epoch &&
                   place->size + run->place.size <= STREAM_RUN_BYTES_MAX;
    if (extends) {
        place->size += run->place.size;
        claim->last_offset = run->last_offset;
    }
    return extends;
}

bool partition_plan(const struct partition *partition, int64_t offset, uint32_t bytes_max,
                    struct read_plan *ret_plan)
{
    struct stream_run run;
    ret_plan->place_count = 0;
    ret_plan->bytes = 0;
    ret_plan->is_full = false;
    while (stream_index_find(&partition->index, offset, &run)) {
        bool exceeds = (uint64_t)ret_plan->bytes + run.place.size > bytes_max;
        if (ret_plan->place_count == PARTITION_PLACES_MAX ||
            (ret_plan->place_count > 0 && exceeds && ret_plan->bytes >= bytes_max / 2)) {
            ret_plan->is_full = true;
            break;
        }
        if (ret_plan->place_count == 0 || !plan_extend(ret_plan, &run)) {
            ret_plan->claims[ret_plan->place_count] = read_claim_of(&run);
            ret_plan->places[ret_plan->place_count++] = run.place;
        }
        ret_plan->bytes += run.place.size;
        offset = run.last_offset + 1;
    }
    return ret_plan->place_count > 0;
}

bool read_plan_end(struct read_plan *plan, int64_t end_offset)
{
    while (plan->place_count > 0 && plan->claims[plan->place_count - 1].base_offset >= end_offset) {
        plan->bytes -= plan->places[--plan->place_count].size;
        plan->is_full = false;
    }
    return plan->place_count > 0;
}

bool read_plan_pin(struct shard *shard, const struct read_plan *plan)
{
    for (uint32_t i = 0; i < plan->place_count; i++) {
        if (!store_pin(shard, &plan->places[i])) {
            while (i > 0) {
                store_unpin(shard, &plan->places[--i]);
            }
            return false;
        }
    }
    return true;
}

void read_plan_unpin(struct shard *shard, const struct read_plan *plan)
{
    for (uint32_t i = 0; i < plan->place_count; i++) {
        store_unpin(shard, &plan->places[i]);
    }
}

struct read_claim read_claim_of(const struct stream_run *run)
{
    return (struct read_claim){.base_offset = run->base_offset,
                               .last_offset = run->last_offset,
                               .leader_epoch = run->leader_epoch,
                               .crc = run->crc,
                               .verified = run->verified};
}

static sl_err check_batches(const struct read_claim *claim, struct sl_bytes bytes)
{
    int64_t next_offset = claim->base_offset;
    while (bytes.size > 0) {
        struct batch_view view;
        if (batch_view_init(&view, bytes) != SLUICE_OK ||
            batch_view_check_crc(&view) != SLUICE_OK ||
            batch_view_base_offset(&view) != next_offset ||
            batch_view_leader_epoch(&view) != claim->leader_epoch) {
            return SLUICE_E_CORRUPT;
        }
        next_offset = batch_view_next_offset(&view);
        bytes = (struct sl_bytes){bytes.data + view.size, bytes.size - view.size};
    }
    return next_offset == claim->last_offset + 1 ? SLUICE_OK : SLUICE_E_CORRUPT;
}

sl_err read_claim_check(const struct read_claim *claim, const struct wal_place *place,
                        const uint8_t *bytes)
{
    if ((place->segment & WAL_PLACE_EXTENT) != 0) {
        return sl_crc32c(bytes, place->size) == claim->crc ? SLUICE_OK : SLUICE_E_CORRUPT;
    }
    return check_batches(claim, (struct sl_bytes){bytes, place->size});
}

sl_err read_claim_read(struct shard *shard, const struct read_claim *claim,
                       const struct wal_place *place, struct sl_buffer *ret_bytes)
{
    sl_buffer_reset(ret_bytes);
    sl_err err = sl_buffer_reserve(ret_bytes, place->size);
    if (err != SLUICE_OK) {
        return err;
    }
    ret_bytes->size = place->size;
    err = store_read(shard, place, ret_bytes->data);
    return err != SLUICE_OK ? err : read_claim_check(claim, place, ret_bytes->data);
}

sl_err partition_check_first(const struct read_plan *plan, uint32_t count, const uint8_t *bytes)
{
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < count && err == SLUICE_OK; i++) {
        bool is_in_extent = (plan->places[i].segment & WAL_PLACE_EXTENT) != 0;
        if (is_in_extent || !plan->claims[i].verified) {
            err = read_claim_check(&plan->claims[i], &plan->places[i], bytes);
        }
        bytes += plan->places[i].size;
    }
    return err;
}

sl_err partition_check(const struct read_plan *plan, const uint8_t *bytes)
{
    return partition_check_first(plan, plan->place_count, bytes);
}

void partition_mark_verified(struct partition *partition, const struct read_plan *plan)
{
    for (uint32_t i = 0; i < plan->place_count; i++) {
        if (!plan->claims[i].verified) {
            stream_index_mark_verified(&partition->index, plan->claims[i].base_offset);
        }
    }
}

sl_err partition_cut(struct sl_bytes bytes, int64_t offset, int64_t end_offset, uint32_t bytes_max,
                     struct sl_bytes *ret_batches)
{
    size_t start = 0;
    size_t at = 0;
    bool found = false;
    while (at < bytes.size) {
        struct batch_view view;
        struct sl_bytes rest = {bytes.data + at, bytes.size - at};
        if (batch_view_init(&view, rest) != SLUICE_OK) {
            return SLUICE_E_CORRUPT;
        }
        if (batch_view_base_offset(&view) >= end_offset) {
            break;
        }
        if (!found && batch_view_last_offset(&view) >= offset) {
            found = true;
            start = at;
        }
        if (found && at > start && at + view.size - start > bytes_max) {
            break;
        }
        at += view.size;
    }
    *ret_batches = (struct sl_bytes){bytes.data + start, found ? at - start : 0};
    return SLUICE_OK;
}
