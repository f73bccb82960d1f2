/* wal_checkpoint.c: writes the state of all rooms, so that recovery need not begin at the start.
 *
 *   begin (loop: LSN) ─► slice (loop) ─► … ─► write (helper) ─► slice … ─► all that was told is
 *   durable (loop) ─► header, sync, rename, sync (helper) ─► recycle
 *
 * A slice takes less than a millisecond and never waits: events->snapshot emits items, which are
 * copied into a buffer; when that is full a helper appends it to the file. So neither the loop nor
 * memory is filled by however much state there is. Frames that become durable meanwhile may be in
 * some items and not in others; recovery applies all frames after the LSN of the begin on top of
 * the items, and items bear that (wal.h; docs/decisions/checkpoints-in-slices.md). What items hold
 * must not be lost with its frame, so the file gets its name when everything that was told is
 * durable; its header says up to which LSN that is.
 *
 * Then segments that hold nothing live and that the checkpoint contains are recycled. One at a
 * time; requests meanwhile make one more. A full disk is no error here (the next seal tries again);
 * any other failure fences. */
#include "wal/wal_state.h"

#include "base/crc32c.h"

#include <string.h>

#define BUFFER_BYTES_MAX (64u << 20) /* a slice's items; far below */
#define CHUNK_BYTES      (512u << 10)
#define SYNC_BYTES       (8u << 20) /* not all of a large file in one sync, for which the log waits */
#define ROOM_FACTOR      2u /* the log may grow by so many times a checkpoint's size between two */

static sl_err item_add(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload)
{
    struct wal_checkpoint *checkpoint = arg;
    struct sl_buffer *bytes = &checkpoint->bytes;
    size_t size = (size_t)wal_item_size(payload.size);
    sl_err err = sl_buffer_reserve(bytes, size);
    if (err != SLUICE_OK)
        return err;
    wal_item_encode(bytes->data + bytes->size, kind, version, 0, payload, 0);
    bytes->size += size;
    checkpoint->header.item_count++;
    return SLUICE_OK;
}

static size_t chunk_bytes(const struct wal *wal)
{
    uint32_t wanted = wal->limits.checkpoint_chunk_bytes;
    return wanted != 0 ? wanted : CHUNK_BYTES;
}

/* The first segment that reading must still go through: below it nothing is live, and all is
 * contained. */
static uint64_t first_segment(const struct wal *wal)
{
    for (size_t i = 0; i + 1 < wal->segment_count; i++) {
        const struct wal_segment *segment = wal_segment_at(wal, i);
        if (segment->seq >= wal->released_below || segment->last_lsn > wal->durable_lsn)
            return segment->seq;
    }
    return wal_segment_last(wal)->seq;
}

/* The last segment that exists on disk: the newest one may still be under way. */
static uint64_t last_segment(const struct wal *wal)
{
    const struct wal_segment *last = wal_segment_last(wal);
    return last->file != NULL ? last->seq : last->seq - 1;
}

static void begin(struct wal *wal)
{
    struct wal_checkpoint *checkpoint = &wal->checkpoint;
    checkpoint->header.identity = wal->identity;
    checkpoint->header.generation++;
    checkpoint->header.lsn = wal->durable_lsn;
    checkpoint->header.first_segment = SL_MIN(first_segment(wal), last_segment(wal));
    checkpoint->header.item_count = 0;
    checkpoint->header.items_size = 0;
    checkpoint->header.items_crc = 0;
    checkpoint->header.time_ms = wal->time_ms;
    checkpoint->header.epoch = wal->epoch;
    checkpoint->synced_size = 0;
    checkpoint->last = checkpoint->discards = false;
}

/* ---- helper ---- */

static sl_err chunk_put(struct wal_checkpoint *checkpoint)
{
    struct wal_checkpoint_header *header = &checkpoint->header;
    struct sl_bytes chunk = sl_buffer_bytes(&checkpoint->bytes);
    sl_err err =
        wal_checkpoint_put(checkpoint->file, WAL_CHECKPOINT_HEADER + header->items_size, chunk);
    header->items_crc = sl_crc32c_extend(header->items_crc, chunk.data, chunk.size);
    header->items_size += chunk.size;
    if (err == SLUICE_OK && header->items_size - checkpoint->synced_size >= SYNC_BYTES) {
        checkpoint->synced_size = header->items_size;
        err = sl_file_sync(checkpoint->file);
    }
    return err;
}

static sl_err write_or_finish(struct wal_checkpoint *checkpoint)
{
    struct wal *wal = checkpoint->wal;
    sl_err err = SLUICE_OK;
    if (checkpoint->file == NULL)
        err = wal_checkpoint_create(wal->os, wal->directory, &checkpoint->file);
    if (err == SLUICE_OK)
        err = chunk_put(checkpoint);
    if (err == SLUICE_OK && checkpoint->last) {
        struct sl_file *file = checkpoint->file;
        checkpoint->file = NULL;
        err = wal_checkpoint_finish(wal->os, wal->directory, file, &checkpoint->header);
    }
    return err;
}

static void checkpoint_work(struct sl_job *job)
{
    struct wal_checkpoint *checkpoint = SL_CONTAINER_OF(job, struct wal_checkpoint, job);
    struct wal *wal = checkpoint->wal;
    checkpoint->err = checkpoint->discards ? SLUICE_E_NO_MEMORY : write_or_finish(checkpoint);
    if (checkpoint->err != SLUICE_OK && checkpoint->file != NULL) {
        wal_checkpoint_discard(wal->os, wal->directory, checkpoint->file);
        checkpoint->file = NULL;
    }
}

/* ---- loop ---- */

