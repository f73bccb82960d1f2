/* test_memory_topics.c: topics in memory (sluice.durability=memory) beside topics on a disk, and
 * brokers without a disk. */
#include "shard_fixture.h"

#include "os/os_sim_disk.h"
#include "shard/log_start.h"
#include "shard/offset_lease.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define NOW INT64_C(1700000000000)

static struct fixture f;

static void create_in_memory(const char *name)
{
    fixture_create_topic(&f, name, 1, "sluice.durability", "memory");
}

static struct topic *topic_of(const char *name)
{
    struct sl_bytes text = {(const uint8_t *)name, strlen(name)};
    struct topic *topic = catalog_by_name(fixture_home(&f)->catalog, text);
    cr_assert_not_null(topic);
    return topic;
}

static int64_t offset_of(const char *name, int64_t time)
{
    return fixture_offset(&f, name, 0, time).offset;
}

static uint64_t frames_on_disk(void)
{
    struct wal_status status;
    commit_log_status(fixture_home(&f)->log, &status);
    return status.frames;
}

static struct wal_status memory_status(void)
{
    struct wal_status status;
    commit_log_status(fixture_home(&f)->memory.log, &status);
    return status;
}

Test(memory_topics, who_follows_reads_little_and_who_is_behind_reads_much_at_once)
{
    struct read_plan plan;
    fixture_open(&f, 1, 1);
    create_in_memory("m");
    for (int i = 0; i < 8000; i++)
        cr_assert_eq(fixture_produce(&f, "m", 0, 1, NOW).base_offset, i);
    struct partition *partition = partition_find(topic_of("m"), 0);
    cr_assert(partition_plan(partition, 7999, 1 << 20, &plan));
    cr_assert_leq(plan.bytes, STREAM_RUN_MEMORY_BYTES_MAX);
    cr_assert(partition_plan(partition, 0, 1 << 19, &plan));
    cr_assert_geq(plan.bytes, 1 << 18);
    cr_assert_leq(plan.place_count, 16, "what lies together is read as one");
    for (int64_t at = 0; at < 8000;) {
        struct fetched fetched;
        fixture_fetch(&f, "m", 0, at, &fetched);
        cr_assert_eq(fetched.first_offset, at);
        cr_assert_gt(fetched.next_offset, at);
        at = fetched.next_offset;
    }
    fixture_close(&f);
}

Test(memory_topics, records_are_read_back_and_nothing_of_them_is_logged)
{
    struct fetched fetched;
    fixture_open(&f, 1, 1);
    create_in_memory("m");
    cr_assert_eq(fixture_produce(&f, "m", 0, 3, NOW).base_offset, 0);
    uint64_t frames = frames_on_disk();
    for (int i = 1; i < 50; i++)
        cr_assert_eq(fixture_produce(&f, "m", 0, 3, NOW).base_offset, 3 * i);
    cr_assert_leq(frames_on_disk() - frames, 1, "an idle mark at most");
    fixture_fetch(&f, "m", 0, 0, &fetched);
    cr_assert_eq(fetched.result.status, SLUICE_OK);
    cr_assert_eq(fetched.records, 150);
    fixture_close(&f);
}

static void check_restart(bool power_cut)
{
    struct fetched fetched;
    fixture_open(&f, 2, 1);
    create_in_memory("m");
    fixture_create_topic(&f, "d", 1, NULL, NULL);
    struct sl_uuid id = topic_of("m")->id;
    int64_t highest = -1;
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 5; i++) {
            struct sluice_produce_result result = fixture_produce(&f, "m", 0, 7, NOW);
            cr_assert_eq(result.status, SLUICE_OK);
            cr_assert_gt(result.base_offset, highest, "offsets never go back");
            highest = result.base_offset + 6;
        }
        fixture_produce(&f, "d", 0, 1, NOW);
        fixture_restart(&f, power_cut);
        cr_assert(sl_uuid_equal(&topic_of("m")->id, &id));
        int64_t start = offset_of("m", SLUICE_TIME_EARLIEST);
        cr_assert_eq(offset_of("m", SLUICE_TIME_LATEST), start, "it is empty");
        cr_assert_gt(start, highest);
        fixture_fetch(&f, "m", 0, highest, &fetched);
        cr_assert_eq(fetched.result.status, SLUICE_E_OFFSET_OUT_OF_RANGE);
        cr_assert_eq(offset_of("d", SLUICE_TIME_LATEST), round + 1);
    }
    fixture_close(&f);
}

