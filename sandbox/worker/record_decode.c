/* record_decode.c: the records of an uncompressed v2 batch as views (KIP-98's record format).
 *
 * record = length varint, attributes i8, timestampDelta varlong, offsetDelta varint, keyLength
 * varint, key, valueLength varint, value, headerCount varint, (keyLength, key, valueLength, value)*
 * Varints are zig-zag; length -1 is null. The bytes came from a producer: every length is checked.
 */
#include "worker.h"

#include <stdlib.h>
#include <string.h>

struct decoder {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

static int64_t take_varlong(struct decoder *decoder)
{
    uint64_t value = 0;

    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte;

        if (decoder->at == decoder->end) {
            break;
        }
        byte = *decoder->at++;
        value |= (uint64_t)(byte & 0x7f) << (shift < 64 ? shift : 63);
        if ((byte & 0x80) == 0) {
            return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
        }
    }
    decoder->bad = true;
    return 0;
}

/* A length: -1 (if null is allowed) or one that fits what is left. */
static int64_t take_length(struct decoder *decoder, bool nullable)
{
    const int64_t length = take_varlong(decoder);

    if (length < (nullable ? -1 : 0) || length > decoder->end - decoder->at) {
        decoder->bad = true;
        return 0;
    }
    return length;
}

static struct sluice_bytes take_bytes(struct decoder *decoder, bool nullable)
{
    const int64_t length = take_length(decoder, nullable);
    struct sluice_bytes bytes = {NULL, 0};

    if (length >= 0 && !decoder->bad) {
        bytes = (struct sluice_bytes){decoder->at, (uint64_t)length};
        decoder->at += length;
    }
    return bytes;
}

static bool grow(void **memory, uint32_t *capacity, uint64_t wanted, size_t item_size)
{
    uint64_t count = *capacity == 0 ? 64 : *capacity;
    void *grown;

    if (wanted <= *capacity) {
        return true;
    }
    while (count < wanted) {
        count *= 2;
    }
    grown = count > UINT32_MAX ? NULL : realloc(*memory, count * item_size);
    if (grown == NULL) {
        return false;
    }
    *memory = grown;
    *capacity = (uint32_t)count;
    return true;
}

/* Headers of one record go to worker->headers from *header_count on. */
static sluice_status take_headers(struct worker *worker, struct decoder *decoder, uint64_t count,
                                  uint64_t *header_count)
{
    void *memory = worker->headers;

    if (!grow(&memory, &worker->header_capacity, *header_count + count,
              sizeof(struct sluice_header))) {
        return SLUICE_E_NO_MEMORY;
    }
    worker->headers = memory;
    for (uint64_t i = 0; i < count; i++) {
        struct sluice_header *header = &worker->headers[(*header_count)++];
        const struct sluice_bytes key = take_bytes(decoder, false);

        header->key = (struct sluice_text){(const char *)key.data, key.size};
        header->value = take_bytes(decoder, true);
    }
    return decoder->bad ? SLUICE_E_INVALID_RECORD : SLUICE_OK;
}

static sluice_status take_record(struct worker *worker, const struct channel_task_wire *task,
                                 struct decoder *decoder, struct sluice_record *record,
                                 uint64_t *header_count)
{
    int64_t count;
    int64_t delta;

    record->size = sizeof(*record);
    if (decoder->at == decoder->end) {
        return SLUICE_E_INVALID_RECORD;
    }
    decoder->at++; /* attributes: none are defined */
    record->timestamp = (int64_t)((uint64_t)task->base_timestamp + (uint64_t)take_varlong(decoder));
    delta = take_varlong(decoder);
    record->offset =
        task->base_offset < 0 ? -1 : (int64_t)((uint64_t)task->base_offset + (uint64_t)delta);
    record->key = take_bytes(decoder, true);
    record->value = take_bytes(decoder, true);
    count = take_varlong(decoder);
    if (decoder->bad || count < 0 || count > (decoder->end - decoder->at) / 2) {
        return SLUICE_E_INVALID_RECORD;
    }
    record->header_count = (uint32_t)count;
    record->headers = (const struct sluice_header *)(uintptr_t)*header_count; /* index, for now */
    return count == 0 ? SLUICE_OK : take_headers(worker, decoder, (uint64_t)count, header_count);
}

/* The header array may have moved while it grew: turn indices into pointers at the end. */
static void place_headers(struct worker *worker, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct sluice_record *record = &worker->records[i];

        record->headers =
            record->header_count == 0 ? NULL : worker->headers + (uintptr_t)record->headers;
    }
}

sluice_status record_decode(struct worker *worker, const struct channel_task_wire *task,
                            const uint8_t *records)
{
    struct decoder all = {records, records + task->records_size, false};
    void *memory = worker->records;
    uint64_t header_count = 0;

    if (task->record_count > task->records_size / 7) { /* a record has at least 7 bytes */
        return SLUICE_E_INVALID_RECORD;
    }
    if (!grow(&memory, &worker->record_capacity, task->limit, sizeof(struct sluice_record))) {
        return SLUICE_E_NO_MEMORY;
    }
    worker->records = memory;
    for (uint32_t i = 0; i < task->first + task->limit; i++) {
        const struct sluice_bytes body = take_bytes(&all, false);
        struct decoder one;
        sluice_status status;

        if (all.bad) {
            return SLUICE_E_INVALID_RECORD;
        }
        if (i < task->first) {
            continue;
        }
        one = (struct decoder){body.data, body.data + body.size, false};
        status = take_record(worker, task, &one, &worker->records[i - task->first], &header_count);
        if (status != SLUICE_OK) {
            return status;
        }
        if (one.at != one.end) {
            return SLUICE_E_INVALID_RECORD;
        }
    }
    place_headers(worker, task->limit);
    return task->first + task->limit < task->record_count || all.at == all.end
               ? SLUICE_OK
               : SLUICE_E_INVALID_RECORD;
}
