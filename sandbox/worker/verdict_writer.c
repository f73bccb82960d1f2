/* verdict_writer.c: the writer that a plugin gets; encodes verdicts into the output slot.
 *
 * Verdicts come in rising order of index; a record without one is passed. A verdict that could not
 * be written and was not replaced by another for the same record fails the batch: a plugin that
 * ignores a full output must not let the unmasked record through. */
#include "worker.h"

#include <string.h>

static struct verdict_writer *of(const struct sluice_writer *writer)
{
    return writer->data;
}

static sluice_status refuse(struct verdict_writer *writer, uint32_t index, sluice_status status)
{
    if (writer->pending == SLUICE_OK || writer->pending_index == index) {
        writer->pending = status;
        writer->pending_index = index;
    }
    return status;
}

static bool in_order(const struct verdict_writer *writer, uint32_t index, uint32_t kind)
{
    if (index >= writer->limit) {
        return false;
    }
    if (!writer->any) {
        return true;
    }
    return index > writer->last_index ||
           (index == writer->last_index && kind == SANDBOX_VERDICT_EMIT &&
            writer->last_kind == SANDBOX_VERDICT_EMIT);
}

static bool comes_again(const struct verdict_writer *writer, uint32_t index)
{
    return writer->any && writer->last_kind == SANDBOX_VERDICT_RETRY &&
           index > writer->last_index && index < writer->limit;
}

/* Verdicts one by one tell which record comes next; where there was a gap nothing is known. */
static void progress(struct verdict_writer *writer, uint32_t index)
{
    if (index == writer->done) {
        writer->done = index + 1;
        atomic_store_explicit(&writer->progress->done, index + 1, memory_order_relaxed);
    } else if (index > writer->done) {
        writer->done = CHANNEL_NULL;
        atomic_store_explicit(&writer->progress->done, CHANNEL_NULL, memory_order_relaxed);
    }
}

static void settle(struct verdict_writer *writer, uint32_t index, uint32_t kind)
{
    progress(writer, index);
    if (writer->pending != SLUICE_OK && writer->pending_index == index &&
        kind != SANDBOX_VERDICT_PASS && kind != SANDBOX_VERDICT_EMIT) {
        writer->pending = SLUICE_OK; /* another verdict took the place of the one that failed */
    }
    if (writer->pending != SLUICE_OK && writer->failed == SLUICE_OK) {
        writer->failed = writer->pending;
    }
    writer->any = true;
    writer->last_index = index;
    writer->last_kind = kind;
}

/* Takes back what was emitted for a record whose verdict becomes another one. */
static void discard_emits(struct verdict_writer *writer, uint32_t index, uint32_t kind)
{
    if (writer->any && writer->last_index == index && writer->last_kind == SANDBOX_VERDICT_EMIT &&
        (kind == SANDBOX_VERDICT_REJECT || kind == SANDBOX_VERDICT_RETRY ||
         kind == SANDBOX_VERDICT_FAIL)) {
        writer->used = writer->emits_at;
        writer->last_kind = kind;
        writer->any = index > 0;
        writer->last_index = index > 0 ? index - 1 : 0;
    }
}

static sluice_status write_simple(const struct sluice_writer *table, uint32_t index, uint32_t kind,
                                  struct sluice_text reason)
{
    struct verdict_writer *writer = of(table);
    const uint32_t reason_size =
        reason.size > CHANNEL_REASON_SIZE_MAX ? CHANNEL_REASON_SIZE_MAX : (uint32_t)reason.size;
    const struct channel_item item = {kind, writer->first + index,
                                      channel_pad8((uint32_t)sizeof(item) + reason_size),
                                      reason_size};

