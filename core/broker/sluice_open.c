/* sluice_open.c: opens the shards: on a disk all loops' at the same time, those of one loop one
 * after the other.
 *
 *   scan shard 0's log for the catalog ─► a thread for each loop: its shards ─► all are there
 *
 * Each shard recovers from its own log, but which topics there are only shard 0's knows. Where that
 * log cannot be scanned, which is so at the first start too, shard 0 is opened before the others
 * and says what is wrong. */
#include "broker/sluice_state.h"

#include "base/status.h"
#include "os/os_memory.h"
#include "shard/catalog_scan.h"
#include "shard/recovery.h"

#include <stdio.h>

#define SPARE_SEGMENTS 2u
#define IDLE_MARK_MS   50u

static struct wal_limits wal_limits_of(const struct sl_config *config)
{
    return (struct wal_limits){.segment_bytes = (uint64_t)config->wal.segment_bytes,
                               .bytes_max = (uint64_t)config->wal.bytes_max,
                               .group_bytes_max = (uint32_t)config->wal.group_bytes_max,
                               .frame_bytes_max = (uint32_t)config->wal.frame_bytes_max,
                               .spare_segments = SPARE_SEGMENTS,
                               .idle_mark_ms = IDLE_MARK_MS,
                               .reach_bytes = WAL_REACH_BYTES};
}

static struct seal_limits seal_limits_of(const struct sl_config *config)
{
    return (struct seal_limits){.seal_bytes = (uint64_t)config->wal.seal_bytes,
                                .age_max_ms = config->wal.age_max_ms};
}

static struct rewrite_limits rewrite_limits_of(const struct sl_config *config)
{
    return (struct rewrite_limits){.erase_max_ms = config->storage.erase_max_ms,
                                   .bytes_per_s = (uint64_t)config->storage.rewrite_bytes_per_s};
}

static void log_recovery(struct sluice *sluice, const struct shard *shard)
{
    const struct wal_recovery *r = &shard->recovery;
    if (shard->status != SLUICE_OK) {
        sl_log(sluice->logger, SL_LOG_ERROR, "wal", "shard refuses to serve",
               sl_log_u64("shard", shard->index), sl_log_text("problem", r->problem),
               sl_log_err(shard->status));
        return;
    }
    sl_log(sluice->logger, SL_LOG_INFO, "wal", r->frame_count > 0 ? "recovered" : "opened",
           sl_log_u64("shard", shard->index), sl_log_u64("segments", r->segment_count),
           sl_log_u64("frames", r->frame_count), sl_log_u64("last_lsn", r->last_lsn),
           sl_log_size("scanned", r->bytes_scanned), sl_log_size("cut", r->bytes_cut),
           sl_log_u64("repairs", recovery_repairs(shard)),
           sl_log_u64("extents", shard->extents_recovered), sl_log_bool("clean", r->clean),
           sl_log_u64("epoch", r->epoch), sl_log_duration("took", r->elapsed_ns));
}

static struct shard_config shard_config_of(struct sluice *sluice, uint32_t index,
                                           const struct catalog *scanned)
{
    struct loop_room *room = &sluice->rooms[index % sluice->room_count];
    return (struct shard_config){
        .os = sluice->os,
        .loop = room->loop,
        .cache = &room->cache,
        .logger = sluice->logger,
        .data_directory = config_has_disk(sluice->config) ? sluice->config->data.dir : NULL,
        .has_folders = true,
        .scanned = scanned,
        .cluster = sluice->superblock.cluster,
        .index = index,
        .set = &sluice->shards,
        .wal = wal_limits_of(sluice->config),
        .memory_bytes_max =
            (uint64_t)sluice->config->memory.bytes_max / sluice->superblock.shard_count,
        .seal = seal_limits_of(sluice->config),
        .rewrite = rewrite_limits_of(sluice->config),
        .settings = &sluice->settings,
        .expanded_bytes_max = (size_t)sluice->config->core.decompressed_bytes_max,
        .hooks = &plugin_manager_hooks,
        .hooks_arg = sluice->plugins,
    };
}

/* [any] for shards of different rooms, where the catalog was scanned. */
static sl_err open_shard(struct sluice *sluice, uint32_t index, const struct catalog *scanned,
                         char ret_problem[SLUICE_PROBLEM_BYTES])
{
    struct loop_room *room = &sluice->rooms[index % sluice->room_count];
    struct shard_config config = shard_config_of(sluice, index, scanned);
    char problem[SHARD_PROBLEM_BYTES] = "";
    bool waits = index > 0 && scanned == NULL;
    const struct shard *source = waits ? sluice->shards.shards[0] : NULL;
    struct shard *shard = NULL;
    sl_err err = shard_open(&config, source, &shard, problem);
    if (err != SLUICE_OK) {
        snprintf(ret_problem, SLUICE_PROBLEM_BYTES, "data directory %s, shard %u: %s%s%s",
                 sluice->config->data.dir, index, sl_status_text(err), problem[0] ? ": " : "",
                 problem);
        return err;
    }
    sluice->shards.shards[index] = shard;
    room->shards[room->shard_count++] = shard;
    if (config_has_disk(sluice->config)) {
        log_recovery(sluice, shard);
    }
    return SLUICE_OK;
}

/* ---- one after the other ---- */

