/* test_extent_writer.c: what the writer makes of batches, and what it refuses. */
#include "extent_fixture.h"

#include "base/bytes.h"
#include "extent/extent_inspect.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct written {
    struct extent_item item;
    struct extent_report report;
    uint32_t block_count;
    struct extent_block blocks[64];
    struct extent_stream streams[8];
    uint32_t stream_count;
    struct sl_buffer batches; /* as they are found in the file */
};

static sl_err on_stream(void *arg, const struct extent_stream *stream)
{
    struct written *written = arg;
    cr_assert_lt(written->stream_count, SL_COUNT_OF(written->streams));
    written->streams[written->stream_count++] = *stream;
    return SLUICE_OK;
}

static sl_err on_block(void *arg, const struct extent_stream *stream,
                       const struct extent_block *block)
{
    struct written *written = arg;
    (void)stream;
    cr_assert_lt(written->block_count, SL_COUNT_OF(written->blocks));
    written->blocks[written->block_count++] = *block;
    return SLUICE_OK;
}

static sl_err on_batch(void *arg, const struct extent_stream *stream, uint64_t position,
                       const struct batch_view *batch)
{
    struct written *written = arg;
    cr_assert_geq(position, stream->position);
    cr_assert_leq(position + batch->size, stream->position + stream->bytes);
    return sl_buffer_append(&written->batches, batch->data, batch->size);
}

static const struct extent_inspect_events events = {
    .stream = on_stream, .block = on_block, .batch = on_batch};

/* One stream of these batches, written and read again. */
static struct written write_one(struct fixture *fixture, struct sl_bytes batches)
{
    struct written written = {.block_count = 0};
    struct sl_uuid topic = fixture_topic(1);
    struct extent_writer *writer = fixture_writer(fixture, 1);
    struct sl_file *file;
    sl_buffer_init(&written.batches, 256u << 20);
    sl_err err = extent_writer_stream(writer, &topic, 5);
    if (err == SLUICE_OK)
        err = extent_writer_add(writer, batches);
    if (err == SLUICE_OK)
        err = extent_writer_finish(writer, &written.item, &file);
    cr_assert_eq(err, SLUICE_OK, "%d", err);
    sl_file_close(file);
    extent_writer_free(writer);
    err = extent_inspect(fixture->os, FIXTURE_EXTENTS "/00000000000000000001.ext", true, &events,
                         &written, &written.report);
    cr_assert_eq(err, SLUICE_OK, "%d: %s", err, written.report.problem);
    return written;
}

Test(extent_writer, keeps_the_batches_byte_for_byte)
{
    struct fixture *fixture = fixture_new();
    struct sl_buffer batches;
    sl_buffer_init(&batches, 64u << 20);
    fixture_start(fixture);
    for (uint32_t i = 0; i < 500; i++)
        fixture_batch(&batches, 10 * (int64_t)i, 4, 7, 13 * (size_t)i + 1); /* with holes */
    struct written written = write_one(fixture, sl_buffer_bytes(&batches));
    cr_assert(sl_bytes_equal(sl_buffer_bytes(&written.batches), sl_buffer_bytes(&batches)));
    cr_assert_eq(written.report.batch_count, 500);
    cr_assert_eq(written.item.bytes, batches.size);
    cr_assert_eq(written.item.file_size, written.report.file_size);
    cr_assert_eq(written.stream_count, 1);
    cr_assert_eq(written.streams[0].partition, 5);
    cr_assert_eq(written.streams[0].base_offset, 0);
    cr_assert_eq(written.streams[0].last_offset, 4994);
    cr_assert_eq(written.streams[0].max_timestamp, 1764000000000 + 4994);
    sl_buffer_fini(&written.batches);
    sl_buffer_fini(&batches);
    fixture_free(fixture);
}

