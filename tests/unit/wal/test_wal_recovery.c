/* test_wal_recovery.c: what a start finds, cuts, refuses. */
#include "wal_fixture.h"

#include "base/bytes.h"
#include "base/crc32c.h"
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

TestSuite(wal_recovery, .init = setup, .fini = teardown);

#define SEGMENT_1 "00000000000000000001.seg"
#define SEGMENT_2 "00000000000000000002.seg"

static uint8_t *segment_bytes(const char *name)
{
    size_t size = 0;
    uint8_t *bytes = fixture_bytes(fixture, name, &size);
    cr_assert_not_null(bytes, "%s", name);
    return bytes;
}

static void header_seal(uint8_t *header)
{
    sl_le32_store(header + 8, sl_crc32c(header + 12, WAL_HEADER_USED - 12));
}

/* Everything but the log that this start would read stays as it is. */
static void expect_refusal(sl_err wanted, const char *word)
{
    sl_err err = fixture_open(fixture);
    cr_assert_eq(err, wanted, "%d: %s", err, fixture->recovery.problem);
    cr_assert_not_null(strstr(fixture->recovery.problem, word), "%s", fixture->recovery.problem);
}

Test(wal_recovery, a_new_directory_begins_with_epoch_1)
{
    fixture_start(fixture);
    cr_assert_eq(fixture->recovery.epoch, 1);
    cr_assert_eq(fixture->recovery.last_lsn, 0);
    cr_assert_not(fixture->recovery.clean);
}

Test(wal_recovery, the_epoch_rises_at_an_unclean_start_only)
{
    fixture_start(fixture);
    fixture_close(fixture);
    fixture_start(fixture);
    cr_assert_eq(fixture->recovery.epoch, 1);
    fixture_kill(fixture);
    fixture_start(fixture);
    cr_assert_eq(fixture->recovery.epoch, 2);
    fixture_power_cut(fixture);
    fixture_start(fixture);
    cr_assert_eq(fixture->recovery.epoch, 3, "though nothing was written in between");
}

Test(wal_recovery, every_start_begins_a_segment_and_gives_back_the_unused_rest)
{
    fixture_start(fixture);
    struct fixture_unit *unit = fixture_commit(fixture, WAL_ITEM_BATCH, 10);
    fixture_kill(fixture);
    fixture_start(fixture);
    struct fixture_unit *next = fixture_commit(fixture, WAL_ITEM_BATCH, 10);
    cr_assert_eq(next->item.place.segment, unit->item.place.segment + 1);
    size_t size = 0;
    cr_assert_not_null(fixture_bytes(fixture, SEGMENT_1, &size));
    cr_assert_eq(size, 3 * WAL_BLOCK, "header, the first IDLE frame, the unit's");
}

Test(wal_recovery, a_torn_last_frame_is_cut)
{
    fixture_start(fixture);
    fixture_commit(fixture, WAL_ITEM_BATCH, 100);
    struct fixture_unit *last = fixture_commit(fixture, WAL_ITEM_BATCH, 100);
    fixture_power_cut(fixture);
    segment_bytes(SEGMENT_1)[last->item.place.position + 50] ^= 1;
    fixture_start(fixture);
    cr_assert_eq(fixture->applied_count, 1);
    cr_assert_eq(fixture->recovery.bytes_cut, WAL_BLOCK);
    fixture_power_cut(fixture);
    segment_bytes(SEGMENT_1);
    fixture_start(fixture);
    cr_assert_eq(fixture->applied_count, 1, "cut for good");
}

Test(wal_recovery, damage_before_a_claim_is_refused_and_nothing_is_changed)
{
    fixture_start(fixture);
    fixture_commit(fixture, WAL_ITEM_BATCH, 100);
    struct fixture_unit *damaged = fixture_commit(fixture, WAL_ITEM_BATCH, 100);
    fixture_commit(fixture, WAL_ITEM_BATCH, 100);
    fixture_power_cut(fixture);
    static uint8_t before[FIXTURE_SEGMENT];
    uint8_t *bytes = segment_bytes(SEGMENT_1);
    bytes[damaged->item.place.position - 20] ^= 1; /* in its directory */
    memcpy(before, bytes, 5 * WAL_BLOCK);
    expect_refusal(SLUICE_E_CORRUPT, SEGMENT_1);
    cr_assert_not_null(strstr(fixture->recovery.problem, "LSN 3"), "%s", fixture->recovery.problem);
    cr_assert_eq(memcmp(segment_bytes(SEGMENT_1), before, 5 * WAL_BLOCK), 0);
    size_t size = 0;
    cr_assert_null(fixture_bytes(fixture, SEGMENT_2, &size));
}

