/* os_sim.c: the table of the simulated instance, its files and its faults (os_sim.h). */
#include "os/os_sim.h"

#include "os/os_sim_disk.h"
#include "os/os_sim_run.h"

#include <string.h>

#define WALL_MS_AT_START 1764000000000 /* a day in November 2025 */

struct sim_file {
    struct sl_file base;
    struct sim_inode *inode;
    uint32_t flags;
    bool is_unsynced; /* mutant */
};

static struct sim_file *file_of(struct sl_file *file)
{
    return SL_CONTAINER_OF(file, struct sim_file, base);
}

static void sim_free(struct sl_os *os)
{
    struct sim_os *sim = sim_os_of(os);
    SL_ASSERT(sim->loops == NULL && sim->lanes == NULL && sim->timers == NULL);
    sl_free(sim);
}

/* ---- clocks and randomness ---- */

static int64_t sim_mono_ns(struct sl_os *os)
{
    return sim_os_of(os)->mono_ns + sim_os_of(os)->job_ns;
}

static int64_t sim_wall_ms(struct sl_os *os)
{
    return WALL_MS_AT_START + sim_mono_ns(os) / 1000000;
}

static void sim_random(struct sl_os *os, void *ret_bytes, size_t size)
{
    uint8_t *bytes = ret_bytes;
    for (size_t at = 0; at < size;) {
        uint64_t word = sim_os_random(sim_os_of(os));
        size_t part = SL_MIN(size - at, sizeof word);
        memcpy(bytes + at, &word, part);
        at += part;
    }
}

/* ---- faults ---- */

static bool counts_down(uint64_t *left)
{
    return *left > 0 && --*left == 0;
}

/* Called where an operation changes the disk, before it does. */
static sl_err change_begins(struct sim_os *sim)
{
    return sim->power_off ? SLUICE_E_POWER_CUT : SLUICE_OK;
}

/* Called after; the power cut comes before the caller learns of the end. */
static sl_err change_ends(struct sim_os *sim, sl_err err)
{
    if (counts_down(&sim->faults.power_cut_after)) {
        sim->power_off = true;
        return SLUICE_E_POWER_CUT;
    }
    return err;
}

#define CALL_GROWS (1u << 0) /* may need room on the disk */
#define CALL_OPENS (1u << 1) /* needs a descriptor */

static sl_err call_begins(struct sim_os *sim, uint32_t about)
{
    sl_err err = sim->faults.call_error;
    uint32_t only = err == SLUICE_E_DISK_FULL ? CALL_GROWS : err == SLUICE_E_LIMIT ? CALL_OPENS : 0;
    if (only != 0 && (about & only) == 0)
        return SLUICE_OK;
    return counts_down(&sim->faults.call_fails_after) ? err : SLUICE_OK;
}

/* ---- files ---- */

static sl_err sim_file_open(struct sl_os *os, const char *path, uint32_t flags,
                            struct sl_file **ret_file)
{
    sl_err failed =
        call_begins(sim_os_of(os), CALL_OPENS | ((flags & SL_FILE_CREATE) != 0 ? CALL_GROWS : 0));
    if (failed != SLUICE_OK)
        return failed;
    struct sim_os *sim = sim_os_of(os);
    sl_err err = change_begins(sim);
    if (err != SLUICE_OK)
        return err;
    struct sim_name *name = sim_names_find(&sim->disk->seen, path);
    struct sim_inode *inode = name == NULL ? NULL : name->inode;
    if (name != NULL && (inode == NULL || (flags & SL_FILE_EXCLUSIVE) != 0))
        return inode == NULL ? SLUICE_E_IO : SLUICE_E_EXISTS;
    if (name == NULL && (flags & SL_FILE_CREATE) == 0)
        return SLUICE_E_NOT_FOUND;
    if (name == NULL) {
        err = change_ends(sim, sim_disk_create(sim->disk, path, &inode));
        if (err != SLUICE_OK)
            return err;
    }
    struct sim_file *file = sl_alloc(sizeof *file);
    if (file == NULL)
        return SLUICE_E_NO_MEMORY;
    const char *unsynced = sim->faults.no_sync_of;
    *file =
        (struct sim_file){{os}, inode, flags, unsynced != NULL && strstr(path, unsynced) != NULL};
    inode->open_count++;
    *ret_file = &file->base;
    return SLUICE_OK;
}

