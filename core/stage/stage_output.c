/* stage_output.c: see stage_output.h. */
#include "stage/stage_output.h"

#include "admit/authorizer.h"
#include "record/dead_letter.h"
#include "route/partitioner.h"

#include <stdio.h>
#include <string.h>

#define TARGET_BYTES_MAX  (40u << 20)
#define TARGET_BYTES_KEEP (256u << 10)
#define TARGETS_KEEP      8u

void stage_output_init(struct stage_output *output)
{
    *output = (struct stage_output){0};
}

static void target_free(struct output_target *target)
{
    if (target->partition != NULL) {
        partition_unref(target->partition);
    }
    sl_buffer_fini(&target->bytes);
    sl_free(target);
}

void stage_output_fini(struct stage_output *output)
{
    for (uint32_t i = 0; i < output->target_count; i++) {
        target_free(output->targets[i]);
    }
    sl_free(output->targets);
    sl_free(output->batches);
    header_room_fini(&output->headers);
    uint32_t row = output->row;
    stage_output_init(output);
    output->row = row;
}

void stage_output_reset(struct stage_output *output)
{
    if (output->target_count > TARGETS_KEEP) {
        stage_output_fini(output);
        return;
    }
    for (uint32_t i = 0; i < output->target_count; i++) {
        struct output_target *target = output->targets[i];
        sl_buffer_reset_above(&target->bytes, TARGET_BYTES_KEEP);
        target->open = false;
        if (target->partition->topic == NULL) { /* deleted: forget all targets */
            stage_output_fini(output);
            return;
        }
    }
    output->batch_count = 0;
    output->written = output->dropped = output->rejected = output->passed = 0;
    output->last_reason[0] = '\0';
    output->discarded = output->failed = 0;
    output->halt = OUTPUT_WHOLE;
    output->is_cut = false;
    output->reason[0] = output->missing[0] = '\0';
}

/* ---- targets ---- */