/* A segment whose last two frames are damaged; only a copy of the second one, `blocks` further on,
 * tells that the first one was durable. */
static uint8_t *claim_far_on(uint32_t blocks)
{
    fixture->limits.reach_bytes = WAL_BLOCK;
    fixture_start(fixture);
    struct fixture_unit *first = fixture_commit(fixture, WAL_ITEM_BATCH, 100);
    struct fixture_unit *second = fixture_commit(fixture, WAL_ITEM_BATCH, 100);
    fixture_power_cut(fixture);
    uint8_t *bytes = segment_bytes(SEGMENT_1);
    uint8_t *claim = bytes + second->item.place.position / WAL_BLOCK * WAL_BLOCK;
    memcpy(claim + (size_t)blocks * WAL_BLOCK, claim, WAL_BLOCK);
    memset(claim, 0, WAL_BLOCK);
    bytes[first->item.place.position - 20] ^= 1;
    return bytes;
}

Test(wal_recovery, what_lies_as_far_as_the_mark_of_a_segment_is_searched_for_claims)
{
    claim_far_on(2);
    expect_refusal(SLUICE_E_CORRUPT, "LSN 2 was durable");
}

Test(wal_recovery, what_lies_beyond_the_mark_of_a_segment_is_not_searched)
{
    claim_far_on(9);
    fixture_start(fixture);
    cr_assert_eq(fixture->applied_count, 0);
    cr_assert_lt(fixture->recovery.bytes_scanned, FIXTURE_SEGMENT / 2);
}

Test(wal_recovery, a_segment_whose_mark_is_damaged_is_searched_to_its_end)
{
    claim_far_on(9)[FIXTURE_SEGMENT - WAL_BLOCK + 50] ^= 1;
    expect_refusal(SLUICE_E_CORRUPT, "LSN 2 was durable");
}

Test(wal_recovery, a_mark_of_the_file_s_earlier_life_says_nothing)
{
    uint8_t *mark = claim_far_on(9) + FIXTURE_SEGMENT - WAL_BLOCK;
    sl_le64_store(mark + 32, 7);
    sl_le32_store(mark + 8, sl_crc32c(mark + 12, WAL_REACH_USED - 12));
    expect_refusal(SLUICE_E_CORRUPT, "LSN 2 was durable");
}

Test(wal_recovery, frames_fill_a_segment_up_to_its_mark)
{
    fixture->limits.reach_bytes = 2 * WAL_BLOCK;
    fixture_start(fixture);
    struct fixture_unit *unit = NULL;
    do
        unit = fixture_commit(fixture, WAL_ITEM_BATCH, 100);
    while (unit->item.place.segment == 1);
    fixture_power_cut(fixture);
    struct wal_reach mark;
    const uint8_t *bytes = segment_bytes(SEGMENT_1) + FIXTURE_SEGMENT - WAL_BLOCK;
    cr_assert_eq(wal_reach_decode(bytes, &mark), SLUICE_OK);
    cr_assert_eq(mark.seq, 1);
    cr_assert_eq(mark.reach, FIXTURE_SEGMENT - WAL_BLOCK);
    fixture_start(fixture);
    cr_assert_eq(fixture->applied_count, FIXTURE_SEGMENT / WAL_BLOCK - 2);
}

Test(wal_recovery, the_mark_of_a_segment_is_ahead_by_as_much_as_a_sync_carried)
{
    fixture->limits.reach_bytes = WAL_BLOCK;
    fixture_start(fixture);
    struct fixture_unit *unit = fixture_commit(fixture, WAL_ITEM_BATCH, 2 * WAL_BLOCK);
    fixture_power_cut(fixture);
    struct wal_reach mark;
    const uint8_t *bytes = segment_bytes(SEGMENT_1) + FIXTURE_SEGMENT - WAL_BLOCK;
    cr_assert_eq(wal_reach_decode(bytes, &mark), SLUICE_OK);
    uint64_t end = unit->item.place.position / WAL_BLOCK * WAL_BLOCK + 3 * WAL_BLOCK;
    cr_assert_eq(mark.reach, end + 5 * WAL_BLOCK);
}

Test(wal_recovery, a_damaged_body_that_a_later_frame_claims_is_left_to_its_reader)
{
    fixture_start(fixture);
    struct fixture_unit *damaged = fixture_commit(fixture, WAL_ITEM_BATCH, 100);
    fixture_commit(fixture, WAL_ITEM_BATCH, 100);
    fixture_power_cut(fixture);
    segment_bytes(SEGMENT_1)[damaged->item.place.position] ^= 1;
    fixture_start(fixture);
    cr_assert_eq(fixture->applied_count, 2);
    cr_assert_leq(fixture->recovery.bodies_verified, 1);
}

