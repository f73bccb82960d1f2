/* storage_model.c: topics, batches and their bytes (storage_model.h). */
#include "storage_model.h"

#include "base/bytes.h"
#include "base/crc32c.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CONTENT_AT    21u /* of a batch: attributes */
#define PATTERN_BYTES (MODEL_BATCH_MAX + 4096u)
#define VALUE_MIN     12u

void model_topic_reset(struct storage_model *model, struct model_topic *topic)
{
    uint32_t slot = model_slot(model, topic);
    for (uint32_t i = 0; i < MODEL_PARTITIONS; i++) {
        struct model_partition *partition = &topic->partitions[i];
        partition->count = partition->acked = 0;
        partition->start = partition->start_wanted = 0;
        partition->producer_id = -1;
        for (uint32_t g = 0; g < MODEL_GROUPS; g++) {
            model->offsets[g][slot][i] = (struct model_offset){-1, -1};
        }
    }
}

void model_init(struct storage_model *model, uint64_t seed, uint32_t shard_count)
{
    model->seed = seed;
    model->shard_count = shard_count;
    model->next_number = 0;
    model->next_topic = 0;
    model->next_producer = 1;
    model->next_offset = 0;
    model->fault[0] = '\0';
    sl_buffer_init(&model->scratch, 64u << 20);
    for (uint32_t i = 0; i < MODEL_TOPICS; i++) {
        model->topics[i].state = MODEL_ABSENT;
        model->topics[i].name[0] = '\0';
        model_topic_reset(model, &model->topics[i]);
    }
    for (uint32_t i = 0; i < MODEL_SHARDS_MAX; i++) {
        model->stages[i].count = model->stages[i].acked = 0;
    }
}

void model_fini(struct storage_model *model)
{
    sl_buffer_fini(&model->scratch);
}

void model_fault(struct storage_model *model, const char *format, ...)
{
    if (model->fault[0] == '\0') {
        va_list words;
        va_start(words, format);
        vsnprintf(model->fault, sizeof(model->fault), format, words);
        va_end(words);
    }
}

uint32_t model_slot(const struct storage_model *model, const struct model_topic *topic)
{
    return (uint32_t)(topic - model->topics);
}

struct sl_bytes model_group(uint32_t group)
{
    static const char *const names[MODEL_GROUPS] = {"g0", "g1", "g2"};
    return sl_bytes_of_text(names[group]);
}

struct sl_bytes model_stage_name(void)
{
    return sl_bytes_of_text("stage");
}

struct sl_uuid model_stage_topic(void)
{
    return (struct sl_uuid){{9, 9, 9}};
}

uint32_t model_offset_tag(uint32_t group, uint32_t slot, uint32_t partition)
{
    return (group * MODEL_TOPICS + slot) * MODEL_PARTITIONS + partition;
}

/* ---- batches ---- */

int64_t model_end(const struct model_partition *partition)
{
    if (partition->count == 0) {
        return 0;
    }
    const struct model_batch *last = &partition->batches[partition->count - 1];
    return last->base_offset + last->count;
}

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t record_hash(const struct storage_model *model, uint32_t number, uint32_t record)
{
    return mix(model->seed + ((uint64_t)number << 8) + record);
}

static const uint8_t *pattern(void)
{
    static uint8_t bytes[PATTERN_BYTES];
    if (bytes[0] == 0) {
        for (uint32_t i = 0; i < PATTERN_BYTES; i++) {
            bytes[i] = (uint8_t)(mix(i) | 1);
        }
    }
    return bytes;
}

/* Its number, its place in the batch and the seed, then bytes that follow from them. */
static void value_of(const struct storage_model *model, uint32_t number, uint32_t record,
                     uint8_t *ret_bytes, uint32_t size)
{
    uint64_t hash = record_hash(model, number, record);
    memcpy(ret_bytes, pattern() + hash % 4096, size);
    sl_le64_store(ret_bytes, hash);
    sl_le32_store(ret_bytes + 8, number);
}

uint32_t model_record_key(const struct storage_model *model, const struct model_batch *batch,
                          uint32_t record)
{
    return (uint32_t)(record_hash(model, batch->number, record) >> 32) % MODEL_KEYS;
}

bool model_record_is_tombstone(const struct storage_model *model, const struct model_batch *batch,
                               uint32_t record)
{
    return (record_hash(model, batch->number, record) >> 50) % 5 == 0;
}

/* What a commit does not write into: behind base offset, length, epoch, magic and CRC. */
static uint32_t content_crc(const uint8_t *batch, size_t size)
{
    return sl_crc32c(batch + CONTENT_AT, size - CONTENT_AT);
}