    if (comes_again(writer, index)) {
        return SLUICE_OK;
    }
    discard_emits(writer, index, kind);
    if (!in_order(writer, index, kind)) {
        return refuse(writer, index, SLUICE_E_INVALID);
    }
    if (item.size > writer->capacity - writer->used) {
        return refuse(writer, index, SLUICE_E_LIMIT);
    }
    if (kind != SANDBOX_VERDICT_DROP && writer->state != NULL &&
        !state_undo(writer->state, index, kind == SANDBOX_VERDICT_RETRY)) {
        return refuse(writer, index, SLUICE_E_INVALID); /* a later record built upon its changes */
    }
    memcpy(writer->items + writer->used, &item, sizeof(item));
    if (reason_size > 0) {
        memcpy(writer->items + writer->used + sizeof(item), reason.data, reason_size);
    }
    writer->used += item.size;
    settle(writer, index, kind);
    return SLUICE_OK;
}

static sluice_status pass(const struct sluice_writer *table, uint32_t index)
{
    struct verdict_writer *writer = of(table);

    if (comes_again(writer, index)) {
        return SLUICE_OK;
    }
    if (!in_order(writer, index, SANDBOX_VERDICT_PASS)) {
        return refuse(writer, index, SLUICE_E_INVALID);
    }
    settle(writer, index, SANDBOX_VERDICT_PASS);
    return SLUICE_OK;
}

static sluice_status drop(const struct sluice_writer *table, uint32_t index)
{
    return write_simple(table, index, SANDBOX_VERDICT_DROP, (struct sluice_text){NULL, 0});
}

static sluice_status reject(const struct sluice_writer *table, uint32_t index,
                            struct sluice_text reason)
{
    return write_simple(table, index, SANDBOX_VERDICT_REJECT, reason);
}

static sluice_status fail(const struct sluice_writer *table, uint32_t index,
                          struct sluice_text reason)
{
    return write_simple(table, index, SANDBOX_VERDICT_FAIL, reason);
}

static sluice_status retry(const struct sluice_writer *table, uint32_t index,
                           struct sluice_text reason)
{
    return write_simple(table, index, SANDBOX_VERDICT_RETRY, reason);
}

static bool granted(const struct verdict_writer *writer, struct sluice_text topic)
{
    const struct boot_wire *boot = writer->boot;

    if (topic.size == 0 || boot->outputs_any != 0) {
        return true;
    }
    for (uint32_t i = 0; i < boot->output_count; i++) {
        if (boot->outputs[i].size == topic.size &&
            memcmp((const uint8_t *)boot + boot->outputs[i].at, topic.data, topic.size) == 0) {
            return true;
        }
    }
    return false;
}

static sluice_status emit_check(const struct verdict_writer *writer, uint32_t index,
                                const struct sluice_emit *record, uint64_t *ret_headers_size)
{
    uint64_t headers_size = 0;

    if (record->size < sizeof(*record) || !in_order(writer, index, SANDBOX_VERDICT_EMIT) ||
        record->partition < SLUICE_PARTITION_AUTO || record->timestamp < -1 ||
        record->header_count > CHANNEL_HEADERS_MAX) {
        return SLUICE_E_INVALID;
    }
    if (record->topic.size > CHANNEL_TOPIC_SIZE_MAX) {
        return SLUICE_E_INVALID_TOPIC;
    }
    if (!granted(writer, record->topic)) {
        return SLUICE_E_PERMISSION;
    }
    for (uint32_t i = 0; i < record->header_count; i++) {
        if (record->headers[i].key.size > writer->capacity ||
            record->headers[i].value.size > writer->capacity) {
            return SLUICE_E_LIMIT;
        }
        headers_size += 8 + record->headers[i].key.size + record->headers[i].value.size;
    }
    if (record->key.size > writer->capacity || record->value.size > writer->capacity ||
        CHANNEL_EMIT_VALUE_AT + record->value.size + record->key.size + record->topic.size +
                headers_size + 8 >
            writer->capacity - writer->used) {
        return SLUICE_E_LIMIT;
    }
    *ret_headers_size = headers_size;
    return SLUICE_OK;
}

static uint8_t *put(uint8_t *at, const void *data, uint64_t size)
{
    if (size > 0) {
        memcpy(at, data, size);
    }
    return at + size;
}