static sl_err grow(void **memory, uint32_t *capacity, uint32_t needed, size_t size)
{
    if (needed <= *capacity) {
        return SLUICE_OK;
    }
    uint32_t wanted = SL_MAX(needed, *capacity * 2);
    void *grown = sl_realloc(*memory, wanted * size);
    if (grown == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    *memory = grown;
    *capacity = wanted;
    return SLUICE_OK;
}

static sl_err target_of(struct stage_output *output, struct partition *partition,
                        uint32_t *ret_index)
{
    uint32_t last = output->last_target;
    if (last < output->target_count && output->targets[last]->partition == partition) {
        *ret_index = last;
        return SLUICE_OK;
    }
    for (uint32_t i = 0; i < output->target_count; i++) {
        if (output->targets[i]->partition == partition) {
            *ret_index = output->last_target = i;
            return SLUICE_OK;
        }
    }
    if (output->target_count == STAGE_OUTPUT_TARGETS_MAX) {
        return SLUICE_E_LIMIT;
    }
    void *memory = output->targets;
    sl_err err =
        grow(&memory, &output->target_capacity, output->target_count + 1, sizeof(*output->targets));
    output->targets = memory;
    if (err != SLUICE_OK) {
        return err;
    }
    struct output_target *target = sl_alloc_zero(1, sizeof(*target));
    if (target == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    target->partition = partition;
    sl_buffer_init(&target->bytes, TARGET_BYTES_MAX);
    partition_ref(partition);
    output->targets[output->target_count] = target;
    *ret_index = output->last_target = output->target_count++;
    return SLUICE_OK;
}

static sl_err finish_batch(struct stage_output *output, uint32_t index)
{
    struct output_target *target = output->targets[index];
    void *memory = output->batches;
    sl_err err =
        grow(&memory, &output->batch_capacity, output->batch_count + 1, sizeof(*output->batches));
    output->batches = memory;
    struct batch_view view;
    if (err == SLUICE_OK) {
        err = batch_builder_finish(&target->builder, BATCH_CODEC_NONE, NULL, NULL, &view);
    }
    if (err == SLUICE_OK) {
        size_t start = target->builder.start;
        output->batches[output->batch_count++] =
            (struct output_batch){.target = index, .start = start, .size = view.size};
        target->open = false;
    }
    return err;
}

/* What a record costs at most in a batch, its own header list counted. */
static size_t size_bound(const struct record_fields *fields)
{
    size_t size = fields->key.size + fields->value.size + 40;
    for (size_t i = 0; i < fields->header_count; i++) {
        size += fields->headers[i].key.size + fields->headers[i].value.size + 10;
    }
    return size;
}

static size_t batch_bound(const struct partition *partition)
{
    size_t allowed = (size_t)partition->topic->settings->message_bytes_max;
    return SL_MIN(allowed, (size_t)STAGE_OUTPUT_BATCH_BYTES);
}

sl_err stage_output_append(struct stage_output *output, struct partition *partition,
                           const struct record_fields *fields)
{
    uint32_t index = 0;
    sl_err err = target_of(output, partition, &index);
    if (err != SLUICE_OK) {
        return err;
    }
    struct output_target *target = output->targets[index];
    if (target->open &&
        batch_builder_size(&target->builder) + size_bound(fields) > batch_bound(partition)) {
        err = finish_batch(output, index);
    }
    if (err == SLUICE_OK && !target->open) {
        err = batch_builder_start(&target->builder, &target->bytes, NULL);
        target->open = err == SLUICE_OK;
    }
    err = err != SLUICE_OK ? err : batch_builder_append(&target->builder, fields);
    output->written += err == SLUICE_OK;
    return err;
}

sl_err stage_output_finish(struct stage_output *output)
{
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < output->target_count && err == SLUICE_OK; i++) {
        if (output->targets[i]->open) {
            err = finish_batch(output, i);
        }
    }
    return err;
}

void stage_output_batches(struct stage_output *output, struct commit_batch *ret_batches)
{
    for (uint32_t i = 0; i < output->batch_count; i++) {
        const struct output_batch *batch = &output->batches[i];
        struct output_target *target = output->targets[batch->target];
        ret_batches[i] = (struct commit_batch){
            .partition = target->partition,
            .data = target->bytes.data + batch->start,
            .size = (uint32_t)batch->size,
        };
    }
}

/* ---- where a record may go ---- */

static void say(struct stage_output *output, struct sl_bytes topic, const char *text)
{
    snprintf(output->reason, sizeof(output->reason), "topic %.*s %s", (int)topic.size,
             (const char *)topic.data, text);
}

static sl_err check_topic(struct stage_output *output, const struct output_rules *rules,
                          const struct output_source *source, struct sl_bytes name,
                          struct topic **ret_topic)
{
    const struct topic_capability capability = {.principal = rules->principal,
                                                .own = source->default_topic,
                                                .topics = rules->grants,
                                                .topic_count = rules->grant_count,
                                                .any = rules->any,
                                                .policy = rules->shard->policy};
    sl_err err = authorizer_write(&capability, name, output->reason);
    if (err != SLUICE_OK) {
        return err;
    }
    if (sl_bytes_equal(name, source->topic->name)) {
        say(output, name, "is the input: the records would go round for ever");
        return SLUICE_E_PERMISSION;
    }
    *ret_topic = catalog_by_name(rules->shard->catalog, name);
    if (*ret_topic == NULL) {
        snprintf(output->missing, sizeof(output->missing), "%.*s", (int)name.size,
                 (const char *)name.data);
        return SLUICE_E_NOT_FOUND;
    }
    return SLUICE_OK;
}

static uint32_t choose(const struct topic *topic, const struct output_source *source,
                       int32_t partition, const struct record_fields *fields)
{
    if (partition >= 0) {
        return (uint32_t)partition;
    }
    if (topic->partition_count == source->topic->partition_count) {
        return source->partition;
    }
    if (!fields->key_is_null) {
        return (uint32_t)partition_by_key(fields->key, (int32_t)topic->partition_count);
    }
    return source->partition % topic->partition_count;
}

sl_err stage_output_route(struct stage_output *output, const struct output_rules *rules,
                          const struct output_source *source, struct sl_bytes name,
                          int32_t partition, const struct record_fields *fields,
                          struct partition **ret_target)
{
    struct topic *topic = NULL;
    sl_err err = check_topic(output, rules, source, name, &topic);
    if (err != SLUICE_OK) {
        return err;
    }
    uint32_t number = choose(topic, source, partition, fields);
    if (number >= topic->partition_count) {
        say(output, name, "has no such partition");
        return SLUICE_E_UNKNOWN_TOPIC;
    }
    if (shard_of_partition(rules->shard->set, topic, number) != rules->shard) {
        say(output, name, "has that partition on another shard than the input's");
        return SLUICE_E_UNSUPPORTED;
    }
    if (topic->settings->compact && fields->key_is_null) {
        say(output, name, "is compacted: a record needs a key");
        return SLUICE_E_INVALID_RECORD;
    }
    if (size_bound(fields) + BATCH_HEADER_SIZE > (size_t)topic->settings->message_bytes_max) {
        say(output, name, "takes no record of this size (max.message.bytes)");
        return SLUICE_E_BATCH_TOO_LARGE;
    }
    return partition_open(rules->shard, topic, number, ret_target);
}

/* ---- dead letters ---- */

void stage_dead_letter_name(const char *instance, char ret_name[TOPIC_NAME_BYTES_MAX + 1u])
{
    snprintf(ret_name, TOPIC_NAME_BYTES_MAX + 1u, "%s%s", TOPIC_NAME_DEAD_LETTER, instance);
}

/* The same number where it lies here, else the first that does. */
bool stage_output_near(const struct shard *shard, const struct topic *topic, uint32_t wanted,
                       uint32_t *ret_number)
{
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        uint32_t number = (wanted + i) % topic->partition_count;
        if (shard_of_partition(shard->set, topic, number) == shard) {
            *ret_number = number;
            return true;
        }
    }
    return false;
}

