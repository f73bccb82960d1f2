/* test_wal_commit.c: submitting, grouping, bounds, fencing, closing. */
#include "wal_fixture.h"

#include "wal/wal_format.h"

#include "base/bytes.h"

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

TestSuite(wal_commit, .init = setup, .fini = teardown);

static struct wal_status status(void)
{
    struct wal_status result;
    wal_status_get(fixture->wal, &result);
    return result;
}

Test(wal_commit, a_durable_unit_comes_back_after_a_power_cut)
{
    fixture_start(fixture);
    struct fixture_unit *unit = fixture_commit(fixture, WAL_ITEM_BATCH, 1000);
    cr_assert_gt(unit->unit.lsn, 0);
    fixture_power_cut(fixture);
    fixture_start(fixture);
    cr_assert_eq(fixture->applied_count, 1);
    cr_assert_eq(fixture->applied[0].number, unit->number);
    cr_assert_eq(fixture->applied[0].lsn, unit->unit.lsn);
    cr_assert_eq(fixture->applied[0].place.position, unit->item.place.position);
    cr_assert_eq(fixture->applied[0].place.size, 1000);
}

Test(wal_commit, a_body_reads_back_as_its_pieces_were_given)
{
    uint8_t bytes[3001];
    fixture_start(fixture);
    struct fixture_unit *first = fixture_unit_new(fixture, WAL_ITEM_BATCH, 3001);
    struct fixture_unit *second = fixture_unit_new(fixture, WAL_ITEM_BATCH, 17);
    cr_assert_eq(fixture_submit(fixture, first), SLUICE_OK);
    cr_assert_eq(fixture_submit(fixture, second), SLUICE_OK);
    fixture_settle(fixture);
    cr_assert_eq(wal_read_cached(fixture->wal, &first->item.place, bytes), SLUICE_OK);
    cr_assert_eq(memcmp(bytes, first->pieces[0].base, 3001), 0);
    cr_assert_eq(wal_read(fixture->wal, &second->item.place, bytes), SLUICE_OK);
    cr_assert_eq(memcmp(bytes, second->pieces[0].base, 17), 0);
}

Test(wal_commit, units_of_one_turn_share_a_frame_and_a_sync)
{
    fixture_start(fixture);
    struct wal_status before = status();
    for (int i = 0; i < 10; i++)
        cr_assert_eq(fixture_submit(fixture, fixture_unit_new(fixture, WAL_ITEM_BATCH, 100)),
                     SLUICE_OK);
    fixture_settle(fixture);
    cr_assert_eq(status().frames - before.frames, 1);
    cr_assert_eq(status().syncs - before.syncs, 1);
    cr_assert_eq(fixture->units[0].unit.lsn, fixture->units[9].unit.lsn);
}

Test(wal_commit, a_group_stops_growing_at_its_bound)
{
    fixture_start(fixture);
    struct wal_status before = status();
    for (int i = 0; i < 10; i++)
        cr_assert_eq(fixture_submit(fixture, fixture_unit_new(fixture, WAL_ITEM_BATCH, 2000)),
                     SLUICE_OK);
    fixture_settle(fixture);
    cr_assert_eq(status().frames - before.frames, 3, "4 + 4 + 2 units of 2,024 bytes in 8,192");
    cr_assert_eq(status().syncs - before.syncs, 1, "a backlog of frames shares one sync");
}

Test(wal_commit, a_unit_larger_than_a_group_travels_alone)
{
    fixture_start(fixture);
    struct fixture_unit *small = fixture_unit_new(fixture, WAL_ITEM_BATCH, 10);
    struct fixture_unit *large = fixture_unit_new(fixture, WAL_ITEM_BATCH, 30000);
    cr_assert_eq(fixture_submit(fixture, small), SLUICE_OK);
    cr_assert_eq(fixture_submit(fixture, large), SLUICE_OK);
    fixture_settle(fixture);
    cr_assert_eq(large->err, SLUICE_OK);
    cr_assert_eq(large->unit.lsn, small->unit.lsn + 1);
}