static void sim_file_close(struct sl_file *base)
{
    struct sim_file *file = file_of(base);
    file->inode->open_count--;
    if (file->inode->open_count == 0)
        file->inode->locked = false;
    sl_free(file);
}

/* Of calls that wait for the disk: no loop runs a task now. */
static void check_may_block(const struct sl_file *base)
{
    const struct sim_os *sim = sim_os_of(base->os);
    SL_ASSERT(sim->in_job || sim->current == NULL);
}

/* Told to who wants to know what the program's doings depend on. */
static void looks(struct sl_file *base, uint64_t position, uint64_t size)
{
    const struct sl_sim_disk *disk = sim_os_of(base->os)->disk;
    if (disk->look != NULL && size > 0)
        disk->look(disk->look_arg, file_of(base)->inode, position, size);
}

static sl_err read_now(struct sl_file *base, void *buffer, size_t size, uint64_t position,
                       size_t *ret_size)
{
    sl_err failed = call_begins(sim_os_of(base->os), 0);
    if (failed != SLUICE_OK)
        return failed;
    const struct sim_inode *inode = file_of(base)->inode;
    if (sim_os_of(base->os)->power_off)
        return SLUICE_E_POWER_CUT;
    if (position < inode->spoilt_position + inode->spoilt_size &&
        position + size > inode->spoilt_position) {
        sim_os_of(base->os)->disk->spoilt_reads++;
        return SLUICE_E_IO;
    }
    size_t left = position < inode->size ? inode->size - (size_t)position : 0;
    size_t got = SL_MIN(size, left);
    if (got > 0)
        memcpy(buffer, inode->bytes + position, got);
    looks(base, position, got);
    *ret_size = got;
    return SLUICE_OK;
}

static sl_err sim_file_pread(struct sl_file *base, void *buffer, size_t size, uint64_t position,
                             size_t *ret_size)
{
    check_may_block(base);
    return read_now(base, buffer, size, position, ret_size);
}

/* A write of several pieces is one operation: a power cut keeps what it likes of all of it. */
static sl_err sim_file_pwritev(struct sl_file *base, const struct sl_iovec *pieces, size_t count,
                               uint64_t position)
{
    struct sim_os *sim = sim_os_of(base->os);
    struct sim_file *file = file_of(base);
    SL_ASSERT((file->flags & SL_FILE_WRITE) != 0);
    check_may_block(base);
    sl_err err = change_begins(sim);
    if (err == SLUICE_OK && counts_down(&sim->faults.write_fails_after))
        err = SLUICE_E_IO;
    sl_err failed = err != SLUICE_OK ? SLUICE_OK : call_begins(sim, CALL_GROWS);
    count = failed != SLUICE_OK ? count / 2 : count;
    for (size_t i = 0; i < count && err == SLUICE_OK; i++) {
        err = sim_inode_write(sim->disk, file->inode, pieces[i].base, pieces[i].size, position);
        position += pieces[i].size;
    }
    return change_ends(sim, failed != SLUICE_OK ? failed : err);
}

static sl_err sim_file_sync(struct sl_file *base)
{
    struct sim_os *sim = sim_os_of(base->os);
    struct sim_file *file = file_of(base);
    check_may_block(base);
    sl_err err = change_begins(sim);
    if (err != SLUICE_OK)
        return err;
    sim->job_ns += sim->faults.sync_delay_ns;
    if (counts_down(&sim->faults.power_cut_after)) {
        sim->power_off = true; /* in the middle of it: any part is durable */
        return SLUICE_E_POWER_CUT;
    }
    if (counts_down(&sim->faults.sync_fails_after)) {
        sim_inode_sync_failed(file->inode);
        return SLUICE_E_IO;
    }
    err = call_begins(sim, CALL_GROWS); /* blocks are given out late */
    if (err != SLUICE_OK) {
        sim_inode_sync_failed(file->inode);
        return err;
    }
    if (!sim->faults.sync_is_a_lie && !file->is_unsynced)
        sim_inode_sync(file->inode);
    return SLUICE_OK;
}

