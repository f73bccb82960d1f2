/* test_seal.c: records move from the log into extents, and nobody can tell but by the files. */
#include "shard_fixture.h"

#include "extent/extent_set.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define NOW 1700000000000

static struct fixture f;

static struct shard *home(void)
{
    return fixture_home(&f);
}

static struct seal_status sealed(void)
{
    struct seal_status status;
    seal_status_get(home(), &status);
    return status;
}

static struct extent_set_status extents(void)
{
    struct extent_set_status status;
    extent_set_status_get(home()->extents, &status);
    return status;
}

static void settle(int steps)
{
    for (int i = 0; i < steps; i++) {
        sl_os_sim_step(f.os);
    }
}

/* Batches of 500 records with rising times; returns how many records. The log may be full for a
 * moment. */
static int64_t fill(const char *topic, int32_t partition, int batches, int64_t from)
{
    for (int i = 0; i < batches; i++) {
        struct sluice_produce_result result = {.status = SLUICE_E_LOG_FULL};
        for (int tries = 0; result.status == SLUICE_E_LOG_FULL && tries < 1000; tries++) {
            result = fixture_produce(&f, topic, partition, 500, NOW + from + i * 500);
            settle(result.status == SLUICE_OK ? 0 : 20);
        }
        cr_assert_eq(result.status, SLUICE_OK, "batch %d: %d", i, result.status);
        cr_assert_eq(result.base_offset, from + i * 500);
    }
    return from + batches * 500;
}

static void expect_all(const char *topic, int32_t partition, int64_t from, int64_t end)
{
    static struct fetched fetched;
    while (from < end) {
        fixture_fetch(&f, topic, partition, from, &fetched);
        cr_assert_eq(fetched.result.status, SLUICE_OK, "at %ld: %d", (long)from,
                     fetched.result.status);
        cr_assert_leq(fetched.first_offset, from);
        cr_assert_gt(fetched.next_offset, from, "nothing at %ld", (long)from);
        from = fetched.next_offset;
    }
    cr_assert_eq(from, end);
}

static bool count_promoted(void *arg, const struct extent_item *item, uint64_t live_bytes)
{
    (void)live_bytes;
    *(uint64_t *)arg += item->promoted;
    return true;
}

