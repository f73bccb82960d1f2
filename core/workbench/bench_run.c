/* bench_run.c: batches in, verdicts out; what a stage does, without a log behind it. */
#include "workbench/bench_run.h"

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/status.h"
#include "record/batch_builder.h"
#include "workbench/bench_state.h"

#include <stdio.h>
#include <string.h>

#define INPUT_BYTES_MAX (64u << 20)
#define STUCK_MAX       5u /* retries of one record until they count as its fate */
#define OUTPUTS_MAX     1000000u

struct run {
    struct bench_plugin *plugin;
    const struct bench_input *input;
    struct config_arena *arena;
    struct bench_outcome *outcome;
    struct sl_buffer bytes;
    struct batch_view batch;
    uint32_t first, count;  /* the batch's records of the input */
    struct sl_bytes output; /* where records go that name no topic */
    uint64_t task_id;
    uint64_t token; /* of the state as it is (state_delta.h) */
    uint64_t next;  /* the last one given */
    bool refused;   /* a record of the result went where it may not */
    bool one;       /* records go alone: what each changed of the state must be told apart */
};

/* ---- batches ---- */

static uint32_t batch_count(const struct run *run)
{
    size_t size = 0;
    uint32_t count = 0;
    if (run->input->whole) {
        return run->input->count;
    }
    while (run->first + count < run->input->count && count < BENCH_BATCH_RECORDS) {
        const struct bench_record *record = &run->input->records[run->first + count];
        size += record->key.size + record->value.size;
        if (count > 0 && size > BENCH_BATCH_BYTES) {
            break;
        }
        count++;
    }
    return count;
}

static sl_err batch_build(struct run *run)
{
    struct batch_header header;
    struct batch_builder builder;
    sl_buffer_reset(&run->bytes);
    batch_header_init(&header);
    header.base_offset = run->input->base_offset + run->first;
    sl_err err = batch_builder_start(&builder, &run->bytes, &header);
    for (uint32_t i = 0; i < run->count && err == SLUICE_OK; i++) {
        const struct bench_record *record = &run->input->records[run->first + i];
        err = batch_builder_append(&builder,
                                   &(struct record_fields){.key = record->key,
                                                           .value = record->value,
                                                           .headers = record->headers,
                                                           .header_count = record->header_count,
                                                           .timestamp_ms = record->timestamp,
                                                           .key_is_null = record->key_is_null,
                                                           .value_is_null = record->value_is_null});
    }
    return err != SLUICE_OK
               ? err
               : batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, NULL, &run->batch);
}

/* ---- verdicts ---- */

static struct sl_bytes keep(struct run *run, struct sluice_bytes bytes, sl_err *err)
{
    void *copy = config_arena_text(run->arena, bytes.data, bytes.size);
    if (copy == NULL) {
        *err = SLUICE_E_NO_MEMORY;
        return (struct sl_bytes){NULL, 0};
    }
    return sl_bytes_of(copy, bytes.size);
}

static struct sl_bytes keep_text(struct run *run, struct sluice_text text, sl_err *err)
{
    return keep(run, (struct sluice_bytes){(const uint8_t *)text.data, text.size}, err);
}

static struct bench_output *output_new(struct run *run)
{
    struct bench_outcome *outcome = run->outcome;
    if (outcome->output_count == outcome->output_capacity) {
        uint32_t capacity = SL_MAX(outcome->output_capacity * 2, 64u);
        struct bench_output *grown =
            capacity > OUTPUTS_MAX ? NULL : config_arena_get(run->arena, capacity * sizeof(*grown));
        if (grown == NULL) {
            return NULL;
        }
        if (outcome->output_count > 0) {
            memcpy(grown, outcome->outputs, outcome->output_count * sizeof(*grown));
        }
        outcome->outputs = grown;
        outcome->output_capacity = capacity;
    }
    return &outcome->outputs[outcome->output_count++];
}

