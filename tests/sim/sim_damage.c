/* sim_damage.c: a data folder of every kind of file, damaged in every way.
 *
 *   sim_damage [--seed S] [--every N] [--bits B] [--processes P] [--parts N --part K]
 *
 * A history of two shards is closed in order; then, each time in a fresh copy: B bits of every Nth
 * byte of every file are flipped one after the other, every file is cut at every Nth byte (where N
 * is above 1 at every 8Nth, but at every N/16th of its last 8 KiB), each block of 4 KiB is zeroed,
 * swapped with its neighbour and with others, each file and folder goes missing, takes the place of
 * its like in the other shard, and is put there from another cluster. Then a start, or a shard,
 * refuses and says which file; or a read tells of it; or nothing is lost and every byte is right.
 * Whatever does not refuse serves. A kind of file that this program does not know fails it. Of N
 * parts only part K (from 0) is done: together they are the whole, and a long campaign can be done
 * part by part.
 *
 * Exit status 0: so it was. Else the first fault is printed with what was done to which file. */
#include "storage_sim.h"

#include "extent/extent_inspect.h"
#include "os/os_sim_disk.h"
#include "wal/wal_inspect.h"
#include "wal/wal_salvage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK         4096u
#define TAIL          8192u
#define FILES_MAX     256u
#define PROCESSES_MAX 16u
#define BUILD_STEPS   6000u
#define TOOLS_EVERY   16u /* of what is done */
#define MENDS_EVERY   16u

/* ---- kinds ---- */

struct kind {
    const char *name;
    const char *end;     /* of the path */
    bool may_be_missing; /* or hold anything: nothing depends on it */
};
static const struct kind kinds[] = {
    {"superblock", "/sluice.meta", false},
    {"lock", "/lock", true},
    {"segment", ".seg", false},
    {"spare", ".spare", true},
    {"checkpoint", "/checkpoint-0", false},
    {"checkpoint", "/checkpoint-1", false},
    {"extent", ".ext", false},
};

