/* test_compact.c: of the records of one key the newest stays, and readers, producers and recovery
 * find all else as it was. */
#include "shard_fixture.h"

#include "extent/extent_set.h"
#include "record/batch_builder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define NOW         1700000000000
#define RECORDS_MAX 60000
#define KEYS_MAX    512

/* What was produced, by offset. */
struct produced_record {
    int32_t key;   /* -1: none */
    int32_t value; /* a number that no other record has; -1: a tombstone */
};

static struct fixture f;
static struct produced_record history[RECORDS_MAX];
static int64_t history_end;
static bool seen[RECORDS_MAX];
static int32_t next_value;
static size_t padding; /* bytes of each value */
static uint64_t seed_state;

static uint32_t draw(uint32_t below)
{
    uint64_t z = (seed_state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) % below);
}

static struct shard *home(void)
{
    return fixture_home(&f);
}

static struct partition *subject(void)
{
    struct partition *partition = NULL;
    struct topic *topic = catalog_by_name(home()->catalog, sl_bytes_of_text("c"));
    SL_ASSERT(topic != NULL && partition_open(home(), topic, 0, &partition) == SLUICE_OK);
    return partition;
}

static struct compact_status compacted(void)
{
    struct compact_status status;
    compact_status_get(home(), &status);
    return status;
}

static void settle(int steps)
{
    for (int i = 0; i < steps; i++) {
        sl_os_sim_step(f.os);
    }
}

/* ---- producing ---- */

/* Of the leak checker, where there is one. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

/* A request that ends with the power is nobody's any more, and nobody frees it. */
static void produce_start_lost(const char *topic, struct sluice_bytes batch,
                               struct produced *ret_produced)
{
    if (__lsan_disable != NULL) {
        __lsan_disable();
    }
    fixture_produce_start(&f, topic, 0, batch, ret_produced);
    if (__lsan_enable != NULL) {
        __lsan_enable();
    }
}

static void value_text(char *into, size_t room, int32_t value)
{
    memset(into, 'x', room);
    int size = snprintf(into, 16, "v%d", value);
    into[size] = '.';
}

static size_t keyed_batch(uint8_t *into, size_t room, const struct produced_record *records,
                          int count, int codec, int64_t producer, int32_t sequence)
{
    static struct codec_context *codecs;
    struct sl_buffer buffer, scratch;
    struct batch_builder builder;
    struct batch_header header;
    struct batch_view view;
    codecs = codecs == NULL ? codec_context_new() : codecs;
    sl_buffer_init(&buffer, room);
    sl_buffer_init(&scratch, 1u << 20);
    batch_header_init(&header);
    header.producer_id = producer;
    header.producer_epoch = producer < 0 ? -1 : 0;
    header.base_sequence = sequence;
    cr_assert_eq(batch_builder_start(&builder, &buffer, &header), SLUICE_OK);
    for (int i = 0; i < count; i++) {
        char key[16];
        static char value[8192];
        struct header_view note = {.key = sl_bytes_of_text("note"), .value = sl_bytes_of_text("1")};
        int key_size = snprintf(key, sizeof(key), "k%d", records[i].key);
        value_text(value, 16 + padding, records[i].value);
        struct record_fields record = {.key = {(uint8_t *)key, (size_t)key_size},
                                       .value = {(uint8_t *)value, 16 + padding},
                                       .value_is_null = records[i].value < 0,
                                       .headers = &note,
                                       .header_count = 1,
                                       .timestamp_ms = NOW + history_end + i};
        cr_assert_eq(batch_builder_append(&builder, &record), SLUICE_OK);
    }
    cr_assert_eq(batch_builder_finish(&builder, codec, codecs, &scratch, &view), SLUICE_OK);
    memcpy(into, view.data, view.size);
    size_t size = view.size;
    sl_buffer_fini(&buffer);
    sl_buffer_fini(&scratch);
    return size;
}

