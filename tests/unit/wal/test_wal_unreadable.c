/* test_wal_unreadable.c: bytes of the log that cannot be read, try as one may (a bad sector).
 *
 * The log has units 1 … N, each in a frame of its own that says that the ones before are durable.
 * What a start needs is refused by name, place and reason, and nothing is changed; what it does not
 * need is left to its readers. Never is the log shorter than before. */
#include "wal_fixture.h"

#include "base/bytes.h"
#include "wal/wal_format.h"
#include "wal/wal_inspect.h"
#include "wal/wal_scan.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define UNITS      150u
#define BODY       3900u /* with its header and directory nearly a block: data without holes */
#define SECTOR     512u
#define SEGMENT(n) "0000000000000000000" #n ".seg"
#define READS_MAX  4u /* of the bad place, by one start: ahead, the frame, what is asked for */

static struct fixture *fixture;
static struct wal_recovery report;
static uint64_t batch_count;

static void setup(void)
{
    fixture = fixture_new();
    fixture->limits.segment_bytes = 1u << 20;
    fixture->limits.bytes_max = 8u << 20;
    fixture->limits.frame_bytes_max = 900u << 10;
    fixture->limits.spare_segments = 0;
}

static void teardown(void)
{
    fixture_free(fixture);
}

TestSuite(wal_unreadable, .init = setup, .fini = teardown);

static void spoil(const char *name, uint64_t position, uint64_t size)
{
    char path[256];
    snprintf(path, sizeof path, FIXTURE_LOG "/%s", name);
    sl_sim_disk_spoil(fixture->disk, path, position, size);
}

static sl_err on_item(void *arg, uint64_t lsn, const struct wal_item_view *item,
                      const struct wal_place *place)
{
    (void)arg;
    (void)lsn;
    (void)place;
    if (item->kind == WAL_ITEM_BATCH)
        cr_assert_eq(sl_le64_load(item->payload.data), ++batch_count, "units come in order");
    return SLUICE_OK;
}

/* What a start would say; nothing is written, so that one disk serves many. */
static sl_err recover_dry(bool bodies)
{
    static const struct wal_inspect_events events = {.item = on_item};
    struct sl_os *os;
    cr_assert_eq(sl_os_sim_new(1, fixture->disk, NULL, &os), SLUICE_OK);
    batch_count = 0;
    sl_err err = wal_inspect(os, FIXTURE_DIRECTORY, bodies, &events, NULL, &report);
    sl_os_free(os);
    return err;
}

/* Names the file, bytes that the bad place lies in, the reason and the way out. */
static void expect_told(const char *problem, const char *name, uint64_t position)
{
    size_t size = 0;
    uint64_t told = 0;
    const char *file = strstr(problem, name);
    cr_assert_not_null(file, "%s: %s", name, problem);
    int found =
        sscanf(file + strlen(name), ": %zu bytes at position %lu cannot be read", &size, &told);
    cr_assert_eq(found, 2, "%s", problem);
    cr_assert(told <= position && position < told + size, "%lu: %s", (unsigned long)position,
              problem);
    cr_assert_leq(size, 64u << 10, "%s", problem);
    cr_assert_not_null(strstr(problem, "wal salvage"), "%s", problem);
    cr_assert_not_null(strstr(problem, "nothing was changed"), "%s", problem);
}

static void expect_refused(const char *name, uint64_t position)
{
    uint64_t before = sl_sim_disk_spoilt_reads(fixture->disk);
    cr_assert_eq(recover_dry(false), SLUICE_E_CORRUPT, "%s at %lu: %lu units", name,
                 (unsigned long)position, (unsigned long)batch_count);
    expect_told(report.problem, name, position);
    cr_assert_leq(sl_sim_disk_spoilt_reads(fixture->disk) - before, READS_MAX, "%s at %lu", name,
                  (unsigned long)position);
}

static void expect_all(uint32_t units, const char *name, uint64_t position)
{
    uint64_t before = sl_sim_disk_spoilt_reads(fixture->disk);
    cr_assert_eq(recover_dry(false), SLUICE_OK, "%s at %lu: %s", name, (unsigned long)position,
                 report.problem);
    cr_assert_eq(batch_count, units, "%s at %lu", name, (unsigned long)position);
    cr_assert_leq(sl_sim_disk_spoilt_reads(fixture->disk) - before, READS_MAX, "%s at %lu", name,
                  (unsigned long)position);
}

