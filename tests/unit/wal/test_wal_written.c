/* test_wal_written.c: units that are told when they are written, before they are synced. */
#include "wal_fixture.h"

#include "wal/wal_format.h"

#include <criterion/criterion.h>
#include <string.h>

static struct fixture *fixture;

static void setup(void)
{
    fixture = fixture_new();
}

static void teardown(void)
{
    fixture_free(fixture);
}

TestSuite(wal_written, .init = setup, .fini = teardown);

static struct wal_status status(void)
{
    struct wal_status result;
    wal_status_get(fixture->wal, &result);
    return result;
}

static struct fixture_unit *written_unit(uint32_t body_size)
{
    struct fixture_unit *unit = fixture_unit_new(fixture, WAL_ITEM_BATCH, body_size);
    unit->unit.when_written = true;
    return unit;
}

static struct fixture_unit *submit(struct fixture_unit *unit)
{
    cr_assert_eq(fixture_submit(fixture, unit), SLUICE_OK);
    return unit;
}

static struct fixture_unit *write_one(uint32_t body_size)
{
    struct fixture_unit *unit = submit(written_unit(body_size));
    while (!unit->ended && sl_os_sim_step(fixture->os))
        ;
    cr_assert_eq(unit->err, SLUICE_OK);
    return unit;
}

Test(wal_written, a_frame_of_nothing_else_is_not_synced_at_once)
{
    fixture_start(fixture);
    fixture_settle(fixture);
    struct wal_status before = status();
    struct fixture_unit *unit = write_one(1000);
    cr_assert_eq(status().syncs, before.syncs);
    cr_assert_eq(status().durable_lsn, before.durable_lsn);
    cr_assert_lt(status().durable_lsn, unit->unit.lsn);
    uint8_t bytes[1000];
    cr_assert_eq(wal_read_cached(fixture->wal, &unit->item.place, bytes), SLUICE_OK);
    fixture_settle(fixture);
    cr_assert_geq(status().durable_lsn, unit->unit.lsn, "silence ends with a sync");
}

Test(wal_written, a_killed_process_loses_nothing_of_it)
{
    fixture_start(fixture);
    for (int i = 0; i < 20; i++)
        write_one(700);
    fixture_kill(fixture);
    fixture_start(fixture);
    cr_assert_eq(fixture->applied_count, 20);
    cr_assert_eq(fixture->recovery.epoch, 2, "an unclean start is a new epoch");
}

Test(wal_written, a_power_cut_leaves_a_prefix_and_all_that_was_synced)
{
    fixture_start(fixture);
    for (int i = 0; i < 5; i++)
        write_one(700);
    struct fixture_unit *synced = fixture_commit(fixture, WAL_ITEM_BATCH, 10);
    for (int i = 0; i < 20; i++)
        write_one(700);
    fixture_power_cut(fixture);
    fixture_start(fixture);
    cr_assert_geq(fixture->applied_count, synced->number);
    for (uint32_t i = 0; i < fixture->applied_count; i++)
        cr_assert_eq(fixture->applied[i].number, i + 1);
}

Test(wal_written, it_is_told_before_the_sync_of_a_frame_that_it_shares)
{
    fixture_start(fixture);
    fixture_settle(fixture);
    for (int i = 0; i < 8; i++) { /* a segment holds so many: one that opens is told as a whole */
        struct fixture_unit *synced = submit(fixture_unit_new(fixture, WAL_ITEM_BATCH, 10));
        struct fixture_unit *written = submit(written_unit(10));
        fixture_settle(fixture);
        cr_assert_eq(synced->unit.lsn, written->unit.lsn, "one frame");
        cr_assert_lt(written->end_order, synced->end_order);
    }
}

Test(wal_written, a_failed_sync_fences_what_waited_and_takes_nothing_back_that_was_told)
{
    fixture->limits.spare_segments = 0;
    fixture->faults.sync_fails_after = 6;
    fixture_start(fixture);
    fixture_settle(fixture);
    while (fixture->fenced == 0) {
        struct fixture_unit *written = submit(written_unit(10));
        struct fixture_unit *synced = submit(fixture_unit_new(fixture, WAL_ITEM_BATCH, 10));
        fixture_settle(fixture);
        cr_assert_eq(written->err, SLUICE_OK);
        cr_assert_eq(synced->err, fixture->fenced > 0 ? SLUICE_E_FENCED : SLUICE_OK);
    }
}

