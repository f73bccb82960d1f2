/* check_batches.c: batches that a producer may send and an author may not have thought of. */
#include "base/bytes.h"
#include "base/status.h"
#include "workbench/check.h"

#include <stdio.h>
#include <string.h>

#define MIB            (1u << 20)
#define GROWTH_MAX     (32u * MIB)
#define RANDOM_RECORDS 64u
#define RANDOM_HEADERS 4u
#define RANDOM_BYTES   2048u
#define WARM_BATCHES   50u

/* What a batch is made of. */
struct maker {
    struct config_arena *arena;
    struct bench_record *records;
    uint32_t count;
    uint64_t random;
};

typedef void make_fn(struct maker *maker);

static struct bench_record *room(struct maker *maker, uint32_t count)
{
    maker->records = config_arena_get(maker->arena, SL_MAX(count, 1u) * sizeof(*maker->records));
    SL_ASSERT(maker->records != NULL); /* a tool without memory can only end */
    maker->count = count;
    for (uint32_t i = 0; i < maker->count; i++) {
        maker->records[i] = (struct bench_record){.key = sl_bytes_of_text("k"),
                                                  .value = sl_bytes_of_text("{\"a\":1}"),
                                                  .timestamp = 1700000000000 + i};
    }
    return maker->records;
}

static struct sl_bytes filled(struct maker *maker, uint8_t byte, size_t size)
{
    uint8_t *bytes = config_arena_get(maker->arena, SL_MAX(size, 1u));
    if (bytes == NULL) {
        return (struct sl_bytes){NULL, 0};
    }
    memset(bytes, byte, size);
    return sl_bytes_of(bytes, size);
}

static void make_none(struct maker *maker)
{
    room(maker, 0);
}
static void make_one(struct maker *maker)
{
    room(maker, 1);
}
static void make_null_key(struct maker *maker)
{
    struct bench_record *record = room(maker, 1);
    record->key_is_null = true;
    record->key.size = 0;
}
static void make_null_value(struct maker *maker)
{
    struct bench_record *record = room(maker, 1);
    record->value_is_null = true;
    record->value.size = 0;
}
static void make_empty(struct maker *maker)
{
    struct bench_record *record = room(maker, 1);
    record->key.size = record->value.size = 0;
}
static void make_large_value(struct maker *maker)
{
    struct bench_record *record = room(maker, 1);
    record->value = filled(maker, 'x', MIB);
}
static void make_large_key(struct maker *maker)
{
    struct bench_record *record = room(maker, 1);
    record->key = filled(maker, 'k', MIB);
}
static void make_many(struct maker *maker)
{
    room(maker, 10000);
}
static void make_not_utf8(struct maker *maker)
{
    struct bench_record *record = room(maker, 2);
    record[0].value = sl_bytes_of_text("\xff\xfe\xc0\x80 \xed\xa0\x80");
    record[1].key = record[1].value = filled(maker, 0, 16);
}
static void make_headers(struct maker *maker)
{
    struct bench_record *record = room(maker, 1);
    struct header_view *headers = config_arena_get(maker->arena, 1000 * sizeof(*headers));
    for (uint32_t i = 0; headers != NULL && i < 1000; i++) {
        headers[i] = (struct header_view){.key = sl_bytes_of_text(i % 3 == 0 ? "" : "h\xff"),
                                          .value_is_null = i % 2 == 0,
                                          .value = sl_bytes_of_text(i % 2 == 0 ? "" : "v")};
    }
    record->headers = headers;
    record->header_count = headers != NULL ? 1000 : 0;
}
static void make_times(struct maker *maker)
{
    static const int64_t times[] = {-1, 0, INT64_MAX, INT64_MIN, 1};
    struct bench_record *records = room(maker, SL_COUNT_OF(times));
    for (size_t i = 0; i < SL_COUNT_OF(times); i++) {
        records[i].timestamp = times[i];
    }
}
static void make_deep(struct maker *maker)
{
    struct bench_record *record = room(maker, 2);
    record[0].value = filled(maker, '[', 100000);
    record[1].value = filled(maker, '"', 100000);
}
static void make_odd_json(struct maker *maker)
{
    static const char *const texts[] = {"{",
                                        "{\"a\":",
                                        "nul",
                                        "1e999",
                                        "-",
                                        "\"\\ud800\"",
                                        "{\"a\":1,\"a\":2}",
                                        "18446744073709551616",
                                        "\t\n"};
    struct bench_record *records = room(maker, SL_COUNT_OF(texts));
    for (size_t i = 0; i < SL_COUNT_OF(texts); i++) {
        records[i].value = sl_bytes_of_text(texts[i]);
    }
}

