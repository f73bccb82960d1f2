/* test_wal_salvage.c: whatever byte is damaged, the result is a sound log with all the rest.
 *
 * The log has units 1 … N, each in a frame of its own, and behind them an IDLE frame that says they
 * are durable. */
#include "wal_fixture.h"

#include "base/bytes.h"
#include "wal/wal_format.h"
#include "wal/wal_inspect.h"

#include <criterion/criterion.h>
#include <string.h>

#define UNITS      6u
#define OUT        "/out/shard-0"
#define OUT_LOG    OUT "/wal"
#define SEGMENT(n) "0000000000000000000" #n ".seg"

static struct fixture *fixture;
static uint32_t found_count;
static uint64_t found[64]; /* numbers of units */
static struct fixture_loss lost;

static void setup(void)
{
    fixture = fixture_new();
    fixture->limits.segment_bytes = 12 * WAL_BLOCK;
    fixture->limits.frame_bytes_max = 2 * WAL_BLOCK;
    fixture->limits.spare_segments = 0;
    fixture->limits.idle_mark_ms = 50;
    fixture->snapshot_number = 77;
}

static void teardown(void)
{
    fixture_free(fixture);
}

TestSuite(wal_salvage, .init = setup, .fini = teardown);

static sl_err on_item(void *arg, uint64_t lsn, const struct wal_item_view *item,
                      const struct wal_place *place)
{
    (void)arg;
    (void)lsn;
    (void)place;
    if (item->kind == WAL_ITEM_BATCH)
        found[found_count++] = sl_le64_load(item->payload.data);
    return SLUICE_OK;
}

/* Salvages, and reads the result whole: it is sound. */
static sl_err salvage(struct wal_salvage_report *report)
{
    static const struct wal_inspect_events inspect = {.item = on_item};
    struct wal_recovery recovery;
    struct sl_os *os;
    cr_assert_eq(sl_os_sim_new(1, fixture->disk, NULL, &os), SLUICE_OK);
    found_count = 0;
    sl_err err = fixture_salvage(os, OUT, &lost, report);
    if (err == SLUICE_OK) {
        sl_err sound = wal_inspect(os, OUT, true, &inspect, NULL, &recovery);
        cr_assert_eq(sound, SLUICE_OK, "%s", recovery.problem);
        cr_assert_eq(recovery.bytes_cut, 0);
        cr_assert_eq(recovery.last_lsn, report->last_lsn);
    }
    static const char *const names[] = {OUT_LOG "/" SEGMENT(1),  OUT_LOG "/" SEGMENT(2),
                                        OUT_LOG "/" SEGMENT(3),  OUT_LOG "/" SEGMENT(4),
                                        OUT_LOG "/checkpoint-0", OUT_LOG "/checkpoint-1"};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        sl_err removed = sl_path_remove(os, names[i]);
        cr_assert(removed == SLUICE_OK || removed == SLUICE_E_NOT_FOUND);
    }
    sl_os_free(os);
    return err;
}

static void write_units(void)
{
    fixture_start(fixture);
    for (uint32_t i = 0; i < UNITS; i++)
        fixture_commit(fixture, WAL_ITEM_BATCH, 100 + i);
    fixture_settle(fixture);
    fixture_power_cut(fixture);
}

Test(wal_salvage, of_a_sound_log_loses_nothing)
{
    struct wal_salvage_report report;
    write_units();
    cr_assert_eq(salvage(&report), SLUICE_OK);
    cr_assert_not(report.has_loss);
    cr_assert_eq(lost.calls, 0);
    cr_assert_eq(found_count, UNITS);
}

Test(wal_salvage, keeps_all_units_but_one_after_a_flip_of_any_byte)
{
    static const char *const names[] = {SEGMENT(1), "checkpoint-0", "checkpoint-1"};
    uint32_t losses = 0;
    write_units();
    for (size_t n = 0; n < SL_COUNT_OF(names); n++) {
        size_t size = 0;
        uint8_t *bytes = fixture_bytes(fixture, names[n], &size);
        for (size_t i = 0; bytes != NULL && i < size; i += (i % WAL_BLOCK < 512 ? 1 : 61)) {
            struct wal_salvage_report report;
            bytes[i] ^= (uint8_t)(1u << (i % 8));
            cr_assert_eq(salvage(&report), SLUICE_OK, "%s byte %zu: %s", names[n], i,
                         report.problem);
            cr_assert_geq(found_count, UNITS - 1, "%s byte %zu", names[n], i);
            cr_assert(found_count == UNITS || report.has_loss, "%s byte %zu", names[n], i);
            for (uint32_t j = 1; j < found_count; j++)
                cr_assert_gt(found[j], found[j - 1]);
            losses += found_count < UNITS;
            bytes[i] ^= (uint8_t)(1u << (i % 8));
        }
    }
    cr_assert_gt(losses, UNITS * 100); /* header, directory and body of each frame */
}

Test(wal_salvage, ends_where_a_torn_tail_begins)
{
    struct wal_salvage_report report;
    fixture->limits.idle_mark_ms = 0; /* nobody says that the last ones are durable */
    fixture_start(fixture);
    for (uint32_t i = 0; i < UNITS; i++)
        fixture_commit(fixture, WAL_ITEM_BATCH, 100);
    fixture_power_cut(fixture);
    size_t size = 0;
    uint8_t *bytes = fixture_bytes(fixture, SEGMENT(1), &size);
    bytes[fixture->units[UNITS - 1].item.place.position] ^= 1; /* the last one */
    cr_assert_eq(salvage(&report), SLUICE_OK);
    cr_assert_eq(found_count, UNITS - 1);
    cr_assert_eq(lost.calls, 0);
}

Test(wal_salvage, tells_which_lsns_are_gone_with_a_segment)
{
    struct wal_salvage_report report;
    struct sl_os *os;
    fixture->snapshot_number = 0;
    write_units();
    fixture_start(fixture); /* a second segment */
    fixture_commit(fixture, WAL_ITEM_BATCH, 100);
    uint64_t second = fixture->units[UNITS].unit.lsn;
    fixture_power_cut(fixture);
    fixture_start(fixture); /* a third */
    fixture_commit(fixture, WAL_ITEM_BATCH, 100);
    fixture_power_cut(fixture);
    cr_assert_eq(sl_os_sim_new(1, fixture->disk, NULL, &os), SLUICE_OK);
    cr_assert_eq(sl_path_remove(os, FIXTURE_LOG "/" SEGMENT(2)), SLUICE_OK);
    sl_os_free(os);
    cr_assert_eq(salvage(&report), SLUICE_OK);
    cr_assert_eq(found_count, UNITS + 1); /* the sixth, and then the eighth */
    cr_assert_eq(found[UNITS], UNITS + 2);
    cr_assert_eq(lost.calls, 1, "%u calls, %llu to %llu", lost.calls,
                 (unsigned long long)lost.first_lsn, (unsigned long long)lost.last_lsn);
    cr_assert(lost.first_lsn <= second && second <= lost.last_lsn);
}

Test(wal_salvage, of_nothing_says_so)
{
    struct wal_salvage_report report;
    cr_assert_neq(salvage(&report), SLUICE_OK);
    cr_assert_neq(report.problem[0], '\0');
}