Test(extent_writer, cuts_blocks_at_their_size_and_gives_a_larger_batch_one_of_its_own)
{
    struct fixture *fixture = fixture_new();
    struct sl_buffer batches;
    sl_buffer_init(&batches, 64u << 20);
    fixture_start(fixture);
    fixture_batches(&batches, 0, 5, 100000);
    fixture_batch(&batches, 100, 0, 7, 3u << 20);
    fixture_batches(&batches, 200, 1, 100);
    struct written written = write_one(fixture, sl_buffer_bytes(&batches));
    cr_assert_eq(written.block_count, 5);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_leq(written.blocks[i].size, EXTENT_BLOCK_BYTES);
    cr_assert_eq(written.blocks[2].last_offset, 14);
    cr_assert_eq(written.blocks[3].base_offset, 100);
    cr_assert_gt(written.blocks[3].size, 3u << 20);
    cr_assert_eq(written.blocks[4].base_offset, 200);
    sl_buffer_fini(&written.batches);
    sl_buffer_fini(&batches);
    fixture_free(fixture);
}

Test(extent_writer, begins_a_block_where_the_leader_epoch_changes)
{
    struct fixture *fixture = fixture_new();
    struct sl_buffer batches;
    sl_buffer_init(&batches, 1u << 20);
    fixture_start(fixture);
    for (int32_t i = 0; i < 9; i++)
        fixture_batch(&batches, i, 0, i / 3, 50);
    struct written written = write_one(fixture, sl_buffer_bytes(&batches));
    cr_assert_eq(written.block_count, 3);
    for (int32_t i = 0; i < 3; i++) {
        cr_assert_eq(written.blocks[i].leader_epoch, i);
        cr_assert_eq(written.blocks[i].base_offset, 3 * i);
    }
    sl_buffer_fini(&written.batches);
    sl_buffer_fini(&batches);
    fixture_free(fixture);
}

Test(extent_writer, knows_its_footer_and_leaves_out_streams_without_batches)
{
    struct fixture *fixture = fixture_new();
    struct sl_buffer batches;
    struct extent_item item;
    struct sl_file *file;
    sl_buffer_init(&batches, 1u << 20);
    fixture_start(fixture);
    fixture_batches(&batches, 40, 2, 100);
    struct extent_writer *writer = fixture_writer(fixture, 1);
    sl_err err = SLUICE_OK;
    for (uint8_t i = 1; i <= 4 && err == SLUICE_OK; i++) {
        struct sl_uuid topic = fixture_topic(i);
        err = extent_writer_stream(writer, &topic, i);
        if (err == SLUICE_OK && i % 2 == 0)
            err = extent_writer_add(writer, sl_buffer_bytes(&batches));
    }
    if (err == SLUICE_OK)
        err = extent_writer_finish(writer, &item, &file);
    cr_assert_eq(err, SLUICE_OK);
    struct extent_footer footer = extent_writer_footer(writer);
    cr_assert_eq(item.stream_count, 2);
    cr_assert_eq(footer.trailer.stream_count, 2);
    cr_assert_eq(extent_footer_stream(&footer, 0).partition, 2);
    cr_assert_eq(extent_footer_stream(&footer, 1).partition, 4);
    cr_assert_eq(extent_footer_stream(&footer, 1).first_block, 1);
    sl_file_close(file);
    extent_writer_free(writer);
    sl_buffer_fini(&batches);
    fixture_free(fixture);
}

/* ---- refusals ---- */

/* Adds what a stream may not have; then the file must be gone. */
static void refused(struct fixture *fixture, struct sl_bytes batches)
{
    struct extent_writer *writer = fixture_writer(fixture, 1);
    struct sl_uuid topic = fixture_topic(1);
    size_t size;
    sl_err err = extent_writer_stream(writer, &topic, 0);
    cr_assert_eq(err, SLUICE_OK);
    cr_assert_eq(extent_writer_add(writer, batches), SLUICE_E_CORRUPT);
    extent_writer_free(writer);
    cr_assert_null(fixture_bytes(fixture, 1, &size));
}

Test(extent_writer, refuses_a_bit_flipped_under_the_crc_of_a_batch)
{
    struct fixture *fixture = fixture_new();
    struct sl_buffer batches;
    sl_buffer_init(&batches, 1u << 20);
    fixture_start(fixture);
    fixture_batch(&batches, 0, 3, 7, 90);
    for (size_t at = BATCH_MAGIC_AT; at < batches.size; at++) {
        batches.data[at] ^= 1;
        refused(fixture, sl_buffer_bytes(&batches));
        batches.data[at] ^= 1;
    }
    sl_buffer_fini(&batches);
    fixture_free(fixture);
}

