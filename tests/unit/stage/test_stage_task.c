/* test_stage_task.c: what a stage promises, over the simulator with power cuts by seed: each record
 * of the input has its verdict carried out exactly once, in order. */
#include "fake_worker.h"
#include "shard_fixture.h"
#include "stage/stage_task.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOW 1700000000000

struct stage_fixture {
    struct fixture base;
    struct fake_worker worker;
    struct header_room headers;
    struct sl_list stores;
    struct stage_counts counts;
    struct stage_brake brake;
    struct stage_watch watch;
    struct stage_config config;
    struct stage_task *task;
    uint32_t closed;
};

static void on_closed(void *arg)
{
    ++*(uint32_t *)arg;
}

static void attach(struct stage_fixture *f, fate_fn *fate)
{
    struct shard *shard = fixture_home(&f->base);
    struct partition *partition = NULL;
    struct topic *topic = catalog_by_name(shard->catalog, sl_bytes_of_text("in"));
    cr_assert_not_null(topic);
    cr_assert_eq(partition_open(shard, topic, 0, &partition), SLUICE_OK);
    fake_worker_init(&f->worker, f->base.loops[0], fate);
    f->brake.cause = STAGE_PAUSE_NONE;
    stage_watch_reset(&f->watch);
    f->watch.brake = &f->brake;
    f->config = (struct stage_config){
        .shard = shard,
        .port = &f->worker.port,
        .rules = {.shard = shard, .instance = "stage", .version = "1.2.3", .any = true},
        .output = "%s.out",
        .timeout_ms = 1000,
        .counts = &f->counts,
        .watch = &f->watch,
        .headers = &f->headers,
        .stores = &f->stores,
        .closed = on_closed,
        .closed_arg = &f->closed,
    };
    cr_assert_eq(stage_task_open(&f->config, partition, STAGE_FROM_START, &f->task), SLUICE_OK);
}

static void detach(struct stage_fixture *f)
{
    uint32_t before = f->closed;
    stage_task_close(f->task);
    while (f->closed == before && sl_os_sim_step(f->base.os)) {
    }
    f->task = NULL;
}

static void open_all(struct stage_fixture *f, uint64_t seed, fate_fn *fate)
{
    memset(f, 0, sizeof(*f));
    sl_list_init(&f->stores);
    fixture_open(&f->base, seed, 1);
    fixture_create_topic(&f->base, "in", 1, NULL, NULL);
    fixture_create_topic(&f->base, "other", 1, NULL, NULL);
    attach(f, fate);
}

static void close_all(struct stage_fixture *f)
{
    if (f->task != NULL) {
        detach(f);
    }
    fixture_close(&f->base);
    header_room_fini(&f->headers);
}

/* Records first .. first + count - 1, whose values are their numbers. */
static size_t number_batch(uint8_t *into, size_t room, int first, int count, int codec)
{
    struct sl_buffer buffer;
    struct sl_buffer scratch;
    struct batch_builder builder;
    struct batch_view view;
    struct codec_context *codecs = codec_context_new();
    sl_buffer_init(&buffer, room);
    sl_buffer_init(&scratch, room);
    cr_assert_eq(batch_builder_start(&builder, &buffer, NULL), SLUICE_OK);
    for (int i = first; i < first + count; i++) {
        char value[16];
        struct header_view header = {sl_bytes_of_text("h"), sl_bytes_of_text("x"), false};
        int size = snprintf(value, sizeof(value), "%d", i);
        struct record_fields record = {.key = sl_bytes_of_text("k"),
                                       .value = {(uint8_t *)value, (size_t)size},
                                       .headers = &header,
                                       .header_count = 1,
                                       .timestamp_ms = NOW + i};
        cr_assert_eq(batch_builder_append(&builder, &record), SLUICE_OK);
    }
    cr_assert_eq(batch_builder_finish(&builder, codec, codecs, &scratch, &view), SLUICE_OK);
    memcpy(into, view.data, view.size);
    size_t size = view.size;
    sl_buffer_fini(&buffer);
    sl_buffer_fini(&scratch);
    codec_context_free(codecs);
    return size;
}

static void produce_numbers(struct stage_fixture *f, int first, int count, int codec)
{
    uint8_t bytes[32768];
    struct produced produced;
    size_t size = number_batch(bytes, sizeof(bytes), first, count, codec);
    fixture_produce_start(&f->base, "in", 0, (struct sluice_bytes){bytes, size}, &produced);
    fixture_run_until(&f->base, &produced.done);
    cr_assert_eq(produced.result.status, SLUICE_OK);
}