static sl_err sim_file_truncate(struct sl_file *base, uint64_t size)
{
    sl_err failed =
        call_begins(sim_os_of(base->os), size > file_of(base)->inode->size ? CALL_GROWS : 0);
    if (failed != SLUICE_OK)
        return failed;
    struct sim_os *sim = sim_os_of(base->os);
    sl_err err = change_begins(sim);
    if (err == SLUICE_OK)
        err = sim_inode_resize(sim->disk, file_of(base)->inode, size);
    return change_ends(sim, err);
}

/* Bytes above the size are zero already: filling them is growing. */
static sl_err sim_file_fill_zero(struct sl_file *base, uint64_t size)
{
    if (size <= file_of(base)->inode->size)
        return SLUICE_OK;
    return sim_file_truncate(base, size);
}

static sl_err sim_file_allocate(struct sl_file *base, uint64_t size)
{
    return sim_file_fill_zero(base, size);
}

static sl_err sim_file_link_count(struct sl_file *base, uint64_t *ret_count)
{
    sl_err failed = call_begins(sim_os_of(base->os), 0);
    if (failed != SLUICE_OK)
        return failed;
    *ret_count = sim_disk_links(sim_os_of(base->os)->disk, file_of(base)->inode);
    return SLUICE_OK;
}

static sl_err sim_file_size(struct sl_file *base, uint64_t *ret_size);

static bool sector_is_zero(const struct sim_inode *inode, uint64_t at)
{
    static const uint8_t zeros[SIM_SECTOR];
    return memcmp(inode->bytes + at, zeros, SIM_SECTOR) == 0;
}

/* Sectors of zeros count as never written: what is told is as little as a file system may tell. */
static sl_err sim_file_data_range(struct sl_file *base, uint64_t position, uint64_t *ret_start,
                                  uint64_t *ret_end)
{
    uint64_t size = 0;
    sl_err err = sim_file_size(base, &size);
    if (err != SLUICE_OK)
        return err;
    if (position >= size)
        return SLUICE_E_NOT_FOUND;
    uint64_t start = position / SIM_SECTOR * SIM_SECTOR;
    while (start < size && sector_is_zero(file_of(base)->inode, start))
        start += SIM_SECTOR;
    looks(base, position / SIM_SECTOR * SIM_SECTOR, start - position / SIM_SECTOR * SIM_SECTOR);
    if (start >= size)
        return SLUICE_E_NOT_FOUND;
    uint64_t end = start;
    while (end < size && !sector_is_zero(file_of(base)->inode, end))
        end += SIM_SECTOR;
    looks(base, start, end + SIM_SECTOR - start);
    *ret_start = SL_MAX(start, position);
    *ret_end = SL_MIN(end, size);
    return SLUICE_OK;
}

static sl_err sim_file_size(struct sl_file *base, uint64_t *ret_size)
{
    sl_err failed = call_begins(sim_os_of(base->os), 0);
    if (failed != SLUICE_OK)
        return failed;
    *ret_size = file_of(base)->inode->size;
    return SLUICE_OK;
}

/* What is cold stays cold here: a test finds out who reads without asking. */
static void sim_file_prefetch(struct sl_file *base, uint64_t position, uint64_t size)
{
    (void)base;
    (void)position;
    (void)size;
}

static void sim_file_ask(struct sl_file *base, uint64_t position, uint64_t size)
{
    (void)position;
    sim_os_of(base->os)->asked_bytes += size;
}

static sl_err sim_file_drop_cache(struct sl_file *base, uint64_t position, uint64_t size)
{
    sl_err failed = call_begins(sim_os_of(base->os), 0);
    if (failed != SLUICE_OK)
        return failed;
    sim_inode_drop_cache(file_of(base)->inode, position, size);
    return SLUICE_OK;
}

