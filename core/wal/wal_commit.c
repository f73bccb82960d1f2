/* wal_commit.c: group commit: pending units become frames, the lane writes and syncs them.
 *
 * On the loop: form groups (a group stops at group_bytes_max; a larger unit travels alone), give
 * out LSN, time and places, choose the segment. On the lane: encode headers and directories,
 * compute CRCs, chain the frames, pwritev from the callers' memory, fdatasync. Back on the loop:
 * units' callbacks in order.
 *
 * Units that want no more than to be written (when_written) are told so between write and sync;
 * frames of nothing but such units are not synced at once: the next frame that is, or one within
 * WAL_UNSYNCED_MAX_NS or WAL_UNSYNCED_BYTES_MAX, or the next segment, takes them along. The durable
 * LSN never claims them.
 *
 * A new segment appears whole: its header and first frames are written into a spare file and
 * synced, then it gets its name and the directory is synced, and only then is anything
 * acknowledged. */
#include "wal/wal_state.h"

#include "base/ahead.h"
#include "base/bytes.h"
#include "base/crc32c.h"

#include <string.h>

#define NS_PER_MS   1000000
#define EARLY_UNITS 16u /* between two looks at the clock */
/* Of a unit's surroundings, that are fetched while others end: lines before it, and in all. */
#define AHEAD_BEFORE 7u
#define AHEAD_LINES  12u
#define AHEAD_UNITS  3u /* to a unit whose lines begin to come; the one before it leads on */

static const uint8_t zero_block[WAL_BLOCK]; /* padding */

/* ---- segments ---- */

void wal_segment_forget(struct wal_segment *segment)
{
    segment->file = sl_file_close(segment->file);
    sl_free(segment);
}

struct wal_segment *wal_segment_at(const struct wal *wal, size_t index)
{
    return wal->segments[(wal->first_segment + index) & wal->segment_mask];
}

struct wal_segment *wal_segment_last(const struct wal *wal)
{
    return wal->segment_count == 0 ? NULL : wal_segment_at(wal, wal->segment_count - 1);
}

uint64_t wal_segment_room(const struct wal_limits *limits)
{
    return limits->segment_bytes - (limits->reach_bytes > 0 ? WAL_BLOCK : 0);
}

uint64_t wal_segment_unsettled(const struct wal *wal)
{
    uint64_t last = wal->first_segment + wal->segment_count - 1;
    return wal->ending_segment != 0 ? wal->ending_segment : last;
}

sl_err wal_segment_add(struct wal *wal, uint64_t seq, struct wal_segment **ret_segment)
{
    if (wal->segment_count > wal->segment_mask)
        return SLUICE_E_LIMIT;
    struct wal_segment *segment = sl_alloc_zero(1, sizeof *segment);
    if (segment == NULL)
        return SLUICE_E_NO_MEMORY;
    segment->seq = seq;
    if (wal->segment_count == 0)
        wal->first_segment = seq;
    SL_ASSERT(wal->first_segment + wal->segment_count == seq);
    wal->segments[seq & wal->segment_mask] = segment;
    wal->segment_count++;
    *ret_segment = segment;
    return SLUICE_OK;
}

/* Seals the current segment and makes the next; its file comes with the commit under way. */
static sl_err segment_switch(struct wal *wal)
{
    struct wal_commit *commit = &wal->commit;
    struct wal_segment *sealed = wal_segment_last(wal);
    struct wal_segment *segment;
    sl_err err = wal_segment_add(wal, sealed == NULL ? 1 : sealed->seq + 1, &segment);
    if (err != SLUICE_OK)
        return err;
    if (sealed != NULL)
        wal->sealed_bytes += sealed->size;
    if (wal->frames > 0) /* of this run */
        wal_spares_judge(wal, sealed->end);
    wal->segment_syncs = 0;
    wal->rotates = false;
    segment->size = wal->limits.segment_bytes;
    segment->end = WAL_SEGMENT_HEADER;
    segment->last_lsn = segment->opened_lsn = wal->last_lsn;
    segment->first_lsn = wal->last_lsn + 1;
    commit->opens = true;
    commit->previous_lsn = wal->last_lsn;
    commit->previous_file = wal->written_lsn > wal->durable_lsn ? sealed->file : NULL;
    if (wal->spare_count > 0) {
        commit->spare_number = wal->spares[0];
        wal->spare_count--;
        memmove(wal->spares, wal->spares + 1, wal->spare_count * sizeof wal->spares[0]);
    } else {
        commit->spare_number = wal->next_spare_number++;
    }
    return SLUICE_OK;
}

