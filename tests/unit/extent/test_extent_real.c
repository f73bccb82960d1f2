/* test_extent_real.c: extents over the real system: positions beyond 4 GiB, threads. */
#include "base/buffer.h"
#include "base/bytes.h"
#include "extent/extent_block.h"
#include "extent/extent_inspect.h"
#include "extent/extent_set.h"
#include "extent/extent_writer.h"
#include "extent_fixture.h"
#include "os/os_ops.h"
#include "os/os_uv.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GIB              (1ull << 30)
#define EXTENTS          120u
#define EXTENTS_AT_FIRST 10u
#define READERS          8u

struct real {
    char directory[64];
    struct sl_os *os;
    struct sl_loop *loop;
    struct extent_set *set;
    char problem[EXTENT_PROBLEM_BYTES];
};

static void real_open(struct real *real, const struct extent_item *item)
{
    uint8_t payload[EXTENT_ITEM_SIZE];
    cr_assert_eq(sl_os_uv_new(3, &real->os), SLUICE_OK);
    cr_assert_eq(sl_loop_new(real->os, "extent", -1, &real->loop), SLUICE_OK);
    const struct extent_set_config config = {
        .os = real->os, .loop = real->loop, .directory = real->directory, .open_files_max = 2};
    sl_err err = extent_set_new(&config, &real->set);
    if (err == SLUICE_OK && item != NULL) {
        extent_item_encode(item, payload);
        err = extent_set_apply(real->set, WAL_ITEM_EXTENT, EXTENT_ITEM_VERSION,
                               sl_bytes_of(payload, sizeof payload));
    }
    if (err == SLUICE_OK)
        err = extent_set_load(real->set, NULL, NULL, real->problem);
    cr_assert_eq(err, SLUICE_OK, "%d: %s", err, real->problem);
}

static void real_close(struct real *real)
{
    extent_set_free(real->set);
    sl_loop_free(real->loop);
    sl_os_free(real->os);
}

static void real_begin(struct real *real)
{
    memset(real, 0, sizeof *real);
    snprintf(real->directory, sizeof real->directory, "/tmp/sluice-extent-XXXXXX");
    cr_assert_not_null(mkdtemp(real->directory));
}

static void real_end(struct real *real)
{
    char path[EXTENT_PATH_MAX];
    snprintf(path, sizeof path, "%s/ext", real->directory);
    cr_assert_eq(rmdir(path), 0, "%s has left-overs", path);
    cr_assert_eq(rmdir(real->directory), 0);
}

/* ---- far away ---- */

/* The writer computes and counts every byte, but of those in the middle none reaches the file: it
 * gets a hole of nearly 4 GiB, so that the test needs neither that space nor that time. */
static const struct sl_os_ops *ops_below;

static sl_err pwritev_with_a_hole(struct sl_file *file, const struct sl_iovec *pieces, size_t count,
                                  uint64_t position)
{
    if (position > 16u << 20 && position < 4 * GIB - (16u << 20))
        return SLUICE_OK;
    return ops_below->file_pwritev(file, pieces, count, position);
}

static struct extent_item far_write(struct real *real, struct extent_block *ret_last)
{
    static struct sl_os_ops ops;
    struct sl_buffer batch;
    struct extent_item item;
    struct sl_file *file;
    struct extent_writer *writer;
    char directory[128];
    const struct extent_header header = {.id = extent_set_next_id(real->set)};
    struct sl_uuid topic = fixture_topic(1);
    ops_below = real->os->ops;
    ops = *ops_below;
    ops.file_pwritev = pwritev_with_a_hole;
    real->os->ops = &ops;
    sl_buffer_init(&batch, 64u << 20);
    fixture_batch(&batch, 0, 0, 3, 15u << 20);
    snprintf(directory, sizeof directory, "%s/ext", real->directory);
    sl_err err = extent_writer_new(real->os, directory, &header, &writer);
    if (err == SLUICE_OK)
        err = extent_writer_stream(writer, &topic, 0);
    uint64_t bytes = 0;
    for (int64_t offset = 0; bytes < 4 * GIB + (40u << 20) && err == SLUICE_OK; offset++) {
        batch_patch_base_offset(batch.data, offset);
        err = extent_writer_add(writer, sl_buffer_bytes(&batch));
        bytes += batch.size;
    }
    if (err == SLUICE_OK)
        err = extent_writer_finish(writer, &item, &file);
    cr_assert_eq(err, SLUICE_OK, "%d", err);
    struct extent_footer footer = extent_writer_footer(writer);
    *ret_last = extent_footer_block(&footer, footer.trailer.block_count - 1);
    sl_file_close(file);
    extent_writer_free(writer);
    sl_buffer_fini(&batch);
    real->os->ops = ops_below;
    return item;
}

