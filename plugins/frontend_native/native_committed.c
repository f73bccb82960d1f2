/* native_committed.c: the records of a fetch, without those of aborted transactions.
 *
 * The host gives records, not the producers of their batches, so batches are looked at here: format
 * 2, big-endian; base offset i64 at 0, length i32 at 8, attributes i16 at 21 (bit 4: of a
 * transaction, bit 5: control), last offset delta i32 at 23, producer id i64 at 43. A batch of a
 * transaction that the result lists as aborted is passed over, until the producer's control batch
 * ends it (KIP-98). */
#include "native_frontend.h"

#include <stdlib.h>

#define BATCH_HEAD_BYTES 61u
#define LENGTH_FROM      12u /* the length counts what follows it */
#define OF_TRANSACTION   (1u << 4)
#define CONTROL          (1u << 5)

struct batch {
    int64_t base_offset;
    int64_t next_offset;
    int64_t producer_id;
    uint32_t attributes;
    uint64_t size;
};

static uint64_t read_big(const uint8_t *at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

static bool batch_read(struct sluice_bytes bytes, struct batch *batch)
{
    if (bytes.size < BATCH_HEAD_BYTES) {
        return false;
    }
    batch->base_offset = (int64_t)read_big(bytes.data, 8);
    batch->size = read_big(bytes.data + 8, 4) + LENGTH_FROM;
    batch->attributes = (uint32_t)read_big(bytes.data + 21, 2);
    batch->next_offset = batch->base_offset + (int64_t)read_big(bytes.data + 23, 4) + 1;
    batch->producer_id = (int64_t)read_big(bytes.data + 43, 8);
    return batch->size >= BATCH_HEAD_BYTES && batch->size <= bytes.size;
}

/* The aborted transaction that the batch is of, or ends; -1: none. */
static int64_t find_aborted(const struct sluice_fetch_result *result, const bool *ended,
                            const struct batch *batch)
{
    for (uint32_t i = 0; i < result->aborted_count; i++) {
        if (!ended[i] && result->aborted[i].producer_id == batch->producer_id &&
            result->aborted[i].first_offset <= batch->base_offset) {
            return i;
        }
    }
    return -1;
}

static sluice_status each_batch(const struct native_frontend *frontend,
                                const struct sluice_fetch_result *result, bool *ended,
                                int64_t offset, sluice_record_each *each, void *arg,
                                int64_t *ret_next_offset)
{
    const struct sluice_records_host *records = frontend->records;
    struct sluice_bytes left = result->records;
    sluice_status status = SLUICE_OK;
    int64_t next_offset = offset;
    while (left.size > 0 && status == SLUICE_OK) {
        struct batch batch;
        if (!batch_read(left, &batch)) {
            return SLUICE_E_CORRUPT_BATCH;
        }
        int64_t aborted = find_aborted(result, ended, &batch);
        bool is_control = (batch.attributes & CONTROL) != 0;
        if (aborted >= 0 && is_control) {
            ended[aborted] = true;
        }
        if (is_control || (aborted >= 0 && (batch.attributes & OF_TRANSACTION) != 0)) {
            next_offset = batch.next_offset > next_offset ? batch.next_offset : next_offset;
        } else {
            struct sluice_bytes one = {left.data, batch.size};
            status = records->each(records, one, offset, each, arg, &next_offset);
            if (status == SLUICE_OK && next_offset < batch.next_offset) {
                break; /* `each` wanted no more */
            }
        }
        left.data += batch.size;
        left.size -= batch.size;
    }
    *ret_next_offset = next_offset;
    return status;
}

sluice_status native_each(const struct native_frontend *frontend,
                          const struct sluice_fetch_result *result, int64_t offset,
                          sluice_record_each *each, void *arg, int64_t *ret_next_offset)
{
    const struct sluice_records_host *records = frontend->records;
    if (result->aborted_count == 0) {
        return records->each(records, result->records, offset, each, arg, ret_next_offset);
    }
    bool *ended = calloc(result->aborted_count, sizeof(*ended));
    if (ended == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    sluice_status status = each_batch(frontend, result, ended, offset, each, arg, ret_next_offset);
    free(ended);
    return status;
}