Test(wal_recovery, damage_in_a_segment_that_the_next_one_ends_is_refused)
{
    fixture_start(fixture);
    struct fixture_unit *last = fixture_commit(fixture, WAL_ITEM_OFFSET_COMMIT, 0);
    fixture_kill(fixture);
    fixture_start(fixture);
    fixture_kill(fixture);
    (void)last;
    segment_bytes(SEGMENT_1)[2 * WAL_BLOCK + 130] ^= 1;
    expect_refusal(SLUICE_E_CORRUPT, SEGMENT_1);
}

Test(wal_recovery, a_missing_segment_is_refused)
{
    fixture_start(fixture);
    for (int i = 0; i < 20; i++)
        fixture_commit(fixture, WAL_ITEM_BATCH, 12000);
    sl_err err = sl_path_remove(fixture->os, FIXTURE_LOG "/" SEGMENT_2);
    cr_assert_eq(err, SLUICE_OK);
    fixture_kill(fixture);
    expect_refusal(SLUICE_E_CORRUPT, SEGMENT_2 " is missing");
}

Test(wal_recovery, a_renamed_segment_is_refused)
{
    fixture_start(fixture);
    for (int i = 0; i < 10; i++)
        fixture_commit(fixture, WAL_ITEM_BATCH, 12000);
    sl_err err = sl_path_rename(fixture->os, FIXTURE_LOG "/" SEGMENT_1, FIXTURE_LOG "/" SEGMENT_2);
    cr_assert_eq(err, SLUICE_OK);
    fixture_kill(fixture);
    expect_refusal(SLUICE_E_CORRUPT, "seg");
}

Test(wal_recovery, another_clusters_files_are_refused)
{
    fixture_start(fixture);
    fixture_kill(fixture);
    fixture->cluster.b[0] = 10;
    expect_refusal(SLUICE_E_FOREIGN, "another cluster");
}

Test(wal_recovery, another_shards_files_are_refused)
{
    fixture_start(fixture);
    fixture_kill(fixture);
    fixture->shard = 4;
    expect_refusal(SLUICE_E_FOREIGN, "shard 0, not 4");
}

Test(wal_recovery, a_newer_major_is_refused_by_name)
{
    fixture_start(fixture);
    fixture_kill(fixture);
    uint8_t *header = segment_bytes(SEGMENT_1);
    sl_le16_store(header + 12, WAL_FORMAT_MAJOR + 1);
    header_seal(header);
    expect_refusal(SLUICE_E_NEWER_FORMAT, "newer version");
}

Test(wal_recovery, an_unknown_incompatible_feature_is_refused)
{
    fixture_start(fixture);
    fixture_kill(fixture);
    uint8_t *header = segment_bytes(SEGMENT_1);
    header[24] = 1;
    header_seal(header);
    expect_refusal(SLUICE_E_NEWER_FORMAT, "newer version");
}

Test(wal_recovery, a_compatible_feature_or_minor_is_not)
{
    fixture_start(fixture);
    fixture_kill(fixture);
    uint8_t *header = segment_bytes(SEGMENT_1);
    header[14] = 7;
    header[16] = 1;
    header_seal(header);
    fixture_start(fixture);
}

Test(wal_recovery, an_unknown_item_is_skipped_only_when_it_may_be)
{
    fixture_start(fixture);
    struct fixture_unit *unit = fixture_unit_new(fixture, 900, 0);
    unit->item.flags = WAL_ITEM_MAY_SKIP;
    cr_assert_eq(fixture_submit(fixture, unit), SLUICE_OK);
    fixture_settle(fixture);
    fixture_kill(fixture);
    fixture_start(fixture);
    cr_assert_eq(fixture->applied_count, 0);
    fixture_commit(fixture, 901, 0);
    fixture_kill(fixture);
    expect_refusal(SLUICE_E_NEWER_FORMAT, "kind 901");
}

/* Fills segments so that a seal takes a checkpoint. */
static void seal(void)
{
    uint32_t snapshots = fixture->snapshots;
    while (fixture->snapshots == snapshots) {
        fixture_commit(fixture, WAL_ITEM_BATCH, 12000);
        fixture_settle(fixture);
    }
}

