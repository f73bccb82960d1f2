/* shard_fixture.c: see shard_fixture.h. */
#include "shard_fixture.h"

#include "record/batch_builder.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const struct wal_limits small = {.segment_bytes = 64u << 10,
                                        .bytes_max = 512u << 10,
                                        .group_bytes_max = 16u << 10,
                                        .frame_bytes_max = 48u << 10,
                                        .spare_segments = 1};

static const struct wal_limits limits = {.segment_bytes = 256u << 10,
                                         .bytes_max = 16u << 20,
                                         .group_bytes_max = 64u << 10,
                                         .frame_bytes_max = 128u << 10,
                                         .spare_segments = 1};

static struct rewrite_limits rewrite_limits_of(const struct fixture *fixture)
{
    struct rewrite_limits rewrite = fixture->rewrite;
    rewrite.interval_ms = rewrite.interval_ms > 0 ? rewrite.interval_ms : 3600000;
    return rewrite;
}

static void start(struct fixture *fixture, uint32_t shards)
{
    cr_assert_eq(sl_os_sim_new(fixture->seed, fixture->disk, &fixture->faults, &fixture->os),
                 SLUICE_OK);
    fixture->loop_count = fixture->spread ? shards : 1;
    for (uint32_t i = 0; i < fixture->loop_count; i++) {
        cr_assert_eq(sl_loop_new(fixture->os, "loop", -1, &fixture->loops[i]), SLUICE_OK);
        chunk_cache_init(&fixture->caches[i], fixture->loops[i], 64u << 20);
    }
    fixture->set.count = 0;
    for (uint32_t i = 0; i < shards; i++) {
        struct shard_config config = {.os = fixture->os,
                                      .loop = fixture->loops[i % fixture->loop_count],
                                      .cache = &fixture->caches[i % fixture->loop_count],
                                      .data_directory = fixture->no_disk ? NULL : "data",
                                      .memory_bytes_max = fixture->memory_bytes_max,
                                      .cluster = {{1}},
                                      .index = i,
                                      .set = &fixture->set,
                                      .wal = fixture->wal,
                                      .seal = fixture->seal,
                                      .seal_mutants = fixture->seal_mutants,
                                      .compact = fixture->compact,
                                      .compact_mutants = fixture->compact_mutants,
                                      .rewrite = rewrite_limits_of(fixture),
                                      .snapshot_slice = fixture->snapshot_slice,
                                      .settings = &fixture->settings,
                                      .expanded_bytes_max = 1u << 20};
        char problem[SHARD_PROBLEM_BYTES] = "";
        struct shard *shard = NULL;
        sl_err err = shard_open(&config, i > 0 ? fixture->set.shards[0] : NULL, &shard, problem);
        if (err != SLUICE_OK && sl_os_sim_power_is_off(fixture->os)) {
            return; /* the power went during recovery; the caller restarts */
        }
        cr_assert_eq(err, SLUICE_OK, "shard %u: %d %s", i, err, problem);
        cr_assert(fixture->allow_refusal || shard->status == SLUICE_OK, "%s",
                  shard->recovery.problem);
        fixture->set.shards[i] = shard;
        fixture->set.count = i + 1;
    }
    for (uint32_t i = 0; i < shards; i++) {
        cr_assert_eq(shard_start(fixture->set.shards[i]), SLUICE_OK);
    }
}

static void open_disk(struct fixture *fixture, uint64_t seed, uint32_t shards,
                      const struct wal_limits *wal)
{
    fixture->wal = *wal;
    fixture->seed = seed;
    fixture->disk = sl_sim_disk_new(seed);
    broker_settings_init(&fixture->settings);
    fixture->settings.group_initial_delay_ms = 0;
    fixture->settings.in_memory = fixture->no_disk;
    fixture->settings.retention_ms = -1; /* tests write records of 1970 */
    fixture->context =
        (struct sluice_context){.size = sizeof(struct sluice_context), .connection = 7};
    start(fixture, shards);
}

