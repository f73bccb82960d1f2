/* stage_acts.c: what happens to a stateful stage while it has power (stage_sim.h). */
#include "stage_acts.h"

#include "shard/topics.h"
#include "stage/stage_task_state.h"

#include <stdio.h>
#include <string.h>

static const struct shard_set *set_of(const struct stage_sim *sim)
{
    return &sim->base.machine.set;
}

static struct shard *home(const struct stage_sim *sim)
{
    return sim->base.machine.set.shards[0];
}

/* The partition on its shard; NULL: the topic is not there. */
static struct partition *partition_at(struct stage_sim *sim, const char *name, uint32_t number)
{
    const struct topic *topic = catalog_by_name(home(sim)->catalog, sl_bytes_of_text(name));
    struct partition *partition = NULL;
    if (topic == NULL || number >= topic->partition_count) {
        return NULL;
    }
    struct shard *shard = shard_of_partition(set_of(sim), topic, number);
    struct topic *copy = catalog_by_id(shard->catalog, &topic->id);
    if (copy == NULL || shard->status != SLUICE_OK) {
        return NULL;
    }
    sl_err err = partition_open(shard, copy, number, &partition);
    return err == SLUICE_OK ? partition : NULL;
}

/* ---- the input ---- */

static void topic_done(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct stage_sim *sim = arg;
    (void)results;
    (void)count;
    sim->topic_busy = false;
}

static void create_input(struct stage_sim *sim)
{
    sim->topic_spec = (struct sluice_topic_spec){.size = sizeof(sim->topic_spec),
                                                 .partition_count = (int32_t)sim->partitions,
                                                 .name = sluice_text_of("in"),
                                                 .replication_factor = 1};
    sim->topic_busy = true;
    topics_create_start(home(sim), &sim->topic_spec, 1, false, false, NULL, topic_done, sim);
}

static void produced(struct commit *commit, sl_err err)
{
    struct stage_flight *flight = SL_CONTAINER_OF(commit, struct stage_flight, commit);
    struct stage_sim *sim = flight->owner;
    flight->busy = false;
    if (err == SLUICE_OK) {
        sim->acked[flight->partition] =
            SL_MAX(sim->acked[flight->partition], flight->batch.last_offset + 1);
    }
}

static uint32_t build(struct stage_sim *sim, uint32_t records, uint8_t *into)
{
    struct sl_buffer buffer;
    struct batch_builder builder;
    struct batch_view view;
    sl_buffer_init(&buffer, STAGE_BATCH_BYTES);
    sl_err err = batch_builder_start(&builder, &buffer, NULL);
    for (uint32_t i = 0; i < records && err == SLUICE_OK; i++) {
        char value[16];
        int size = snprintf(value, sizeof(value), "%u", ++sim->next_id);
        struct record_fields record = {.key_is_null = true,
                                       .value = {(uint8_t *)value, (size_t)size},
                                       .timestamp_ms = MODEL_TIME_MS + sim->next_id};
        err = batch_builder_append(&builder, &record);
    }
    err = err != SLUICE_OK ? err
                           : batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, NULL, &view);
    SL_ASSERT(err == SLUICE_OK && view.size <= STAGE_BATCH_BYTES);
    memcpy(into, view.data, view.size);
    uint32_t size = (uint32_t)view.size;
    sl_buffer_fini(&buffer);
    return size;
}

static void produce(struct stage_sim *sim)
{
    struct stage_flight *flight = &sim->flights[sim_draw(&sim->base, STAGE_FLIGHTS)];
    uint32_t number = sim_draw(&sim->base, sim->partitions);
    uint32_t records = 1 + sim_draw(&sim->base, STAGE_BATCH_RECORDS);
    struct partition *partition = partition_at(sim, "in", number);
    if (partition == NULL || flight->busy || partition->next_offset + records > STAGE_RECORDS_MAX) {
        return;
    }
    flight->owner = sim;
    flight->partition = number;
    flight->batch = (struct commit_batch){
        .partition = partition, .data = flight->data, .size = build(sim, records, flight->data)};
    flight->commit = (struct commit){.shard = partition->shard,
                                     .batches = &flight->batch,
                                     .batch_count = 1,
                                     .items = &flight->item,
                                     .done = produced};
    flight->busy = commit_submit(&flight->commit) == SLUICE_OK;
    sim->counts.records += flight->busy ? records : 0;
}