/* Into the history when it is acknowledged. False: it was not. */
static bool produce(const struct produced_record *records, int count, int codec, int64_t producer,
                    int32_t sequence)
{
    static uint8_t bytes[49152];
    struct produced produced = {0};
    size_t size = keyed_batch(bytes, sizeof(bytes), records, count, codec, producer, sequence);
    for (int tries = 0; tries < 1000; tries++) {
        produce_start_lost("c", (struct sluice_bytes){bytes, size}, &produced);
        fixture_run_until(&f, &produced.done);
        if (!produced.done || produced.result.status != SLUICE_E_LOG_FULL) {
            break;
        }
        settle(20);
    }
    memcpy(&history[history_end], records, (size_t)count * sizeof(*records));
    if (!produced.done || produced.result.status != SLUICE_OK) {
        return false;
    }
    cr_assert_eq(produced.result.base_offset, history_end);
    history_end += count;
    return true;
}

static void put(int32_t key, bool is_tombstone)
{
    struct produced_record record = {key, is_tombstone ? -1 : next_value++};
    cr_assert(produce(&record, 1, BATCH_CODEC_NONE, -1, -1));
}

/* Records of another topic push those of this one into extents. */
static void seal(void)
{
    uint32_t left = 1;
    for (int i = 0; i < 400 && left > 0; i++) {
        struct sluice_produce_result result = fixture_produce(&f, "other", 0, 500, NOW);
        settle(result.status == SLUICE_OK ? 5 : 30);
        (void)stream_index_unsealed(&subject()->index, &left);
    }
    cr_assert_eq(left, 0, "%u runs are still in the log", left);
}

/* Until nothing of it is dirty. */
static void compact(void)
{
    seal();
    for (int i = 0; i < 3000 && subject()->clean_offset < history_end; i++) {
        settle(20);
    }
    cr_assert_eq(subject()->clean_offset, history_end);
}

static void open_topic(uint64_t seed, const char *key, const char *value)
{
    history_end = 0;
    next_value = 0;
    padding = 0;
    seed_state = seed;
    fixture_open_small(&f, seed, 1);
    f.settings.compaction_check_interval_ms = 10;
    f.settings.cleanup_compact = true;
    f.settings.cleanup_delete = false;
    f.settings.min_dirty_ratio = 0;
    f.settings.delete_retention_ms = INT64_C(1) << 50;
    fixture_restart(&f, false);
    fixture_create_topic(&f, "other", 1, "cleanup.policy", "delete");
    fixture_create_topic(&f, "c", 1, key, value);
}

/* ---- judging ---- */

static void see_record(const struct batch_view *batch, const struct record_view *record)
{
    char key[16], text[16];
    static char value[8192];
    int64_t offset = record_offset(batch, record);
    cr_assert_lt(offset, history_end);
    const struct produced_record *wanted = &history[offset];
    snprintf(key, sizeof(key), "k%d", wanted->key);
    cr_assert_eq(record->key.size, strlen(key));
    cr_assert_eq(memcmp(record->key.data, key, strlen(key)), 0);
    cr_assert_eq(record->value_is_null, wanted->value < 0, "at %ld", (long)offset);
    value_text(value, 16 + padding, wanted->value);
    snprintf(text, sizeof(text), "v%d.", wanted->value);
    cr_assert(record->value_is_null || (record->value.size == 16 + padding &&
                                        memcmp(record->value.data, value, 16 + padding) == 0));
    cr_assert_eq(record_timestamp(batch, record), NOW + offset);
    cr_assert_eq(record->header_count, 1);
    cr_assert_not(seen[offset]);
    seen[offset] = true;
}

static void see_batch(const struct batch_view *batch)
{
    static struct codec_context *codecs;
    struct sl_buffer scratch;
    struct sl_bytes records;
    struct record_iterator iterator;
    struct record_view record;
    codecs = codecs == NULL ? codec_context_new() : codecs;
    sl_buffer_init(&scratch, 1u << 20);
    cr_assert_eq(batch_decompress(batch, codecs, 1u << 20, &scratch, &records), SLUICE_OK);
    record_iterator_init(&iterator, records, batch_view_record_count(batch));
    while (record_iterator_next(&iterator, &record)) {
        see_record(batch, &record);
    }
    cr_assert_eq(record_iterator_finish(&iterator), SLUICE_OK);
    sl_buffer_fini(&scratch);
}

