/* test_retention.c: records go by age, by size and on request, for good; each rule as a sentence.
 */
#include "shard_fixture.h"

#include "record/batch_builder.h"
#include "shard/records_delete.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERVAL_MS 1000

static struct fixture f;
static struct fetched fetched;

static void open_with(const char *key, const char *value)
{
    fixture_open(&f, 11, 1);
    f.settings.retention_check_interval_ms = INTERVAL_MS;
    fixture_restart(&f, false);
    fixture_create_topic(&f, "t", 2, key, value);
}

static int64_t wall_ms(void)
{
    return sl_os_wall_ms(f.os);
}

static void pass_ms(int64_t time_ms)
{
    int64_t until_ns = sl_os_mono_ns(f.os) + time_ms * 1000000;
    while (sl_os_mono_ns(f.os) < until_ns) {
        cr_assert(sl_os_sim_step(f.os));
    }
}

/* A batch of ten records, each a millisecond after the other. */
static int64_t write_at(int64_t timestamp)
{
    struct sluice_produce_result result = fixture_produce(&f, "t", 0, 10, timestamp);
    cr_assert_eq(result.status, SLUICE_OK, "%d", result.status);
    return result.base_offset;
}

static int64_t log_start(void)
{
    return fixture_offset(&f, "t", 0, SLUICE_TIME_EARLIEST).offset;
}

static int64_t log_end(void)
{
    return fixture_offset(&f, "t", 0, SLUICE_TIME_LATEST).offset;
}

/* ---- on request ---- */

struct deleted {
    bool done;
    struct sluice_records_deleted result;
};

static void on_deleted(void *arg, const struct sluice_records_deleted *results, uint32_t count)
{
    struct deleted *deleted = arg;
    cr_assert_eq(count, 1);
    deleted->result = results[0];
    deleted->done = true;
}

static struct sluice_records_deleted delete_before(const char *topic, int32_t partition,
                                                   int64_t offset)
{
    struct sluice_records_delete entry = {
        .topic = {.name = sluice_text_of(topic)}, .partition = partition, .before_offset = offset};
    struct deleted deleted = {0};
    records_delete_start(fixture_home(&f), &entry, 1, on_deleted, &deleted);
    fixture_run_until(&f, &deleted.done);
    cr_assert(deleted.done);
    return deleted.result;
}

static sluice_status fetch_at(int64_t offset)
{
    fixture_fetch(&f, "t", 0, offset, &fetched);
    return fetched.result.status;
}

Test(retention, deleted_records_are_gone_at_once_and_after_a_power_cut)
{
    open_with(NULL, NULL);
    write_at(wall_ms());
    write_at(wall_ms());
    struct sluice_records_deleted answer = delete_before("t", 0, 15);
    cr_assert_eq(answer.status, SLUICE_OK);
    cr_assert_eq(answer.log_start_offset, 15);
    for (int restart = 0; restart < 3; restart++) {
        cr_assert_eq(log_start(), 15);
        cr_assert_eq(log_end(), 20);
        cr_assert_eq(fetch_at(14), SLUICE_E_OFFSET_OUT_OF_RANGE);
        cr_assert_eq(fetch_at(15), SLUICE_OK);
        cr_assert_eq(fetched.first_offset, 10, "the batch that holds it comes whole");
        cr_assert_eq(fetched.result.log_start_offset, 15);
        fixture_restart(&f, restart == 0);
    }
    fixture_close(&f);
}

Test(retention, all_records_go_up_to_the_high_watermark_and_offsets_go_on_behind_them)
{
    open_with(NULL, NULL);
    write_at(wall_ms());
    cr_assert_eq(delete_before("t", 0, SLUICE_OFFSET_HIGH_WATERMARK).log_start_offset, 10);
    fixture_restart(&f, true);
    cr_assert_eq(log_start(), 10);
    cr_assert_eq(fetch_at(10), SLUICE_OK);
    cr_assert_eq(fetched.records, 0);
    cr_assert_eq(write_at(wall_ms()), 10);
    fixture_restart(&f, true);
    cr_assert_eq(log_start(), 10);
    cr_assert_eq(fetch_at(10), SLUICE_OK);
    cr_assert_eq(fetched.records, 10);
    fixture_close(&f);
}