static sl_err pass(struct run *run, uint32_t index)
{
    struct bench_output *output = output_new(run);
    if (output == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    *output = (struct bench_output){.record = run->input->records[index],
                                    .topic = run->output,
                                    .partition = SLUICE_PARTITION_AUTO,
                                    .from = index};
    run->outcome->verdicts[index].fate = BENCH_PASSED;
    return SLUICE_OK;
}

/* Takes back what was emitted for the record. */
static void reject(struct run *run, uint32_t index, struct sl_bytes reason)
{
    struct bench_outcome *outcome = run->outcome;
    while (outcome->output_count > 0 && outcome->outputs[outcome->output_count - 1].from == index) {
        outcome->output_count--;
    }
    outcome->verdicts[index] = (struct bench_verdict){BENCH_REJECTED, reason};
}

static sl_err emit_headers(struct run *run, const struct sandbox_verdict *verdict,
                           struct bench_record *record)
{
    sl_err err = SLUICE_OK;
    const uint8_t *cursor = verdict->headers;
    struct header_view *headers =
        config_arena_get(run->arena, SL_MAX(verdict->header_count, 1u) * sizeof(*headers));
    for (uint32_t i = 0; headers != NULL && i < verdict->header_count; i++) {
        struct sluice_header header;
        sandbox_header_next(&cursor, &header);
        headers[i] = (struct header_view){.key = keep_text(run, header.key, &err),
                                          .value = keep(run, header.value, &err),
                                          .value_is_null = header.value.data == NULL};
    }
    record->headers = headers;
    record->header_count = verdict->header_count;
    return headers == NULL ? SLUICE_E_NO_MEMORY : err;
}

static sl_err refuse_topic(struct run *run, uint32_t index, struct sl_bytes topic)
{
    char text[BENCH_TOPIC_BYTES + 128];
    sl_err err = SLUICE_OK;
    snprintf(text, sizeof(text),
             "it may not write to the topic \"%.*s\": its outputs do not name it",
             (int)SL_MIN(topic.size, (size_t)BENCH_TOPIC_BYTES - 1), (const char *)topic.data);
    struct sl_bytes reason = keep_text(run, sluice_text_of(text), &err);
    reject(run, index, reason);
    run->refused = true;
    return err;
}

static sl_err emit(struct run *run, const struct sandbox_verdict *verdict)
{
    sl_err err = SLUICE_OK;
    uint32_t index = verdict->index;
    if (run->outcome->verdicts[index].fate == BENCH_REJECTED) {
        return SLUICE_OK; /* an earlier one of this record went nowhere */
    }
    struct sl_bytes topic =
        verdict->topic.size > 0 ? keep_text(run, verdict->topic, &err) : run->output;
    if (err == SLUICE_OK && topic.size > 0 &&
        !bench_plugin_may_write(run->plugin, run->input->topic, topic)) {
        return refuse_topic(run, index, topic);
    }
    struct bench_output *output = err == SLUICE_OK ? output_new(run) : NULL;
    if (output == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    *output = (struct bench_output){
        .record = {.key = keep(run, verdict->key, &err),
                   .value = keep(run, verdict->value, &err),
                   .key_is_null = verdict->key.data == NULL,
                   .value_is_null = verdict->value.data == NULL,
                   .timestamp = verdict->timestamp >= 0 ? verdict->timestamp
                                                        : run->input->records[index].timestamp},
        .topic = topic,
        .partition = verdict->partition,
        .from = index};
    run->outcome->verdicts[index].fate = BENCH_EMITTED;
    return err != SLUICE_OK ? err : emit_headers(run, verdict, &output->record);
}

static sl_err take_verdict(struct run *run, struct sandbox_verdict *verdict)
{
    sl_err err = SLUICE_OK;
    verdict->index += run->first;
    switch (verdict->kind) {
    case SANDBOX_VERDICT_PASS:
        for (uint32_t i = 0; i < verdict->count && err == SLUICE_OK; i++) {
            err = pass(run, verdict->index + i);
        }
        return err;
    case SANDBOX_VERDICT_EMIT:
        return emit(run, verdict);
    case SANDBOX_VERDICT_REJECT:
    case SANDBOX_VERDICT_FAIL:
        reject(run, verdict->index, keep_text(run, verdict->reason, &err));
        return err;
    case SANDBOX_VERDICT_RETRY:
        run->outcome->verdicts[verdict->index] =
            (struct bench_verdict){BENCH_RETRIED, keep_text(run, verdict->reason, &err)};
        return err;
    default:
        return SLUICE_OK; /* dropped, as they all begin */
    }
}

/* *ret_next: how far the batch came; behind its end, or where it comes again. */
static sl_err take_result(struct run *run, const struct sandbox_result *result, uint32_t *ret_next)
{
    struct sandbox_result_reader reader;
    struct sandbox_verdict verdict;
    sl_err err = SLUICE_OK;
    *ret_next = run->first + result->first + result->limit;
    run->refused = false;
    sandbox_result_reader_init(&reader, result);
    while (err == SLUICE_OK && sandbox_result_next(&reader, &verdict)) {
        err = take_verdict(run, &verdict);
        if (verdict.kind == SANDBOX_VERDICT_RETRY) {
            *ret_next = verdict.index;
        }
    }
    return err;
}

/* ---- state ---- */

/* What became of the records from `at` on is forgotten. */
static void take_back(struct run *run, uint32_t at)
{
    struct bench_outcome *outcome = run->outcome;
    while (outcome->output_count > 0 && outcome->outputs[outcome->output_count - 1].from >= at) {
        outcome->output_count--;
    }
    for (uint32_t i = at; i < run->first + run->count; i++) {
        outcome->verdicts[i] = (struct bench_verdict){.fate = BENCH_DROPPED};
    }
}

/* As a stage does: what a record that may not go out changed does not count, and nothing that
 * counts on it. */
static sl_err take_state(struct run *run, const struct sandbox_result *result, uint32_t at,
                         uint32_t *ret_next)
{
    if (result->delta_count == 0) {
        return SLUICE_OK;
    }
    if (run->refused && result->limit > 1) {
        take_back(run, at);
        run->one = true;
        *ret_next = at;
        return SLUICE_OK;
    }
    if (run->refused) {
        return SLUICE_OK;
    }
    run->token = run->next;
    return run->input->keeps_state ? bench_state_take(run->outcome, run->arena, result) : SLUICE_OK;
}

/* ---- the run ---- */

static void note_failure(struct run *run, sl_err err, const char *text)
{
    struct bench_outcome *outcome = run->outcome;
    outcome->err = err;
    outcome->died = run->plugin->probe.ended;
    snprintf(outcome->text, sizeof(outcome->text), "%s", text);
}

static bool is_gate(const struct run *run)
{
    return run->plugin->attachment.on == SLUICE_ON_PRODUCE;
}

static struct sandbox_task task_of(struct run *run)
{
    return (struct sandbox_task){.id = ++run->task_id,
                                 .partition = run->input->partition,
                                 .timeout_ms = PLUGIN_STAGE_MS,
                                 .kill_ms = 2 * PLUGIN_STAGE_MS,
                                 .topic = sluice_text_of(run->input->topic),
                                 .principal = sluice_text_of("Plugin:workbench")};
}

/* False: it failed, and the outcome says why; or E_LIMIT. */
static bool run_task(struct run *run, const struct sandbox_task *task, sl_err *ret_err)
{
    *ret_err = probe_run(&run->plugin->probe, task);
    if (*ret_err != SLUICE_OK && *ret_err != SLUICE_E_LIMIT) {
        note_failure(run, *ret_err, run->plugin->probe.end.text);
        *ret_err = SLUICE_OK;
        return false;
    }
    return *ret_err == SLUICE_OK;
}

/* The state before the first record. */
static sl_err hand_down(struct run *run)
{
    struct sandbox_task task = task_of(run);
    struct sl_buffer deltas;
    sl_buffer_init(&deltas, INPUT_BYTES_MAX);
    sl_err err = bench_state_write(run->input, &deltas);
    if (err == SLUICE_OK) {
        run->token = run->next = STATE_TOKEN_FIRST;
        task.records = (struct sluice_bytes){deltas.data, deltas.size};
        task.base_offset = -1;
        task.state_next = run->token;
        task.is_state = true;
        if (run_task(run, &task, &err) && run->plugin->probe.event.result.status != SLUICE_OK) {
            note_failure(run, run->plugin->probe.event.result.status,
                         "its state does not fit into its memory");
        }
    }
    sl_buffer_fini(&deltas);
    return err;
}

/* Runs the batch from record `at` of the input on. */
static sl_err run_from(struct run *run, uint32_t at, uint32_t *ret_next)
{
    char text[BENCH_TEXT_BYTES];
    bool empty = run->count == 0;
    struct sl_bytes records = empty ? (struct sl_bytes){NULL, 0} : batch_view_records(&run->batch);
    struct sandbox_task task = task_of(run);
    sl_err err = SLUICE_OK;
    task.records = (struct sluice_bytes){records.data, records.size};
    task.record_count = run->count;
    task.first = at - run->first;
    task.limit = run->one && !empty ? 1 : run->count - task.first;
    task.base_offset = is_gate(run) ? -1 : run->input->base_offset + run->first;
    task.base_timestamp = empty ? 0 : batch_view_base_timestamp(&run->batch);
    task.state_token = is_gate(run) ? 0 : run->token;
    task.state_next = is_gate(run) ? 0 : ++run->next;
    if (!run_task(run, &task, &err)) {
        return err;
    }
    const struct sandbox_result *result = &run->plugin->probe.event.result;
    if (result->status != SLUICE_OK) {
        snprintf(text, sizeof(text), "%s%s%.*s", sl_status_text(result->status),
                 result->error.size > 0 ? ": " : "", (int)result->error.size,
                 result->error.data != NULL ? result->error.data : "");
        note_failure(run, result->status, text);
        return SLUICE_OK;
    }
    err = take_result(run, result, ret_next);
    return err != SLUICE_OK ? err : take_state(run, result, at, ret_next);
}

/* Again from where it stopped, as a stage would; a record that stops it again and again has met its
 * fate, and so have those behind it. */
static sl_err run_batch(struct run *run)
{
    uint32_t end = run->first + run->count;
    uint32_t at = run->first, stuck = 0;
    run->one = false;
    do {
        uint32_t next = end;
        sl_err err = run_from(run, at, &next);
        if (err != SLUICE_OK) {
            return err;
        }
        stuck = next == at ? stuck + 1 : 0;
        if (stuck == STUCK_MAX) {
            for (uint32_t i = at + 1; i < run->input->count; i++) {
                run->outcome->verdicts[i] = run->outcome->verdicts[at];
            }
            run->first = run->input->count;
            run->count = 0;
            return SLUICE_OK;
        }
        at = next;
    } while (at < end && run->outcome->err == SLUICE_OK);
    return SLUICE_OK;
}

static sl_err run_all(struct run *run)
{
    sl_err err = SLUICE_OK;
    bool empty = run->input->count == 0 && run->input->whole;
    if (run->input->state_count > 0 && !is_gate(run)) {
        err = hand_down(run);
    }
    if (empty && err == SLUICE_OK && run->outcome->err == SLUICE_OK) {
        return run_batch(run);
    }
    while (run->first < run->input->count && err == SLUICE_OK && run->outcome->err == SLUICE_OK) {
        run->count = batch_count(run);
        err = batch_build(run);
        err = err != SLUICE_OK ? err : run_batch(run);
        run->first += run->count;
    }
    return err;
}

sl_err bench_run(struct bench_plugin *plugin, const struct bench_input *input,
                 struct config_arena *arena, struct bench_outcome *ret_outcome)
{
    struct run run = {.plugin = plugin,
                      .input = input,
                      .arena = arena,
                      .outcome = ret_outcome,
                      .token = STATE_TOKEN_EMPTY,
                      .next = STATE_TOKEN_FIRST};
    SL_ASSERT(input->count <= BENCH_RECORDS_MAX);
    *ret_outcome =
        (struct bench_outcome){.verdicts = config_arena_get(
                                   arena, SL_MAX(input->count, 1u) * sizeof(struct bench_verdict))};
    if (ret_outcome->verdicts == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    char output[BENCH_TOPIC_BYTES];
    bench_plugin_output(plugin, input->topic, output);
    char *kept = config_arena_text(arena, output, strlen(output));
    if (kept == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    run.output = sl_bytes_of_text(kept);
    if (input->keeps_state && !bench_state_begin(ret_outcome, arena, input)) {
        return SLUICE_E_NO_MEMORY;
    }
    sl_buffer_init(&run.bytes, INPUT_BYTES_MAX);
    sl_err err = run_all(&run);
    sl_buffer_fini(&run.bytes);
    for (uint32_t i = 0; i < input->count; i++) {
        ret_outcome->counts[ret_outcome->verdicts[i].fate]++;
    }
    return err;
}