static sl_err open_in_turn(struct sluice *sluice, char ret_problem[SLUICE_PROBLEM_BYTES])
{
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < sluice->superblock.shard_count && err == SLUICE_OK; i++) {
        err = open_shard(sluice, i, NULL, ret_problem);
        sluice->shards.count = err == SLUICE_OK ? i + 1 : sluice->shards.count;
    }
    return err;
}

/* ---- at the same time ---- */

struct opening;

/* What one thread does. */
struct opening_room {
    struct sl_job job;
    struct sl_lane *lane;
    struct opening *opening;
    uint32_t index;
    sl_err err;
    char problem[SLUICE_PROBLEM_BYTES];
};

struct opening {
    struct sluice *sluice;
    struct catalog *catalog;
    uint64_t last_lsn;    /* of shard 0's log, as scanned */
    struct sl_loop *loop; /* the caller's thread hears on it of the others */
    uint32_t pending;
    struct opening_room rooms[SLUICE_ROOMS_MAX];
};

/* [lane] */
static void room_open(struct sl_job *job)
{
    struct opening_room *self = SL_CONTAINER_OF(job, struct opening_room, job);
    struct sluice *sluice = self->opening->sluice;
    for (uint32_t i = self->index; i < sluice->superblock.shard_count && self->err == SLUICE_OK;
         i += sluice->room_count) {
        self->err = open_shard(sluice, i, self->opening->catalog, self->problem);
    }
}

static void room_opened(struct sl_job *job)
{
    struct opening *opening = SL_CONTAINER_OF(job, struct opening_room, job)->opening;
    if (--opening->pending == 0) {
        sl_loop_stop(opening->loop);
    }
}

static sl_err make_lanes(struct opening *opening)
{
    struct sluice *sluice = opening->sluice;
    sl_err err = sl_loop_new(sluice->os, "opening", -1, &opening->loop);
    for (uint32_t i = 0; i < sluice->room_count && err == SLUICE_OK; i++) {
        struct opening_room *room = &opening->rooms[i];
        room->opening = opening;
        room->index = i;
        room->job = (struct sl_job){.work = room_open, .done = room_opened};
        err = sl_lane_new(sluice->os, "opening", &room->lane);
    }
    return err;
}

static void free_lanes(struct opening *opening)
{
    for (uint32_t i = 0; i < opening->sluice->room_count; i++) {
        if (opening->rooms[i].lane != NULL) {
            sl_lane_free(opening->rooms[i].lane);
        }
    }
    if (opening->loop != NULL) {
        sl_loop_free(opening->loop);
    }
}

static void run_lanes(struct opening *opening)
{
    opening->pending = opening->sluice->room_count;
    for (uint32_t i = 0; i < opening->sluice->room_count; i++) {
        sl_lane_submit(opening->rooms[i].lane, opening->loop, &opening->rooms[i].job);
    }
    sl_loop_run(opening->loop);
}

/* The first that failed is told. Where shard 0 refuses to serve, or its log is not what was
 * scanned, the others refuse too: topics are its business. */
static sl_err judge(struct opening *opening, char ret_problem[SLUICE_PROBLEM_BYTES])
{
    struct sluice *sluice = opening->sluice;
    sluice->shards.count = sluice->superblock.shard_count;
    for (uint32_t i = 0; i < sluice->room_count; i++) {
        if (opening->rooms[i].err != SLUICE_OK) {
            snprintf(ret_problem, SLUICE_PROBLEM_BYTES, "%s", opening->rooms[i].problem);
            return opening->rooms[i].err;
        }
    }
    struct shard *first = sluice->shards.shards[0];
    sl_err err = first->status;
    if (err == SLUICE_OK && first->recovery.last_lsn != opening->last_lsn) {
        err = SLUICE_E_CORRUPT;
    }
    for (uint32_t i = 1; i < sluice->shards.count && err != SLUICE_OK; i++) {
        shard_set_status(sluice->shards.shards[i], err);
    }
    return SLUICE_OK;
}

static sl_err open_together(struct sluice *sluice, struct opening *opening,
                            char ret_problem[SLUICE_PROBLEM_BYTES])
{
    opening->sluice = sluice;
    sl_err err = make_lanes(opening);
    if (err == SLUICE_OK) {
        run_lanes(opening);
        err = judge(opening, ret_problem);
    }
    free_lanes(opening);
    return err;
}

sl_err sluice_open_shards(struct sluice *sluice, char ret_problem[SLUICE_PROBLEM_BYTES])
{
    struct opening *opening = NULL;
    sl_err err = SLUICE_E_UNSUPPORTED;
    if (sluice->room_count > 1 && config_has_disk(sluice->config)) {
        const struct shard_config config = shard_config_of(sluice, 0, NULL);
        opening = sl_alloc_zero(1, sizeof(*opening));
        err = opening == NULL ? SLUICE_E_NO_MEMORY
                              : catalog_scan(&config, &opening->catalog, &opening->last_lsn);
    }
    err = err == SLUICE_OK ? open_together(sluice, opening, ret_problem)
                           : open_in_turn(sluice, ret_problem);
    if (opening != NULL) {
        catalog_free(opening->catalog);
        sl_free(opening);
        sl_memory_give_back(); /* what the scan and all recoveries used at once */
    }
    return err;
}