Test(memory_topics, after_a_stop_the_topic_is_there_empty_and_offsets_go_on)
{
    check_restart(false);
}

Test(memory_topics, after_a_power_cut_the_topic_is_there_empty_and_offsets_go_on)
{
    check_restart(true);
}

Test(memory_topics, a_topic_that_was_never_written_to_begins_at_zero_after_a_restart)
{
    fixture_open(&f, 3, 1);
    create_in_memory("m");
    fixture_restart(&f, true);
    cr_assert_eq(offset_of("m", SLUICE_TIME_LATEST), 0);
    fixture_close(&f);
}

Test(memory_topics, the_lease_is_renewed_before_it_is_used_up, .timeout = 60)
{
    fixture_open(&f, 4, 1);
    f.settings.retention_ms = 1000; /* so that the oldest may go */
    create_in_memory("m");
    int64_t next = 0;
    while (next < 2 * OFFSET_LEASE_BLOCK + 1000) {
        struct sluice_produce_result result = fixture_produce(&f, "m", 0, 1500, NOW);
        cr_assert_eq(result.status, SLUICE_OK);
        cr_assert_eq(result.base_offset, next);
        next += 1500;
        cr_assert_leq(next, partition_find(topic_of("m"), 0)->lease_end);
    }
    fixture_restart(&f, true);
    cr_assert_geq(offset_of("m", SLUICE_TIME_LATEST), next);
    cr_assert_leq(offset_of("m", SLUICE_TIME_LATEST), next + 2 * OFFSET_LEASE_BLOCK);
    fixture_close(&f);
}

Test(memory_topics, batches_that_wait_for_the_lease_keep_their_order)
{
    struct produced produced[20] = {0};
    uint8_t bytes[20][512];
    fixture_open(&f, 5, 1);
    create_in_memory("m");
    for (int i = 0; i < 20; i++) {
        size_t size = fixture_batch(bytes[i], sizeof(bytes[i]), 2, NOW, 9, 0, 2 * i);
        fixture_produce_start(&f, "m", 0, (struct sluice_bytes){bytes[i], size}, &produced[i]);
    }
    for (int i = 0; i < 20; i++) {
        fixture_run_until(&f, &produced[i].done);
        cr_assert_eq(produced[i].result.status, SLUICE_OK);
        cr_assert_eq(produced[i].result.base_offset, 2 * i);
    }
    fixture_close(&f);
}

Test(memory_topics, a_retry_of_a_batch_gets_the_first_offset_again)
{
    struct produced first = {0};
    struct produced second = {0};
    uint8_t bytes[512];
    fixture_open(&f, 6, 1);
    create_in_memory("m");
    size_t size = fixture_batch(bytes, sizeof(bytes), 2, NOW, 9, 0, 0);
    fixture_produce_start(&f, "m", 0, (struct sluice_bytes){bytes, size}, &first);
    fixture_run_until(&f, &first.done);
    fixture_produce_start(&f, "m", 0, (struct sluice_bytes){bytes, size}, &second);
    fixture_run_until(&f, &second.done);
    cr_assert_eq(second.result.base_offset, first.result.base_offset);
    cr_assert_eq(offset_of("m", SLUICE_TIME_LATEST), 2);
    fixture_close(&f);
}

Test(memory_topics, when_the_disk_fails_no_lease_is_given_and_produce_is_refused)
{
    fixture_open(&f, 7, 1);
    create_in_memory("m");
    shard_set_status(fixture_home(&f), SLUICE_E_FENCED);
    cr_assert_eq(fixture_produce(&f, "m", 0, 1, NOW).status, SLUICE_E_FENCED);
    shard_set_status(fixture_home(&f), SLUICE_OK);
    cr_assert_eq(fixture_produce(&f, "m", 0, 1, NOW).status, SLUICE_OK);
    fixture_close(&f);
}