static const struct {
    const char *name;
    make_fn *make;
    int64_t base_offset;
    int32_t partition;
} odd[] = {
    {"no records", make_none, 0, 0},
    {"one record", make_one, 0, 0},
    {"null key, no headers", make_null_key, 0, 0},
    {"null value", make_null_value, 0, 0},
    {"empty key, empty value", make_empty, 0, 0},
    {"a value of 1 MiB", make_large_value, 0, 0},
    {"a key of 1 MiB", make_large_key, 0, 0},
    {"10,000 records", make_many, 0, 0},
    {"bytes that are no UTF-8, and NULs", make_not_utf8, 0, 0},
    {"1,000 headers, without names or values", make_headers, 0, 0},
    {"times before 1970 and of the far end", make_times, 0, 0},
    {"offsets and partitions of the far end", make_one, INT64_MAX - 1, INT32_MAX},
    {"nesting of 100,000 levels", make_deep, 0, 0},
    {"half and odd JSON", make_odd_json, 0, 0},
};

/* ---- judging ---- */

static const char *output_fault(const struct bench_output *output, char ret_text[BENCH_TEXT_BYTES])
{
    char reason[MANIFEST_REASON_BYTES];
    if (output->topic.size > 0 &&
        manifest_topic_check(output->topic, false, false, reason) != SLUICE_OK) {
        snprintf(ret_text, BENCH_TEXT_BYTES, "an output names a topic that cannot be: %s", reason);
        return ret_text;
    }
    if (output->partition < SLUICE_PARTITION_AUTO) {
        snprintf(ret_text, BENCH_TEXT_BYTES, "an output names partition %d", output->partition);
        return ret_text;
    }
    return NULL;
}

static bool emits_elsewhere(const struct bench_outcome *outcome, uint32_t count,
                            struct sl_bytes *ret_reason)
{
    static const char mark[] = "it may not write to the topic ";
    for (uint32_t i = 0; i < count; i++) {
        *ret_reason = outcome->verdicts[i].reason;
        if (outcome->verdicts[i].fate == BENCH_REJECTED && ret_reason->size >= sizeof(mark) - 1 &&
            memcmp(ret_reason->data, mark, sizeof(mark) - 1) == 0) {
            return true;
        }
    }
    return false;
}

/* NULL: all is well; else what is not, and *ret_result how bad it is. */
static const char *judge(struct check *check, const struct bench_input *input,
                         const struct bench_outcome *outcome, const char **ret_result,
                         char ret_text[BENCH_TEXT_BYTES])
{
    struct sl_bytes reason;
    *ret_result = CHECK_FAILED;
    if (outcome->err != SLUICE_OK) {
        *ret_result = outcome->died ? CHECK_FAILED : CHECK_WARNING;
        snprintf(ret_text, BENCH_TEXT_BYTES, "%s%.900s",
                 outcome->died ? "" : "the whole batch failed (reject the record instead): ",
                 outcome->text);
        if (outcome->died) {
            check_ended(check);
        }
        return ret_text;
    }
    for (uint32_t i = 0; i < outcome->output_count; i++) {
        if (output_fault(&outcome->outputs[i], ret_text) != NULL) {
            return ret_text;
        }
    }
    if (emits_elsewhere(outcome, input->count, &reason)) {
        snprintf(ret_text, BENCH_TEXT_BYTES, "%.*s", (int)SL_MIN(reason.size, (size_t)900),
                 (const char *)reason.data);
        return ret_text;
    }
    return NULL;
}

static const char *counts_text(const struct bench_outcome *outcome, char *ret_text, size_t size)
{
    snprintf(ret_text, size, "%u passed, %u replaced, %u dropped, %u rejected",
             outcome->counts[BENCH_PASSED], outcome->counts[BENCH_EMITTED],
             outcome->counts[BENCH_DROPPED], outcome->counts[BENCH_REJECTED]);
    return ret_text;
}

static void run_odd(struct check *check, size_t index)
{
    struct maker maker = {.arena = config_arena_new()};
    struct bench_outcome outcome;
    const char *result = CHECK_OK;
    char text[BENCH_TEXT_BYTES];
    const char *name = odd[index].name;
    if (maker.arena == NULL || !check_start(check, name)) {
        config_arena_free(maker.arena);
        return;
    }
    odd[index].make(&maker);
    const struct bench_input input = {.records = maker.records,
                                      .count = maker.count,
                                      .topic = check->plugin.topic,
                                      .partition = odd[index].partition,
                                      .base_offset = odd[index].base_offset,
                                      .whole = true};
    sl_err err = bench_run(&check->plugin, &input, maker.arena, &outcome);
    if (err != SLUICE_OK) {
        check_row(check, name, CHECK_SKIPPED, "no worker takes it: %s", sl_status_text(err));
    } else if (judge(check, &input, &outcome, &result, text) != NULL) {
        check_row(check, name, result, "%s", text);
    } else {
        check_row(check, name, CHECK_OK, "%s", counts_text(&outcome, text, sizeof(text)));
    }
    config_arena_free(maker.arena);
}

/* ---- random batches ---- */

static uint32_t draw(struct maker *maker, uint32_t below)
{
    maker->random = maker->random * 6364136223846793005u + 1442695040888963407u; /* Knuth, MMIX */
    return (uint32_t)((maker->random >> 33) % below);
}

