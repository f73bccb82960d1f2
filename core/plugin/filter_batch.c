/* filter_batch.c: a batch of a user of an expression: its records go down to the worker, a verdict
 * comes back for each (filter_state.h).
 *
 * A record on which the expression raises does not pass, and is told apart; errors_max of them, one
 * after the other, are passed over. What is worse (it is late, its worker died, it changes records)
 * ends this user, and nobody else. */
#include "plugin/filter_state.h"

#include "base/bytes.h"
#include "base/status.h"

#include <stdio.h>
#include <string.h>

#define BATCH_BYTES   (16u << 20) /* a batch of more than a record stops growing here */
#define ATTEMPTS_MAX  4u          /* of one that was interrupted without being to blame */
#define TELL_EVERY_MS 60000       /* the log, that an expression raised */

/* ---- what its user is told ---- */

static void batch_over(struct sluice_filter *filter)
{
    filter->judged = NULL;
    stage_input_fini(&filter->input); /* what it took is not kept */
    stage_input_begin(&filter->input, 0, SLUICE_FILTER_RECORDS_MAX);
}

static uint32_t count_bits(const uint8_t *bits, uint32_t count)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < (count + 7) / 8; i++) {
        sum += (uint32_t)__builtin_popcount(bits[i]);
    }
    return sum;
}

static void count_judged(struct filter_sums *sums, const struct sluice_filter *filter,
                         uint32_t count)
{
    sums->records += count;
    sums->passed += count_bits(filter->passes, count);
    sums->raised += count_bits(filter->raised, count);
}

/* It may be closed inside. */
static void tell_judged(struct sluice_filter *filter, sl_err err, const char *reason)
{
    struct filter_expression *expression = filter->expression;
    sluice_filter_judged *judged = filter->judged;
    uint32_t count = err == SLUICE_OK ? filter->input.record_count : 0;
    count_judged(&expression->judged, filter, count);
    count_judged(&expression->pool->sums, filter, count);
    batch_over(filter);
    judged(filter->judged_arg, err, sluice_text_of(reason), filter->passes, filter->raised, count);
}

/* Its user goes; others who have the expression go on. It may be closed inside. */
static void tell_failed(struct sluice_filter *filter, sl_err err, const char *reason)
{
    struct filter_expression *expression = filter->expression;
    const struct filter_pool_config *config = &expression->pool->config;
    expression->pool->failed_total++;
    stage_error_set(&expression->counts, sl_os_wall_ms(config->os), reason);
    tell_judged(filter, err, reason);
}

/* ---- its records ---- */

static struct sl_bytes view_of(struct sluice_bytes bytes)
{
    return (struct sl_bytes){bytes.data, (size_t)bytes.size};
}

sluice_status filter_batch_add(const struct sluice_filter_host *host, struct sluice_filter *filter,
                               const struct sluice_record *record)
{
    struct stage_input *input = &filter->input;
    struct header_room room = {0};
    (void)host;
    bool is_first = input->record_count == 0;
    if (filter->judged != NULL || input->record_count == SLUICE_FILTER_RECORDS_MAX ||
        (!is_first && (input->bytes.size + record->key.size + record->value.size > BATCH_BYTES ||
                       record->offset - input->base_offset > INT32_MAX))) {
        return SLUICE_E_LIMIT;
    }
    sl_err err = header_room_reserve(&room, record->header_count);
    for (uint32_t i = 0; err == SLUICE_OK && i < record->header_count; i++) {
        const struct sluice_header *header = &record->headers[i];
        room.items[i] = (struct header_view){
            .key = {(const uint8_t *)header->key.data, (size_t)header->key.size},
            .value = view_of(header->value),
            .value_is_null = header->value.data == NULL};
    }
    struct record_fields fields = {.key = view_of(record->key),
                                   .value = view_of(record->value),
                                   .headers = room.items,
                                   .header_count = record->header_count,
                                   .timestamp_ms = record->timestamp,
                                   .key_is_null = record->key.data == NULL,
                                   .value_is_null = record->value.data == NULL};
    err = err != SLUICE_OK ? err : stage_input_append(input, record->offset, &fields);
    input->record_count += err == SLUICE_OK;
    header_room_fini(&room);
    return err;
}

