/* storage_acts.c: what clients ask of the shards (storage_sim.h). */
#include "storage_sim.h"

#include "shard/groups.h"
#include "shard/store.h"
#include "shard/topics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_WINDOW_MS INT64_C(10000000000) /* longer than a history */

static struct shard *home(struct sim *sim)
{
    return sim->machine.set.shards[0];
}

static struct model_topic *live_topic(struct sim *sim)
{
    struct model_topic *topic = &sim->model.topics[sim_draw(sim, MODEL_TOPICS)];
    return topic->state == MODEL_LIVE ? topic : NULL;
}

/* A partition where it lives; NULL: not opened yet, or its shard does not serve. */
static struct partition *partition_at(struct sim *sim, const struct model_topic *wanted,
                                      uint32_t number, bool open)
{
    struct topic *topic = catalog_by_name(home(sim)->catalog, sl_bytes_of_text(wanted->name));
    SL_ASSERT(topic != NULL);
    struct shard *shard = shard_of_partition(&sim->machine.set, topic, number);
    struct partition *partition = NULL;
    topic = catalog_by_id(shard->catalog, &topic->id);
    if (topic == NULL || shard->status != SLUICE_OK) {
        return NULL;
    }
    if (!open) {
        return partition_find(topic, number);
    }
    sl_err err = partition_open(shard, topic, number, &partition);
    return err == SLUICE_OK ? partition : NULL;
}

/* ---- appending ---- */

static void message_end(struct flight *flight, sl_err err)
{
    if (flight->message == NULL) {
        return;
    }
    struct message_ids *ids = &flight->commit.shard->messages;
    const struct message_place place = {flight->batches[0].base_offset, -1};
    if (err == SLUICE_OK) {
        message_ids_commit(ids, flight->message, &place, flight->message_expires_ms, false);
    } else {
        message_ids_abort(ids, flight->message, err);
    }
    flight->message = NULL;
}

static void appended(struct commit *commit, sl_err err)
{
    struct flight *flight = SL_CONTAINER_OF(commit, struct flight, commit);
    struct sim *sim = flight->sim;
    flight->busy = false;
    message_end(flight, err);
    if (err != SLUICE_OK) {
        return;
    }
    for (uint32_t i = 0; i < flight->batch_count; i++) {
        if (flight->topics[i]->state != MODEL_LIVE) {
            continue;
        }
        if (flight->indices[i] != flight->partitions[i]->acked) {
            model_fault(&sim->model, "acknowledged out of order");
        }
        flight->partitions[i]->acked = flight->indices[i] + 1;
        sim->counts.acked++;
    }
    if (flight->is_stage) {
        const struct sl_bytes payload = {flight->position, sizeof(flight->position)};
        struct sl_bytes item = {payload.data, flight->items[flight->batch_count].payload.size};
        err = position_store_apply(commit->shard->positions, POSITION_ITEM_VERSION, item);
        if (err != SLUICE_OK) {
            shard_refuse(commit->shard, err);
        }
        sim->model.stages[flight->shard].acked++;
        sim->counts.stage_units++;
    }
}

static struct flight *flight_take(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_FLIGHTS_MAX; i++) {
        struct flight *flight = &sim->flights[i];
        if (!flight->busy) {
            flight->sim = sim;
            flight->batch_count = 0;
            flight->is_stage = false;
            flight->message = NULL;
            return flight;
        }
    }
    return NULL;
}