static const struct kind *kind_of(const char *path)
{
    size_t size = strlen(path);
    for (size_t i = 0; i < SL_COUNT_OF(kinds); i++) {
        size_t end = strlen(kinds[i].end);
        if (size > end && strcmp(path + size - end, kinds[i].end) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* ---- what was done, and what came of it ---- */

enum harm { FLIPPED, CUT, ZEROED, SWAPPED, MISSING, LOST, OF_SHARD, OF_CLUSTER, HARM_COUNT };
static const char *const harm_names[HARM_COUNT] = {"flipped",          "cut",
                                                   "zeroed",           "swapped",
                                                   "missing",          "folder_missing",
                                                   "of_another_shard", "of_another_cluster"};

struct tally {
    uint64_t done;
    uint64_t refused; /* by a start or a shard */
    uint64_t told;    /* by a read */
    uint64_t harmless;
};

struct shared {
    struct tally tallies[PROCESSES_MAX][HARM_COUNT][SL_COUNT_OF(kinds)];
    uint64_t faults;
    char fault[512];
};

struct campaign {
    struct sim *sim;
    struct sl_sim_disk *other; /* of another cluster */
    struct shared *shared;
    uint32_t process, processes;
    uint32_t part, parts;
    uint64_t turn; /* of all that is to be done, this process of this part does its share */
    uint64_t every;
    uint32_t bits;
    char files[FILES_MAX][SIM_PATH_MAX];
    uint32_t file_count;
    const char *path;  /* under way */
    const char *place; /* that, or the folder that it is in */
    enum harm harm;
    uint64_t position;
};

static bool is_mine(struct campaign *campaign)
{
    uint64_t share = (uint64_t)campaign->part * campaign->processes + campaign->process;
    return campaign->turn++ % ((uint64_t)campaign->parts * campaign->processes) == share;
}

/* Of the turns of this process. */
static bool is_each(const struct campaign *campaign, uint32_t count)
{
    uint64_t shares = (uint64_t)campaign->parts * campaign->processes;
    return (campaign->turn - 1) / shares % count == 0;
}

static void fault(struct campaign *campaign, const char *what)
{
    struct shared *shared = campaign->shared;
    if (__atomic_fetch_add(&shared->faults, 1, __ATOMIC_RELAXED) < 20) {
        printf("%s, %s at %" PRIu64 ": %s\n", campaign->path, harm_names[campaign->harm],
               campaign->position, what);
        fflush(stdout);
    }
}

static uint8_t *bytes_of(struct campaign *campaign, size_t *ret_size)
{
    return sl_sim_disk_bytes(campaign->sim->copy, campaign->path, ret_size);
}

/* The message names the file or its folder. */
static bool is_named(const char *problem)
{
    return strstr(problem, "d/") != NULL || strstr(problem, "data directory d") != NULL ||
           strstr(problem, "extents and the write-ahead log") != NULL;
}

static bool has_refused(struct campaign *campaign, const struct machine *machine, sl_err err)
{
    bool refused = err != SLUICE_OK;
    if (refused && !is_named(machine->problem)) {
        fault(campaign, "it refuses without a file's name");
    }
    for (uint32_t i = 0; i < machine->set.count; i++) {
        const struct shard *shard = machine->set.shards[i];
        bool follows = i > 0 && machine->set.shards[0]->status != SLUICE_OK;
        if (shard->status == SLUICE_OK) {
            continue;
        }
        refused = true;
        if (!follows && !is_named(shard->recovery.problem)) {
            fault(campaign, "a shard refuses without a file's name");
        }
    }
    return refused;
}

/* A start. Returns whether it, or a shard, refuses. */
static bool start(struct campaign *campaign)
{
    const struct sl_sim_faults none = {0};
    struct sim *sim = campaign->sim;
    struct machine machine;
    sl_err err = sim_machine_open(sim, &machine, sim->copy, 7, &none);
    if (err == SLUICE_OK) {
        model_judge(&sim->model, &machine.set, &sim->found);
    }
    bool refused = has_refused(campaign, &machine, err);
    if (!model_is_well(&sim->model)) {
        fault(campaign, sim->model.fault);
        sim->model.fault[0] = '\0';
    }
    sim_machine_kill(&machine);
    return refused;
}

/* ---- afterwards ---- */

static void put_back_file(struct campaign *campaign, const struct sim_name *name)
{
    struct sl_sim_disk *copy = campaign->sim->copy;
    struct sim_name *here = sim_names_find(&copy->seen, name->path);
    struct sim_inode *inode = here == NULL ? NULL : here->inode;
    sl_err err = inode != NULL ? SLUICE_OK : sim_disk_create(copy, name->path, &inode);
    err = err != SLUICE_OK ? err : sim_inode_resize(copy, inode, name->inode->size);
    if (err == SLUICE_OK && name->inode->size > 0) {
        err = sim_inode_write(copy, inode, name->inode->bytes, name->inode->size, 0);
    }
    SL_ASSERT(err == SLUICE_OK);
}

/* Of the folder, or of the file that was damaged. */
static void put_back(struct campaign *campaign)
{
    const struct sim_names *names = &campaign->sim->disk->seen;
    struct sl_sim_disk *copy = campaign->sim->copy;
    size_t size = strlen(campaign->place);
    for (uint32_t i = 0; i < names->count; i++) {
        const struct sim_name *name = &names->at[i];
        if (strncmp(name->path, campaign->place, size) != 0) {
            continue;
        }
        if (name->inode != NULL) {
            put_back_file(campaign, name);
        } else if (sim_names_find(&copy->seen, name->path) == NULL) {
            sl_err err = sim_disk_directory(copy, name->path);
            SL_ASSERT(err == SLUICE_OK);
        }
    }
}

static bool keep_all(void *arg, uint64_t lsn, struct wal_item_view *item, struct sl_bytes body,
                     bool sure)
{
    (void)arg, (void)lsn, (void)item, (void)body, (void)sure;
    return true;
}

static void ignore_loss(void *arg, uint64_t first_lsn, uint64_t last_lsn, const char *where)
{
    (void)arg, (void)first_lsn, (void)last_lsn, (void)where;
}

/* Tools for damaged folders survive them. */
static void use_tools(struct campaign *campaign)
{
    static const struct wal_inspect_events look = {0};
    static const struct wal_salvage_events keep = {.keep = keep_all, .lost = ignore_loss};
    static const struct extent_inspect_events read = {0};
    struct wal_recovery recovery;
    struct wal_salvage_report salvage;
    struct extent_report extent;
    struct sl_os *os = NULL;
    char shard[16];
    sl_err err = sl_os_sim_new(1, campaign->sim->copy, NULL, &os);
    SL_ASSERT(err == SLUICE_OK);
    snprintf(shard, sizeof(shard), "%.9s", campaign->path);
    err = wal_inspect(os, shard, true, &look, NULL, &recovery);
    err = wal_salvage(os, shard, NULL, &keep, NULL, &salvage);
    err = extent_inspect(os, campaign->path, true, &read, NULL, &extent);
    (void)err; /* what they say is theirs to test */
    sl_os_free(os);
}

/* What was refused is as it was: with its file put back all is well again. */
static void judge(struct campaign *campaign)
{
    struct sim *sim = campaign->sim;
    uint64_t told = sim->model.told;
    if (is_each(campaign, TOOLS_EVERY)) {
        use_tools(campaign);
    }
    bool refused = start(campaign);
    bool is_mended = campaign->harm >= MISSING || is_each(campaign, MENDS_EVERY);
    if (refused && is_mended) {
        put_back(campaign);
        if (start(campaign)) {
            fault(campaign, "what was put back is refused");
        }
        sim->model.told = told;
    }
    struct tally *tally =
        &campaign->shared
             ->tallies[campaign->process][campaign->harm][kind_of(campaign->path) - kinds];
    tally->done++;
    tally->refused += refused;
    tally->told += !refused && sim->model.told > told;
    tally->harmless += !refused && sim->model.told == told;
}

/* Whether it is this process's turn; then the copy is as the history left it. */
static bool begin(struct campaign *campaign, enum harm harm, const char *path, uint64_t position)
{
    if (!is_mine(campaign)) {
        return false;
    }
    campaign->harm = harm;
    campaign->path = campaign->place = path;
    campaign->position = position;
    sl_sim_disk_copy(campaign->sim->copy, campaign->sim->disk, 1);
    return true;
}

/* ---- harms ---- */

static uint32_t random_of(uint64_t number)
{
    uint64_t state = number;
    return (uint32_t)(sim_random_next(&state) >> 32);
}

static void flip_all(struct campaign *campaign, const char *path, size_t size)
{
    for (uint64_t at = random_of(size) % campaign->every; at < size; at += campaign->every) {
        for (uint32_t bit = 0; bit < campaign->bits; bit++) {
            if (begin(campaign, FLIPPED, path, at)) {
                uint32_t which = campaign->bits == 8 ? bit : random_of(at + bit) % 8;
                bytes_of(campaign, &size)[at] ^= (uint8_t)(1u << which);
                judge(campaign);
            }
        }
    }
}

static void cut_at(struct campaign *campaign, const char *path, uint64_t at)
{
    if (begin(campaign, CUT, path, at)) {
        struct sim_name *name = sim_names_find(&campaign->sim->copy->seen, path);
        sl_err err = sim_inode_resize(campaign->sim->copy, name->inode, at);
        SL_ASSERT(err == SLUICE_OK);
        judge(campaign);
    }
}

static void cut_all(struct campaign *campaign, const char *path, size_t size)
{
    uint64_t tail = size - SL_MIN(size, (size_t)TAIL);
    for (uint64_t at = 0; at < tail; at += campaign->every == 1 ? 1 : campaign->every * 8) {
        cut_at(campaign, path, at);
    }
    for (uint64_t at = tail; at < size; at += SL_MAX(campaign->every / 16, (uint64_t)1)) {
        cut_at(campaign, path, at);
    }
}

static void swap(uint8_t *a, uint8_t *b)
{
    uint8_t block[BLOCK];
    memcpy(block, a, BLOCK);
    memcpy(a, b, BLOCK);
    memcpy(b, block, BLOCK);
}

static void swap_at(struct campaign *campaign, const char *path, uint64_t a, uint64_t b)
{
    size_t size = 0;
    if (a != b && begin(campaign, SWAPPED, path, a)) {
        uint8_t *bytes = bytes_of(campaign, &size);
        swap(bytes + a * BLOCK, bytes + b * BLOCK);
        judge(campaign);
    }
}

static void blocks_all(struct campaign *campaign, const char *path, size_t size)
{
    uint64_t count = size / BLOCK;
    for (uint64_t i = 0; i * BLOCK < size; i++) {
        if (begin(campaign, ZEROED, path, i)) {
            uint8_t *bytes = bytes_of(campaign, &size);
            memset(bytes + i * BLOCK, 0, SL_MIN((size_t)BLOCK, size - i * BLOCK));
            judge(campaign);
        }
    }
    for (uint64_t i = 0; i < count; i++) {
        swap_at(campaign, path, i, SL_MIN(i + 1, count - 1));
        swap_at(campaign, path, i, random_of(size + i) % count);
    }
}

static void lose(struct campaign *campaign, const char *path)
{
    if (begin(campaign, MISSING, path, 0)) {
        struct sim_names *names = &campaign->sim->copy->seen;
        struct sim_name *name = sim_names_find(names, path);
        *name = names->at[--names->count];
        judge(campaign);
    }
}

static void replace(struct campaign *campaign, enum harm harm, const char *path,
                    struct sl_sim_disk *from, const char *from_path)
{
    size_t size = 0;
    uint8_t *bytes = sl_sim_disk_bytes(from, from_path, &size);
    if (bytes == NULL || !begin(campaign, harm, path, 0)) {
        return;
    }
    struct sl_sim_disk *copy = campaign->sim->copy;
    struct sim_inode *inode = sim_names_find(&copy->seen, path)->inode;
    sl_err err = sim_inode_resize(copy, inode, size);
    err = err != SLUICE_OK ? err : sim_inode_write(copy, inode, bytes, size, 0);
    SL_ASSERT(err == SLUICE_OK);
    judge(campaign);
}

/* Those of its kind in the other shard; "" for files that are of no shard. */
static void swap_in_all(struct campaign *campaign, const char *path)
{
    for (uint32_t i = 0; i < campaign->file_count; i++) {
        const char *like = campaign->files[i];
        bool is_other = strncmp(like, "d/shard-", 8) == 0 && strncmp(path, like, 9) != 0;
        if (is_other && kind_of(like) == kind_of(path)) {
            replace(campaign, OF_SHARD, path, campaign->sim->disk, like);
        }
    }
    const struct sim_names *names = &campaign->other->seen;
    for (uint32_t i = 0; i < names->count; i++) {
        const char *like = names->at[i].path;
        if (names->at[i].inode != NULL && kind_of(like) == kind_of(path)) {
            replace(campaign, OF_CLUSTER, path, campaign->other, like);
        }
    }
}

static void harm_file(struct campaign *campaign, const char *path)
{
    size_t size = 0;
    (void)sl_sim_disk_bytes(campaign->sim->disk, path, &size);
    const struct kind *kind = kind_of(path);
    lose(campaign, path);
    swap_in_all(campaign, path);
    if (!kind->may_be_missing) {
        flip_all(campaign, path, size);
        cut_all(campaign, path, size);
        blocks_all(campaign, path, size);
    } else if (size > 0) {
        cut_at(campaign, path, size / 2);
        blocks_all(campaign, path, SL_MIN(size, (size_t)BLOCK));
    }
}

/* A folder with all that is in it. */
static void lose_folder(struct campaign *campaign, const char *folder, const char *file)
{
    if (!begin(campaign, LOST, file, 0)) {
        return;
    }
    campaign->place = folder;
    struct sim_names *names = &campaign->sim->copy->seen;
    size_t size = strlen(folder);
    for (uint32_t i = 0; i < names->count;) {
        const char *path = names->at[i].path;
        bool goes = strncmp(path, folder, size) == 0 && (path[size] == '/' || path[size] == '\0');
        if (goes) {
            names->at[i] = names->at[--names->count];
        } else {
            i++;
        }
    }
    judge(campaign);
}

/* ---- the folder ---- */

static bool build(struct sim *sim, uint64_t seed)
{
    const struct sl_sim_faults none = {0};
    sim->random = seed;
    sim->disk = sl_sim_disk_new(sim_draw64(sim));
    model_init(&sim->model, seed, 2);
    sim_limits_draw(sim);
    sim->no_branches = true;
    sim->wal.spare_segments = 1;
    sim->seal.promote_percent = 51;
    sim->seal.promote_run_bytes = 1;
    sim->seal.age_max_ms = 3600000; /* some stay in the log */
    for (uint32_t run = 0; run < 2; run++) {
        sl_err err = sim_machine_open(sim, &sim->machine, sim->disk, sim_draw64(sim), &none);
        SL_ASSERT(err == SLUICE_OK);
        model_judge(&sim->model, &sim->machine.set, &sim->found);
        model_adopt(&sim->model, &sim->found);
        err = sim_machine_start(&sim->machine);
        SL_ASSERT(err == SLUICE_OK);
        sim_run_work(sim, BUILD_STEPS, true);
        sim_acts_abandon(sim);
        sim_machine_kill(&sim->machine);
    }
    return model_is_well(&sim->model);
}

static bool list(struct campaign *campaign)
{
    const struct sim_names *names = &campaign->sim->disk->seen;
    bool seen[SL_COUNT_OF(kinds)] = {false};
    for (uint32_t i = 0; i < names->count; i++) {
        if (names->at[i].inode == NULL) {
            continue;
        }
        const struct kind *kind = kind_of(names->at[i].path);
        if (kind == NULL) {
            printf("%s: a kind of file that this test does not cover\n", names->at[i].path);
            return false;
        }
        seen[kind - kinds] = true;
        SL_ASSERT(campaign->file_count < FILES_MAX);
        memcpy(campaign->files[campaign->file_count++], names->at[i].path, SIM_PATH_MAX);
    }
    for (size_t i = 0; i < SL_COUNT_OF(kinds); i++) {
        if (!seen[i]) {
            printf("no file ends in %s: the history is too short\n", kinds[i].end);
            return false;
        }
    }
    return true;
}

static void run(struct campaign *campaign)
{
    struct sim *sim = campaign->sim;
    sim->copy = sl_sim_disk_new(0);
    sim->model.is_damaged = true;
    for (uint32_t i = 0; i < campaign->file_count; i++) {
        harm_file(campaign, campaign->files[i]);
    }
    static const char *const folders[] = {"d/shard-0",     "d/shard-1",     "d/shard-0/wal",
                                          "d/shard-1/wal", "d/shard-0/ext", "d/shard-1/ext"};
    for (size_t i = 0; i < SL_COUNT_OF(folders); i++) {
        for (uint32_t k = 0; k < campaign->file_count; k++) {
            if (strncmp(campaign->files[k], folders[i], strlen(folders[i])) == 0) {
                lose_folder(campaign, folders[i], campaign->files[k]);
                break;
            }
        }
    }
}

/* ---- the program ---- */

static void report(const struct shared *shared)
{
    printf("%-20s %-12s %9s %9s %9s %9s\n", "what", "file", "done", "refused", "told", "harmless");
    for (uint32_t harm = 0; harm < HARM_COUNT; harm++) {
        for (size_t kind = 0; kind < SL_COUNT_OF(kinds); kind++) {
            struct tally sum = {0};
            for (uint32_t i = 0; i < PROCESSES_MAX; i++) {
                const struct tally *tally = &shared->tallies[i][harm][kind];
                sum.done += tally->done;
                sum.refused += tally->refused;
                sum.told += tally->told;
                sum.harmless += tally->harmless;
            }
            if (sum.done > 0) {
                printf("%-20s %-12s %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 "\n",
                       harm_names[harm], strrchr(kinds[kind].end, kinds[kind].end[0]) + 1, sum.done,
                       sum.refused, sum.told, sum.harmless);
            }
        }
    }
}

static bool processes_run(struct campaign *campaign)
{
    pid_t children[PROCESSES_MAX];
    bool sound = true;
    fflush(stdout);
    for (uint32_t i = 0; i < campaign->processes; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            campaign->process = i;
            run(campaign);
            _exit(0);
        }
    }
    for (uint32_t i = 0; i < campaign->processes; i++) {
        int status = 0;
        bool ended = children[i] > 0 && waitpid(children[i], &status, 0) == children[i];
        sound = ended && status == 0 && sound;
    }
    return sound;
}

static bool options_read(int count, char **words, uint64_t *seed, struct campaign *campaign)
{
    for (int i = 1; i + 1 < count; i += 2) {
        uint64_t value = strtoull(words[i + 1], NULL, 10);
        if (strcmp(words[i], "--seed") == 0) {
            *seed = value;
        } else if (strcmp(words[i], "--every") == 0) {
            campaign->every = value;
        } else if (strcmp(words[i], "--bits") == 0) {
            campaign->bits = (uint32_t)value;
        } else if (strcmp(words[i], "--processes") == 0) {
            campaign->processes = (uint32_t)value;
        } else if (strcmp(words[i], "--parts") == 0) {
            campaign->parts = (uint32_t)value;
        } else if (strcmp(words[i], "--part") == 0) {
            campaign->part = (uint32_t)value;
        } else {
            return false;
        }
    }
    return count % 2 == 1 && campaign->every > 0 && campaign->bits >= 1 && campaign->bits <= 8 &&
           campaign->processes >= 1 && campaign->processes <= PROCESSES_MAX &&
           campaign->parts >= 1 && campaign->part < campaign->parts;
}

int main(int count, char **words)
{
    static struct sim sim;
    static struct sim foreign;
    static struct campaign campaign = {
        .sim = &sim, .every = 1, .bits = 1, .processes = 1, .parts = 1};
    uint64_t seed = 1;
    if (!options_read(count, words, &seed, &campaign)) {
        fprintf(
            stderr,
            "sim_damage [--seed S] [--every N] [--bits B] [--processes P] [--parts N --part K]\n");
        return 2;
    }
    campaign.shared = mmap(NULL, sizeof(*campaign.shared), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (campaign.shared == MAP_FAILED || !build(&sim, seed) || !build(&foreign, seed + 1)) {
        printf("%s\n", sim.model.fault);
        return 2;
    }
    campaign.other = foreign.disk;
    if (!list(&campaign)) {
        return 1;
    }
    bool sound = processes_run(&campaign);
    report(campaign.shared);
    printf("seed %" PRIu64 ", %u files, %" PRIu64 " faults%s\n", seed, campaign.file_count,
           campaign.shared->faults, sound ? "" : ", and a process crashed");
    return sound && campaign.shared->faults == 0 ? 0 : 1;
}