static void submit(struct sluice_filter *filter)
{
    struct worker_port *port = worker_host_port(filter->expression->host);
    port->submit(port, &filter->call);
}

static void set_bits(uint8_t *bits, const struct sandbox_verdict *verdict)
{
    for (uint32_t i = verdict->index; i < verdict->index + verdict->count; i++) {
        bits[i / 8] = (uint8_t)(bits[i / 8] | 1u << (i % 8));
    }
}

/* A batch, as its verdicts are walked. */
struct walk {
    struct sluice_filter *filter;
    bool is_late; /* it took as long as it may: what raised was stopped */
    sl_err err;   /* why its user goes */
    char reason[SANDBOX_TEXT_SIZE_MAX];
};

static void take_reason(struct walk *walk, struct sluice_text text)
{
    snprintf(walk->reason, sizeof(walk->reason), "%.*s",
             (int)SL_MIN(text.size, (uint64_t)sizeof(walk->reason) - 1),
             text.size > 0 ? text.data : "");
}

static void walk_fail(struct walk *walk, sl_err err)
{
    walk->err = walk->err == SLUICE_OK ? err : walk->err;
}

/* Not each time: a filter may raise on every second record. */
static void log_raised(const struct walk *walk, const struct sandbox_verdict *verdict)
{
    const struct sluice_filter *filter = walk->filter;
    struct filter_expression *expression = filter->expression;
    const struct filter_pool_config *config = &expression->pool->config;
    int64_t now_ms = sl_os_mono_ns(config->os) / 1000000;
    stage_error_set(&expression->counts, sl_os_wall_ms(config->os), walk->reason);
    if (expression->told_ms == 0 || now_ms - expression->told_ms >= TELL_EVERY_MS) {
        expression->told_ms = now_ms;
        sl_log(config->logger, SL_LOG_WARN, FILTER_NAME,
               "a filter of a subscription raised on a record, which does not pass",
               sl_log_text("reason", walk->reason), sl_log_text("client", filter->client->name),
               sl_log_text("topic", filter->topic),
               sl_log_i64("partition", filter->call.task.partition),
               sl_log_u64("record", verdict->index));
    }
}

/* It raised, or called reject(): the record does not pass, unless too many did so. */
static void walk_raised(struct walk *walk, const struct sandbox_verdict *verdict)
{
    struct sluice_filter *filter = walk->filter;
    const uint32_t max = filter->expression->pool->config.limits.errors_max;
    take_reason(walk, verdict->reason);
    set_bits(filter->raised, verdict);
    filter->raised_in_a_row++;
    if (walk->is_late || filter->raised_in_a_row > max) {
        walk_fail(walk, SLUICE_E_PLUGIN_ERROR);
    }
    if (!walk->is_late && max > 0 && filter->raised_in_a_row > max) {
        char last[SANDBOX_TEXT_SIZE_MAX];
        memcpy(last, walk->reason, sizeof(last));
        snprintf(walk->reason, sizeof(walk->reason),
                 "it raised on %u records, one after the other: %.*s", filter->raised_in_a_row,
                 (int)sizeof(last) - 64, last);
    }
    if (walk->err == SLUICE_OK) {
        log_raised(walk, verdict);
    }
}

static void walk_fits(struct walk *walk, const struct sandbox_verdict *verdict)
{
    struct sluice_filter *filter = walk->filter;
    filter->raised_in_a_row = 0;
    if (verdict->kind == SANDBOX_VERDICT_PASS) {
        set_bits(filter->passes, verdict);
    }
}

static void walk_emits(struct walk *walk, const struct sandbox_verdict *verdict)
{
    (void)verdict;
    snprintf(walk->reason, sizeof(walk->reason), "a filter changes no records and emits none");
    walk_fail(walk, SLUICE_E_PLUGIN_ERROR);
}

/* The rest of the batch was not judged: it was interrupted. */
static void again(struct walk *walk, const struct sandbox_verdict *verdict)
{
    struct sluice_filter *filter = walk->filter;
    struct sandbox_task *task = &filter->call.task;
    uint32_t end_at = task->first + task->limit;
    filter->attempts = verdict->index > task->first ? 0 : filter->attempts + 1;
    if (filter->attempts == ATTEMPTS_MAX) {
        take_reason(walk, verdict->reason);
        walk_fail(walk, SLUICE_E_PLUGIN_ERROR);
        return;
    }
    task->first = verdict->index;
    task->limit = end_at - verdict->index;
    submit(filter);
}