void fixture_open(struct fixture *fixture, uint64_t seed, uint32_t shards)
{
    memset(fixture, 0, sizeof(*fixture));
    open_disk(fixture, seed, shards, &limits);
}

void fixture_open_spread(struct fixture *fixture, uint64_t seed, uint32_t shards)
{
    memset(fixture, 0, sizeof(*fixture));
    fixture->spread = true;
    open_disk(fixture, seed, shards, &limits);
}

void fixture_open_without_disk(struct fixture *fixture, uint64_t seed, uint32_t shards)
{
    memset(fixture, 0, sizeof(*fixture));
    fixture->no_disk = true;
    open_disk(fixture, seed, shards, &limits);
}

void fixture_open_small(struct fixture *fixture, uint64_t seed, uint32_t shards)
{
    memset(fixture, 0, sizeof(*fixture));
    fixture->seal = (struct seal_limits){
        .seal_bytes = 128u << 10, .job_bytes_max = 128u << 10, .own_file_bytes = 64u << 10};
    open_disk(fixture, seed, shards, &small);
}

struct errand {
    struct sl_task task;
    struct fixture *fixture;
    void (*call)(struct fixture *fixture, void *arg);
    void *arg;
    bool done;
};

static void errand_run(struct sl_task *task)
{
    struct errand *errand = SL_CONTAINER_OF(task, struct errand, task);
    errand->call(errand->fixture, errand->arg);
    errand->done = true;
}

void fixture_at_home(struct fixture *fixture, void (*call)(struct fixture *fixture, void *arg),
                     void *arg)
{
    struct errand errand = {.fixture = fixture, .call = call, .arg = arg};
    errand.task = (struct sl_task){.run = errand_run, .priority = SL_PRIORITY_IO};
    sl_loop_post(fixture_home(fixture)->loop, &errand.task);
    fixture_run_until(fixture, &errand.done);
    cr_assert(errand.done);
}

struct shard *fixture_home(struct fixture *fixture)
{
    return fixture->set.shards[0];
}

void fixture_run_until(struct fixture *fixture, const bool *flag)
{
    for (int steps = 0; steps < 1000000 && !*flag; steps++) {
        if (!sl_os_sim_step(fixture->os)) {
            return;
        }
    }
}

static void closed(void *arg)
{
    ++*(uint32_t *)arg;
}

static void stop(struct fixture *fixture, bool power_cut)
{
    uint32_t closed_count = 0;
    for (uint32_t i = 0; i < fixture->set.count && !power_cut; i++) {
        shard_stop(fixture->set.shards[i], closed, &closed_count);
    }
    while (!power_cut && closed_count < fixture->set.count) {
        cr_assert(sl_os_sim_step(fixture->os), "nothing left, yet %u of %u closed", closed_count,
                  fixture->set.count);
    }
    if (power_cut) {
        sl_os_sim_abandon(fixture->os);
    }
    for (uint32_t i = 0; i < fixture->set.count; i++) {
        struct shard *shard = fixture->set.shards[i];
        shard->timer = sl_timer_free(shard->timer);
        shard_free(shard);
    }
    for (uint32_t i = 0; i < fixture->loop_count; i++) {
        if (power_cut) {
            fixture->caches[i].used_bytes = 0; /* by requests that nobody ends any more */
        }
        chunk_cache_fini(&fixture->caches[i]);
        sl_loop_free(fixture->loops[i]);
    }
    sl_os_free(fixture->os);
}

void fixture_restart(struct fixture *fixture, bool power_cut)
{
    uint32_t shards = fixture->set.count;
    stop(fixture, power_cut);
    if (power_cut) {
        sl_sim_disk_power_cut(fixture->disk);
    }
    fixture->seed++;
    start(fixture, shards);
    if (fixture->set.count < shards) {
        stop(fixture, true);
        sl_sim_disk_power_cut(fixture->disk);
        fixture->seed++;
        fixture->faults.power_cut_after = 0;
        start(fixture, shards);
    }
}

void fixture_stop(struct fixture *fixture)
{
    stop(fixture, false);
}

