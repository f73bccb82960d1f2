/* test_upkeep.c: what looks after stored records while they are served: the scrubber, the cut that
 * a backup is made of, and a disk that fills up. */
#include "shard_fixture.h"

#include "extent/extent_set.h"
#include "shard/cut.h"
#include "shard/scrub.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define NOW 1700000000000

static struct fixture f;

static struct shard *home(void)
{
    return fixture_home(&f);
}

static void settle(int steps)
{
    for (int i = 0; i < steps; i++) {
        sl_os_sim_step(f.os);
    }
}

static int64_t fill(const char *topic, int batches, int64_t from)
{
    for (int i = 0; i < batches; i++) {
        struct sluice_produce_result result = {.status = SLUICE_E_LOG_FULL};
        for (int tries = 0; result.status == SLUICE_E_LOG_FULL && tries < 1000; tries++) {
            result = fixture_produce(&f, topic, 0, 500, NOW + from + i * 500);
            settle(result.status == SLUICE_OK ? 0 : 20);
        }
        cr_assert_eq(result.status, SLUICE_OK, "batch %d: %d", i, result.status);
    }
    return from + batches * 500;
}

static struct wal_status log_status(void)
{
    struct wal_status status;
    commit_log_status(home()->log, &status);
    return status;
}

/* ---- scrubbing ---- */

static struct scrub_status scrubbed(void)
{
    struct scrub_status status;
    scrub_status_get(home(), &status);
    return status;
}

static void scrub(void)
{
    uint64_t passes = scrubbed().passes;
    scrub_now(home(), UINT64_C(1) << 40);
    for (int i = 0; i < 100000 && scrubbed().passes == passes; i++) {
        settle(1);
    }
    cr_assert_eq(scrubbed().passes, passes + 1);
}