/* A batch more in the flight. False: the partition's list is full. */
static bool flight_add(struct sim *sim, struct flight *flight, struct model_topic *topic,
                       uint32_t number, struct partition *partition)
{
    uint32_t i = flight->batch_count;
    uint32_t most = sim_draw(sim, 8) == 0 ? 900 : 150;
    uint32_t records = 1 + sim_draw(sim, MODEL_RECORDS_MAX);
    uint32_t value_size = 4 + sim_draw(sim, most);
    if (sim->is_narrow && !flight->is_stage && topic == sim->model.topics) { /* frames are full */
        records = MODEL_RECORDS_MAX;
        value_size = 650 + sim_draw(sim, 250);
    }
    bool of_producer = !flight->is_stage && sim_draw(sim, 4) > 0;
    struct model_batch *batch =
        model_append(&sim->model, topic, number, records, value_size, of_producer, flight->data[i]);
    if (batch == NULL) {
        return false;
    }
    batch->epoch = shard_epoch(partition->shard);
    flight->topics[i] = topic;
    flight->partitions[i] = &topic->partitions[number];
    flight->indices[i] = flight->partitions[i]->count - 1;
    flight->batches[i] =
        (struct commit_batch){.partition = partition, .data = flight->data[i], .size = batch->size};
    if (partition->next_offset != batch->base_offset) {
        model_fault(&sim->model, "the next offset is %" PRId64 ", not %" PRId64,
                    partition->next_offset, batch->base_offset);
    }
    flight->batch_count++;
    return true;
}

static void flight_submit(struct sim *sim, struct flight *flight, struct shard *shard,
                          uint32_t extra)
{
    flight->commit = (struct commit){.shard = shard,
                                     .batches = flight->batches,
                                     .batch_count = flight->batch_count,
                                     .items = flight->items,
                                     .extra_count = extra,
                                     .extra_follow = !flight->is_stage,
                                     .reserve = flight->is_stage,
                                     .done = appended};
    flight->busy = model_is_well(&sim->model) && commit_submit(&flight->commit) == SLUICE_OK;
    for (uint32_t i = flight->batch_count; i > 0 && !flight->busy; i--) {
        flight->partitions[i - 1]->count--;
    }
    sim->counts.batches += flight->busy ? flight->batch_count : 0;
}

/* As produce.c does: check, admit, commit. */
/* False: no memory. */
static bool admit(struct sim *sim, struct flight *flight)
{
    const struct model_partition *partition = flight->partitions[0];
    const struct model_batch *batch = &partition->batches[flight->indices[0]];
    struct producers *producers = &flight->batches[0].partition->producers;
    struct producer_verdict verdict;
    const struct producer_batch about = {.producer_id = partition->producer_id,
                                         .base_sequence = batch->sequence,
                                         .record_count = batch->count};
    if (batch->sequence < 0) {
        return true;
    }
    sl_err err = producers_check(producers, &about, &verdict);
    if (err != SLUICE_OK || verdict.kind != PRODUCER_NEW) {
        model_fault(&sim->model, "sequence %d is not new: %d (%d)", batch->sequence, err,
                    verdict.kind);
        return false;
    }
    err = producers_admit(producers, &about, &flight->admission, shard_wall_ms(home(sim)));
    flight->batches[0].admission = err == SLUICE_OK ? &flight->admission : NULL;
    return err == SLUICE_OK;
}

/* Batches of no producer have message ids. False: no memory. */
static bool message_admit(struct sim *sim, struct flight *flight)
{
    struct partition *partition = flight->batches[0].partition;
    struct model_batch *batch = &flight->partitions[0]->batches[flight->indices[0]];
    uint8_t id[MODEL_MESSAGE_BYTES];
    struct message_waiter waiter;
    struct message_digest digest;
    struct message_place place = {batch->base_offset, -1};
    enum message_verdict verdict = MESSAGE_NEW;
    if (batch->sequence >= 0) {
        return true;
    }
    model_message_id(batch, id);
    message_digest_of(partition_topic_id(partition), partition->number,
                      (struct sl_bytes){id, sizeof(id)}, &digest);
    int64_t now_ms = shard_wall_ms(partition->shard);
    sl_err err = message_ids_admit(&partition->shard->messages, &digest, now_ms, &waiter, &verdict,
                                   &flight->message, &place);
    if (err == SLUICE_OK && verdict != MESSAGE_NEW) {
        model_fault(&sim->model, "message %u was never sent, and is known", batch->number);
    }
    if (err != SLUICE_OK || verdict != MESSAGE_NEW) {
        return false;
    }
    batch->has_message = true;
    flight->message_expires_ms = now_ms + MESSAGE_WINDOW_MS;
    message_item_encode(&digest, &place, flight->message_expires_ms, flight->message_item);
    flight->items[1] =
        (struct wal_item){.kind = WAL_ITEM_MESSAGE_ID,
                          .version = MESSAGE_ID_ITEM_VERSION,
                          .payload = {flight->message_item, sizeof(flight->message_item)}};
    return true;
}

