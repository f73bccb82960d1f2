/* message_batch.c: records that belong together, kept as frames have them.
 *
 * A batch is a view of a store: records one behind the other and where each begins. Splitting makes
 * more views of one store; merging copies bytes from store to store. Who adds to a batch whose
 * store others see copies his part first. */
#include "message_batch.h"

#include "record_io.h"

#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES_MAX (64u << 20)
#define STARTS_MIN      16u

struct store {
    uint32_t refs;
    uint32_t count;    /* of starts, less the end */
    uint32_t capacity; /* of starts */
    uint32_t *starts;  /* where each record begins, and behind the last one the end */
    struct frame_out bytes;
};

struct sluice_message_batch {
    struct store *store;
    uint32_t first; /* of the store's records */
    uint32_t count;
};

static struct store *store_new(void)
{
    struct store *store = calloc(1, sizeof(*store));
    uint32_t *starts = calloc(STARTS_MIN, sizeof(*starts));
    if (store == NULL || starts == NULL) {
        free(store);
        free(starts);
        return NULL;
    }
    store->refs = 1;
    store->starts = starts;
    store->capacity = STARTS_MIN;
    return store;
}

static void store_unref(struct store *store)
{
    if (--store->refs == 0) {
        frame_out_fini(&store->bytes);
        free(store->starts);
        free(store);
    }
}

static bool store_has_room(struct store *store, uint32_t more)
{
    uint64_t wanted = (uint64_t)store->count + more + 1;
    uint64_t capacity = store->capacity;
    while (capacity < wanted) {
        capacity *= 2;
    }
    if (capacity == store->capacity) {
        return true;
    }
    uint32_t *starts = realloc(store->starts, (size_t)capacity * sizeof(*starts));
    if (starts == NULL) {
        return false;
    }
    store->starts = starts;
    store->capacity = (uint32_t)capacity;
    return true;
}

/* Appends the records of a batch. Nothing is added when it fails. */
static sluice_status store_append(struct store *store, const struct sluice_message_batch *from)
{
    const struct sluice_bytes records = message_batch_records(from);
    const uint32_t base = store->starts[store->count];
    if (records.size > BATCH_BYTES_MAX - base) {
        return SLUICE_E_LIMIT;
    }
    if (!store_has_room(store, from->count)) {
        return SLUICE_E_NO_MEMORY;
    }
    store->bytes.max = BATCH_BYTES_MAX;
    frame_put_bytes(&store->bytes, records.data, (size_t)records.size);
    if (store->bytes.status != SLUICE_OK) {
        store->bytes.status = SLUICE_OK;
        return SLUICE_E_NO_MEMORY;
    }
    const uint32_t *starts = from->store->starts + from->first;
    for (uint32_t i = 1; i <= from->count; i++) {
        store->starts[store->count + i] = base + (starts[i] - starts[0]);
    }
    store->count += from->count;
    return SLUICE_OK;
}

sluice_status sluice_message_batch_new(struct sluice_message_batch **ret_batch)
{
    struct sluice_message_batch *batch = calloc(1, sizeof(*batch));
    struct store *store = store_new();
    if (batch == NULL || store == NULL) {
        free(batch);
        if (store != NULL) {
            store_unref(store);
        }
        return SLUICE_E_NO_MEMORY;
    }
    batch->store = store;
    *ret_batch = batch;
    return SLUICE_OK;
}

void sluice_message_batch_free(struct sluice_message_batch *batch)
{
    if (batch != NULL) {
        store_unref(batch->store);
        free(batch);
    }
}