static void checkpoint_end(struct wal *wal)
{
    struct wal_checkpoint *checkpoint = &wal->checkpoint;
    checkpoint->busy = checkpoint->begun = checkpoint->last = false;
    sl_buffer_fini(&checkpoint->bytes);
    sl_buffer_init(&checkpoint->bytes, BUFFER_BYTES_MAX);
    if (checkpoint->wanted && !wal->fenced) {
        checkpoint->wanted = false;
        wal_checkpoint_request(wal);
    }
    wal_close_step(wal);
}

static bool is_harmless(sl_err err)
{
    return err == SLUICE_E_DISK_FULL || err == SLUICE_E_NO_MEMORY || err == SLUICE_E_LIMIT;
}

static void checkpoint_account(struct wal *wal)
{
    struct wal_checkpoint *checkpoint = &wal->checkpoint;
    checkpoint->durable_first_segment = checkpoint->header.first_segment;
    checkpoint->durable_last_segment = checkpoint->header.last_segment;
    checkpoint->durable_lsn = checkpoint->header.lsn;
    checkpoint->durable_bytes = checkpoint->header.items_size;
    checkpoint->count++;
    wal->bytes_checkpoints += WAL_CHECKPOINT_HEADER + checkpoint->header.items_size;
    wal_upkeep_request(wal);
}

static void checkpoint_done(struct sl_job *job)
{
    struct wal_checkpoint *checkpoint = SL_CONTAINER_OF(job, struct wal_checkpoint, job);
    struct wal *wal = checkpoint->wal;
    sl_buffer_reset(&checkpoint->bytes);
    if (checkpoint->err == SLUICE_OK && !checkpoint->last) {
        sl_loop_post(wal->loop, &checkpoint->step);
        return;
    }
    if (checkpoint->err == SLUICE_OK) {
        checkpoint_account(wal);
    } else if (is_harmless(checkpoint->err)) {
        checkpoint->header.generation--; /* the same slot again: the other one is the good one */
    } else {
        wal_commit_fence(wal, checkpoint->err);
    }
    checkpoint_end(wal);
}

static void write_start(struct wal *wal)
{
    sl_helpers_submit(wal->os, wal->loop, &wal->checkpoint.job);
}

/* All that the items hold is durable now, up to this LSN, or nothing more will be. */
static void finish(struct wal *wal)
{
    struct wal_checkpoint *checkpoint = &wal->checkpoint;
    if (wal->fenced) {
        checkpoint_end(wal);
        return;
    }
    checkpoint->header.end_lsn = wal->durable_lsn;
    checkpoint->header.last_segment = last_segment(wal);
    write_start(wal);
}

static void complete(struct wal *wal)
{
    struct wal_checkpoint *checkpoint = &wal->checkpoint;
    checkpoint->last = true;
    if (wal_commit_is_ahead(wal)) {
        checkpoint->held = true;
        wal_commit_mark(wal);
    } else {
        finish(wal);
    }
}

void wal_checkpoint_resume(struct wal *wal)
{
    struct wal_checkpoint *checkpoint = &wal->checkpoint;
    if (checkpoint->held && (wal->fenced || !wal_commit_is_ahead(wal))) {
        checkpoint->held = false;
        finish(wal);
    }
}

static void checkpoint_step(struct sl_task *task)
{
    struct wal_checkpoint *checkpoint = SL_CONTAINER_OF(task, struct wal_checkpoint, step);
    struct wal *wal = checkpoint->wal;
    bool begins = !checkpoint->begun;
    bool done = false;
    if (wal->fenced) {
        checkpoint_end(wal);
        return;
    }
    if (begins) {
        begin(wal);
        checkpoint->begun = true;
    }
    if (begins && wal->mutants.checkpoint_early) {
        checkpoint->durable_first_segment = checkpoint->header.first_segment;
        wal_upkeep_request(wal);
    }
    if (wal->events->snapshot(wal->events_arg, begins, item_add, checkpoint, &done) != SLUICE_OK) {
        checkpoint->discards = true; /* memory: the next seal tries again */
        write_start(wal);
    } else if (done) {
        complete(wal);
    } else if (checkpoint->bytes.size >= chunk_bytes(wal)) {
        write_start(wal);
    } else {
        sl_loop_post(wal->loop, &checkpoint->step);
    }
}

void wal_checkpoint_request(struct wal *wal)
{
    struct wal_checkpoint *checkpoint = &wal->checkpoint;
    if (wal->events == NULL || wal->events->snapshot == NULL || wal->fenced)
        return;
    if (checkpoint->busy) {
        checkpoint->wanted = true;
        return;
    }
    checkpoint->busy = true;
    sl_loop_post(wal->loop, &checkpoint->step);
}

void wal_checkpoint_consider(struct wal *wal)
{
    const struct wal_checkpoint *checkpoint = &wal->checkpoint;
    uint64_t segments = wal_segment_last(wal)->seq - checkpoint->durable_last_segment;
    if (segments * wal->limits.segment_bytes >= ROOM_FACTOR * checkpoint->durable_bytes)
        wal_checkpoint_request(wal);
}

void wal_checkpoint_init(struct wal *wal)
{
    struct wal_checkpoint *checkpoint = &wal->checkpoint;
    checkpoint->wal = wal;
    checkpoint->step.run = checkpoint_step;
    checkpoint->step.priority = SL_PRIORITY_BACKGROUND;
    checkpoint->job.work = checkpoint_work;
    checkpoint->job.done = checkpoint_done;
    checkpoint->job.task.priority = SL_PRIORITY_BACKGROUND;
    sl_buffer_init(&checkpoint->bytes, BUFFER_BYTES_MAX);
}
