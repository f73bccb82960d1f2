/* wal_pages.c: the page cache has the pages of the next frames before they are written.
 *
 * Of a frame of a block or two that nobody syncs, a new page of cache is the dearest part, and the
 * slowest by far where a host gives memory to its guest page by page. A helper asks for a stretch
 * of the segment in front of such frames: what was never written is zeros, which no disk is read
 * for. Where something was written, as in a segment that was used before, nothing is asked.
 * Larger frames take larger pages as they are written, which is quicker than what is there then. */
#include "wal/wal_state.h"

#define STRETCH_BYTES   (16ull << 20) /* in front of the frames at most */
#define ASK_BYTES       (128u * 1024) /* what a system brings in at once by any setting */
#define FRAME_BYTES_MAX 12288u        /* on average */
#define TELLING_FRAMES  64u           /* between two looks at how large they are */

/* ---- helper ---- */

static void stretch_ask(struct sl_file *file, uint64_t at, uint64_t end)
{
    for (; at < end; at += ASK_BYTES)
        sl_file_ask(file, at, SL_MIN(end - at, (uint64_t)ASK_BYTES));
}

/* A hint: where it fails, pages come as the frames do. */
static void pages_work(struct sl_job *job)
{
    const struct wal_pages *pages = SL_CONTAINER_OF(job, struct wal_pages, job);
    sl_err err = SLUICE_OK;
    for (uint64_t at = pages->begin; at < pages->end && err == SLUICE_OK;) {
        uint64_t start = pages->end;
        uint64_t end = pages->end;
        err = sl_file_data_range(pages->file, at, &start, &end);
        if (err == SLUICE_OK || err == SLUICE_E_NOT_FOUND)
            stretch_ask(pages->file, at, SL_MIN(start, pages->end));
        at = end;
    }
}

/* ---- loop ---- */

static void pages_done(struct sl_job *job)
{
    struct wal_pages *pages = SL_CONTAINER_OF(job, struct wal_pages, job);
    pages->file = NULL;
    wal_unpin(pages->wal, pages->segment);
    wal_close_step(pages->wal);
}

/* Of the segment from here on. */
static void count_anew(struct wal_pages *pages)
{
    pages->seen_end = pages->wal->commit.end;
    pages->seen_frames = pages->wal->frames;
}

static void segment_begin(struct wal_pages *pages, uint64_t segment)
{
    pages->segment = segment;
    pages->end = 0;
    count_anew(pages);
}

void wal_pages_consider(struct wal *wal)
{
    struct wal_pages *pages = &wal->pages;
    uint64_t at = wal->commit.end;
    if (pages->file != NULL || wal->closing)
        return;
    if (pages->segment != wal->commit.segment->seq)
        segment_begin(pages, wal->commit.segment->seq);
    uint64_t frames = wal->frames - pages->seen_frames;
    if (frames < TELLING_FRAMES || pages->end > at + STRETCH_BYTES / 2)
        return;
    bool are_small = at - pages->seen_end < frames * FRAME_BYTES_MAX;
    count_anew(pages);
    pages->begin = SL_MAX(pages->end, at);
    pages->end = SL_MIN(at + STRETCH_BYTES, wal_segment_room(&wal->limits));
    if (!are_small || pages->begin >= pages->end)
        return;
    pages->file = wal_pin(wal, pages->segment);
    sl_helpers_submit(wal->os, wal->loop, &pages->job);
}

void wal_pages_init(struct wal *wal)
{
    struct wal_pages *pages = &wal->pages;
    pages->wal = wal;
    pages->job.work = pages_work;
    pages->job.done = pages_done;
    pages->job.task.priority = SL_PRIORITY_BACKGROUND;
}