/* ---- the bound ---- */

static void open_bounded(uint64_t seed)
{
    memset(&f, 0, sizeof(f));
    fixture_open(&f, seed, 1);
    f.memory_bytes_max = 1u << 20;
    fixture_restart(&f, false);
}

static void create_kept(const char *name, const char *retention_ms)
{
    const struct sluice_key_value configs[] = {
        {sluice_text_of("sluice.durability"), sluice_text_of("memory")},
        {sluice_text_of("retention.ms"), sluice_text_of(retention_ms)}};
    cr_assert_eq(fixture_try_topic(&f, name, 1, configs, 2), SLUICE_OK);
}

Test(memory_topics, a_topic_with_a_retention_loses_its_oldest_at_the_bound)
{
    struct fetched fetched;
    open_bounded(8);
    create_kept("m", "600000");
    int64_t next = 0;
    for (int i = 0; i < 500; i++) { /* about 10 MiB */
        struct sluice_produce_result result = fixture_produce(&f, "m", 0, 1000, NOW);
        cr_assert_eq(result.status, SLUICE_OK, "%d: %d", i, result.status);
        cr_assert_eq(result.base_offset, next);
        next += 1000;
    }
    int64_t start = offset_of("m", SLUICE_TIME_EARLIEST);
    cr_assert_gt(start, 0);
    cr_assert_gt(next - start, 10000, "most of the bound is used");
    cr_assert_leq(memory_status().bytes_used, memory_status().bytes_max);
    cr_assert_gt(fixture_home(&f)->memory.dropped_records, 0);
    for (int64_t at = start; at < next; at = fetched.next_offset) {
        fixture_fetch(&f, "m", 0, at, &fetched);
        cr_assert_eq(fetched.result.status, SLUICE_OK);
        cr_assert_eq(fetched.first_offset, at);
    }
    fixture_close(&f);
}

Test(memory_topics, a_topic_without_a_retention_loses_nothing_and_produce_is_refused)
{
    open_bounded(9);
    create_kept("m", "-1");
    sluice_status status = SLUICE_OK;
    int64_t end = 0;
    while (status == SLUICE_OK) {
        struct sluice_produce_result result = fixture_produce(&f, "m", 0, 1000, NOW);
        status = result.status;
        end = status == SLUICE_OK ? result.base_offset + 1000 : end;
    }
    cr_assert_eq(status, SLUICE_E_MEMORY_FULL);
    cr_assert_eq(offset_of("m", SLUICE_TIME_EARLIEST), 0);
    cr_assert_eq(offset_of("m", SLUICE_TIME_LATEST), end);
    fixture_delete_topic(&f, "m");
    create_kept("n", "-1");
    cr_assert_eq(fixture_produce(&f, "n", 0, 1000, NOW).status, SLUICE_OK, "room again");
    fixture_close(&f);
}

Test(memory_topics, what_is_kept_moves_out_of_the_way_of_what_flows)
{
    struct fetched fetched;
    open_bounded(10);
    create_kept("flows", "600000");
    create_kept("kept", "-1");
    for (int i = 0; i < 600; i++) {
        cr_assert_eq(fixture_produce(&f, "flows", 0, 1000, NOW).status, SLUICE_OK, "%d", i);
        if (i % 20 == 0)
            cr_assert_eq(fixture_produce(&f, "kept", 0, 10, NOW).status, SLUICE_OK);
    }
    cr_assert_eq(offset_of("kept", SLUICE_TIME_EARLIEST), 0);
    int64_t at = 0;
    while (at < 300) {
        fixture_fetch(&f, "kept", 0, at, &fetched);
        cr_assert_eq(fetched.result.status, SLUICE_OK);
        cr_assert_eq(fetched.first_offset, at);
        at = fetched.next_offset;
    }
    cr_assert_gt(offset_of("flows", SLUICE_TIME_EARLIEST), 0);
    fixture_close(&f);
}