static void settle(struct stage_fixture *f)
{
    for (int steps = 0; steps < 200000; steps++) {
        const struct partition *partition = stage_task_partition(f->task);
        if (stage_task_position(f->task) >= partition_end(partition)) {
            return;
        }
        cr_assert(sl_os_sim_step(f->base.os));
    }
    cr_assert_fail("the stage does not come to the end: %s", stage_task_stall(f->task));
}

/* All values of a topic, "a b c"; "" when it is not there. */
static char *values_of(struct stage_fixture *f, const char *topic)
{
    static char text[1 << 20];
    size_t size = 0;
    int64_t offset = 0;
    struct fetched fetched;
    text[0] = '\0';
    if (catalog_by_name(fixture_home(&f->base)->catalog, sl_bytes_of_text(topic)) == NULL) {
        return text;
    }
    for (;;) {
        fixture_fetch(&f->base, topic, 0, offset, &fetched);
        if (fetched.next_offset < 0) {
            return text;
        }
        struct sl_bytes rest = {fetched.bytes, fetched.result.records.size};
        struct batch_view view;
        while (rest.size > 0 && batch_view_init(&view, rest) == SLUICE_OK) {
            struct record_iterator iterator;
            struct record_view record;
            struct sl_buffer opened;
            struct sl_bytes records;
            struct codec_context *codecs = codec_context_new();
            sl_buffer_init(&opened, 1 << 20);
            cr_assert_eq(batch_decompress(&view, codecs, 1 << 20, &opened, &records), SLUICE_OK);
            record_iterator_init(&iterator, records, batch_view_record_count(&view));
            while (record_iterator_next(&iterator, &record)) {
                if (record_offset(&view, &record) >= offset) {
                    size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%.*s",
                                             size > 0 ? " " : "", (int)record.value.size,
                                             (const char *)record.value.data);
                }
            }
            sl_buffer_fini(&opened);
            codec_context_free(codecs);
            rest = (struct sl_bytes){rest.data + view.size, rest.size - view.size};
        }
        offset = fetched.next_offset;
    }
}

/* What must stand in each topic, from what stands in "in". */
static void expect(struct stage_fixture *f, fate_fn *fate)
{
    char *input = strdup(values_of(f, "in"));
    static char out[1 << 20], other[1 << 20], dead[1 << 20];
    size_t out_size = 0, other_size = 0, dead_size = 0;
    out[0] = other[0] = dead[0] = '\0';
    for (char *word = strtok(input, " "); word != NULL; word = strtok(NULL, " ")) {
        enum fate is = fate(atoi(word));
        if (is == FATE_PASS || is == FATE_RETRY || is == FATE_CHANGE) {
            out_size +=
                (size_t)snprintf(out + out_size, sizeof(out) - out_size, "%s%s%s",
                                 out_size > 0 ? " " : "", word, is == FATE_CHANGE ? "!" : "");
        } else if (is == FATE_SPLIT) {
            other_size += (size_t)snprintf(other + other_size, sizeof(other) - other_size,
                                           "%s%s %s", other_size > 0 ? " " : "", word, word);
        } else if (is == FATE_REJECT || is == FATE_POISON) {
            dead_size += (size_t)snprintf(dead + dead_size, sizeof(dead) - dead_size, "%s%s",
                                          dead_size > 0 ? " " : "", word);
        }
    }
    free(input);
    cr_assert_str_eq(values_of(f, "in.out"), out);
    cr_assert_str_eq(values_of(f, "other"), other);
    cr_assert_str_eq(values_of(f, "__sluice_dlq.stage"), dead);
}

static enum fate passes(int id)
{
    (void)id;
    return FATE_PASS;
}

static enum fate mixed(int id)
{
    static const enum fate fates[] = {FATE_PASS, FATE_DROP,   FATE_PASS, FATE_SPLIT,
                                      FATE_PASS, FATE_CHANGE, FATE_PASS, FATE_REJECT};
    return id % 37 == 20 ? FATE_POISON : id % 41 == 30 ? FATE_RETRY : fates[id % 8];
}

