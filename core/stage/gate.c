/* gate.c: see gate.h. */
#include "stage/gate.h"

#include "base/status.h"
#include "stage/stage_access.h"

#include <stdio.h>
#include <string.h>

#define OPEN_ON_LOOP_BYTES (64u << 10)
#define REWRITE_BYTES_MAX  (40u << 20)

/* One batch on its way through the gate. */
struct gate_call {
    struct gate *gate;
    struct partition *partition; /* referenced */
    struct batch_view batch;     /* of the producer */
    struct sl_bytes records;     /* of it, decompressed */
    struct sl_buffer opened;
    struct worker_call call;
    struct sl_job job;
    sl_err job_err;
    size_t expanded_bytes_max;
    struct sluice_context context; /* texts live as long as the request */
    gate_done_fn *done;
    void *done_arg;
    struct sl_buffer rewritten;
    struct stage_output output; /* records for other topics */
    struct commit_batch *extra; /* owned */
    struct sluice_record_error faults[PRODUCE_FAULTS_MAX];
    uint32_t fault_count;
    char reason[STAGE_REASON_BYTES];
};

static void maybe_closed(struct gate *gate)
{
    if (gate->closing && gate->pending == 0 && gate->closed != NULL) {
        gate->closed(gate->closed_arg);
    }
}

static void call_free(void *arg)
{
    struct gate_call *self = arg;
    struct gate *gate = self->gate;
    partition_unref(self->partition);
    sl_buffer_fini(&self->opened);
    sl_buffer_fini(&self->rewritten);
    stage_output_fini(&self->output);
    sl_free(self->extra);
    sl_free(self);
    gate->pending--;
    maybe_closed(gate);
}

static void refuse(struct gate_call *self, sl_err err)
{
    struct gate_outcome outcome = {
        .err = err,
        .faults = self->faults,
        .fault_count = self->fault_count,
        .reason = sluice_text_of(self->reason),
        .release = call_free,
        .release_arg = self,
    };
    self->done(self->done_arg, &outcome);
}

static void refuse_with(struct gate_call *self, sl_err err, const char *text)
{
    snprintf(self->reason, sizeof(self->reason), "%s: %s", self->gate->rules.instance, text);
    refuse(self, err);
}

/* ---- verdicts ---- */

struct rewriting {
    struct gate_call *call;
    struct batch_builder builder;
    struct record_iterator records;
    struct record_view record;
    int64_t index;
    int64_t written_index; /* the record that stands in place; one each */
};

static sl_err seek(struct rewriting *self, uint32_t index)
{
    while (self->index < (int64_t)index) {
        if (!record_iterator_next(&self->records, &self->record)) {
            return SLUICE_E_INVALID_RECORD;
        }
        self->index++;
    }
    return SLUICE_OK;
}

static sl_err keep(struct rewriting *self, const struct sandbox_verdict *verdict)
{
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < verdict->count && err == SLUICE_OK; i++) {
        err = seek(self, verdict->index + i);
        err = err != SLUICE_OK ? err : batch_builder_keep(&self->builder, &self->record);
        self->written_index = self->index;
    }
    return err;
}

static bool is_in_place(const struct gate_call *call, const struct sandbox_verdict *verdict)
{
    struct sl_bytes topic = sl_of_text(verdict->topic);
    bool same_topic = topic.size == 0 || sl_bytes_equal(topic, call->partition->topic->name);
    return same_topic && (verdict->partition == SLUICE_PARTITION_AUTO ||
                          verdict->partition == (int32_t)call->partition->number);
}