Test(wal_commit, a_unit_over_the_frame_bound_is_refused_and_stays_the_callers)
{
    fixture_start(fixture);
    struct fixture_unit *unit = fixture_unit_new(fixture, WAL_ITEM_BATCH, 32768);
    cr_assert_eq(fixture_submit(fixture, unit), SLUICE_E_BATCH_TOO_LARGE);
    fixture_settle(fixture);
    cr_assert_not(unit->ended);
}

Test(wal_commit, callbacks_come_in_the_order_of_submission_with_rising_time)
{
    fixture_start(fixture);
    for (uint32_t i = 0; i < 60; i++) {
        cr_assert_eq(fixture_submit(fixture, fixture_unit_new(fixture, WAL_ITEM_BATCH, i * 40)),
                     SLUICE_OK);
        sl_os_sim_step(fixture->os);
    }
    fixture_settle(fixture);
    for (uint32_t i = 1; i < 60; i++) {
        cr_assert_eq(fixture->units[i].end_order, fixture->units[i - 1].end_order + 1);
        cr_assert_geq(fixture->units[i].unit.lsn, fixture->units[i - 1].unit.lsn);
        cr_assert_geq(fixture->units[i].unit.time_ms, fixture->units[i - 1].unit.time_ms);
    }
}

Test(wal_commit, frames_fill_segment_after_segment)
{
    fixture_start(fixture);
    for (int i = 0; i < 20; i++)
        fixture_commit(fixture, WAL_ITEM_BATCH, 12000);
    cr_assert_geq(status().segment_count, 5);
    fixture_power_cut(fixture);
    fixture_start(fixture);
    cr_assert_eq(fixture->applied_count, 20);
    for (uint32_t i = 0; i < 20; i++)
        cr_assert_eq(fixture->applied[i].number, i + 1);
}

Test(wal_commit, silence_is_marked_once)
{
    fixture->limits.idle_mark_ms = 50;
    fixture_start(fixture);
    fixture_commit(fixture, WAL_ITEM_BATCH, 10);
    uint64_t frames = status().frames;
    fixture_settle(fixture);
    cr_assert_eq(status().frames, frames + 1);
    fixture_power_cut(fixture);
    fixture_start(fixture);
    cr_assert_eq(fixture->applied_count, 1, "marks are the log's own business");
}

Test(wal_commit, the_bound_refuses_produce_but_not_the_reserve)
{
    fixture->limits.bytes_max = 4 * FIXTURE_SEGMENT;
    fixture_start(fixture);
    sl_err err = SLUICE_OK;
    struct fixture_unit *unit = NULL;
    for (int i = 0; i < 100 && err == SLUICE_OK; i++) {
        unit = fixture_unit_new(fixture, WAL_ITEM_BATCH, 8000);
        err = fixture_submit(fixture, unit);
        fixture_settle(fixture);
    }
    cr_assert_eq(err, SLUICE_E_LOG_FULL);
    unit->unit.reserve = true;
    cr_assert_eq(fixture_submit(fixture, unit), SLUICE_OK);
    fixture_settle(fixture);
    cr_assert_eq(unit->err, SLUICE_OK);
    cr_assert_leq(status().bytes_used, fixture->limits.bytes_max);
}

static sl_err fill(bool reserve, bool frees_space)
{
    sl_err err = SLUICE_OK;
    for (int i = 0; i < 100 && err == SLUICE_OK; i++) {
        struct fixture_unit *unit = fixture_unit_new(fixture, WAL_ITEM_OFFSET_COMMIT, 0);
        unit->unit.reserve = reserve;
        unit->unit.frees_space = frees_space;
        err = fixture_submit(fixture, unit);
        fixture_settle(fixture);
    }
    return err;
}

