/* sim_damage.c: a data folder of every kind of file, damaged in every way.
 *
 *   sim_damage [--seed S] [--every N] [--bits B] [--processes P] [--parts N --part K]
 *
 * A history of two shards is closed in order; then, each time in a fresh copy: B bits of every Nth
 * byte of every file are flipped one after the other, every file is cut at every Nth byte (where N
 * is above 1 at every 8Nth, but at every N/8th of its last 8 KiB), each block of 4 KiB is zeroed,
 * swapped with its neighbour and with others, each file and folder goes missing, takes the place of
 * its like in the other shard, and is put there from another cluster. Then a start, or a shard,
 * refuses and says which file; or a read tells of it; or nothing is lost and every byte is right.
 * Whatever does not refuse serves. The shard that a harmed file is of starts anew, beside the other
 * one that stands open, each 13th time both. Where an undisturbed start looks at no byte that was
 * flipped, and so would do the same again, only what reads it is done again, on a machine that
 * stands open; each 61st time a start must come to the same end. A kind of file that this program
 * does not know fails it. Of N parts only part K (from 0) is done: together they are the whole, and
 * a long campaign can be done part by part.
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
#define TOOLS_EVERY   19u /* of what is done */
#define MENDS_EVERY   17u
#define WHOLE_EVERY   13u /* both shards start, though one alone is damaged */
#define LONG_EVERY    61u /* a start is made, though none looks at the byte */
#define ALL_SHARDS    UINT32_MAX
#define OPENS         1u /* of looks: a start does; bit 1 + n: who reads partition n does */

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

enum outcome { REFUSED /* by a start or a shard */, TOLD /* by a read */, HARMLESS, OUTCOME_COUNT };

struct tally {
    uint64_t done;
    uint64_t of[OUTCOME_COUNT];
};

struct shared {
    struct tally tallies[PROCESSES_MAX][HARM_COUNT][SL_COUNT_OF(kinds)];
    uint64_t faults;
    char fault[512];
};

/* A file, and what of a start and of reading all there is looks at each byte of it. What looks at
 * none of the bytes that were damaged goes as it went: it is not done again. */
struct file {
    char path[SIM_PATH_MAX];
    struct sim_inode *inode; /* under the machine that stands open */
    uint16_t *looks;
    size_t size;
};