Test(seal, a_log_that_is_written_round_and_round_keeps_every_record)
{
    fixture_open_small(&f, 1, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    int64_t end = fill("t", 0, 400, 0); /* 2 MB and more through a log of 512 KiB */
    struct wal_status log;
    commit_log_status(home()->log, &log);
    cr_assert_gt(log.first_segment, 20, "segments are recycled");
    cr_assert_leq(log.bytes_used, log.bytes_max);
    cr_assert_gt(sealed().jobs, 5);
    cr_assert_eq(sealed().failures, 0);
    cr_assert_gt(extents().live_bytes, 1u << 20);
    expect_all("t", 0, 0, end);
    cr_assert_eq(extents().pins, 0);
    fixture_restart(&f, false);
    cr_assert_eq(fixture_offset(&f, "t", 0, SLUICE_TIME_EARLIEST).offset, 0);
    cr_assert_eq(fixture_offset(&f, "t", 0, SLUICE_TIME_LATEST).offset, end);
    expect_all("t", 0, 0, end);
    end = fill("t", 0, 100, end);
    fixture_restart(&f, true);
    expect_all("t", 0, 0, end);
    fixture_close(&f);
}

Test(seal, many_small_streams_share_a_file_and_are_told_apart)
{
    int64_t end[16] = {0};
    fixture_open_small(&f, 2, 1);
    fixture_create_topic(&f, "t", 16, NULL, NULL);
    for (int round = 0; round < 20; round++) {
        for (int32_t p = 0; p < 16; p++) {
            end[p] = fill("t", p, 1, end[p]);
        }
    }
    cr_assert_gt(sealed().jobs, 3);
    cr_assert_eq(sealed().extents, sealed().jobs, "one file a job");
    for (int32_t p = 0; p < 16; p++) {
        expect_all("t", p, 0, end[p]);
    }
    fixture_restart(&f, true);
    for (int32_t p = 0; p < 16; p++) {
        expect_all("t", p, 0, end[p]);
    }
    fixture_close(&f);
}

Test(seal, a_large_stream_gets_a_file_of_its_own)
{
    fixture_open_small(&f, 3, 1);
    fixture_create_topic(&f, "t", 2, NULL, NULL);
    int64_t large = 0, little = 0;
    for (int round = 0; round < 10; round++) {
        large = fill("t", 0, 10, large);
        little = fill("t", 1, 1, little);
    }
    cr_assert_gt(sealed().extents, sealed().jobs);
    expect_all("t", 0, 0, large);
    expect_all("t", 1, 0, little);
    fixture_close(&f);
}

Test(seal, times_and_epochs_are_right_across_the_border)
{
    fixture_open_small(&f, 4, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    int64_t first = fill("t", 0, 100, 0);
    int32_t epoch = shard_epoch(home());
    fixture_restart(&f, true);
    int64_t end = fill("t", 0, 100, first);
    for (int64_t offset = 0; offset < end; offset += 777) {
        struct sluice_offset_answer answer = fixture_offset(&f, "t", 0, NOW + offset);
        cr_assert_eq(answer.status, SLUICE_OK);
        cr_assert_eq(answer.offset, offset);
        cr_assert_eq(answer.timestamp, NOW + offset);
    }
    cr_assert_eq(fixture_offset(&f, "t", 0, SLUICE_TIME_MAX_TIMESTAMP).offset, end - 1);
    struct topic *topic = catalog_by_name(home()->catalog, sl_bytes_of_text("t"));
    struct partition *partition = partition_find(topic, 0);
    int32_t found = 0;
    cr_assert_eq(stream_index_epoch_end(&partition->index, epoch, &found), first);
    cr_assert_eq(found, epoch);
    cr_assert_eq(stream_index_epoch_end(&partition->index, epoch + 1, &found), end);
    fixture_close(&f);
}

Test(seal, reads_from_the_disk_go_on_while_records_move)
{
    static struct fetched fetched;
    fixture_open_small(&f, 5, 1);
    f.faults.reads_are_cold = true;
    fixture_restart(&f, false);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    int64_t end = 0;
    int64_t at = 0;
    for (int round = 0; round < 60; round++) {
        struct produced produced;
        uint8_t bytes[32768];
        size_t size = fixture_batch(bytes, sizeof(bytes), 500, NOW, -1, -1, -1);
        fixture_produce_start(&f, "t", 0, (struct sluice_bytes){bytes, size}, &produced);
        if (at < end) {
            fixture_fetch(&f, "t", 0, at, &fetched);
            cr_assert_eq(fetched.result.status, SLUICE_OK);
            cr_assert_gt(fetched.next_offset, at);
            at = at + 1300 < end ? at + 1300 : 0;
        }
        fixture_run_until(&f, &produced.done);
        end += produced.result.status == SLUICE_OK ? 500 : 0;
    }
    cr_assert_gt(sealed().jobs, 0);
    expect_all("t", 0, 0, end);
    cr_assert_eq(extents().pins, 0);
    fixture_close(&f);
}

struct deleted {
    bool done;
    sluice_status status;
};

static void on_deleted(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct deleted *deleted = arg;
    cr_assert_eq(count, 1);
    deleted->status = results[0].status;
    deleted->done = true;
}

static void delete_topic(const char *name)
{
    struct sluice_topic_ref ref = {.name = sluice_text_of(name)};
    struct deleted deleted = {0};
    topics_delete_start(home(), &ref, 1, false, on_deleted, &deleted);
    fixture_run_until(&f, &deleted.done);
    cr_assert_eq(deleted.status, SLUICE_OK);
}

static void count_file(void *arg, const char *name, bool is_directory)
{
    (void)name;
    *(int *)arg += !is_directory;
}

static int extent_files(void)
{
    int count = 0;
    cr_assert_eq(sl_dir_list(f.os, "data/shard-0/ext", count_file, &count), SLUICE_OK);
    return count;
}

Test(seal, a_deleted_topic_gives_back_its_files)
{
    fixture_open_small(&f, 6, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    fixture_create_topic(&f, "u", 1, NULL, NULL);
    fill("t", 0, 100, 0);
    int64_t end = fill("u", 0, 100, 0);
    cr_assert_gt(extents().extent_count, 4);
    uint64_t before = extents().live_bytes;
    delete_topic("t");
    settle(2000);
    cr_assert_lt(extents().live_bytes, before);
    cr_assert_eq((uint64_t)extent_files(), extents().extent_count);
    expect_all("u", 0, 0, end);
    delete_topic("u");
    settle(2000);
    cr_assert_eq(extents().extent_count, 0);
    cr_assert_eq(extent_files(), 0);
    fixture_restart(&f, true);
    settle(2000);
    cr_assert_eq(extents().extent_count, 0);
    cr_assert_eq(extent_files(), 0);
    fixture_close(&f);
}

Test(seal, records_below_a_raised_start_give_back_their_extents)
{
    fixture_open_small(&f, 7, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    int64_t end = fill("t", 0, 200, 0);
    struct topic *topic = catalog_by_name(home()->catalog, sl_bytes_of_text("t"));
    struct partition *partition = partition_find(topic, 0);
    uint64_t before = extents().extent_count;
    partition_drop_below(partition, end / 2);
    settle(2000);
    cr_assert_lt(extents().extent_count, before);
    cr_assert_gt(extents().extent_count, 0);
    cr_assert_eq((uint64_t)extent_files(), extents().extent_count);
    cr_assert_eq(partition_start(partition), end / 2);
    expect_all("t", 0, end / 2, end);
    fixture_close(&f);
}

Test(seal, what_is_old_is_sealed_though_it_is_little)
{
    fixture_open_small(&f, 8, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    int64_t end = fill("t", 0, 20, 0);
    uint64_t jobs = sealed().jobs;
    fixture_restart(&f, false); /* what was written to is a sealed segment now */
    jobs = sealed().jobs;
    for (int i = 0; i < 100000 && sealed().jobs == jobs; i++) {
        sl_os_sim_step(f.os);
    }
    cr_assert_gt(sealed().jobs, jobs, "after ten minutes");
    settle(1000);
    uint32_t count = 1;
    struct topic *topic = catalog_by_name(home()->catalog, sl_bytes_of_text("t"));
    cr_assert_null(stream_index_unsealed(&partition_find(topic, 0)->index, &count));
    expect_all("t", 0, 0, end);
    fixture_close(&f);
}

static bool is_sealed(const char *name)
{
    uint32_t count = 0;
    struct topic *topic = catalog_by_name(home()->catalog, sl_bytes_of_text(name));
    return stream_index_unsealed(&partition_find(topic, 0)->index, &count) == NULL;
}

/* Virtual milliseconds until what the topic has lies in extents; -1: never. */
static int64_t wait_sealed(const char *name)
{
    int64_t begin_ms = shard_now_ms(home());
    for (int i = 0; i < 100000; i++) {
        if (is_sealed(name)) {
            return shard_now_ms(home()) - begin_ms;
        }
        sl_os_sim_step(f.os);
    }
    return -1;
}

Test(seal, a_quiet_log_is_rolled_by_age_and_stays_quiet)
{
    fixture_open_small(&f, 20, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    int64_t end = fill("t", 0, 1, 0);
    int64_t waited_ms = wait_sealed("t");
    cr_assert(waited_ms >= ROLL_AGE_MAX_MS && waited_ms < 2 * ROLL_AGE_MAX_MS, "%ld",
              (long)waited_ms);
    struct wal_status before, after;
    settle(100);
    commit_log_status(home()->log, &before);
    settle(3000);
    commit_log_status(home()->log, &after);
    cr_assert_eq(after.last_segment, before.last_segment, "nothing comes, nothing is rolled");
    expect_all("t", 0, 0, end);
    fixture_restart(&f, true);
    expect_all("t", 0, 0, end);
    fixture_close(&f);
}

Test(seal, segment_ms_of_one_topic_rolls_the_log_for_all)
{
    fixture_open_small(&f, 21, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    fixture_create_topic(&f, "u", 1, "segment.ms", "5000");
    fill("t", 0, 1, 0);
    fill("u", 0, 1, 0);
    int64_t waited_ms = wait_sealed("u");
    cr_assert(waited_ms >= 5000 && waited_ms < 10000, "%ld", (long)waited_ms);
    cr_assert(is_sealed("t"));
    settle(100);
    int64_t end = fill("t", 0, 1, 500);
    waited_ms = wait_sealed("t");
    cr_assert_geq(waited_ms, ROLL_AGE_MAX_MS, "u has nothing in the log any more");
    expect_all("t", 0, 0, end);
    fixture_close(&f);
}

Test(seal, thousands_of_streams_are_moved_in_slices)
{
    enum { COUNT = 2500 };
    fixture_open(&f, 12, 1);
    fixture_create_topic(&f, "t", COUNT, NULL, NULL);
    for (int32_t p = 0; p < COUNT; p++) {
        cr_assert_eq(fixture_produce(&f, "t", p, 3, NOW + p).status, SLUICE_OK);
    }
    f.seal.seal_bytes = 1;
    fixture_restart(&f, true);
    settle(5000);
    cr_assert_gt(sealed().jobs, 0);
    uint32_t left = 0;
    struct topic *topic = catalog_by_name(home()->catalog, sl_bytes_of_text("t"));
    for (uint32_t p = 0; p < COUNT; p++) {
        uint32_t count = 0;
        left += stream_index_unsealed(&partition_find(topic, p)->index, &count) != NULL;
    }
    cr_assert_eq(left, 0);
    cr_assert_eq(home()->space.count, 0, "none has records in the log");
    fixture_restart(&f, true);
    for (int32_t p = 0; p < COUNT; p += 7) {
        expect_all("t", p, 0, 3);
        cr_assert_eq(fixture_offset(&f, "t", p, NOW + p + 1).offset, 1);
    }
    fixture_close(&f);
}

Test(seal, shards_seal_their_own_and_a_deleted_topic_goes_on_all)
{
    fixture_open_small(&f, 13, 2);
    fixture_create_topic(&f, "t", 6, NULL, NULL);
    int64_t end[6] = {0};
    for (int round = 0; round < 25; round++) {
        for (int32_t p = 0; p < 6; p++) {
            end[p] = fill("t", p, 1, end[p]);
        }
    }
    struct extent_set_status other;
    extent_set_status_get(f.set.shards[1]->extents, &other);
    cr_assert_gt(other.extent_count, 0);
    cr_assert_gt(extents().extent_count, 0);
    fixture_restart(&f, true);
    for (int32_t p = 0; p < 6; p++) {
        expect_all("t", p, 0, end[p]);
    }
    delete_topic("t");
    fixture_restart(&f, true); /* what was not dropped yet is dropped now */
    settle(2000);
    extent_set_status_get(f.set.shards[1]->extents, &other);
    cr_assert_eq(other.extent_count, 0);
    cr_assert_eq(extents().extent_count, 0);
    cr_assert_eq(extent_files(), 0);
    fixture_close(&f);
}

/* ---- trouble ---- */

/* A byte of a batch in the oldest segment of the log changes on the disk. */
static void damage_the_log(uint64_t segment, uint64_t position)
{
    char path[64];
    size_t size = 0;
    snprintf(path, sizeof(path), "data/shard-0/wal/%020llu.seg", (unsigned long long)segment);
    uint8_t *bytes = sl_sim_disk_bytes(f.disk, path, &size);
    cr_assert_not_null(bytes, "%s", path);
    cr_assert_lt(position, size);
    bytes[position] ^= 1;
}

/* Frames of 8 KiB hold batches of 5 KB: 90 % is never reached. */
static void open_promoting(uint64_t seed)
{
    fixture_open_small(&f, seed, 1);
    f.seal.promote_percent = 51;
    f.seal.promote_run_bytes = 1024;
    fixture_restart(&f, false);
    fixture_create_topic(&f, "t", 3, NULL, NULL);
}

/* Segments of which one partition has nearly all. */
static int64_t fill_mixed(int64_t from, int64_t ret_little[2])
{
    for (int round = 0; round < 12; round++) {
        from = fill("t", 0, 12, from);
        ret_little[round % 2] = fill("t", 1 + round % 2, 1, ret_little[round % 2]);
    }
    return from;
}

Test(seal, a_segment_of_one_stream_becomes_its_extent_and_the_others_are_copied)
{
    int64_t little[2] = {0};
    open_promoting(14);
    int64_t end = fill_mixed(0, little);
    struct seal_status status = sealed();
    cr_assert_gt(status.promoted, 3);
    cr_assert_gt(status.bytes_promoted, status.bytes / 2);
    cr_assert_lt(status.bytes_written, status.bytes / 2);
    expect_all("t", 0, 0, end);
    expect_all("t", 1, 0, little[0]);
    fixture_restart(&f, true); /* the log still has the segments under its own name, or has not */
    expect_all("t", 0, 0, end);
    expect_all("t", 2, 0, little[1]);
    end = fill_mixed(end, little);
    fixture_restart(&f, false);
    expect_all("t", 0, 0, end);
    expect_all("t", 1, 0, little[0]);
    struct wal_status log;
    commit_log_status(home()->log, &log);
    cr_assert_gt(log.first_segment, 10, "segments lose the log's name");
    fixture_close(&f);
}

Test(seal, a_promoted_segment_goes_when_its_stream_does)
{
    int64_t little[2] = {0};
    open_promoting(15);
    fill_mixed(0, little);
    cr_assert_gt(sealed().promoted, 3);
    fixture_create_topic(&f, "u", 1, NULL, NULL);
    int64_t end = fill("u", 0, 100, 0);
    delete_topic("t");
    settle(4000);
    expect_all("u", 0, 0, end);
    uint64_t promoted = 0;
    extent_set_each(home()->extents, count_promoted, &promoted);
    struct seal_status status = sealed();
    cr_assert_lt(promoted, status.promoted);
    cr_assert_gt(extents().live_bytes * 2, extents().file_bytes, "of u alone");
    fixture_restart(&f, true);
    expect_all("u", 0, 0, end);
    fixture_close(&f);
}

Test(seal, a_damaged_stream_stays_in_the_log_and_the_others_move)
{
    fixture_open_small(&f, 9, 1);
    fixture_create_topic(&f, "t", 2, NULL, NULL);
    int64_t bad = fill("t", 0, 1, 0);
    struct topic *topic = catalog_by_name(home()->catalog, sl_bytes_of_text("t"));
    struct partition *partition = partition_find(topic, 0);
    uint32_t count = 0;
    const struct stream_run *run = stream_index_unsealed(&partition->index, &count);
    damage_the_log(run->place.segment, run->place.position + 70);
    int64_t good = fill("t", 1, 40, 0);
    settle(2000);
    cr_assert_gt(sealed().jobs, 0);
    cr_assert(partition->unsealable);
    cr_assert_eq(stream_index_unsealed(&partition->index, &count)->base_offset, 0);
    cr_assert_eq(bad, 500);
    expect_all("t", 1, 0, good);
    struct wal_status log;
    commit_log_status(home()->log, &log);
    cr_assert_leq(log.first_segment, run->place.segment, "its segment is kept");
    delete_topic("t");
    settle(2000);
    commit_log_status(home()->log, &log);
    cr_assert_eq(extents().extent_count, 0);
    fixture_close(&f);
}

static struct wal_place last_place(const struct partition *partition)
{
    uint32_t count = 0;
    const struct stream_run *runs = stream_index_unsealed(&partition->index, &count);
    cr_assert_gt(count, 0);
    return runs[count - 1].place;
}

/* A partition whose place in a job is: a segment that is promoted, then, with other streams in one
 * file, a run that cannot be read. `before`: batches that lie before all of it. */
static void damage_behind_promoted(int before)
{
    open_promoting(16);
    int64_t little[2] = {fill("t", 1, before, 0), 0};
    int64_t end = fill("t", 0, 1, 0);
    struct topic *topic = catalog_by_name(home()->catalog, sl_bytes_of_text("t"));
    struct partition *partition = partition_find(topic, 0);
    for (uint64_t segment = last_place(partition).segment;
         last_place(partition).segment < segment + 2;) {
        end = fill("t", 0, 1, end);
    }
    struct wal_place place = last_place(partition);
    damage_the_log(place.segment, place.position + 70);
    for (int round = 0; round < 30; round++) {
        little[round % 2] = fill("t", 1 + round % 2, 1, little[round % 2]);
    }
    settle(4000);
    cr_assert_gt(sealed().promoted, 0);
    cr_assert(partition->unsealable);
    expect_all("t", 1, 0, little[0]);
    expect_all("t", 2, 0, little[1]);
    fixture_close(&f);
}

Test(seal, a_stream_that_is_left_out_behind_a_promoted_segment_takes_nothing_of_the_next,
     .timeout = 60)
{
    for (int before = 0; before < 24; before++) {
        damage_behind_promoted(before);
    }
}

Test(seal, without_room_on_the_disk_nothing_changes_and_later_it_goes_on)
{
    fixture_open_small(&f, 10, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    int64_t end = fill("t", 0, 15, 0);
    /* Full but for a little, below what refuses produce at once. */
    sl_sim_disk_set_capacity(f.disk, 500u << 10);
    sl_err err = SLUICE_OK;
    for (int i = 0; i < 200 && err == SLUICE_OK; i++) {
        err = fixture_produce(&f, "t", 0, 500, NOW + end).status;
        end += err == SLUICE_OK ? 500 : 0;
    }
    cr_assert(err == SLUICE_E_LOG_FULL || err == SLUICE_E_DISK_FULL, "%d", err);
    cr_assert_eq(shard_status(home()), SLUICE_OK);
    expect_all("t", 0, 0, end);
    sl_sim_disk_set_capacity(f.disk, 1u << 30);
    for (int i = 0; i < 20000 && err != SLUICE_OK; i++) {
        settle(10);
        err = fixture_produce(&f, "t", 0, 500, NOW + end).status;
        end += err == SLUICE_OK ? 500 : 0;
    }
    cr_assert_eq(err, SLUICE_OK);
    end = fill("t", 0, 100, end);
    cr_assert_eq(sealed().busy, sealed().busy);
    expect_all("t", 0, 0, end);
    fixture_restart(&f, true);
    expect_all("t", 0, 0, end);
    fixture_close(&f);
}

Test(seal, a_missing_extent_makes_the_shard_refuse_and_leaves_all_as_it_is)
{
    char path[64];
    size_t size = 0;
    fixture_open_small(&f, 11, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    int64_t end = fill("t", 0, 60, 0);
    cr_assert_gt(extents().extent_count, 0);
    f.allow_refusal = true;
    fixture_stop(&f);
    snprintf(path, sizeof(path), "data/shard-0/ext/%020llu.ext", 1ull);
    uint8_t *bytes = sl_sim_disk_bytes(f.disk, path, &size);
    cr_assert_not_null(bytes);
    bytes[size - 100] ^= 1; /* in the footer or its trailer */
    fixture_start_again(&f, 1);
    cr_assert_eq(shard_status(home()), SLUICE_E_CORRUPT);
    cr_assert_not_null(strstr(home()->recovery.problem, path), "%s", home()->recovery.problem);
    cr_assert_null(home()->log);
    fixture_stop(&f);
    bytes = sl_sim_disk_bytes(f.disk, path, &size);
    bytes[size - 100] ^= 1;
    fixture_start_again(&f, 1);
    cr_assert_eq(shard_status(home()), SLUICE_OK);
    expect_all("t", 0, 0, end);
    fixture_close(&f);
}