sl_err stage_output_reject(struct stage_output *output, const struct output_rules *rules,
                           const struct output_source *source, const struct record_view *record,
                           uint32_t index, struct sl_bytes reason)
{
    char name[TOPIC_NAME_BYTES_MAX + 1u];
    stage_dead_letter_name(rules->instance, name);
    struct topic *topic = catalog_by_name(rules->shard->catalog, sl_bytes_of_text(name));
    uint32_t number = 0;
    if (topic == NULL) {
        snprintf(output->missing, sizeof(output->missing), "%s", name);
        return SLUICE_E_NOT_FOUND;
    }
    if (!stage_output_near(rules->shard, topic, source->partition, &number)) {
        say(output, sl_bytes_of_text(name), "has no partition on this shard");
        return SLUICE_E_NO_MEMORY; /* of room: the whole batch waits, no record is lost */
    }
    struct partition *target = NULL;
    struct record_fields fields;
    sl_err err = partition_open(rules->shard, topic, number, &target);
    err = err != SLUICE_OK ? err
                           : header_room_fields(&output->headers, source->view, record,
                                                DEAD_LETTER_HEADERS, &fields);
    if (err != SLUICE_OK) {
        return err;
    }
    struct dead_letter_origin origin = {
        .reason = reason,
        .instance = sl_bytes_of_text(rules->instance),
        .version = sl_bytes_of_text(rules->version),
        .topic = source->topic->name,
        .partition = source->partition,
        .offset = record_offset(source->view, record),
        .redrives = source->redrives != NULL ? source->redrives[index] + 1 : 0,
    };
    struct dead_letter_texts texts;
    fields.header_count +=
        dead_letter_headers(&origin, &texts, output->headers.items + fields.header_count);
    fields.headers = output->headers.items;
    err = stage_output_append(output, target, &fields);
    if (err == SLUICE_OK) {
        output->written--; /* counted apart */
        output->rejected++;
        snprintf(output->last_reason, sizeof(output->last_reason), "%.*s",
                 (int)SL_MIN(reason.size, sizeof(output->last_reason) - 1),
                 (const char *)reason.data);
    }
    return err;
}

/* ---- verdicts ---- */

/* One pass over a result. */
struct taking {
    struct stage_output *output;
    const struct output_rules *rules;
    const struct output_source *source;
    struct record_iterator records;
    struct record_view record; /* number `index` */
    int64_t index;
};

static sl_err seek(struct taking *taking, uint32_t index)
{
    while (taking->index < (int64_t)index) {
        if (!record_iterator_next(&taking->records, &taking->record)) {
            return SLUICE_E_INVALID_RECORD;
        }
        taking->index++;
    }
    return SLUICE_OK;
}

static bool is_record_fault(sl_err err)
{
    return err == SLUICE_E_PERMISSION || err == SLUICE_E_UNKNOWN_TOPIC ||
           err == SLUICE_E_UNSUPPORTED || err == SLUICE_E_BATCH_TOO_LARGE ||
           err == SLUICE_E_INVALID_RECORD;
}

/* The worker thought otherwise of the record, and its state may count on that. */
static void cut(struct taking *taking)
{
    struct stage_output *output = taking->output;
    output->cut_index = output->is_cut ? output->cut_index : (uint32_t)taking->index;
    output->is_cut = true;
}

/* The record at hand and all after it come again. */
static sl_err halt(struct taking *taking, enum output_halt why, struct sl_bytes reason)
{
    struct stage_output *output = taking->output;
    if (why != OUTPUT_ASKED) {
        cut(taking);
    }
    output->halt = why;
    output->halt_index = (uint32_t)taking->index;
    output->halt_offset = record_offset(taking->source->view, &taking->record);
    snprintf(output->reason, sizeof(output->reason), "%.*s",
             (int)SL_MIN(reason.size, sizeof(output->reason) - 1),
             reason.size > 0 ? (const char *)reason.data : "");
    return SLUICE_OK;
}