Test(stage, passes_records_with_key_headers_and_time)
{
    struct stage_fixture f;
    open_all(&f, 1, passes);
    produce_numbers(&f, 0, 3, BATCH_CODEC_NONE);
    settle(&f);
    struct fetched fetched;
    struct batch_view view;
    struct record_iterator iterator;
    struct record_view record;
    fixture_fetch(&f.base, "in.out", 0, 0, &fetched);
    cr_assert_eq(fetched.records, 3);
    cr_assert_eq(batch_view_init(&view, sl_bytes_of(fetched.bytes, fetched.result.records.size)),
                 SLUICE_OK);
    record_iterator_init(&iterator, batch_view_records(&view), 3);
    cr_assert(record_iterator_next(&iterator, &record));
    cr_assert_eq(record_timestamp(&view, &record), NOW);
    cr_assert_eq(record.header_count, 1);
    cr_assert_eq(record.key.size, 1);
    close_all(&f);
}

Test(stage, carries_out_every_verdict_once)
{
    struct stage_fixture f;
    open_all(&f, 2, mixed);
    for (int i = 0; i < 20; i++) {
        produce_numbers(&f, i * 25, 25, i % 2 == 0 ? BATCH_CODEC_NONE : BATCH_CODEC_LZ4);
    }
    settle(&f);
    expect(&f, mixed);
    cr_assert_eq(f.counts.values[STAGE_COUNT_RECORDS_IN], 500);
    close_all(&f);
}

Test(stage, takes_small_batches_together)
{
    struct stage_fixture f;
    open_all(&f, 3, passes);
    f.worker.dead = true;
    for (int i = 0; i < 50; i++) {
        produce_numbers(&f, i, 1, BATCH_CODEC_NONE);
    }
    f.worker.dead = false;
    fake_worker_revive(&f.worker);
    settle(&f);
    expect(&f, passes);
    cr_assert_geq(f.worker.largest, 40, "%u in %u calls", f.worker.largest, f.worker.calls);
    close_all(&f);
}

static enum fate one_poison(int id)
{
    return id == 70 ? FATE_POISON : FATE_PASS;
}

Test(stage, finds_a_poison_record_by_halving)
{
    struct stage_fixture f;
    open_all(&f, 4, one_poison);
    produce_numbers(&f, 0, 128, BATCH_CODEC_NONE);
    settle(&f);
    expect(&f, one_poison);
    cr_assert_leq(f.worker.deaths, 10, "%u deaths", f.worker.deaths);
    cr_assert_eq(f.counts.values[STAGE_COUNT_POISONED], 1);
    close_all(&f);
}

Test(stage, finds_a_poison_record_where_its_worker_says)
{
    struct stage_fixture f;
    open_all(&f, 4, one_poison);
    f.worker.word = WORD_TRUE;
    produce_numbers(&f, 0, 128, BATCH_CODEC_NONE);
    settle(&f);
    expect(&f, one_poison);
    cr_assert_eq(f.worker.deaths, 3, "%u deaths", f.worker.deaths);
    cr_assert_eq(f.counts.values[STAGE_COUNT_POISONED], 1);
    close_all(&f);
}

static enum fate first_and_last_poison(int id)
{
    return id == 0 || id == 1 || id == 127 ? FATE_POISON : FATE_PASS;
}

Test(stage, finds_poison_at_the_ends_and_side_by_side)
{
    struct stage_fixture f;
    open_all(&f, 4, first_and_last_poison);
    f.worker.word = WORD_TRUE;
    produce_numbers(&f, 0, 128, BATCH_CODEC_NONE);
    settle(&f);
    expect(&f, first_and_last_poison);
    cr_assert_eq(f.worker.deaths, 9, "%u deaths", f.worker.deaths);
    close_all(&f);
}

static enum fate some_poison(int id)
{
    return id % 97 == 13 ? FATE_POISON : FATE_PASS;
}

Test(stage, a_worker_that_lies_about_where_it_was_convicts_nobody_else)
{
    struct stage_fixture f;
    open_all(&f, 4, some_poison);
    f.worker.word = WORD_FALSE;
    produce_numbers(&f, 0, 1000, BATCH_CODEC_NONE);
    settle(&f);
    expect(&f, some_poison);
    cr_assert_eq(f.counts.values[STAGE_COUNT_POISONED], 11);
    cr_assert_leq(f.worker.deaths, 11u * 15u, "%u deaths", f.worker.deaths);
    close_all(&f);
}

static enum fate all_poison(int id)
{
    (void)id;
    return FATE_POISON;
}

