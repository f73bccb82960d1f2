/* space.c: see space.h. */
#include "shard/space.h"

#include "extent/extent_set.h"
#include "shard/partition.h"
#include "shard/seal.h"

/* ---- the list ---- */

void space_enter(struct space *space, struct partition *partition)
{
    if (partition->unsealed_previous_next != NULL) {
        return;
    }
    partition->unsealed_next = NULL;
    partition->unsealed_previous_next = space->end;
    *space->end = partition;
    space->end = &partition->unsealed_next;
    space->count++;
}

void space_leave(struct space *space, struct partition *partition)
{
    if (partition->unsealed_previous_next == NULL) {
        return;
    }
    struct partition *next = partition->unsealed_next;
    for (struct space_walk *walk = space->walks; walk != NULL; walk = walk->next) {
        walk->at = walk->at == partition ? next : walk->at;
    }
    *partition->unsealed_previous_next = next;
    if (next != NULL) {
        next->unsealed_previous_next = partition->unsealed_previous_next;
    } else {
        space->end = partition->unsealed_previous_next;
    }
    partition->unsealed_previous_next = NULL;
    space->count--;
}

void space_walk_begin(struct space *space, struct space_walk *walk)
{
    SL_ASSERT(!walk->active);
    *walk = (struct space_walk){.next = space->walks, .at = space->first, .active = true};
    space->walks = walk;
}

struct partition *space_walk_next(struct space_walk *walk)
{
    struct partition *partition = walk->at;
    if (partition != NULL) {
        walk->at = partition->unsealed_next;
    }
    return partition;
}

void space_walk_end(struct space *space, struct space_walk *walk)
{
    struct space_walk **at = &space->walks;
    while (*at != NULL && *at != walk) {
        at = &(*at)->next;
    }
    if (*at != NULL) {
        *at = walk->next;
    }
    walk->active = false;
}

/* ---- extents that hold nothing ---- */

static void drop_files(struct space *space)
{
    for (uint32_t i = 0; i < space->drop_count; i++) {
        extent_set_drop(space->shard->extents, space->drop_ids[i]);
    }
}

static void drop_durable(struct wal_unit *unit, sl_err err)
{
    struct space *space = SL_CONTAINER_OF(unit, struct space, drop_unit);
    bool more = space->drop_count == SPACE_DROPS_MAX;
    space->dropping = false;
    if (err != SLUICE_OK) {
        return; /* fenced: the next start sees them dead again */
    }
    if (!space->shard->config.mutants.drop_first) {
        drop_files(space);
    }
    space->drop_count = 0;
    if (more) {
        space_retry(space->shard);
    }
}

static void drop_submit(struct space *space)
{
    for (uint32_t i = 0; i < space->drop_count; i++) {
        uint8_t *payload = space->drop_payloads[i];
        extent_drop_item_encode(space->drop_ids[i], payload);
        space->drop_items[i] = (struct wal_item){.kind = WAL_ITEM_EXTENT_DROP,
                                                 .version = EXTENT_DROP_ITEM_VERSION,
                                                 .payload = {payload, EXTENT_DROP_ITEM_SIZE}};
    }
    space->drop_unit = (struct wal_unit){.items = space->drop_items,
                                         .item_count = space->drop_count,
                                         .reserve = true,
                                         .frees_space = true,
                                         .durable = drop_durable};
    /* Refused: tried again at the next occasion. */
    space->dropping = commit_log_submit(space->shard->log, &space->drop_unit) == SLUICE_OK;
    if (space->dropping && space->shard->config.mutants.drop_first) {
        drop_files(space);
    }
}

void space_retry(struct shard *shard)
{
    struct space *space = &shard->space;
    /* What the sealer is about to put into indexes is not held yet. */
    if (shard->extents == NULL || space->dropping || shard->status != SLUICE_OK ||
        seal_is_applying(shard) || rewrite_is_applying(shard)) {
        return;
    }
    if (space->drop_count == 0) {
        space->drop_count = extent_set_take_dead(shard->extents, space->drop_ids, SPACE_DROPS_MAX);
    }
    if (space->drop_count > 0) {
        drop_submit(space);
    }
}

/* ---- the pass ---- */

static void pass_begin(struct space *space)
{
    struct wal_status status;
    commit_log_status(space->shard->log, &status);
    space->pass_wanted = false;
    space->pass_least_ms = INT64_MAX;
    roll_pass_begin(space->shard);
    space->pass_oldest = status.last_segment; /* what comes meanwhile lies there or behind */
    space_walk_begin(space, &space->pass_walk);
    sl_loop_post(space->shard->loop, &space->pass);
}

static void pass_end(struct space *space)
{
    struct shard *shard = space->shard;
    space_walk_end(space, &space->pass_walk);
    roll_pass_end(shard, space->pass_least_ms);
    commit_log_release(shard->log, space->pass_oldest);
    space_retry(shard);
    if (space->pass_wanted) {
        pass_begin(space);
    } else {
        shard_job_end(shard);
    }
}

static void pass_run(struct sl_task *task)
{
    struct space *space = SL_CONTAINER_OF(task, struct space, pass);
    struct shard *shard = space->shard;
    if (shard->status != SLUICE_OK) {
        space_walk_end(space, &space->pass_walk);
        shard_job_end(shard);
        return;
    }
    for (uint32_t i = 0; i < SPACE_SLICE; i++) {
        struct partition *partition = space_walk_next(&space->pass_walk);
        if (partition == NULL) {
            pass_end(space);
            return;
        }
        uint64_t oldest = stream_index_oldest_segment(&partition->index);
        space->pass_oldest = SL_MIN(space->pass_oldest, oldest);
        if (oldest == UINT64_MAX) {
            space_leave(space, partition);
        } else if (partition->topic != NULL) {
            space->pass_least_ms =
                SL_MIN(space->pass_least_ms, partition->topic->settings->segment_ms);
        }
    }
    sl_loop_post(shard->loop, &space->pass);
}

void space_freed(struct shard *shard)
{
    struct space *space = &shard->space;
    if (!shard->started || shard->status != SLUICE_OK || shard->extents == NULL) {
        return; /* at recovery: a pass follows; without a disk there is nothing to look for */
    }
    if (space->pass_walk.active) {
        space->pass_wanted = true;
        return;
    }
    shard_job_begin(shard);
    pass_begin(space);
}

void space_init(struct space *space, struct shard *shard)
{
    *space = (struct space){.shard = shard, .end = &space->first};
    space->pass.run = pass_run;
    space->pass.priority = SL_PRIORITY_BACKGROUND;
}