static void append(struct sim *sim)
{
    struct flight *flight = flight_take(sim);
    struct model_topic *topic = live_topic(sim);
    bool is_narrow = sim->is_narrow && sim_draw(sim, 16) > 0;
    if (is_narrow && sim->model.topics[0].state == MODEL_LIVE) {
        topic = &sim->model.topics[0];
    }
    if (flight == NULL || topic == NULL) {
        return;
    }
    uint32_t number = is_narrow ? 0 : sim_draw(sim, topic->partition_count);
    struct partition *partition = partition_at(sim, topic, number, true);
    if (partition == NULL || !flight_add(sim, flight, topic, number, partition)) {
        return;
    }
    if (!admit(sim, flight) || !message_admit(sim, flight)) {
        flight->partitions[0]->count--;
        return;
    }
    flight_submit(sim, flight, partition->shard, flight->message != NULL);
    if (!flight->busy) {
        message_end(flight, SLUICE_E_LOG_FULL);
    }
    if (!flight->busy && flight->batches[0].admission != NULL) {
        producers_abort(&partition->producers, flight->batches[0].admission, SLUICE_E_LOG_FULL);
    }
}

/* ---- stages ---- */

static bool is_listed(const struct flight *flight, const struct model_partition *partition)
{
    return flight->batch_count > 0 && flight->partitions[0] == partition;
}

/* Outputs on one shard, some to the same topic, and the position that stands for them. */
static void stage_step(struct sim *sim)
{
    struct flight *flight = flight_take(sim);
    struct shard *shard = NULL;
    struct model_unit unit = {.output_count = 0};
    if (flight == NULL) {
        return;
    }
    flight->is_stage = true;
    for (uint32_t i = 0; i < MODEL_OUTPUTS_MAX; i++) {
        struct model_topic *topic = live_topic(sim);
        uint32_t number = topic == NULL ? 0 : sim_draw(sim, topic->partition_count);
        struct partition *partition = topic == NULL ? NULL : partition_at(sim, topic, number, true);
        if (partition == NULL || (shard != NULL && partition->shard != shard) ||
            is_listed(flight, &topic->partitions[number]) ||
            sim->model.stages[partition->shard->index].count == MODEL_UNITS_MAX ||
            !flight_add(sim, flight, topic, number, partition)) {
            continue;
        }
        shard = partition->shard;
        struct model_output *output = &unit.outputs[unit.output_count++];
        *output = (struct model_output){
            .topic = topic, .partition = number, .index = topic->partitions[number].count - 1};
        memcpy(output->name, topic->name, sizeof(output->name));
    }
    if (shard == NULL) {
        return;
    }
    struct model_stage *stage = &sim->model.stages[shard->index];
    const struct position position = {.name = model_stage_name(),
                                      .topic = model_stage_topic(),
                                      .partition = shard->index,
                                      .next_offset = stage->count + 1};
    size_t size = position_item_encode(&position, flight->position);
    flight->items[flight->batch_count] = (struct wal_item){.kind = WAL_ITEM_STAGE_POSITION,
                                                           .version = POSITION_ITEM_VERSION,
                                                           .payload = {flight->position, size}};
    flight->shard = shard->index;
    flight_submit(sim, flight, shard, 1);
    if (flight->busy) {
        stage->units[stage->count++] = unit;
    }
}

/* ---- groups ---- */

static void offset_committed(void *arg, sluice_status status, const sluice_status *statuses,
                             uint32_t count)
{
    struct committing *committing = arg;
    committing->busy = false;
    if (status == SLUICE_OK && count == 1 && statuses[0] == SLUICE_OK &&
        committing->topic->state == MODEL_LIVE) {
        committing->offset->acked = committing->entry.offset;
        committing->sim->counts.offsets++;
    }
}

