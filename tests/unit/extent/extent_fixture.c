/* extent_fixture.c: see extent_fixture.h. */
#include "extent_fixture.h"

#include "base/bytes.h"
#include "extent/extent_file.h"
#include "record/batch_builder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fixture *fixture_new(void)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    fixture->disk = sl_sim_disk_new(7);
    fixture->cluster.b[0] = 9;
    fixture->open_files_max = 4;
    snprintf(fixture->directory, sizeof fixture->directory, FIXTURE_DIRECTORY);
    return fixture;
}

static void instance_end(struct fixture *fixture)
{
    sl_os_sim_abandon(fixture->os);
    fixture->set = extent_set_free(fixture->set);
    sl_loop_free(fixture->loop);
    sl_os_free(fixture->os);
    fixture->os = NULL;
}

void fixture_free(struct fixture *fixture)
{
    if (fixture->os != NULL)
        instance_end(fixture);
    sl_sim_disk_free(fixture->disk);
    free(fixture);
}

static sl_err on_found(void *arg, const struct extent_item *item,
                       const struct extent_footer *footer)
{
    struct fixture *fixture = arg;
    fixture->found_count++;
    for (uint32_t i = 0; i < footer->trailer.block_count && fixture->hold_found; i++) {
        struct extent_block block = extent_footer_block(footer, i);
        struct wal_place place = fixture_place(item->id, &block);
        extent_set_hold(fixture->set, &place);
    }
    return SLUICE_OK;
}

static sl_err set_open(struct fixture *fixture)
{
    const struct extent_set_config config = {.os = fixture->os,
                                             .loop = fixture->loop,
                                             .directory = fixture->directory,
                                             .cluster = fixture->cluster,
                                             .shard = fixture->shard,
                                             .open_files_max = fixture->open_files_max};
    sl_err err = extent_set_new(&config, &fixture->set);
    for (uint32_t i = 0; i < fixture->item_count && err == SLUICE_OK; i++) {
        const struct fixture_item *item = &fixture->items[i];
        err = extent_set_apply(fixture->set, item->kind, item->version,
                               sl_bytes_of(item->payload, item->size));
    }
    fixture->found_count = 0;
    if (err == SLUICE_OK)
        err = extent_set_load(fixture->set, on_found, fixture, fixture->problem);
    return err;
}

sl_err fixture_open(struct fixture *fixture)
{
    sl_err err = sl_os_sim_new(3, fixture->disk, &fixture->faults, &fixture->os);
    cr_assert_eq(err, SLUICE_OK);
    err = sl_loop_new(fixture->os, "test", -1, &fixture->loop);
    cr_assert_eq(err, SLUICE_OK);
    err = set_open(fixture);
    if (err != SLUICE_OK)
        instance_end(fixture);
    return err;
}

void fixture_start(struct fixture *fixture)
{
    sl_err err = fixture_open(fixture);
    cr_assert_eq(err, SLUICE_OK, "%d: %s", err, fixture->problem);
}

void fixture_kill(struct fixture *fixture)
{
    instance_end(fixture);
}

void fixture_power_cut(struct fixture *fixture)
{
    instance_end(fixture);
    sl_sim_disk_power_cut(fixture->disk);
}

void fixture_settle(struct fixture *fixture)
{
    for (uint32_t i = 0; i < 4000 && sl_os_sim_step(fixture->os); i++)
        ;
}

/* ---- batches ---- */

void fixture_batch(struct sl_buffer *out, int64_t base, int32_t delta, int32_t epoch, size_t size)
{
    struct batch_builder builder;
    struct batch_header header;
    struct batch_view batch;
    uint8_t *value = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        value[i] = (uint8_t)((size_t)base * 31 + i * 7 + i / 256);
    batch_header_init(&header);
    header.base_offset = base;
    header.leader_epoch = epoch;
    sl_err err = batch_builder_start(&builder, out, &header);
    for (int32_t i = 0; i <= delta && err == SLUICE_OK; i++) {
        const struct record_fields record = {.value =
                                                 sl_bytes_of(value, size / (size_t)(delta + 1)),
                                             .timestamp_ms = 1764000000000 + base % 1000000000 + i,
                                             .key_is_null = true};
        err = batch_builder_append_at(&builder, &record, i);
    }
    if (err == SLUICE_OK)
        err = batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, NULL, &batch);
    cr_assert_eq(err, SLUICE_OK, "%d", err);
    free(value);
}

void fixture_batches(struct sl_buffer *out, int64_t base, uint32_t count, size_t size)
{
    for (uint32_t i = 0; i < count; i++)
        fixture_batch(out, base + (int64_t)i * 3, 2, 7, size);
}