/* ---- the stage ---- */

static void slot_closed(void *arg)
{
    struct stage_slot *slot = arg;
    slot->task = NULL;
    slot->closing = false;
}

static void close_slot(struct stage_slot *slot)
{
    if (slot->task != NULL && !slot->closing) {
        slot->closing = true;
        stage_task_close(slot->task);
    }
}

static struct stage_config config_of(struct stage_sim *sim, struct stage_slot *slot,
                                     struct shard *shard)
{
    struct stage_shard *own = &sim->shards[shard->index];
    struct stage_config config = {.shard = shard,
                                  .port = &own->worker.port,
                                  .rules = {.shard = shard,
                                            .instance = STAGE_NAME,
                                            .principal = "Plugin:" STAGE_NAME,
                                            .version = "1"},
                                  .output = "out",
                                  .timeout_ms = 1000,
                                  .state_version = STAGE_STATE_VERSION,
                                  .counts = &own->counts,
                                  .headers = &own->headers,
                                  .stores = &own->stores,
                                  .closed = slot_closed,
                                  .closed_arg = slot,
                                  .mutants = sim->mutants};
    if (sim->has_retries) {
        config.rules.on_error = (struct error_rule){.on = ON_ERROR_RETRY, .retries_max = 1};
    }
    return config;
}

static void attach(struct stage_sim *sim)
{
    for (uint32_t i = 0; i < sim->partitions; i++) {
        struct stage_slot *slot = &sim->slots[i];
        struct partition *partition = slot->task == NULL ? partition_at(sim, "in", i) : NULL;
        if (partition == NULL) {
            continue;
        }
        slot->owner = sim;
        slot->config = config_of(sim, slot, partition->shard);
        sl_err err = stage_task_open(&slot->config, partition, STAGE_FROM_START, &slot->task);
        SL_ASSERT(err == SLUICE_OK);
    }
}

/* A new version, which fails on other records. */
static void reload(struct stage_sim *sim)
{
    if (sim_draw(&sim->base, 2) == 0) {
        sim->version++;
    }
    close_slot(&sim->slots[sim_draw(&sim->base, sim->partitions)]);
}

static void kill_worker(struct stage_sim *sim)
{
    stage_worker_kill(&sim->shards[sim_draw(&sim->base, set_of(sim)->count)].worker);
}

/* Paused ones, and those that wait for long, look again. */
static void wake(struct stage_sim *sim)
{
    struct stage_slot *slot = &sim->slots[sim_draw(&sim->base, sim->partitions)];
    if (slot->task != NULL && !slot->closing) {
        stage_task_wake(slot->task);
    }
}

/* ---- dead letters ---- */

static void redrive_finished(void *arg, sl_err err, const char *text)
{
    struct stage_slot *slot = arg;
    (void)err;
    (void)text;
    close_slot(slot);
}

static void redrive(struct stage_sim *sim)
{
    struct stage_shard *own = &sim->shards[sim_draw(&sim->base, set_of(sim)->count)];
    struct stage_slot *slot = &own->redrive;
    uint32_t number = sim_draw(&sim->base, STAGE_PARTITIONS_MAX);
    struct partition *letters = partition_at(sim, "__sluice_dlq." STAGE_NAME, number);
    int64_t total = 0;
    if (letters == NULL || slot->task != NULL || &sim->shards[letters->shard->index] != own) {
        return;
    }
    int64_t end = partition_end(letters);
    bool one = end > 0 && sim_draw(&sim->base, 3) == 0;
    own->order =
        (struct redrive_order){.offset = one ? (int64_t)sim_draw(&sim->base, (uint32_t)end) : -1};
    slot->owner = sim;
    slot->config = config_of(sim, slot, letters->shard);
    sl_err err = stage_redrive_open(&slot->config, letters, &own->order, &own->redrive_counts,
                                    redrive_finished, slot, &total, &slot->task);
    SL_ASSERT(err == SLUICE_OK);
}