void fixture_start_again(struct fixture *fixture, uint32_t shards)
{
    fixture->seed++;
    start(fixture, shards);
}

void fixture_close(struct fixture *fixture)
{
    stop(fixture, false);
    sl_sim_disk_free(fixture->disk);
}

/* ---- calls ---- */

struct created {
    const struct sluice_topic_spec *spec;
    bool done;
    sluice_status status;
};

static void on_created(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct created *created = arg;
    cr_assert_eq(count, 1);
    created->status = results[0].status;
    created->done = true;
}

static void call_create(struct fixture *fixture, void *arg)
{
    struct created *created = arg;
    topics_create_start(fixture_home(fixture), created->spec, 1, false, false, NULL, on_created,
                        created);
}

sluice_status fixture_try_topic(struct fixture *fixture, const char *name, int32_t partitions,
                                const struct sluice_key_value *configs, uint32_t config_count)
{
    struct sluice_topic_spec spec = {.size = sizeof(spec),
                                     .partition_count = partitions,
                                     .name = sluice_text_of(name),
                                     .replication_factor = 1,
                                     .config_count = config_count,
                                     .configs = configs};
    struct created created = {0};
    created.spec = &spec;
    fixture_at_home(fixture, call_create, &created);
    fixture_run_until(fixture, &created.done);
    cr_assert(created.done);
    return created.status;
}

void fixture_create_topic(struct fixture *fixture, const char *name, int32_t partitions,
                          const char *config_key, const char *config_value)
{
    struct sluice_key_value config = {sluice_text_of(config_key), sluice_text_of(config_value)};
    sluice_status status =
        fixture_try_topic(fixture, name, partitions, &config, config_key != NULL);
    cr_assert_eq(status, SLUICE_OK, "status %d", status);
}

static void on_deleted(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct deletion *deletion = arg;
    cr_assert_eq(count, 1);
    deletion->status = results[0].status;
    deletion->done = true;
}

static void call_delete(struct fixture *fixture, void *arg)
{
    struct deletion *deletion = arg;
    topics_delete_start(fixture_home(fixture), &deletion->ref, 1, false, on_deleted, deletion);
}

void fixture_delete_start(struct fixture *fixture, struct deletion *deletion)
{
    deletion->ref = (struct sluice_topic_ref){.name = sluice_text_of(deletion->name)};
    fixture_at_home(fixture, call_delete, deletion);
}

void fixture_delete_topic(struct fixture *fixture, const char *name)
{
    struct deletion deletion = {.name = name};
    fixture_delete_start(fixture, &deletion);
    fixture_run_until(fixture, &deletion.done);
    cr_assert_eq(deletion.status, SLUICE_OK);
}

size_t fixture_batch(uint8_t *into, size_t room, int count, int64_t timestamp, int64_t producer,
                     int16_t epoch, int32_t sequence)
{
    struct sl_buffer buffer;
    struct batch_builder builder;
    struct batch_header header;
    sl_buffer_init(&buffer, room);
    batch_header_init(&header);
    header.producer_id = producer;
    header.producer_epoch = epoch;
    header.base_sequence = sequence;
    cr_assert_eq(batch_builder_start(&builder, &buffer, &header), SLUICE_OK);
    for (int i = 0; i < count; i++) {
        char value[16];
        int size = snprintf(value, sizeof(value), "v%d", i);
        struct record_fields record = {.key_is_null = true,
                                       .value = {(uint8_t *)value, (size_t)size},
                                       .timestamp_ms = timestamp + i};
        cr_assert_eq(batch_builder_append(&builder, &record), SLUICE_OK);
    }
    struct batch_view view;
    cr_assert_eq(batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, NULL, &view), SLUICE_OK);
    memcpy(into, view.data, view.size);
    size_t size = view.size;
    sl_buffer_fini(&buffer);
    return size;
}