Test(wal_recovery, a_checkpoint_stands_for_the_state_before_it_but_not_for_batches)
{
    fixture_start(fixture);
    fixture_settle(fixture);
    struct fixture_unit *state = fixture_commit(fixture, WAL_ITEM_OFFSET_COMMIT, 0);
    struct fixture_unit *batch = fixture_commit(fixture, WAL_ITEM_BATCH, 50);
    fixture->snapshot_number = 4711;
    seal();
    struct fixture_unit *later = fixture_commit(fixture, WAL_ITEM_OFFSET_COMMIT, 0);
    fixture_power_cut(fixture);
    fixture_start(fixture);
    cr_assert_gt(fixture->recovery.checkpoint_lsn, state->unit.lsn);
    cr_assert_eq(fixture->applied[0].number, 4711, "the checkpoint comes first");
    cr_assert_not(fixture_applied(fixture, WAL_ITEM_OFFSET_COMMIT, state->number));
    cr_assert(fixture_applied(fixture, WAL_ITEM_BATCH, batch->number));
    cr_assert(fixture_applied(fixture, WAL_ITEM_OFFSET_COMMIT, later->number));
}

Test(wal_recovery, a_damaged_newest_checkpoint_yields_to_the_one_before)
{
    fixture_start(fixture);
    fixture->snapshot_number = 1;
    struct fixture_unit *state = fixture_commit(fixture, WAL_ITEM_OFFSET_COMMIT, 0);
    fixture_settle(fixture);
    fixture->snapshot_number = 2;
    seal();
    fixture_power_cut(fixture);
    size_t size = 0;
    uint8_t *one = fixture_bytes(fixture, "checkpoint-0", &size);
    uint8_t *other = fixture_bytes(fixture, "checkpoint-1", &size);
    uint8_t *newest =
        sl_le64_load(one + 56) > sl_le64_load(other + 56) ? one : other; /* by generation */
    newest[size - 1] ^= 1;
    fixture_start(fixture);
    cr_assert(fixture_applied(fixture, WAL_ITEM_STAGE_POSITION, 1));
    cr_assert_not(fixture_applied(fixture, WAL_ITEM_STAGE_POSITION, 2));
    (void)state;
}

Test(wal_recovery, a_log_whose_checkpoints_are_gone_is_refused_once_segments_were_recycled)
{
    fixture_start(fixture);
    struct fixture_unit *unit = NULL;
    for (int i = 0; i < 30; i++) {
        unit = fixture_commit(fixture, WAL_ITEM_BATCH, 12000);
        wal_release(fixture->wal, unit->item.place.segment);
        fixture_settle(fixture);
    }
    cr_assert_eq(sl_path_remove(fixture->os, FIXTURE_LOG "/checkpoint-0"), SLUICE_OK);
    cr_assert_eq(sl_path_remove(fixture->os, FIXTURE_LOG "/checkpoint-1"), SLUICE_OK);
    fixture_kill(fixture);
    expect_refusal(SLUICE_E_CORRUPT, "missing");
}

Test(wal_recovery, released_segments_do_not_come_back)
{
    fixture_start(fixture);
    struct fixture_unit *unit = NULL;
    for (int i = 0; i < 40; i++) {
        unit = fixture_commit(fixture, WAL_ITEM_BATCH, 12000);
        wal_release(fixture->wal, unit->item.place.segment);
        fixture_settle(fixture);
    }
    fixture_power_cut(fixture);
    fixture_start(fixture);
    cr_assert_leq(fixture->applied_count, 16);
    cr_assert(fixture_applied(fixture, WAL_ITEM_BATCH, unit->number));
}

static void count_name(void *arg, const char *name, bool is_directory)
{
    (void)name;
    (void)is_directory;
    ++*(uint32_t *)arg;
}

static uint32_t count_files(void)
{
    uint32_t count = 0;
    struct sl_os *os = NULL;
    const struct sl_sim_faults none = {0};
    cr_assert_eq(sl_os_sim_new(1, fixture->disk, &none, &os), SLUICE_OK);
    cr_assert_eq(sl_dir_list(os, FIXTURE_LOG, count_name, &count), SLUICE_OK);
    sl_os_free(os);
    return count;
}

Test(wal_recovery, an_owner_that_refuses_leaves_the_log_as_it_was)
{
    fixture_start(fixture);
    cr_assert_eq(fixture->recovered_count, 1);
    struct fixture_unit *unit = fixture_commit(fixture, WAL_ITEM_BATCH, 100);
    fixture_kill(fixture);
    uint32_t before = count_files();
    fixture->recovered_result = SLUICE_E_CORRUPT;
    cr_assert_eq(fixture_open(fixture), SLUICE_E_CORRUPT);
    cr_assert_str_eq(fixture->recovery.problem, "the owner refuses");
    cr_assert_eq(fixture->recovered_count, 2);
    cr_assert_eq(count_files(), before);
    fixture->recovered_result = SLUICE_OK;
    fixture_start(fixture);
    cr_assert(fixture_applied(fixture, WAL_ITEM_BATCH, unit->number));
}