Test(memory_topics, deleted_records_give_their_memory_back)
{
    open_bounded(11);
    create_kept("m", "-1");
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 20; i++)
            cr_assert_eq(fixture_produce(&f, "m", 0, 1000, NOW).status, SLUICE_OK, "%d", round);
        struct partition *partition = partition_find(topic_of("m"), 0);
        log_start_move_now(partition, partition_end(partition));
        cr_assert_eq(offset_of("m", SLUICE_TIME_EARLIEST), offset_of("m", SLUICE_TIME_LATEST));
    }
    fixture_close(&f);
}

Test(memory_topics, retention_by_time_drops_them_without_a_word_to_the_log)
{
    fixture_open(&f, 12, 1);
    create_kept("m", "1");
    fixture_produce(&f, "m", 0, 5, 1000);
    uint64_t frames = frames_on_disk();
    shard_schedule(fixture_home(&f));
    for (int i = 0; i < 200000 && offset_of("m", SLUICE_TIME_EARLIEST) == 0; i++)
        sl_os_sim_step(f.os);
    cr_assert_eq(offset_of("m", SLUICE_TIME_EARLIEST), 5);
    cr_assert_leq(frames_on_disk() - frames, 1);
    fixture_close(&f);
}

/* ---- what is refused ---- */

Test(memory_topics, compaction_of_memory_is_refused)
{
    const struct sluice_key_value configs[] = {
        {sluice_text_of("sluice.durability"), sluice_text_of("memory")},
        {sluice_text_of("cleanup.policy"), sluice_text_of("compact,delete")}};
    fixture_open(&f, 13, 1);
    cr_assert_eq(fixture_try_topic(&f, "m", 1, configs, 2), SLUICE_E_INVALID_CONFIG);
    cr_assert_eq(fixture_try_topic(&f, "m", 1, configs, 1), SLUICE_OK);
    fixture_close(&f);
}

struct ended {
    struct commit commit;
    struct commit_batch batches[2];
    struct wal_item items[3];
    uint8_t bytes[2][512];
    bool done;
    sl_err err;
};

static void on_committed(struct commit *commit, sl_err err)
{
    struct ended *ended = SL_CONTAINER_OF(commit, struct ended, commit);
    ended->err = err;
    ended->done = true;
}

static sl_err commit_two(struct ended *ended, const char *a, const char *b, uint32_t extra)
{
    const char *names[] = {a, b};
    ended->commit = (struct commit){.shard = fixture_home(&f),
                                    .batches = ended->batches,
                                    .batch_count = 2,
                                    .items = ended->items,
                                    .extra_count = extra,
                                    .done = on_committed};
    for (int i = 0; i < 2; i++) {
        struct topic *topic = topic_of(names[i]);
        struct commit_batch *batch = &ended->batches[i];
        *batch = (struct commit_batch){.data = ended->bytes[i]};
        cr_assert_eq(partition_open(fixture_home(&f), topic, 0, &batch->partition), SLUICE_OK);
        batch->size = (uint32_t)fixture_batch(batch->data, 512, 1, NOW, -1, -1, -1);
    }
    return commit_submit(&ended->commit);
}

Test(memory_topics, a_unit_of_memory_and_disk_is_refused_and_changes_nothing)
{
    static struct ended ended;
    fixture_open(&f, 14, 1);
    create_in_memory("m");
    create_in_memory("n");
    fixture_create_topic(&f, "d", 1, NULL, NULL);
    fixture_create_topic(&f, "o", 1, "sluice.durability", "os");
    fixture_produce(&f, "m", 0, 1, NOW);
    fixture_produce(&f, "n", 0, 1, NOW); /* leases */
    cr_assert_eq(commit_two(&ended, "m", "d", 0), SLUICE_E_MIXED_DURABILITY);
    cr_assert_eq(commit_two(&ended, "m", "n", 1), SLUICE_E_MIXED_DURABILITY, "items are to stay");
    cr_assert_eq(offset_of("m", SLUICE_TIME_LATEST), 1);
    cr_assert_eq(commit_two(&ended, "m", "n", 0), SLUICE_OK);
    fixture_run_until(&f, &ended.done);
    cr_assert_eq(ended.err, SLUICE_OK);
    ended.done = false;
    cr_assert_eq(commit_two(&ended, "o", "d", 0), SLUICE_OK, "the more demanding class holds");
    cr_assert_not(ended.commit.unit.when_written);
    fixture_run_until(&f, &ended.done);
    cr_assert_eq(offset_of("m", SLUICE_TIME_LATEST), 2);
    cr_assert_eq(offset_of("d", SLUICE_TIME_LATEST), 1);
    fixture_close(&f);
}