static void commit_offset(struct sim *sim)
{
    struct committing *committing = &sim->committing;
    struct model_topic *topic = live_topic(sim);
    if (committing->busy || topic == NULL) {
        return;
    }
    uint32_t group = sim_draw(sim, MODEL_GROUPS);
    uint32_t number = sim_draw(sim, topic->partition_count);
    uint32_t slot = model_slot(&sim->model, topic);
    int64_t offset = sim->model.next_offset++ * 64 + model_offset_tag(group, slot, number);
    struct sl_bytes name = model_group(group);
    *committing = (struct committing){.sim = sim,
                                      .topic = topic,
                                      .offset = &sim->model.offsets[group][slot][number],
                                      .entry = {.topic = {.name = sluice_text_of(topic->name)},
                                                .partition = (int32_t)number,
                                                .leader_epoch = -1,
                                                .offset = offset,
                                                .metadata = sluice_text_of("m")},
                                      .busy = true};
    committing->request =
        (struct sluice_offset_commit){.size = sizeof(committing->request),
                                      .entry_count = 1,
                                      .identity = {.size = sizeof(committing->request.identity),
                                                   .generation = -1,
                                                   .group = {(const char *)name.data, name.size}},
                                      .entries = &committing->entry};
    committing->offset->last = offset;
    groups_commit(home(sim), &committing->request, offset_committed, committing);
}

/* ---- reading ---- */

static void read_work(struct sl_job *job)
{
    struct reading *reading = SL_CONTAINER_OF(job, struct reading, job);
    reading->err =
        store_read_rest(reading->partition->shard, reading->plan.places, reading->plan.place_count,
                        reading->bytes, store_read, &reading->places_read);
    if (reading->err == SLUICE_OK) {
        reading->err = partition_check(&reading->plan, reading->bytes);
    }
}

static void reading_end(struct reading *reading, sl_err err)
{
    struct sim *sim = reading->sim;
    struct sl_bytes cut;
    if (err == SLUICE_OK) {
        struct sl_bytes all = sl_bytes_of(reading->bytes, reading->plan.bytes);
        err = partition_cut(all, reading->offset, INT64_MAX, UINT32_MAX, &cut);
    }
    if (err != SLUICE_OK && !sl_os_sim_power_is_off(sim->machine.os) && !sim->may_fail) {
        model_fault(&sim->model, "offset %" PRId64 " reads with error %d", reading->offset, err);
    }
    if (err == SLUICE_OK && reading->topic->state == MODEL_LIVE) {
        model_compare(&sim->model, reading->topic, reading->wanted, cut, reading->offset);
        partition_mark_verified(reading->partition, &reading->plan);
    }
    sim->counts.reads++;
    sl_free(reading->bytes);
    reading->bytes = NULL;
    reading->busy = false;
}

static void read_done(struct sl_job *job)
{
    struct reading *reading = SL_CONTAINER_OF(job, struct reading, job);
    struct shard *shard = reading->partition->shard;
    read_plan_unpin(shard, &reading->plan);
    reading_end(reading, reading->err);
    partition_unref(reading->partition);
    shard_job_end(shard);
}

static void read_start(struct sim *sim, struct reading *reading)
{
    const struct read_plan *plan = &reading->plan;
    struct shard *shard = reading->partition->shard;
    reading->bytes = sl_alloc(plan->bytes);
    if (reading->bytes == NULL) {
        return;
    }
    reading->busy = true;
    reading->places_read = 0;
    sl_err err = store_read_rest(shard, plan->places, plan->place_count, reading->bytes,
                                 store_read_cached, &reading->places_read);
    if (err != SLUICE_E_WOULD_BLOCK) {
        err = err != SLUICE_OK ? err : partition_check(plan, reading->bytes);
        reading_end(reading, err);
        return;
    }
    if (!read_plan_pin(shard, plan)) {
        reading_end(reading, SLUICE_E_NOT_FOUND);
        return;
    }
    partition_ref(reading->partition);
    shard_job_begin(shard);
    reading->job = (struct sl_job){.work = read_work, .done = read_done};
    reading->job.task.priority = SL_PRIORITY_IO;
    sl_helpers_submit(sim->machine.os, sim->machine.loop, &reading->job);
}