Test(extent_writer, refuses_part_of_a_batch)
{
    struct fixture *fixture = fixture_new();
    struct sl_buffer batches;
    sl_buffer_init(&batches, 1u << 20);
    fixture_start(fixture);
    fixture_batch(&batches, 0, 0, 7, 20);
    size_t whole = batches.size;
    fixture_batch(&batches, 1, 0, 7, 20);
    for (size_t size = 1; size < batches.size; size++) {
        if (size != whole)
            refused(fixture, sl_bytes_of(batches.data, size));
    }
    sl_buffer_fini(&batches);
    fixture_free(fixture);
}

Test(extent_writer, refuses_offsets_that_do_not_rise)
{
    static const int64_t bases[][2] = {{10, 10}, {10, 12}, {10, 0}, {10, -1}, {-5, 10}};
    struct fixture *fixture = fixture_new();
    struct sl_buffer batches;
    sl_buffer_init(&batches, 1u << 20);
    fixture_start(fixture);
    for (size_t i = 0; i < SL_COUNT_OF(bases); i++) {
        sl_buffer_reset(&batches);
        fixture_batch(&batches, bases[i][0], 2, 7, 50);
        fixture_batch(&batches, bases[i][1], 2, 7, 50);
        refused(fixture, sl_buffer_bytes(&batches));
    }
    sl_buffer_reset(&batches);
    fixture_batch(&batches, INT64_MAX - 2, 2, 7, 50); /* nothing could follow */
    refused(fixture, sl_buffer_bytes(&batches));
    sl_buffer_fini(&batches);
    fixture_free(fixture);
}

Test(extent_writer, refuses_to_finish_empty_or_with_a_stream_twice)
{
    struct fixture *fixture = fixture_new();
    struct sl_buffer batches;
    struct sl_uuid topics[] = {fixture_topic(1), fixture_topic(2), fixture_topic(1)};
    struct extent_item item;
    struct sl_file *file;
    sl_buffer_init(&batches, 1u << 20);
    fixture_start(fixture);
    fixture_batches(&batches, 0, 1, 10);
    struct extent_writer *writer = fixture_writer(fixture, 1);
    cr_assert_eq(extent_writer_finish(writer, &item, &file), SLUICE_E_INVALID);
    extent_writer_free(writer);
    writer = fixture_writer(fixture, 2);
    for (size_t i = 0; i < 3; i++) {
        sl_err err = extent_writer_stream(writer, &topics[i], 0);
        if (err == SLUICE_OK)
            err = extent_writer_add(writer, sl_buffer_bytes(&batches));
        cr_assert_eq(err, SLUICE_OK);
    }
    cr_assert_eq(extent_writer_finish(writer, &item, &file), SLUICE_E_INVALID);
    extent_writer_free(writer);
    sl_buffer_fini(&batches);
    fixture_free(fixture);
}

Test(extent_writer, refuses_an_id_that_has_a_file)
{
    struct fixture *fixture = fixture_new();
    struct extent_writer *second;
    const struct extent_header header = {.id = 1};
    fixture_start(fixture);
    struct extent_writer *writer = fixture_writer(fixture, 1);
    cr_assert_eq(extent_writer_new(fixture->os, FIXTURE_EXTENTS, &header, &second),
                 SLUICE_E_EXISTS);
    extent_writer_free(writer);
    fixture_free(fixture);
}

/* ---- power and faults ---- */

struct attempt {
    struct extent_item item;
    bool finished;
    sl_err err;
};