static sl_err emit(struct rewriting *self, const struct sandbox_verdict *verdict)
{
    struct gate_call *call = self->call;
    struct record_fields fields;
    int64_t timestamp = record_timestamp(&call->batch, &self->record);
    sl_err err = stage_output_emit_fields(&call->output, verdict, timestamp, &fields);
    if (err != SLUICE_OK) {
        return err;
    }
    if (is_in_place(call, verdict) && self->written_index < self->index) {
        self->written_index = self->index;
        return batch_builder_append_at(&self->builder, &fields, self->record.offset_delta);
    }
    /* Further records of the input topic, and those of other topics, are batches of their own. */
    struct output_source source = {.view = &call->batch,
                                   .topic = call->partition->topic,
                                   .partition = call->partition->number};
    if (is_in_place(call, verdict)) {
        return stage_output_append(&call->output, call->partition, &fields);
    }
    struct partition *target = NULL;
    err = stage_output_route(&call->output, &call->gate->rules, &source, sl_of_text(verdict->topic),
                             verdict->partition, &fields, &target);
    return err != SLUICE_OK ? err : stage_output_append(&call->output, target, &fields);
}

static void reject(struct rewriting *self, const struct sandbox_verdict *verdict)
{
    struct gate_call *call = self->call;
    if (call->gate->rules.on_error.on == ON_ERROR_DROP) { /* left out, as if it had dropped it */
        stage_count_add(call->gate->counts, STAGE_COUNT_DISCARDED, 1);
        return;
    }
    if (call->fault_count == 0) {
        snprintf(call->reason, sizeof(call->reason), "%.*s",
                 (int)SL_MIN(verdict->reason.size, sizeof(call->reason) - 1),
                 verdict->reason.data != NULL ? verdict->reason.data : "");
        stage_error_set(call->gate->counts, shard_wall_ms(call->gate->rules.shard), call->reason);
    }
    if (call->fault_count < PRODUCE_FAULTS_MAX) {
        call->faults[call->fault_count++] =
            (struct sluice_record_error){.index = (int32_t)verdict->index};
    }
    stage_count_add(call->gate->counts, STAGE_COUNT_REJECTED, 1);
}

static sl_err take_one(struct rewriting *self, const struct sandbox_verdict *verdict)
{
    if (verdict->kind == SANDBOX_VERDICT_PASS) {
        return keep(self, verdict);
    }
    sl_err err = seek(self, verdict->index);
    if (err != SLUICE_OK) {
        return err;
    }
    switch (verdict->kind) {
    case SANDBOX_VERDICT_EMIT:
        return emit(self, verdict);
    case SANDBOX_VERDICT_REJECT:
    case SANDBOX_VERDICT_FAIL:
        reject(self, verdict);
        return SLUICE_OK;
    case SANDBOX_VERDICT_RETRY:
        return SLUICE_E_BUSY;
    default:
        stage_count_add(self->call->gate->counts, STAGE_COUNT_DROPPED, 1);
        return SLUICE_OK;
    }
}

/* Whether every record passes: then the producer's bytes go on as they are, compressed too. */
static bool all_pass(const struct sandbox_result *result)
{
    struct sandbox_result_reader reader;
    struct sandbox_verdict verdict;
    sandbox_result_reader_init(&reader, result);
    while (sandbox_result_next(&reader, &verdict)) {
        if (verdict.kind != SANDBOX_VERDICT_PASS) {
            return false;
        }
    }
    return true;
}

static sl_err rewrite(struct gate_call *self, const struct sandbox_result *result,
                      struct batch_view *ret_view)
{
    struct rewriting rewriting = {.call = self, .index = -1, .written_index = -1};
    struct sandbox_result_reader reader;
    struct sandbox_verdict verdict;
    record_iterator_init(&rewriting.records, self->records, batch_view_record_count(&self->batch));
    sandbox_result_reader_init(&reader, result);
    sl_err err = batch_builder_start_rewrite(&rewriting.builder, &self->rewritten, &self->batch);
    while (err == SLUICE_OK && sandbox_result_next(&reader, &verdict)) {
        err = take_one(&rewriting, &verdict);
    }
    if (err == SLUICE_OK && self->fault_count > 0) {
        err = SLUICE_E_PLUGIN_REJECTED;
    }
    err = err != SLUICE_OK
              ? err
              : batch_builder_finish(&rewriting.builder, BATCH_CODEC_NONE, NULL, NULL, ret_view);
    return err != SLUICE_OK ? err : stage_output_finish(&self->output);
}