static sl_err sim_file_lock(struct sl_file *base)
{
    sl_err failed = call_begins(sim_os_of(base->os), 0);
    if (failed != SLUICE_OK)
        return failed;
    struct sim_inode *inode = file_of(base)->inode;
    if (inode->locked)
        return SLUICE_E_LOCKED;
    inode->locked = true;
    return SLUICE_OK;
}

/* ---- directories ---- */

static sl_err sim_dir_make(struct sl_os *os, const char *path)
{
    sl_err failed = call_begins(sim_os_of(os), CALL_GROWS);
    if (failed != SLUICE_OK)
        return failed;
    struct sim_os *sim = sim_os_of(os);
    sl_err err = change_begins(sim);
    char part[SIM_PATH_MAX];
    size_t size = strlen(path);
    if (size >= sizeof part)
        return SLUICE_E_INVALID;
    for (size_t i = 1; i <= size && err == SLUICE_OK; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (sim_names_find(&sim->disk->seen, part) == NULL)
            err = sim_disk_directory(sim->disk, part);
    }
    return err;
}

static sl_err sim_dir_list(struct sl_os *os, const char *path, sl_dir_entry_fn *entry, void *arg)
{
    sl_err failed = call_begins(sim_os_of(os), CALL_OPENS);
    if (failed != SLUICE_OK)
        return failed;
    struct sim_os *sim = sim_os_of(os);
    if (sim->power_off)
        return SLUICE_E_POWER_CUT;
    if (sim_names_find(&sim->disk->seen, path) == NULL)
        return SLUICE_E_NOT_FOUND;
    size_t size = strlen(path);
    for (uint32_t i = 0; i < sim->disk->seen.count; i++) {
        const struct sim_name *name = &sim->disk->seen.at[i];
        if (strncmp(name->path, path, size) == 0 && name->path[size] == '/' &&
            strchr(name->path + size + 1, '/') == NULL)
            entry(arg, name->path + size + 1, name->inode == NULL);
    }
    return SLUICE_OK;
}

static bool ends_with(const char *path, const char *end)
{
    size_t size = strlen(path);
    return end != NULL && size >= strlen(end) && strcmp(path + size - strlen(end), end) == 0;
}

static sl_err sim_dir_sync(struct sl_os *os, const char *path)
{
    sl_err failed = call_begins(sim_os_of(os), CALL_OPENS);
    if (failed != SLUICE_OK)
        return failed;
    struct sim_os *sim = sim_os_of(os);
    sl_err err = change_begins(sim);
    if (err != SLUICE_OK)
        return err;
    if (counts_down(&sim->faults.power_cut_after)) {
        sim->power_off = true;
        return SLUICE_E_POWER_CUT;
    }
    if (!sim->faults.sync_is_a_lie && !ends_with(path, sim->faults.no_dir_sync_of))
        sim_disk_sync_names(sim->disk, path);
    return SLUICE_OK;
}

static sl_err sim_file_pread_cached(struct sl_file *file, void *buffer, size_t size,
                                    uint64_t position, size_t *ret_size)
{
    return sim_os_of(file->os)->faults.reads_are_cold
               ? SLUICE_E_WOULD_BLOCK
               : read_now(file, buffer, size, position, ret_size);
}

static sl_err sim_path_rename(struct sl_os *os, const char *from, const char *to)
{
    sl_err failed = call_begins(sim_os_of(os), CALL_GROWS);
    if (failed != SLUICE_OK)
        return failed;
    struct sim_os *sim = sim_os_of(os);
    sl_err err = change_begins(sim);
    if (err == SLUICE_OK)
        err = sim_disk_rename(sim->disk, from, to);
    return change_ends(sim, err);
}

static sl_err sim_path_link(struct sl_os *os, const char *from, const char *to)
{
    sl_err failed = call_begins(sim_os_of(os), CALL_GROWS);
    if (failed != SLUICE_OK)
        return failed;
    struct sim_os *sim = sim_os_of(os);
    sl_err err = change_begins(sim);
    if (err == SLUICE_OK)
        err = sim_disk_link(sim->disk, from, to);
    return change_ends(sim, err);
}