Test(retention, an_offset_below_the_log_start_changes_nothing)
{
    open_with(NULL, NULL);
    write_at(wall_ms());
    cr_assert_eq(delete_before("t", 0, 7).log_start_offset, 7);
    cr_assert_eq(delete_before("t", 0, 3).log_start_offset, 7);
    cr_assert_eq(delete_before("t", 0, 0).status, SLUICE_OK);
    cr_assert_eq(log_start(), 7);
    fixture_close(&f);
}

Test(retention, what_cannot_be_deleted_is_refused_with_its_reason)
{
    open_with("cleanup.policy", "compact");
    fixture_create_topic(&f, "free", 1, NULL, NULL);
    cr_assert_eq(delete_before("t", 0, 0).status, SLUICE_E_POLICY);
    cr_assert_eq(delete_before("t", 2, 0).status, SLUICE_E_UNKNOWN_TOPIC);
    cr_assert_eq(delete_before("t", -1, 0).status, SLUICE_E_UNKNOWN_TOPIC);
    cr_assert_eq(delete_before("none", 0, 0).status, SLUICE_E_UNKNOWN_TOPIC);
    cr_assert_eq(delete_before("free", 0, 1).status, SLUICE_E_OFFSET_OUT_OF_RANGE);
    cr_assert_eq(delete_before("free", 0, -2).status, SLUICE_E_OFFSET_OUT_OF_RANGE);
    cr_assert_eq(delete_before("free", 0, -2).log_start_offset, -1);
    cr_assert_eq(delete_before("free", 0, 0).status, SLUICE_OK);
    fixture_close(&f);
}

Test(retention, a_deletion_that_was_answered_survives_every_power_cut)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        fixture_open(&f, seed, 1);
        fixture_create_topic(&f, "t", 1, NULL, NULL);
        for (int i = 0; i < 6; i++) {
            write_at(wall_ms());
        }
        int64_t answered = delete_before("t", 0, 13).log_start_offset;
        struct sluice_records_delete entry = {.topic = {.name = sluice_text_of("t")},
                                              .before_offset = 31};
        struct deleted later = {0};
        records_delete_start(fixture_home(&f), &entry, 1, on_deleted, &later);
        for (uint64_t i = 0; i < seed % 12 && !later.done; i++) {
            sl_os_sim_step(f.os);
        }
        answered = later.done ? later.result.log_start_offset : answered;
        bool in_order = !later.done; /* nobody would free what is under way */
        fixture_restart(&f, !in_order);
        cr_assert_geq(log_start(), answered, "seed %llu", (unsigned long long)seed);
        cr_assert_eq(log_end(), 60);
        cr_assert_eq(fetch_at(log_start()), SLUICE_OK);
        fixture_close(&f);
    }
}

Test(retention, a_waiting_fetch_below_the_new_start_is_answered)
{
    open_with(NULL, NULL);
    write_at(wall_ms());
    fixture_fetch_start(&f, "t", 0, 2, 1 << 20, 1000000, &fetched);
    cr_assert_not(fetched.done);
    delete_before("t", 0, 5);
    fixture_run_until(&f, &fetched.done);
    cr_assert_eq(fetched.result.status, SLUICE_E_OFFSET_OUT_OF_RANGE);
    fixture_close(&f);
}