Test(wal_commit, the_last_of_the_reserve_is_for_what_makes_room)
{
    fixture->limits.bytes_max = 4 * FIXTURE_SEGMENT;
    fixture_start(fixture);
    cr_assert_eq(fill(false, false), SLUICE_E_LOG_FULL);
    cr_assert_eq(fill(true, false), SLUICE_E_LOG_FULL, "offsets cannot use it up");
    struct fixture_unit *extent = fixture_unit_new(fixture, WAL_ITEM_EXTENT, 0);
    extent->unit.reserve = extent->unit.frees_space = true;
    cr_assert_eq(fixture_submit(fixture, extent), SLUICE_OK);
    fixture_settle(fixture);
    cr_assert_eq(extent->err, SLUICE_OK);
    cr_assert_leq(status().bytes_used, fixture->limits.bytes_max);
}

/* The rest of a segment that a frame does not fit into counts as used. */
Test(wal_commit, frames_that_waste_their_segments_leave_room_for_what_makes_room)
{
    const uint32_t large = (uint32_t)FIXTURE_SEGMENT / 2u;
    fixture->limits.bytes_max = 7 * FIXTURE_SEGMENT;
    fixture->limits.frame_bytes_max = (uint32_t)FIXTURE_SEGMENT - 4096u;
    fixture_start(fixture);
    sl_err err = SLUICE_OK;
    for (int i = 0; i < 100 && err == SLUICE_OK; i++) { /* several at once */
        for (int k = 0; k < 4 && err == SLUICE_OK; k++)
            err = fixture_submit(fixture, fixture_unit_new(fixture, WAL_ITEM_BATCH, large));
        fixture_settle(fixture);
    }
    cr_assert_eq(err, SLUICE_E_LOG_FULL);
    cr_assert_leq(status().bytes_used, fixture->limits.bytes_max);
    struct fixture_unit *extent = fixture_unit_new(fixture, WAL_ITEM_EXTENT, 0);
    extent->unit.reserve = extent->unit.frees_space = true;
    cr_assert_eq(fixture_submit(fixture, extent), SLUICE_OK);
    fixture_settle(fixture);
    cr_assert_eq(extent->err, SLUICE_OK);
    cr_assert_leq(status().bytes_used, fixture->limits.bytes_max);
}

/* Frames of all sizes, so that they lie across the windows that recovery reads through. */
Test(wal_commit, recovery_reads_a_segment_once)
{
    const uint32_t segment = 32u << 20;
    fixture->limits.segment_bytes = segment;
    fixture->limits.bytes_max = 4 * segment;
    fixture->limits.group_bytes_max = 1u << 20;
    fixture->limits.frame_bytes_max = 1u << 20;
    fixture_start(fixture);
    for (uint32_t i = 0; i < 40; i++) {
        struct fixture_unit *unit = fixture_unit_new(fixture, WAL_ITEM_BATCH, 1000 + i * 20000);
        cr_assert_eq(fixture_submit(fixture, unit), SLUICE_OK);
        if (i % 4 == 3) /* under one sync: the next frame does not know the one before durable */
            fixture_settle(fixture);
    }
    cr_assert_eq(status().segment_count, 1);
    fixture_power_cut(fixture);
    size_t file_size = 0;
    cr_assert_not_null(fixture_bytes(fixture, "00000000000000000001.seg", &file_size));
    fixture_start(fixture);
    cr_assert_eq(fixture->applied_count, 40);
    /* Each segment's header is looked at first, and its end once more: a window of 256 KiB each. */
    cr_assert_leq(fixture->recovery.bytes_scanned, file_size + 2 * (256u << 10));
}