/* ---- forming (loop) ---- */

void wal_commit_measure(struct wal_unit *unit)
{
    unit->directory_size = 0;
    unit->body_size = 0;
    unit->piece_count = 0;
    for (uint32_t i = 0; i < unit->item_count; i++) {
        const struct wal_item *item = &unit->items[i];
        unit->directory_size += wal_item_size(item->payload.size);
        unit->body_size += item->body_size;
        unit->piece_count += item->body_count;
    }
}

static uint64_t unit_size(const struct wal_unit *unit)
{
    return unit->directory_size + unit->body_size;
}

/* Takes units from the head of the queue into one group, at least one; the queue is not changed
 * yet. */
static struct wal_unit *group_measure(const struct wal *wal, struct wal_frame *frame)
{
    struct wal_unit *unit = wal->pending_head;
    uint64_t size = 0;
    memset(frame, 0, sizeof *frame);
    frame->first = unit;
    while (unit != NULL) {
        size += unit_size(unit);
        if (frame->unit_count > 0 && size > wal->limits.group_bytes_max)
            break;
        frame->unit_count++;
        frame->item_count += unit->item_count;
        frame->written_count += unit->when_written;
        frame->piece_count += unit->piece_count;
        frame->directory_size += unit->directory_size;
        frame->body_size += unit->body_size;
        unit = unit->next;
    }
    frame->frame_size = wal_frame_size(frame->directory_size, frame->body_size);
    return unit;
}

static void unit_place(struct wal_unit *unit, const struct wal_segment *segment,
                       const struct wal_frame *frame, uint64_t *position)
{
    unit->lsn = frame->lsn;
    unit->time_ms = frame->time_ms;
    for (uint32_t i = 0; i < unit->item_count; i++) {
        struct wal_item *item = &unit->items[i];
        item->place = (struct wal_place){segment->seq, *position, item->body_size};
        *position += item->body_size;
    }
}

/* Takes the measured group off the queue and gives it its place in segment, log and time. */
static void group_take(struct wal *wal, struct wal_frame *frame, struct wal_unit *rest)
{
    struct wal_segment *segment = wal_segment_last(wal);
    wal->time_ms = SL_MAX(wal->time_ms, sl_os_wall_ms(wal->os));
    frame->lsn = ++wal->last_lsn;
    frame->time_ms = wal->time_ms;
    frame->position = segment->end;
    segment->end += frame->frame_size;
    segment->last_lsn = frame->lsn;
    if (segment->created_ms == 0)
        segment->created_ms = frame->time_ms;
    uint64_t position = frame->position + WAL_FRAME_HEADER + frame->directory_size;
    struct wal_unit *unit = frame->first;
    for (uint32_t i = 0; i < frame->unit_count; i++, unit = unit->next)
        unit_place(unit, segment, frame, &position);
    wal->pending_head = rest;
    if (rest == NULL)
        wal->pending_tail = NULL;
    wal->commit.unit_bytes += frame->directory_size + frame->body_size;
}

/* Memory that the lane will need for this frame beside what the commit has. */
static sl_err commit_reserve(struct wal_commit *commit, size_t head_size, size_t piece_count)
{
    sl_err err = sl_buffer_reserve(&commit->heads, head_size);
    if (err != SLUICE_OK)
        return err;
    if (piece_count > commit->piece_capacity) {
        size_t capacity = SL_MAX(piece_count, commit->piece_capacity * 2);
        void *grown = sl_realloc(commit->pieces, capacity * sizeof *commit->pieces);
        if (grown == NULL)
            return SLUICE_E_NO_MEMORY;
        commit->pieces = grown;
        commit->piece_capacity = capacity;
    }
    return SLUICE_OK;
}