/* Reads all from the start as a consumer does; returns how many records there were. */
static int read_all(void)
{
    static struct fetched fetched;
    int records = 0;
    memset(seen, 0, sizeof(seen));
    int64_t at = fixture_offset(&f, "c", 0, SLUICE_TIME_EARLIEST).offset;
    while (at < history_end) {
        fixture_fetch(&f, "c", 0, at, &fetched);
        cr_assert_eq(fetched.result.status, SLUICE_OK, "at %ld: %d", (long)at,
                     fetched.result.status);
        cr_assert_gt(fetched.next_offset, at, "nothing at %ld of %ld", (long)at, (long)history_end);
        struct sl_bytes rest = {fetched.bytes, fetched.result.records.size};
        while (rest.size > 0) {
            struct batch_view view;
            cr_assert_eq(batch_view_init(&view, rest), SLUICE_OK);
            see_batch(&view);
            rest = sl_bytes_of(rest.data + view.size, rest.size - view.size);
        }
        records += fetched.records;
        at = fetched.next_offset;
    }
    cr_assert_eq(at, history_end);
    return records;
}

/* The newest record of each key is there, or it is a tombstone and nothing of the key is. Returns
 * how many records are not as they should be, and *ret_offset is one of them. */
static int judge(bool nothing_else, int64_t *ret_offset)
{
    int wrong = 0;
    static int64_t newest[KEYS_MAX];
    memset(newest, -1, sizeof(newest));
    read_all();
    for (int64_t i = 0; i < history_end; i++) {
        newest[history[i].key] = i;
    }
    for (int64_t i = 0; i < history_end; i++) {
        int64_t last = newest[history[i].key];
        bool is_old = seen[i] && (!seen[last] || (nothing_else && i != last));
        bool is_lost = i == last && !seen[i] && history[i].value >= 0;
        if (is_old || is_lost) {
            *ret_offset = i;
            wrong++;
        }
    }
    return wrong;
}

static void expect_newest(bool nothing_else)
{
    int64_t offset = 0;
    int wrong = judge(nothing_else, &offset);
    cr_assert_eq(wrong, 0, "seed %lu: %d records are lost or came back, one at %ld of %ld",
                 (unsigned long)f.seed, wrong, (long)offset, (long)history_end);
}

/* ---- tests ---- */

Test(compact, the_newest_value_of_each_key_stays_at_its_offset)
{
    open_topic(1, NULL, NULL);
    for (int i = 0; i < 400; i++) {
        put(i % 37, false);
    }
    compact();
    expect_newest(true);
    cr_assert_eq(read_all(), 37);
    cr_assert_eq(compacted().failures, 0);
    cr_assert_eq(compacted().records_removed, 400 - 37);
    uint64_t after = stream_index_bytes(&subject()->index);
    cr_assert_lt(after, 37 * 120, "%lu bytes", (unsigned long)after);
    cr_assert_eq(fixture_offset(&f, "c", 0, SLUICE_TIME_LATEST).offset, 400);
    cr_assert_eq(fixture_offset(&f, "c", 0, SLUICE_TIME_EARLIEST).offset, 0);
    for (int i = 400; i < 440; i++) {
        put(i % 37, false);
    }
    expect_newest(false);
    fixture_restart(&f, true);
    expect_newest(false);
    compact();
    expect_newest(true);
    cr_assert_eq(read_all(), 37);
    fixture_restart(&f, false);
    cr_assert_eq(subject()->clean_offset, 440);
    expect_newest(true);
    fixture_close(&f);
}

Test(compact, times_are_found_exactly_where_records_are_missing)
{
    open_topic(2, NULL, NULL);
    for (int i = 0; i < 300; i++) {
        put(i < 100 ? i : i % 10, false);
    }
    compact();
    expect_newest(true);
    for (int64_t i = 0; i < 300; i += 7) {
        int64_t wanted = i;
        while (!seen[wanted]) {
            wanted++;
        }
        struct sluice_offset_answer answer = fixture_offset(&f, "c", 0, NOW + i);
        cr_assert_eq(answer.status, SLUICE_OK);
        cr_assert_eq(answer.offset, wanted, "%ld for %ld", (long)answer.offset, (long)i);
        cr_assert_eq(answer.timestamp, NOW + wanted);
    }
    cr_assert_eq(fixture_offset(&f, "c", 0, SLUICE_TIME_MAX_TIMESTAMP).offset, 299);
    fixture_close(&f);
}