/* ---- all ---- */

void stage_acts_begin(struct stage_sim *sim)
{
    for (uint32_t i = 0; i < set_of(sim)->count; i++) {
        struct stage_shard *own = &sim->shards[i];
        memset(own, 0, sizeof(*own));
        sl_list_init(&own->stores);
        stage_worker_init(&own->worker, sim, sim->base.machine.loop);
    }
    memset(sim->slots, 0, sizeof(sim->slots));
    memset(sim->flights, 0, sizeof(sim->flights));
    sim->topic_busy = false;
    sim->has_retries = sim_draw(&sim->base, 3) == 0;
}

void stage_act(struct stage_sim *sim)
{
    static const struct {
        uint32_t weight;
        void (*act)(struct stage_sim *sim);
    } acts[] = {{40, produce}, {12, attach}, {4, redrive},
                {3, wake},     {2, reload},  {1, kill_worker}};
    uint32_t left = sim_draw(&sim->base, 62);
    if (catalog_by_name(home(sim)->catalog, sl_bytes_of_text("in")) == NULL) {
        if (!sim->topic_busy) {
            create_input(sim);
        }
        return;
    }
    for (uint32_t i = 0; i < SL_COUNT_OF(acts); i++) {
        if (left < acts[i].weight) {
            acts[i].act(sim);
            return;
        }
        left -= acts[i].weight;
    }
}

static bool is_open(const struct stage_sim *sim)
{
    bool open = false;
    for (uint32_t i = 0; i < sim->partitions; i++) {
        open = open || sim->slots[i].task != NULL;
    }
    for (uint32_t i = 0; i < set_of(sim)->count; i++) {
        open = open || sim->shards[i].redrive.task != NULL;
    }
    return open;
}

static void close_all(struct stage_sim *sim)
{
    for (uint32_t i = 0; i < set_of(sim)->count; i++) {
        close_slot(&sim->shards[i].redrive);
    }
    for (uint32_t i = 0; i < sim->partitions; i++) {
        close_slot(&sim->slots[i]);
    }
}

void stage_acts_close(struct stage_sim *sim)
{
    struct sl_os *os = sim->base.machine.os;
    close_all(sim);
    for (uint32_t i = 0; i < 100000 && is_open(sim) && sl_os_sim_step(os); i++) {
    }
    if (is_open(sim) && !sl_os_sim_power_is_off(os)) {
        model_fault(&sim->base.model, "a task never ended");
    }
}

/* What is said to hold it is gone with the power. */
static void let_go(struct stage_task *task)
{
    if (task == NULL) {
        return;
    }
    for (uint32_t i = 0; i < task->commit.batch_count && task->state == TASK_COMMITTING; i++) {
        partition_unref(task->commit_batches[i].partition);
    }
    task->state = TASK_IDLE;
}

static void drop(struct stage_slot *slot)
{
    if (slot->task != NULL && !slot->closing) {
        close_slot(slot);
    } else if (slot->task != NULL) {
        bool ended = stage_task_ended(slot->task);
        SL_ASSERT(ended);
    }
    SL_ASSERT(slot->task == NULL);
}

void stage_acts_abandon(struct stage_sim *sim)
{
    for (uint32_t i = 0; i < sim->partitions; i++) {
        let_go(sim->slots[i].task);
    }
    for (uint32_t i = 0; i < set_of(sim)->count; i++) {
        let_go(sim->shards[i].redrive.task);
    }
    for (uint32_t i = 0; i < sim->partitions; i++) {
        drop(&sim->slots[i]);
    }
    for (uint32_t i = 0; i < set_of(sim)->count; i++) {
        struct stage_shard *own = &sim->shards[i];
        drop(&own->redrive);
        SL_ASSERT(sl_list_is_empty(&own->stores));
        header_room_fini(&own->headers);
    }
    for (uint32_t i = 0; i < STAGE_FLIGHTS; i++) {
        if (sim->flights[i].busy) {
            partition_unref(sim->flights[i].batch.partition);
            sim->flights[i].busy = false;
        }
    }
}