Test(retention, a_time_is_not_found_in_a_record_that_is_gone)
{
    open_with(NULL, NULL);
    int64_t now_ms = wall_ms();
    write_at(now_ms);        /* 0-9 */
    write_at(now_ms - 5000); /* 10-19 */
    write_at(now_ms - 2000); /* 20-29: the newest is -1991 */
    write_at(now_ms - 3000); /* 30-39 */
    cr_assert_eq(fixture_offset(&f, "t", 0, now_ms - 9000).offset, 0);
    delete_before("t", 0, 5);
    cr_assert_eq(fixture_offset(&f, "t", 0, now_ms).offset, 5, "not in what is left of its run");
    cr_assert_eq(fixture_offset(&f, "t", 0, SLUICE_TIME_MAX_TIMESTAMP).offset, 9);
    delete_before("t", 0, 15);
    struct sluice_offset_answer found = fixture_offset(&f, "t", 0, now_ms - 4991);
    cr_assert_eq(found.offset, 19);
    cr_assert_eq(found.timestamp, now_ms - 4991);
    cr_assert_eq(fixture_offset(&f, "t", 0, now_ms - 4990).offset, 20);
    delete_before("t", 0, 29);
    cr_assert_eq(fixture_offset(&f, "t", 0, now_ms - 1990).offset, -1);
    cr_assert_eq(fixture_offset(&f, "t", 0, SLUICE_TIME_MAX_TIMESTAMP).offset, 29);
    write_at(now_ms - 1991); /* 40-49 */
    delete_before("t", 0, 30);
    cr_assert_eq(fixture_offset(&f, "t", 0, SLUICE_TIME_MAX_TIMESTAMP).offset, 49);
    fixture_close(&f);
}

/* Ten records, each a second before the one before it. */
static size_t falling_batch(uint8_t *into, size_t room, int64_t timestamp)
{
    struct sl_buffer buffer;
    struct batch_builder builder;
    struct batch_header header;
    struct batch_view view;
    sl_buffer_init(&buffer, room);
    batch_header_init(&header);
    cr_assert_eq(batch_builder_start(&builder, &buffer, &header), SLUICE_OK);
    for (int i = 0; i < 10; i++) {
        struct record_fields record = {.key_is_null = true, .timestamp_ms = timestamp - i * 1000};
        cr_assert_eq(batch_builder_append(&builder, &record), SLUICE_OK);
    }
    cr_assert_eq(batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, NULL, &view), SLUICE_OK);
    size_t size = view.size;
    memcpy(into, view.data, size);
    sl_buffer_fini(&buffer);
    return size;
}

Test(retention, a_time_is_looked_for_behind_the_run_that_lost_its_record)
{
    open_with(NULL, NULL);
    uint8_t bytes[2][8192];
    struct produced produced[2];
    int64_t now_ms = wall_ms();
    /* 0-9 are one run: its newest record is the first. */
    size_t size = falling_batch(bytes[0], sizeof(bytes[0]), now_ms);
    fixture_produce_start(&f, "t", 0, (struct sluice_bytes){bytes[0], size}, &produced[0]);
    fixture_run_until(&f, &produced[0].done);
    write_at(now_ms - 500);  /* 10-19 */
    write_at(now_ms - 400);  /* 20-29 */
    write_at(now_ms - 2000); /* 30-39 */
    cr_assert_eq(fixture_offset(&f, "t", 0, now_ms).offset, 0);
    delete_before("t", 0, 1);
    cr_assert_eq(fixture_offset(&f, "t", 0, now_ms - 400).offset, 20);
    cr_assert_eq(fixture_offset(&f, "t", 0, now_ms).offset, -1);
    cr_assert_eq(fixture_offset(&f, "t", 0, now_ms - 9000).offset, 1);
    struct sluice_offset_answer newest = fixture_offset(&f, "t", 0, SLUICE_TIME_MAX_TIMESTAMP);
    cr_assert_eq(newest.offset, 29);
    cr_assert_eq(newest.timestamp, now_ms - 391);
    fixture_close(&f);
}