/* What on_error makes of the record at hand. is_failure: the plugin is to blame. */
static sl_err reject(struct taking *taking, struct sl_bytes reason, bool is_failure)
{
    struct stage_output *output = taking->output;
    const struct output_source *source = taking->source;
    enum on_error on = taking->rules->on_error.on;
    on = source->redrives != NULL ? ON_ERROR_DEAD_LETTER : on;
    if (on == ON_ERROR_STOP) {
        return halt(taking, OUTPUT_STOPPED, reason);
    }
    if (on == ON_ERROR_RETRY && !(source->given_up && taking->index == 0)) {
        return halt(taking, OUTPUT_RETRIES, reason);
    }
    if (is_failure && output->row >= STAGE_FAILURES_ROW) {
        return halt(taking, OUTPUT_TRIPPED, reason);
    }
    output->row = is_failure ? output->row + 1 : 0;
    output->failed += is_failure;
    if (on == ON_ERROR_DROP) {
        output->discarded++;
        return SLUICE_OK;
    }
    return stage_output_reject(output, taking->rules, source, &taking->record,
                               (uint32_t)taking->index, reason);
}

/* output->reason says why. The text is copied: the reason of a dead letter points into the record.
 */
static sl_err reject_said(struct taking *taking)
{
    cut(taking);
    char reason[STAGE_REASON_BYTES];
    memcpy(reason, taking->output->reason, sizeof(reason));
    return reject(taking, sl_bytes_of_text(reason), true);
}

static sl_err pass(struct taking *taking, const struct sandbox_verdict *verdict)
{
    struct stage_output *output = taking->output;
    const struct output_source *source = taking->source;
    for (uint32_t i = 0; i < verdict->count && output->halt == OUTPUT_WHOLE; i++) {
        struct record_fields fields;
        struct partition *target = NULL;
        sl_err err = seek(taking, verdict->index + i);
        if (err == SLUICE_OK && source->default_topic.size == 0) {
            output->passed++;
            output->row = 0;
            continue;
        }
        err = err != SLUICE_OK
                  ? err
                  : header_room_fields(&output->headers, source->view, &taking->record, 0, &fields);
        if (err != SLUICE_OK) {
            return err;
        }
        err = stage_output_route(output, taking->rules, source, source->default_topic,
                                 SLUICE_PARTITION_AUTO, &fields, &target);
        if (is_record_fault(err)) {
            err = reject_said(taking);
        } else if (err == SLUICE_OK) {
            err = stage_output_append(output, target, &fields);
            output->row = 0;
        }
        if (err != SLUICE_OK) {
            return err;
        }
    }
    return SLUICE_OK;
}

static struct sl_bytes of_sdk(struct sluice_bytes bytes)
{
    return (struct sl_bytes){bytes.data, (size_t)bytes.size};
}

sl_err stage_output_emit_fields(struct stage_output *output, const struct sandbox_verdict *verdict,
                                int64_t input_timestamp, struct record_fields *ret_fields)
{
    sl_err err = header_room_reserve(&output->headers, verdict->header_count);
    if (err != SLUICE_OK) {
        return err;
    }
    const uint8_t *cursor = verdict->headers;
    for (uint32_t i = 0; i < verdict->header_count; i++) {
        struct sluice_header header;
        sandbox_header_next(&cursor, &header);
        output->headers.items[i] = (struct header_view){
            .key = sl_of_text(header.key),
            .value = of_sdk(header.value),
            .value_is_null = header.value.data == NULL,
        };
    }
    *ret_fields = (struct record_fields){
        .key = of_sdk(verdict->key),
        .value = of_sdk(verdict->value),
        .key_is_null = verdict->key.data == NULL,
        .value_is_null = verdict->value.data == NULL,
        .headers = output->headers.items,
        .header_count = verdict->header_count,
        .timestamp_ms = verdict->timestamp == -1 ? input_timestamp : verdict->timestamp,
    };
    return SLUICE_OK;
}

static sl_err route_emit(struct taking *taking, const struct sandbox_verdict *verdict,
                         struct record_fields *ret_fields, struct partition **ret_target)
{
    int64_t timestamp = record_timestamp(taking->source->view, &taking->record);
    sl_err err = stage_output_emit_fields(taking->output, verdict, timestamp, ret_fields);
    if (err != SLUICE_OK) {
        return err;
    }
    struct sl_bytes topic =
        verdict->topic.size > 0 ? sl_of_text(verdict->topic) : taking->source->default_topic;
    if (topic.size == 0) {
        snprintf(taking->output->reason, sizeof(taking->output->reason),
                 "the plugin emits, but has no output topic");
        return SLUICE_E_PERMISSION;
    }
    return stage_output_route(taking->output, taking->rules, taking->source, topic,
                              verdict->partition, ret_fields, ret_target);
}