static void accept(struct gate_call *self, const struct batch_view *view)
{
    struct gate_outcome outcome = {.release = call_free, .release_arg = self};
    uint32_t extra = self->output.batch_count;
    if (view != NULL) {
        outcome.data = (uint8_t *)(uintptr_t)view->data;
        outcome.size = (uint32_t)view->size;
    }
    if (extra > 0) {
        self->extra = sl_alloc_zero(extra, sizeof(*self->extra));
        if (self->extra == NULL) {
            refuse_with(self, SLUICE_E_NO_MEMORY, "out of memory");
            return;
        }
        stage_output_batches(&self->output, self->extra);
        outcome.extra = self->extra;
        outcome.extra_count = extra;
    }
    struct stage_counts *counts = self->gate->counts;
    uint64_t records = (uint64_t)batch_view_record_count(&self->batch);
    stage_count_add(counts, STAGE_COUNT_RECORDS_IN, records);
    stage_count_add(counts, STAGE_COUNT_RECORDS_OUT,
                    self->output.written +
                        (view != NULL ? (uint64_t)batch_view_record_count(view) : records));
    self->done(self->done_arg, &outcome);
}

static void take_result(struct gate_call *self, const struct sandbox_result *result)
{
    if (self->partition->topic == NULL) {
        refuse_with(self, SLUICE_E_UNKNOWN_TOPIC, "the topic is gone");
        return;
    }
    if (result->status != SLUICE_OK) {
        snprintf(self->reason, sizeof(self->reason), "%s: %.*s", self->gate->rules.instance,
                 (int)SL_MIN(result->error.size, sizeof(self->reason) / 2),
                 result->error.data != NULL ? result->error.data : "");
        refuse(self, SLUICE_E_PLUGIN_ERROR);
        return;
    }
    if (all_pass(result)) {
        accept(self, NULL);
        return;
    }
    struct batch_view view;
    sl_err err = rewrite(self, result, &view);
    if (err == SLUICE_OK) {
        accept(self, &view);
    } else if (err == SLUICE_E_NOT_FOUND) {
        refuse_with(self, SLUICE_E_PLUGIN_ERROR, "emits to a topic that does not exist");
    } else if (err == SLUICE_E_PLUGIN_REJECTED) {
        refuse(self, err);
    } else {
        char text[STAGE_REASON_BYTES];
        snprintf(text, sizeof(text), "%.200s",
                 self->output.reason[0] != '\0' ? self->output.reason : sl_status_text(err));
        refuse_with(self,
                    err == SLUICE_E_BUSY || err == SLUICE_E_NO_MEMORY ? err : SLUICE_E_PLUGIN_ERROR,
                    text);
    }
}

static void call_done(struct worker_call *call, const struct worker_outcome *outcome)
{
    struct gate_call *self = SL_CONTAINER_OF(call, struct gate_call, call);
    if (outcome->err == SLUICE_OK) {
        take_result(self, outcome->result);
        return;
    }
    sl_err err = outcome->err;
    if (err == SLUICE_E_TIMEOUT || err == SLUICE_E_PLUGIN_TIMEOUT) {
        err = SLUICE_E_PLUGIN_TIMEOUT;
        stage_count_add(self->gate->counts, STAGE_COUNT_TIMEOUTS, 1);
    } else if (err == SLUICE_E_STOPPING || err == SLUICE_E_CANCELLED) {
        err = SLUICE_E_BUSY;
    }
    refuse_with(self, err, outcome->text);
}

/* ---- in ---- */