static void read_somewhere(struct sim *sim)
{
    struct reading *reading = &sim->reading;
    struct model_topic *topic = live_topic(sim);
    if (reading->busy || topic == NULL) {
        return;
    }
    uint32_t number = sim_draw(sim, topic->partition_count);
    struct partition *partition = partition_at(sim, topic, number, false);
    if (partition == NULL || partition_start(partition) == partition_end(partition)) {
        return;
    }
    int64_t start = partition_start(partition);
    int64_t offset = start + sim_draw(sim, (uint32_t)(partition_end(partition) - start));
    struct model_partition *wanted = &topic->partitions[number];
    wanted->start = SL_MAX(wanted->start, start); /* seen: what is below is gone for good */
    *reading = (struct reading){
        .sim = sim, .partition = partition, .topic = topic, .wanted = wanted, .offset = offset};
    if (!partition_plan(partition, offset, 1 + sim_draw(sim, 20000), &reading->plan)) {
        model_fault(&sim->model, "no place is known of offset %" PRId64, offset);
        return;
    }
    read_start(sim, reading);
}

/* ---- log starts ---- */

static void raised(struct log_start *start, sl_err err)
{
    struct raising *raising = SL_CONTAINER_OF(start, struct raising, start);
    struct model_partition *partition = raising->partition;
    raising->busy = false;
    if (err == SLUICE_OK && raising->topic->state == MODEL_LIVE) {
        partition->start = SL_MAX(partition->start, partition->start_wanted);
        raising->sim->counts.starts_raised++;
    }
}

static void raise_start(struct sim *sim)
{
    struct raising *raising = &sim->raising;
    struct model_topic *topic = live_topic(sim);
    if (raising->busy || topic == NULL || !topic->deletes) {
        return;
    }
    uint32_t number = sim_draw(sim, topic->partition_count);
    struct partition *partition = partition_at(sim, topic, number, false);
    if (partition == NULL || partition_start(partition) == partition_end(partition)) {
        return;
    }
    int64_t start = partition_start(partition);
    int64_t offset = start + 1 + sim_draw(sim, (uint32_t)(partition_end(partition) - start));
    *raising =
        (struct raising){.sim = sim, .topic = topic, .partition = &topic->partitions[number]};
    raising->start = (struct log_start){.shard = partition->shard,
                                        .moves = &raising->move,
                                        .items = &raising->item,
                                        .done = raised};
    log_start_add(&raising->start, partition, offset);
    raising->busy = log_start_submit(&raising->start) == SLUICE_OK;
    if (raising->busy) {
        raising->partition->start_wanted = SL_MAX(raising->partition->start_wanted, offset);
    }
}

/* ---- topics ---- */

static void topic_done(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct sim *sim = arg;
    struct model_topic *topic = sim->topic_busy;
    bool creating = topic->state == MODEL_CREATING;
    sluice_status status = count == 1 ? results[0].status : SLUICE_E_FENCED;
    sim->topic_busy = NULL;
    if (status == SLUICE_OK) {
        topic->state = creating ? MODEL_LIVE : MODEL_ABSENT;
        sim->counts.topics_deleted += !creating;
    } else if (status == SLUICE_E_LOG_FULL || status == SLUICE_E_DISK_FULL) {
        topic->state = creating ? MODEL_ABSENT : MODEL_LIVE;
    } /* else storage failed, and nobody knows */
}