static void commit_choose_sync(struct wal_commit *commit)
{
    const struct wal *wal = commit->wal;
    bool early = false;
    bool late = false;
    for (uint32_t i = 0; i < commit->frame_count; i++) {
        early = early || commit->frames[i].written_count > 0;
        late = late || commit->frames[i].written_count < commit->frames[i].unit_count;
    }
    bool is_old = wal->written_lsn > wal->durable_lsn &&
                  sl_os_mono_ns(wal->os) - wal->unsynced_ns >= WAL_UNSYNCED_MAX_NS;
    commit->syncs = late || commit->opens || is_old ||
                    wal->unsynced_bytes + commit->unit_bytes >= WAL_UNSYNCED_BYTES_MAX;
    /* A segment that opens has no name until it is synced. */
    commit->tells_early = early && commit->syncs && !commit->opens;
}

/* Forms frames for one segment from the queue. */
static sl_err commit_form(struct wal *wal)
{
    struct wal_commit *commit = &wal->commit;
    size_t head_size = WAL_SEGMENT_HEADER;
    size_t piece_count = 1;
    sl_err err = SLUICE_OK;
    while (wal->pending_head != NULL && commit->frame_count < WAL_COMMIT_FRAMES) {
        struct wal_frame *frame = &commit->frames[commit->frame_count];
        struct wal_unit *rest = group_measure(wal, frame);
        struct wal_segment *segment = wal_segment_last(wal);
        bool fits = segment != NULL && !wal->rotates &&
                    segment->end + frame->frame_size <= wal_segment_room(&wal->limits);
        if (!fits && commit->frame_count > 0)
            break;
        head_size += WAL_FRAME_HEADER + (size_t)frame->directory_size;
        piece_count += frame->piece_count + 2; /* head, padding */
        err = commit_reserve(commit, head_size, piece_count);
        if (err == SLUICE_OK && !fits)
            err = segment_switch(wal);
        if (err != SLUICE_OK)
            break;
        group_take(wal, frame, rest);
        commit->frame_count++;
    }
    commit->segment = wal_segment_last(wal);
    commit->end = commit->segment == NULL ? 0 : commit->segment->end;
    commit_choose_sync(commit);
    commit->durable_lsn = wal->mutants.no_durable_lsn ? 0 : wal->durable_lsn;
    return err;
}

/* ---- writing (lane) ---- */

static void piece_add(struct wal_commit *commit, void *base, size_t size)
{
    if (size == 0)
        return;
    SL_ASSERT(commit->piece_count < commit->piece_capacity);
    commit->pieces[commit->piece_count++] = (struct sl_iovec){base, size};
}

static uint8_t *head_take(struct wal_commit *commit, size_t size)
{
    uint8_t *at = commit->heads.data + commit->heads.size;
    SL_ASSERT(commit->heads.size + size <= commit->heads.capacity);
    commit->heads.size += size;
    return at;
}

static void segment_header_write(struct wal_commit *commit)
{
    const struct wal *wal = commit->wal;
    uint8_t *head = head_take(commit, WAL_SEGMENT_HEADER);
    struct wal_segment_header header = {
        .identity = wal->identity,
        .seq = commit->segment->seq,
        .first_lsn = commit->previous_lsn + 1,
        .previous_lsn = commit->previous_lsn,
        .chain = commit->chain,
        .epoch = wal->epoch,
        .created_ms = commit->frames[0].time_ms,
    };
    if (wal->limits.reach_bytes > 0)
        header.identity.features_compatible |= WAL_SEGMENT_REACH;
    memset(head, 0, WAL_SEGMENT_HEADER);
    wal_segment_header_encode(&header, head);
    piece_add(commit, head, WAL_SEGMENT_HEADER);
}

static void body_write(struct wal_commit *commit, const struct wal_item *item, uint32_t *crc)
{
    uint64_t size = 0;
    for (uint32_t i = 0; i < item->body_count; i++) {
        *crc = sl_crc32c_extend(*crc, item->body[i].base, item->body[i].size);
        size += item->body[i].size;
        piece_add(commit, item->body[i].base, item->body[i].size);
    }
    SL_ASSERT(size == item->body_size);
}