Test(retention, deletion_crosses_shards)
{
    fixture_open(&f, 12, 4);
    fixture_create_topic(&f, "t", 8, NULL, NULL);
    for (int32_t i = 0; i < 8; i++) {
        fixture_produce(&f, "t", i, 3, wall_ms());
        cr_assert_eq(delete_before("t", i, 2).log_start_offset, 2);
    }
    fixture_restart(&f, true);
    for (int32_t i = 0; i < 8; i++) {
        cr_assert_eq(fixture_offset(&f, "t", i, SLUICE_TIME_EARLIEST).offset, 2);
    }
    fixture_close(&f);
}

/* ---- by age ---- */

Test(retention, records_older_than_retention_ms_go_and_stay_gone)
{
    open_with("retention.ms", "5000");
    write_at(wall_ms());
    pass_ms(3000);
    write_at(wall_ms());
    cr_assert_eq(log_start(), 0);
    pass_ms(3500);
    cr_assert_eq(log_start(), 10, "the second batch has more than a second to live");
    cr_assert_eq(fixture_home(&f)->records_removed, 10);
    cr_assert_gt(fixture_home(&f)->bytes_removed, 0);
    fixture_restart(&f, true);
    cr_assert_eq(log_start(), 10);
    pass_ms(13000); /* a restart sets the simulated clock back by 6.5 s */
    cr_assert_eq(log_start(), 20);
    cr_assert_eq(log_end(), 20);
    fixture_restart(&f, true);
    cr_assert_eq(log_start(), 20);
    cr_assert_eq(write_at(wall_ms()), 20);
    fixture_close(&f);
}

Test(retention, nothing_goes_before_its_newest_record_is_too_old)
{
    open_with("retention.ms", "5000");
    int64_t written_ms = wall_ms();
    write_at(written_ms); /* its last record: 9 ms later */
    while (log_start() == 0) {
        cr_assert(sl_os_sim_step(f.os));
    }
    cr_assert_gt(wall_ms(), written_ms + 9 + 5000);
    cr_assert_leq(wall_ms(), written_ms + 9 + 5000 + INTERVAL_MS + 100);
    fixture_close(&f);
}

Test(retention, old_records_behind_young_ones_wait_for_them)
{
    open_with("retention.ms", "5000");
    write_at(wall_ms());
    write_at(wall_ms() - 100000);
    pass_ms(3000);
    cr_assert_eq(log_start(), 0);
    pass_ms(4000);
    cr_assert_eq(log_start(), 20);
    fixture_close(&f);
}

Test(retention, a_time_in_the_future_keeps_its_records_until_it_has_passed)
{
    open_with("retention.ms", "5000");
    write_at(wall_ms() + 20000);
    write_at(wall_ms());
    pass_ms(20000);
    cr_assert_eq(log_start(), 0);
    pass_ms(7000);
    cr_assert_eq(log_start(), 20);
    fixture_close(&f);
}

Test(retention, records_without_a_time_are_as_old_as_their_writing)
{
    open_with("retention.ms", "5000");
    uint8_t bytes[4096];
    size_t size = fixture_batch(bytes, sizeof(bytes), 1, -1, -1, -1, -1);
    struct produced produced;
    fixture_produce_start(&f, "t", 0, (struct sluice_bytes){bytes, size}, &produced);
    fixture_run_until(&f, &produced.done);
    cr_assert_eq(produced.result.status, SLUICE_OK);
    pass_ms(4000);
    cr_assert_eq(log_start(), 0);
    pass_ms(2500);
    cr_assert_eq(log_start(), 1);
    fixture_close(&f);
}

Test(retention, with_append_time_the_brokers_clock_counts_and_not_the_producers)
{
    open_with("message.timestamp.type", "LogAppendTime");
    f.settings.retention_ms = 5000;
    fixture_restart(&f, false); /* settings of topics follow the broker's at start */
    write_at(1000);
    pass_ms(4000);
    cr_assert_eq(log_start(), 0);
    pass_ms(2500);
    cr_assert_eq(log_start(), 10);
    fixture_close(&f);
}