static void build(struct storage_model *model, const struct model_topic *topic,
                  const struct model_partition *partition, struct model_batch *batch, uint8_t *data)
{
    struct batch_builder builder;
    struct batch_header header;
    struct batch_view view;
    uint8_t value[MODEL_BATCH_MAX];
    uint8_t key;
    batch_header_init(&header);
    if (batch->sequence >= 0) {
        header.producer_id = partition->producer_id;
        header.producer_epoch = 0;
        header.base_sequence = batch->sequence;
    }
    sl_buffer_reset(&model->scratch);
    sl_err err = batch_builder_start(&builder, &model->scratch, &header);
    for (uint32_t i = 0; i < batch->count && err == SLUICE_OK; i++) {
        value_of(model, batch->number, i, value, batch->value_size);
        key = (uint8_t)model_record_key(model, batch, i);
        const struct record_fields record = {
            .key = {&key, 1},
            .key_is_null = !topic->compacted,
            .value = {value, batch->value_size},
            .value_is_null = topic->compacted && model_record_is_tombstone(model, batch, i),
            .timestamp_ms = MODEL_TIME_MS + batch->base_offset + i};
        err = batch_builder_append(&builder, &record);
    }
    err = err != SLUICE_OK ? err
                           : batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, NULL, &view);
    SL_ASSERT(err == SLUICE_OK && view.size <= MODEL_BATCH_MAX);
    memcpy(data, view.data, view.size);
    batch->size = (uint32_t)view.size;
    batch->crc = content_crc(data, view.size);
}

static int32_t next_sequence(const struct model_partition *partition)
{
    for (uint32_t i = partition->count; i > 0; i--) {
        const struct model_batch *batch = &partition->batches[i - 1];
        if (batch->sequence >= 0) {
            return batch->sequence + (int32_t)batch->count;
        }
    }
    return 0;
}

void model_message_id(const struct model_batch *batch, uint8_t ret_id[MODEL_MESSAGE_BYTES])
{
    snprintf((char *)ret_id, MODEL_MESSAGE_BYTES, "%011" PRIu32, batch->number);
}

struct model_batch *model_append(struct storage_model *model, struct model_topic *topic,
                                 uint32_t partition_number, uint32_t records, uint32_t value_size,
                                 bool of_producer, uint8_t *data)
{
    struct model_partition *partition = &topic->partitions[partition_number];
    if (partition->count == MODEL_BATCHES_MAX) {
        return NULL;
    }
    bool has_sequence = of_producer && partition->producer_id >= 0;
    int64_t base = model_end(partition);
    int32_t sequence = has_sequence ? next_sequence(partition) : -1;
    struct model_batch *batch = &partition->batches[partition->count++];
    *batch = (struct model_batch){.number = model->next_number++,
                                  .value_size = SL_MAX(value_size, VALUE_MIN),
                                  .base_offset = base,
                                  .count = records,
                                  .sequence = sequence};
    build(model, topic, partition, batch, data);
    return batch;
}

/* ---- comparing ---- */