static void frame_write(struct wal_commit *commit, const struct wal_frame *frame)
{
    uint8_t *head = head_take(commit, WAL_FRAME_HEADER + (size_t)frame->directory_size);
    uint8_t *to = head + WAL_FRAME_HEADER;
    uint32_t body_crc = 0;
    piece_add(commit, head, WAL_FRAME_HEADER + (size_t)frame->directory_size);
    const struct wal_unit *unit = frame->first;
    for (uint32_t i = 0; i < frame->unit_count; i++, unit = unit->next) {
        for (uint32_t k = 0; k < unit->item_count; k++) {
            const struct wal_item *item = &unit->items[k];
            to = wal_item_encode(to, item->kind, item->version, item->flags, item->payload,
                                 item->body_size);
            body_write(commit, item, &body_crc);
        }
    }
    struct wal_frame_header header = {
        .frame_size = frame->frame_size,
        .incarnation = commit->segment->seq,
        .durable_lsn = commit->durable_lsn,
        .chain = commit->chain,
        .lsn = frame->lsn,
        .body_size = frame->body_size,
        .time_ms = frame->time_ms,
        .epoch = commit->wal->epoch,
        .item_count = frame->item_count,
        .directory_size = (uint32_t)frame->directory_size,
        .directory_crc = sl_crc32c(head + WAL_FRAME_HEADER, (size_t)frame->directory_size),
        .body_crc = body_crc,
    };
    wal_frame_header_encode(&header, head);
    commit->chain = header.crc;
    uint64_t used = WAL_FRAME_HEADER + frame->directory_size + frame->body_size;
    piece_add(commit, (void *)(uintptr_t)zero_block, (size_t)(frame->frame_size - used));
}

static sl_err commit_sync(const struct wal_commit *commit, struct sl_file *file)
{
    return commit->wal->mutants.no_sync ? SLUICE_OK : sl_file_sync(file);
}

/* The mark goes where the frames go, before them, so that their sync makes it durable too. It is
 * ahead by what the next sync may carry, which is taken to be as much as this one does: frames of
 * which none was durable tell what was. */
static sl_err reach_write(struct wal_commit *commit, struct sl_file *file)
{
    const struct wal_limits *limits = &commit->wal->limits;
    if (commit->opens)
        commit->reach = 0;
    uint64_t carried = commit->end - commit->frames[0].position;
    uint64_t ahead = SL_MAX(carried, (uint64_t)limits->reach_bytes);
    if (limits->reach_bytes == 0 || commit->end + ahead <= commit->reach)
        return SLUICE_OK;
    uint64_t room = wal_segment_room(limits);
    if (commit->reach == room || (commit->wal->mutants.reach_once && !commit->opens))
        return SLUICE_OK;
    commit->reach = SL_MIN(commit->end + 2 * ahead - WAL_BLOCK, room);
    uint8_t block[WAL_BLOCK] = {0};
    const struct wal_reach mark = {.cluster = commit->wal->identity.cluster,
                                   .shard = commit->wal->identity.shard,
                                   .seq = commit->segment->seq,
                                   .file_size = limits->segment_bytes,
                                   .reach = commit->reach};
    wal_reach_encode(&mark, block);
    struct sl_iovec piece = {block, sizeof block};
    return sl_file_pwritev(file, &piece, 1, room);
}

static sl_err name_write(struct wal *wal, const char *spare, const char *path)
{
    sl_err err = sl_path_rename(wal->os, spare, path);
    return err != SLUICE_OK ? err : sl_dir_sync(wal->os, wal->directory);
}