static void create_topic(struct sim *sim, struct model_topic *topic)
{
    static const int64_t sizes[] = {4000, 16000, 40000};
    struct sluice_key_value configs[4];
    char bytes[24];
    uint32_t count = 0;
    snprintf(topic->name, sizeof(topic->name), "t%u", sim->model.next_topic++);
    topic->partition_count = 1 + sim_draw(sim, MODEL_PARTITIONS);
    topic->compacted = sim_draw(sim, 3) == 0;
    topic->keeps_tombstones = sim_draw(sim, 2) == 0;
    topic->deletes = !topic->compacted || sim_draw(sim, 3) == 0;
    topic->retention_bytes = topic->deletes && sim_draw(sim, 3) == 0 ? sizes[sim_draw(sim, 3)] : -1;
    model_topic_reset(&sim->model, topic);
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        topic->partitions[i].producer_id = sim_draw(sim, 2) == 0 ? sim->model.next_producer++ : -1;
    }
    if (topic->compacted) {
        const char *policy = topic->deletes ? "compact,delete" : "compact";
        configs[count++] =
            (struct sluice_key_value){sluice_text_of("cleanup.policy"), sluice_text_of(policy)};
        configs[count++] = (struct sluice_key_value){
            sluice_text_of("delete.retention.ms"),
            sluice_text_of(topic->keeps_tombstones ? "1000000000000" : "0")};
    }
    if (topic->retention_bytes >= 0) {
        snprintf(bytes, sizeof(bytes), "%" PRId64, topic->retention_bytes);
        configs[count++] =
            (struct sluice_key_value){sluice_text_of("retention.bytes"), sluice_text_of(bytes)};
    }
    topic->state = MODEL_CREATING;
    sim->topic_busy = topic;
    struct sluice_topic_spec spec = {.size = sizeof(spec),
                                     .partition_count = (int32_t)topic->partition_count,
                                     .name = sluice_text_of(topic->name),
                                     .replication_factor = 1,
                                     .config_count = count,
                                     .configs = configs};
    topics_create_start(home(sim), &spec, 1, false, false, NULL, topic_done, sim);
}

static bool is_used(const struct sim *sim, const struct model_topic *topic)
{
    bool used = (sim->reading.busy && sim->reading.topic == topic) ||
                (sim->raising.busy && sim->raising.topic == topic) ||
                (sim->committing.busy && sim->committing.topic == topic);
    for (uint32_t i = 0; i < SIM_FLIGHTS_MAX; i++) {
        const struct flight *flight = &sim->flights[i];
        for (uint32_t k = 0; k < flight->batch_count && flight->busy; k++) {
            used = used || flight->topics[k] == topic;
        }
    }
    return used;
}

static void change_topic(struct sim *sim)
{
    struct model_topic *topic = &sim->model.topics[sim_draw(sim, MODEL_TOPICS)];
    if (sim->topic_busy != NULL || home(sim)->status != SLUICE_OK || is_used(sim, topic)) {
        return;
    }
    if (topic->state == MODEL_ABSENT) {
        create_topic(sim, topic);
    } else if (topic->state == MODEL_LIVE && sim_draw(sim, 8) == 0) {
        struct sluice_topic_ref ref = {.name = sluice_text_of(topic->name)};
        topic->state = MODEL_DELETING;
        sim->topic_busy = topic;
        topics_delete_start(home(sim), &ref, 1, false, topic_done, sim);
    }
}

/* ---- all ---- */

void sim_act(struct sim *sim)
{
    static const struct {
        uint32_t weight;
        void (*act)(struct sim *sim);
    } acts[] = {{40, append},        {6, stage_step},  {4, commit_offset},
                {8, read_somewhere}, {2, raise_start}, {4, change_topic}};
    uint32_t left = sim_draw(sim, 64);
    for (uint32_t i = 0; i < SL_COUNT_OF(acts); i++) {
        if (left < acts[i].weight) {
            acts[i].act(sim);
            return;
        }
        left -= acts[i].weight;
    }
}

void sim_acts_abandon(struct sim *sim)
{
    for (uint32_t i = 0; i < SIM_FLIGHTS_MAX; i++) {
        struct flight *flight = &sim->flights[i];
        for (uint32_t k = 0; k < flight->batch_count && flight->busy; k++) {
            struct partition *partition = flight->batches[k].partition;
            if (flight->batches[k].admission != NULL) {
                producers_abort(&partition->producers, flight->batches[k].admission,
                                SLUICE_E_FENCED);
            }
            partition_unref(partition);
        }
        flight->busy = false;
    }
    if (sim->reading.busy) {
        partition_unref(sim->reading.partition);
        sl_free(sim->reading.bytes);
        sim->reading.busy = false;
    }
    sim->raising.busy = false;
    sim->committing.busy = false;
    sim->topic_busy = NULL;
}