/* Of frames whose bodies are known to be durable. */
Test(wal_commit, recovery_reads_the_heads_of_large_frames)
{
    const uint32_t segment = 32u << 20;
    fixture->limits.segment_bytes = segment;
    fixture->limits.bytes_max = 4 * segment;
    fixture->limits.group_bytes_max = 1u << 20;
    fixture->limits.frame_bytes_max = 1u << 20;
    fixture_start(fixture);
    for (uint32_t i = 0; i < 60; i++)
        fixture_commit(fixture, WAL_ITEM_BATCH, 900000);
    cr_assert_eq(status().segment_count, 2);
    fixture_power_cut(fixture);
    fixture_start(fixture);
    cr_assert_eq(fixture->applied_count, 60);
    uint64_t rest = 2 * segment - 60 * 900000ull; /* searched behind the last frame */
    cr_assert_leq(fixture->recovery.bytes_scanned, rest + (2u << 20));
}

static uint64_t file_size(uint64_t segment)
{
    char path[WAL_PATH_BYTES];
    size_t size = 0;
    wal_segment_path(fixture->wal, segment, path);
    return fixture_bytes(fixture, strrchr(path, '/') + 1, &size) == NULL ? 0 : size;
}

/* Returns the segment that was written to: a whole file with a frame. */
static uint64_t write_and_kill(void)
{
    fixture->limits.spare_segments = 4;
    fixture_start(fixture);
    fixture_settle(fixture);
    uint64_t first = status().last_segment;
    while (status().last_segment == first)
        fixture_commit(fixture, WAL_ITEM_BATCH, 8000);
    uint64_t last = status().last_segment;
    fixture_kill(fixture);
    return last;
}

Test(wal_commit, a_start_does_not_wait_for_what_an_earlier_run_left)
{
    uint64_t last = write_and_kill();
    struct wal_segment_status segment;
    fixture_start(fixture);
    cr_assert(wal_segment_status_get(fixture->wal, last, &segment));
    cr_assert(segment.cuts);
    cr_assert_eq(segment.bytes, segment.end, "its rest is counted as free already");
    cr_assert_eq(file_size(last), FIXTURE_SEGMENT);
    fixture_settle(fixture);
    cr_assert(wal_segment_status_get(fixture->wal, last, &segment));
    cr_assert_not(segment.cuts);
    cr_assert_eq(file_size(last), segment.end);
}

Test(wal_commit, a_rest_that_a_crash_kept_is_cut_by_a_later_start)
{
    uint64_t last = write_and_kill();
    struct wal_segment_status segment;
    fixture_start(fixture); /* and killed before anything was done in the background */
    fixture_kill(fixture);
    fixture_start(fixture);
    fixture_settle(fixture);
    cr_assert(wal_segment_status_get(fixture->wal, last, &segment));
    cr_assert_eq(file_size(last), segment.end);
}

Test(wal_commit, each_sealed_segment_is_told_of_and_known)
{
    struct wal_segment_status segment;
    fixture_start(fixture);
    for (int i = 0; i < 40; i++)
        fixture_commit(fixture, WAL_ITEM_BATCH, 8000);
    struct wal_status now = status();
    cr_assert_gt(now.last_segment, now.first_segment);
    cr_assert_eq(fixture->sealed_count, now.last_segment - now.first_segment);
    cr_assert(wal_segment_status_get(fixture->wal, now.first_segment, &segment));
    cr_assert_eq(segment.bytes, FIXTURE_SEGMENT);
    cr_assert_gt(segment.created_ms, 0);
    cr_assert_not(wal_segment_status_get(fixture->wal, now.last_segment + 1, &segment));
}

Test(wal_commit, released_segments_make_room_again)
{
    fixture->limits.bytes_max = 4 * FIXTURE_SEGMENT;
    fixture_start(fixture);
    for (int i = 0; i < 100; i++) {
        struct fixture_unit *unit = fixture_commit(fixture, WAL_ITEM_BATCH, 8000);
        wal_release(fixture->wal, unit->item.place.segment);
        fixture_settle(fixture);
    }
    cr_assert_leq(status().segment_count, 3);
}