static struct sl_bytes random_bytes(struct maker *maker)
{
    static const char *const words[] = {"{", "}", "\"a\"",    ":",        ",",  "1",   "null", "[",
                                        "]", " ", "\"card\"", "\"1234\"", "-0", "1e5", "true"};
    uint32_t size = draw(maker, 8) == 0 ? draw(maker, RANDOM_BYTES) : draw(maker, 64);
    uint8_t *bytes = config_arena_get(maker->arena, size + 16);
    uint32_t at = 0;
    bool is_text = draw(maker, 2) == 0;
    while (bytes != NULL && at < size) {
        const char *word = words[draw(maker, SL_COUNT_OF(words))];
        if (is_text) {
            size_t word_size = strlen(word);
            memcpy(bytes + at, word, word_size);
            at += (uint32_t)word_size;
        } else {
            bytes[at++] = (uint8_t)draw(maker, 256);
        }
    }
    return sl_bytes_of(bytes, bytes != NULL ? SL_MIN(at, size) : 0);
}

static void make_random(struct maker *maker)
{
    uint32_t count = draw(maker, RANDOM_RECORDS);
    struct bench_record *records = room(maker, count);
    for (uint32_t i = 0; i < maker->count; i++) {
        struct bench_record *record = &records[i];
        struct header_view *headers =
            config_arena_get(maker->arena, RANDOM_HEADERS * sizeof(*headers));
        record->key_is_null = draw(maker, 4) == 0;
        record->value_is_null = draw(maker, 8) == 0;
        record->key = record->key_is_null ? (struct sl_bytes){NULL, 0} : random_bytes(maker);
        record->value = record->value_is_null ? (struct sl_bytes){NULL, 0} : random_bytes(maker);
        record->timestamp = (int64_t)draw(maker, 1u << 30) * 1000;
        record->headers = headers;
        record->header_count = headers != NULL ? draw(maker, RANDOM_HEADERS) : 0;
        for (uint32_t k = 0; k < record->header_count; k++) {
            headers[k] =
                (struct header_view){.key = random_bytes(maker), .value = random_bytes(maker)};
        }
    }
}

/* False: enough was seen. */
static bool run_random(struct check *check, uint32_t number, uint64_t *random, uint32_t *records)
{
    static const char name[] = "random batches";
    struct maker maker = {.arena = config_arena_new(), .random = *random};
    struct bench_outcome outcome;
    const char *result = CHECK_OK;
    char text[BENCH_TEXT_BYTES];
    bool good = maker.arena != NULL && check_start(check, name);
    if (!good) {
        config_arena_free(maker.arena);
        return false;
    }
    make_random(&maker);
    *random = maker.random;
    *records += maker.count;
    const struct bench_input input = {.records = maker.records,
                                      .count = maker.count,
                                      .topic = check->plugin.topic,
                                      .partition = (int32_t)(number % 16),
                                      .base_offset = (int64_t)number * 1000,
                                      .whole = true};
    if (bench_run(&check->plugin, &input, maker.arena, &outcome) == SLUICE_OK &&
        judge(check, &input, &outcome, &result, text) != NULL) {
        check_row(check, name, result, "batch %u of seed %llu: %s", number,
                  (unsigned long long)check->options->seed, text);
        good = false;
    }
    config_arena_free(maker.arena);
    return good;
}

static uint64_t memory_of(const struct check *check)
{
    return check->running ? sandbox_worker_rss_bytes(check->plugin.probe.worker) : 0;
}

static void run_all_random(struct check *check)
{
    uint64_t random = check->options->seed;
    uint64_t warm = 0;
    uint32_t records = 0;
    for (uint32_t i = 0; i < check->options->batches; i++) {
        if (!run_random(check, i, &random, &records)) {
            return;
        }
        warm = i == WARM_BATCHES ? memory_of(check) : warm;
    }
    check_row(check, "random batches", CHECK_OK, "%u batches, %u records, seed %llu",
              check->options->batches, records, (unsigned long long)check->options->seed);
    uint64_t grown = memory_of(check);
    if (warm > 0 && grown > warm + GROWTH_MAX) {
        check_row(check, "keeps its memory", CHECK_WARNING,
                  "grew by %llu MiB over %u batches: does it leak?",
                  (unsigned long long)((grown - warm) / MIB),
                  check->options->batches - WARM_BATCHES);
    } else if (warm > 0) {
        check_row(check, "keeps its memory", CHECK_OK, "%llu KiB",
                  (unsigned long long)(grown / 1024));
    }
}

void check_batches(struct check *check)
{
    static const char end[] = "drains and ends after all that";
    check->group = "batches";
    for (size_t i = 0; i < SL_COUNT_OF(odd); i++) {
        if (check->options->progress != NULL) {
            check->options->progress(check->options->arg, check->group, odd[i].name);
        }
        run_odd(check, i);
    }
    if (check->options->progress != NULL) {
        check->options->progress(check->options->arg, check->group, "random batches");
    }
    run_all_random(check);
    if (check->running && probe_drain(&check->plugin.probe) != SLUICE_OK) {
        check_row(check, end, CHECK_FAILED, "%s", check->plugin.probe.end.text);
        check_ended(check);
    } else if (check->running) {
        check_row(check, end, CHECK_OK, "%s", "");
        check_ended(check);
    }
}