Test(compact, batches_of_every_codec_lose_records_and_stay_readable)
{
    open_topic(3, NULL, NULL);
    padding = 40;
    for (int i = 0; i < 100; i++) {
        struct produced_record records[7];
        for (int j = 0; j < 7; j++) {
            bool is_tombstone = draw(9) == 0;
            records[j] =
                (struct produced_record){(int32_t)draw(60), is_tombstone ? -1 : next_value};
            next_value++;
        }
        cr_assert(produce(records, 7, i % BATCH_CODEC_COUNT, -1, -1));
    }
    compact();
    expect_newest(true);
    cr_assert_eq(compacted().failures, 0);
    fixture_close(&f);
}

Test(compact, tombstones_stay_for_their_time_and_then_go)
{
    open_topic(4, "delete.retention.ms", "5000");
    for (int i = 0; i < 60; i++) {
        put(i % 20, i >= 50);
    }
    compact();
    expect_newest(true);
    cr_assert_eq(read_all(), 20, "ten values, ten tombstones");
    put(100, false);
    compact();
    cr_assert_eq(read_all(), 21, "their time is not over");
    fixture_restart(&f, true);
    int64_t until_ms = shard_wall_ms(home()) + 6000;
    while (shard_wall_ms(home()) < until_ms) {
        settle(10);
    }
    cr_assert_eq(read_all(), 21, "only compaction removes them");
    put(101, false);
    compact();
    expect_newest(true);
    cr_assert_eq(read_all(), 12);
    for (int i = 10; i < 20; i++) {
        cr_assert_not(seen[40 + i], "the tombstone of %d", i);
    }
    fixture_close(&f);
}

Test(compact, an_idempotent_producer_goes_on_after_it_and_a_restart)
{
    open_topic(5, NULL, NULL);
    struct produced_record record = {1, 0};
    for (int i = 0; i < 20; i++) {
        record.value = next_value++;
        cr_assert(produce(&record, 1, BATCH_CODEC_NONE, 77, i));
    }
    put(1, false);
    compact();
    cr_assert_eq(read_all(), 1);
    static struct fetched fetched;
    fixture_fetch(&f, "c", 0, 19, &fetched);
    struct batch_view view;
    cr_assert_eq(batch_view_init(&view, sl_bytes_of(fetched.bytes, fetched.result.records.size)),
                 SLUICE_OK);
    cr_assert_eq(batch_view_base_offset(&view), 19, "the newest of the producer has its header");
    cr_assert_eq(batch_view_producer_id(&view), 77);
    cr_assert_eq(batch_view_last_sequence(&view), 19);
    cr_assert_eq(batch_view_record_count(&view), 0);
    fixture_restart(&f, true);
    static uint8_t bytes[1024];
    struct produced produced;
    record.value = history[19].value;
    size_t size = keyed_batch(bytes, sizeof(bytes), &record, 1, BATCH_CODEC_NONE, 77, 19);
    fixture_produce_start(&f, "c", 0, (struct sluice_bytes){bytes, size}, &produced);
    fixture_run_until(&f, &produced.done);
    cr_assert_eq(produced.result.status, SLUICE_OK);
    cr_assert_eq(produced.result.base_offset, 19, "a duplicate");
    record.value = next_value++;
    cr_assert(produce(&record, 1, BATCH_CODEC_NONE, 77, 20));
    expect_newest(false);
    fixture_close(&f);
}