static sl_err sim_path_remove(struct sl_os *os, const char *path)
{
    sl_err failed = call_begins(sim_os_of(os), 0);
    if (failed != SLUICE_OK)
        return failed;
    struct sim_os *sim = sim_os_of(os);
    sl_err err = change_begins(sim);
    if (err == SLUICE_OK)
        err = sim_disk_remove(sim->disk, path);
    return change_ends(sim, err);
}

static sl_err sim_disk_space(struct sl_os *os, const char *path, uint64_t *ret_total_bytes,
                             uint64_t *ret_available_bytes)
{
    sl_err failed = call_begins(sim_os_of(os), 0);
    if (failed != SLUICE_OK)
        return failed;
    (void)path;
    const struct sl_sim_disk *disk = sim_os_of(os)->disk;
    *ret_total_bytes = disk->capacity_bytes;
    *ret_available_bytes =
        disk->capacity_bytes > disk->used_bytes ? disk->capacity_bytes - disk->used_bytes : 0;
    return SLUICE_OK;
}

/* ---- the instance ---- */

static const struct sl_os_ops sim_ops = {
    .name = "sim",
    .os_free = sim_free,
    .mono_ns = sim_mono_ns,
    .wall_ms = sim_wall_ms,
    .random = sim_random,
    .file_open = sim_file_open,
    .file_close = sim_file_close,
    .file_pread = sim_file_pread,
    .file_pread_cached = sim_file_pread_cached,
    .file_pwritev = sim_file_pwritev,
    .file_sync = sim_file_sync,
    .file_allocate = sim_file_allocate,
    .file_fill_zero = sim_file_fill_zero,
    .file_truncate = sim_file_truncate,
    .file_size = sim_file_size,
    .file_link_count = sim_file_link_count,
    .file_prefetch = sim_file_prefetch,
    .file_ask = sim_file_ask,
    .file_data_range = sim_file_data_range,
    .file_drop_cache = sim_file_drop_cache,
    .file_lock = sim_file_lock,
    .dir_make = sim_dir_make,
    .dir_list = sim_dir_list,
    .dir_sync = sim_dir_sync,
    .path_rename = sim_path_rename,
    .path_link = sim_path_link,
    .path_remove = sim_path_remove,
    .disk_space = sim_disk_space,
    .loop_new = sim_loop_new,
    .loop_run = sim_loop_run,
    .loop_start = sim_loop_start,
    .loop_join = sim_loop_join,
    .loop_stop = sim_loop_stop,
    .loop_free = sim_loop_free,
    .loop_post = sim_loop_post,
    .loop_now_ns = sim_loop_now_ns,
    .loop_is_current = sim_loop_is_current,
    .timer_new = sim_timer_new,
    .timer_start = sim_timer_start,
    .timer_stop = sim_timer_stop,
    .timer_free = sim_timer_free,
    .lane_new = sim_lane_new,
    .lane_free = sim_lane_free,
    .lane_submit = sim_lane_submit,
    .helpers_submit = sim_helpers_submit,
    .reader_new = sim_reader_new,
    .reader_free = sim_reader_free,
    .reader_submit = sim_reader_submit,
    .reader_wait = sim_reader_wait,
};

sl_err sl_os_sim_new(uint64_t seed, struct sl_sim_disk *disk, const struct sl_sim_faults *faults,
                     struct sl_os **ret_os)
{
    struct sim_os *sim = sl_alloc_zero(1, sizeof *sim);
    if (sim == NULL)
        return SLUICE_E_NO_MEMORY;
    sim->base.ops = &sim_ops;
    sim->disk = disk;
    sim->random = seed;
    if (faults != NULL)
        sim->faults = *faults;
    for (uint32_t i = 0; i < SIM_HELPERS; i++)
        sim->helpers[i].jobs = &sim->helper_jobs;
    *ret_os = &sim->base;
    return SLUICE_OK;
}

bool sl_os_sim_power_is_off(struct sl_os *os)
{
    return sim_os_of(os)->power_off;
}

uint64_t sl_os_sim_calls_left(struct sl_os *os)
{
    return sim_os_of(os)->faults.call_fails_after;
}

uint64_t sl_os_sim_asked_bytes(struct sl_os *os)
{
    return sim_os_of(os)->asked_bytes;
}
