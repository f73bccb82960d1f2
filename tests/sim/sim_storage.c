/* sim_storage.c: a whole shard under simulated power cuts: log, extents, checkpoints, retention and
 * deletion.
 *
 *   sim_storage [--cuts N] [--seed S] [--mutant NAME] [--json]
 *
 * A history is a disk and up to 5 runs of a shard on it, with a log so small that its segments are
 * sealed into extents and recycled all the time. A run appends, reads, deletes topics and raises
 * log starts, and ends in a power cut (any operation, also during recovery), a kill, a failed write
 * or sync, or an orderly close. After each the model judges what recovery gives back: all that was
 * acknowledged, nothing that was not submitted, byte for byte, by offset, by time and by epoch; and
 * a shard may not refuse.
 *
 * Exit status 0: all held, or with --mutant: the broken shard was caught. The history's seed is
 * printed; `--cuts 1 --seed THAT` replays it. */
#include "storage_model.h"

#include "extent/extent_set.h"
#include "os/os_sim.h"
#include "shard/commit.h"
#include "shard/log_start.h"
#include "shard/store.h"
#include "shard/topics.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUNS_MAX    5u
#define FLIGHTS_MAX 6u

struct counts {
    uint64_t histories, cuts, kills, closes, failures, recoveries, cut_recoveries;
    uint64_t batches, acked, reads, topics_deleted, starts_raised;
    uint64_t seal_jobs, extents, extents_dropped, segments;
};

/* A batch under way, with the memory that the log borrows. */
struct flight {
    struct sim *sim;
    struct commit commit;
    struct commit_batch batch;
    struct wal_item item;
    uint8_t data[MODEL_BATCH_MAX];
    bool busy;
    struct model_topic *topic;
    struct model_partition *partition;
    uint32_t topic_number; /* the model's, when it was submitted */
    uint32_t index;        /* in the partition's list */
};

struct reading {
    struct sim *sim;
    struct sl_job job;
    struct read_plan plan;
    struct shard *shard;
    struct partition *partition;
    struct model_partition *wanted;
    struct model_topic *topic;
    int64_t offset;
    uint8_t *bytes;
    sl_err err;
    bool busy;
};

struct raising {
    struct sim *sim;
    struct log_start start;
    struct log_start_move move;
    struct wal_item item;
    struct model_partition *partition;
    struct model_topic *topic;
    bool busy;
};

struct sim {
    uint64_t seed;
    uint64_t random;
    struct sl_sim_disk *disk;
    struct wal_limits wal;
    struct seal_limits seal;
    struct seal_mutants mutants;
    struct broker_settings settings;
    struct storage_model model;
    struct counts counts;
    struct sl_os *os;
    struct sl_loop *loop;
    struct chunk_cache cache;
    struct shard_set set;
    struct shard *shard;
    struct flight flights[FLIGHTS_MAX];
    struct reading reading;
    struct raising raising;
    struct model_topic *topic_busy; /* created or deleted */
    bool closed;
};