Test(wal_written, blocks_of_spares_are_only_taken_where_little_is_synced)
{
    fixture->limits.segment_bytes = 1u << 20;
    fixture->limits.bytes_max = 16u << 20;
    fixture_start(fixture);
    for (int i = 0; i < 100; i++)
        write_one(9000);
    fixture_settle(fixture);
    cr_assert_eq(fixture_spares(fixture), 1);
    cr_assert_eq(status().bytes_zeros, 0, "no sync gains by them, and who appends waits beside");
}

/* ---- pages of cache for what is written next ---- */

#define LARGE_SEGMENT (1u << 20)

static uint64_t asked(void)
{
    return sl_os_sim_asked_bytes(fixture->os);
}

/* Until the log's position is behind `end`. */
static void write_up_to(uint64_t end, uint32_t body_size)
{
    struct wal_segment_status segment = {0};
    while (wal_segment_status_get(fixture->wal, status().last_segment, &segment) &&
           segment.end < end)
        write_one(body_size);
    fixture_settle(fixture);
}

static void start_large(void)
{
    fixture->limits.segment_bytes = LARGE_SEGMENT;
    fixture->limits.bytes_max = 16 * LARGE_SEGMENT;
    fixture_start(fixture);
}

Test(wal_written, pages_before_frames_of_a_block_are_in_memory_to_the_end_of_the_segment)
{
    start_large();
    write_up_to(32 * WAL_BLOCK, 100);
    cr_assert_eq(asked(), 0, "so few do not tell how large frames are");
    write_up_to(100 * WAL_BLOCK, 100);
    uint64_t in_front = asked();
    cr_assert_geq(in_front, LARGE_SEGMENT - 100 * WAL_BLOCK);
    cr_assert_lt(in_front, LARGE_SEGMENT - 64 * WAL_BLOCK);
    write_up_to(200 * WAL_BLOCK, 100);
    cr_assert_eq(asked(), in_front, "they are there");
}

Test(wal_written, pages_come_with_larger_frames)
{
    start_large();
    for (int i = 0; i < 120; i++)
        write_one(16000);
    cr_assert_gt(status().last_segment, 1);
    cr_assert_eq(asked(), 0);
}

Test(wal_written, pages_come_with_frames_that_are_synced)
{
    start_large();
    for (int i = 0; i < 120; i++)
        fixture_commit(fixture, WAL_ITEM_BATCH, 100);
    cr_assert_eq(asked(), 0, "a sync takes so much longer");
}

Test(wal_written, no_disk_is_read_for_what_a_segment_held_before)
{
    size_t size = 0;
    start_large();
    write_up_to(LARGE_SEGMENT / 2, 16000);
    cr_assert_eq(fixture_spares(fixture), 1);
    uint8_t *spare = fixture_bytes(fixture, "2.spare", &size);
    cr_assert_eq(size, LARGE_SEGMENT);
    memset(spare, 1, size);
    uint64_t first = status().last_segment;
    while (status().last_segment == first)
        write_one(16000);
    write_up_to(100 * WAL_BLOCK, 100);
    cr_assert_eq(asked(), 0);
}

Test(wal_written, a_segment_is_synced_before_the_next_one_begins)
{
    fixture_start(fixture);
    uint64_t segment = status().last_segment;
    while (status().last_segment == segment)
        write_one(9000);
    fixture_settle(fixture);
    cr_assert_eq(status().durable_lsn, status().last_lsn);
    fixture_power_cut(fixture);
    fixture_start(fixture);
    cr_assert_eq(fixture->applied_count, fixture->unit_count, "all were followed by a sync");
}

Test(wal_written, a_checkpoint_waits_until_all_that_was_told_is_durable)
{
    fixture_start(fixture);
    fixture_settle(fixture);
    uint32_t before = fixture->snapshots;
    write_one(10);
    wal_close(fixture->wal, NULL, NULL); /* takes one */
    while (fixture->snapshots == before && sl_os_sim_step(fixture->os))
        ;
    cr_assert_gt(fixture->snapshots, before);
    cr_assert_eq(status().durable_lsn, status().last_lsn);
}

Test(wal_written, a_close_syncs_it)
{
    fixture_start(fixture);
    struct fixture_unit *unit = submit(written_unit(100));
    fixture_close(fixture);
    cr_assert_eq(unit->err, SLUICE_OK);
    sl_sim_disk_power_cut(fixture->disk);
    fixture_start(fixture);
    cr_assert(fixture->recovery.clean);
    cr_assert(fixture_applied(fixture, WAL_ITEM_BATCH, unit->number));
}