/* Two streams, 1.3 MiB, so that it takes several writes. */
static struct attempt attempt_write(struct fixture *fixture)
{
    struct attempt attempt = {.finished = false};
    struct sl_buffer batches;
    struct sl_file *file;
    sl_buffer_init(&batches, 16u << 20);
    fixture_batches(&batches, 0, 13, 50000);
    struct extent_writer *writer = fixture_writer(fixture, 1);
    attempt.err = writer == NULL ? SLUICE_E_POWER_CUT : SLUICE_OK;
    for (uint8_t i = 1; i <= 2 && attempt.err == SLUICE_OK; i++) {
        struct sl_uuid topic = fixture_topic(i);
        attempt.err = extent_writer_stream(writer, &topic, 0);
        if (attempt.err == SLUICE_OK)
            attempt.err = extent_writer_add(writer, sl_buffer_bytes(&batches));
    }
    if (attempt.err == SLUICE_OK)
        attempt.err = extent_writer_finish(writer, &attempt.item, &file);
    attempt.finished = attempt.err == SLUICE_OK;
    if (attempt.finished)
        sl_file_close(file);
    extent_writer_free(writer);
    sl_buffer_fini(&batches);
    return attempt;
}

/* One round: power cut at operation `cut` of the writing (0: right behind it). The frame that would
 * name the extent is there only when the writer had finished. Returns whether it had; *ret_sound:
 * whether what a start then finds is whole. */
static bool power_cut_round(uint64_t cut, uint64_t seed, bool sync_is_a_lie, bool *ret_sound)
{
    struct fixture *fixture = fixture_new();
    struct extent_report report;
    size_t size;
    sl_sim_disk_free(fixture->disk);
    fixture->disk = sl_sim_disk_new(seed);
    fixture_start(fixture);
    fixture_kill(fixture);
    fixture->faults.sync_is_a_lie = sync_is_a_lie;
    fixture->faults.power_cut_after = cut == 0 ? 0 : cut + 1; /* after set_new's sync */
    fixture_start(fixture);
    struct attempt attempt = attempt_write(fixture);
    fixture_power_cut(fixture);
    memset(&fixture->faults, 0, sizeof fixture->faults);
    if (attempt.finished)
        fixture_log_extent(fixture, &attempt.item);
    sl_err err = fixture_open(fixture);
    if (err == SLUICE_OK && attempt.finished)
        err = extent_inspect(fixture->os, FIXTURE_EXTENTS "/00000000000000000001.ext", true, NULL,
                             NULL, &report);
    *ret_sound = err == SLUICE_OK;
    if (!attempt.finished)
        cr_assert_null(fixture_bytes(fixture, 1, &size), "half an extent stays");
    fixture_free(fixture);
    return attempt.finished;
}

Test(extent_writer, leaves_after_a_power_cut_a_whole_extent_or_none)
{
    uint32_t finished = 0;
    uint32_t rounds = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        for (uint64_t cut = 0; cut < 8; cut++) {
            bool sound;
            finished += power_cut_round(cut, seed, false, &sound);
            rounds++;
            cr_assert(sound, "seed %d, cut at %d", (int)seed, (int)cut);
        }
    }
    cr_assert(finished > 0 && finished < rounds, "%u of %u", finished, rounds);
}

Test(extent_writer, is_noticed_when_its_sync_is_a_lie)
{
    uint32_t damaged = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        bool sound;
        bool finished = power_cut_round(0, seed, true, &sound);
        damaged += finished && !sound;
    }
    cr_assert_gt(damaged, 0);
}

Test(extent_writer, fails_and_removes_the_file_when_a_write_or_sync_fails)
{
    for (uint64_t fault = 1; fault <= 3; fault++) {
        struct fixture *fixture = fixture_new();
        size_t size;
        fixture_start(fixture);
        fixture_kill(fixture);
        fixture->faults.write_fails_after = fault <= 2 ? fault : 0;
        fixture->faults.sync_fails_after = fault == 3 ? 1 : 0;
        fixture_start(fixture);
        struct attempt attempt = attempt_write(fixture);
        cr_assert_eq(attempt.err, SLUICE_E_IO);
        cr_assert_null(fixture_bytes(fixture, 1, &size));
        fixture_free(fixture);
    }
}

Test(extent_writer, fails_and_removes_the_file_on_a_full_disk)
{
    struct fixture *fixture = fixture_new();
    size_t size;
    sl_sim_disk_set_capacity(fixture->disk, 1200000);
    fixture_start(fixture);
    struct attempt attempt = attempt_write(fixture);
    cr_assert_eq(attempt.err, SLUICE_E_DISK_FULL);
    cr_assert_null(fixture_bytes(fixture, 1, &size));
    fixture_free(fixture);
}