/* splitmix64 */
static uint64_t next_random(struct sim *sim)
{
    uint64_t z = (sim->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint32_t draw(struct sim *sim, uint32_t below)
{
    return (uint32_t)(next_random(sim) % below);
}

static bool is_well(const struct sim *sim)
{
    return sim->model.fault[0] == '\0';
}

/* ---- what the shard is asked to do ---- */

static struct topic *topic_of(struct sim *sim, const struct model_topic *topic)
{
    return catalog_by_name(sim->shard->catalog, sl_bytes_of_text(topic->name));
}

static struct model_topic *live_topic(struct sim *sim)
{
    struct model_topic *topic = &sim->model.topics[draw(sim, MODEL_TOPICS)];
    return topic->state == MODEL_LIVE ? topic : NULL;
}

static void appended(struct commit *commit, sl_err err)
{
    struct flight *flight = SL_CONTAINER_OF(commit, struct flight, commit);
    struct sim *sim = flight->sim;
    flight->busy = false;
    if (err != SLUICE_OK || flight->topic->state != MODEL_LIVE) {
        return;
    }
    if (flight->index != flight->partition->acked) {
        model_fault(&sim->model, "acknowledged out of order");
    }
    flight->partition->acked = flight->index + 1;
    sim->counts.acked++;
}

static struct flight *flight_take(struct sim *sim)
{
    for (uint32_t i = 0; i < FLIGHTS_MAX; i++) {
        if (!sim->flights[i].busy) {
            return &sim->flights[i];
        }
    }
    return NULL;
}

static void submit(struct sim *sim, struct flight *flight, struct partition *partition,
                   struct model_batch *batch)
{
    flight->batch =
        (struct commit_batch){.partition = partition, .data = flight->data, .size = batch->size};
    flight->commit = (struct commit){.shard = sim->shard,
                                     .batches = &flight->batch,
                                     .batch_count = 1,
                                     .items = &flight->item,
                                     .done = appended};
    batch->epoch = shard_epoch(sim->shard);
    if (partition->next_offset != batch->base_offset) {
        model_fault(&sim->model, "the next offset is %" PRId64 ", not %" PRId64,
                    partition->next_offset, batch->base_offset);
        return;
    }
    flight->busy = commit_submit(&flight->commit) == SLUICE_OK;
    flight->partition->count -= !flight->busy;
    sim->counts.batches += flight->busy;
}

static void append(struct sim *sim)
{
    struct flight *flight = flight_take(sim);
    struct model_topic *topic = live_topic(sim);
    struct partition *partition = NULL;
    if (flight == NULL || topic == NULL) {
        return;
    }
    uint32_t number = draw(sim, topic->partition_count);
    sl_err err = partition_open(sim->shard, topic_of(sim, topic), number, &partition);
    SL_ASSERT(err == SLUICE_OK);
    flight->sim = sim;
    flight->topic = topic;
    flight->partition = &topic->partitions[number];
    flight->index = flight->partition->count;
    uint32_t most = draw(sim, 8) == 0 ? 1200 : 200;
    struct model_batch *batch = model_append(&sim->model, flight->partition, 1 + draw(sim, 4),
                                             4 + draw(sim, most), flight->data);
    if (batch != NULL) {
        submit(sim, flight, partition, batch);
    }
}

static void read_work(struct sl_job *job)
{
    struct reading *reading = SL_CONTAINER_OF(job, struct reading, job);
    reading->err = store_read_places(reading->shard, reading->plan.places,
                                     reading->plan.place_count, reading->bytes, store_read);
    if (reading->err == SLUICE_OK) {
        reading->err = partition_check(&reading->plan, reading->bytes);
    }
}

static void reading_end(struct reading *reading, sl_err err)
{
    struct storage_model *model = &reading->sim->model;
    struct sl_bytes cut;
    if (err == SLUICE_OK) {
        struct sl_bytes all = sl_bytes_of(reading->bytes, reading->plan.bytes);
        err = partition_cut(all, reading->offset, UINT32_MAX, &cut);
    }
    if (err != SLUICE_OK && !sl_os_sim_power_is_off(reading->sim->os)) {
        model_fault(model, "offset %" PRId64 " reads with error %d", reading->offset, err);
    }
    if (err == SLUICE_OK && reading->topic->state == MODEL_LIVE) {
        model_compare(model, reading->wanted, cut, reading->offset);
        partition_mark_verified(reading->partition, &reading->plan);
    }
    reading->sim->counts.reads++;
    sl_free(reading->bytes);
    reading->bytes = NULL;
    reading->busy = false;
}

static void read_done(struct sl_job *job)
{
    struct reading *reading = SL_CONTAINER_OF(job, struct reading, job);
    read_plan_unpin(reading->shard, &reading->plan);
    reading_end(reading, reading->err);
    partition_unref(reading->partition);
    shard_job_end(reading->shard);
}

static void read_start(struct sim *sim, struct reading *reading)
{
    const struct read_plan *plan = &reading->plan;
    reading->bytes = sl_alloc(plan->bytes);
    reading->busy = true;
    sl_err err = store_read_places(sim->shard, plan->places, plan->place_count, reading->bytes,
                                   store_read_cached);
    if (err != SLUICE_E_WOULD_BLOCK) {
        err = err != SLUICE_OK ? err : partition_check(plan, reading->bytes);
        reading_end(reading, err);
        return;
    }
    if (!read_plan_pin(sim->shard, plan)) {
        reading_end(reading, SLUICE_E_NOT_FOUND);
        return;
    }
    partition_ref(reading->partition);
    shard_job_begin(sim->shard);
    reading->job = (struct sl_job){.work = read_work, .done = read_done};
    reading->job.task.priority = SL_PRIORITY_IO;
    sl_helpers_submit(sim->os, sim->loop, &reading->job);
}

static void read_somewhere(struct sim *sim)
{
    struct reading *reading = &sim->reading;
    struct model_topic *topic = live_topic(sim);
    if (reading->busy || topic == NULL) {
        return;
    }
    uint32_t number = draw(sim, topic->partition_count);
    struct partition *partition = partition_find(topic_of(sim, topic), number);
    if (partition == NULL || partition_start(partition) == partition_end(partition)) {
        return;
    }
    int64_t start = partition_start(partition);
    int64_t offset = start + draw(sim, (uint32_t)(partition_end(partition) - start));
    *reading = (struct reading){.sim = sim,
                                .shard = sim->shard,
                                .partition = partition,
                                .topic = topic,
                                .wanted = &topic->partitions[number],
                                .offset = offset};
    if (!partition_plan(partition, offset, 1 + draw(sim, 20000), &reading->plan)) {
        model_fault(&sim->model, "no place is known of offset %" PRId64, offset);
        return;
    }
    read_start(sim, reading);
}

static void raised(struct log_start *start, sl_err err)
{
    struct raising *raising = SL_CONTAINER_OF(start, struct raising, start);
    raising->busy = false;
    if (err == SLUICE_OK && raising->topic->state == MODEL_LIVE) {
        raising->partition->start = raising->partition->start_wanted;
        raising->sim->counts.starts_raised++;
    }
}

static void raise_start(struct sim *sim)
{
    struct raising *raising = &sim->raising;
    struct model_topic *topic = live_topic(sim);
    if (raising->busy || topic == NULL) {
        return;
    }
    uint32_t number = draw(sim, topic->partition_count);
    struct partition *partition = partition_find(topic_of(sim, topic), number);
    if (partition == NULL || partition_start(partition) == partition_end(partition)) {
        return;
    }
    int64_t start = partition_start(partition);
    int64_t offset = start + 1 + draw(sim, (uint32_t)(partition_end(partition) - start));
    *raising =
        (struct raising){.sim = sim, .topic = topic, .partition = &topic->partitions[number]};
    raising->start = (struct log_start){
        .shard = sim->shard, .moves = &raising->move, .items = &raising->item, .done = raised};
    log_start_add(&raising->start, partition, offset);
    raising->busy = log_start_submit(&raising->start) == SLUICE_OK;
    if (raising->busy) {
        raising->partition->start_wanted = offset;
    }
}

static void topic_done(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct sim *sim = arg;
    struct model_topic *topic = sim->topic_busy;
    bool creating = topic->state == MODEL_CREATING;
    sim->topic_busy = NULL;
    if (count == 1 && results[0].status == SLUICE_OK) {
        topic->state = creating ? MODEL_LIVE : MODEL_ABSENT;
        sim->counts.topics_deleted += !creating;
    } else if (count == 1 && results[0].status == SLUICE_E_LOG_FULL) {
        topic->state = creating ? MODEL_ABSENT : MODEL_LIVE;
    } /* else storage failed, and nobody knows */
}

static void create_topic(struct sim *sim, struct model_topic *topic)
{
    snprintf(topic->name, sizeof(topic->name), "t%u", sim->model.next_topic++);
    topic->partition_count = 1 + draw(sim, MODEL_PARTITIONS);
    for (uint32_t i = 0; i < MODEL_PARTITIONS; i++) {
        struct model_partition *partition = &topic->partitions[i];
        partition->count = partition->acked = 0;
        partition->start = partition->start_wanted = 0;
    }
    topic->state = MODEL_CREATING;
    sim->topic_busy = topic;
    struct sluice_topic_spec spec = {.size = sizeof(spec),
                                     .partition_count = (int32_t)topic->partition_count,
                                     .name = sluice_text_of(topic->name),
                                     .replication_factor = 1};
    topics_create_start(sim->shard, &spec, 1, false, false, NULL, topic_done, sim);
}

static void change_topic(struct sim *sim)
{
    struct model_topic *topic = &sim->model.topics[draw(sim, MODEL_TOPICS)];
    bool is_used = sim->reading.busy && sim->reading.topic == topic;
    if (sim->topic_busy != NULL || is_used) {
        return;
    }
    for (uint32_t i = 0; i < FLIGHTS_MAX; i++) {
        is_used = is_used || (sim->flights[i].busy && sim->flights[i].topic == topic);
    }
    is_used = is_used || (sim->raising.busy && sim->raising.topic == topic);
    if (topic->state == MODEL_ABSENT && !is_used) {
        create_topic(sim, topic);
    } else if (topic->state == MODEL_LIVE && draw(sim, 8) == 0) {
        struct sluice_topic_ref ref = {.name = sluice_text_of(topic->name)};
        topic->state = MODEL_DELETING;
        sim->topic_busy = topic;
        topics_delete_start(sim->shard, &ref, 1, topic_done, sim);
    }
}

/* ---- one run ---- */

static sl_err run_open(struct sim *sim, const struct sl_sim_faults *faults)
{
    char problem[SHARD_PROBLEM_BYTES] = "";
    sl_err err = sl_os_sim_new(next_random(sim), sim->disk, faults, &sim->os);
    SL_ASSERT(err == SLUICE_OK);
    err = sl_loop_new(sim->os, "sim", -1, &sim->loop);
    SL_ASSERT(err == SLUICE_OK);
    chunk_cache_init(&sim->cache, sim->loop, 64u << 20);
    const struct shard_config config = {.os = sim->os,
                                        .loop = sim->loop,
                                        .cache = &sim->cache,
                                        .data_directory = "d",
                                        .cluster = {{1, 2, 3}},
                                        .set = &sim->set,
                                        .wal = sim->wal,
                                        .seal = sim->seal,
                                        .seal_mutants = sim->mutants,
                                        .settings = &sim->settings,
                                        .expanded_bytes_max = 1u << 20};
    sim->set.count = 0;
    sim->shard = NULL;
    sim->closed = false;
    err = shard_open(&config, NULL, &sim->shard, problem);
    if (err != SLUICE_OK) {
        return err;
    }
    sim->set.shards[0] = sim->shard;
    sim->set.count = 1;
    if (sim->shard->status != SLUICE_OK) {
        return sim->shard->status;
    }
    return shard_start(sim->shard);
}

static void count_run(struct sim *sim)
{
    struct seal_status seal;
    struct wal_status log;
    seal_status_get(sim->shard, &seal);
    sim->counts.seal_jobs += seal.jobs;
    sim->counts.extents += seal.extents;
    if (sim->shard->log != NULL) {
        commit_log_status(sim->shard->log, &log);
        sim->counts.segments += log.last_segment - log.first_segment;
    }
}

/* What was under way is given up; references are the shard's to free. */
static void flights_abandon(struct sim *sim)
{
    for (uint32_t i = 0; i < FLIGHTS_MAX; i++) {
        if (sim->flights[i].busy) {
            partition_unref(sim->flights[i].batch.partition);
            sim->flights[i].busy = false;
        }
    }
    if (sim->reading.busy) {
        partition_unref(sim->reading.partition);
        sl_free(sim->reading.bytes);
        sim->reading.busy = false;
    }
    sim->raising.busy = false;
    sim->topic_busy = NULL;
}

static void run_end(struct sim *sim)
{
    sl_os_sim_abandon(sim->os);
    flights_abandon(sim);
    if (sim->shard != NULL) {
        count_run(sim);
        sim->shard->timer = sl_timer_free(sim->shard->timer);
        sim->shard = shard_free(sim->shard);
    }
    sim->cache.used_bytes = 0;
    chunk_cache_fini(&sim->cache);
    sl_loop_free(sim->loop);
    sl_os_free(sim->os);
}

static void on_closed(void *arg)
{
    ((struct sim *)arg)->closed = true;
}

static void act(struct sim *sim)
{
    uint32_t kind = draw(sim, 64);
    if (kind < 44) {
        append(sim);
    } else if (kind < 58) {
        read_somewhere(sim);
    } else if (kind < 60) {
        raise_start(sim);
    } else {
        change_topic(sim);
    }
}

static void run_work(struct sim *sim, uint32_t steps, bool close)
{
    uint32_t rate = 1 + draw(sim, 6);
    for (uint32_t i = 0; i < steps && !sl_os_sim_power_is_off(sim->os) && is_well(sim); i++) {
        if (sim->shard->status == SLUICE_OK && draw(sim, rate) == 0) {
            act(sim);
        }
        sl_os_sim_step(sim->os);
    }
    if (!close || sl_os_sim_power_is_off(sim->os) || !is_well(sim)) {
        return;
    }
    shard_stop(sim->shard, on_closed, sim);
    while (!sim->closed && sl_os_sim_step(sim->os))
        ;
    if (!sim->closed && !sl_os_sim_power_is_off(sim->os)) {
        model_fault(&sim->model, "the shard never stopped");
    }
}

/* Returns whether the shard serves. */
static bool run_recover(struct sim *sim, const struct sl_sim_faults *faults)
{
    sl_err err = run_open(sim, faults);
    bool is_excused = sl_os_sim_power_is_off(sim->os) || faults->sync_fails_after > 0 ||
                      faults->write_fails_after > 0;
    if (err != SLUICE_OK && is_excused) {
        sim->counts.cut_recoveries++;
        return false;
    }
    if (err != SLUICE_OK) {
        model_fault(&sim->model, "refused: %.200s",
                    sim->shard != NULL ? sim->shard->recovery.problem : "it cannot be opened");
        return false;
    }
    model_judge(&sim->model, sim->shard);
    sim->counts.recoveries++;
    if (sl_os_sim_power_is_off(sim->os)) { /* reads fail then, which is no fault */
        sim->model.fault[0] = '\0';
        return false;
    }
    return is_well(sim);
}

static struct sl_sim_faults faults_draw(struct sim *sim)
{
    struct sl_sim_faults faults = {.reads_are_cold = draw(sim, 3) == 0};
    static const uint32_t mosts[] = {60, 300, 600, 3000};
    uint32_t most = mosts[draw(sim, 4)];
    uint32_t kind = draw(sim, 16);
    if (kind < 10) {
        faults.power_cut_after = 1 + draw(sim, most);
    } else if (kind == 10) {
        faults.sync_fails_after = 1 + draw(sim, 200);
    } else if (kind == 11) {
        faults.write_fails_after = 1 + draw(sim, 200);
    }
    return faults;
}

static void run(struct sim *sim)
{
    struct sl_sim_faults faults = faults_draw(sim);
    bool close = faults.power_cut_after == 0 && draw(sim, 2) == 0;
    if (run_recover(sim, &faults)) {
        run_work(sim, 100 + draw(sim, draw(sim, 4) == 0 ? 4000 : 1000), close);
    }
    /* A kill leaves all that was written; amid any operation, when the power seemed to go. */
    bool off = sl_os_sim_power_is_off(sim->os);
    bool cut = off ? draw(sim, 4) > 0 : !sim->closed && draw(sim, 2) == 0;
    bool failed = faults.sync_fails_after > 0 || faults.write_fails_after > 0;
    sim->counts.closes += sim->closed;
    sim->counts.failures += failed;
    sim->counts.kills += !cut && !sim->closed;
    sim->counts.cuts += cut;
    run_end(sim);
    if (cut) {
        sl_sim_disk_power_cut(sim->disk);
    }
}

static void limits_draw(struct sim *sim)
{
    uint64_t segment = 4096u * (5 + draw(sim, 8));
    sim->wal = (struct wal_limits){.segment_bytes = segment,
                                   .bytes_max = segment * (4 + draw(sim, 6)),
                                   .group_bytes_max = 4096u << draw(sim, 2),
                                   .frame_bytes_max = 12288,
                                   .spare_segments = draw(sim, 3),
                                   .idle_mark_ms = draw(sim, 2) * 50};
    sim->seal = (struct seal_limits){.seal_bytes = segment * (1 + draw(sim, 3)),
                                     .age_max_ms = 1 + draw(sim, 1000),
                                     .job_bytes_max = segment * (1 + draw(sim, 3)),
                                     .own_file_bytes = 2000u << draw(sim, 5)};
}

/* Everything is given back in the end: no file without a name, no name without bytes. */
static void judge_files(struct sim *sim)
{
    struct extent_set_status status;
    for (uint32_t i = 0; i < 300; i++) {
        sl_os_sim_step(sim->os);
    }
    extent_set_status_get(sim->shard->extents, &status);
    if (status.pins > 0 || status.live_bytes > status.file_bytes) {
        model_fault(&sim->model, "extents are pinned, or hold more than they have");
    }
}

static void history(struct sim *sim, uint64_t seed)
{
    const struct sl_sim_faults none = {0};
    sim->seed = seed;
    sim->random = seed;
    sim->disk = sl_sim_disk_new(next_random(sim));
    model_init(&sim->model, seed);
    limits_draw(sim);
    uint32_t runs = 1 + draw(sim, RUNS_MAX);
    for (uint32_t i = 0; i < runs && is_well(sim); i++) {
        run(sim);
    }
    if (is_well(sim)) {
        if (run_recover(sim, &none)) {
            judge_files(sim);
        }
        run_end(sim);
    }
    model_fini(&sim->model);
    sim->disk = sl_sim_disk_free(sim->disk);
    sim->counts.histories++;
}

/* ---- the program ---- */

struct options {
    uint64_t cuts;
    uint64_t seed;
    const char *mutant;
    bool json;
};

static bool mutant_set(struct seal_mutants *mutants, const char *name)
{
    mutants->no_sync = strcmp(name, "extent_no_sync") == 0;
    mutants->release_first = strcmp(name, "release_first") == 0;
    return mutants->no_sync || mutants->release_first;
}

static bool options_read(int count, char **words, struct options *options)
{
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? words[i + 1] : "";
        if (strcmp(words[i], "--json") == 0) {
            options->json = true;
            continue;
        }
        if (strcmp(words[i], "--cuts") == 0) {
            options->cuts = strtoull(value, NULL, 10);
        } else if (strcmp(words[i], "--seed") == 0) {
            options->seed = strtoull(value, NULL, 10);
        } else if (strcmp(words[i], "--mutant") == 0) {
            options->mutant = value;
        } else {
            return false;
        }
        i++;
    }
    return true;
}

static void report(const struct sim *sim, const struct options *options, double seconds)
{
    const struct counts *c = &sim->counts;
    const struct {
        const char *name;
        uint64_t value;
    } table[] = {{"seed", options->seed},
                 {"histories", c->histories},
                 {"power_cuts", c->cuts},
                 {"cuts_in_recovery", c->cut_recoveries},
                 {"recoveries", c->recoveries},
                 {"kills", c->kills},
                 {"closes", c->closes},
                 {"failures", c->failures},
                 {"batches", c->batches},
                 {"acknowledged", c->acked},
                 {"reads", c->reads},
                 {"topics_deleted", c->topics_deleted},
                 {"starts_raised", c->starts_raised},
                 {"seal_jobs", c->seal_jobs},
                 {"extents", c->extents},
                 {"cuts_per_cpu_second", (uint64_t)((double)c->cuts / seconds)}};
    const char *mutant = options->mutant != NULL ? options->mutant : "none";
    printf(options->json ? "{\"mutant\":\"%s\"" : "mutant %s", mutant);
    for (size_t i = 0; i < SL_COUNT_OF(table); i++) {
        printf(options->json ? ",\"%s\":%" PRIu64 : ", %s %" PRIu64, table[i].name, table[i].value);
    }
    if (is_well(sim)) {
        printf(options->json ? ",\"failure\":null}\n"
                             : "\n0 acknowledged lost, 0 ghosts, 0 false refusals\n");
    } else {
        printf(options->json ? ",\"failure\":\"%s\",\"failure_seed\":%" PRIu64 "}\n"
                             : "\n%s; replay: --cuts 1 --seed %" PRIu64 "\n",
               sim->model.fault, sim->seed);
    }
}

int main(int count, char **words)
{
    static struct sim sim;
    struct options options = {.cuts = 10000, .seed = 1};
    if (!options_read(count, words, &options) ||
        (options.mutant != NULL && !mutant_set(&sim.mutants, options.mutant))) {
        fprintf(stderr, "sim_storage [--cuts N] [--seed S] [--json] "
                        "[--mutant extent_no_sync|release_first]\n");
        return 2;
    }
    mallopt(M_TRIM_THRESHOLD,
            256 << 20); /* each history would give memory back and take it again */
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    broker_settings_init(&sim.settings);
    sim.settings.retention_ms = -1; /* starts are raised by chance, not by the clock */
    struct timespec begin;
    struct timespec end;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    uint64_t seed = options.seed;
    while (sim.counts.cuts < options.cuts && is_well(&sim)) {
        history(&sim, seed++);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    double seconds =
        (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    report(&sim, &options, seconds);
    bool bad = !is_well(&sim);
    return bad == (options.mutant != NULL) ? 0 : 1;
}