Test(compact, where_a_leader_epoch_began_stays_known)
{
    int32_t epochs[4], found;
    open_topic(11, NULL, NULL);
    for (int i = 0; i < 4; i++) {
        epochs[i] = shard_epoch(home());
        for (int j = 0; j < 20; j++) {
            put(j, false);
        }
        fixture_restart(&f, true);
    }
    compact();
    expect_newest(true);
    cr_assert_eq(read_all(), 20);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(stream_index_epoch_end(&subject()->index, epochs[i], &found), 20 * (i + 1));
        cr_assert_eq(found, epochs[i]);
    }
    fixture_close(&f);
}

/* Seals before compaction looks, then lets it look twice. */
static int64_t clean_after_a_while(void)
{
    seal();
    int64_t until_ms = shard_wall_ms(home()) + 2 * f.settings.compaction_check_interval_ms + 1000;
    while (shard_wall_ms(home()) < until_ms) {
        settle(10);
    }
    return subject()->clean_offset;
}

static int64_t clean_with(const char *key, const char *value)
{
    open_topic(6, key, value);
    for (int i = 0; i < 100; i++) {
        put(i % 10, false);
    }
    cr_assert_gt(shard_wall_ms(home()), NOW + 1000000, "the records are of the past");
    int64_t clean = clean_after_a_while();
    fixture_close(&f);
    return clean;
}

Test(compact, young_records_are_left_alone)
{
    cr_assert_eq(clean_with("min.compaction.lag.ms", "1000000"), 100);
    cr_assert_eq(clean_with("min.compaction.lag.ms", "100000000000"), 0);
    cr_assert_eq(clean_with("min.compaction.lag.ms", "9223372036854775807"), 0);
}

Test(compact, it_waits_until_enough_is_dirty)
{
    open_topic(7, "min.cleanable.dirty.ratio", "0.5");
    f.settings.compaction_check_interval_ms = 36000000;
    fixture_restart(&f, false);
    for (int i = 0; i < 300; i++) {
        put(i, false);
    }
    cr_assert_eq(clean_after_a_while(), 300, "all of it is dirty");
    for (int i = 300; i < 330; i++) {
        put(i % 10, false);
    }
    cr_assert_eq(clean_after_a_while(), 300, "a tenth is dirty");
    cr_assert_eq(read_all(), 330);
    for (int i = 330; i < 700; i++) {
        put(i % 10, false);
    }
    cr_assert_eq(clean_after_a_while(), 700);
    expect_newest(true);
    fixture_close(&f);
}

Test(compact, old_records_force_it)
{
    open_topic(8, NULL, NULL);
    f.settings.min_dirty_ratio = 1; /* never by itself */
    fixture_restart(&f, false);
    for (int i = 0; i < 100; i++) {
        put(i % 10, false);
    }
    cr_assert_eq(clean_after_a_while(), 0);
    f.settings.max_compaction_lag_ms = 1000;
    fixture_restart(&f, false);
    cr_assert_eq(clean_after_a_while(), 100);
    fixture_close(&f);
}

Test(compact, with_little_memory_it_goes_in_steps)
{
    open_topic(9, NULL, NULL);
    f.settings.compaction_buffer_bytes = 100 * 32;
    fixture_restart(&f, false);
    padding = 6000;
    for (int i = 0; i < 300; i++) {
        put(i % 150, false);
    }
    compact();
    cr_assert_gt(compacted().jobs, 2);
    cr_assert_eq(compacted().failures, 0);
    expect_newest(false);
    cr_assert_eq(read_all(), 150, "every key was in one of the steps");
    fixture_close(&f);
}

Test(compact, both_policies_together_remove_old_records_too)
{
    open_topic(10, "cleanup.policy", "compact,delete");
    for (int i = 0; i < 200; i++) {
        put(i % 20, false);
    }
    compact();
    expect_newest(true);
    f.settings.retention_ms = 1000;
    f.settings.retention_check_interval_ms = 10;
    fixture_restart(&f, false);
    settle(2000);
    cr_assert_eq(fixture_offset(&f, "c", 0, SLUICE_TIME_EARLIEST).offset, 200);
    fixture_close(&f);
}

/* ---- a model, and the power ---- */

