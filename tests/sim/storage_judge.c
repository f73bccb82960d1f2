/* storage_judge.c: what shards may hold after a recovery (storage_model.h). */
#include "storage_model.h"

#include "shard/store.h"

#include <inttypes.h>
#include <string.h>

#define READ_BYTES 4096u /* a plan takes whole runs, so that this is often exceeded */

struct judging {
    struct storage_model *model;
    const struct shard_set *set;
    const struct shard *only; /* what it holds alone is judged; NULL: all */
    struct model_found *found;
    const struct model_topic *topic;
    uint32_t slot;
    uint32_t number;
    struct model_partition *wanted;
    const struct partition *partition; /* NULL: nothing is there */
    uint32_t count;                    /* batches found */
    int64_t start, end;
};

#define FAULT(judging, format, ...)                                                            \
    model_fault((judging)->model, "%s-%u: " format, (judging)->topic->name, (judging)->number, \
                ##__VA_ARGS__)

static bool refuses(const struct judging *self, const struct shard *shard)
{
    return self->model->is_damaged && shard->status != SLUICE_OK;
}

static bool is_asked(const struct judging *self, const struct shard *shard)
{
    return self->only == NULL || self->only == shard;
}

/* ---- bytes ---- */

static int64_t read_some(struct judging *self, int64_t offset)
{
    struct storage_model *model = self->model;
    struct read_plan plan;
    struct shard *shard = self->partition->shard;
    struct sl_bytes cut;
    if (!partition_plan(self->partition, offset, READ_BYTES, &plan) ||
        !read_plan_pin(shard, &plan)) {
        FAULT(self, "no place is known of offset %" PRId64, offset);
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
              : partition_cut(sl_bytes_of(bytes, plan.bytes), offset, INT64_MAX, UINT32_MAX, &cut);
    read_plan_unpin(shard, &plan);
    if (err == SLUICE_E_CORRUPT && model->is_damaged) {
        model->told++;
        return INT64_MAX;
    }
    if (err != SLUICE_OK) {
        FAULT(self, "offset %" PRId64 " cannot be read: error %d", offset, err);
        return INT64_MAX;
    }
    return model_compare(model, self->topic, self->wanted, cut, offset);
}

/* The prefix alone is compared with: what comes behind it was not found. */
static void judge_bytes(struct judging *self)
{
    uint32_t count = self->wanted->count;
    self->wanted->count = self->count;
    for (int64_t at = self->start; at < self->end && model_is_well(self->model);) {
        at = read_some(self, at);
    }
    self->wanted->count = count;
}

/* ---- compacted topics ---- */

/* Of each key the newest record is there, or it is a tombstone and nothing older is there either.
 */
static void judge_keys(struct judging *self)
{
    enum { UNSEEN, THERE, DELETED } keys[MODEL_KEYS] = {UNSEEN};
    for (uint32_t i = self->count; i > 0 && model_is_well(self->model); i--) {
        const struct model_batch *batch = &self->wanted->batches[i - 1];
        for (uint32_t n = batch->count; n > 0; n--) {
            int64_t offset = batch->base_offset + n - 1;
            uint32_t key = model_record_key(self->model, batch, n - 1);
            bool is_gone = (batch->gone >> (n - 1) & 1) != 0;
            if (offset < self->start) {
                continue;
            }
            bool is_tombstone = model_record_is_tombstone(self->model, batch, n - 1);
            if (keys[key] == UNSEEN && is_gone &&
                (!is_tombstone || self->topic->keeps_tombstones)) {
                FAULT(self, "the newest record of key %u, offset %" PRId64 ", is gone", key,
                      offset);
            }
            if (keys[key] == DELETED && !is_gone && !is_tombstone) {
                FAULT(self, "key %u was deleted, and offset %" PRId64 " is back", key, offset);
            }
            keys[key] = keys[key] != UNSEEN ? keys[key] : is_gone ? DELETED : THERE;
        }
    }
}

/* ---- index ---- */

/* Times rise with offsets, one a millisecond. */
static void judge_times(struct judging *self)
{
    struct stream_run run;
    for (int64_t at = self->start; at < self->end; at += 1 + (self->end - self->start) / 4) {
        if (!stream_index_find_time(&self->partition->index, MODEL_TIME_MS + at, &run) ||
            run.base_offset > at || run.last_offset < at) {
            FAULT(self, "the time of offset %" PRId64 " is not found", at);
        }
    }
}

/* What began below the log start and was compacted since is not known any more. */
static bool may_be_unknown(const struct judging *self, uint32_t batch)
{
    int32_t epoch = self->wanted->batches[batch].epoch;
    while (batch > 0 && self->wanted->batches[batch - 1].epoch == epoch) {
        batch--;
    }
    return self->topic->compacted && self->wanted->batches[batch].base_offset < self->start;
}

static void judge_epochs(struct judging *self)
{
    for (uint32_t i = 1; i < self->count; i++) {
        const struct model_batch *batch = &self->wanted->batches[i];
        int32_t before = batch[-1].epoch;
        int32_t found = -1;
        if (batch->epoch == before || batch[-1].base_offset < self->start) {
            continue;
        }
        if (stream_index_epoch_end(&self->partition->index, before, &found) != batch->base_offset ||
            (found != before && !may_be_unknown(self, i - 1))) {
            FAULT(self, "epoch %d does not end at %" PRId64, before, batch->base_offset);
        }
    }
}

/* ---- producers ---- */

static void check_sequence(struct judging *self, int32_t sequence, uint32_t count, sl_err wanted,
                           int32_t kind, int64_t offset)
{
    struct producer_verdict verdict = {0};
    const struct producer_batch batch = {
        .producer_id = self->wanted->producer_id, .base_sequence = sequence, .record_count = count};
    sl_err err = producers_check(&self->partition->producers, &batch, &verdict);
    if (err != wanted ||
        (err == SLUICE_OK &&
         (verdict.kind != kind || (kind == PRODUCER_DUPLICATE && verdict.base_offset != offset)))) {
        FAULT(self, "sequence %d is judged %d (%d), not %d (%d)", sequence, err, verdict.kind,
              wanted, kind);
    }
}

/* The last five batches are known with their offsets, and what goes on is what comes next. */
static void judge_producer(struct judging *self)
{
    uint32_t known = 0;
    for (uint32_t i = self->count; i > 0 && known < PRODUCER_BATCHES_MAX; i--) {
        const struct model_batch *batch = &self->wanted->batches[i - 1];
        if (batch->sequence < 0) {
            continue;
        }
        if (known++ == 0) {
            int32_t next = batch->sequence + (int32_t)batch->count;
            check_sequence(self, next, 1, SLUICE_OK, PRODUCER_NEW, 0);
            check_sequence(self, next + 1, 1, SLUICE_E_OUT_OF_ORDER_SEQUENCE, 0, 0);
        }
        check_sequence(self, batch->sequence, batch->count, SLUICE_OK, PRODUCER_DUPLICATE,
                       batch->base_offset);
    }
}

/* ---- message ids ---- */

/* Of what was recovered they are remembered with its offset, of what was not they are not. */
static void judge_messages(struct judging *self)
{
    struct message_ids *ids = &self->partition->shard->messages;
    for (uint32_t i = 0; i < self->wanted->count; i++) {
        const struct model_batch *batch = &self->wanted->batches[i];
        uint8_t id[MODEL_MESSAGE_BYTES];
        struct message_digest digest;
        struct message_waiter waiter;
        struct message_entry *entry = NULL;
        struct message_place place = {-1, -1};
        enum message_verdict verdict = MESSAGE_NEW;
        if (!batch->has_message) {
            continue;
        }
        model_message_id(batch, id);
        message_digest_of(partition_topic_id(self->partition), self->number,
                          (struct sl_bytes){id, sizeof(id)}, &digest);
        sl_err err = message_ids_admit(ids, &digest, shard_wall_ms(self->partition->shard), &waiter,
                                       &verdict, &entry, &place);
        if (entry != NULL) {
            message_ids_abort(ids, entry, SLUICE_E_CANCELLED);
        }
        bool is_there = i < self->count;
        if (err != SLUICE_OK || verdict != (is_there ? MESSAGE_KNOWN : MESSAGE_NEW) ||
            (is_there && place.base_offset != batch->base_offset)) {
            FAULT(self, "message %u is judged %d (%d) with %" PRId64, batch->number, err, verdict,
                  place.base_offset);
        }
    }
}

/* ---- a partition ---- */

/* Retention takes what is in front of enough bytes. */
static bool retention_may(const struct judging *self)
{
    uint64_t bytes = 0;
    if (self->topic->retention_bytes < 0) {
        return false;
    }
    for (uint32_t i = 0; i < self->count; i++) {
        const struct model_batch *batch = &self->wanted->batches[i];
        bytes += batch->base_offset >= self->start ? batch->size : 0;
    }
    return bytes >= (uint64_t)self->topic->retention_bytes;
}

static void judge_bounds(struct judging *self)
{
    const struct model_partition *wanted = self->wanted;
    if (self->count < wanted->acked) {
        FAULT(self, "%u batches were acknowledged, %u recovered", wanted->acked, self->count);
    }
    int64_t end = 0;
    if (self->count > 0) {
        const struct model_batch *last = &wanted->batches[self->count - 1];
        end = last->base_offset + last->count;
    }
    if (end != self->end) {
        FAULT(self, "it ends at %" PRId64 ", which is in no batch", self->end);
    }
    bool is_back = self->start < wanted->start;
    bool is_ahead = self->start > SL_MAX(wanted->start, wanted->start_wanted);
    if (is_back || (is_ahead && !retention_may(self))) {
        FAULT(self, "it starts at %" PRId64 ", not at %" PRId64, self->start, wanted->start);
    }
}

static void judge_partition(struct judging *self)
{
    struct model_partition *wanted = self->wanted;
    uint8_t before[MODEL_BATCHES_MAX];
    self->start = self->partition == NULL ? 0 : partition_start(self->partition);
    self->end = self->partition == NULL ? 0 : partition_end(self->partition);
    self->count = 0;
    while (self->count < wanted->count && wanted->batches[self->count].base_offset < self->end) {
        self->count++;
    }
    judge_bounds(self);
    if (self->partition != NULL && model_is_well(self->model)) {
        for (uint32_t i = 0; i < self->count; i++) {
            before[i] = wanted->batches[i].gone;
        }
        uint64_t told = self->model->told;
        judge_bytes(self);
        if (self->topic->compacted && told == self->model->told) {
            judge_keys(self);
        } else if (!self->topic->compacted) {
            judge_times(self);
        }
        judge_epochs(self);
        judge_messages(self);
        if (wanted->producer_id >= 0) {
            judge_producer(self);
        }
        for (uint32_t i = 0; i < self->count; i++) {
            self->found->gone[self->slot][self->number][i] = wanted->batches[i].gone;
            wanted->batches[i].gone = before[i];
        }
    }
    self->found->counts[self->slot][self->number] = self->count;
    self->found->starts[self->slot][self->number] = self->start;
}

/* ---- committed offsets ---- */

static void judge_offsets(struct judging *self, const struct topic *topic)
{
    for (uint32_t g = 0; g < MODEL_GROUPS; g++) {
        struct sl_bytes group = model_group(g);
        const struct shard *shard =
            shard_of_group(self->set, (struct sluice_text){(const char *)group.data, group.size});
        if (refuses(self, shard)) {
            continue;
        }
        const struct model_offset *wanted = &self->model->offsets[g][self->slot][self->number];
        struct offset_commit commit = {.offset = -1};
        bool is_there = offset_store_get(shard->offsets, group, &topic->id, self->number, &commit);
        int64_t offset = is_there ? commit.offset : -1;
        bool is_ours =
            offset < 0 || (uint64_t)offset % 64 == model_offset_tag(g, self->slot, self->number);
        if (offset < wanted->acked || offset > wanted->last || !is_ours) {
            FAULT(self, "group %u committed %" PRId64 " to %" PRId64 ", recovered %" PRId64, g,
                  wanted->acked, wanted->last, offset);
        }
        self->found->offsets[g][self->slot][self->number] = offset;
    }
}

/* ---- topics ---- */

static void judge_copies(struct judging *self, const struct model_topic *wanted, bool is_there)
{
    for (uint32_t i = 1; i < self->set->count; i++) {
        const struct catalog *catalog = self->set->shards[i]->catalog;
        if (refuses(self, self->set->shards[i])) {
            continue;
        }
        bool is_here = catalog_by_name(catalog, sl_bytes_of_text(wanted->name)) != NULL;
        if (is_here != is_there) {
            model_fault(self->model, "shard %u has another catalog: %s", i, wanted->name);
        }
    }
}

static void judge_number(struct judging *self, struct model_topic *wanted,
                         const struct shard *shard, const struct topic *topic, uint32_t number)
{
    const struct topic *copy = catalog_by_id(shard->catalog, &topic->id);
    self->topic = wanted;
    self->slot = model_slot(self->model, wanted);
    self->number = number;
    self->wanted = &wanted->partitions[number];
    self->partition = copy == NULL ? NULL : partition_find(copy, number);
    judge_partition(self);
}

static void judge_topic(struct judging *self, struct model_topic *wanted)
{
    const struct topic *topic =
        catalog_by_name(self->set->shards[0]->catalog, sl_bytes_of_text(wanted->name));
    bool may_be = wanted->state != MODEL_ABSENT;
    bool must_be = wanted->state == MODEL_LIVE;
    if ((topic != NULL && !may_be) || (topic == NULL && must_be)) {
        model_fault(self->model, "topic %s is %s", wanted->name, topic != NULL ? "back" : "lost");
    }
    judge_copies(self, wanted, topic != NULL);
    self->topic = wanted;
    self->slot = model_slot(self->model, wanted);
    self->found->topics[self->slot] = topic != NULL;
    for (uint32_t i = 0; topic != NULL && i < topic->partition_count; i++) {
        const struct shard *shard = shard_of_partition(self->set, topic, i);
        self->number = i;
        judge_offsets(self, topic);
        if (refuses(self, shard)) {
            self->found->counts[self->slot][i] = UINT32_MAX;
        } else if (is_asked(self, shard)) {
            judge_number(self, wanted, shard, topic, i);
        }
    }
}

/* ---- stages ---- */

static const struct model_topic *topic_of_output(const struct model_output *output)
{
    return strcmp(output->topic->name, output->name) == 0 ? output->topic : NULL;
}

static void judge_unit(struct judging *self, uint32_t number, const struct model_unit *unit,
                       bool is_done)
{
    for (uint32_t i = 0; i < unit->output_count; i++) {
        const struct model_output *output = &unit->outputs[i];
        const struct model_topic *topic = topic_of_output(output);
        if (topic == NULL || !self->found->topics[model_slot(self->model, topic)]) {
            continue; /* deleted later */
        }
        uint32_t count = self->found->counts[model_slot(self->model, topic)][output->partition];
        if ((output->index < count) != is_done) {
            model_fault(self->model, "output %u of a stage is %s, its position is not", number,
                        is_done ? "lost" : "there");
        }
    }
}

static void judge_stage(struct judging *self, uint32_t shard)
{
    const struct model_stage *stage = &self->model->stages[shard];
    const struct sl_uuid topic = model_stage_topic();
    int64_t position =
        position_store_get(self->set->shards[shard]->positions, model_stage_name(), &topic, shard);
    uint32_t found = position < 0 ? 0 : (uint32_t)position;
    if (found < stage->acked || found > stage->count) {
        model_fault(self->model, "position %u to %u of a stage, recovered %u", stage->acked,
                    stage->count, found);
    }
    for (uint32_t i = 0; i < stage->count && model_is_well(self->model); i++) {
        judge_unit(self, i, &stage->units[i], i < found);
    }
    self->found->positions[shard] = found;
}

static void judge_all(struct storage_model *model, const struct shard_set *set,
                      const struct shard *only, struct model_found *ret_found)
{
    struct judging self = {.model = model, .set = set, .only = only, .found = ret_found};
    uint32_t topics = 0;
    if (refuses(&self, set->shards[0])) {
        return; /* then all do */
    }
    for (uint32_t i = 0; i < MODEL_TOPICS && model_is_well(model); i++) {
        ret_found->topics[i] = false;
        if (model->topics[i].name[0] != '\0') {
            judge_topic(&self, &model->topics[i]);
        }
        topics += ret_found->topics[i];
    }
    if (model_is_well(model) && catalog_topic_count(set->shards[0]->catalog) != topics) {
        model_fault(model, "a topic of another time is back");
    }
    for (uint32_t i = 0; i < set->count && model_is_well(model); i++) {
        if (!refuses(&self, set->shards[i]) && is_asked(&self, set->shards[i])) {
            judge_stage(&self, i);
        }
    }
}

void model_judge(struct storage_model *model, const struct shard_set *set,
                 struct model_found *ret_found)
{
    judge_all(model, set, NULL, ret_found);
}

void model_judge_shard(struct storage_model *model, const struct shard_set *set, uint32_t index,
                       struct model_found *found)
{
    judge_all(model, set, set->shards[index], found);
}

void model_judge_partition(struct storage_model *model, const struct shard_set *set, uint32_t slot,
                           uint32_t number, struct model_found *found)
{
    struct judging self = {.model = model, .set = set, .found = found};
    struct model_topic *wanted = &model->topics[slot];
    const struct topic *topic =
        catalog_by_name(set->shards[0]->catalog, sl_bytes_of_text(wanted->name));
    if (topic != NULL && number < topic->partition_count) {
        judge_number(&self, wanted, shard_of_partition(set, topic, number), topic, number);
    }
}