Test(wal_commit, spares_are_made_once_the_first_syncs_tell_which)
{
    fixture->limits.segment_bytes = 1u << 20;
    fixture->limits.bytes_max = 16u << 20;
    fixture_start(fixture);
    for (int i = 0; i < 32; i++)
        fixture_commit(fixture, WAL_ITEM_BATCH, 100);
    fixture_settle(fixture);
    cr_assert_eq(fixture_spares(fixture), 0, "nothing is written that nobody may need");
    for (int i = 0; i < 32; i++)
        fixture_commit(fixture, WAL_ITEM_BATCH, 100);
    fixture_settle(fixture);
    cr_assert_eq(fixture_spares(fixture), 1);
    cr_assert_eq(status().bytes_zeros, 1u << 20, "small syncs gain by zeros");
}

Test(wal_commit, of_many_segments_freed_at_once_some_stay_as_spares)
{
    fixture_start(fixture); /* 16 segments at most, of which one spare is made ahead */
    for (int i = 0; i < 60; i++)
        fixture_commit(fixture, WAL_ITEM_BATCH, 8000);
    cr_assert_gt(status().segment_count, 8);
    wal_release(fixture->wal, UINT64_MAX);
    fixture_settle(fixture);
    cr_assert_eq(status().segment_count, 1);
    cr_assert_eq(fixture_spares(fixture), 4, "a quarter of the log");
}

Test(wal_commit, what_is_written_after_releasing_everything_stays)
{
    fixture_start(fixture);
    fixture_commit(fixture, WAL_ITEM_BATCH, 8000);
    wal_release(fixture->wal, UINT64_MAX);
    struct fixture_unit *kept = fixture_commit(fixture, WAL_ITEM_BATCH, 8000);
    for (int i = 0; i < 40; i++)
        fixture_commit(fixture, WAL_ITEM_BATCH, 8000);
    fixture_settle(fixture);
    fixture_power_cut(fixture);
    fixture_start(fixture);
    cr_assert(fixture_applied(fixture, WAL_ITEM_BATCH, kept->number));
}

static void (*durable_of_fixture)(struct wal_unit *unit, sl_err err);
static struct wal_status seen; /* in the callback */

static void look_and_release(struct wal_unit *unit, sl_err err)
{
    seen = status();
    wal_release(fixture->wal, UINT64_MAX);
    durable_of_fixture(unit, err);
}

Test(wal_commit, the_next_commit_begins_before_the_callbacks_and_their_segment_stays)
{
    fixture_start(fixture);
    struct fixture_unit *first = fixture_unit_new(fixture, WAL_ITEM_BATCH, 30000);
    struct fixture_unit *second = fixture_unit_new(fixture, WAL_ITEM_BATCH, 30000);
    durable_of_fixture = first->unit.durable;
    first->unit.durable = look_and_release;
    cr_assert_eq(fixture_submit(fixture, first), SLUICE_OK);
    while (status().last_lsn < 2) /* 1: the mark of this run */
        cr_assert(sl_os_sim_step(fixture->os));
    cr_assert_eq(fixture_submit(fixture, second), SLUICE_OK);
    fixture_settle(fixture);
    cr_assert_eq(seen.last_lsn, 3, "the second is under way");
    cr_assert_eq(seen.last_segment, first->item.place.segment, "not settled yet");
    cr_assert_gt(second->item.place.segment, first->item.place.segment);
    fixture_power_cut(fixture);
    fixture_start(fixture);
    cr_assert(fixture_applied(fixture, WAL_ITEM_BATCH, first->number));
    cr_assert(fixture_applied(fixture, WAL_ITEM_BATCH, second->number));
}

#define APPROACHING 5u
static struct fixture_unit *approaching[APPROACHING];
static uint32_t came[APPROACHING]; /* 1: near; 2: and next */

static void on_approach(const struct wal_unit *unit, bool is_next)
{
    for (uint32_t i = 0; i < APPROACHING; i++) {
        if (&approaching[i]->unit != unit)
            continue;
        cr_assert_not(approaching[i]->ended);
        cr_assert_eq(came[i], is_next ? 1 : 0, "near once, then next once");
        came[i]++;
    }
}