static int random_records(struct produced_record *records, uint32_t keys)
{
    int count = 1 + (int)draw(6);
    for (int i = 0; i < count; i++) {
        bool is_tombstone = draw(5) == 0;
        records[i] =
            (struct produced_record){(int32_t)draw(keys), is_tombstone ? -1 : next_value++};
    }
    return count;
}

/* What was not acknowledged is there or not. */
static void take_end(int maybe)
{
    int64_t end = fixture_offset(&f, "c", 0, SLUICE_TIME_LATEST).offset;
    cr_assert(end == history_end || end == history_end + maybe, "the end is %ld, not %ld or %ld",
              (long)end, (long)history_end, (long)history_end + maybe);
    history_end = end;
}

/* Returns how many records were wrong. */
static int one_history(uint64_t seed, struct compact_mutants mutants)
{
    struct produced_record records[8];
    int64_t offset;
    int wrong = 0;
    open_topic(seed, NULL, NULL);
    f.compact_mutants = mutants;
    f.settings.delete_retention_ms = draw(3) == 0 ? INT64_C(1) << 50 : draw(200);
    f.settings.compaction_buffer_bytes = draw(2) == 0 ? 1 << 20 : 6000;
    f.compact =
        (struct compact_limits){.round_bytes = 1u << (9 + draw(9)), .round_runs = 1 + draw(20)};
    padding = draw(2) == 0 ? 0 : 600;
    uint32_t keys = 1 + draw(draw(2) == 0 ? 100 : 10);
    for (int run = 0; run < 4; run++) {
        f.faults = (struct sl_sim_faults){.reads_are_cold = draw(3) == 0};
        uint32_t cut_after = draw(4) == 0 ? 0 : 1 + draw(draw(2) == 0 ? 300 : 2500);
        f.faults.power_cut_after = cut_after;
        fixture_restart(&f, false);
        int maybe = 0;
        for (int i = 0; i < 600 && maybe == 0 && !sl_os_sim_power_is_off(f.os); i++) {
            if (draw(3) == 0) {
                static uint8_t filler[32768];
                struct produced produced;
                size_t size = fixture_batch(filler, sizeof(filler), 500, NOW, -1, -1, -1);
                produce_start_lost("other", (struct sluice_bytes){filler, size}, &produced);
                fixture_run_until(&f, &produced.done);
            } else {
                int count = random_records(records, keys);
                maybe = produce(records, count, (int)draw(2) * 4, -1, -1) ? 0 : count;
            }
            settle((int)draw(20));
        }
        bool off = sl_os_sim_power_is_off(f.os);
        f.faults = (struct sl_sim_faults){0};
        fixture_restart(&f, off || cut_after > 0 || draw(2) == 0);
        take_end(maybe);
        wrong += judge(false, &offset);
    }
    compact();
    wrong += judge(false, &offset);
    fixture_restart(&f, true);
    wrong += judge(false, &offset);
    fixture_close(&f);
    memset(&f, 0, sizeof(f));
    return wrong;
}

Test(compact, whatever_happens_to_the_power_the_newest_of_each_key_stays, .timeout = 240)
{
    for (uint64_t seed = 1000; seed < 1100; seed++) {
        cr_assert_eq(one_history(seed * 100, (struct compact_mutants){0}), 0, "history %lu",
                     (unsigned long)seed);
    }
    /* Missing offsets between two rounds, where an older extent has records. */
    cr_assert_eq(one_history(200600, (struct compact_mutants){0}), 0);
}

/* By one of 1,500 histories, from the first of them on: a few hundred are needed at times, another
 * first one makes it quick. */
static bool is_caught(struct compact_mutants mutants, uint64_t first)
{
    for (uint64_t seed = first; seed < first + 1500; seed++) {
        if (one_history(seed * 100, mutants) > 0) {
            return true;
        }
    }
    return false;
}

Test(compact, an_extent_that_covers_less_than_it_replaces_would_bring_records_back, .timeout = 240)
{
    cr_assert(is_caught((struct compact_mutants){.no_margin = true}, 1000));
}

Test(compact, a_clean_offset_that_rises_too_early_would_bring_records_back, .timeout = 240)
{
    cr_assert(is_caught((struct compact_mutants){.clean_first = true}, 1310));
}