Test(extent_real, writes_restarts_and_reads_past_4_gib_in_one_extent, .timeout = 120)
{
    struct real real;
    struct extent_block block;
    struct extent_report report;
    char path[EXTENT_PATH_MAX];
    real_begin(&real);
    real_open(&real, NULL);
    struct extent_item item = far_write(&real, &block);
    cr_assert_gt(item.bytes, 4 * GIB);
    cr_assert_gt(block.position, 4 * GIB);
    real_close(&real);

    real_open(&real, &item);
    const struct wal_place place = fixture_place(item.id, &block);
    uint8_t *bytes = malloc(block.size);
    bool pinned = extent_set_pin(real.set, item.id);
    cr_assert(pinned);
    cr_assert_eq(extent_set_read(real.set, &place, bytes), SLUICE_OK);
    cr_assert_eq(extent_block_check(&block, sl_bytes_of(bytes, block.size)), SLUICE_OK);
    memset(bytes, 0, block.size);
    cr_assert_eq(extent_set_read_cached(real.set, &place, bytes), SLUICE_OK);
    cr_assert_eq(extent_block_check(&block, sl_bytes_of(bytes, block.size)), SLUICE_OK);
    free(bytes);
    snprintf(path, sizeof path, "%s/ext/%020d.ext", real.directory, 1);
    cr_assert_eq(extent_inspect(real.os, path, false, NULL, NULL, &report), SLUICE_OK);
    cr_assert_eq(report.file_size, item.file_size);
    extent_set_unpin(real.set, item.id);
    real_close(&real);
    real_open(&real, NULL); /* no item names it any more: removed */
    real_close(&real);
    real_end(&real);
}

/* ---- many threads ---- */

struct crowd;

struct reader {
    struct sl_job job;
    struct crowd *crowd;
    uint64_t id; /* pinned */
    sl_err err;
};

struct crowd {
    struct real real;
    struct extent_item items[EXTENTS];
    struct sl_file *files[EXTENTS];
    struct extent_block block; /* the same in all */
    uint32_t added;            /* extents 1 … added were */
    uint32_t dropped;          /* and of these 1 … dropped are gone */
    struct reader readers[READERS];
    uint32_t reading;
    uint32_t reads;
    struct sl_task begin;
};

static void reader_work(struct sl_job *job)
{
    struct reader *reader = SL_CONTAINER_OF(job, struct reader, job);
    const struct extent_block *block = &reader->crowd->block;
    const struct wal_place place = fixture_place(reader->id, block);
    uint8_t bytes[4096];
    reader->err = extent_set_read(reader->crowd->real.set, &place, bytes);
    if (reader->err == SLUICE_OK)
        reader->err = extent_block_check(block, sl_bytes_of(bytes, block->size));
}

static void crowd_stopped(void *arg)
{
    struct crowd *crowd = arg;
    sl_loop_stop(crowd->real.loop);
}

static void crowd_add(struct crowd *crowd)
{
    if (crowd->added == EXTENTS)
        return;
    cr_assert_eq(extent_set_reserve(crowd->real.set, 1), SLUICE_OK);
    extent_set_add(crowd->real.set, &crowd->items[crowd->added], crowd->files[crowd->added]);
    crowd->added++;
}