/* Into a spare, which becomes the segment once it is whole. */
static sl_err commit_write_opening(struct wal_commit *commit)
{
    struct wal *wal = commit->wal;
    char spare[WAL_PATH_MAX];
    char path[WAL_PATH_MAX];
    wal_path_spare(spare, wal->directory, commit->spare_number);
    wal_path_segment(path, wal->directory, commit->segment->seq);
    sl_err err = SLUICE_OK;
    if (commit->previous_file != NULL)
        err = commit_sync(commit, commit->previous_file);
    if (err == SLUICE_OK)
        err = sl_file_open(wal->os, spare, SL_FILE_READ | SL_FILE_WRITE | SL_FILE_CREATE,
                           &commit->file);
    if (err == SLUICE_OK && wal->mutants.rename_first)
        err = name_write(wal, spare, path);
    if (err == SLUICE_OK)
        err = reach_write(commit, commit->file);
    if (err == SLUICE_OK)
        err = sl_file_pwritev(commit->file, commit->pieces, commit->piece_count, 0);
    if (err == SLUICE_OK)
        err = commit_sync(commit, commit->file);
    if (err == SLUICE_OK && !wal->mutants.rename_first)
        err = name_write(wal, spare, path);
    return err;
}

static void commit_work(struct sl_job *job)
{
    struct wal_commit *commit = SL_CONTAINER_OF(job, struct wal_commit, job);
    int64_t begin_ns = sl_os_mono_ns(commit->wal->os);
    commit->piece_count = 0;
    sl_buffer_reset(&commit->heads);
    if (commit->opens)
        segment_header_write(commit);
    for (uint32_t i = 0; i < commit->frame_count; i++)
        frame_write(commit, &commit->frames[i]);
    if (commit->opens) {
        commit->err = commit_write_opening(commit);
    } else {
        struct sl_file *file = commit->segment->file;
        commit->err = reach_write(commit, file);
        if (commit->err == SLUICE_OK)
            commit->err = sl_file_pwritev(file, commit->pieces, commit->piece_count,
                                          commit->frames[0].position);
        if (commit->err == SLUICE_OK && commit->tells_early)
            sl_loop_post(commit->wal->loop, &commit->written);
        if (commit->err == SLUICE_OK && commit->syncs)
            commit->err = commit_sync(commit, file);
    }
    commit->sync_ns = sl_os_mono_ns(commit->wal->os) - begin_ns;
}

/* ---- ends (loop) ---- */

static void unit_end(struct wal *wal, struct wal_unit *unit, sl_err err)
{
    wal->pending_units--;
    unit->next = NULL;
    unit->durable(unit, err);
}

/* What the callbacks of a commit submit need not wait for the last of them: not when it fills a
 * group, nor when a sync could have run meanwhile. */
static void kick_early(struct wal *wal, int64_t begin_ns)
{
    struct wal_commit *commit = &wal->commit;
    if (commit->busy || wal->fenced || wal->pending_head == NULL)
        return;
    if (wal->pending_bytes >= wal->limits.group_bytes_max ||
        sl_os_mono_ns(wal->os) - begin_ns >= commit->sync_ns)
        wal_commit_kick(wal);
}

/* A unit lies among what its callback uses, and left the cache while the disk worked. */
static void fetch_ahead(const struct wal_unit *unit)
{
    sl_fetch_ahead((const void *)((uintptr_t)unit - AHEAD_BEFORE * SL_CACHE_LINE),
                   AHEAD_LINES * SL_CACHE_LINE);
}

static void approach(const struct wal_unit *unit, bool is_next)
{
    if (unit->approach != NULL)
        unit->approach(unit, is_next);
}

/* The unit that ends after `turn` others is on its way to that: first its own lines are fetched,
 * and where it leads one turn later, when they have come. */
static struct wal_unit *come_near(const struct wal_frame *frame, struct wal_unit *last,
                                  uint32_t turn)
{
    struct wal_unit *unit = last;
    if (turn < frame->unit_count) {
        unit = turn == 0 ? frame->first : last->next;
        fetch_ahead(unit);
    }
    if (turn > 0 && turn <= frame->unit_count)
        approach(last, false);
    return unit;
}

static void frame_end(struct wal *wal, const struct wal_frame *frame, sl_err err, int64_t begin_ns)
{
    struct wal_unit *unit = frame->first;
    struct wal_unit *last = NULL;
    for (uint32_t turn = 0; turn < AHEAD_UNITS; turn++)
        last = come_near(frame, last, turn);
    for (uint32_t i = 0; i < frame->unit_count; i++) {
        struct wal_unit *next = unit->next;
        last = come_near(frame, last, i + AHEAD_UNITS);
        if (i + 1 < frame->unit_count)
            approach(next, true);
        unit_end(wal, unit, err);
        unit = next;
        if (i % EARLY_UNITS == EARLY_UNITS - 1)
            kick_early(wal, begin_ns);
    }
}