/* Whether all that one record emits may go out: it goes whole or not at all. */
static sl_err check_emits(struct taking *taking, struct sandbox_result_reader reader,
                          const struct sandbox_verdict *first)
{
    struct sandbox_verdict verdict = *first;
    sl_err err = SLUICE_OK;
    bool more = true;
    while (err == SLUICE_OK && more && verdict.index == first->index &&
           verdict.kind == SANDBOX_VERDICT_EMIT) {
        struct record_fields fields;
        struct partition *target = NULL;
        err = route_emit(taking, &verdict, &fields, &target);
        more = sandbox_result_next(&reader, &verdict);
    }
    return err;
}

static sl_err emit(struct taking *taking, const struct sandbox_verdict *verdict)
{
    struct record_fields fields;
    struct partition *target = NULL;
    sl_err err = route_emit(taking, verdict, &fields, &target);
    taking->output->row = err == SLUICE_OK ? 0 : taking->output->row;
    return err != SLUICE_OK ? err : stage_output_append(taking->output, target, &fields);
}

/* *faulty: the record of the last emit was rejected; its further emits are passed over. */
static sl_err take_one(struct taking *taking, const struct sandbox_result_reader *reader,
                       const struct sandbox_verdict *verdict, int64_t *faulty)
{
    if (verdict->kind == SANDBOX_VERDICT_PASS) {
        return pass(taking, verdict);
    }
    bool first = taking->index < (int64_t)verdict->index;
    sl_err err = seek(taking, verdict->index);
    if (err != SLUICE_OK) {
        return err;
    }
    switch (verdict->kind) {
    case SANDBOX_VERDICT_DROP:
        taking->output->dropped++;
        taking->output->row = 0;
        return SLUICE_OK;
    case SANDBOX_VERDICT_REJECT:
    case SANDBOX_VERDICT_FAIL:
        return reject(taking, sl_of_text(verdict->reason), verdict->kind == SANDBOX_VERDICT_FAIL);
    case SANDBOX_VERDICT_RETRY:
        return halt(taking, OUTPUT_ASKED, sl_of_text(verdict->reason));
    default:
        break;
    }
    if (*faulty == (int64_t)verdict->index) {
        return SLUICE_OK;
    }
    err = first ? check_emits(taking, *reader, verdict) : SLUICE_OK;
    if (is_record_fault(err)) {
        *faulty = verdict->index;
        return reject_said(taking);
    }
    return err != SLUICE_OK ? err : emit(taking, verdict);
}

/* Of one record alone they are left out when it may not go out as the worker said. */
static sl_err take_deltas(const struct taking *taking, const struct sandbox_result *result)
{
    struct stage_output *output = taking->output;
    if (output->is_cut) {
        return result->limit > 1 ? SLUICE_E_BUSY : SLUICE_OK;
    }
    if (taking->source->state == NULL) {
        return SLUICE_OK; /* it was told that these have none */
    }
    return stage_output_deltas(output, taking->rules, taking->source, result);
}

sl_err stage_output_take(struct stage_output *output, const struct output_rules *rules,
                         const struct output_source *source, const struct sandbox_result *result)
{
    struct taking taking = {.output = output, .rules = rules, .source = source, .index = -1};
    record_iterator_init(&taking.records, batch_view_records(source->view),
                         batch_view_record_count(source->view));
    struct sandbox_result_reader reader;
    struct sandbox_verdict verdict;
    int64_t faulty = -1;
    uint32_t row = output->row;
    sl_err err = SLUICE_OK;
    sandbox_result_reader_init(&reader, result);
    while (err == SLUICE_OK && output->halt == OUTPUT_WHOLE &&
           sandbox_result_next(&reader, &verdict)) {
        err = take_one(&taking, &reader, &verdict, &faulty);
    }
    if (err == SLUICE_OK && result->delta_count > 0) {
        err = take_deltas(&taking, result);
    }
    err = err != SLUICE_OK ? err : stage_output_finish(output);
    if (err != SLUICE_OK) {
        char missing[sizeof(output->missing)];
        memcpy(missing, output->missing, sizeof(missing));
        stage_output_reset(output);
        output->row = row;
        memcpy(output->missing, missing, sizeof(missing));
    }
    return err;
}
