/* storage_model.c: see storage_model.h. */
#include "storage_model.h"

#include "base/crc32c.h"
#include "shard/store.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define READ_BYTES 4096u /* a plan takes whole runs, so that this is often exceeded */
#define CONTENT_AT 21u   /* of a batch: attributes */

void model_init(struct storage_model *model, uint64_t seed)
{
    model->seed = seed;
    model->next_number = 0;
    model->next_topic = 0;
    model->fault[0] = '\0';
    sl_buffer_init(&model->scratch, 64u << 20);
    for (uint32_t i = 0; i < MODEL_TOPICS; i++) {
        model->topics[i].state = MODEL_ABSENT;
        model->topics[i].name[0] = '\0';
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

/* ---- batches ---- */

int64_t model_end(const struct model_partition *partition)
{
    if (partition->count == 0) {
        return 0;
    }
    const struct model_batch *last = &partition->batches[partition->count - 1];
    return last->base_offset + last->count;
}

static void value_of(const struct storage_model *model, uint32_t number, uint32_t record,
                     uint8_t *ret_bytes, uint32_t size)
{
    uint64_t state = model->seed * 0x9e3779b97f4a7c15u + ((uint64_t)number << 32) + record;
    for (uint32_t i = 0; i < size; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        ret_bytes[i] = (uint8_t)(state >> 56);
    }
}

/* What a commit does not write into: behind base offset, length, epoch, magic and CRC. */
static uint32_t content_crc(const uint8_t *batch, size_t size)
{
    return sl_crc32c(batch + CONTENT_AT, size - CONTENT_AT);
}

static void build(struct storage_model *model, struct model_batch *batch, uint32_t value_size,
                  uint8_t *data)
{
    struct batch_builder builder;
    struct batch_header header;
    struct batch_view view;
    uint8_t value[MODEL_BATCH_MAX];
    batch_header_init(&header);
    sl_buffer_reset(&model->scratch);
    sl_err err = batch_builder_start(&builder, &model->scratch, &header);
    for (uint32_t i = 0; i < batch->count && err == SLUICE_OK; i++) {
        value_of(model, batch->number, i, value, value_size);
        const struct record_fields record = {.key_is_null = true,
                                             .value = {value, value_size},
                                             .timestamp_ms =
                                                 MODEL_TIME_MS + batch->base_offset + i};
        err = batch_builder_append(&builder, &record);
    }
    err = err != SLUICE_OK ? err
                           : batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, NULL, &view);
    SL_ASSERT(err == SLUICE_OK && view.size <= MODEL_BATCH_MAX);
    memcpy(data, view.data, view.size);
    batch->size = (uint32_t)view.size;
    batch->crc = content_crc(data, view.size);
}

struct model_batch *model_append(struct storage_model *model, struct model_partition *partition,
                                 uint32_t records, uint32_t value_size, uint8_t *data)
{
    if (partition->count == MODEL_BATCHES_MAX) {
        return NULL;
    }
    int64_t base = model_end(partition);
    struct model_batch *batch = &partition->batches[partition->count++];
    *batch =
        (struct model_batch){.number = model->next_number++, .base_offset = base, .count = records};
    build(model, batch, value_size, data);
    return batch;
}

/* ---- comparing ---- */

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

int64_t model_compare(struct storage_model *model, struct model_partition *partition,
                      struct sl_bytes bytes, int64_t offset)
{
    const struct model_batch *batch = find(partition, offset);
    const struct model_batch *end = partition->batches + partition->count;
    while (bytes.size > 0) {
        struct batch_view view;
        if (batch == NULL || batch == end || batch_view_init(&view, bytes) != SLUICE_OK ||
            !is_same(batch, &view)) {
            model_fault(model, "other bytes at offset %" PRId64, offset);
            return INT64_MAX;
        }
        offset = batch->base_offset + batch->count;
        batch++;
        bytes = sl_bytes_of(bytes.data + view.size, bytes.size - view.size);
    }
    return offset;
}

/* ---- judging ---- */

static int64_t read_some(struct storage_model *model, struct model_partition *wanted,
                         const struct partition *partition, int64_t offset)
{
    struct read_plan plan;
    struct shard *shard = partition->shard;
    struct sl_bytes cut;
    if (!partition_plan(partition, offset, READ_BYTES, &plan) || !read_plan_pin(shard, &plan)) {
        model_fault(model, "no place is known of offset %" PRId64, offset);
        return INT64_MAX;
    }
    sl_buffer_reset(&model->scratch);
    sl_err err = sl_buffer_reserve(&model->scratch, plan.bytes);
    SL_ASSERT(err == SLUICE_OK);
    uint8_t *bytes = model->scratch.data;
    err = store_read_places(shard, plan.places, plan.place_count, bytes, store_read);
    err = err != SLUICE_OK ? err : partition_check(&plan, bytes);
    err = err != SLUICE_OK
              ? err
              : partition_cut(sl_bytes_of(bytes, plan.bytes), offset, UINT32_MAX, &cut);
    read_plan_unpin(shard, &plan);
    if (err != SLUICE_OK) {
        model_fault(model, "offset %" PRId64 " cannot be read: error %d", offset, err);
        return INT64_MAX;
    }
    return model_compare(model, wanted, cut, offset);
}

/* Times rise with offsets, one a millisecond. */
static void judge_times(struct storage_model *model, const struct partition *partition)
{
    struct stream_run run;
    int64_t start = partition_start(partition);
    int64_t end = partition_end(partition);
    for (int64_t at = start; at < end; at += 1 + (end - start) / 4) {
        if (!stream_index_find_time(&partition->index, MODEL_TIME_MS + at, &run) ||
            run.base_offset > at || run.last_offset < at) {
            model_fault(model, "the time of offset %" PRId64 " is not found", at);
        }
    }
}

static void judge_epochs(struct storage_model *model, struct model_partition *wanted,
                         const struct partition *partition)
{
    for (uint32_t i = 1; i < wanted->count; i++) {
        const struct model_batch *batch = &wanted->batches[i];
        int32_t before = batch[-1].epoch;
        int32_t found = -1;
        if (batch->epoch == before || batch[-1].base_offset < partition_start(partition)) {
            continue;
        }
        if (stream_index_epoch_end(&partition->index, before, &found) != batch->base_offset ||
            found != before) {
            model_fault(model, "epoch %d does not end at %" PRId64, before, batch->base_offset);
        }
    }
}

static void judge_partition(struct storage_model *model, struct model_partition *wanted,
                            const struct partition *partition)
{
    int64_t start = partition == NULL ? 0 : partition_start(partition);
    int64_t end = partition == NULL ? 0 : partition_end(partition);
    uint32_t count = 0;
    while (count < wanted->count && wanted->batches[count].base_offset < end) {
        count++;
    }
    if (count < wanted->acked) {
        model_fault(model, "%u batches were acknowledged, %u recovered", wanted->acked, count);
    }
    wanted->count = wanted->acked = count;
    if (model_end(wanted) != end) {
        model_fault(model, "it ends at %" PRId64 ", which is in no batch", end);
    }
    if (start < wanted->start || start > SL_MAX(wanted->start, wanted->start_wanted)) {
        model_fault(model, "it starts at %" PRId64 ", not at %" PRId64, start, wanted->start);
    }
    wanted->start = wanted->start_wanted = start;
    while (start < end && model->fault[0] == '\0') {
        start = read_some(model, wanted, partition, start);
    }
    if (partition != NULL && model->fault[0] == '\0') {
        judge_times(model, partition);
        judge_epochs(model, wanted, partition);
    }
}

static void judge_topic(struct storage_model *model, struct model_topic *wanted,
                        const struct topic *topic)
{
    bool may_be = wanted->state != MODEL_ABSENT;
    bool must_be = wanted->state == MODEL_LIVE;
    if ((topic != NULL && !may_be) || (topic == NULL && must_be)) {
        model_fault(model, "topic %s is %s", wanted->name, topic != NULL ? "back" : "lost");
    }
    wanted->state = topic != NULL ? MODEL_LIVE : MODEL_ABSENT;
    for (uint32_t i = 0; topic != NULL && i < topic->partition_count; i++) {
        judge_partition(model, &wanted->partitions[i], partition_find(topic, i));
    }
}

void model_judge(struct storage_model *model, struct shard *shard)
{
    for (uint32_t i = 0; i < MODEL_TOPICS; i++) {
        struct model_topic *wanted = &model->topics[i];
        if (wanted->name[0] != '\0') {
            judge_topic(model, wanted,
                        catalog_by_name(shard->catalog, sl_bytes_of_text(wanted->name)));
        }
    }
}
