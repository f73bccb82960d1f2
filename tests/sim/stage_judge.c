/* stage_judge.c: do input, position, outputs, dead letters, their marks and the state tell one
 * story (stage_sim.h)? Of each partition:
 *
 *   - what was acknowledged is in the input;
 *   - each record before the position came out once, or waits as a dead letter that is not marked
 *     as handed back; none behind it did either;
 *   - the counts in the outputs rise by one, by key and in all: no count is lost, none comes twice;
 *   - the state, the newest record of each key of its topic, holds the last of these counts. */
#include "stage_sim.h"

#include "record/record_iterator.h"
#include "shard/store.h"
#include "stage/redrive_marks.h"
#include "stage/stage_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fate_of_record {
    uint32_t id;
    uint8_t outputs, letters, marked;
};

struct judging {
    struct stage_sim *sim;
    const struct shard_set *set;
    struct sl_uuid input;
    uint32_t number; /* of the partition */
    struct fate_of_record *records;
    int64_t end;
    struct stage_memory counted; /* as the outputs say */
    struct stage_memory stored;
    uint64_t version; /* of the state */
};

#define FAULT(self, format, ...) \
    model_fault(&(self)->sim->base.model, "partition %u: " format, (self)->number, ##__VA_ARGS__)

typedef void visit_fn(struct judging *self, const struct partition *from, int64_t offset,
                      const struct record_view *record);

/* ---- reading ---- */

static int64_t visit_batches(struct judging *self, const struct partition *from,
                             struct sl_bytes cut, int64_t offset, visit_fn *visit)
{
    struct batch_view view;
    while (cut.size > 0 && batch_view_init(&view, cut) == SLUICE_OK) {
        struct record_iterator iterator;
        struct record_view record;
        record_iterator_init(&iterator, batch_view_records(&view), batch_view_record_count(&view));
        while (record_iterator_next(&iterator, &record)) {
            if (record_offset(&view, &record) >= offset) {
                visit(self, from, record_offset(&view, &record), &record);
            }
        }
        offset = batch_view_next_offset(&view);
        cut = sl_bytes_of(cut.data + view.size, cut.size - view.size);
    }
    return offset;
}

static void visit_all(struct judging *self, const struct partition *from, visit_fn *visit)
{
    struct sl_buffer *bytes = &self->sim->base.model.scratch;
    struct shard *shard = from->shard;
    int64_t at = partition_start(from);
    while (at < partition_end(from) && model_is_well(&self->sim->base.model)) {
        struct read_plan plan;
        struct sl_bytes cut;
        if (!partition_plan(from, at, 65536, &plan)) {
            return; /* compaction left a hole up to the end */
        }
        sl_buffer_reset(bytes);
        sl_err err = sl_buffer_reserve(bytes, plan.bytes);
        SL_ASSERT(err == SLUICE_OK && read_plan_pin(shard, &plan));
        err = store_read_places(shard, plan.places, plan.place_count, bytes->data, store_read);
        err = err != SLUICE_OK ? err : partition_check(&plan, bytes->data);
        err = err != SLUICE_OK ? err
                               : partition_cut(sl_bytes_of(bytes->data, plan.bytes), at, INT64_MAX,
                                               UINT32_MAX, &cut);
        read_plan_unpin(shard, &plan);
        if (err != SLUICE_OK) {
            FAULT(self, "offset %" PRId64 " cannot be read: error %d", at, err);
            return;
        }
        at = visit_batches(self, from, cut, at, visit);
    }
}

/* NULL: nothing is there. */
static struct partition *find(const struct judging *self, const char *name, uint32_t number)
{
    const struct topic *topic =
        catalog_by_name(self->set->shards[0]->catalog, sl_bytes_of_text(name));
    if (topic == NULL || number >= topic->partition_count) {
        return NULL;
    }
    const struct shard *shard = shard_of_partition(self->set, topic, number);
    const struct topic *copy = catalog_by_id(shard->catalog, &topic->id);
    return copy == NULL ? NULL : partition_find(copy, number);
}

static void visit_topic(struct judging *self, const char *name, visit_fn *visit)
{
    const struct topic *topic =
        catalog_by_name(self->set->shards[0]->catalog, sl_bytes_of_text(name));
    for (uint32_t i = 0; topic != NULL && i < topic->partition_count; i++) {
        const struct partition *partition = find(self, name, i);
        if (partition != NULL) {
            visit_all(self, partition, visit);
        }
    }
}

static uint32_t numbers_of(const struct record_view *record, uint32_t *ret_count,
                           uint32_t *ret_total)
{
    char text[64] = "";
    uint32_t id = 0;
    memcpy(text, record->value.data, SL_MIN(record->value.size, sizeof(text) - 1));
    sscanf(text, "%u %u %u", &id, ret_count, ret_total);
    return id;
}

/* ---- what each topic says ---- */

static void see_input(struct judging *self, const struct partition *from, int64_t offset,
                      const struct record_view *record)
{
    uint32_t none = 0;
    (void)from;
    SL_ASSERT(offset < STAGE_RECORDS_MAX);
    self->records[offset].id = numbers_of(record, &none, &none);
}

static struct fate_of_record *find_record(struct judging *self, uint32_t id)
{
    for (int64_t i = 0; i < self->end; i++) {
        if (self->records[i].id == id) {
            return &self->records[i];
        }
    }
    return NULL;
}

static void see_output(struct judging *self, const struct partition *from, int64_t offset,
                       const struct record_view *record)
{
    uint32_t count = 0;
    uint32_t total = 0;
    uint32_t id = numbers_of(record, &count, &total);
    uint32_t *counted = &self->counted.counts[id % STAGE_KEYS];
    struct fate_of_record *fate = find_record(self, id);
    (void)from;
    if (fate == NULL) {
        FAULT(self, "output %" PRId64 " of record %u, which is not there", offset, id);
        return;
    }
    fate->outputs++;
    if (count != *counted % STAGE_CYCLE + 1 || total != self->counted.total + 1) {
        FAULT(self, "record %u came out as %u of its key and %u of all behind %u and %u", id, count,
              total, *counted, self->counted.total);
    }
    *counted = count;
    self->counted.total = total;
}

static void see_letter(struct judging *self, const struct partition *from, int64_t offset,
                       const struct record_view *record)
{
    struct redrive_marks marks = {0};
    struct dead_letter letter;
    uint32_t none = 0;
    dead_letter_read(record, &letter);
    if (!letter.whole || letter.origin.partition != self->number) {
        return;
    }
    struct fate_of_record *fate =
        letter.origin.offset < self->end ? &self->records[letter.origin.offset] : NULL;
    if (fate == NULL || fate->id != numbers_of(record, &none, &none)) {
        FAULT(self, "dead letter %" PRId64 " is of another record", offset);
        return;
    }
    sl_err err =
        redrive_marks_load(&marks, from->shard->positions, partition_topic_id(from), from->number);
    SL_ASSERT(err == SLUICE_OK);
    fate->letters++;
    fate->marked += redrive_marks_has(&marks, offset);
    redrive_marks_fini(&marks);
}

static void see_state(struct judging *self, const struct partition *from, int64_t offset,
                      const struct record_view *record)
{
    uint8_t head[STAGE_STATE_KEY_HEAD];
    struct output_state output = {.topic_id = self->input};
    char digits[16] = "";
    struct sl_bytes key = record->key;
    (void)from;
    (void)offset;
    self->sim->counts.state_records++;
    stage_output_state_key(&output, self->number, head);
    if (key.size < sizeof(head) || memcmp(key.data, head, sizeof(head)) != 0) {
        return;
    }
    if (key.size == sizeof(head)) {
        self->version = record->value.size == 8 ? record->value.data[7] : 0;
        return;
    }
    const uint8_t *name = key.data + sizeof(head);
    if (!record->value_is_null) {
        memcpy(digits, record->value.data, SL_MIN(record->value.size, sizeof(digits) - 1));
    }
    if (name[0] == 'k') {
        self->stored.counts[name[1] - '0'] = (uint32_t)atoi(digits);
    } else {
        self->stored.total = (uint32_t)atoi(digits);
    }
}

/* ---- the story ---- */

static void judge_records(struct judging *self, int64_t position)
{
    for (int64_t i = 0; i < self->end; i++) {
        const struct fate_of_record *fate = &self->records[i];
        uint32_t told = fate->outputs + (uint32_t)fate->letters - fate->marked;
        if (told != (i < position)) {
            FAULT(self,
                  "record %u at %" PRId64 ", position %" PRId64
                  ": %u outputs, %u dead letters of which %u were handed back",
                  fate->id, i, position, fate->outputs, fate->letters, fate->marked);
            return;
        }
    }
}

static void judge_state(struct judging *self)
{
    for (uint32_t i = 0; i < STAGE_KEYS; i++) {
        uint32_t last = self->counted.counts[i] % STAGE_CYCLE; /* that of the cycle is forgotten */
        if (self->stored.counts[i] != last) {
            FAULT(self, "the state says %u of key %u, the outputs %u", self->stored.counts[i], i,
                  last);
        }
    }
    if (self->stored.total != self->counted.total) {
        FAULT(self, "the state says %u of all, the outputs %u", self->stored.total,
              self->counted.total);
    }
    if (self->counted.total > 0 && self->version != STAGE_STATE_VERSION) {
        FAULT(self, "the state has lost its state_version");
    }
}

static void judge_partition(struct judging *self, const struct topic *input)
{
    static struct fate_of_record records[STAGE_RECORDS_MAX];
    struct stage_sim *sim = self->sim;
    const struct partition *in = find(self, "in", self->number);
    const struct partition *out = find(self, "out", self->number);
    const struct shard *shard = shard_of_partition(self->set, input, self->number);
    memset(records, 0, sizeof(records));
    self->records = records;
    self->end = in != NULL ? partition_end(in) : 0;
    self->counted = self->stored = (struct stage_memory){.total = 0};
    self->version = 0;
    if (self->end < sim->acked[self->number]) {
        FAULT(self, "input acknowledged up to %" PRId64 ", recovered %" PRId64,
              sim->acked[self->number], self->end);
        return;
    }
    if (in != NULL) {
        visit_all(self, in, see_input);
    }
    if (out != NULL) {
        visit_all(self, out, see_output);
    }
    visit_topic(self, "__sluice_dlq." STAGE_NAME, see_letter);
    visit_topic(self, "__sluice_state." STAGE_NAME, see_state);
    int64_t position = position_store_get(shard->positions, sl_bytes_of_text(STAGE_NAME),
                                          &input->id, self->number);
    judge_records(self, position);
    judge_state(self);
}

void stage_sim_judge(struct stage_sim *sim, const struct shard_set *set)
{
    struct judging self = {.sim = sim, .set = set};
    const struct topic *input = catalog_by_name(set->shards[0]->catalog, sl_bytes_of_text("in"));
    for (uint32_t i = 0; i < sim->partitions && model_is_well(&sim->base.model); i++) {
        self.number = i;
        if (input == NULL && sim->acked[i] > 0) {
            FAULT(&self, "the input is lost");
        } else if (input != NULL) {
            self.input = input->id;
            judge_partition(&self, input);
        }
    }
}

void stage_sim_adopt(struct stage_sim *sim, const struct shard_set *set)
{
    const struct judging self = {.sim = sim, .set = set};
    for (uint32_t i = 0; i < sim->partitions; i++) {
        const struct partition *in = find(&self, "in", i);
        sim->acked[i] = in != NULL ? partition_end(in) : 0;
    }
}
