/* scrub_read.c: the helper's part of scrubbing: a slice of an extent or of a segment (scrub_job.h).
 *
 * An extent: header and footer as recovery reads them, then block by block. A segment: frame by
 * frame; behind a frame whose header is damaged the next one is looked for at the following 4 KiB
 * steps. Of a frame whose body is damaged, the batches that fail are told one by one. */
#include "shard/scrub_job.h"

#include "base/crc32c.h"
#include "extent/extent_set.h"
#include "index/batch_item.h"

static void damage_add(struct scrub_job *job, const struct scrub_damage *damage)
{
    if (job->damage_count < SCRUB_SLICE_FINDINGS) {
        job->damages[job->damage_count++] = *damage;
    }
}

static bool is_damage(sl_err err)
{
    return err == SLUICE_E_CORRUPT || err == SLUICE_E_IO || err == SLUICE_E_TRUNCATED;
}

/* ---- extents ---- */

static void outline_judge(struct scrub_job *job, sl_err err)
{
    if (is_damage(err) || err == SLUICE_E_NOT_FOUND || err == SLUICE_E_FOREIGN) {
        damage_add(job, &(struct scrub_damage){.is_file = true,
                                               .is_io = err == SLUICE_E_IO,
                                               .bytes = job->item.file_size});
    } /* else memory or descriptors are short: the next pass */
    job->file = sl_file_close(job->file);
    job->ended = true;
}

static void extent_open(struct scrub_job *job)
{
    char path[EXTENT_PATH_MAX];
    char problem[EXTENT_PROBLEM_BYTES];
    struct sl_os *os = job->shard->config.os;
    extent_path(path, extent_set_directory(job->shard->extents), job->number);
    sl_err err = sl_file_open(os, path, SL_FILE_READ, &job->file);
    if (err == SLUICE_OK) {
        sl_err dropped = sl_file_drop_cache(job->file, 0, 0);
        (void)dropped; /* then some of it is only compared in memory */
        err = extent_outline_read(job->file, path, &job->item, &job->outline, problem);
    }
    job->opened = err == SLUICE_OK;
    if (!job->opened) {
        outline_judge(job, err);
    }
    job->bytes += EXTENT_HEADER + (job->item.file_size - EXTENT_HEADER - job->item.bytes);
}

static sl_err block_check(struct scrub_job *job, const struct extent_block *block)
{
    size_t got = 0;
    sl_buffer_reset(&job->buffer);
    sl_err err = sl_buffer_reserve(&job->buffer, block->size);
    if (err != SLUICE_OK) {
        return err;
    }
    err = sl_file_pread(job->file, job->buffer.data, block->size, block->position, &got);
    if (err == SLUICE_OK &&
        (got != block->size || sl_crc32c(job->buffer.data, got) != block->crc)) {
        err = SLUICE_E_CORRUPT;
    }
    return err;
}

static void extent_block_read(struct scrub_job *job)
{
    struct extent_stream stream = extent_footer_stream(&job->outline.footer, job->stream);
    struct extent_block block = extent_footer_block(&job->outline.footer, job->block);
    sl_err err = block_check(job, &block);
    if (is_damage(err)) {
        damage_add(job, &(struct scrub_damage){.is_io = err == SLUICE_E_IO,
                                               .position = block.position,
                                               .bytes = block.size,
                                               .topic = stream.topic,
                                               .partition = stream.partition,
                                               .first_offset = block.base_offset,
                                               .last_offset = block.last_offset});
    }
    job->bytes += block.size;
    if (++job->block == stream.first_block + stream.block_count) {
        job->stream++;
    }
}

static void extent_slice(struct scrub_job *job)
{
    if (!job->opened) {
        extent_open(job);
        return;
    }
    while (job->block < job->outline.footer.trailer.block_count && job->bytes < SCRUB_SLICE_BYTES &&
           job->damage_count < SCRUB_SLICE_FINDINGS) {
        extent_block_read(job);
    }
    if (job->block == job->outline.footer.trailer.block_count) {
        sl_err dropped = sl_file_drop_cache(job->file, 0, 0);
        (void)dropped;
        job->file = sl_file_close(job->file);
        job->ended = true;
    }
}

/* ---- segments ---- */

static void segment_open(struct scrub_job *job)
{
    const uint8_t *bytes = NULL;
    struct wal_segment_header header;
    sl_err dropped = sl_file_drop_cache(job->segment, 0, 0);
    (void)dropped;
    sl_err err = wal_reader_open(&job->reader, job->segment);
    if (err == SLUICE_OK) {
        err = wal_reader_get(&job->reader, 0, WAL_HEADER_USED, &bytes);
    }
    if (err == SLUICE_OK) {
        err = wal_segment_header_decode(bytes, &header);
    }
    if (err == SLUICE_OK && header.seq != job->number) {
        err = SLUICE_E_CORRUPT;
    }
    if (is_damage(err)) {
        damage_add(job, &(struct scrub_damage){
                            .is_file = true, .is_io = err == SLUICE_E_IO, .bytes = WAL_BLOCK});
    }
    job->opened = true;
    job->position = WAL_SEGMENT_HEADER;
    job->bytes += WAL_SEGMENT_HEADER;
}