Test(scrub, a_pass_reads_all_extents_and_sealed_segments_and_keeps_no_pin)
{
    fixture_open_small(&f, 1, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    fill("t", 200, 0);
    settle(2000);
    struct extent_set_status extents;
    extent_set_status_get(home()->extents, &extents);
    cr_assert_gt(extents.extent_count, 2);
    scrub();
    cr_assert_geq(scrubbed().last_bytes, extents.file_bytes);
    cr_assert_eq(scrubbed().last_errors, 0);
    cr_assert_eq(scrub_damaged(home()), 0);
    extent_set_status_get(home()->extents, &extents);
    cr_assert_eq(extents.pins, 0);
    fixture_close(&f);
}

Test(scrub, a_pass_that_is_under_way_when_the_shard_ends_gives_back_its_file)
{
    fixture_open_small(&f, 2, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    fill("t", 100, 0);
    scrub_now(home(), 1); /* a byte a second: it will not end */
    settle(50);
    cr_assert(scrubbed().busy);
    fixture_restart(&f, false);
    cr_assert_not(scrubbed().busy);
    scrub_now(home(), 1);
    settle(5);
    fixture_restart(&f, true);
    fixture_close(&f);
}

Test(scrub, begins_by_itself_and_again_after_the_interval)
{
    fixture_open_small(&f, 3, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    fill("t", 50, 0);
    cr_assert_eq(scrubbed().passes, 0);
    f.settings.scrub_interval_ms = 3600000;
    f.settings.scrub_bytes_per_s = 1 << 30;
    int64_t begin_ms = shard_now_ms(home());
    for (int i = 0; i < 1000000 && scrubbed().passes < 2; i++) {
        settle(1);
    }
    cr_assert_eq(scrubbed().passes, 2);
    int64_t passed_ms = shard_now_ms(home()) - begin_ms;
    cr_assert(passed_ms >= 3600000 && passed_ms < 3 * 3600000, "%ld", (long)passed_ms);
    fixture_close(&f);
}

/* ---- cuts ---- */

struct cutting {
    bool done;
    sl_err err;
    struct cut_result result;
};

static void on_cut(void *arg, sl_err err, const struct cut_result *result)
{
    struct cutting *cutting = arg;
    cutting->done = true;
    cutting->err = err;
    if (err == SLUICE_OK) {
        cutting->result = *result;
    }
}

static void cut(struct cutting *ret_cutting)
{
    *ret_cutting = (struct cutting){.done = false};
    cut_take(home(), on_cut, ret_cutting);
    fixture_run_until(&f, &ret_cutting->done);
}

Test(cut, holds_all_that_was_acknowledged_before_it)
{
    struct cutting cutting;
    fixture_open_small(&f, 4, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    fill("t", 100, 0);
    uint64_t lsn = log_status().last_lsn;
    cut(&cutting);
    cr_assert_eq(cutting.err, SLUICE_OK);
    cr_assert_gt(cutting.result.lsn, lsn);
    cr_assert_eq(cutting.result.lsn, log_status().durable_lsn);
    cr_assert_gt(cutting.result.extent_count, 0);
    cr_assert_leq(cutting.result.first_segment, cutting.result.last_segment);
    cr_assert(cut_release(home(), false));
    sl_free(cutting.result.extents);
    fixture_close(&f);
}

Test(cut, keeps_its_segments_until_they_are_given_back)
{
    struct cutting cutting;
    fixture_open(&f, 5, 1); /* a log with room */
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    int64_t end = fill("t", 50, 0);
    cut(&cutting);
    uint64_t first = log_status().first_segment;
    cr_assert_eq(first, cutting.result.first_segment);
    end = fill("t", 300, end);
    settle(2000);
    cr_assert_eq(log_status().first_segment, first, "it is pinned");
    cr_assert(cut_release(home(), true), "the log was kept");
    cr_assert(cut_release(home(), false));
    sl_free(cutting.result.extents);
    fixture_restart(&f, false);
    cr_assert_eq(fixture_offset(&f, "t", 0, SLUICE_TIME_LATEST).offset, end);
    fixture_close(&f);
}

Test(cut, gives_the_log_up_rather_than_let_it_fill)
{
    struct cutting cutting;
    fixture_open_small(&f, 6, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    int64_t end = fill("t", 20, 0);
    cut(&cutting);
    end = fill("t", 300, end); /* several times round */
    cr_assert_gt(log_status().first_segment, cutting.result.last_segment);
    cr_assert_not(cut_release(home(), true), "the backup must know");
    cr_assert_not(cut_release(home(), false));
    sl_free(cutting.result.extents);
    cut(&cutting);
    cr_assert_eq(cutting.err, SLUICE_OK, "the next one begins anew");
    cr_assert(cut_release(home(), false));
    sl_free(cutting.result.extents);
    cr_assert_eq(fixture_offset(&f, "t", 0, SLUICE_TIME_LATEST).offset, end);
    fixture_close(&f);
}

Test(cut, ends_with_the_shard)
{
    struct cutting cutting;
    fixture_open_small(&f, 7, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    fill("t", 100, 0);
    cut(&cutting);
    sl_free(cutting.result.extents);
    fixture_restart(&f, false); /* in order, although nobody gave anything back */
    cut(&cutting);
    cr_assert_eq(cutting.err, SLUICE_OK);
    sl_free(cutting.result.extents);
    fixture_restart(&f, true);
    fixture_close(&f);
}

struct held_commit {
    bool done;
    sluice_status status;
};

static void on_committed(void *arg, sluice_status status, const sluice_status *entries,
                         uint32_t count)
{
    struct held_commit *committed = arg;
    (void)entries;
    (void)count;
    committed->done = true;
    committed->status = status;
}

Test(cut, offset_commits_wait_while_they_are_held)
{
    struct held_commit committed = {.done = false};
    fixture_open_small(&f, 8, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    fill("t", 1, 0);
    struct sluice_offset_commit_entry entry = {
        .topic = {.name = sluice_text_of("t")}, .leader_epoch = -1, .offset = 7};
    struct sluice_offset_commit commit = {
        .size = sizeof(commit), .entry_count = 1, .entries = &entry};
    commit.identity = (struct sluice_group_identity){
        .size = sizeof(commit.identity), .generation = -1, .group = sluice_text_of("g")};
    cut_hold(home());
    groups_commit(home(), &commit, on_committed, &committed);
    settle(200);
    cr_assert_not(committed.done);
    cr_assert_eq(fixture_produce(&f, "t", 0, 1, NOW).status, SLUICE_OK, "records do not wait");
    cut_resume(home());
    fixture_run_until(&f, &committed.done);
    cr_assert_eq(committed.status, SLUICE_OK);
    fixture_close(&f);
}

/* ---- a disk that fills up ---- */

Test(disk, is_slowed_before_it_is_full_and_sealing_leaves_it_room)
{
    fixture_open_small(&f, 9, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    int64_t end = fill("t", 50, 0);
    const uint64_t total = 1 << 30;
    commit_log_disk_seen(home()->log, total, total / 2);
    cr_assert_eq(seal_throttle_ms(home()), 0);
    commit_log_disk_seen(home()->log, total, total / 1000 * 80); /* 92 % */
    int32_t slow_ms = seal_throttle_ms(home());
    cr_assert(slow_ms > 0 && slow_ms < 100, "%d", slow_ms);
    commit_log_disk_seen(home()->log, total, total / 1000 * 60); /* 94 % */
    cr_assert_gt(seal_throttle_ms(home()), slow_ms);
    commit_log_disk_seen(home()->log, total, total / 1000 * 40);
    cr_assert(log_status().disk_full);
    cr_assert_eq(fixture_produce(&f, "t", 0, 1, NOW).status, SLUICE_E_DISK_FULL);
    commit_log_disk_seen(home()->log, total, total / 1000 * 70);
    cr_assert(log_status().disk_full, "not before it is below 92 %%");
    commit_log_disk_seen(home()->log, total, total / 1000 * 90);
    cr_assert_not(log_status().disk_full);
    cr_assert_eq(fixture_produce(&f, "t", 0, 500, NOW).base_offset, end);
    fixture_close(&f);
}
