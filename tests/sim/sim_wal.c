/* sim_wal.c: the write-ahead log under simulated power cuts.
 *
 *   sim_wal [--cuts N] [--seed S] [--mutant NAME] [--json]
 *
 * A history is a disk and up to 5 runs of the log on it; a run ends in a power cut (any operation,
 * also during recovery), a kill, a failed sync or an orderly close. Segments are small and
 * recycled. After each run recovery must give back all that was acknowledged and nothing that was
 * not submitted, and may not refuse. At the end of every other history one bit of what was
 * acknowledged is flipped: then recovery must refuse, or lose no more than the last group, or the
 * bit was none that matters.
 *
 * Exit status 0: all held, or with --mutant: the broken log was caught. The history's seed is
 * printed;
 * `--cuts 1 --seed THAT` replays it. */
#include "sim_model.h"

#include "base/bytes.h"
#include "os/os_sim.h"
#include "wal/wal_scan.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUNS_MAX    5u
#define FLIGHTS_MAX 64u
#define DIRECTORY   "/d"

struct counts {
    uint64_t histories, cuts, kills, closes, sync_failures, recoveries, cut_recoveries;
    uint64_t units, acked;
    uint64_t recycled;
    uint64_t flips, flips_refused, flips_torn, flips_harmless;
};

/* A unit under way, with the memory that the log borrows. */
struct flight {
    struct sim *sim;
    struct wal_unit unit;
    struct wal_item items[2];
    uint8_t payload[8];
    uint8_t body[MODEL_BODY_MAX];
    struct sl_iovec pieces[2];
    bool busy;
    uint32_t index; /* in the model */
};