Test(retention, minus_one_keeps_for_ever)
{
    open_with("retention.ms", "-1");
    write_at(1000);
    pass_ms(10000);
    cr_assert_eq(log_start(), 0);
    fixture_close(&f);
}

static void write_keyed(const char *topic)
{
    struct sl_buffer buffer;
    struct batch_builder builder;
    struct batch_header header;
    struct batch_view view;
    struct produced produced;
    struct record_fields record = {.key = {(const uint8_t *)"k", 1}, .timestamp_ms = 1000};
    sl_buffer_init(&buffer, 4096);
    batch_header_init(&header);
    cr_assert_eq(batch_builder_start(&builder, &buffer, &header), SLUICE_OK);
    cr_assert_eq(batch_builder_append(&builder, &record), SLUICE_OK);
    cr_assert_eq(batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, NULL, &view), SLUICE_OK);
    fixture_produce_start(&f, topic, 0, (struct sluice_bytes){view.data, view.size}, &produced);
    fixture_run_until(&f, &produced.done);
    cr_assert_eq(produced.result.status, SLUICE_OK, "%d", produced.result.status);
    sl_buffer_fini(&buffer);
}

Test(retention, a_topic_that_is_only_compacted_keeps_its_records)
{
    open_with("cleanup.policy", "compact");
    f.settings.retention_ms = 1000;
    f.settings.retention_bytes = 0;
    fixture_restart(&f, false); /* settings of topics follow the broker's at start */
    fixture_create_topic(&f, "both", 1, "cleanup.policy", "compact,delete");
    write_keyed("t");
    write_keyed("both");
    pass_ms(3000);
    cr_assert_eq(log_start(), 0);
    cr_assert_eq(fixture_offset(&f, "both", 0, SLUICE_TIME_EARLIEST).offset, 1);
    fixture_close(&f);
}

/* ---- by size ---- */

Test(retention, as_much_as_retention_bytes_stays_and_what_is_before_it_goes)
{
    open_with("retention.bytes", "1000");
    for (int i = 0; i < 20; i++) {
        write_at(wall_ms());
    }
    uint64_t size = fixture_home(&f)->bytes_in / 20;
    pass_ms(3000);
    int64_t kept = log_end() - log_start();
    cr_assert_geq((uint64_t)kept / 10 * size, 1000, "at least so much stays");
    cr_assert_lt((uint64_t)(kept / 10 - 1) * size, 1000, "and not a batch more");
    int64_t start = log_start();
    fixture_restart(&f, true);
    cr_assert_eq(log_start(), start);
    pass_ms(3000);
    cr_assert_eq(log_start(), start, "once is enough");
    fixture_close(&f);
}

Test(retention, size_counts_by_partition)
{
    open_with("retention.bytes", "1");
    fixture_produce(&f, "t", 1, 10, wall_ms());
    write_at(wall_ms());
    write_at(wall_ms());
    pass_ms(3000);
    cr_assert_eq(log_start(), 10);
    cr_assert_eq(fixture_offset(&f, "t", 1, SLUICE_TIME_EARLIEST).offset, 0);
    fixture_close(&f);
}

/* ---- at scale ---- */

Test(retention, many_partitions_go_in_slices_and_few_units)
{
    fixture_open(&f, 13, 1);
    f.settings.retention_check_interval_ms = INTERVAL_MS;
    fixture_restart(&f, false);
    fixture_create_topic(&f, "t", 2000, "retention.ms", "1000");
    for (int32_t i = 0; i < 2000; i += 2) {
        fixture_produce(&f, "t", i, 1, wall_ms());
    }
    struct wal_status before, after;
    commit_log_status(fixture_home(&f)->log, &before);
    pass_ms(5000);
    commit_log_status(fixture_home(&f)->log, &after);
    for (int32_t i = 0; i < 2000; i += 2) {
        cr_assert_eq(fixture_offset(&f, "t", i, SLUICE_TIME_EARLIEST).offset, 1);
    }
    cr_assert_leq(after.frames - before.frames, 20);
    fixture_close(&f);
}