static uint64_t frame_of(const struct fixture_unit *unit)
{
    return unit->item.place.position / WAL_BLOCK * WAL_BLOCK;
}

static void units_write(uint32_t count, uint32_t body)
{
    for (uint32_t i = 0; i < count; i++)
        fixture_commit(fixture, WAL_ITEM_BATCH, body);
    fixture_power_cut(fixture);
}

/* Head and body of each frame, and of the bodies that of the last one alone: nobody knew it
 * durable. */
static void sweep(const char *name, uint32_t first, uint32_t end, uint32_t all, bool is_last)
{
    for (uint32_t i = first; i < end; i++) {
        uint64_t frame = frame_of(&fixture->units[i]);
        spoil(name, frame, SECTOR);
        expect_refused(name, frame);
        spoil(name, frame + 5 * SECTOR, SECTOR);
        if (is_last && i + 1 == end)
            expect_refused(name, frame + 5 * SECTOR);
        else
            expect_all(all, name, frame + 5 * SECTOR);
    }
    spoil(name, 0, 0);
}

Test(wal_unreadable, what_a_start_needs_of_the_last_segment_is_refused_and_the_rest_left)
{
    fixture_start(fixture);
    units_write(UNITS, BODY);
    sweep(SEGMENT(1), 0, UNITS, UNITS, true);
    cr_assert_eq(recover_dry(false), SLUICE_OK);
    cr_assert_eq(batch_count, UNITS);
}

Test(wal_unreadable, what_a_start_needs_of_a_sealed_segment_is_refused_and_the_rest_left)
{
    fixture_start(fixture);
    units_write(UNITS, BODY);
    fixture_start(fixture);
    units_write(3, BODY);
    sweep(SEGMENT(1), 0, UNITS, UNITS + 3, false);
    sweep(SEGMENT(2), UNITS, UNITS + 3, UNITS + 3, true);
}

Test(wal_unreadable, a_segment_whose_header_cannot_be_read_is_refused)
{
    fixture_start(fixture);
    units_write(3, BODY);
    fixture_start(fixture);
    units_write(3, BODY);
    spoil(SEGMENT(1), 0, SECTOR);
    expect_refused(SEGMENT(1), 0);
    spoil(SEGMENT(1), 0, 0);
    spoil(SEGMENT(2), 0, SECTOR);
    expect_refused(SEGMENT(2), 0);
    spoil(SEGMENT(2), WAL_SEGMENT_HEADER, SECTOR); /* read along with it */
    expect_refused(SEGMENT(2), WAL_SEGMENT_HEADER);
}

Test(wal_unreadable, the_middle_of_a_large_frame_is_needed_only_where_nobody_knew_it_durable)
{
    fixture_start(fixture);
    fixture->limits.group_bytes_max = 512u << 10;
    units_write(3, 300u << 10);
    for (uint32_t i = 0; i < 3; i++) {
        const struct fixture_unit *unit = &fixture->units[i];
        const char *name = unit->item.place.segment == 1 ? SEGMENT(1) : SEGMENT(2);
        uint64_t middle = frame_of(unit) + (150u << 10);
        spoil(name, middle, SECTOR);
        if (i == 2)
            expect_refused(name, middle);
        else
            expect_all(3, name, middle);
        spoil(name, frame_of(unit) + 5 * SECTOR, SECTOR); /* read along with its head */
        if (i < 2)
            expect_all(3, name, middle);
        spoil(name, 0, 0);
    }
}

/* Bytes of an earlier life of the file, behind the last frame. */
static uint64_t remains_put(uint32_t blocks)
{
    size_t size = 0;
    uint8_t *bytes = fixture_bytes(fixture, SEGMENT(1), &size);
    uint64_t end = frame_of(&fixture->units[fixture->unit_count - 1]) + WAL_BLOCK;
    cr_assert_leq(end + (uint64_t)blocks * WAL_BLOCK, size);
    memset(bytes + end, 0xee, (size_t)blocks * WAL_BLOCK);
    return end;
}

