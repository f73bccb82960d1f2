/* wal.c: opening, submitting, reading, closing; the parts are wal_commit.c, wal_checkpoint.c,
 * wal_upkeep.c, wal_pages.c, and recovery reads through wal_scan.c. */
#include "wal/wal_state.h"

#include "base/bytes.h"

#include <stdio.h>
#include <string.h>

#define SEGMENT_BYTES_MIN 12288u
#define SEGMENT_BYTES_MAX (1ull << 30)
#define SEGMENTS_SLACK    8u
#define RELEASED_MANY     4u /* segments that are not left to the next checkpoint */

/* ---- open ---- */

static bool limits_agree(const struct wal_limits *limits)
{
    uint64_t room = wal_segment_room(limits);
    return limits->segment_bytes >= SEGMENT_BYTES_MIN &&
           limits->segment_bytes <= SEGMENT_BYTES_MAX && limits->segment_bytes % WAL_BLOCK == 0 &&
           limits->bytes_max >= 2 * limits->segment_bytes && limits->frame_bytes_max >= WAL_BLOCK &&
           limits->frame_bytes_max <= room - WAL_SEGMENT_HEADER && limits->group_bytes_max > 0 &&
           limits->group_bytes_max <= room - WAL_SEGMENT_HEADER &&
           limits->reach_bytes % WAL_BLOCK == 0 && limits->spare_segments <= WAL_SPARES_MAX;
}

static void idle_fire(void *arg)
{
    struct wal *wal = arg;
    if (wal->pending_head != NULL)
        wal_commit_kick(wal);
    else if (wal->pending_units == 0 && !wal->fenced && !wal->closing)
        wal_commit_mark(wal);
}

static void disk_fire(void *arg)
{
    struct wal *wal = arg;
    wal->disk_timer_runs = false;
    if (!wal->closing)
        wal_upkeep_request(wal);
}

static sl_err parts_make(struct wal *wal)
{
    wal_commit_init(wal);
    wal_checkpoint_init(wal);
    wal_upkeep_init(wal);
    wal_pages_init(wal);
    sl_err err = sl_lane_new(wal->os, "committer", &wal->lane);
    if (err == SLUICE_OK)
        err = sl_timer_new(wal->loop, idle_fire, wal, &wal->idle_timer);
    if (err == SLUICE_OK)
        err = wal_gather_init(wal);
    if (err == SLUICE_OK)
        err = sl_timer_new(wal->loop, disk_fire, wal, &wal->disk_timer);
    return err;
}

static sl_err apply_item(void *arg, uint64_t lsn, const struct wal_item_view *item,
                         const struct wal_place *place)
{
    struct wal *wal = arg;
    bool ours = item->kind == WAL_ITEM_IDLE || item->kind == WAL_ITEM_CLEAN_SHUTDOWN;
    if (ours || !wal_item_kind_known(item->kind) || wal->events == NULL ||
        wal->events->apply == NULL)
        return SLUICE_OK;
    return wal->events->apply(wal->events_arg, lsn, item->kind, item->version, item->payload,
                              place);
}