static void on_topic_deleted(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    cr_assert_eq(count, 1);
    cr_assert_eq(results[0].status, SLUICE_OK);
    *(bool *)arg = true;
}

Test(retention, topics_that_go_during_a_check_do_not_disturb_it)
{
    for (uint64_t seed = 1; seed < 20; seed++) {
        fixture_open(&f, seed, 1);
        f.settings.retention_check_interval_ms = 5;
        fixture_restart(&f, false);
        fixture_create_topic(&f, "gone", 1200, "retention.ms", "1");
        fixture_create_topic(&f, "t", 1200, "retention.ms", "1");
        for (int32_t i = 0; i < 1200; i += 10) {
            fixture_produce(&f, "gone", i, 1, wall_ms());
            fixture_produce(&f, "t", i, 1, wall_ms());
        }
        pass_ms((int64_t)seed % 7);
        struct sluice_topic_ref ref = {.name = sluice_text_of("gone")};
        bool done = false;
        topics_delete_start(fixture_home(&f), &ref, 1, false, on_topic_deleted, &done);
        fixture_run_until(&f, &done);
        pass_ms(100);
        for (int32_t i = 0; i < 1200; i += 10) {
            cr_assert_eq(fixture_offset(&f, "t", i, SLUICE_TIME_EARLIEST).offset, 1);
        }
        fixture_restart(&f, true);
        cr_assert_eq(log_start(), 1);
        fixture_close(&f);
    }
}

Test(retention, what_it_drops_frees_segments_of_the_log)
{
    open_with("retention.ms", "1000");
    for (int i = 0; i < 6000; i++) {
        uint8_t bytes[16384];
        size_t size = fixture_batch(bytes, sizeof(bytes), 500, wall_ms(), -1, -1, -1);
        struct produced produced;
        fixture_produce_start(&f, "t", 0, (struct sluice_bytes){bytes, size}, &produced);
        fixture_run_until(&f, &produced.done);
        cr_assert_eq(produced.result.status, SLUICE_OK, "batch %d: %d", i, produced.result.status);
        pass_ms(20);
    }
    cr_assert_gt(fixture_home(&f)->bytes_in, 24u << 20, "more than the log may hold");
    fixture_close(&f);
}

/* ---- whenever the power goes ---- */

#define HISTORY_LIVES 3
#define HISTORY_STEPS 60
#define KEPT_BYTES    30000

struct history {
    unsigned short random[3];
    bool by_size;
    int64_t end;       /* acknowledged */
    int64_t start;     /* answered or seen */
    int64_t start_max; /* asked for, answered or not */
    struct produced produced[HISTORY_STEPS];
    struct deleted deleted[HISTORY_STEPS];
};

static void some_steps(struct history *history)
{
    for (long i = nrand48(history->random) % 60; i > 0; i--) {
        sl_os_sim_step(f.os);
    }
}

/* Writes and deletes by chance until the power goes; what was asked for is under way by then. */
static void live(struct history *history)
{
    memset(history->produced, 0, sizeof(history->produced));
    memset(history->deleted, 0, sizeof(history->deleted));
    for (int i = 0; i < HISTORY_STEPS && !sl_os_sim_power_is_off(f.os); i++) {
        if (nrand48(history->random) % 4 > 0) {
            uint8_t bytes[16384];
            size_t size = fixture_batch(bytes, sizeof(bytes), 500, wall_ms(), -1, -1, -1);
            fixture_produce_start(&f, "t", 0, (struct sluice_bytes){bytes, size},
                                  &history->produced[i]);
        } else if (!history->by_size && history->end > 0) {
            int64_t offset = nrand48(history->random) % history->end;
            struct sluice_records_delete entry = {.topic = {.name = sluice_text_of("t")},
                                                  .before_offset = offset};
            history->start_max = SL_MAX(history->start_max, offset);
            records_delete_start(fixture_home(&f), &entry, 1, on_deleted, &history->deleted[i]);
        }
        some_steps(history);
        if (history->produced[i].done && history->produced[i].result.status == SLUICE_OK) {
            history->end = SL_MAX(history->end, history->produced[i].result.base_offset + 500);
        }
    }
}