/* A store that is this batch's alone. */
static sluice_status make_own(struct sluice_message_batch *batch)
{
    if (batch->store->refs == 1) {
        return SLUICE_OK;
    }
    struct store *store = store_new();
    if (store == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    sluice_status status = store_append(store, batch);
    if (status != SLUICE_OK) {
        store_unref(store);
        return status;
    }
    store_unref(batch->store);
    batch->store = store;
    batch->first = 0;
    return SLUICE_OK;
}

/* Forgets what lies behind the batch, of parts that are gone. */
static void cut_tail(struct sluice_message_batch *batch)
{
    batch->store->count = batch->first + batch->count;
    batch->store->bytes.end = batch->store->starts[batch->store->count];
}

sluice_status sluice_message_batch_add(struct sluice_message_batch *batch,
                                       const struct sluice_message *message)
{
    sluice_status status = make_own(batch);
    if (status != SLUICE_OK) {
        return status;
    }
    cut_tail(batch);
    struct store *store = batch->store;
    if (!store_has_room(store, 1)) {
        return SLUICE_E_NO_MEMORY;
    }
    const size_t before = store->bytes.end;
    store->bytes.max = BATCH_BYTES_MAX;
    record_put(&store->bytes, message, (struct record_extra){NULL, 0});
    status = store->bytes.status;
    if (status != SLUICE_OK) {
        store->bytes.status = SLUICE_OK;
        store->bytes.end = before;
        return status == SLUICE_E_WOULD_BLOCK ? SLUICE_E_LIMIT : status;
    }
    store->count++;
    store->starts[store->count] = (uint32_t)store->bytes.end;
    batch->count++;
    return SLUICE_OK;
}

uint32_t sluice_message_batch_count(const struct sluice_message_batch *batch)
{
    return batch->count;
}

struct sluice_bytes message_batch_records(const struct sluice_message_batch *batch)
{
    const uint32_t *starts = batch->store->starts + batch->first;
    if (batch->count == 0) {
        return (struct sluice_bytes){NULL, 0};
    }
    return (struct sluice_bytes){batch->store->bytes.data + starts[0],
                                 starts[batch->count] - starts[0]};
}

uint64_t sluice_message_batch_bytes(const struct sluice_message_batch *batch)
{
    return message_batch_records(batch).size;
}

sluice_status sluice_message_batch_get(const struct sluice_message_batch *batch, uint32_t index,
                                       struct sluice_message *ret_message)
{
    if (index >= batch->count) {
        return SLUICE_E_NOT_FOUND;
    }
    const uint32_t *starts = batch->store->starts + batch->first + index;
    struct frame_in in = frame_in_of(batch->store->bytes.data + starts[0], starts[1] - starts[0]);
    return record_get(&in, ret_message) ? SLUICE_OK : SLUICE_E_MALFORMED;
}

static struct sluice_message_batch *view(const struct sluice_message_batch *batch, uint32_t first,
                                         uint32_t count)
{
    struct sluice_message_batch *part = calloc(1, sizeof(*part));
    if (part != NULL) {
        batch->store->refs++;
        *part = (struct sluice_message_batch){batch->store, batch->first + first, count};
    }
    return part;
}

sluice_status sluice_message_batch_split(const struct sluice_message_batch *batch,
                                         uint32_t count_max,
                                         struct sluice_message_batch **ret_parts, uint32_t capacity,
                                         uint32_t *ret_count)
{
    if (count_max == 0) {
        return SLUICE_E_INVALID;
    }
    uint32_t parts = batch->count / count_max + (batch->count % count_max != 0 ? 1 : 0);
    if (parts > capacity) {
        *ret_count = parts;
        return SLUICE_E_LIMIT;
    }
    for (uint32_t i = 0; i < parts; i++) {
        uint32_t first = i * count_max;
        uint32_t left = batch->count - first;
        ret_parts[i] = view(batch, first, left < count_max ? left : count_max);
        if (ret_parts[i] == NULL) {
            while (i > 0) {
                sluice_message_batch_free(ret_parts[--i]);
            }
            return SLUICE_E_NO_MEMORY;
        }
    }
    *ret_count = parts;
    return SLUICE_OK;
}

sluice_status sluice_message_batch_merge(const struct sluice_message_batch *const *batches,
                                         uint32_t count, struct sluice_message_batch **ret_batch)
{
    struct sluice_message_batch *merged;
    sluice_status status = sluice_message_batch_new(&merged);
    if (status != SLUICE_OK) {
        return status;
    }
    for (uint32_t i = 0; i < count && status == SLUICE_OK; i++) {
        status = store_append(merged->store, batches[i]);
    }
    if (status != SLUICE_OK) {
        sluice_message_batch_free(merged);
        return status;
    }
    merged->count = merged->store->count;
    *ret_batch = merged;
    return SLUICE_OK;
}