static void ask_worker(struct gate_call *self)
{
    struct gate *gate = self->gate;
    if (self->partition->topic == NULL) {
        refuse_with(self, SLUICE_E_UNKNOWN_TOPIC, "the topic is gone");
        return;
    }
    if (stage_access_denies(&gate->rules, SLUICE_OP_READ, self->partition->topic->name) ||
        stage_access_denies(&gate->rules, SLUICE_OP_WRITE, self->partition->topic->name)) {
        refuse_with(self, SLUICE_E_PERMISSION, "an access rule denies the gate this topic");
        return;
    }
    uint32_t count = (uint32_t)batch_view_record_count(&self->batch);
    worker_call_init(&self->call);
    self->call.urgent = true;
    self->call.done = call_done;
    self->call.task = (struct sandbox_task){
        .partition = (int32_t)self->partition->number,
        .timeout_ms = gate->timeout_ms,
        .topic = text_of_sl(self->partition->topic->name),
        .principal = self->context.principal,
        .listener = self->context.listener,
        .client_id = self->context.client_id,
        .client_host = self->context.client_host,
        .connection = self->context.connection,
        .records = {self->records.data, self->records.size},
        .record_count = count,
        .limit = count,
        .base_offset = -1,
        .base_timestamp = batch_view_base_timestamp(&self->batch),
    };
    gate->port->submit(gate->port, &self->call);
}

static void opened(struct gate_call *self, sl_err err)
{
    if (err != SLUICE_OK) {
        refuse_with(self, err, "the batch cannot be opened");
    } else {
        ask_worker(self);
    }
}

/* [helper] */
static void open_work(struct sl_job *job)
{
    struct gate_call *self = SL_CONTAINER_OF(job, struct gate_call, job);
    struct codec_context *context = codec_context_new();
    self->job_err = SLUICE_E_NO_MEMORY;
    if (context != NULL) {
        self->job_err = batch_decompress(&self->batch, context, self->expanded_bytes_max,
                                         &self->opened, &self->records);
    }
    codec_context_free(context);
}

static void open_done(struct sl_job *job)
{
    struct gate_call *self = SL_CONTAINER_OF(job, struct gate_call, job);
    opened(self, self->job_err);
}

static void open_batch(struct gate_call *self)
{
    struct shard *shard = self->gate->rules.shard;
    self->expanded_bytes_max = shard->config.expanded_bytes_max;
    bool compressed = batch_view_codec(&self->batch) != BATCH_CODEC_NONE;
    if (compressed && self->batch.size > OPEN_ON_LOOP_BYTES) {
        self->job = (struct sl_job){.work = open_work, .done = open_done};
        self->job.task.priority = SL_PRIORITY_PROCESSING;
        sl_helpers_submit(shard->config.os, shard->loop, &self->job);
        return;
    }
    opened(self, batch_decompress(&self->batch, shard->codecs, self->expanded_bytes_max,
                                  &self->opened, &self->records));
}

static void submit(struct partition_gate *base, struct partition *partition, struct sl_bytes batch,
                   const struct sluice_context *context, gate_done_fn *done, void *arg)
{
    struct gate *gate = SL_CONTAINER_OF(base, struct gate, base);
    struct gate_call *self = sl_alloc_zero(1, sizeof(*self));
    if (self == NULL) {
        struct gate_outcome outcome = {.err = SLUICE_E_NO_MEMORY};
        done(arg, &outcome);
        return;
    }
    gate->pending++;
    partition_ref(partition);
    *self = (struct gate_call){
        .gate = gate, .partition = partition, .context = *context, .done = done, .done_arg = arg};
    sl_buffer_init(&self->opened, REWRITE_BYTES_MAX);
    sl_buffer_init(&self->rewritten, REWRITE_BYTES_MAX);
    stage_output_init(&self->output);
    if (batch_view_init(&self->batch, batch) != SLUICE_OK) {
        refuse_with(self, SLUICE_E_CORRUPT_BATCH, "the batch cannot be read");
        return;
    }
    if (batch_view_has(&self->batch, BATCH_CONTROL) || batch_view_record_count(&self->batch) == 0) {
        accept(self, NULL);
        return;
    }
    open_batch(self);
}

void gate_init(struct gate *gate)
{
    gate->base.submit = submit;
    shard_set_expect_gates(gate->rules.shard->set);
    gate->pending = 0;
    gate->closing = false;
}

void gate_close(struct gate *gate)
{
    gate->closing = true;
    maybe_closed(gate);
}