static void on_produced(void *arg, const struct sluice_produce_result *results, uint32_t count,
                        int32_t throttle_ms)
{
    struct produced *produced = arg;
    cr_assert_eq(count, 1);
    produced->throttle_ms = throttle_ms;
    produced->result = results[0];
    produced->done = true;
}

struct produce_call {
    const struct sluice_produce *request;
    struct produced *produced;
};

static void call_produce(struct fixture *fixture, void *arg)
{
    struct produce_call *call = arg;
    produce_start(fixture_home(fixture), NULL, &fixture->context, call->request, on_produced,
                  call->produced, NULL);
}

void fixture_produce_start(struct fixture *fixture, const char *topic, int32_t partition,
                           struct sluice_bytes batch, struct produced *ret_produced)
{
    fixture_produce_on(fixture, topic, partition, batch, NULL, ret_produced);
}

void fixture_produce_on(struct fixture *fixture, const char *topic, int32_t partition,
                        struct sluice_bytes batch, const struct sluice_produce_terms *terms,
                        struct produced *ret_produced)
{
    struct sluice_produce_entry entry = {
        .topic = {.name = sluice_text_of(topic)}, .partition = partition, .batch = batch};
    struct sluice_produce request = {
        .size = sizeof(request), .acks = -1, .entry_count = 1, .entries = &entry, .terms = terms};
    *ret_produced = (struct produced){0};
    struct produce_call call = {&request, ret_produced};
    if (fixture->spread) {
        fixture_at_home(fixture, call_produce, &call);
    } else {
        call_produce(fixture, &call);
    }
}

struct sluice_produce_result fixture_produce(struct fixture *fixture, const char *topic,
                                             int32_t partition, int count, int64_t timestamp)
{
    uint8_t bytes[32768];
    size_t size = fixture_batch(bytes, sizeof(bytes), count, timestamp, -1, -1, -1);
    struct produced produced;
    fixture_produce_start(fixture, topic, partition, (struct sluice_bytes){bytes, size}, &produced);
    fixture_run_until(fixture, &produced.done);
    cr_assert(produced.done);
    return produced.result;
}

static void on_fetched(void *arg, const struct sluice_fetch_result *results, uint32_t count,
                       int32_t throttle_ms)
{
    struct fetched *fetched = arg;
    (void)throttle_ms;
    fetched->count = count;
    fetched->result = results[0];
    fetched->first_offset = fetched->next_offset = -1;
    cr_assert_leq(results[0].records.size, sizeof(fetched->bytes));
    if (results[0].records.size > 0) {
        memcpy(fetched->bytes, results[0].records.data, results[0].records.size);
    }
    struct sl_bytes rest = {fetched->bytes, results[0].records.size};
    while (rest.size > 0) {
        struct batch_view view;
        cr_assert_eq(batch_view_init(&view, rest), SLUICE_OK);
        cr_assert_eq(batch_view_check_crc(&view), SLUICE_OK);
        if (fetched->first_offset < 0) {
            fetched->first_offset = batch_view_base_offset(&view);
        }
        fetched->next_offset = batch_view_next_offset(&view);
        fetched->records += batch_view_record_count(&view);
        rest = (struct sl_bytes){rest.data + view.size, rest.size - view.size};
    }
    fetched->done = true;
}

static void fetch_with(struct fixture *fixture, const char *topic, int32_t partition,
                       int64_t offset, int32_t last_epoch, int32_t bytes_min, int32_t wait_ms,
                       struct fetched *ret_fetched)
{
    struct sluice_fetch_entry entry = {.topic = {.name = sluice_text_of(topic)},
                                       .partition = partition,
                                       .leader_epoch = -1,
                                       .offset = offset,
                                       .bytes_max = 32768,
                                       .last_epoch = last_epoch};
    struct sluice_fetch request = {.size = sizeof(request),
                                   .bytes_max = 32768,
                                   .bytes_min = bytes_min,
                                   .wait_ms = wait_ms,
                                   .entry_count = 1,
                                   .entries = &entry};
    memset(ret_fetched, 0, sizeof(*ret_fetched));
    fetch_start(fixture_home(fixture), &fixture->context, &request, NULL, NULL, on_fetched,
                ret_fetched);
}