/* What arrived while the frames were synced goes on its way first, so that the disk works while
 * their callbacks run. */
static void frames_end(struct wal *wal, sl_err err)
{
    struct wal_frame frames[WAL_COMMIT_FRAMES]; /* the next commit makes new ones */
    uint32_t count = wal->commit.frame_count;
    int64_t begin_ns = sl_os_mono_ns(wal->os);
    memcpy(frames, wal->commit.frames, sizeof frames);
    wal->commit.busy = false;
    wal->ending_segment = wal->commit.segment->seq;
    wal_commit_kick(wal);
    for (uint32_t i = 0; i < count; i++)
        frame_end(wal, &frames[i], err, begin_ns);
    wal->ending_segment = 0;
}

/* Tells, in order, the units of a frame that wanted no more; the others stay. */
static void frame_tell_written(struct wal *wal, struct wal_frame *frame)
{
    struct wal_unit *unit = frame->first;
    struct wal_unit **kept = &frame->first;
    uint32_t count = frame->unit_count;
    frame->unit_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct wal_unit *next = unit->next;
        if (unit->when_written) {
            unit_end(wal, unit, SLUICE_OK);
        } else {
            *kept = unit;
            kept = &unit->next;
            frame->unit_count++;
        }
        unit = next;
    }
    *kept = NULL;
}

/* The lane is syncing, and looks at no unit any more. Runs before commit_done, which is posted
 * later and with the same priority. */
static void written_run(struct sl_task *task)
{
    struct wal_commit *commit = SL_CONTAINER_OF(task, struct wal_commit, written);
    SL_ASSERT(commit->busy);
    if (commit->wal->fenced)
        return; /* all fail together when the job is back */
    commit->wal->told_early = true;
    for (uint32_t i = 0; i < commit->frame_count; i++)
        frame_tell_written(commit->wal, &commit->frames[i]);
}

static void pending_fail(struct wal *wal, sl_err err)
{
    while (wal->pending_head != NULL) {
        struct wal_unit *unit = wal->pending_head;
        wal->pending_head = unit->next;
        if (wal->pending_head == NULL)
            wal->pending_tail = NULL;
        wal->pending_bytes -= unit_size(unit);
        wal->gather.queued_units--;
        unit_end(wal, unit, err);
    }
}

/* Units under way are failed when their job comes back, so that callbacks keep their order. */
void wal_commit_fence(struct wal *wal, sl_err cause)
{
    if (!wal->fenced) {
        wal->fenced = true;
        wal->fence_cause = cause;
    }
    if (wal->commit.busy || wal->ending_segment != 0)
        return;
    pending_fail(wal, SLUICE_E_FENCED);
    if (!wal->fence_told) {
        wal->fence_told = true;
        if (wal->events != NULL && wal->events->fenced != NULL)
            wal->events->fenced(wal->events_arg, wal->fence_cause);
    }
    wal_checkpoint_resume(wal);
    wal_close_step(wal);
}

static void mark_durable(struct wal_unit *unit, sl_err err)
{
    struct wal *wal = SL_CONTAINER_OF(unit, struct wal, mark);
    wal->mark_busy = false;
    if (err == SLUICE_OK && wal->mark_item.kind == WAL_ITEM_CLEAN_SHUTDOWN)
        wal->marked_clean = true;
}

static void bytes_account(struct wal *wal)
{
    const struct wal_commit *commit = &wal->commit;
    wal->bytes_heads += commit->opens ? WAL_SEGMENT_HEADER : 0;
    for (uint32_t i = 0; i < commit->frame_count; i++) {
        const struct wal_frame *frame = &commit->frames[i];
        uint64_t heads = WAL_FRAME_HEADER + frame->directory_size;
        wal->bytes_heads += heads;
        wal->bytes_bodies += frame->body_size;
        wal->bytes_padding += frame->frame_size - heads - frame->body_size;
    }
}