static void reader_begin(struct reader *reader)
{
    struct crowd *crowd = reader->crowd;
    uint32_t live = crowd->added - crowd->dropped;
    reader->id = crowd->dropped + 1 + crowd->reads % live;
    bool pinned = extent_set_pin(crowd->real.set, reader->id);
    cr_assert(pinned);
    crowd->reading++;
    sl_helpers_submit(crowd->real.os, crowd->real.loop, &reader->job);
}

/* Each read that ends adds an extent and drops the oldest, pinned or not. */
static void reader_done(struct sl_job *job)
{
    struct reader *reader = SL_CONTAINER_OF(job, struct reader, job);
    struct crowd *crowd = reader->crowd;
    cr_assert_eq(reader->err, SLUICE_OK, "%d", reader->err);
    extent_set_unpin(crowd->real.set, reader->id);
    crowd->reading--;
    crowd->reads++;
    crowd_add(crowd);
    if (crowd->reads % 4 == 0 && crowd->dropped < crowd->added)
        extent_set_drop(crowd->real.set, ++crowd->dropped);
    if (crowd->dropped < crowd->added)
        reader_begin(reader);
    else if (crowd->reading == 0)
        extent_set_stop(crowd->real.set, crowd_stopped, crowd);
}

static void crowd_begin(struct sl_task *task)
{
    struct crowd *crowd = SL_CONTAINER_OF(task, struct crowd, begin);
    for (uint32_t i = 0; i < EXTENTS_AT_FIRST; i++)
        crowd_add(crowd);
    for (uint32_t i = 0; i < READERS; i++) {
        struct reader *reader = &crowd->readers[i];
        reader->crowd = crowd;
        reader->job.work = reader_work;
        reader->job.done = reader_done;
        reader->job.task.priority = SL_PRIORITY_IO;
        reader_begin(reader);
    }
}

static void crowd_write(struct crowd *crowd)
{
    struct sl_buffer batches;
    struct sl_uuid topic = fixture_topic(1);
    char directory[128];
    snprintf(directory, sizeof directory, "%s/ext", crowd->real.directory);
    sl_buffer_init(&batches, 1u << 20);
    fixture_batches(&batches, 0, 3, 1000);
    for (uint32_t i = 0; i < EXTENTS; i++) {
        const struct extent_header header = {.id = extent_set_next_id(crowd->real.set)};
        struct extent_writer *writer;
        sl_err err = extent_writer_new(crowd->real.os, directory, &header, &writer);
        if (err == SLUICE_OK)
            err = extent_writer_stream(writer, &topic, 0);
        if (err == SLUICE_OK)
            err = extent_writer_add(writer, sl_buffer_bytes(&batches));
        if (err == SLUICE_OK)
            err = extent_writer_finish(writer, &crowd->items[i], &crowd->files[i]);
        cr_assert_eq(err, SLUICE_OK, "%d", err);
        struct extent_footer footer = extent_writer_footer(writer);
        crowd->block = extent_footer_block(&footer, 0);
        extent_writer_free(writer);
    }
    sl_buffer_fini(&batches);
}

Test(extent_real, helpers_read_what_is_pinned_while_others_come_and_go, .timeout = 120)
{
    static struct crowd crowd;
    real_begin(&crowd.real);
    real_open(&crowd.real, NULL);
    crowd_write(&crowd);
    crowd.begin = (struct sl_task){.run = crowd_begin, .priority = SL_PRIORITY_IO};
    sl_loop_post(crowd.real.loop, &crowd.begin);
    sl_loop_run(crowd.real.loop);
    cr_assert_eq(crowd.added, EXTENTS);
    cr_assert_eq(crowd.dropped, EXTENTS);
    real_close(&crowd.real);
    real_end(&crowd.real);
}