Test(wal_commit, a_unit_hears_that_it_comes_near_and_that_it_is_next_before_it_ends)
{
    for (uint32_t count = 1; count <= APPROACHING; count++) {
        fixture_start(fixture);
        memset(came, 0, sizeof(came));
        for (uint32_t i = 0; i < APPROACHING; i++) {
            approaching[i] = fixture_unit_new(fixture, WAL_ITEM_BATCH, 100);
            approaching[i]->unit.approach = on_approach;
        }
        for (uint32_t i = 0; i < count; i++)
            cr_assert_eq(fixture_submit(fixture, approaching[i]), SLUICE_OK);
        fixture_settle(fixture);
        for (uint32_t i = 0; i < APPROACHING; i++) {
            cr_assert_eq(approaching[i]->ended, i < count);
            uint32_t expected = i == 0 ? 1 : 2; /* nobody is before the first of a frame */
            cr_assert_eq(came[i], i < count ? expected : 0, "%u of %u: %u", i, count, came[i]);
        }
        fixture_power_cut(fixture);
    }
}

Test(wal_commit, a_pinned_segment_is_not_recycled)
{
    fixture->limits.bytes_max = 7 * FIXTURE_SEGMENT;
    fixture_start(fixture);
    struct fixture_unit *first = fixture_commit(fixture, WAL_ITEM_BATCH, 8000);
    uint8_t bytes[8000];
    cr_assert_not_null(wal_pin(fixture->wal, first->item.place.segment));
    struct fixture_unit *unit = first;
    for (int i = 0; i < 30; i++)
        unit = fixture_commit(fixture, WAL_ITEM_BATCH, 8000);
    wal_release(fixture->wal, unit->item.place.segment);
    fixture_settle(fixture);
    cr_assert_eq(wal_read(fixture->wal, &first->item.place, bytes), SLUICE_OK);
    cr_assert_eq(memcmp(bytes, first->pieces[0].base, sizeof bytes), 0);
    wal_unpin(fixture->wal, first->item.place.segment);
    fixture_settle(fixture);
    cr_assert_eq(wal_read_cached(fixture->wal, &first->item.place, bytes), SLUICE_E_NOT_FOUND);
    cr_assert_null(wal_pin(fixture->wal, first->item.place.segment));
}

Test(wal_commit, a_disk_at_95_percent_refuses_produce_until_it_is_below_92)
{
    fixture->limits.spare_segments = 0;
    sl_sim_disk_set_capacity(fixture->disk, 8192 + 100000);
    fixture_start(fixture);
    sl_err err = SLUICE_OK;
    struct fixture_unit *unit = NULL;
    for (int i = 0; i < 30 && err == SLUICE_OK; i++) {
        unit = fixture_unit_new(fixture, WAL_ITEM_BATCH, 3000);
        err = fixture_submit(fixture, unit);
        fixture_settle(fixture);
        if (status().disk_full)
            break;
    }
    cr_assert(status().disk_full);
    unit = fixture_unit_new(fixture, WAL_ITEM_BATCH, 100);
    cr_assert_eq(fixture_submit(fixture, unit), SLUICE_E_DISK_FULL);
    unit->unit.reserve = true;
    cr_assert_eq(fixture_submit(fixture, unit), SLUICE_OK);
    sl_sim_disk_set_capacity(fixture->disk, 1u << 20);
    fixture_settle(fixture);
    cr_assert_not(status().disk_full);
}