Test(stage, pauses_when_every_record_kills_the_worker)
{
    struct stage_fixture f;
    open_all(&f, 5, all_poison);
    produce_numbers(&f, 0, 200, BATCH_CODEC_NONE);
    for (int i = 0; i < 300000 && stage_task_stall(f.task)[0] != 'p'; i++) {
        cr_assert(sl_os_sim_step(f.base.os));
    }
    cr_assert_str_eq(stage_task_stall(f.task), "paused: every record fails");
    cr_assert_eq(f.counts.values[STAGE_COUNT_POISONED], STAGE_FAILURES_ROW);
    f.worker.fate = passes; /* new code */
    f.brake.cause = STAGE_PAUSE_NONE;
    stage_watch_reset(&f.watch);
    stage_task_wake(f.task);
    settle(&f);
    cr_assert_eq(f.counts.values[STAGE_COUNT_POISONED], STAGE_FAILURES_ROW);
    close_all(&f);
}

/* ---- on_error ---- */

static void open_with(struct stage_fixture *f, uint64_t seed, fate_fn *fate, const char *on_error)
{
    open_all(f, seed, fate);
    cr_assert_eq(error_rule_parse(sl_bytes_of_text(on_error), &f->config.rules.on_error),
                 SLUICE_OK);
}

static bool is_paused(struct stage_fixture *f)
{
    for (int i = 0; i < 300000 && stage_task_stall(f->task)[0] != 'p'; i++) {
        if (!sl_os_sim_step(f->base.os)) {
            return false;
        }
    }
    return stage_task_stall(f->task)[0] == 'p';
}

static enum fate bad_ones(int id)
{
    return id == 5 ? FATE_REJECT : id == 11 ? FATE_POISON : FATE_PASS;
}

Test(stage, drops_what_fails_when_told_so)
{
    struct stage_fixture f;
    open_with(&f, 21, bad_ones, "drop");
    produce_numbers(&f, 0, 14, BATCH_CODEC_NONE);
    settle(&f);
    cr_assert_str_eq(values_of(&f, "in.out"), "0 1 2 3 4 6 7 8 9 10 12 13");
    cr_assert_str_eq(values_of(&f, "__sluice_dlq.stage"), "");
    cr_assert_eq(f.counts.values[STAGE_COUNT_DISCARDED], 2);
    cr_assert_eq(f.counts.values[STAGE_COUNT_REJECTED], 0);
    close_all(&f);
}

Test(stage, stops_before_a_record_that_fails_when_told_so)
{
    struct stage_fixture f;
    open_with(&f, 22, bad_ones, "stop");
    produce_numbers(&f, 0, 14, BATCH_CODEC_NONE);
    cr_assert(is_paused(&f));
    cr_assert_eq(f.brake.cause, STAGE_PAUSE_STOP);
    cr_assert_str_eq(values_of(&f, "in.out"), "0 1 2 3 4");
    cr_assert_eq(stage_task_position(f.task), 5);
    f.worker.fate = passes; /* mended, and resumed */
    f.brake.cause = STAGE_PAUSE_NONE;
    stage_task_wake(f.task);
    settle(&f);
    cr_assert_str_eq(values_of(&f, "in.out"), "0 1 2 3 4 5 6 7 8 9 10 11 12 13");
    close_all(&f);
}

static int times_seen;

static enum fate fails_three_times(int id)
{
    return id == 3 && times_seen++ < 3 ? FATE_REJECT : FATE_PASS;
}

static enum fate three_fails(int id)
{
    times_seen += id == 3;
    return id == 3 ? FATE_REJECT : FATE_PASS;
}

Test(stage, tries_again_what_fails_as_often_as_told)
{
    struct stage_fixture f;
    times_seen = 0;
    open_with(&f, 23, fails_three_times, "retry 3");
    produce_numbers(&f, 0, 6, BATCH_CODEC_NONE);
    settle(&f);
    cr_assert_str_eq(values_of(&f, "in.out"), "0 1 2 3 4 5");
    cr_assert_str_eq(values_of(&f, "__sluice_dlq.stage"), "");
    cr_assert_eq(f.counts.values[STAGE_COUNT_RETRIES], 3);
    close_all(&f);
}

Test(stage, dead_letters_what_failed_in_all_retries)
{
    struct stage_fixture f;
    times_seen = 0;
    open_with(&f, 24, three_fails, "retry 3");
    produce_numbers(&f, 0, 6, BATCH_CODEC_NONE);
    settle(&f);
    cr_assert_eq(times_seen, 4, "tried %d times", times_seen);
    cr_assert_str_eq(values_of(&f, "in.out"), "0 1 2 4 5");
    cr_assert_str_eq(values_of(&f, "__sluice_dlq.stage"), "3");
    close_all(&f);
}

