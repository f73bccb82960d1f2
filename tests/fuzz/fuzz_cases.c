/* fuzz_cases.c: any text as a file of test cases: cases, or one sentence with its place.
 *
 * What is parsed can be recorded again: a case that is written from its records parses, and holds
 * the same records. */
#include "workbench/cases.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_BYTES_MAX (8u << 20)

static bool same(struct sl_bytes a, struct sl_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static void check_same(const struct bench_record *a, const struct bench_record *b)
{
    SL_ASSERT(a->key_is_null == b->key_is_null && same(a->key, b->key));
    SL_ASSERT(a->value_is_null == b->value_is_null && same(a->value, b->value));
    SL_ASSERT(a->timestamp == b->timestamp && a->header_count == b->header_count);
    for (uint32_t i = 0; i < a->header_count; i++) {
        SL_ASSERT(a->headers[i].value_is_null == b->headers[i].value_is_null);
        SL_ASSERT(same(a->headers[i].value, b->headers[i].value));
    }
}

/* As if the first half came out as it is, and the rest was rejected with its key as the reason. */
static void record_again(struct config_arena *arena, const struct test_case *of)
{
    static struct config_report report;
    static struct bench_outcome outcome;
    uint32_t count = of->record_count;
    struct bench_input input = {.records = of->records, .count = count, .topic = "in"};
    struct sl_buffer text;
    struct case_file file;
    outcome = (struct bench_outcome){.output_capacity = count};
    outcome.verdicts = config_arena_get(arena, (count + 1u) * sizeof(*outcome.verdicts));
    outcome.outputs = config_arena_get(arena, (count + 1u) * sizeof(*outcome.outputs));
    SL_ASSERT(outcome.verdicts != NULL && outcome.outputs != NULL);
    for (uint32_t i = 0; i < count; i++) {
        bool passes = i <= count / 2;
        outcome.verdicts[i] =
            (struct bench_verdict){passes ? BENCH_EMITTED : BENCH_REJECTED, of->records[i].key};
        outcome.counts[outcome.verdicts[i].fate]++;
        if (passes) {
            outcome.outputs[outcome.output_count++] =
                (struct bench_output){of->records[i], sl_bytes_of_text("out"), 0, i};
        }
    }
    sl_buffer_init(&text, TEXT_BYTES_MAX);
    SL_ASSERT(sl_buffer_append(&text, "cases:\n", 7) == SLUICE_OK);
    SL_ASSERT(case_write(&text, "again", &input, of->config_json, &outcome) == SLUICE_OK);
    report = (struct config_report){.count = 0};
    if (count > 0) {
        sl_err err = case_file_parse(arena, sl_buffer_bytes(&text), "again", &report, &file);
        if (err != SLUICE_OK) {
            config_report_write(&report, stderr);
            fwrite(text.data, 1, text.size, stderr);
        }
        SL_ASSERT(err == SLUICE_OK && file.count == 1 && file.cases[0].record_count == count);
        for (uint32_t i = 0; i < count; i++) {
            check_same(&of->records[i], &file.cases[0].records[i]);
        }
    }
    sl_buffer_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config_report report;
    struct case_file file = {.count = 0};
    struct config_arena *arena = config_arena_new();
    uint8_t *exact = malloc(size + (size == 0)); /* so that a step too far is seen */
    memcpy(exact, data, size);
    report = (struct config_report){.count = 0};
    sl_err err =
        case_file_parse(arena, (struct sl_bytes){exact, size}, "cases.yaml", &report, &file);
    SL_ASSERT(err == SLUICE_OK || (report.count > 0 && report.problems[0][0] != '\0'));
    SL_ASSERT(err != SLUICE_OK || (file.count > 0 && file.count <= CASES_MAX));
    for (uint32_t i = 0; i < file.count && i < 4; i++) {
        record_again(arena, &file.cases[i]);
    }
    config_arena_free(arena);
    free(exact);
    return 0;
}