Test(wal_unreadable, what_is_searched_behind_the_last_frame_is_refused)
{
    fixture->limits.reach_bytes = 160 * WAL_BLOCK; /* where there is a mark, all is allocated */
    fixture_start(fixture);
    units_write(3, BODY);
    uint64_t end = remains_put(140);
    expect_all(3, SEGMENT(1), 0);
    static const uint32_t blocks[] = {0, 1, 63, 64, 100, 139};
    for (size_t i = 0; i < SL_COUNT_OF(blocks); i++) {
        spoil(SEGMENT(1), end + (uint64_t)blocks[i] * WAL_BLOCK, SECTOR);
        expect_refused(SEGMENT(1), end + (uint64_t)blocks[i] * WAL_BLOCK);
    }
}

Test(wal_unreadable, what_lies_beyond_the_mark_of_a_segment_is_of_no_interest)
{
    fixture->limits.reach_bytes = 16 * WAL_BLOCK;
    fixture_start(fixture);
    units_write(3, BODY);
    uint64_t end = remains_put(140);
    spoil(SEGMENT(1), end + 60 * WAL_BLOCK, 10 * WAL_BLOCK);
    expect_all(3, SEGMENT(1), end + 60 * WAL_BLOCK);
    spoil(SEGMENT(1), end + 8 * WAL_BLOCK, SECTOR);
    expect_refused(SEGMENT(1), end + 8 * WAL_BLOCK);
    spoil(SEGMENT(1), (1u << 20) - WAL_BLOCK, SECTOR); /* the mark: then all is searched */
    expect_refused(SEGMENT(1), (1u << 20) - WAL_BLOCK);
}

Test(wal_unreadable, who_verifies_all_is_told_of_a_body_too)
{
    fixture_start(fixture);
    units_write(UNITS, BODY);
    uint64_t body = frame_of(&fixture->units[70]) + 5 * SECTOR;
    spoil(SEGMENT(1), body, SECTOR);
    cr_assert_eq(recover_dry(true), SLUICE_E_CORRUPT);
    expect_told(report.problem, SEGMENT(1), body);
}

/* The sweeps above read only; here the log itself starts. */
Test(wal_unreadable, a_start_that_is_refused_changes_nothing)
{
    static uint8_t before[1u << 20];
    fixture_start(fixture);
    units_write(UNITS, BODY);
    size_t size = 0;
    uint8_t *bytes = fixture_bytes(fixture, SEGMENT(1), &size);
    memcpy(before, bytes, size);
    uint64_t last = frame_of(&fixture->units[UNITS - 1]);
    spoil(SEGMENT(1), last, SECTOR);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(fixture_open(fixture), SLUICE_E_CORRUPT, "try %d", i);
        expect_told(fixture->recovery.problem, SEGMENT(1), last);
    }
    cr_assert_null(fixture_bytes(fixture, SEGMENT(2), &(size_t){0}));
    cr_assert_eq(memcmp(fixture_bytes(fixture, SEGMENT(1), &size), before, size), 0);
    spoil(SEGMENT(1), 0, 0); /* the disk thinks better of it */
    fixture_start(fixture);
    cr_assert_eq(fixture->applied_count, UNITS);
}

/* ---- checkpoints ---- */

static const char *newest_checkpoint(void)
{
    size_t size = 0;
    const uint8_t *one = fixture_bytes(fixture, "checkpoint-0", &size);
    const uint8_t *other = fixture_bytes(fixture, "checkpoint-1", &size);
    cr_assert(one != NULL && other != NULL);
    return sl_le64_load(one + 56) > sl_le64_load(other + 56) ? "checkpoint-0" : "checkpoint-1";
}

static void two_checkpoints(void)
{
    fixture_start(fixture);
    fixture->snapshot_number = 1;
    fixture_commit(fixture, WAL_ITEM_OFFSET_COMMIT, 0);
    fixture_settle(fixture);
    fixture_kill(fixture);
    fixture->snapshot_number = 2;
    fixture_start(fixture);
    fixture_settle(fixture);
}

Test(wal_unreadable, the_older_checkpoint_stands_for_one_that_cannot_be_read)
{
    static const uint64_t places[] = {0, WAL_CHECKPOINT_HEADER};
    for (size_t i = 0; i < SL_COUNT_OF(places); i++) {
        two_checkpoints();
        fixture_power_cut(fixture);
        spoil(newest_checkpoint(), places[i], 8);
        fixture_start(fixture);
        cr_assert_eq(fixture->recovery.checkpoints_damaged, 1);
        cr_assert(fixture_applied(fixture, WAL_ITEM_STAGE_POSITION, 1));
        cr_assert_not(fixture_applied(fixture, WAL_ITEM_STAGE_POSITION, 2));
        fixture_settle(fixture); /* the next one takes its place */
        fixture_power_cut(fixture);
        fixture_start(fixture);
        cr_assert_eq(fixture->recovery.checkpoints_damaged, 0);
        teardown();
        setup();
    }
}