/* Where the first segment tells enough, spares are not left to its end. */
static void spares_begin(struct wal *wal)
{
    uint64_t end = wal->commit.end;
    bool is_told = wal->segment_syncs >= WAL_TELLING_SYNCS ||
                   end >= wal->limits.segment_bytes / WAL_TELLING_DIVISOR;
    if (wal->knows_syncs || !is_told)
        return;
    wal_spares_judge(wal, end);
    wal_upkeep_request(wal);
}

static void commit_account(struct wal *wal)
{
    struct wal_commit *commit = &wal->commit;
    bytes_account(wal);
    uint64_t lsn = commit->frames[commit->frame_count - 1].lsn;
    if (commit->syncs) {
        wal->durable_lsn = lsn;
        wal->unsynced_bytes = 0;
        wal->told_early = false;
    } else {
        if (wal->written_lsn == wal->durable_lsn)
            wal->unsynced_ns = sl_os_mono_ns(wal->os);
        wal->unsynced_bytes += commit->unit_bytes;
    }
    wal->written_lsn = lsn;
    wal->frames += commit->frame_count;
    wal->syncs += commit->syncs;
    wal->segment_syncs += commit->syncs;
    wal->sync_ns_total += (uint64_t)commit->sync_ns;
    bool only_mark = commit->frame_count == 1 && commit->frames[0].first == &wal->mark &&
                     commit->frames[0].item_count == 1;
    if (only_mark)
        wal->marked_lsn = wal->durable_lsn;
    if (commit->opens) {
        commit->segment->file = commit->file;
        commit->file = NULL;
        wal_checkpoint_consider(wal);
        wal_upkeep_request(wal);
        if (wal->events != NULL && wal->events->sealed != NULL)
            wal->events->sealed(wal->events_arg);
    }
    spares_begin(wal);
    if (!commit->syncs)
        wal_pages_consider(wal);
}

/* Silence ends with a frame that says what is durable, and makes durable what is only written. */
static void mark_later(struct wal *wal)
{
    bool is_ahead = wal->written_lsn > wal->durable_lsn;
    int64_t delay_ns = (int64_t)wal->limits.idle_mark_ms * NS_PER_MS;
    if (delay_ns == 0 && is_ahead)
        delay_ns = WAL_UNSYNCED_MAX_NS;
    if (!wal->commit.busy && wal->marked_lsn != wal->written_lsn && delay_ns > 0 && !wal->closing)
        sl_timer_start(wal->idle_timer, delay_ns);
}

static void commit_done(struct sl_job *job)
{
    struct wal_commit *commit = SL_CONTAINER_OF(job, struct wal_commit, job);
    struct wal *wal = commit->wal;
    sl_err err = commit->err;
    if (err != SLUICE_OK && !wal->fenced) {
        wal->fenced = true;
        wal->fence_cause = err;
    }
    if (!wal->fenced)
        commit_account(wal);
    wal->pending_bytes -= commit->unit_bytes;
    bool synced = commit->syncs; /* the next commit begins before the callbacks of this one */
    frames_end(wal, wal->fenced ? SLUICE_E_FENCED : SLUICE_OK);
    if (!wal->fenced && synced)
        wal_checkpoint_resume(wal);
    if (wal->fenced) {
        if (!commit->busy)
            commit->file = sl_file_close(commit->file);
        wal_commit_fence(wal, wal->fence_cause);
        return;
    }
    wal_commit_rotate(wal);
    wal_commit_kick(wal);
    mark_later(wal);
    wal_close_step(wal);
}

static void commit_prepare(struct wal_commit *commit)
{
    commit->frame_count = 0;
    commit->unit_bytes = 0;
    commit->opens = false;
    commit->previous_file = NULL;
    sl_buffer_reset(&commit->heads);
}

bool wal_commit_is_ahead(const struct wal *wal)
{
    return wal->written_lsn > wal->durable_lsn || wal->told_early;
}