/* The frame at the position is not one: where the next begins. */
static void frame_pass(struct scrub_job *job, bool is_io)
{
    struct wal_frame_header header;
    uint64_t begin = job->position;
    do {
        job->position += WAL_BLOCK;
    } while (job->position < job->end &&
             (wal_reader_header(&job->reader, job->position, &header) != SLUICE_OK ||
              header.incarnation != job->number));
    damage_add(job, &(struct scrub_damage){.is_file = true,
                                           .is_io = is_io,
                                           .position = begin,
                                           .bytes = job->position - begin});
}

static sl_err batch_check(struct scrub_job *job, const struct batch_item *item,
                          const struct wal_place *place)
{
    const struct read_claim claim = {.base_offset = item->base_offset,
                                     .last_offset = item->last_offset,
                                     .leader_epoch = item->leader_epoch};
    size_t got = 0;
    sl_buffer_reset(&job->buffer);
    sl_err err = sl_buffer_reserve(&job->buffer, place->size);
    if (err != SLUICE_OK) {
        return err;
    }
    err = sl_file_pread(job->segment, job->buffer.data, place->size, place->position, &got);
    if (err == SLUICE_OK && got != place->size) {
        err = SLUICE_E_CORRUPT;
    }
    return err != SLUICE_OK ? err : read_claim_check(&claim, place, job->buffer.data);
}

/* Which batches of the frame are damaged. */
static void body_judge(struct scrub_job *job)
{
    struct wal_item_walk walk;
    struct wal_item_view view;
    struct wal_frame_header header;
    struct sl_bytes directory;
    if (wal_reader_frame(&job->reader, job->position, &header, &directory) != SLUICE_OK) {
        return; /* the next pass sees it */
    }
    struct wal_place place = {.segment = job->number,
                              .position = job->position + WAL_FRAME_HEADER + directory.size};
    wal_item_walk_init(&walk, directory);
    while (wal_item_walk_next(&walk, &view)) {
        struct batch_item item;
        place.size = view.body_size;
        if (view.kind == WAL_ITEM_BATCH &&
            batch_item_decode(view.version, view.payload, &item) == SLUICE_OK) {
            sl_err err = batch_check(job, &item, &place);
            if (is_damage(err)) {
                damage_add(job, &(struct scrub_damage){.is_io = err == SLUICE_E_IO,
                                                       .position = place.position,
                                                       .bytes = place.size,
                                                       .topic = item.topic,
                                                       .partition = item.partition,
                                                       .first_offset = item.base_offset,
                                                       .last_offset = item.last_offset});
            }
        }
        place.position += view.body_size;
    }
}

static void frame_read(struct scrub_job *job)
{
    struct wal_frame_header header;
    struct sl_bytes directory;
    sl_err err = wal_reader_frame(&job->reader, job->position, &header, &directory);
    if (err == SLUICE_OK && header.incarnation != job->number) {
        err = SLUICE_E_CORRUPT;
    }
    if (is_damage(err)) {
        frame_pass(job, err == SLUICE_E_IO);
        return;
    }
    if (err != SLUICE_OK) {
        job->ended = true; /* memory is short: the next pass */
        return;
    }
    if (is_damage(wal_reader_body(&job->reader, job->position, &header))) {
        body_judge(job);
    }
    job->position += header.frame_size;
}

static void segment_slice(struct scrub_job *job)
{
    if (!job->opened) {
        segment_open(job);
    }
    uint64_t begin = job->position;
    while (!job->ended && job->position < job->end && job->position - begin < SCRUB_SLICE_BYTES &&
           job->damage_count < SCRUB_SLICE_FINDINGS) {
        frame_read(job);
    }
    job->bytes += job->position - begin;
    job->ended = job->ended || job->position >= job->end;
    if (job->ended) {
        sl_err dropped = sl_file_drop_cache(job->segment, 0, 0);
        (void)dropped;
    }
}

/* ---- the job ---- */

void scrub_job_read(struct scrub_job *job)
{
    job->bytes = 0;
    job->damage_count = 0;
    if (job->is_extent) {
        extent_slice(job);
    } else {
        segment_slice(job);
    }
}

void scrub_job_close(struct scrub_job *job)
{
    job->file = sl_file_close(job->file);
    extent_outline_fini(&job->outline);
    sl_buffer_reset_above(&job->buffer, SCRUB_SLICE_BYTES);
    job->segment = NULL;
    job->opened = job->ended = false;
    job->stream = job->block = 0;
    job->position = 0;
    job->damage_count = 0;
}

void scrub_job_fini(struct scrub_job *job)
{
    scrub_job_close(job);
    wal_reader_fini(&job->reader);
    sl_buffer_fini(&job->buffer);
}