Test(wal_unreadable, a_log_that_lacks_what_an_unreadable_checkpoint_made_free_is_refused)
{
    fixture->limits.segment_bytes = FIXTURE_SEGMENT;
    fixture->limits.frame_bytes_max = 32768;
    fixture_start(fixture);
    for (int i = 0; i < 30; i++) {
        struct fixture_unit *unit = fixture_commit(fixture, WAL_ITEM_BATCH, 12000);
        wal_release(fixture->wal, unit->item.place.segment);
        fixture_settle(fixture);
    }
    fixture_kill(fixture);
    spoil("checkpoint-0", 0, 8);
    spoil("checkpoint-1", 0, 8);
    cr_assert_eq(fixture_open(fixture), SLUICE_E_CORRUPT);
    const char *problem = fixture->recovery.problem;
    cr_assert_not_null(strstr(problem, "a checkpoint cannot be read"), "%s", problem);
    cr_assert_not_null(strstr(problem, "wal salvage"), "%s", problem);
}

/* ---- salvage ---- */

static struct fixture_loss lost;

static void salvage(struct wal_salvage_report *ret_report)
{
    struct sl_os *os;
    cr_assert_eq(sl_os_sim_new(1, fixture->disk, NULL, &os), SLUICE_OK);
    sl_err err = fixture_salvage(os, NULL, &lost, ret_report);
    cr_assert_eq(err, SLUICE_OK, "%s", ret_report->problem);
    sl_os_free(os);
}

Test(wal_unreadable, a_salvage_keeps_the_frames_around_and_tells_of_each_that_it_cannot_read)
{
    struct wal_salvage_report found;
    fixture_start(fixture);
    units_write(UNITS, BODY);
    for (uint32_t i = 0; i < UNITS; i += 7) {
        spoil(SEGMENT(1), frame_of(&fixture->units[i]), SECTOR);
        salvage(&found);
        cr_assert(found.has_loss);
        cr_assert_eq(lost.calls, 1);
        cr_assert_eq(found.frames_kept, UNITS, "the first IDLE one is kept too");
    }
}

Test(wal_unreadable, a_salvage_tells_of_a_place_behind_the_last_frame_that_it_cannot_read)
{
    struct wal_salvage_report found;
    fixture_start(fixture);
    units_write(3, BODY);
    uint64_t last = frame_of(&fixture->units[2]);
    spoil(SEGMENT(1), last, SECTOR);
    salvage(&found);
    cr_assert(found.has_loss);
    cr_assert_eq(lost.calls, 1);
    char place[64];
    snprintf(place, sizeof place, SEGMENT(1) " at position %lu", (unsigned long)last);
    cr_assert_not_null(strstr(lost.where, place), "%s", lost.where);
}

Test(wal_unreadable, a_salvage_reads_around_what_it_cannot_read_of_a_frame)
{
    struct wal_salvage_report found;
    fixture->limits.group_bytes_max = 64u << 10;
    fixture_start(fixture);
    struct fixture_unit *two[] = {fixture_unit_new(fixture, WAL_ITEM_BATCH, 3 * BODY),
                                  fixture_unit_new(fixture, WAL_ITEM_OFFSET_COMMIT, 0)};
    cr_assert_eq(fixture_submit(fixture, two[0]), SLUICE_OK);
    cr_assert_eq(fixture_submit(fixture, two[1]), SLUICE_OK);
    fixture_settle(fixture);
    cr_assert_eq(two[0]->unit.lsn, two[1]->unit.lsn, "one frame");
    fixture_power_cut(fixture);
    spoil(SEGMENT(1), frame_of(two[0]) + WAL_BLOCK + SECTOR, SECTOR);
    salvage(&found);
    cr_assert(found.has_loss);
    cr_assert_eq(found.items_left_out, 1, "its body; the commit is kept");
    cr_assert_eq(found.frames_lost, 0);
}
