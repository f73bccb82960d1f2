/* wal_upkeep.c: segments out of use become spares, spares are made ahead, the disk's fullness is
 * watched.
 *
 * One helper job does all of it, one at a time: give back and remove what an earlier run left (no
 * start waits for that), rename what a durable checkpoint made free (or remove it when there are
 * spares enough), sync the directory, write zeros into new spares (overwriting zero-filled blocks
 * syncs twice as fast as extending a file) or only take their blocks, as the syncs so far want it,
 * ask for the free space.
 */
#include "wal/wal_state.h"

#include <string.h>

#define SPARES_SHARE                                                            \
    4u /* of a full disk's last bytes, a spare takes no more than so much of it \
        */

/* ---- helper ---- */

/* A file with another name is an extent now (core/extent/extent_promote.h), whatever happens to
 * this name: what the disk says of it holds for every run. One that was to become an extent was
 * cut. */
static bool is_reusable(const struct wal *wal, struct wal_segment *segment, bool *ret_kept)
{
    uint64_t links = 0;
    uint64_t size = 0;
    bool known = sl_file_link_count(segment->file, &links) == SLUICE_OK &&
                 sl_file_size(segment->file, &size) == SLUICE_OK;
    *ret_kept = known && links > 1;
    return known && links == 1 && size == wal->limits.segment_bytes;
}

/* *spare_number becomes 0 where the file cannot be a spare. */
static sl_err segment_retire(struct wal *wal, struct wal_segment *segment, uint64_t *spare_number)
{
    char from[WAL_PATH_MAX];
    char to[WAL_PATH_MAX];
    bool kept = false;
    if (!is_reusable(wal, segment, &kept))
        *spare_number = 0;
    wal->upkeep.kept += kept;
    wal_path_segment(from, wal->directory, segment->seq);
    segment->file = sl_file_close(segment->file);
    if (*spare_number == 0)
        return sl_path_remove(wal->os, from);
    wal_path_spare(to, wal->directory, *spare_number);
    return sl_path_rename(wal->os, from, to);
}

/* Then there are fewer spares, and a segment begins in a file that grows: slower, and no harm. */
static bool is_shortage(sl_err err)
{
    return err == SLUICE_E_DISK_FULL || err == SLUICE_E_LIMIT || err == SLUICE_E_NO_MEMORY;
}

/* Writing zeros ahead makes small syncs cheaper, keeps processors and disk from who appends
 * meanwhile, and doubles what is written where every spare becomes an extent. So where syncs are
 * large, or few as with what is only written, the blocks are only taken.
 */
static sl_err spare_fill(struct wal *wal, struct sl_file *file, bool unwritten)
{
    if (unwritten)
        return sl_file_allocate(file, wal->limits.segment_bytes);
    wal->upkeep.bytes_zeros += wal->limits.segment_bytes;
    return sl_file_fill_zero(file, wal->limits.segment_bytes);
}

static sl_err spare_make(struct wal *wal, uint64_t number, bool unwritten)
{
    char path[WAL_PATH_MAX];
    struct sl_file *file;
    wal_path_spare(path, wal->directory, number);
    sl_err err = sl_file_open(wal->os, path, SL_FILE_READ | SL_FILE_WRITE | SL_FILE_CREATE, &file);
    if (err != SLUICE_OK)
        return err;
    err = spare_fill(wal, file, unwritten);
    if (err == SLUICE_OK)
        err = sl_file_sync(file);
    sl_file_close(file);
    if (is_shortage(err)) { /* half a spare is none */
        sl_err removed = sl_path_remove(wal->os, path);
        return removed != SLUICE_OK ? removed : err;
    }
    return err;
}

/* Not where the file has another name: what lies behind the frames is an extent's. */
static sl_err segment_cut(const struct wal_segment *segment)
{
    uint64_t links = 0;
    sl_err err = sl_file_link_count(segment->file, &links);
    return err != SLUICE_OK || links > 1 ? err : sl_file_truncate(segment->file, segment->end);
}

static sl_err stale_remove(struct wal *wal)
{
    const struct wal_upkeep *upkeep = &wal->upkeep;
    char path[WAL_PATH_MAX];
    sl_err err = SLUICE_OK;
    for (size_t i = 0; i < upkeep->stale_segment_count && err == SLUICE_OK; i++) {
        wal_path_segment(path, wal->directory, upkeep->stale_segments[i]);
        err = sl_path_remove(wal->os, path);
    }
    for (size_t i = 0; i < upkeep->stale_spare_count && err == SLUICE_OK; i++) {
        wal_path_spare(path, wal->directory, upkeep->stale_spares[i]);
        err = sl_path_remove(wal->os, path);
    }
    return err;
}

