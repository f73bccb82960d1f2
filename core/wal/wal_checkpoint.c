/* wal_checkpoint.c: writes the state of all rooms at one LSN, so that recovery need not begin at
 * the start.
 *
 * On the loop, in one background task, at a moment when all that was told is durable:
 * events->snapshot emits the items, which are copied into a buffer. On a helper: CRC, file, sync,
 * rename, sync. Then segments that hold nothing live and that the checkpoint contains are recycled.
 * One at a time; requests meanwhile make one more. A full disk is no error here (the next seal
 * tries again); any other failure fences. */
#include "wal/wal_state.h"

#include "base/crc32c.h"

#include <string.h>

#define ITEMS_BYTES_MAX (4ull << 30)

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

static sl_err snapshot_take(struct wal *wal)
{
    struct wal_checkpoint *checkpoint = &wal->checkpoint;
    uint64_t last = last_segment(wal);
    checkpoint->header.identity = wal->identity;
    checkpoint->header.generation++;
    checkpoint->header.lsn = wal->durable_lsn;
    checkpoint->header.first_segment = SL_MIN(first_segment(wal), last);
    checkpoint->header.last_segment = last;
    checkpoint->header.item_count = 0;
    checkpoint->header.time_ms = wal->time_ms;
    checkpoint->header.epoch = wal->epoch;
    sl_buffer_reset(&checkpoint->bytes);
    sl_err err = sl_buffer_reserve(&checkpoint->bytes, WAL_CHECKPOINT_HEADER);
    if (err != SLUICE_OK)
        return err;
    checkpoint->bytes.size = WAL_CHECKPOINT_HEADER;
    return wal->events->snapshot(wal->events_arg, item_add, checkpoint);
}

static void checkpoint_work(struct sl_job *job)
{
    struct wal_checkpoint *checkpoint = SL_CONTAINER_OF(job, struct wal_checkpoint, job);
    struct sl_buffer *bytes = &checkpoint->bytes;
    size_t items_size = bytes->size - WAL_CHECKPOINT_HEADER;
    checkpoint->header.items_size = items_size;
    checkpoint->header.items_crc = sl_crc32c(bytes->data + WAL_CHECKPOINT_HEADER, items_size);
    wal_checkpoint_header_encode(&checkpoint->header, bytes->data);
    checkpoint->err = wal_checkpoint_write(checkpoint->wal->os, checkpoint->wal->directory,
                                           checkpoint->header.generation, sl_buffer_bytes(bytes));
}

static void checkpoint_end(struct wal *wal)
{
    struct wal_checkpoint *checkpoint = &wal->checkpoint;
    checkpoint->busy = false;
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

static void checkpoint_done(struct sl_job *job)
{
    struct wal_checkpoint *checkpoint = SL_CONTAINER_OF(job, struct wal_checkpoint, job);
    struct wal *wal = checkpoint->wal;
    if (checkpoint->err == SLUICE_OK) {
        checkpoint->durable_first_segment = checkpoint->header.first_segment;
        checkpoint->durable_lsn = checkpoint->header.lsn;
        wal->bytes_checkpoints += checkpoint->bytes.size;
        wal_upkeep_request(wal);
    } else if (is_harmless(checkpoint->err)) {
        checkpoint->header.generation--; /* the same slot again: the other one is the good one */
    } else {
        wal_commit_fence(wal, checkpoint->err);
    }
    checkpoint_end(wal);
}

static void checkpoint_begin(struct sl_task *task)
{
    struct wal_checkpoint *checkpoint = SL_CONTAINER_OF(task, struct wal_checkpoint, begin);
    struct wal *wal = checkpoint->wal;
    if (wal->fenced) {
        checkpoint_end(wal);
        return;
    }
    if (wal_commit_is_ahead(wal)) { /* the state holds what no replay from this LSN may repeat */
        checkpoint->held = true;
        wal_commit_mark(wal);
        return;
    }
    if (snapshot_take(wal) != SLUICE_OK) { /* memory: the next seal tries again */
        checkpoint->header.generation--;
        checkpoint_end(wal);
        return;
    }
    if (wal->mutants.checkpoint_early) {
        checkpoint->durable_first_segment = checkpoint->header.first_segment;
        wal_upkeep_request(wal);
    }
    sl_helpers_submit(wal->os, wal->loop, &checkpoint->job);
}

void wal_checkpoint_resume(struct wal *wal)
{
    struct wal_checkpoint *checkpoint = &wal->checkpoint;
    if (checkpoint->held) {
        checkpoint->held = false;
        checkpoint_begin(&checkpoint->begin);
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
    sl_loop_post(wal->loop, &checkpoint->begin);
}

void wal_checkpoint_init(struct wal *wal)
{
    struct wal_checkpoint *checkpoint = &wal->checkpoint;
    checkpoint->wal = wal;
    checkpoint->begin.run = checkpoint_begin;
    checkpoint->begin.priority = SL_PRIORITY_BACKGROUND;
    checkpoint->job.work = checkpoint_work;
    checkpoint->job.done = checkpoint_done;
    checkpoint->job.task.priority = SL_PRIORITY_BACKGROUND;
    sl_buffer_init(&checkpoint->bytes, ITEMS_BYTES_MAX);
}