void wal_commit_mark(struct wal *wal)
{
    if (wal->mark_busy)
        return;
    wal_commit_append_mark(wal, WAL_ITEM_IDLE);
    wal_commit_kick(wal);
}

void wal_commit_kick(struct wal *wal)
{
    struct wal_commit *commit = &wal->commit;
    if (commit->busy || wal->fenced || wal->pending_head == NULL || wal_gather_waits(wal))
        return;
    commit_prepare(commit);
    sl_err err = commit_form(wal);
    if (commit->frame_count == 0 && err == SLUICE_E_NO_MEMORY) { /* nothing was begun: it waits */
        sl_timer_start(wal->idle_timer, WAL_MEMORY_RETRY_NS);
        return;
    }
    if (commit->frame_count == 0) {
        wal_commit_fence(wal, err);
        return;
    }
    commit->busy = true;
    wal_gather_committed(wal);
    sl_lane_submit(wal->lane, wal->loop, &commit->job);
}

void wal_commit_append(struct wal *wal, struct wal_unit *unit)
{
    unit->next = NULL;
    if (wal->pending_tail != NULL)
        wal->pending_tail->next = unit;
    else
        wal->pending_head = unit;
    wal->pending_tail = unit;
    wal->pending_units++;
    wal->gather.queued_units++;
    wal->pending_bytes += unit_size(unit);
}

void wal_commit_append_mark(struct wal *wal, uint16_t kind)
{
    wal->mark_item = (struct wal_item){.kind = kind, .version = 1};
    wal->mark_busy = true;
    wal_commit_measure(&wal->mark);
    wal_commit_append(wal, &wal->mark);
}

void wal_commit_rotate(struct wal *wal)
{
    bool begins = wal->rotates && !wal->fenced && !wal->closing && !wal->commit.busy &&
                  wal->pending_head == NULL && !wal->mark_busy;
    if (begins)
        wal_commit_append_mark(wal, WAL_ITEM_IDLE);
}

static void kick_run(struct sl_task *task)
{
    struct wal *wal = SL_CONTAINER_OF(task, struct wal, kick);
    wal_gather_look(wal);
    wal_commit_kick(wal);
    wal_close_step(wal);
}

void wal_commit_init(struct wal *wal)
{
    struct wal_commit *commit = &wal->commit;
    commit->wal = wal;
    commit->job.work = commit_work;
    commit->job.done = commit_done;
    commit->job.task.priority = SL_PRIORITY_IO;
    commit->written.run = written_run;
    commit->written.priority = SL_PRIORITY_IO;
    sl_buffer_init(&commit->heads, SIZE_MAX / 2);
    wal->kick.run = kick_run;
    wal->kick.priority = SL_PRIORITY_IO;
    wal->mark.items = &wal->mark_item;
    wal->mark.item_count = 1;
    wal->mark.reserve = true;
    wal->mark.durable = mark_durable;
}

sl_err wal_commit_first(struct wal *wal, uint64_t previous_lsn, uint32_t chain)
{
    struct wal_commit *commit = &wal->commit;
    wal->last_lsn = previous_lsn;
    wal->durable_lsn = previous_lsn;
    wal->written_lsn = previous_lsn;
    commit->chain = chain;
    wal_commit_append_mark(wal, WAL_ITEM_IDLE);
    commit_prepare(commit);
    struct wal_segment *before = wal_segment_last(wal);
    uint64_t end = before == NULL ? 0 : before->end;
    if (before != NULL)
        before->end = wal->limits.segment_bytes; /* whatever room it has is given up */
    sl_err err = commit_form(wal);
    if (before != NULL)
        before->end = end;
    if (err != SLUICE_OK)
        return err;
    commit_work(&commit->job);
    if (commit->err != SLUICE_OK)
        return commit->err;
    commit->segment->file = commit->file;
    commit->file = NULL;
    wal->durable_lsn = wal->last_lsn;
    wal->written_lsn = wal->last_lsn;
    wal->marked_lsn = wal->last_lsn;
    wal->mark_busy = false;
    wal->pending_units = 0;
    wal->pending_bytes = 0;
    wal->gather.queued_units = 0;
    return SLUICE_OK;
}