static void upkeep_work(struct sl_job *job)
{
    struct wal_upkeep *upkeep = SL_CONTAINER_OF(job, struct wal_upkeep, job);
    struct wal *wal = upkeep->wal;
    upkeep->kept = 0;
    upkeep->bytes_zeros = 0;
    sl_err err = upkeep->cut == NULL ? SLUICE_OK : segment_cut(upkeep->cut);
    if (err == SLUICE_OK)
        err = upkeep->tidies ? stale_remove(wal) : SLUICE_OK;
    for (uint32_t i = 0; i < upkeep->retired_count && err == SLUICE_OK; i++)
        err = segment_retire(wal, upkeep->retired[i], &upkeep->retired_as[i]);
    if (err == SLUICE_OK && upkeep->retired_count > 0)
        err = sl_dir_sync(wal->os, wal->directory);
    uint32_t made = 0;
    while (made < upkeep->made_count && err == SLUICE_OK) {
        err = spare_make(wal, upkeep->made[made], made < upkeep->unwritten);
        made += err == SLUICE_OK;
    }
    if (err == SLUICE_OK || is_shortage(err)) {
        upkeep->made_count = made;
        err = sl_disk_space(wal->os, wal->directory, &upkeep->disk_total, &upkeep->disk_available);
    }
    upkeep->err = err;
}

/* ---- loop ---- */

/* Recycled segments need no zeroing, so more of them are kept than are made ahead: as many as a log
 * that goes round frees at once. */
uint32_t wal_spares_kept(const struct wal *wal)
{
    uint64_t quarter = wal->limits.bytes_max / wal->limits.segment_bytes / 4;
    uint32_t kept = (uint32_t)SL_MIN(quarter, (uint64_t)WAL_SPARES_KEPT);
    return wal->disk_full ? wal->limits.spare_segments : SL_MAX(kept, wal->limits.spare_segments);
}

/* Pinned, so that it is not retired meanwhile. */
static void cut_choose(struct wal *wal)
{
    struct wal_upkeep *upkeep = &wal->upkeep;
    for (size_t i = 0; i < wal->segment_count && upkeep->cut == NULL; i++) {
        struct wal_segment *segment = wal_segment_at(wal, i);
        if (segment->cuts) {
            segment->pins++;
            upkeep->cut = segment;
        }
    }
}

static void stale_forget(struct wal_upkeep *upkeep)
{
    sl_free(upkeep->stale_segments);
    sl_free(upkeep->stale_spares);
    upkeep->stale_segments = upkeep->stale_spares = NULL;
    upkeep->stale_segment_count = upkeep->stale_spare_count = 0;
}

/* Moves what may go from the table of segments into the job. */
static void retired_choose(struct wal *wal)
{
    struct wal_upkeep *upkeep = &wal->upkeep;
    uint32_t count = 0;
    while (count + 1 < wal->segment_count && count < WAL_RETIRE_MAX) {
        struct wal_segment *segment = wal_segment_at(wal, count);
        if (segment->seq >= wal->checkpoint.durable_first_segment || segment->pins > 0)
            break;
        bool reusable = segment->size == wal->limits.segment_bytes &&
                        wal->spare_count + count < wal_spares_kept(wal);
        upkeep->retired[count] = segment;
        upkeep->retired_as[count] = reusable ? wal->next_spare_number++ : 0;
        wal->sealed_bytes -= segment->size;
        count++;
    }
    upkeep->retired_count = count;
    wal->segment_count -= count;
    wal->first_segment += count;
}

void wal_spares_judge(struct wal *wal, uint64_t end)
{
    wal->has_large_syncs = end >= SL_MAX(wal->segment_syncs, UINT64_C(1)) * WAL_LARGE_SYNC;
    wal->knows_syncs = true;
}

/* The segment that is next should not have to ask a full disk for room. */
static bool spares_may_be_made(const struct wal *wal)
{
    bool has_room =
        !wal->disk_full || wal->disk_available / SPARES_SHARE > wal->limits.segment_bytes;
    return wal->knows_syncs && has_room && !wal->closing;
}

static void made_choose(struct wal *wal)
{
    struct wal_upkeep *upkeep = &wal->upkeep;
    uint32_t have = wal->spare_count;
    for (uint32_t i = 0; i < upkeep->retired_count; i++)
        have += upkeep->retired_as[i] != 0;
    upkeep->made_count = 0;
    while (have + upkeep->made_count < wal->limits.spare_segments && spares_may_be_made(wal))
        upkeep->made[upkeep->made_count++] = wal->next_spare_number++;
    upkeep->unwritten = SL_MIN(wal->spares_unwritten, upkeep->made_count);
    wal->spares_unwritten -= upkeep->unwritten;
    upkeep->unwritten = wal->has_large_syncs ? upkeep->made_count : upkeep->unwritten;
}