struct sim {
    uint64_t seed;
    uint64_t random;
    struct sl_sim_disk *disk;
    struct wal_limits limits;
    struct wal_mutants mutants;
    struct model model;
    struct counts counts;
    struct sl_os *os;
    struct sl_loop *loop;
    struct wal *wal;
    struct flight flights[FLIGHTS_MAX];
    bool fenced;
    bool is_closed;
    uint32_t acked_this_step;
    char failure[512];
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

static void failed(struct sim *sim, const char *what, const char *detail)
{
    if (sim->failure[0] == '\0')
        snprintf(sim->failure, sizeof sim->failure, "%s: %.400s", what, detail);
}

static void judge(struct sim *sim, const char *when)
{
    if (sim->model.fault != MODEL_FINE)
        failed(sim, when, sim->model.what);
}

/* ---- one run ---- */

static sl_err on_apply(void *arg, uint64_t lsn, uint16_t kind, uint8_t version,
                       struct sl_bytes payload, const struct wal_place *place)
{
    struct sim *sim = arg;
    (void)version;
    return model_apply(&sim->model, kind, payload, place, lsn);
}

static sl_err on_snapshot(void *arg, bool begins, wal_add_fn *add, void *add_arg, bool *ret_done)
{
    struct sim *sim = arg;
    uint8_t buffer[16];
    *ret_done = draw(sim, 3) == 0; /* the log goes on before the checkpoint is complete */
    if (!begins)
        return SLUICE_OK;
    return add(add_arg, WAL_ITEM_LOG_BOUNDS, 1, model_snapshot(&sim->model, buffer));
}

static void on_fenced(void *arg, sl_err cause)
{
    struct sim *sim = arg;
    sim->fenced = true;
    (void)cause;
}

static const struct wal_events events = {
    .apply = on_apply, .fenced = on_fenced, .snapshot = on_snapshot};

static void on_durable(struct wal_unit *unit, sl_err err)
{
    struct flight *flight = SL_CONTAINER_OF(unit, struct flight, unit);
    struct sim *sim = flight->sim;
    flight->busy = false;
    if (err != SLUICE_OK)
        return;
    if (sim->fenced)
        failed(sim, "acknowledged after a failed sync", "");
    if (flight->index != sim->model.acked)
        failed(sim, "acknowledged out of order", "");
    sim->model.units[flight->index].place = unit->items[0].place;
    sim->model.acked = flight->index + 1;
    sim->acked_this_step++;
    sim->counts.acked++;
}

static sl_err run_open(struct sim *sim, const struct sl_sim_faults *faults,
                       struct wal_recovery *recovery)
{
    sl_err err = sl_os_sim_new(next_random(sim), sim->disk, faults, &sim->os);
    SL_ASSERT(err == SLUICE_OK);
    err = sl_loop_new(sim->os, "sim", -1, &sim->loop);
    SL_ASSERT(err == SLUICE_OK);
    const struct wal_config config = {.os = sim->os,
                                      .loop = sim->loop,
                                      .directory = DIRECTORY,
                                      .cluster = {{1, 2, 3}},
                                      .limits = sim->limits,
                                      .mutants = sim->mutants,
                                      .events = &events,
                                      .events_arg = sim};
    sim->fenced = false;
    sim->is_closed = false;
    sim->wal = NULL;
    model_recovery_begin(&sim->model);
    return wal_open(&config, recovery, &sim->wal);
}

static void run_end(struct sim *sim)
{
    sl_os_sim_abandon(sim->os);
    sim->wal = wal_free(sim->wal);
    sl_loop_free(sim->loop);
    sl_os_free(sim->os);
    for (uint32_t i = 0; i < FLIGHTS_MAX; i++)
        sim->flights[i].busy = false;
}

static struct flight *flight_take(struct sim *sim)
{
    for (uint32_t i = 0; i < FLIGHTS_MAX; i++) {
        if (!sim->flights[i].busy)
            return &sim->flights[i];
    }
    return NULL;
}

static uint32_t body_size_draw(struct sim *sim)
{
    uint32_t most = SL_MIN((uint32_t)sim->limits.frame_bytes_max - 512, MODEL_BODY_MAX);
    uint32_t kind = draw(sim, 16);
    if (kind < 2)
        return 0;
    return 1 + draw(sim, kind == 2 ? most : 300);
}

static void submit(struct sim *sim)
{
    struct flight *flight = flight_take(sim);
    if (flight == NULL || sim->model.count == MODEL_UNITS_MAX)
        return;
    uint32_t size = body_size_draw(sim);
    uint64_t number = sim->model.next_number;
    flight->sim = sim;
    sl_le64_store(flight->payload, number);
    model_body(number, flight->body, size);
    struct sl_bytes payload = {flight->payload, sizeof flight->payload};
    uint32_t cut = size / 3;
    flight->pieces[0] = (struct sl_iovec){flight->body, cut};
    flight->pieces[1] = (struct sl_iovec){flight->body + cut, size - cut};
    uint32_t count = 0;
    if (size > 0)
        flight->items[count++] = (struct wal_item){.kind = WAL_ITEM_BATCH,
                                                   .version = 1,
                                                   .payload = payload,
                                                   .body = flight->pieces,
                                                   .body_count = 2,
                                                   .body_size = size};
    flight->items[count++] =
        (struct wal_item){.kind = WAL_ITEM_OFFSET_COMMIT, .version = 1, .payload = payload};
    flight->unit =
        (struct wal_unit){.items = flight->items, .item_count = count, .durable = on_durable};
    if (wal_submit(sim->wal, &flight->unit) != SLUICE_OK)
        return;
    flight->busy = true;
    flight->index = sim->model.count;
    model_add(&sim->model, size);
    sim->counts.units++;
}

/* Says of all but the newest segments that nothing in them is live. */
static void release(struct sim *sim)
{
    const struct model *model = &sim->model;
    if (model->acked == 0)
        return;
    uint64_t newest = model->units[model->acked - 1].place.segment;
    uint64_t kept = 1 + draw(sim, 3);
    if (newest <= kept || newest - kept <= model->released_below)
        return;
    sim->counts.recycled += newest - kept - SL_MAX(model->released_below, 1);
    sim->model.released_below = newest - kept;
    wal_release(sim->wal, sim->model.released_below);
}

static void on_closed(void *arg)
{
    struct sim *sim = arg;
    sim->is_closed = true;
}

static bool step(struct sim *sim)
{
    uint32_t before = sim->model.acked;
    sim->acked_this_step = 0;
    bool more = sl_os_sim_step(sim->os);
    if (sim->acked_this_step > 0)
        sim->model.acked_before = before;
    return more;
}

/* Works until the power goes, `steps` are done, or all is closed. */
static void run_work(struct sim *sim, uint32_t steps, bool close)
{
    uint32_t rate = 1 + draw(sim, 6);
    for (uint32_t i = 0; i < steps && !sl_os_sim_power_is_off(sim->os); i++) {
        if (draw(sim, rate) == 0)
            submit(sim);
        if (draw(sim, 32) == 0)
            release(sim);
        step(sim);
    }
    if (close && !sl_os_sim_power_is_off(sim->os)) {
        wal_close(sim->wal, on_closed, sim);
        while (!sim->is_closed && step(sim))
            ;
        if (!sim->is_closed && !sl_os_sim_power_is_off(sim->os))
            failed(sim, "close never ended", "");
    }
}

static void bodies_check(struct sim *sim)
{
    uint8_t body[MODEL_BODY_MAX];
    uint8_t wanted[MODEL_BODY_MAX];
    for (uint32_t i = 0; i < sim->model.count; i++) {
        const struct model_unit *unit = &sim->model.units[i];
        if (unit->body_size == 0 || unit->place.segment < sim->model.released_below)
            continue;
        model_body(unit->number, wanted, unit->body_size);
        sl_err err = wal_read(sim->wal, &unit->place, body);
        if (err != SLUICE_OK || memcmp(body, wanted, unit->body_size) != 0) {
            failed(sim, "a body reads wrong", "");
            return;
        }
    }
}

/* Returns whether the log was opened. */
static bool run_recover(struct sim *sim, const struct sl_sim_faults *faults, bool was_clean)
{
    struct wal_recovery recovery;
    sl_err err = run_open(sim, faults, &recovery);
    if (err == SLUICE_E_POWER_CUT) {
        judge(sim, "in a recovery that lost power");
        sim->counts.cut_recoveries++;
        return false;
    }
    if (err != SLUICE_OK && !(faults->sync_fails_after > 0 && err == SLUICE_E_IO)) {
        failed(sim, "refused", recovery.problem);
        return false;
    }
    if (err != SLUICE_OK)
        return false;
    model_recovery_end(&sim->model, false);
    judge(sim, "after recovery");
    if (was_clean && !recovery.clean)
        failed(sim, "an orderly close was not found again", "");
    sim->counts.recoveries++;
    return sim->failure[0] == '\0';
}

/* ---- bit flips ---- */

/* Bytes that mean something: the used part of a segment's header, a frame without its padding. */
struct region {
    uint64_t segment;
    uint64_t position;
    uint64_t size;
};

static struct region regions[4096];
static size_t region_count;

static sl_err region_add(uint64_t segment, uint64_t position, uint64_t size)
{
    if (region_count < SL_COUNT_OF(regions))
        regions[region_count++] = (struct region){segment, position, size};
    return SLUICE_OK;
}

static sl_err on_segment(void *arg, const struct wal_scan_segment *segment)
{
    (void)arg;
    bool has_mark = (segment->header.identity.features_compatible & WAL_SEGMENT_REACH) != 0;
    sl_err err = region_add(segment->header.seq, 0, WAL_HEADER_USED);
    if (err == SLUICE_OK && has_mark && segment->file_size >= segment->end_position + WAL_BLOCK)
        err = region_add(segment->header.seq, segment->file_size - WAL_BLOCK, WAL_REACH_USED);
    return err;
}

static sl_err on_frame(void *arg, const struct wal_segment_header *segment, uint64_t position,
                       const struct wal_frame_header *frame)
{
    (void)arg;
    return region_add(segment->seq, position,
                      WAL_FRAME_HEADER + frame->directory_size + frame->body_size);
}

/* Reads every body as `wal verify` does. */
static sl_err verify(struct sim *sim, struct wal_recovery *recovery)
{
    static const struct wal_scan_events scan_events = {.segment = on_segment, .frame = on_frame};
    const struct wal_scan_config config = {
        .os = sim->os, .directory = DIRECTORY "/wal", .every_body = true, .events = &scan_events};
    struct wal_scan scan;
    memset(recovery, 0, sizeof *recovery);
    region_count = 0;
    sl_err err = wal_scan_run(&config, recovery, &scan);
    if (err == SLUICE_OK)
        wal_scan_fini(&scan);
    return err;
}

/* Flips a bit that means something in a live segment. */
static bool flip(struct sim *sim)
{
    struct wal_recovery recovery;
    const struct sl_sim_faults none = {0};
    sl_err err = sl_os_sim_new(1, sim->disk, &none, &sim->os);
    SL_ASSERT(err == SLUICE_OK);
    err = verify(sim, &recovery);
    sl_os_free(sim->os);
    if (err == SLUICE_E_NOT_FOUND && sim->model.acked == 0) {
        return false; /* the power went before there was a log */
    }
    if (err != SLUICE_OK) {
        failed(sim, "verify refuses a sound log", recovery.problem);
        return false;
    }
    if (region_count == 0)
        return false;
    const struct region *region = &regions[draw(sim, (uint32_t)region_count)];
    size_t size = 0;
    char path[WAL_PATH_MAX];
    wal_path_segment(path, DIRECTORY "/wal", region->segment);
    uint8_t *bytes = sl_sim_disk_bytes(sim->disk, path, &size);
    SL_ASSERT(bytes != NULL && region->position + region->size <= size);
    uint8_t *at = bytes + region->position + draw(sim, (uint32_t)region->size);
    *at ^= (uint8_t)(1u << draw(sim, 8));
    sim->counts.flips++;
    return true;
}

static void flip_judge(struct sim *sim)
{
    struct wal_recovery recovery;
    const struct sl_sim_faults none = {0};
    struct wal_recovery verified;
    uint32_t acked = sim->model.acked;
    sl_err err = sl_os_sim_new(1, sim->disk, &none, &sim->os);
    SL_ASSERT(err == SLUICE_OK);
    sl_err verdict = verify(sim, &verified);
    sl_os_free(sim->os);
    err = run_open(sim, &none, &recovery);
    if (err == SLUICE_E_CORRUPT) {
        sim->counts.flips_refused++;
        return;
    }
    if (err != SLUICE_OK) {
        failed(sim, "a flipped bit ended in another error", recovery.problem);
        return;
    }
    model_recovery_end(&sim->model, true);
    judge(sim, "after a flipped bit");
    if (sim->failure[0] != '\0')
        return;
    if (sim->model.acked < acked) {
        sim->counts.flips_torn++;
    } else if (verdict == SLUICE_E_CORRUPT) {
        sim->counts.flips_refused++; /* a body that recovery leaves to the reader */
    } else {                         /* of the last frame, and that one held nothing */
        bodies_check(sim);
        sim->counts.flips_harmless++;
    }
}

/* ---- histories ---- */

static void limits_draw(struct sim *sim)
{
    uint64_t segment = 4096u * (3 + draw(sim, draw(sim, 4) == 0 ? 14 : 6));
    uint32_t reach = draw(sim, 4) == 0 ? 0 : 4096u << draw(sim, 3);
    sim->limits = (struct wal_limits){
        .segment_bytes = segment,
        .bytes_max = segment * (4 + draw(sim, 6)),
        .group_bytes_max = 256u << draw(sim, 4),
        .frame_bytes_max = (uint32_t)SL_MIN(segment - (reach > 0 ? 8192 : 4096), 16384u),
        .spare_segments = draw(sim, 3),
        .idle_mark_ms = draw(sim, 2) * 5,
        .checkpoint_chunk_bytes = draw(sim, 2), /* 1: time passes before it is complete */
        .reach_bytes = reach,
    };
}

static struct sl_sim_faults faults_draw(struct sim *sim, uint32_t how)
{
    struct sl_sim_faults faults = {.sync_delay_ns = (int64_t)draw(sim, 300000)};
    if (how < 12)
        faults.power_cut_after = 1 + draw(sim, draw(sim, 4) == 0 ? 12 : 60);
    if (how == 14)
        faults.sync_fails_after = 1 + draw(sim, 16);
    return faults;
}

static void run(struct sim *sim, bool *is_clean)
{
    uint32_t how =
        draw(sim, 16); /* under 12: power cut; 12, 13: kill; 14: failed sync; 15: close */
    struct sl_sim_faults faults = faults_draw(sim, how);
    bool opened = run_recover(sim, &faults, *is_clean);
    if (opened) {
        if (draw(sim, 8) == 0)
            bodies_check(sim);
        run_work(sim, how < 12 ? 400 : 20 + draw(sim, 100), how == 15);
    }
    *is_clean = opened && sim->is_closed && !sim->fenced;
    sim->counts.sync_failures += sim->fenced && how == 14;
    sim->counts.closes += sim->is_closed;
    run_end(sim);
    if (how == 12 || how == 13) {
        sim->counts.kills++;
        return;
    }
    sl_sim_disk_power_cut(sim->disk);
    sim->counts.cuts++;
}

static void history(struct sim *sim, uint64_t seed)
{
    bool is_clean = false;
    sim->seed = seed;
    sim->random = seed;
    sim->disk = sl_sim_disk_new(next_random(sim));
    model_reset(&sim->model, seed);
    limits_draw(sim);
    uint32_t runs = 1 + draw(sim, RUNS_MAX);
    for (uint32_t i = 0; i < runs && sim->failure[0] == '\0'; i++)
        run(sim, &is_clean);
    if (sim->failure[0] == '\0' && draw(sim, 2) == 0 && flip(sim)) {
        flip_judge(sim);
        run_end(sim);
    } else if (sim->failure[0] == '\0') {
        const struct sl_sim_faults none = {0};
        if (run_recover(sim, &none, is_clean))
            bodies_check(sim);
        run_end(sim);
    }
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

static bool mutant_set(struct wal_mutants *mutants, const char *name)
{
    const struct {
        const char *name;
        bool *flag;
    } table[] = {{"no_chain", &mutants->no_chain},
                 {"no_incarnation", &mutants->no_incarnation},
                 {"no_durable_lsn", &mutants->no_durable_lsn},
                 {"no_sync", &mutants->no_sync},
                 {"reach_once", &mutants->reach_once}};
    for (size_t i = 0; i < SL_COUNT_OF(table); i++) {
        if (strcmp(name, table[i].name) == 0) {
            *table[i].flag = true;
            return true;
        }
    }
    return false;
}

static bool options_read(int count, char **words, struct options *options)
{
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? words[i + 1] : "";
        if (strcmp(words[i], "--json") == 0) {
            options->json = true;
            continue;
        }
        if (strcmp(words[i], "--cuts") == 0)
            options->cuts = strtoull(value, NULL, 10);
        else if (strcmp(words[i], "--seed") == 0)
            options->seed = strtoull(value, NULL, 10);
        else if (strcmp(words[i], "--mutant") == 0)
            options->mutant = value;
        else
            return false;
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
                 {"kills", c->kills},
                 {"closes", c->closes},
                 {"sync_failures", c->sync_failures},
                 {"units", c->units},
                 {"acknowledged", c->acked},
                 {"segments_released", c->recycled},
                 {"bits_flipped", c->flips},
                 {"flips_refused", c->flips_refused},
                 {"flips_torn_last_group", c->flips_torn},
                 {"flips_harmless", c->flips_harmless},
                 {"cuts_per_cpu_second", (uint64_t)((double)c->cuts / seconds)}};
    const char *mutant = options->mutant != NULL ? options->mutant : "none";
    printf(options->json ? "{\"mutant\":\"%s\"" : "mutant %s", mutant);
    for (size_t i = 0; i < SL_COUNT_OF(table); i++)
        printf(options->json ? ",\"%s\":%" PRIu64 : ", %s %" PRIu64, table[i].name, table[i].value);
    if (sim->failure[0] == '\0')
        printf(options->json ? ",\"failure\":null}\n"
                             : "\n0 acknowledged lost, 0 ghosts, 0 false refusals\n");
    else
        printf(options->json ? ",\"failure\":\"%s\",\"failure_seed\":%" PRIu64 "}\n"
                             : "\n%s; replay: --cuts 1 --seed %" PRIu64 "\n",
               sim->failure, sim->seed);
}

int main(int count, char **words)
{
    static struct sim sim;
    struct options options = {.cuts = 100000, .seed = 1};
    if (!options_read(count, words, &options) ||
        (options.mutant != NULL && !mutant_set(&sim.mutants, options.mutant))) {
        fprintf(stderr, "sim_wal [--cuts N] [--seed S] [--json] "
                        "[--mutant no_chain|no_incarnation|no_durable_lsn|no_sync|reach_once]\n");
        return 2;
    }
    mallopt(M_TRIM_THRESHOLD,
            256 << 20); /* each history would give memory back and take it again */
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    struct timespec begin;
    struct timespec end;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    uint64_t seed = options.seed;
    while (sim.counts.cuts < options.cuts && sim.failure[0] == '\0')
        history(&sim, seed++);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    double seconds =
        (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    report(&sim, &options, seconds);
    bool bad = sim.failure[0] != '\0';
    return bad == (options.mutant != NULL) ? 0 : 1;
}