/* The batch that holds the offset or is the next behind it; NULL: none. */
static struct model_batch *find(struct model_partition *partition, int64_t offset)
{
    uint32_t low = 0;
    uint32_t high = partition->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct model_batch *at = &partition->batches[middle];
        if (at->base_offset + at->count <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < partition->count ? &partition->batches[low] : NULL;
}

static bool is_same(const struct model_batch *batch, const struct batch_view *view)
{
    return batch_view_base_offset(view) == batch->base_offset && view->size == batch->size &&
           batch_view_leader_epoch(view) == batch->epoch &&
           batch_view_check_crc(view) == SLUICE_OK &&
           content_crc(view->data, view->size) == batch->crc;
}

static bool is_same_record(const struct storage_model *model, const struct model_batch *batch,
                           const struct batch_view *view, const struct record_view *record)
{
    uint32_t n = (uint32_t)record->offset_delta;
    uint8_t value[MODEL_BATCH_MAX];
    bool is_deleted = model_record_is_tombstone(model, batch, n);
    if (n >= batch->count || record->key.size != 1 ||
        record->key.data[0] != model_record_key(model, batch, n) ||
        record->value_is_null != is_deleted ||
        record_timestamp(view, record) != MODEL_TIME_MS + batch->base_offset + n) {
        return false;
    }
    value_of(model, batch->number, n, value, batch->value_size);
    return is_deleted || (record->value.size == batch->value_size &&
                          memcmp(record->value.data, value, batch->value_size) == 0);
}

/* What compaction left of a batch. */
static bool compare_rest(struct storage_model *model, struct model_batch *batch,
                         const struct batch_view *view)
{
    struct record_iterator iterator;
    struct record_view record;
    uint8_t found = 0;
    record_iterator_init(&iterator, batch_view_records(view), batch_view_record_count(view));
    while (record_iterator_next(&iterator, &record)) {
        if (!is_same_record(model, batch, view, &record)) {
            return false;
        }
        found |= (uint8_t)(1u << record.offset_delta);
    }
    if (record_iterator_finish(&iterator) != SLUICE_OK || (found & batch->gone) != 0) {
        return false;
    }
    batch->gone |= (uint8_t)(~found & ((1u << batch->count) - 1));
    return true;
}

static void mark_gone(struct model_partition *partition, int64_t from, int64_t to)
{
    for (struct model_batch *batch = find(partition, from);
         batch != NULL && batch < partition->batches + partition->count && batch->base_offset < to;
         batch++) {
        for (uint32_t i = 0; i < batch->count; i++) {
            int64_t offset = batch->base_offset + i;
            batch->gone |= (uint8_t)((offset >= from && offset < to) << i);
        }
    }
}

static bool compare_compacted(struct storage_model *model, struct model_partition *partition,
                              const struct batch_view *view)
{
    int64_t base = batch_view_base_offset(view);
    struct model_batch *batch = find(partition, base);
    if (batch_view_check_crc(view) != SLUICE_OK || batch == NULL) {
        return false;
    }
    if (batch_view_record_count(view) == 0) { /* also one that fills a hole */
        mark_gone(partition, base, batch_view_next_offset(view));
        return true;
    }
    return base == batch->base_offset &&
           batch_view_next_offset(view) == batch->base_offset + batch->count &&
           batch_view_leader_epoch(view) == batch->epoch && compare_rest(model, batch, view);
}

static bool compare_one(struct storage_model *model, const struct model_topic *topic,
                        struct model_partition *partition, const struct batch_view *view,
                        int64_t offset)
{
    if (topic->compacted) {
        bool first = batch_view_base_offset(view) <= offset;
        if (!first) {
            mark_gone(partition, offset, batch_view_base_offset(view));
        }
        return compare_compacted(model, partition, view);
    }
    const struct model_batch *batch = find(partition, offset);
    return batch != NULL && is_same(batch, view);
}

int64_t model_compare(struct storage_model *model, const struct model_topic *topic,
                      struct model_partition *partition, struct sl_bytes bytes, int64_t offset)
{
    while (bytes.size > 0) {
        struct batch_view view;
        if (batch_view_init(&view, bytes) != SLUICE_OK || batch_view_next_offset(&view) <= offset ||
            !compare_one(model, topic, partition, &view, offset)) {
            model_fault(model, "%s-%u: other bytes at offset %" PRId64, topic->name,
                        (unsigned)(partition - topic->partitions), offset);
            return INT64_MAX;
        }
        offset = batch_view_next_offset(&view);
        bytes = sl_bytes_of(bytes.data + view.size, bytes.size - view.size);
    }
    return offset;
}

/* ---- adopting ---- */

static void adopt_partition(struct model_partition *partition, uint32_t count, int64_t start,
                            const uint8_t *gone)
{
    partition->count = partition->acked = count;
    partition->start = partition->start_wanted = start;
    for (uint32_t i = 0; i < count; i++) {
        partition->batches[i].gone = gone[i];
    }
}

static void adopt_topic(struct storage_model *model, const struct model_found *found, uint32_t slot)
{
    struct model_topic *topic = &model->topics[slot];
    topic->state = found->topics[slot] ? MODEL_LIVE : MODEL_ABSENT;
    for (uint32_t i = 0; i < topic->partition_count && found->topics[slot]; i++) {
        adopt_partition(&topic->partitions[i], found->counts[slot][i], found->starts[slot][i],
                        found->gone[slot][i]);
    }
}

void model_adopt(struct storage_model *model, const struct model_found *found)
{
    for (uint32_t i = 0; i < MODEL_TOPICS; i++) {
        if (model->topics[i].name[0] != '\0') {
            adopt_topic(model, found, i);
        }
        for (uint32_t g = 0; g < MODEL_GROUPS; g++) {
            for (uint32_t k = 0; k < MODEL_PARTITIONS; k++) {
                int64_t offset = found->topics[i] ? found->offsets[g][i][k] : -1;
                model->offsets[g][i][k] = (struct model_offset){offset, offset};
            }
        }
    }
    for (uint32_t i = 0; i < model->shard_count; i++) {
        model->stages[i].count = model->stages[i].acked = found->positions[i];
    }
}
