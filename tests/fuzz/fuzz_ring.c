/* fuzz_ring.c: both ends of the rings against hostile bytes.
 *
 * Host's end: the input is the output region of a worker: head, descriptors and slots. Whatever
 * channel_take accepts is read to the end, and every record must be covered exactly once. Worker's
 * end: the input is the records of a producer. The first byte chooses the end, the second the
 * geometry of the task. */
#include "channel_layout.h"
#include "worker/worker.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct channel_geometry geometry = {
    .depth = 2, .input_slot_bytes = 4096, .output_slot_bytes = 4096};

static void demand(bool holds)
{
    if (!holds) {
        abort();
    }
}

static volatile uint8_t sink;

static void touch(const void *data, uint64_t size)
{
    for (uint64_t i = 0; i < size; i++) {
        sink = ((const uint8_t *)data)[i];
    }
}

static void read_emit(const struct sandbox_verdict *verdict)
{
    const uint8_t *cursor = verdict->headers;

    touch(verdict->key.data, verdict->key.size);
    touch(verdict->value.data, verdict->value.size);
    touch(verdict->topic.data, verdict->topic.size);
    for (uint32_t i = 0; i < verdict->header_count; i++) {
        struct sluice_header header;

        sandbox_header_next(&cursor, &header);
        touch(header.key.data, header.key.size);
        touch(header.value.data, header.value.size);
    }
}

static void read_result(const struct sandbox_result *result)
{
    struct sandbox_result_reader reader;
    struct sandbox_verdict verdict;
    uint32_t next = result->first;
    uint32_t emits = 0;

    touch(result->error.data, result->error.size);
    sandbox_result_reader_init(&reader, result);
    while (sandbox_result_next(&reader, &verdict)) {
        demand(verdict.index == next ||
               (verdict.kind == SANDBOX_VERDICT_EMIT && verdict.index + 1 == next));
        next = verdict.index + verdict.count;
        demand(next - result->first <= result->limit);
        touch(verdict.reason.data, verdict.reason.size);
        if (verdict.kind == SANDBOX_VERDICT_EMIT) {
            emits++;
            read_emit(&verdict);
        }
    }
    demand(emits == result->emit_count);
    demand(result->status != SLUICE_OK || next == result->first + result->limit ||
           verdict.kind == SANDBOX_VERDICT_RETRY);
}

static void fuzz_host(const uint8_t *data, size_t size, uint8_t shape)
{
    const size_t output_size = channel_output_bytes(&geometry);
    uint8_t *input = calloc(1, channel_input_bytes(&geometry));
    uint8_t *output = calloc(1, output_size);
    const struct sandbox_task task = {
        .record_count = shape, .first = shape & 3, .limit = shape & ~3u};
    struct sandbox_result result;
    struct channel channel;
    bool wake;

    channel_init(&channel, &geometry, input, output);
    for (int i = 0; i < 2; i++) {
        demand(channel_submit(&channel, &task, &wake) == SLUICE_OK ||
               task.first + task.limit > shape);
    }
    /* Head and descriptors from the front of the data, the slots from the rest: small inputs reach
     * both. */
    memcpy(output, data, size < 96 ? size : 96);
    if (size > 96) {
        memcpy(output + CHANNEL_HEAD_BYTES, data + 96,
               size - 96 < output_size - CHANNEL_HEAD_BYTES ? size - 96
                                                            : output_size - CHANNEL_HEAD_BYTES);
    }
    while (channel_take(&channel, &result) == SLUICE_OK) {
        read_result(&result);
    }
    channel_fini(&channel);
    free(input);
    free(output);
}

static void fuzz_worker(const uint8_t *data, size_t size, uint8_t shape)
{
    struct channel_task_wire task = {
        .record_count = shape, .first = shape & 1, .records_size = (uint32_t)size};
    struct worker worker = {.taken = 0};
    uint8_t *exact = malloc(size + (size == 0));

    memcpy(exact, data, size);
    task.limit = shape - task.first;
    if (record_decode(&worker, &task, exact) == SLUICE_OK) {
        for (uint32_t i = 0; i < task.limit; i++) {
            const struct sluice_record *record = &worker.records[i];

            touch(record->key.data, record->key.size);
            touch(record->value.data, record->value.size);
            for (uint32_t h = 0; h < record->header_count; h++) {
                touch(record->headers[h].key.data, record->headers[h].key.size);
                touch(record->headers[h].value.data, record->headers[h].value.size);
            }
        }
    }
    free(worker.records);
    free(worker.headers);
    free(exact);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    if ((data[0] & 1) != 0) {
        fuzz_worker(data + 2, size - 2, data[1]);
    } else {
        fuzz_host(data + 2, size - 2, data[1]);
    }
    return 0;
}