struct sl_uuid fixture_topic(uint8_t number)
{
    return (struct sl_uuid){.b = {number, 2, 3, 4}};
}

/* ---- extents ---- */

struct extent_writer *fixture_writer(struct fixture *fixture, uint64_t id)
{
    char directory[256];
    struct extent_writer *writer = NULL;
    const struct extent_header header = {.cluster = fixture->cluster,
                                         .shard = fixture->shard,
                                         .id = id,
                                         .created_ms = 1764000000000};
    snprintf(directory, sizeof directory, "%s/ext", fixture->directory);
    sl_err err = extent_writer_new(fixture->os, directory, &header, &writer);
    cr_assert(err == SLUICE_OK || err == SLUICE_E_POWER_CUT, "%d", err);
    return writer;
}

struct extent_item fixture_extent(struct fixture *fixture, uint32_t stream_count,
                                  uint32_t batch_count, size_t size)
{
    struct extent_writer *writer = fixture_writer(fixture, extent_set_next_id(fixture->set));
    struct extent_item item;
    struct sl_file *file;
    struct sl_buffer batches;
    sl_buffer_init(&batches, 256u << 20);
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < stream_count && err == SLUICE_OK; i++) {
        struct sl_uuid topic = fixture_topic((uint8_t)(i + 1));
        sl_buffer_reset(&batches);
        fixture_batches(&batches, 100 * (int64_t)i, batch_count, size);
        err = extent_writer_stream(writer, &topic, i);
        if (err == SLUICE_OK)
            err = extent_writer_add(writer, sl_buffer_bytes(&batches));
    }
    if (err == SLUICE_OK)
        err = extent_writer_finish(writer, &item, &file);
    if (err == SLUICE_OK)
        err = extent_set_reserve(fixture->set, 1);
    cr_assert_eq(err, SLUICE_OK, "%d", err);
    extent_writer_free(writer);
    sl_buffer_fini(&batches);
    extent_set_add(fixture->set, &item, file);
    fixture_log_extent(fixture, &item);
    return item;
}

static struct fixture_item *item_next(struct fixture *fixture, uint16_t kind, size_t size)
{
    cr_assert_lt(fixture->item_count, FIXTURE_ITEMS_MAX);
    struct fixture_item *item = &fixture->items[fixture->item_count++];
    *item = (struct fixture_item){.kind = kind, .version = 1, .size = size};
    return item;
}

void fixture_log_extent(struct fixture *fixture, const struct extent_item *item)
{
    extent_item_encode(item, item_next(fixture, WAL_ITEM_EXTENT, EXTENT_ITEM_SIZE)->payload);
}

void fixture_log_drop(struct fixture *fixture, uint64_t id)
{
    extent_drop_item_encode(
        id, item_next(fixture, WAL_ITEM_EXTENT_DROP, EXTENT_DROP_ITEM_SIZE)->payload);
}

/* ---- reading ---- */

struct read_job {
    struct sl_job job;
    struct fixture *fixture;
    const struct wal_place *place;
    void *bytes;
    sl_err err;
    bool ended;
};

static void read_work(struct sl_job *job)
{
    struct read_job *read = SL_CONTAINER_OF(job, struct read_job, job);
    read->err = extent_set_read(read->fixture->set, read->place, read->bytes);
}

static void read_done(struct sl_job *job)
{
    SL_CONTAINER_OF(job, struct read_job, job)->ended = true;
}

sl_err fixture_read(struct fixture *fixture, const struct wal_place *place, void *ret_bytes)
{
    struct read_job read = {.fixture = fixture, .place = place, .bytes = ret_bytes};
    uint64_t id = place->segment & ~WAL_PLACE_EXTENT;
    read.job.work = read_work;
    read.job.done = read_done;
    read.job.task.priority = SL_PRIORITY_IO;
    bool pinned = extent_set_pin(fixture->set, id);
    cr_assert(pinned);
    sl_helpers_submit(fixture->os, fixture->loop, &read.job);
    while (!read.ended && sl_os_sim_step(fixture->os))
        ;
    cr_assert(read.ended);
    extent_set_unpin(fixture->set, id);
    return read.err;
}

uint8_t *fixture_bytes(struct fixture *fixture, uint64_t id, size_t *ret_size)
{
    char path[EXTENT_PATH_MAX];
    char directory[256];
    snprintf(directory, sizeof directory, "%s/ext", fixture->directory);
    extent_path(path, directory, id);
    return sl_sim_disk_bytes(fixture->disk, path, ret_size);
}

struct wal_place fixture_place(uint64_t id, const struct extent_block *block)
{
    return (struct wal_place){id | WAL_PLACE_EXTENT, block->position, block->size};
}