static void take_result(struct walk *walk, const struct sandbox_result *result)
{
    static void (*const takers[])(struct walk *, const struct sandbox_verdict *) = {
        [SANDBOX_VERDICT_PASS] = walk_fits,  [SANDBOX_VERDICT_DROP] = walk_fits,
        [SANDBOX_VERDICT_EMIT] = walk_emits, [SANDBOX_VERDICT_REJECT] = walk_raised,
        [SANDBOX_VERDICT_RETRY] = again,     [SANDBOX_VERDICT_FAIL] = walk_raised,
    };
    struct sandbox_result_reader reader;
    struct sandbox_verdict verdict = {.kind = SANDBOX_VERDICT_DROP};
    sandbox_result_reader_init(&reader, result);
    while (walk->err == SLUICE_OK && sandbox_result_next(&reader, &verdict)) {
        takers[verdict.kind](walk, &verdict);
    }
    if (walk->err == SLUICE_OK && verdict.kind != SANDBOX_VERDICT_RETRY) {
        tell_judged(walk->filter, SLUICE_OK, "");
    }
}

static void call_done(struct worker_call *call, const struct worker_outcome *outcome)
{
    const struct sandbox_result *result = outcome->result;
    struct walk walk = {.filter = SL_CONTAINER_OF(call, struct sluice_filter, call),
                        .is_late = outcome->elapsed_ms >= (int64_t)call->task.timeout_ms,
                        .err = outcome->err};
    snprintf(walk.reason, sizeof(walk.reason), "%s", outcome->text);
    if (walk.err == SLUICE_OK && result->state_missing) {
        snprintf(walk.reason, sizeof(walk.reason), "a filter has no state");
        walk.err = SLUICE_E_PLUGIN_ERROR;
    } else if (walk.err == SLUICE_OK && result->status != SLUICE_OK) {
        take_reason(&walk, result->error);
        walk.err = result->status;
    } else if (walk.err == SLUICE_OK) {
        take_result(&walk, result);
    }
    if (walk.err != SLUICE_OK) {
        tell_failed(walk.filter, walk.err,
                    walk.reason[0] != '\0' ? walk.reason : sl_status_text(walk.err));
    }
}

sluice_status filter_batch_judge(const struct sluice_filter_host *host,
                                 struct sluice_filter *filter, struct sluice_text topic,
                                 int32_t partition, sluice_filter_judged *judged, void *arg,
                                 struct sluice_text *ret_reason)
{
    const struct filter_pool *pool = host->data;
    const struct filter_expression *expression = filter->expression;
    struct stage_input *input = &filter->input;
    bool can_be = filter->judged == NULL && input->record_count > 0 && expression->is_loaded;
    sl_err err = can_be ? stage_input_finish(input) : SLUICE_E_INVALID;
    if (err != SLUICE_OK) {
        *ret_reason = sluice_text_of(sl_status_text(err));
        if (filter->judged == NULL) {
            batch_over(filter);
        }
        return err;
    }
    struct sl_bytes records = batch_view_records(&input->view);
    snprintf(filter->topic, sizeof(filter->topic), "%.*s", (int)topic.size, topic.data);
    memset(filter->passes, 0, sizeof(filter->passes));
    memset(filter->raised, 0, sizeof(filter->raised));
    filter->judged = judged;
    filter->judged_arg = arg;
    filter->attempts = 0;
    filter->call =
        (struct worker_call){.done = call_done,
                             .task = {.partition = partition,
                                      .timeout_ms = pool->config.limits.timeout_ms,
                                      .topic = sluice_text_of(filter->topic),
                                      .records = {records.data, records.size},
                                      .record_count = input->record_count,
                                      .limit = input->record_count,
                                      .base_offset = batch_view_base_offset(&input->view),
                                      .base_timestamp = batch_view_base_timestamp(&input->view)}};
    worker_call_init(&filter->call);
    submit(filter);
    return SLUICE_OK;
}