static void expect_fenced(void)
{
    uint32_t failed = 0;
    for (uint32_t i = 0; i < fixture->unit_count; i++)
        failed += fixture->units[i].err == SLUICE_E_FENCED;
    cr_assert_gt(failed, 0);
    for (uint32_t i = 1; i < fixture->unit_count; i++)
        cr_assert(fixture->units[i - 1].err == SLUICE_OK ||
                      fixture->units[i].err == SLUICE_E_FENCED,
                  "nothing is acknowledged after a failure");
    cr_assert_eq(fixture->fenced, 1);
    struct fixture_unit *late = fixture_unit_new(fixture, WAL_ITEM_BATCH, 10);
    cr_assert_eq(fixture_submit(fixture, late), SLUICE_E_FENCED);
    cr_assert(status().fenced);
}

static void submit_many(void)
{
    for (int i = 0; i < 40; i++) {
        struct fixture_unit *unit = fixture_unit_new(fixture, WAL_ITEM_BATCH, 500);
        if (fixture_submit(fixture, unit) != SLUICE_OK)
            fixture->unit_count--;
        sl_os_sim_step(fixture->os);
    }
    fixture_settle(fixture);
}

Test(wal_commit, a_failed_sync_fences_and_is_never_tried_again)
{
    fixture->limits.spare_segments = 0;
    fixture->faults.sync_fails_after = 4;
    fixture_start(fixture);
    submit_many();
    expect_fenced();
}

Test(wal_commit, a_failed_write_fences)
{
    fixture->limits.spare_segments = 0;
    fixture->faults.write_fails_after = 5;
    fixture_start(fixture);
    submit_many();
    expect_fenced();
}

/* After a sync that failed and a kill: more than `least` units were acknowledged, and no others
 * come back. */
static void expect_the_acknowledged_alone(uint32_t least)
{
    uint32_t acknowledged = 0;
    while (fixture->units[acknowledged].err == SLUICE_OK)
        acknowledged++;
    cr_assert_gt(acknowledged, least);
    fixture_kill(fixture);
    fixture->faults.sync_fails_after = 0;
    fixture_start(fixture);
    cr_assert_eq(fixture->applied_count, acknowledged);
}

Test(wal_commit, what_a_failed_sync_lost_is_cut_at_the_next_start)
{
    fixture->limits.spare_segments = 0;
    fixture->faults.sync_fails_after = 4;
    fixture_start(fixture);
    submit_many();
    expect_the_acknowledged_alone(0);
}

/* None of the frames under that sync says that the one before it was durable, but for the first. */
Test(wal_commit, of_all_frames_that_one_failed_sync_lost_none_comes_back)
{
    fixture->limits.segment_bytes = 1u << 20;
    fixture->limits.bytes_max = 4u << 20;
    fixture->limits.spare_segments = 0;
    fixture->faults.sync_fails_after = 7;
    fixture_start(fixture);
    for (struct fixture_unit *unit = NULL; unit == NULL || unit->err == SLUICE_OK;) {
        for (int i = 0; i < 10; i++) { /* three frames */
            unit = fixture_unit_new(fixture, WAL_ITEM_BATCH, 2000);
            cr_assert_eq(fixture_submit(fixture, unit), SLUICE_OK);
        }
        fixture_settle(fixture);
    }
    expect_the_acknowledged_alone(0);
}

/* No sector of theirs is zero: they are read together with those that were durable. */
Test(wal_commit, what_a_failed_sync_lost_is_not_believed_though_it_was_read_before)
{
    uint32_t item = (uint32_t)wal_item_size(8);
    uint32_t body = 2 * WAL_BLOCK - WAL_FRAME_HEADER - item;
    fixture->limits.spare_segments = 0;
    fixture->faults.sync_fails_after = 8;
    fixture_start(fixture);
    for (struct fixture_unit *unit = NULL; unit == NULL || unit->err == SLUICE_OK;) {
        unit = fixture_unit_new(fixture, WAL_ITEM_BATCH, body);
        cr_assert_eq(fixture_submit(fixture, unit), SLUICE_OK);
        while (!unit->ended && sl_os_sim_step(fixture->os))
            ;
    }
    expect_the_acknowledged_alone(3);
}