Test(stage, retries_a_record_that_kills_its_worker_too)
{
    struct stage_fixture f;
    open_with(&f, 25, one_poison, "retry 2");
    produce_numbers(&f, 0, 128, BATCH_CODEC_NONE);
    settle(&f);
    expect(&f, one_poison);
    cr_assert_geq(f.worker.deaths, 6, "%u deaths", f.worker.deaths);
    close_all(&f);
}

/* Dies of every 40th call that a worker gets. */
static uint32_t calls_of_this_worker;

static enum fate ages(int id)
{
    (void)id;
    return ++calls_of_this_worker % 40 == 0 ? FATE_POISON : FATE_PASS;
}

Test(stage, convicts_nobody_of_what_an_old_worker_died_of)
{
    struct stage_fixture f;
    calls_of_this_worker = 0;
    open_all(&f, 26, ages);
    for (int i = 0; i < 300; i++) {
        produce_numbers(&f, i, 1, BATCH_CODEC_NONE);
    }
    settle(&f);
    expect(&f, passes);
    cr_assert_gt(f.worker.deaths, 3);
    cr_assert_eq(f.counts.values[STAGE_COUNT_POISONED], 0);
    close_all(&f);
}

Test(stage, convicts_nobody_of_what_an_old_worker_died_of_and_says_where)
{
    struct stage_fixture f;
    calls_of_this_worker = 0;
    open_all(&f, 26, ages);
    f.worker.word = WORD_TRUE;
    for (int i = 0; i < 300; i++) {
        produce_numbers(&f, i, 1, BATCH_CODEC_NONE);
    }
    settle(&f);
    expect(&f, passes);
    cr_assert_gt(f.worker.deaths, 3);
    cr_assert_eq(f.counts.values[STAGE_COUNT_POISONED], 0);
    close_all(&f);
}

static enum fate one_in_fifty(int id)
{
    return id % 50 == 0 ? FATE_POISON : FATE_PASS;
}

Test(stage, pauses_when_more_than_one_in_a_hundred_fail_within_a_minute)
{
    struct stage_fixture f;
    open_all(&f, 27, one_in_fifty);
    for (int i = 0; i < 60; i++) {
        produce_numbers(&f, i * 100, 100, BATCH_CODEC_NONE);
    }
    cr_assert(is_paused(&f));
    cr_assert_eq(f.brake.cause, STAGE_PAUSE_SHARE);
    cr_assert_eq(f.counts.values[STAGE_COUNT_POISONED], STAGE_FAILURES_MIN);
    close_all(&f);
}

Test(stage, goes_on_where_it_was_after_a_restart)
{
    struct stage_fixture f;
    open_all(&f, 6, passes);
    produce_numbers(&f, 0, 10, BATCH_CODEC_NONE);
    settle(&f);
    detach(&f);
    fixture_restart(&f.base, false);
    attach(&f, passes);
    produce_numbers(&f, 10, 10, BATCH_CODEC_NONE);
    settle(&f);
    expect(&f, passes);
    close_all(&f);
}

/* Produces, processes and loses power at random moments; then everything must be there once. */
static void run_history(uint64_t seed)
{
    struct stage_fixture f;
    unsigned short random[3] = {(unsigned short)seed, (unsigned short)(seed >> 16), 7};
    int next = 0;
    open_all(&f, seed, mixed);
    for (int cut = 0; cut < 3; cut++) {
        f.base.faults.power_cut_after = 0;
        for (int i = 0; i < 6; i++) {
            int count = 1 + (int)(nrand48(random) % 30);
            produce_numbers(&f, next, count, (int)(nrand48(random) % 2) * BATCH_CODEC_ZSTD);
            next += count;
        }
        for (long steps = nrand48(random) % 200; steps > 0; steps--) {
            (void)sl_os_sim_step(f.base.os);
        }
        detach(&f);
        fixture_restart(&f.base, true);
        attach(&f, mixed);
    }
    settle(&f);
    expect(&f, mixed);
    close_all(&f);
}

Test(stage, every_input_counts_once_whenever_the_power_goes, .timeout = 120)
{
    const char *given = getenv("SLUICE_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
    printf("seed %llu, 40 histories of 3 power cuts\n", (unsigned long long)seed);
    for (uint64_t i = 0; i < 40; i++) {
        run_history(seed + i);
    }
}