struct campaign {
    struct sim *sim;
    struct sl_sim_disk *other; /* of another cluster */
    struct machine standing;   /* open on a copy of its own, of which nothing was damaged */
    struct model_found sound;  /* in it */
    uint16_t looking;          /* what looks just now */
    struct shared *shared;
    uint32_t process, processes;
    uint32_t part, parts;
    uint64_t turn; /* of all that is to be done, this process of this part does its share */
    uint64_t every;
    uint32_t bits;
    struct file files[FILES_MAX];
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

/* A start, of all shards (ALL_SHARDS) or of one beside those that stand open. Returns whether it,
 * or a shard, refuses. */
static bool start(struct campaign *campaign, uint32_t index)
{
    const struct sl_sim_faults none = {0};
    struct sim *sim = campaign->sim;
    struct machine machine;
    sl_err err = SLUICE_OK;
    sim->found = campaign->sound;
    if (index == ALL_SHARDS) {
        err = sim_machine_open(sim, &machine, sim->copy, 7, &none);
    } else {
        err = sim_machine_open_one(sim, &machine, sim->copy, 7, &campaign->standing, index);
    }
    if (err == SLUICE_OK && index == ALL_SHARDS) {
        model_judge(&sim->model, &machine.set, &sim->found);
    } else if (err == SLUICE_OK) {
        model_judge_shard(&sim->model, &machine.set, index, &sim->found);
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

static void count(struct campaign *campaign, enum outcome outcome)
{
    const struct kind *kind = kind_of(campaign->path);
    struct tally *tally =
        &campaign->shared->tallies[campaign->process][campaign->harm][kind - kinds];
    tally->done++;
    tally->of[outcome]++;
}

/* Which shards start: those whose files were harmed, and now and then the others as well. */
static uint32_t shards_of_harm(const struct campaign *campaign)
{
    bool is_alone = campaign->harm < MISSING && strncmp(campaign->path, "d/shard-", 8) == 0 &&
                    !is_each(campaign, WHOLE_EVERY);
    return is_alone ? (uint32_t)(campaign->path[8] - '0') : ALL_SHARDS;
}

/* What was refused is as it was: with its file put back all is well again. */
static enum outcome judge(struct campaign *campaign)
{
    struct sim *sim = campaign->sim;
    uint64_t told = sim->model.told;
    if (is_each(campaign, TOOLS_EVERY)) {
        use_tools(campaign);
    }
    bool refused = start(campaign, shards_of_harm(campaign));
    bool is_mended = campaign->harm >= MISSING || is_each(campaign, MENDS_EVERY);
    if (refused && is_mended) {
        put_back(campaign);
        if (start(campaign, ALL_SHARDS)) {
            fault(campaign, "what was put back is refused");
        }
        sim->model.told = told;
    }
    enum outcome outcome = refused ? REFUSED : sim->model.told > told ? TOLD : HARMLESS;
    count(campaign, outcome);
    return outcome;
}

/* Whether it is this process's turn. */
static bool is_turn(struct campaign *campaign, enum harm harm, const char *path, uint64_t position)
{
    if (!is_mine(campaign)) {
        return false;
    }
    campaign->harm = harm;
    campaign->path = campaign->place = path;
    campaign->position = position;
    return true;
}

/* The same; then the copy is as the history left it. */
static bool begin(struct campaign *campaign, enum harm harm, const char *path, uint64_t position)
{
    if (!is_turn(campaign, harm, path, position)) {
        return false;
    }
    sl_sim_disk_copy(campaign->sim->copy, campaign->sim->disk, 1);
    return true;
}

/* ---- what looks at a byte ---- */

static void on_look(void *arg, const struct sim_inode *inode, uint64_t position, uint64_t size)
{
    struct campaign *campaign = arg;
    for (uint32_t i = 0; i < campaign->file_count; i++) {
        struct file *file = &campaign->files[i];
        uint64_t end = SL_MIN(position + size, (uint64_t)file->size);
        for (uint64_t at = position; file->inode == inode && at < end; at++) {
            file->looks[at] |= campaign->looking;
        }
    }
}

/* A start that writes over what lies in a file leaves other bytes than were there: of such a file
 * every byte is the start's. */
static void look_at_written(struct file *file, uint64_t stamp)
{
    for (uint64_t at = 0; at < file->size && file->inode->stamp != stamp; at++) {
        file->looks[at] |= OPENS;
    }
}

/* Opens the machine that stays, and finds out what looks at which byte. */
static bool look(struct campaign *campaign)
{
    const struct sl_sim_faults none = {0};
    struct sim *sim = campaign->sim;
    struct sl_sim_disk *disk = sl_sim_disk_new(0);
    uint64_t stamps[FILES_MAX];
    sl_sim_disk_copy(disk, sim->disk, 1);
    for (uint32_t i = 0; i < campaign->file_count; i++) {
        struct file *file = &campaign->files[i];
        file->inode = sim_names_find(&disk->seen, file->path)->inode;
        file->size = file->inode->size;
        file->looks = calloc(file->size + 1, sizeof(*file->looks));
        SL_ASSERT(file->looks != NULL);
        stamps[i] = file->inode->stamp;
    }
    disk->look = on_look;
    disk->look_arg = campaign;
    campaign->looking = OPENS;
    sl_err err = sim_machine_open(sim, &campaign->standing, disk, 7, &none);
    for (uint32_t i = 0; i < campaign->file_count; i++) {
        look_at_written(&campaign->files[i], stamps[i]);
    }
    for (uint32_t n = 0; err == SLUICE_OK && n < MODEL_TOPICS * MODEL_PARTITIONS; n++) {
        campaign->looking = (uint16_t)(OPENS << (1 + n));
        model_judge_partition(&sim->model, &campaign->standing.set, n / MODEL_PARTITIONS,
                              n % MODEL_PARTITIONS, &sim->found);
    }
    disk->look = NULL;
    if (err == SLUICE_OK) {
        model_judge(&sim->model, &campaign->standing.set, &campaign->sound);
    }
    return err == SLUICE_OK && sim->model.told == 0 && model_is_well(&sim->model);
}

/* All who look at the byte look at it damaged, on the machine that stands open. True: no wrong byte
 * was served, and it was told. */
static bool reads_tell(struct campaign *campaign, const struct file *file, uint64_t at, uint8_t bit)
{
    struct storage_model *model = &campaign->sim->model;
    uint64_t told = model->told;
    file->inode->bytes[at] ^= bit;
    for (uint32_t n = 0; n < MODEL_TOPICS * MODEL_PARTITIONS; n++) {
        if ((file->looks[at] & OPENS << (1 + n)) != 0) {
            model_judge_partition(model, &campaign->standing.set, n / MODEL_PARTITIONS,
                                  n % MODEL_PARTITIONS, &campaign->sim->found);
        }
    }
    file->inode->bytes[at] ^= bit;
    bool tell = model->told > told && model_is_well(model);
    model->told = told;
    model->fault[0] = '\0'; /* a start will find it as well */
    return tell;
}

/* ---- harms ---- */

static uint32_t random_of(uint64_t number)
{
    uint64_t state = number;
    return (uint32_t)(sim_random_next(&state) >> 32);
}

/* No start is made where it would only do what it did before. */
static void flip(struct campaign *campaign, const struct file *file, uint64_t at, uint8_t bit)
{
    bool by_start = (file->looks[at] & OPENS) != 0;
    bool is_unread = file->looks[at] == 0;
    bool is_short = is_unread || (!by_start && reads_tell(campaign, file, at, bit));
    if (is_short && !is_each(campaign, LONG_EVERY)) {
        count(campaign, is_unread ? HARMLESS : TOLD);
        return;
    }
    size_t size = 0;
    sl_sim_disk_copy(campaign->sim->copy, campaign->sim->disk, 1);
    bytes_of(campaign, &size)[at] ^= bit;
    enum outcome outcome = judge(campaign);
    if (is_short && outcome != (is_unread ? HARMLESS : TOLD)) {
        fault(campaign, "a start says something else than reads do");
    }
}

static void flip_all(struct campaign *campaign, const struct file *file)
{
    uint64_t first = random_of(file->size) % campaign->every;
    for (uint64_t at = first; at < file->size; at += campaign->every) {
        for (uint32_t i = 0; i < campaign->bits; i++) {
            if (is_turn(campaign, FLIPPED, file->path, at)) {
                uint32_t which = campaign->bits == 8 ? i : random_of(at + i) % 8;
                flip(campaign, file, at, (uint8_t)(1u << which));
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
    for (uint64_t at = tail; at < size; at += SL_MAX(campaign->every / 8, (uint64_t)1)) {
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
        const char *like = campaign->files[i].path;
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

static void harm_file(struct campaign *campaign, const struct file *file)
{
    const char *path = file->path;
    size_t size = file->size;
    const struct kind *kind = kind_of(path);
    lose(campaign, path);
    swap_in_all(campaign, path);
    if (!kind->may_be_missing) {
        flip_all(campaign, file);
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
        memcpy(campaign->files[campaign->file_count++].path, names->at[i].path, SIM_PATH_MAX);
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
    for (uint32_t i = 0; i < campaign->file_count; i++) {
        harm_file(campaign, &campaign->files[i]);
    }
    static const char *const folders[] = {"d/shard-0",     "d/shard-1",     "d/shard-0/wal",
                                          "d/shard-1/wal", "d/shard-0/ext", "d/shard-1/ext"};
    for (size_t i = 0; i < SL_COUNT_OF(folders); i++) {
        for (uint32_t k = 0; k < campaign->file_count; k++) {
            const char *path = campaign->files[k].path;
            if (strncmp(path, folders[i], strlen(folders[i])) == 0) {
                lose_folder(campaign, folders[i], path);
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
                for (uint32_t k = 0; k < OUTCOME_COUNT; k++) {
                    sum.of[k] += tally->of[k];
                }
            }
            if (sum.done > 0) {
                printf("%-20s %-12s %9" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 "\n",
                       harm_names[harm], strrchr(kinds[kind].end, kinds[kind].end[0]) + 1, sum.done,
                       sum.of[REFUSED], sum.of[TOLD], sum.of[HARMLESS]);
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
    sim.model.is_damaged = true;
    if (!list(&campaign) || !look(&campaign)) {
        printf("%s\n", sim.model.fault);
        return 1;
    }
    bool sound = processes_run(&campaign);
    report(campaign.shared);
    printf("seed %" PRIu64 ", %u files, %" PRIu64 " faults%s\n", seed, campaign.file_count,
           campaign.shared->faults, sound ? "" : ", and a process crashed");
    return sound && campaign.shared->faults == 0 ? 0 : 1;
}