/* Every segment that can become live in this run has room: full ones are bounded by bytes_max. */
static sl_err table_make(struct wal *wal, size_t found)
{
    uint64_t wanted = found + wal->limits.bytes_max / wal->limits.segment_bytes + SEGMENTS_SLACK;
    uint64_t capacity = 16;
    while (capacity < wanted)
        capacity *= 2;
    wal->segments = sl_alloc_zero((size_t)capacity, sizeof(struct wal_segment *));
    wal->segment_mask = capacity - 1;
    return wal->segments == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

/* What recovery read becomes the table of live segments. */
static sl_err segments_adopt(struct wal *wal, struct wal_scan *scan)
{
    sl_err made = table_make(wal, scan->segment_count);
    if (made != SLUICE_OK)
        return made;
    for (size_t i = 0; i < scan->segment_count; i++) {
        struct wal_scan_segment *from = &scan->segments[i];
        struct wal_segment *segment;
        sl_err err = wal_segment_add(wal, from->header.seq, &segment);
        if (err != SLUICE_OK)
            return err;
        segment->file = from->file;
        from->file = NULL;
        segment->size = from->file_size;
        segment->end = from->end_position;
        segment->last_lsn = from->last_lsn;
        segment->first_lsn = from->header.first_lsn;
        segment->created_ms = from->header.created_ms;
        if (i + 1 < scan->segment_count)
            wal->sealed_bytes += segment->size;
    }
    return SLUICE_OK;
}

static sl_err file_size_at(struct wal *wal, const char *path, uint64_t *ret_size)
{
    struct sl_file *file;
    sl_err err = sl_file_open(wal->os, path, SL_FILE_READ, &file);
    if (err != SLUICE_OK)
        return err;
    err = sl_file_size(file, ret_size);
    sl_file_close(file);
    return err;
}

/* Whole spares are kept, as many as a run keeps; others go, in the background. */
static sl_err spares_adopt(struct wal *wal, struct wal_scan *scan)
{
    char path[WAL_PATH_MAX];
    size_t stale_count = 0;
    wal->next_spare_number = 1;
    for (size_t i = 0; i < scan->spare_count; i++) {
        uint64_t number = scan->spares[i];
        uint64_t size = 0;
        wal_path_spare(path, wal->directory, number);
        sl_err err = file_size_at(wal, path, &size);
        if (err != SLUICE_OK)
            return err;
        wal->next_spare_number = SL_MAX(wal->next_spare_number, number + 1);
        if (size == wal->limits.segment_bytes && wal->spare_count < wal_spares_kept(wal))
            wal->spares[wal->spare_count++] = number;
        else
            scan->spares[stale_count++] = number;
    }
    wal->upkeep.stale_spares = scan->spares;
    wal->upkeep.stale_spare_count = stale_count;
    scan->spares = NULL;
    scan->spare_count = 0;
    return SLUICE_OK;
}

/* Files that nothing refers to: segments made free whose renaming was lost go in the background;
 * half a checkpoint now, as the next one will have its name. */
static sl_err leftovers_remove(struct wal *wal, struct wal_scan *scan)
{
    char path[WAL_PATH_MAX];
    wal->upkeep.stale_segments = scan->stale;
    wal->upkeep.stale_segment_count = scan->stale_count;
    scan->stale = NULL;
    scan->stale_count = 0;
    if (!scan->leftovers)
        return SLUICE_OK;
    wal_path_checkpoint_tmp(path, wal->directory);
    return sl_path_remove(wal->os, path);
}

/* What earlier runs left unused of their last segment is given back, in the background: cutting a
 * file takes long. It may be lost in a crash: then the next run does it. */
static void tails_cut(struct wal *wal)
{
    for (size_t i = 0; i < wal->segment_count; i++) {
        struct wal_segment *segment = wal_segment_at(wal, i);
        uint64_t rest = segment->size - SL_MIN(segment->end, segment->size);
        bool is_last = i + 1 == wal->segment_count;
        segment->cuts = rest >= wal->limits.segment_bytes / 2 || (is_last && rest > 0);
        if (!segment->cuts)
            continue;
        wal->sealed_bytes -= is_last ? 0 : rest;
        segment->size = segment->end;
    }
}

/* A killed process leaves frames that are only written, and names that are only seen. What follows
 * may act on what they say, so they must not go away again. */
static sl_err found_sync(struct wal *wal)
{
    struct wal_segment *last = wal_segment_last(wal);
    if (last == NULL || wal->mutants.no_sync)
        return SLUICE_OK;
    sl_err err = sl_file_sync(last->file);
    return err != SLUICE_OK ? err : sl_dir_sync(wal->os, wal->directory);
}

static sl_err tell_recovered(struct wal *wal, struct wal_recovery *recovery)
{
    if (wal->events == NULL || wal->events->recovered == NULL)
        return SLUICE_OK;
    return wal->events->recovered(wal->events_arg, recovery->problem);
}

/* After recovery always a new segment, whose header says where the one before ends. */
static sl_err run_begin(struct wal *wal, struct wal_scan *scan, struct wal_recovery *recovery)
{
    recovery->files_removed += (uint32_t)scan->stale_count + scan->leftovers;
    tails_cut(wal);
    sl_err err = spares_adopt(wal, scan);
    if (err == SLUICE_OK)
        err = leftovers_remove(wal, scan);
    if (err == SLUICE_OK)
        err = wal_commit_first(wal, scan->last_lsn, scan->chain);
    wal->checkpoint.header.generation = scan->checkpoint.generation;
    wal->checkpoint.durable_lsn = scan->checkpoint.lsn;
    wal->checkpoint.durable_last_segment = scan->checkpoint.last_segment;
    wal->checkpoint.durable_bytes = scan->checkpoint.items_size;
    wal->checkpoint.durable_first_segment = scan->checkpoint.first_segment;
    return err;
}

static sl_err recover(struct wal *wal, bool reread, struct wal_recovery *recovery)
{
    static const struct wal_scan_events events = {.item = apply_item};
    const struct wal_scan_config config = {
        .os = wal->os,
        .directory = wal->directory,
        .identity = &wal->identity,
        .mutants = wal->mutants,
        .writable = true,
        .reread = reread,
        .events = &events,
        .events_arg = wal,
    };
    struct wal_scan scan;
    int64_t begin_ns = sl_os_mono_ns(wal->os);
    sl_err err = wal_scan_run(&config, recovery, &scan);
    if (err != SLUICE_OK)
        return err;
    bool is_first = scan.segment_count == 0;
    wal->time_ms = scan.time_ms;
    wal->epoch = is_first ? 1 : scan.epoch + !scan.clean;
    recovery->epoch = wal->epoch;
    err = segments_adopt(wal, &scan);
    if (err == SLUICE_OK)
        err = found_sync(wal);
    if (err == SLUICE_OK)
        err = tell_recovered(wal, recovery);
    if (err == SLUICE_OK)
        err = run_begin(wal, &scan, recovery);
    if (err != SLUICE_OK && recovery->problem[0] == '\0')
        snprintf(recovery->problem, sizeof recovery->problem,
                 "a new segment cannot be made in %.180s", wal->directory);
    wal_scan_fini(&scan);
    recovery->elapsed_ns = sl_os_mono_ns(wal->os) - begin_ns;
    return err;
}

/* Of a small log the last share is a few frames all the same, or nothing could free space any more
 * when it is full. */
static uint64_t last_share(const struct wal_limits *limits)
{
    uint64_t least = SL_MIN(limits->bytes_max / 8, (uint64_t)WAL_LAST_BYTES_MIN);
    return SL_MAX(limits->bytes_max / WAL_LAST_DIVISOR, least);
}

sl_err wal_open(const struct wal_config *config, struct wal_recovery *ret_recovery,
                struct wal **ret_wal)
{
    memset(ret_recovery, 0, sizeof *ret_recovery);
    if (!limits_agree(&config->limits) || strlen(config->directory) + 64 > WAL_PATH_MAX) {
        snprintf(ret_recovery->problem, sizeof ret_recovery->problem,
                 "the limits of the write-ahead log contradict each other");
        return SLUICE_E_INVALID;
    }
    struct wal *wal = sl_alloc_zero(1, sizeof *wal);
    if (wal == NULL)
        return SLUICE_E_NO_MEMORY;
    wal_ops_init(wal);
    wal->os = config->os;
    wal->loop = config->loop;
    wal->limits = config->limits;
    wal->last_share = last_share(&wal->limits);
    wal->mutants = config->mutants;
    wal->events = config->events;
    wal->events_arg = config->events_arg;
    wal->identity.cluster = config->cluster;
    wal->identity.shard = config->shard;
    snprintf(wal->directory, sizeof wal->directory, "%s/wal", config->directory);
    sl_err err = parts_make(wal);
    if (err == SLUICE_OK)
        err = sl_dir_make(wal->os, wal->directory);
    if (err == SLUICE_OK)
        err = sl_dir_sync(wal->os, config->directory);
    if (err == SLUICE_OK)
        err = recover(wal, config->reread, ret_recovery);
    if (err != SLUICE_OK) {
        wal_free(wal);
        return err;
    }
    wal_checkpoint_request(wal); /* so that restarts do not pile up segments to read */
    wal->upkeep.tidy_ns = sl_os_mono_ns(wal->os) + WAL_TIDY_AFTER_NS;
    wal->disk_timer_runs = true;
    sl_timer_start(wal->disk_timer, WAL_TIDY_AFTER_NS);
    wal_upkeep_request(wal);
    *ret_wal = wal;
    return SLUICE_OK;
}

struct wal *wal_free(struct wal *wal)
{
    if (wal == NULL)
        return NULL;
    if (wal->lane != NULL)
        sl_lane_free(wal->lane);
    wal->idle_timer = sl_timer_free(wal->idle_timer);
    wal_gather_fini(wal);
    wal->disk_timer = sl_timer_free(wal->disk_timer);
    wal_upkeep_fini(wal);
    for (size_t i = 0; i < wal->segment_count; i++)
        wal_segment_forget(wal_segment_at(wal, i));
    sl_free(wal->segments);
    sl_file_close(wal->commit.file);
    sl_buffer_fini(&wal->commit.heads);
    sl_free(wal->commit.pieces);
    sl_buffer_fini(&wal->checkpoint.bytes);
    sl_file_close(wal->checkpoint.file); /* under way when the power went, or fenced */
    sl_free(wal);
    return NULL;
}

/* ---- submit ---- */

static uint64_t bytes_used(const struct wal *wal)
{
    return wal->sealed_bytes + wal_segment_last(wal)->end;
}

/* What the log may come to when all that waits for a frame, and a unit of this size, is written. A
 * frame that does not fit leaves the rest of its segment empty: once at most when all fits into the
 * next one, else less in all than the frames that went on. */
static uint64_t bytes_promised(const struct wal *wal, uint64_t unit_size)
{
    uint64_t placed = wal->commit.busy ? wal->commit.unit_bytes : 0; /* their frames have room */
    uint64_t queued = wal->pending_bytes - placed + unit_size;
    bool is_little = 2 * queued < wal->limits.group_bytes_max; /* a division is dear */
    uint64_t groups = is_little ? 0 : 2 * queued / wal->limits.group_bytes_max;
    uint64_t frames = SL_MIN(groups, (uint64_t)wal->pending_units) + 1;
    uint64_t size = queued + frames * (WAL_FRAME_HEADER + WAL_BLOCK);
    uint64_t room = wal_segment_room(&wal->limits);
    uint64_t left = room - wal_segment_last(wal)->end;
    if (size <= left && !wal->rotates)
        return bytes_used(wal) + size;
    bool is_one = size <= room - WAL_SEGMENT_HEADER;
    left = wal->limits.segment_bytes - wal_segment_last(wal)->end; /* the mark is of the file too */
    return bytes_used(wal) + left + WAL_SEGMENT_HEADER + size + (is_one ? 0 : size);
}

static sl_err submit_check(const struct wal *wal, const struct wal_unit *unit, uint64_t size)
{
    if (wal->fenced)
        return SLUICE_E_FENCED;
    if (wal->closing)
        return SLUICE_E_STOPPING;
    uint64_t frame_size = wal_frame_size(size, 0);
    if (frame_size > wal->limits.frame_bytes_max)
        return SLUICE_E_BATCH_TOO_LARGE;
    if (wal->disk_full && !unit->reserve && !unit->frees_space)
        return SLUICE_E_DISK_FULL;
    uint64_t reserve = unit->frees_space ? 0
                       : unit->reserve   ? wal->last_share
                                         : 2 * wal->last_share;
    if (bytes_promised(wal, size) > wal->limits.bytes_max - reserve)
        return SLUICE_E_LOG_FULL;
    return SLUICE_OK;
}

sl_err wal_submit(struct wal *wal, struct wal_unit *unit)
{
    SL_ASSERT(sl_loop_is_current(wal->loop));
    SL_ASSERT(unit->item_count > 0);
    wal_commit_measure(unit);
    sl_err err = submit_check(wal, unit, unit->directory_size + unit->body_size);
    if (err != SLUICE_OK)
        return err;
    wal_commit_append(wal, unit);
    if (!wal->commit.busy && !wal->kick.queued)
        sl_loop_post(wal->loop, &wal->kick); /* what else is submitted in this turn travels along */
    if (!wal->disk_timer_runs) {
        wal->disk_timer_runs = true;
        sl_timer_start(wal->disk_timer, WAL_DISK_CHECK_NS);
    }
    return SLUICE_OK;
}

/* ---- reading and releasing ---- */

static struct wal_segment *segment_find(const struct wal *wal, uint64_t seq)
{
    if (seq < wal->first_segment || seq - wal->first_segment >= wal->segment_count)
        return NULL;
    return wal->segments[seq & wal->segment_mask];
}

sl_err wal_read_cached(struct wal *wal, const struct wal_place *place, void *ret_bytes)
{
    const struct wal_segment *segment = segment_find(wal, place->segment);
    if (segment == NULL || segment->file == NULL)
        return SLUICE_E_NOT_FOUND;
    size_t got = 0;
    sl_err err = sl_file_pread_cached(segment->file, ret_bytes, place->size, place->position, &got);
    if (err == SLUICE_OK && got != place->size)
        err = SLUICE_E_CORRUPT;
    return err;
}

/* The first and count of the table may be changing meanwhile; the entry of a pinned segment is not.
 */
sl_err wal_read(struct wal *wal, const struct wal_place *place, void *ret_bytes)
{
    const struct wal_segment *segment = wal->segments[place->segment & wal->segment_mask];
    SL_ASSERT(segment != NULL && segment->seq == place->segment && segment->file != NULL);
    size_t got = 0;
    sl_err err = sl_file_pread(segment->file, ret_bytes, place->size, place->position, &got);
    if (err == SLUICE_OK && got != place->size)
        err = SLUICE_E_CORRUPT;
    return err;
}

struct sl_file *wal_file(const struct wal *wal, uint64_t seq)
{
    const struct wal_segment *segment = segment_find(wal, seq);
    return segment == NULL ? NULL : segment->file;
}

struct sl_file *wal_pin(struct wal *wal, uint64_t seq)
{
    struct wal_segment *segment = segment_find(wal, seq);
    if (segment == NULL || segment->file == NULL)
        return NULL;
    segment->pins++;
    return segment->file;
}

void wal_unpin(struct wal *wal, uint64_t seq)
{
    struct wal_segment *segment = segment_find(wal, seq);
    SL_ASSERT(segment != NULL && segment->pins > 0);
    segment->pins--;
    if (segment->pins == 0 && seq < wal->checkpoint.durable_first_segment)
        wal_upkeep_request(wal);
}

void wal_release(struct wal *wal, uint64_t segment)
{
    segment = SL_MIN(segment, wal_segment_unsettled(wal)); /* what comes later is live again */
    if (segment <= wal->released_below)
        return;
    wal->released_below = segment;
    uint64_t first = wal->checkpoint.durable_first_segment;
    bool is_urgent =
        bytes_used(wal) > wal->limits.bytes_max / 2 || segment >= first + RELEASED_MANY;
    if (is_urgent && segment > first && !wal->closing)
        wal_checkpoint_request(wal);
}

bool wal_segment_status_get(const struct wal *wal, uint64_t seq,
                            struct wal_segment_status *ret_status)
{
    const struct wal_segment *segment = segment_find(wal, seq);
    if (segment == NULL)
        return false;
    *ret_status = (struct wal_segment_status){
        .end = segment->end,
        .bytes = segment->size,
        .frames = segment->last_lsn + 1 - segment->first_lsn,
        .created_ms = segment->created_ms,
        .cuts = segment->cuts,
    };
    return true;
}

void wal_segment_path(const struct wal *wal, uint64_t segment, char ret_path[WAL_PATH_BYTES])
{
    wal_path_segment(ret_path, wal->directory, segment);
}

bool wal_rotate(struct wal *wal)
{
    uint64_t sealed = wal->sealed_bytes + wal_segment_last(wal)->size;
    if (wal->fenced || wal->closing || sealed > wal->limits.bytes_max / 4 * 3)
        return false;
    wal->rotates = true;
    wal_commit_rotate(wal);
    wal_commit_kick(wal);
    return true;
}

void wal_pressure_get(const struct wal *wal, struct wal_pressure *ret_pressure)
{
    *ret_pressure = (struct wal_pressure){.bytes_used = bytes_used(wal),
                                          .pending_bytes = wal->pending_bytes,
                                          .bytes_max = wal->limits.bytes_max,
                                          .disk_total = wal->disk_total,
                                          .disk_available = wal->disk_available,
                                          .disk_full = wal->disk_full};
}

void wal_status_get(const struct wal *wal, struct wal_status *ret_status)
{
    *ret_status = (struct wal_status){
        .last_lsn = wal->last_lsn,
        .durable_lsn = wal->durable_lsn,
        .bytes_used = bytes_used(wal),
        .pending_bytes = wal->pending_bytes,
        .pending_units = wal->pending_units,
        .epoch = wal->epoch,
        .segment_count = (uint32_t)wal->segment_count,
        .first_segment = wal->first_segment,
        .last_segment = wal_segment_unsettled(wal),
        .bytes_max = wal->limits.bytes_max,
        .disk_full = wal->disk_full,
        .disk_total = wal->disk_total,
        .disk_available = wal->disk_available,
        .fenced = wal->fenced,
        .frames = wal->frames,
        .syncs = wal->syncs,
        .sync_ns_total = wal->sync_ns_total,
        .bytes_bodies = wal->bytes_bodies,
        .bytes_heads = wal->bytes_heads,
        .bytes_padding = wal->bytes_padding,
        .bytes_checkpoints = wal->bytes_checkpoints,
        .bytes_zeros = wal->bytes_zeros,
    };
}

/* ---- close ---- */

/* Called whenever something ended: what is pending, the mark, the last checkpoint, then `closed`.
 */
void wal_close_step(struct wal *wal)
{
    if (!wal->closing || wal->is_closed || wal->commit.busy || wal->ending_segment != 0 ||
        wal->checkpoint.busy || wal->upkeep.busy || wal->pages.file != NULL || wal->kick.queued)
        return;
    if (!wal->fenced && wal->pending_head != NULL)
        return; /* a kick is on its way */
    if (!wal->fenced && !wal->marked_clean) {
        wal_commit_append_mark(wal, WAL_ITEM_CLEAN_SHUTDOWN);
        wal_commit_kick(wal);
        return;
    }
    if (!wal->fenced && !wal->closed_checkpoint) {
        wal->closed_checkpoint = true;
        wal_checkpoint_request(wal);
        if (wal->checkpoint.busy)
            return;
    }
    wal->is_closed = true;
    wal_gather_end(wal);
    sl_timer_stop(wal->idle_timer);
    sl_timer_stop(wal->disk_timer);
    sl_loop_post(wal->loop, &wal->closed_task);
}

/* A task of its own, so that the owner may free the log in it. */
static void closed_run(struct sl_task *task)
{
    struct wal *wal = SL_CONTAINER_OF(task, struct wal, closed_task);
    wal->closed(wal->closed_arg);
}

void wal_close(struct wal *wal, void (*closed)(void *arg), void *arg)
{
    SL_ASSERT(!wal->closing);
    wal->closing = true;
    wal->closed_task.run = closed_run;
    wal->closed_task.priority = SL_PRIORITY_IO;
    wal->closed = closed;
    wal->closed_arg = arg;
    wal_close_step(wal);
}