void fixture_fetch_start(struct fixture *fixture, const char *topic, int32_t partition,
                         int64_t offset, int32_t bytes_min, int32_t wait_ms,
                         struct fetched *ret_fetched)
{
    fetch_with(fixture, topic, partition, offset, -1, bytes_min, wait_ms, ret_fetched);
}

void fixture_fetch_after(struct fixture *fixture, const char *topic, int64_t offset,
                         int32_t last_epoch, struct fetched *ret_fetched)
{
    fetch_with(fixture, topic, 0, offset, last_epoch, 1, 1000, ret_fetched);
    fixture_run_until(fixture, &ret_fetched->done);
    cr_assert(ret_fetched->done);
}

void fixture_fetch(struct fixture *fixture, const char *topic, int32_t partition, int64_t offset,
                   struct fetched *ret_fetched)
{
    fixture_fetch_start(fixture, topic, partition, offset, 0, 0, ret_fetched);
    fixture_run_until(fixture, &ret_fetched->done);
    cr_assert(ret_fetched->done);
}

struct answered {
    bool done;
    struct sluice_offset_answer answer;
};

static void on_offset(void *arg, const struct sluice_offset_answer *answers, uint32_t count)
{
    struct answered *answered = arg;
    cr_assert_eq(count, 1);
    answered->answer = answers[0];
    answered->done = true;
}

struct sluice_offset_answer fixture_offset(struct fixture *fixture, const char *topic,
                                           int32_t partition, int64_t timestamp)
{
    struct sluice_offset_query query = {.topic = {.name = sluice_text_of(topic)},
                                        .partition = partition,
                                        .leader_epoch = -1,
                                        .timestamp = timestamp};
    struct answered answered = {0};
    offsets_start(fixture_home(fixture), SLUICE_ISOLATION_UNCOMMITTED, &query, 1, on_offset,
                  &answered);
    fixture_run_until(fixture, &answered.done);
    cr_assert(answered.done);
    return answered.answer;
}

/* ---- offsets of groups ---- */

static void on_committed(void *arg, sluice_status status, const sluice_status *statuses,
                         uint32_t count)
{
    struct committed *committed = arg;
    committed->status = status != SLUICE_OK || count == 0 ? status : statuses[0];
    committed->count = count;
    committed->done = true;
}

void fixture_commit_offset(struct fixture *fixture, const char *group, const char *topic,
                           int32_t partition, int64_t offset)
{
    struct sluice_offset_commit_entry entry = {.topic = {.name = sluice_text_of(topic)},
                                               .partition = partition,
                                               .leader_epoch = -1,
                                               .offset = offset,
                                               .metadata = sluice_text_of("note")};
    struct sluice_offset_commit request = {.size = sizeof(request),
                                           .entry_count = 1,
                                           .entries = &entry,
                                           .identity = {.size = sizeof(request.identity),
                                                        .generation = -1,
                                                        .group = sluice_text_of(group)}};
    struct committed committed = {0};
    groups_commit(fixture_home(fixture), &request, on_committed, &committed);
    fixture_run_until(fixture, &committed.done);
    cr_assert(committed.done && committed.count == 1);
    cr_assert_eq(committed.status, SLUICE_OK);
}

static void on_offsets(void *arg, sluice_status status, const struct sluice_offset_fetched *offsets,
                       uint32_t count)
{
    struct committed *committed = arg;
    *committed = (struct committed){.done = true,
                                    .status = status,
                                    .count = count,
                                    .offset = count > 0 ? offsets[0].offset : -2};
}

struct committed fixture_committed(struct fixture *fixture, const char *group)
{
    struct sluice_offset_fetch request = {.size = sizeof(request), .group = sluice_text_of(group)};
    struct committed committed = {0};
    groups_offsets(fixture_home(fixture), &request, on_offsets, &committed);
    fixture_run_until(fixture, &committed.done);
    cr_assert(committed.done);
    return committed;
}