Test(memory_topics, what_is_told_when_written_does_not_pass_what_waits_for_a_sync)
{
    static struct ended both;
    struct produced later = {0};
    uint8_t bytes[512];
    fixture_open(&f, 15, 1);
    fixture_create_topic(&f, "d", 1, NULL, NULL);
    fixture_create_topic(&f, "o", 1, "sluice.durability", "os");
    cr_assert_eq(commit_two(&both, "o", "d", 0), SLUICE_OK);
    size_t size = fixture_batch(bytes, sizeof(bytes), 1, NOW, -1, -1, -1);
    fixture_produce_start(&f, "o", 0, (struct sluice_bytes){bytes, size}, &later);
    fixture_run_until(&f, &later.done);
    cr_assert(both.done);
    cr_assert_eq(later.result.base_offset, 1);
    fixture_close(&f);
}

/* ---- no disk ---- */

Test(memory_topics, without_a_disk_all_works_and_nothing_is_there_after_a_restart)
{
    struct fetched fetched;
    fixture_open_without_disk(&f, 16, 2);
    fixture_create_topic(&f, "t", 3, NULL, NULL);
    for (int i = 0; i < 30; i++)
        cr_assert_eq(fixture_produce(&f, "t", i % 3, 2, NOW).status, SLUICE_OK);
    fixture_fetch(&f, "t", 1, 0, &fetched);
    cr_assert_eq(fetched.records, 20);
    cr_assert_eq(topic_of("t")->settings->durability, TOPIC_MEMORY);
    size_t size = 0;
    cr_assert_null(sl_sim_disk_bytes(f.disk, "data/shard-0/wal/00000000000000000001.seg", &size));
    cr_assert_eq(f.disk->seen.count, 0, "no file, no folder");
    fixture_restart(&f, false);
    cr_assert_eq(catalog_topic_count(fixture_home(&f)->catalog), 0);
    fixture_close(&f);
}

Test(memory_topics, without_a_disk_nothing_that_is_done_for_files_is_done)
{
    fixture_open_without_disk(&f, 18, 2);
    f.settings.retention_ms = 3600000;
    f.settings.scrub_interval_ms = 60000;
    fixture_create_topic(&f, "t", 2, NULL, NULL);
    int64_t end_ns = sl_os_mono_ns(f.os) + INT64_C(4) * 3600 * 1000000000;
    while (sl_os_mono_ns(f.os) < end_ns) {
        cr_assert_eq(fixture_produce(&f, "t", 0, 5, NOW).status, SLUICE_OK);
        for (int i = 0; i < 50; i++)
            sl_os_sim_step(f.os);
    }
    cr_assert_eq(f.disk->seen.count, 0);
    fixture_close(&f);
}

Test(memory_topics, without_a_disk_another_class_is_refused)
{
    const struct sluice_key_value classes[] = {
        {sluice_text_of("sluice.durability"), sluice_text_of("fsync")},
        {sluice_text_of("sluice.durability"), sluice_text_of("os")},
        {sluice_text_of("sluice.durability"), sluice_text_of("memory")},
        {sluice_text_of("cleanup.policy"), sluice_text_of("compact")}};
    fixture_open_without_disk(&f, 17, 1);
    cr_assert_eq(fixture_try_topic(&f, "a", 1, &classes[0], 1), SLUICE_E_INVALID_CONFIG);
    cr_assert_eq(fixture_try_topic(&f, "b", 1, &classes[1], 1), SLUICE_E_INVALID_CONFIG);
    cr_assert_eq(fixture_try_topic(&f, "c", 1, &classes[2], 1), SLUICE_OK);
    cr_assert_eq(fixture_try_topic(&f, "d", 1, &classes[3], 1), SLUICE_E_INVALID_CONFIG);
    fixture_close(&f);
}