static void spare_add(struct wal *wal, uint64_t number)
{
    SL_ASSERT(wal->spare_count < WAL_SPARES_MAX);
    wal->spares[wal->spare_count++] = number;
}

void wal_disk_judge(struct wal *wal, uint64_t total_bytes, uint64_t available_bytes)
{
    uint64_t percent = wal->disk_full ? WAL_DISK_AGAIN_PERCENT : WAL_DISK_FULL_PERCENT;
    uint64_t used = total_bytes - SL_MIN(available_bytes, total_bytes);
    wal->disk_total = total_bytes;
    wal->disk_available = available_bytes;
    wal->disk_full = total_bytes > 0 && used >= total_bytes / 100 * percent;
}

static void upkeep_end(struct wal *wal)
{
    struct wal_upkeep *upkeep = &wal->upkeep;
    for (uint32_t i = 0; i < upkeep->retired_count; i++) {
        if (upkeep->retired_as[i] != 0 && upkeep->err == SLUICE_OK)
            spare_add(wal, upkeep->retired_as[i]);
        wal_segment_forget(upkeep->retired[i]);
    }
    for (uint32_t i = 0; i < upkeep->made_count && upkeep->err == SLUICE_OK; i++)
        spare_add(wal, upkeep->made[i]);
    wal->spares_unwritten += upkeep->kept;
    wal->bytes_zeros += upkeep->bytes_zeros;
    upkeep->retired_count = 0;
    if (upkeep->tidies)
        stale_forget(upkeep);
    if (upkeep->cut != NULL) {
        upkeep->cut->pins--;
        upkeep->cut->cuts = false;
        upkeep->cut = NULL;
    }
    upkeep->busy = false;
}

static void upkeep_done(struct sl_job *job)
{
    struct wal_upkeep *upkeep = SL_CONTAINER_OF(job, struct wal_upkeep, job);
    struct wal *wal = upkeep->wal;
    bool cut = upkeep->cut != NULL;
    bool more =
        upkeep->wanted || upkeep->retired_count == WAL_RETIRE_MAX || upkeep->kept > 0 || cut;
    upkeep_end(wal);
    if (upkeep->err != SLUICE_OK)
        wal_commit_fence(wal, upkeep->err);
    else
        wal_disk_judge(wal, upkeep->disk_total, upkeep->disk_available);
    if (wal->disk_full && !wal->disk_timer_runs && !wal->closing) {
        wal->disk_timer_runs = true;
        sl_timer_start(wal->disk_timer, WAL_DISK_CHECK_NS);
    }
    upkeep->wanted = false;
    if (more)
        wal_upkeep_request(wal);
    wal_close_step(wal);
}

/* At once where the space of what an earlier run left may be wanted: starts that follow each other
 * quickly each leave a segment. */
static bool tidies_now(const struct wal *wal)
{
    return sl_os_mono_ns(wal->os) >= wal->upkeep.tidy_ns ||
           wal->sealed_bytes > wal->limits.bytes_max / 4;
}

void wal_upkeep_request(struct wal *wal)
{
    struct wal_upkeep *upkeep = &wal->upkeep;
    if (wal->fenced || wal->is_closed)
        return;
    if (upkeep->busy) {
        upkeep->wanted = true;
        return;
    }
    upkeep->busy = true;
    upkeep->tidies = tidies_now(wal);
    if (upkeep->tidies)
        cut_choose(wal);
    retired_choose(wal);
    made_choose(wal);
    sl_helpers_submit(wal->os, wal->loop, &upkeep->job);
}

void wal_upkeep_init(struct wal *wal)
{
    struct wal_upkeep *upkeep = &wal->upkeep;
    upkeep->wal = wal;
    upkeep->job.work = upkeep_work;
    upkeep->job.done = upkeep_done;
    upkeep->job.task.priority = SL_PRIORITY_BACKGROUND;
}

/* After a simulated power cut a job may have been dropped with segments in hand. */
void wal_upkeep_fini(struct wal *wal)
{
    for (uint32_t i = 0; i < wal->upkeep.retired_count; i++)
        wal_segment_forget(wal->upkeep.retired[i]);
    wal->upkeep.retired_count = 0;
    stale_forget(&wal->upkeep);
}