static uint32_t wire_size(struct sluice_bytes bytes)
{
    return bytes.data == NULL ? CHANNEL_NULL : (uint32_t)bytes.size;
}

static uint8_t *put_headers(uint8_t *at, const struct sluice_emit *record)
{
    for (uint32_t i = 0; i < record->header_count; i++) {
        const struct sluice_header *header = &record->headers[i];
        const uint32_t sizes[2] = {(uint32_t)header->key.size, wire_size(header->value)};

        at = put(at, sizes, sizeof(sizes));
        at = put(at, header->key.data, header->key.size);
        at = put(at, header->value.data, header->value.data == NULL ? 0 : header->value.size);
    }
    return at;
}

static uint64_t present_size(struct sluice_bytes bytes)
{
    return bytes.data == NULL ? 0 : bytes.size;
}

static sluice_status emit(const struct sluice_writer *table, uint32_t index,
                          const struct sluice_emit *record)
{
    struct verdict_writer *writer = of(table);
    struct channel_item item = {SANDBOX_VERDICT_EMIT, writer->first + index, 0, 0};
    struct channel_emit body;
    uint8_t *start = writer->items + writer->used;
    uint8_t *value_at = start + CHANNEL_EMIT_VALUE_AT;
    uint64_t headers_size;
    uint8_t *at;
    sluice_status status;

    if (comes_again(writer, index)) {
        return SLUICE_OK;
    }
    status = emit_check(writer, index, record, &headers_size);
    if (status != SLUICE_OK) {
        return refuse(writer, index, status);
    }
    if (!writer->any || writer->last_index != index) {
        writer->emits_at = writer->used;
    }
    if (record->value.data != value_at && present_size(record->value) > 0) {
        memmove(value_at, record->value.data, record->value.size);
    }
    at = put(value_at + present_size(record->value), record->key.data, present_size(record->key));
    at = put(at, record->topic.data, record->topic.size);
    body = (struct channel_emit){
        .timestamp = record->timestamp,
        .partition = record->partition,
        .topic_size = (uint32_t)record->topic.size,
        .key_size = wire_size(record->key),
        .value_size = wire_size(record->value),
        .header_count = record->header_count,
    };
    headers_size = (uint64_t)(put_headers(at, record) - at);
    body.headers_size = (uint32_t)headers_size;
    item.size = channel_pad8((uint32_t)(at - start) + body.headers_size);
    memcpy(start, &item, sizeof(item));
    memcpy(start + sizeof(item), &body, sizeof(body));
    writer->used += item.size;
    settle(writer, index, SANDBOX_VERDICT_EMIT);
    return SLUICE_OK;
}

/* The value of the next emit lies at a place that does not depend on the rest of it. */
static sluice_status reserve(const struct sluice_writer *table, uint64_t size, uint8_t **ret_memory)
{
    struct verdict_writer *writer = of(table);

    if (size > writer->capacity || CHANNEL_EMIT_VALUE_AT + size > writer->capacity - writer->used) {
        writer->failed = SLUICE_E_LIMIT;
        return SLUICE_E_LIMIT;
    }
    *ret_memory = writer->items + writer->used + CHANNEL_EMIT_VALUE_AT;
    return SLUICE_OK;
}

void verdict_writer_init(struct verdict_writer *writer, const struct boot_wire *boot,
                         uint8_t *items, uint32_t capacity, const struct channel_task_wire *task,
                         struct channel_progress *shared)
{
    *writer = (struct verdict_writer){
        .writer = {.size = sizeof(writer->writer),
                   .data = writer,
                   .pass = pass,
                   .drop = drop,
                   .emit = emit,
                   .reject = reject,
                   .retry = retry,
                   .reserve = reserve,
                   .fail = fail},
        .boot = boot,
        .progress = shared,
        .items = items,
        .capacity = capacity & ~7u,
        .room = capacity & ~7u,
        .first = task->first,
        .limit = task->limit,
    };
}

sluice_status verdict_writer_end(struct verdict_writer *writer)
{
    return writer->failed != SLUICE_OK ? writer->failed : writer->pending;
}
