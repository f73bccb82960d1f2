/* test_shard.c: what a shard promises, over the simulator. */
#include "shard_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOW 1000000

Test(shard, gives_offsets_in_order_and_reads_them_back)
{
    struct fixture f;
    fixture_open(&f, 1, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    cr_assert_eq(fixture_produce(&f, "t", 0, 3, NOW).base_offset, 0);
    cr_assert_eq(fixture_produce(&f, "t", 0, 2, NOW).base_offset, 3);
    static struct fetched fetched;
    fixture_fetch(&f, "t", 0, 0, &fetched);
    cr_assert_eq(fetched.result.status, SLUICE_OK);
    cr_assert_eq(fetched.result.high_watermark, 5);
    cr_assert_eq(fetched.records, 5);
    fixture_close(&f);
}

Test(shard, a_fetch_inside_a_batch_begins_with_the_batch_that_holds_the_offset)
{
    struct fixture f;
    fixture_open(&f, 2, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    fixture_produce(&f, "t", 0, 4, NOW);
    fixture_produce(&f, "t", 0, 4, NOW);
    static struct fetched fetched;
    fixture_fetch(&f, "t", 0, 5, &fetched);
    cr_assert_eq(fetched.first_offset, 4);
    cr_assert_eq(fetched.next_offset, 8);
    fixture_close(&f);
}

Test(shard, an_offset_beyond_the_end_is_out_of_range_and_answers_at_once)
{
    struct fixture f;
    fixture_open(&f, 3, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    static struct fetched fetched;
    fixture_fetch_start(&f, "t", 0, 9, 1, 1000000, &fetched);
    cr_assert(!fetched.done || fetched.result.status == SLUICE_E_OFFSET_OUT_OF_RANGE);
    fixture_run_until(&f, &fetched.done);
    cr_assert_eq(fetched.result.status, SLUICE_E_OFFSET_OUT_OF_RANGE);
    fixture_close(&f);
}

Test(shard, a_waiting_fetch_is_answered_by_the_next_durable_batch)
{
    struct fixture f;
    fixture_open(&f, 4, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    static struct fetched fetched;
    fixture_fetch_start(&f, "t", 0, 0, 1, 1000000000, &fetched);
    for (int i = 0; i < 8; i++) {
        sl_os_sim_step(f.os);
    }
    cr_assert_not(fetched.done);
    fixture_produce(&f, "t", 0, 1, NOW);
    fixture_run_until(&f, &fetched.done);
    cr_assert_eq(fetched.records, 1);
    fixture_close(&f);
}

Test(shard, a_waiting_fetch_ends_with_nothing_when_its_time_is_up)
{
    struct fixture f;
    fixture_open(&f, 5, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    static struct fetched fetched;
    int64_t before = sl_os_mono_ns(f.os);
    fixture_fetch_start(&f, "t", 0, 0, 1, 500, &fetched);
    fixture_run_until(&f, &fetched.done);
    cr_assert(fetched.done);
    cr_assert_eq(fetched.result.status, SLUICE_OK);
    cr_assert_eq(fetched.records, 0);
    cr_assert_geq(sl_os_mono_ns(f.os) - before, 499 * 1000000LL);
    fixture_close(&f);
}

Test(shard, a_closed_connection_ends_its_waiting_fetch)
{
    struct fixture f;
    fixture_open(&f, 6, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    static struct fetched fetched;
    fixture_fetch_start(&f, "t", 0, 0, 1, 1000000000, &fetched);
    fetch_cancel(fixture_home(&f), fixture_home(&f), 7);
    fixture_run_until(&f, &fetched.done);
    cr_assert(fetched.done);
    cr_assert_lt(sl_os_mono_ns(f.os), 1000000000LL * 1000);
    fixture_close(&f);
}

Test(shard, a_retry_of_a_batch_gets_the_first_offset_again_even_while_it_is_under_way)
{
    struct fixture f;
    fixture_open(&f, 7, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    uint8_t bytes[4096];
    size_t size = fixture_batch(bytes, sizeof(bytes), 2, NOW, 55, 0, 0);
    struct sluice_bytes batch = {bytes, size};
    struct produced first, second, third;
    fixture_produce_start(&f, "t", 0, batch, &first);
    fixture_produce_start(&f, "t", 0, batch, &second);
    fixture_run_until(&f, &second.done);
    fixture_run_until(&f, &first.done);
    cr_assert_eq(first.result.base_offset, 0);
    cr_assert_eq(second.result.status, SLUICE_OK);
    cr_assert_eq(second.result.base_offset, 0);
    fixture_restart(&f, true);
    fixture_produce_start(&f, "t", 0, batch, &third);
    fixture_run_until(&f, &third.done);
    cr_assert_eq(third.result.base_offset, 0);
    cr_assert_eq(fixture_offset(&f, "t", 0, SLUICE_TIME_LATEST).offset, 2);
    fixture_close(&f);
}

Test(shard, a_gap_in_the_sequence_is_refused)
{
    struct fixture f;
    fixture_open(&f, 8, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    uint8_t bytes[4096];
    struct produced produced;
    size_t size = fixture_batch(bytes, sizeof(bytes), 2, NOW, 55, 0, 0);
    fixture_produce_start(&f, "t", 0, (struct sluice_bytes){bytes, size}, &produced);
    fixture_run_until(&f, &produced.done);
    size = fixture_batch(bytes, sizeof(bytes), 1, NOW, 55, 0, 9);
    fixture_produce_start(&f, "t", 0, (struct sluice_bytes){bytes, size}, &produced);
    fixture_run_until(&f, &produced.done);
    cr_assert_eq(produced.result.status, SLUICE_E_OUT_OF_ORDER_SEQUENCE);
    fixture_close(&f);
}

Test(shard, a_damaged_batch_is_refused_and_harms_nothing)
{
    struct fixture f;
    fixture_open(&f, 9, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    uint8_t bytes[4096];
    size_t size = fixture_batch(bytes, sizeof(bytes), 2, NOW, -1, -1, -1);
    bytes[size - 2] ^= 1;
    struct produced produced;
    fixture_produce_start(&f, "t", 0, (struct sluice_bytes){bytes, size}, &produced);
    fixture_run_until(&f, &produced.done);
    cr_assert_eq(produced.result.status, SLUICE_E_CORRUPT_BATCH);
    cr_assert_eq(fixture_produce(&f, "t", 0, 1, NOW).base_offset, 0);
    fixture_close(&f);
}

Test(shard, a_query_by_time_finds_the_record_inside_a_batch)
{
    struct fixture f;
    fixture_open(&f, 10, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    fixture_produce(&f, "t", 0, 5, 1000);
    fixture_produce(&f, "t", 0, 5, 2000);
    struct sluice_offset_answer answer = fixture_offset(&f, "t", 0, 2002);
    cr_assert_eq(answer.offset, 7);
    cr_assert_eq(answer.timestamp, 2002);
    cr_assert_eq(fixture_offset(&f, "t", 0, 1).offset, 0);
    cr_assert_eq(fixture_offset(&f, "t", 0, 5000).offset, -1);
    cr_assert_eq(fixture_offset(&f, "t", 0, SLUICE_TIME_MAX_TIMESTAMP).offset, 9);
    cr_assert_eq(fixture_offset(&f, "t", 0, SLUICE_TIME_EARLIEST).offset, 0);
    fixture_close(&f);
}

Test(shard, append_time_is_stamped_and_told)
{
    struct fixture f;
    fixture_open(&f, 11, 1);
    fixture_create_topic(&f, "t", 1, "message.timestamp.type", "LogAppendTime");
    struct sluice_produce_result result = fixture_produce(&f, "t", 0, 1, 5);
    cr_assert_geq(result.log_append_time_ms, 0);
    static struct fetched fetched;
    fixture_fetch(&f, "t", 0, 0, &fetched);
    struct batch_view view;
    cr_assert_eq(batch_view_init(&view, (struct sl_bytes){fetched.bytes, sizeof(fetched.bytes)}),
                 SLUICE_OK);
    cr_assert_eq(batch_view_max_timestamp(&view), result.log_append_time_ms);
    cr_assert(batch_view_has(&view, BATCH_LOG_APPEND_TIME));
    fixture_close(&f);
}

/* Offset and leader epoch of a batch lie outside its CRC: the log's directory knows them. */
static void flipped(size_t at_of_batch)
{
    struct fixture f;
    fixture_open(&f, 20 + at_of_batch, 1);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    fixture_produce(&f, "t", 0, 3, NOW);
    fixture_produce(&f, "t", 0, 3, NOW);
    fixture_produce(&f, "t", 0, 3, NOW); /* later frames claim the first ones durable */
    fixture_restart(&f, false);
    struct stream_run run;
    struct partition *partition = partition_find(
        catalog_by_name(fixture_home(&f)->catalog, (struct sl_bytes){(const uint8_t *)"t", 1}), 0);
    cr_assert(stream_index_find(&partition->index, 0, &run));
    char path[64];
    snprintf(path, sizeof(path), "data/shard-0/wal/%020llu.seg",
             (unsigned long long)run.place.segment);
    size_t size = 0;
    uint8_t *bytes = sl_sim_disk_bytes(f.disk, path, &size);
    cr_assert_not_null(bytes, "%s", path);
    bytes[run.place.position + at_of_batch] ^= 0x40;
    static struct fetched fetched;
    fixture_fetch(&f, "t", 0, 0, &fetched);
    cr_assert_eq(fetched.result.status, SLUICE_E_DAMAGED_RECORDS, "byte %zu", at_of_batch);
    cr_assert_eq(fetched.records, 0);
    fixture_fetch(&f, "t", 0, 3, &fetched);
    cr_assert_eq(fetched.result.status, SLUICE_OK);
    cr_assert_eq(fetched.records, 6);
    fixture_close(&f);
}

Test(shard, a_flip_in_stored_records_is_never_served)
{
    for (size_t at = 0; at < 61 + 12; at++) {
        flipped(at);
    }
}

struct deleted {
    bool done;
    sluice_status status;
};

static void on_deleted(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct deleted *deleted = arg;
    (void)count;
    deleted->status = results[0].status;
    deleted->done = true;
}

Test(shard, deleting_a_topic_answers_who_waits_for_it_and_is_durable)
{
    struct fixture f;
    fixture_open(&f, 12, 2);
    fixture_create_topic(&f, "t", 4, NULL, NULL);
    fixture_produce(&f, "t", 1, 1, NOW);
    static struct fetched fetched;
    fixture_fetch_start(&f, "t", 1, 1, 1, 1000000000, &fetched);
    struct sluice_topic_ref ref = {.name = sluice_text_of("t")};
    struct deleted deleted = {0};
    topics_delete_start(fixture_home(&f), &ref, 1, false, on_deleted, &deleted);
    fixture_run_until(&f, &deleted.done);
    cr_assert_eq(deleted.status, SLUICE_OK);
    fixture_run_until(&f, &fetched.done);
    cr_assert_eq(fetched.result.status, SLUICE_E_UNKNOWN_TOPIC);
    fixture_restart(&f, true);
    cr_assert_null(catalog_by_name(fixture_home(&f)->catalog, sl_of_text(ref.name)));
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    cr_assert_eq(fixture_produce(&f, "t", 0, 1, NOW).base_offset, 0);
    fixture_restart(&f, true); /* over the batches of both, and the deletion between them */
    cr_assert_eq(fixture_produce(&f, "t", 0, 1, NOW).base_offset, 1);
    fixture_close(&f);
}

static void on_id(void *arg, const struct sluice_producer_id *id)
{
    *(struct sluice_producer_id *)arg = *id;
}

static int64_t new_id(struct fixture *f)
{
    struct sluice_producer_id id = {.status = -1, .id = -2};
    producer_id_start(fixture_home(f), -1, -1, on_id, &id);
    while (id.id == -2) {
        cr_assert(sl_os_sim_step(f->os));
    }
    cr_assert_eq(id.status, SLUICE_OK);
    return id.id;
}

Test(shard, producer_ids_are_never_given_twice_not_even_after_a_power_cut)
{
    struct fixture f;
    fixture_open(&f, 13, 1);
    int64_t last = -1;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 3; i++) {
            int64_t id = new_id(&f);
            cr_assert_gt(id, last);
            last = id;
        }
        fixture_restart(&f, true);
    }
    fixture_close(&f);
}

Test(shard, committed_offsets_survive_a_power_cut)
{
    struct fixture f;
    fixture_open(&f, 14, 2);
    fixture_create_topic(&f, "t", 1, NULL, NULL);
    fixture_commit_offset(&f, "g", "t", 0, 42);
    fixture_restart(&f, true);
    cr_assert_eq(fixture_committed(&f, "g").offset, 42);
    fixture_close(&f);
}

/* Batches of random sizes to random partitions, a power cut at a random operation, recovery: what
 * was acknowledged is there at its offset, and nothing else but what was sent. */
static void random_history(uint64_t seed)
{
    struct fixture f;
    unsigned short random[3] = {(unsigned short)seed, (unsigned short)(seed >> 16), 7};
    fixture_open(&f, seed, 1 + (uint32_t)(seed % 3));
    fixture_create_topic(&f, "t", 3, NULL, NULL);
    int64_t acknowledged[3] = {0};
    for (int life = 0; life < 3; life++) {
        f.faults.power_cut_after = 5 + (uint64_t)(nrand48(random) % 60);
        fixture_restart(&f, true);
        static struct produced produced[40];
        int32_t partitions[40];
        int sent = 0;
        for (; sent < 40 && !sl_os_sim_power_is_off(f.os); sent++) {
            uint8_t bytes[8192];
            int count = 1 + (int)(nrand48(random) % 50);
            partitions[sent] = (int32_t)(nrand48(random) % 3);
            size_t size = fixture_batch(bytes, sizeof(bytes), count, NOW, -1, -1, -1);
            fixture_produce_start(&f, "t", partitions[sent], (struct sluice_bytes){bytes, size},
                                  &produced[sent]);
            for (long i = nrand48(random) % 30; i > 0; i--) {
                sl_os_sim_step(f.os);
            }
        }
        for (int i = 0; i < sent; i++) {
            if (produced[i].done && produced[i].result.status == SLUICE_OK) {
                acknowledged[partitions[i]] =
                    SL_MAX(acknowledged[partitions[i]], produced[i].result.base_offset + 1);
            }
        }
        f.faults.power_cut_after = 0;
        fixture_restart(&f, true);
        for (int32_t p = 0; p < 3; p++) {
            int64_t end = fixture_offset(&f, "t", p, SLUICE_TIME_LATEST).offset;
            cr_assert_geq(end, acknowledged[p],
                          "seed %llu partition %d: %lld acknowledged, %lld there",
                          (unsigned long long)seed, p, (long long)acknowledged[p], (long long)end);
            static struct fetched fetched;
            for (int64_t at = 0; at < end; at = fetched.next_offset) {
                fixture_fetch(&f, "t", p, at, &fetched);
                cr_assert_eq(fetched.result.status, SLUICE_OK);
                cr_assert_eq(fetched.first_offset, at, "seed %llu: a hole before %lld",
                             (unsigned long long)seed, (long long)at);
            }
            acknowledged[p] = end;
        }
    }
    fixture_close(&f);
}

/* LeakSanitizer's, when it is there: what a cut machine had in memory is given back by nobody. */
extern void __lsan_disable(void) __attribute__((weak));

Test(shard, keeps_what_it_acknowledged_whenever_the_power_goes, .timeout = 120)
{
    if (__lsan_disable != NULL) {
        __lsan_disable();
    }
    const char *given = getenv("SLUICE_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : 1;
    uint64_t histories = 300;
    printf("seed %llu, %llu histories of 3 power cuts\n", (unsigned long long)seed,
           (unsigned long long)histories);
    for (uint64_t i = 0; i < histories; i++) {
        random_history(seed + i);
    }
}

/* ---- requests to very many partitions ---- */

#define WIDE 2000u

struct wide_produced {
    uint32_t failed;
    int64_t last_offset; /* of the batch of the last partition */
    bool done;
};

static void on_wide(void *arg, const struct sluice_produce_result *results, uint32_t count,
                    int32_t throttle_ms SL_UNUSED)
{
    struct wide_produced *produced = arg;
    for (uint32_t i = 0; i < count; i++) {
        produced->failed += results[i].status != SLUICE_OK;
    }
    produced->last_offset = results[count - 1].base_offset;
    produced->done = true;
}

/* To the last `count` partitions. */
static void produce_wide(struct fixture *f, uint32_t count, struct wide_produced *ret_produced)
{
    static struct sluice_produce_entry entries[WIDE];
    uint8_t bytes[512];
    size_t size = fixture_batch(bytes, sizeof(bytes), 1, NOW, -1, -1, -1);
    for (uint32_t i = 0; i < count; i++) {
        entries[i] = (struct sluice_produce_entry){.topic = {.name = sluice_text_of("t")},
                                                   .partition = (int32_t)(WIDE - count + i),
                                                   .batch = {bytes, size}};
    }
    struct sluice_produce request = {
        .size = sizeof(request), .acks = -1, .entry_count = count, .entries = entries};
    *ret_produced = (struct wide_produced){0};
    produce_start(fixture_home(f), NULL, &f->context, &request, on_wide, ret_produced, NULL);
}

Test(shard, a_request_to_many_partitions_keeps_its_place_before_later_ones)
{
    for (uint32_t shards = 1; shards <= 2; shards++) {
        struct fixture f;
        fixture_open(&f, 40 + shards, shards);
        fixture_create_topic(&f, "t", WIDE, NULL, NULL);
        struct wide_produced wide;
        struct wide_produced narrow;
        struct wide_produced again;
        produce_wide(&f, WIDE, &wide);
        produce_wide(&f, 1, &narrow);
        produce_wide(&f, WIDE, &again);
        fixture_run_until(&f, &again.done);
        cr_assert(wide.done && narrow.done);
        cr_expect_eq(wide.failed + narrow.failed + again.failed, 0);
        cr_expect_eq(wide.last_offset, 0);
        cr_expect_eq(narrow.last_offset, 1);
        cr_expect_eq(again.last_offset, 2);
        fixture_close(&f);
    }
}
