/* test_wal_slices.c: a checkpoint that is taken while the log goes on. */
#include "wal_fixture.h"

#include "base/bytes.h"

#include <criterion/criterion.h>
#include <string.h>

static struct fixture *fixture;

static void setup(void)
{
    fixture = fixture_new();
    fixture->more_slices = 20;
    fixture->limits.checkpoint_chunk_bytes = 1; /* each slice goes to the disk, which takes time */
    fixture->snapshot_number = 4711;
}

static void teardown(void)
{
    fixture_free(fixture);
}

TestSuite(wal_slices, .init = setup, .fini = teardown);

/* Until the checkpoint of the start has begun, and no further. */
static void start(void)
{
    fixture_start(fixture);
    while (fixture->snapshots == 0)
        cr_assert(sl_os_sim_step(fixture->os));
    cr_assert_gt(fixture->slices_left, 0);
}

/* Durable while the checkpoint is on its way. */
static struct fixture_unit *commit_meanwhile(uint16_t kind, uint32_t body_size)
{
    struct fixture_unit *unit = fixture_commit(fixture, kind, body_size);
    cr_assert_eq(fixture->snapshots, 1);
    cr_assert_gt(fixture->slices_left, 0, "the log waits for no checkpoint");
    return unit;
}

static uint64_t checkpoint_field(size_t at)
{
    size_t size = 0;
    const uint8_t *bytes = fixture_bytes(fixture, "checkpoint-1", &size);
    cr_assert_not_null(bytes);
    return sl_le64_load(bytes + at);
}

Test(wal_slices, what_is_durable_meanwhile_is_applied_after_it)
{
    start();
    struct fixture_unit *unit = commit_meanwhile(WAL_ITEM_OFFSET_COMMIT, 0);
    fixture_settle(fixture);
    cr_assert_lt(checkpoint_field(64), unit->unit.lsn, "it begins before");
    cr_assert_geq(checkpoint_field(120), unit->unit.lsn, "and ends after");
    cr_assert_eq(checkpoint_field(24), 1, "which a reader must know");
    fixture_power_cut(fixture);
    fixture->more_slices = 0;
    fixture_start(fixture);
    cr_assert_lt(fixture->recovery.checkpoint_lsn, unit->unit.lsn);
    cr_assert_eq(fixture->applied[0].number, 4711);
    cr_assert(fixture_applied(fixture, WAL_ITEM_OFFSET_COMMIT, unit->number));
}

Test(wal_slices, one_that_is_not_complete_counts_for_nothing)
{
    start();
    struct fixture_unit *unit = commit_meanwhile(WAL_ITEM_OFFSET_COMMIT, 0);
    fixture_kill(fixture);
    fixture->snapshot_number = 0;
    fixture_start(fixture);
    cr_assert_eq(fixture->recovery.checkpoint_lsn, 0);
    cr_assert_not(fixture_applied(fixture, WAL_ITEM_STAGE_POSITION, 4711));
    cr_assert(fixture_applied(fixture, WAL_ITEM_OFFSET_COMMIT, unit->number));
}

Test(wal_slices, a_log_that_ends_before_the_checkpoint_does_is_damaged)
{
    start();
    struct fixture_unit *unit = commit_meanwhile(WAL_ITEM_BATCH, 100);
    fixture_settle(fixture);
    uint64_t frame = unit->item.place.position / 4096 * 4096;
    cr_assert_geq(checkpoint_field(120), unit->unit.lsn);
    fixture_power_cut(fixture);
    size_t size = 0;
    uint8_t *segment = fixture_bytes(fixture, "00000000000000000001.seg", &size);
    memset(segment + frame, 0, size - frame);
    cr_assert_eq(fixture_open(fixture), SLUICE_E_CORRUPT, "items may hold what is lost");
}

Test(wal_slices, a_checkpoint_of_one_moment_is_as_it_always_was)
{
    fixture->more_slices = 0;
    fixture_start(fixture);
    fixture_settle(fixture);
    cr_assert_eq(checkpoint_field(120), 0);
    cr_assert_eq(checkpoint_field(24), 0, "older releases read it");
}

Test(wal_slices, closing_waits_for_the_one_under_way)
{
    start();
    commit_meanwhile(WAL_ITEM_OFFSET_COMMIT, 0);
    fixture_close(fixture);
    cr_assert_eq(fixture->snapshots, 2, "and takes another one");
    fixture_start(fixture);
    cr_assert(fixture->recovery.clean);
    cr_assert_eq(fixture->applied_count, 21);
}