static void take_answers(struct history *history)
{
    for (int i = 0; i < HISTORY_STEPS; i++) {
        const struct produced *produced = &history->produced[i];
        const struct deleted *deleted = &history->deleted[i];
        if (produced->done && produced->result.status == SLUICE_OK) {
            history->end = SL_MAX(history->end, produced->result.base_offset + 500);
        }
        if (deleted->done && deleted->result.status == SLUICE_OK) {
            history->start = SL_MAX(history->start, deleted->result.log_start_offset);
        }
    }
}

static void judge(struct history *history, uint64_t seed)
{
    int64_t start = log_start();
    int64_t end = log_end();
    cr_assert_geq(end, history->end, "seed %llu: acknowledged records are lost",
                  (unsigned long long)seed);
    cr_assert_geq(start, history->start, "seed %llu: deleted records are back",
                  (unsigned long long)seed);
    struct topic *topic = catalog_by_name(fixture_home(&f)->catalog, sl_bytes_of_text("t"));
    struct partition *partition = partition_find(topic, 0);
    if (!history->by_size) {
        cr_assert_leq(start, history->start_max, "seed %llu: too much is gone",
                      (unsigned long long)seed);
    } else if (start > 0) {
        cr_assert_geq(stream_index_bytes(&partition->index), KEPT_BYTES, "seed %llu",
                      (unsigned long long)seed);
    }
    for (int64_t at = start; at < end; at = fetched.next_offset) {
        fixture_fetch(&f, "t", 0, at, &fetched);
        cr_assert_eq(fetched.result.status, SLUICE_OK, "seed %llu: %d at %lld",
                     (unsigned long long)seed, fetched.result.status, (long long)at);
        cr_assert(fetched.first_offset <= at && at < fetched.next_offset,
                  "seed %llu: a hole at %lld", (unsigned long long)seed, (long long)at);
    }
    history->start = start;
    history->end = end;
}

static void random_history(uint64_t seed)
{
    static struct history history;
    history = (struct history){.random = {(unsigned short)seed, (unsigned short)(seed >> 16), 9},
                               .by_size = seed % 2 == 0};
    fixture_open_small(&f, seed, 1);
    f.settings.retention_check_interval_ms = 20;
    fixture_create_topic(&f, "t", 1, history.by_size ? "retention.bytes" : NULL, "30000");
    for (int i = 0; i < HISTORY_LIVES; i++) {
        f.faults.power_cut_after = 20 + (uint64_t)(nrand48(history.random) % 300);
        fixture_restart(&f, true);
        live(&history);
        take_answers(&history);
        f.faults.power_cut_after = 0;
        fixture_restart(&f, true);
        judge(&history, seed);
    }
    fixture_close(&f);
}

/* LeakSanitizer's, when it is there: what a cut machine had in memory is given back by nobody. */
extern void __lsan_disable(void) __attribute__((weak));

Test(retention, what_went_stays_gone_and_the_rest_stays_whenever_the_power_goes, .timeout = 120)
{
    if (__lsan_disable != NULL) {
        __lsan_disable();
    }
    const char *given = getenv("SLUICE_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : 1;
    uint64_t histories = 200;
    printf("seed %llu, %llu histories of 3 power cuts\n", (unsigned long long)seed,
           (unsigned long long)histories);
    for (uint64_t i = 0; i < histories; i++) {
        random_history(seed + i);
    }
}