Test(wal_commit, close_writes_what_is_pending_and_marks_it_clean)
{
    fixture_start(fixture);
    struct fixture_unit *unit = fixture_unit_new(fixture, WAL_ITEM_BATCH, 10);
    cr_assert_eq(fixture_submit(fixture, unit), SLUICE_OK);
    fixture_close(fixture);
    cr_assert_eq(unit->err, SLUICE_OK);
    fixture_start(fixture);
    cr_assert(fixture->recovery.clean);
    cr_assert_eq(fixture->recovery.epoch, 1);
    cr_assert(fixture_applied(fixture, WAL_ITEM_BATCH, unit->number));
}

static void ignore(void *arg)
{
    (void)arg;
}

Test(wal_commit, nothing_is_taken_after_close)
{
    fixture_start(fixture);
    wal_close(fixture->wal, ignore, NULL);
    struct fixture_unit *unit = fixture_unit_new(fixture, WAL_ITEM_BATCH, 10);
    cr_assert_eq(fixture_submit(fixture, unit), SLUICE_E_STOPPING);
}

/* ---- a commit after one of many waits for company ---- */

static void submit_units(int count)
{
    for (int i = 0; i < count; i++)
        cr_assert_eq(fixture_submit(fixture, fixture_unit_new(fixture, WAL_ITEM_BATCH, 100)),
                     SLUICE_OK);
}

/* A commit of so many, and then of one that came alone: frames given out after some turns. */
static uint64_t frames_soon_after(int count)
{
    fixture_start(fixture);
    submit_units(count);
    fixture_settle(fixture);
    uint64_t before = status().last_lsn;
    submit_units(1);
    for (int i = 0; i < 8; i++)
        cr_assert(sl_os_sim_step(fixture->os));
    return status().last_lsn - before;
}

Test(wal_commit, after_a_commit_of_few_the_next_begins_at_once)
{
    cr_assert_eq(frames_soon_after(15), 1);
}

Test(wal_commit, after_a_commit_of_many_the_next_begins_with_most_of_as_many)
{
    cr_assert_eq(frames_soon_after(20), 0);
    struct wal_status before = status();
    submit_units(14); /* 15 are three quarters */
    while (status().last_lsn == before.last_lsn)
        cr_assert(sl_os_sim_step(fixture->os));
    submit_units(5);
    fixture_settle(fixture);
    cr_assert_eq(fixture->units[34].unit.lsn, before.last_lsn + 1, "with the first of them");
    cr_assert_eq(fixture->units[35].unit.lsn, before.last_lsn + 2);
    cr_assert_eq(status().syncs - before.syncs, 2);
}

Test(wal_commit, who_comes_alone_after_many_waits_less_than_a_millisecond)
{
    cr_assert_eq(frames_soon_after(20), 0);
    int64_t begin_ns = sl_os_mono_ns(fixture->os);
    uint64_t before = status().last_lsn;
    while (status().last_lsn == before)
        cr_assert(sl_os_sim_step(fixture->os));
    cr_assert_leq(sl_os_mono_ns(fixture->os) - begin_ns, 1000000);
}

Test(wal_commit, close_does_not_wait_for_company)
{
    cr_assert_eq(frames_soon_after(20), 0);
    fixture_close(fixture);
    cr_assert_eq(fixture->units[20].err, SLUICE_OK);
    cr_assert(fixture->units[20].ended);
    fixture_start(fixture);
    cr_assert(fixture->recovery.clean);
}

Test(wal_commit, limits_that_contradict_each_other_are_refused)
{
    fixture->limits.frame_bytes_max = FIXTURE_SEGMENT;
    cr_assert_eq(fixture_open(fixture), SLUICE_E_INVALID);
    fixture->limits.frame_bytes_max = 8192;
    fixture->limits.bytes_max = FIXTURE_SEGMENT;
    cr_assert_eq(fixture_open(fixture), SLUICE_E_INVALID);
}
