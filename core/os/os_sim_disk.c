/* os_sim_disk.c: files and names of the simulated disk, and its power cuts (os_sim_disk.h). */
#include "os/os_sim_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INODE_BYTES_MAX (256u << 20) /* of one simulated file */

uint64_t sim_random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* The disk stands in for hardware: what it needs is not of the program's memory, whose allocators
 * tests let fail. */
static void *disk_realloc(void *memory, size_t size)
{
    memory = realloc(memory, size);
    SL_ASSERT(memory != NULL);
    return memory;
}

static void *disk_alloc_zero(size_t size)
{
    return memset(disk_realloc(NULL, size), 0, size);
}

struct sl_sim_disk *sl_sim_disk_new(uint64_t seed)
{
    struct sl_sim_disk *disk = disk_alloc_zero(sizeof *disk);
    disk->random = seed;
    disk->capacity_bytes = UINT64_MAX;
    return disk;
}

static void inode_free(struct sim_inode *inode)
{
    free(inode->bytes);
    free(inode->undo_of);
    free(inode->undo);
    free(inode);
}

static void inode_list_free(struct sim_inode *inode)
{
    while (inode != NULL) {
        struct sim_inode *next = inode->next;
        inode_free(inode);
        inode = next;
    }
}

struct sl_sim_disk *sl_sim_disk_free(struct sl_sim_disk *disk)
{
    if (disk == NULL)
        return NULL;
    inode_list_free(disk->inodes);
    inode_list_free(disk->free_inodes);
    free(disk->seen.at);
    free(disk->durable.at);
    free(disk->changes);
    free(disk);
    return NULL;
}

void sl_sim_disk_set_capacity(struct sl_sim_disk *disk, uint64_t bytes)
{
    disk->capacity_bytes = bytes;
}

/* ---- names ---- */

struct sim_name *sim_names_find(struct sim_names *names, const char *path)
{
    for (uint32_t i = 0; i < names->count; i++) {
        if (strcmp(names->at[i].path, path) == 0)
            return &names->at[i];
    }
    return NULL;
}

static void names_remove(struct sim_names *names, struct sim_name *name)
{
    *name = names->at[--names->count];
}

static void names_grow(struct sim_names *names)
{
    names->capacity = names->capacity == 0 ? 16 : names->capacity * 2;
    names->at = disk_realloc(names->at, names->capacity * sizeof *names->at);
}

static void names_bind(struct sim_names *names, const char *path, struct sim_inode *inode)
{
    struct sim_name *name = sim_names_find(names, path);
    if (name == NULL) {
        if (names->count == names->capacity)
            names_grow(names);
        name = &names->at[names->count++];
        snprintf(name->path, sizeof name->path, "%s", path);
    }
    name->inode = inode;
}

static size_t directory_size(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : (size_t)(slash - path);
}

static bool is_same_directory(const char *a, const char *b)
{
    size_t size = directory_size(a);
    return directory_size(b) == size && memcmp(a, b, size) == 0;
}

/* An inode has one name at most in a directory: a rename that happened without the one before it
 * moves it all the same. Renames stay within a directory, links go to another one. */
static void names_unbind_inode(struct sim_names *names, const struct sim_inode *inode,
                               const char *path)
{
    for (uint32_t i = 0; i < names->count; i++) {
        if (names->at[i].inode == inode && is_same_directory(names->at[i].path, path))
            names_remove(names, &names->at[i--]);
    }
}

static void change_apply(struct sim_names *names, const struct sim_change *change)
{
    if (change->kind == SIM_REMOVE) {
        struct sim_name *name = sim_names_find(names, change->path);
        if (name != NULL && name->inode == change->inode)
            names_remove(names, name);
        return;
    }
    if (change->kind == SIM_RENAME)
        names_unbind_inode(names, change->inode, change->path);
    names_bind(names, change->path, change->inode);
}

static void change_add(struct sl_sim_disk *disk, enum sim_change_kind kind, const char *path,
                       struct sim_inode *inode)
{
    if (disk->change_count == disk->change_capacity) {
        disk->change_capacity = disk->change_capacity == 0 ? 16 : disk->change_capacity * 2;
        disk->changes = disk_realloc(disk->changes, disk->change_capacity * sizeof *disk->changes);
    }
    struct sim_change *change = &disk->changes[disk->change_count++];
    change->kind = kind;
    change->inode = inode;
    memcpy(change->path, path, strlen(path) + 1);
}

static void change_make(struct sl_sim_disk *disk, enum sim_change_kind kind, const char *path,
                        struct sim_inode *inode)
{
    change_add(disk, kind, path, inode);
    change_apply(&disk->seen, &disk->changes[disk->change_count - 1]);
}

/* ---- inodes ---- */

static void inode_changes(struct sim_inode *inode)
{
    static uint64_t last;
    inode->stamp = ++last;
}

/* An empty one, in no list. */
static struct sim_inode *inode_new(struct sl_sim_disk *disk)
{
    struct sim_inode *inode = disk->free_inodes;
    if (inode == NULL)
        return disk_alloc_zero(sizeof *inode);
    disk->free_inodes = inode->next;
    return inode;
}

static struct sim_inode *inode_take(struct sl_sim_disk *disk)
{
    struct sim_inode *inode = inode_new(disk);
    inode->next = disk->inodes;
    disk->inodes = inode;
    return inode;
}

static void inode_release(struct sl_sim_disk *disk, struct sim_inode *inode)
{
    for (uint32_t i = 0; i < inode->undo_count; i++)
        inode->undo_of[inode->undo[i].sector] = 0;
    if (inode->size > 0)
        memset(inode->bytes, 0, inode->size);
    inode->undo_count = 0;
    inode->size = 0;
    inode->durable_size = 0;
    inode->stamp = 0;
    inode->spoilt_size = 0;
    inode->locked = false;
    inode->next = disk->free_inodes;
    disk->free_inodes = inode;
}

static void mark(const struct sim_names *names)
{
    for (uint32_t i = 0; i < names->count; i++) {
        if (names->at[i].inode != NULL)
            names->at[i].inode->marked = true;
    }
}

/* Keeps inodes that have a name (seen or durable), a pending change or an open file. */
static void collect(struct sl_sim_disk *disk)
{
    for (struct sim_inode *i = disk->inodes; i != NULL; i = i->next)
        i->marked = i->open_count > 0;
    mark(&disk->seen);
    mark(&disk->durable);
    for (uint32_t i = 0; i < disk->change_count; i++) {
        if (disk->changes[i].inode != NULL)
            disk->changes[i].inode->marked = true;
    }
    disk->used_bytes = 0;
    for (struct sim_inode **link = &disk->inodes; *link != NULL;) {
        struct sim_inode *inode = *link;
        if (inode->marked) {
            disk->used_bytes += inode->size;
            link = &inode->next;
            continue;
        }
        *link = inode->next;
        inode_release(disk, inode);
    }
}

static void inode_grow(struct sim_inode *inode, size_t size)
{
    if (size <= inode->capacity)
        return;
    size_t capacity = inode->capacity == 0 ? 8192 : inode->capacity;
    while (capacity < size)
        capacity *= 2;
    inode->bytes = disk_realloc(inode->bytes, capacity);
    inode->undo_of = disk_realloc(inode->undo_of, capacity / SIM_SECTOR * sizeof *inode->undo_of);
    size_t old_sectors = inode->capacity / SIM_SECTOR;
    memset(inode->bytes + inode->capacity, 0, capacity - inode->capacity);
    memset(inode->undo_of + old_sectors, 0,
           (capacity / SIM_SECTOR - old_sectors) * sizeof *inode->undo_of);
    inode->capacity = capacity;
}

uint8_t *sl_sim_disk_bytes(struct sl_sim_disk *disk, const char *path, size_t *ret_size)
{
    struct sim_name *name = sim_names_find(&disk->seen, path);
    if (name == NULL || name->inode == NULL)
        return NULL;
    inode_grow(name->inode, 1); /* an empty file is not a missing one */
    inode_changes(name->inode); /* the caller may write */
    *ret_size = name->inode->size;
    return name->inode->bytes;
}

void sl_sim_disk_spoil(struct sl_sim_disk *disk, const char *path, uint64_t position, uint64_t size)
{
    struct sim_name *name = sim_names_find(&disk->seen, path);
    SL_ASSERT(name != NULL && name->inode != NULL);
    name->inode->spoilt_position = position;
    name->inode->spoilt_size = size;
}

uint64_t sl_sim_disk_spoilt_reads(const struct sl_sim_disk *disk)
{
    return disk->spoilt_reads;
}

static void undo_keep(struct sim_inode *inode, uint32_t sector)
{
    if (inode->undo_of[sector] != 0) {
        inode->undo[inode->undo_of[sector] - 1].lost = false;
        return;
    }
    if (inode->undo_count == inode->undo_capacity) {
        inode->undo_capacity = inode->undo_capacity == 0 ? 64 : inode->undo_capacity * 2;
        inode->undo = disk_realloc(inode->undo, inode->undo_capacity * sizeof *inode->undo);
    }
    struct sim_undo *undo = &inode->undo[inode->undo_count++];
    undo->sector = sector;
    undo->lost = false;
    memcpy(undo->bytes, inode->bytes + (size_t)sector * SIM_SECTOR, SIM_SECTOR);
    inode->undo_of[sector] = inode->undo_count;
}

static void undo_range(struct sim_inode *inode, uint64_t position, uint64_t size)
{
    uint32_t first = (uint32_t)(position / SIM_SECTOR);
    uint32_t last = (uint32_t)((position + size - 1) / SIM_SECTOR);
    for (uint32_t sector = first; size > 0 && sector <= last; sector++)
        undo_keep(inode, sector);
}

sl_err sim_inode_write(struct sl_sim_disk *disk, struct sim_inode *inode, const void *data,
                       size_t size, uint64_t position)
{
    uint64_t end = position + size;
    if (end > INODE_BYTES_MAX)
        return SLUICE_E_LIMIT;
    if (end > inode->size && disk->used_bytes + (end - inode->size) > disk->capacity_bytes)
        return SLUICE_E_DISK_FULL;
    if (size == 0)
        return SLUICE_OK;
    inode_changes(inode);
    inode_grow(inode, (size_t)end);
    undo_range(inode, position, size);
    memcpy(inode->bytes + position, data, size);
    if (end > inode->size) {
        disk->used_bytes += end - inode->size;
        inode->size = (size_t)end;
    }
    return SLUICE_OK;
}

sl_err sim_inode_resize(struct sl_sim_disk *disk, struct sim_inode *inode, uint64_t size)
{
    if (size > INODE_BYTES_MAX)
        return SLUICE_E_LIMIT;
    if (size > inode->size && disk->used_bytes + (size - inode->size) > disk->capacity_bytes)
        return SLUICE_E_DISK_FULL;
    inode_changes(inode);
    inode_grow(inode, (size_t)size);
    if (size < inode->size) {
        undo_range(inode, size, inode->size - size);
        memset(inode->bytes + size, 0, inode->size - size);
    }
    disk->used_bytes += size;
    disk->used_bytes -= inode->size;
    inode->size = (size_t)size;
    return SLUICE_OK;
}

static void undo_restore(struct sim_inode *inode, const struct sim_undo *undo)
{
    memcpy(inode->bytes + (size_t)undo->sector * SIM_SECTOR, undo->bytes, SIM_SECTOR);
}

void sim_inode_sync(struct sim_inode *inode)
{
    uint32_t kept = 0;
    inode_changes(inode);
    for (uint32_t i = 0; i < inode->undo_count; i++) {
        uint32_t sector = inode->undo[i].sector;
        if (!inode->undo[i].lost) {
            inode->undo_of[sector] = 0;
            continue;
        }
        if (kept != i)
            inode->undo[kept] = inode->undo[i];
        inode->undo_of[sector] = ++kept;
    }
    inode->undo_count = kept;
    inode->durable_size = inode->size;
}

void sim_inode_sync_failed(struct sim_inode *inode)
{
    inode_changes(inode);
    for (uint32_t i = 0; i < inode->undo_count; i++)
        inode->undo[i].lost = true;
}

void sim_inode_drop_cache(struct sim_inode *inode, uint64_t position, uint64_t size)
{
    uint64_t end = size == 0 ? UINT64_MAX : position + size;
    uint32_t kept = 0;
    inode_changes(inode);
    for (uint32_t i = 0; i < inode->undo_count; i++) {
        uint32_t sector = inode->undo[i].sector;
        uint64_t at = (uint64_t)sector * SIM_SECTOR;
        if (inode->undo[i].lost && at + SIM_SECTOR > position && at < end) {
            undo_restore(inode, &inode->undo[i]);
            inode->undo_of[sector] = 0;
            continue;
        }
        if (kept != i)
            inode->undo[kept] = inode->undo[i];
        inode->undo_of[sector] = ++kept;
    }
    inode->undo_count = kept;
}

/* ---- changes of names ---- */

sl_err sim_disk_create(struct sl_sim_disk *disk, const char *path, struct sim_inode **ret_inode)
{
    if (strlen(path) >= SIM_PATH_MAX)
        return SLUICE_E_INVALID;
    struct sim_inode *inode = inode_take(disk);
    change_make(disk, SIM_CREATE, path, inode);
    *ret_inode = inode;
    return SLUICE_OK;
}

sl_err sim_disk_directory(struct sl_sim_disk *disk, const char *path)
{
    if (strlen(path) >= SIM_PATH_MAX)
        return SLUICE_E_INVALID;
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path) { /* nobody can sync what it lies in */
        names_bind(&disk->seen, path, NULL);
        names_bind(&disk->durable, path, NULL);
        return SLUICE_OK;
    }
    change_make(disk, SIM_CREATE, path, NULL);
    return SLUICE_OK;
}

sl_err sim_disk_rename(struct sl_sim_disk *disk, const char *from, const char *to)
{
    if (strlen(to) >= SIM_PATH_MAX)
        return SLUICE_E_INVALID;
    struct sim_name *name = sim_names_find(&disk->seen, from);
    if (name == NULL || name->inode == NULL)
        return SLUICE_E_NOT_FOUND;
    SL_ASSERT(is_same_directory(from, to));
    change_make(disk, SIM_RENAME, to, name->inode);
    return SLUICE_OK;
}

sl_err sim_disk_link(struct sl_sim_disk *disk, const char *from, const char *to)
{
    if (strlen(to) >= SIM_PATH_MAX)
        return SLUICE_E_INVALID;
    struct sim_name *name = sim_names_find(&disk->seen, from);
    if (name == NULL || name->inode == NULL)
        return SLUICE_E_NOT_FOUND;
    if (sim_names_find(&disk->seen, to) != NULL)
        return SLUICE_E_EXISTS;
    SL_ASSERT(!is_same_directory(from, to));
    change_make(disk, SIM_LINK, to, name->inode);
    return SLUICE_OK;
}

uint32_t sim_disk_links(const struct sl_sim_disk *disk, const struct sim_inode *inode)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < disk->seen.count; i++)
        count += disk->seen.at[i].inode == inode;
    return count;
}

sl_err sim_disk_remove(struct sl_sim_disk *disk, const char *path)
{
    struct sim_name *name = sim_names_find(&disk->seen, path);
    if (name == NULL || name->inode == NULL)
        return SLUICE_E_NOT_FOUND;
    change_make(disk, SIM_REMOVE, path, name->inode);
    return SLUICE_OK;
}

static bool is_directly_below(const char *path, const char *directory)
{
    size_t size = strlen(directory);
    return strncmp(path, directory, size) == 0 && path[size] == '/' &&
           strchr(path + size + 1, '/') == NULL;
}

void sim_disk_sync_names(struct sl_sim_disk *disk, const char *directory)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < disk->change_count; i++) {
        if (is_directly_below(disk->changes[i].path, directory))
            change_apply(&disk->durable, &disk->changes[i]);
        else
            disk->changes[kept++] = disk->changes[i];
    }
    disk->change_count = kept;
    collect(disk);
}

/* ---- power cuts ---- */

/* How much of what was under way survives one cut; drawn per file, so that all and nothing are
 * common. */
struct cut {
    uint32_t first; /* undo entries before it and from last on are put back … */
    uint32_t last;
    uint32_t lose_of_256; /* … and so are these of the others */
};

static struct cut cut_draw(uint64_t *random, uint32_t count)
{
    struct cut cut = {0, count, 0};
    switch (sim_random_next(random) % 6) {
    case 0:
        break;
    case 1:
        cut.lose_of_256 = 256;
        break;
    case 2:
        cut.last = (uint32_t)(sim_random_next(random) % (count + 1));
        break;
    case 3:
        cut.first = (uint32_t)(sim_random_next(random) % (count + 1));
        break;
    default:
        cut.lose_of_256 = (uint32_t)(sim_random_next(random) % 256);
        break;
    }
    return cut;
}

static void cut_sector(struct sim_inode *inode, const struct sim_undo *undo, uint64_t random,
                       bool lose)
{
    if (lose) {
        undo_restore(inode, undo);
        return;
    }
    if (((random >> 8) & 15u) == 0) { /* torn: a part of the sector is the old one */
        size_t keep = ((random >> 16) % (SIM_SECTOR / 8)) * 8;
        memcpy(inode->bytes + (size_t)undo->sector * SIM_SECTOR + keep, undo->bytes + keep,
               SIM_SECTOR - keep);
    }
}

static void cut_inode(struct sl_sim_disk *disk, struct sim_inode *inode)
{
    if (inode->undo_count == 0 && inode->size == inode->durable_size)
        return;
    inode_changes(inode);
    struct cut cut = cut_draw(&disk->random, inode->undo_count);
    bool old_size = inode->size != inode->durable_size && (sim_random_next(&disk->random) & 1) != 0;
    bool untruncate = old_size && inode->durable_size > inode->size;
    for (uint32_t i = 0; i < inode->undo_count; i++) {
        const struct sim_undo *undo = &inode->undo[i];
        uint64_t random = sim_random_next(&disk->random);
        bool lose =
            undo->lost || i < cut.first || i >= cut.last || (random & 255) < cut.lose_of_256;
        cut_sector(inode, undo, random, lose || untruncate);
        inode->undo_of[undo->sector] = 0;
    }
    inode->undo_count = 0;
    size_t size = old_size ? inode->durable_size : inode->size;
    if (size < inode->capacity)
        memset(inode->bytes + size, 0, inode->capacity - size);
    inode->size = size;
    inode->durable_size = size;
}

static bool has_parent(struct sim_names *names, const char *path)
{
    char parent[SIM_PATH_MAX];
    const char *end = strrchr(path, '/');
    if (end == NULL || end == path)
        return true;
    snprintf(parent, sizeof parent, "%.*s", (int)(end - path), path);
    return sim_names_find(names, parent) != NULL;
}

/* What lies in a directory whose name was lost is lost. */
static void cut_orphans(struct sim_names *names)
{
    for (uint32_t i = 0; i < names->count; i++) {
        if (!has_parent(names, names->at[i].path)) {
            names_remove(names, &names->at[i]);
            i = UINT32_MAX; /* from the start: it may have been a directory */
        }
    }
}

static void cut_names(struct sl_sim_disk *disk)
{
    bool in_order = (sim_random_next(&disk->random) & 1) != 0;
    uint32_t first_lost = (uint32_t)(sim_random_next(&disk->random) % (disk->change_count + 1));
    for (uint32_t i = 0; i < disk->change_count; i++) {
        bool kept = in_order ? i < first_lost : (sim_random_next(&disk->random) & 1) != 0;
        if (kept)
            change_apply(&disk->durable, &disk->changes[i]);
    }
    disk->change_count = 0;
    cut_orphans(&disk->durable);
    while (disk->seen.capacity < disk->durable.count)
        names_grow(&disk->seen);
    memcpy(disk->seen.at, disk->durable.at, disk->durable.count * sizeof *disk->seen.at);
    disk->seen.count = disk->durable.count;
}

void sl_sim_disk_power_cut(struct sl_sim_disk *disk)
{
    for (struct sim_inode *inode = disk->inodes; inode != NULL; inode = inode->next) {
        SL_ASSERT(inode->open_count == 0);
        inode->locked = false;
        cut_inode(disk, inode);
    }
    cut_names(disk);
    collect(disk);
}

/* ---- copies ---- */

/* to: empty. */
static void inode_copy(struct sim_inode *to, const struct sim_inode *from)
{
    inode_grow(to, SL_MAX(from->size, from->durable_size));
    if (from->size > 0)
        memcpy(to->bytes, from->bytes, from->size);
    to->size = from->size;
    to->durable_size = from->durable_size;
    to->spoilt_position = from->spoilt_position;
    to->spoilt_size = from->spoilt_size;
    for (uint32_t i = 0; i < from->undo_count; i++) {
        const struct sim_undo *undo = &from->undo[i];
        inode_grow(to, ((size_t)undo->sector + 1) * SIM_SECTOR); /* of a file that was shortened */
        undo_keep(to, undo->sector);
        to->undo[i] = *undo;
    }
    to->stamp = from->stamp;
}

static void names_copy(struct sim_names *to, const struct sim_names *from)
{
    while (to->capacity < from->count)
        names_grow(to);
    for (uint32_t i = 0; i < from->count; i++) {
        struct sim_name *name = &to->at[i];
        memcpy(name->path, from->at[i].path, strlen(from->at[i].path) + 1);
        name->inode = from->at[i].inode == NULL ? NULL : from->at[i].inode->twin;
    }
    to->count = from->count;
}

/* What holds the same already, as most files do that are copied again and again, stays as it is:
 * taken out of the list of what `to` had. */
static struct sim_inode *inode_reuse(struct sim_inode **old, const struct sim_inode *from)
{
    for (struct sim_inode **link = old; from->stamp != 0 && *link != NULL; link = &(*link)->next) {
        struct sim_inode *inode = *link;
        if (inode->stamp == from->stamp) {
            *link = inode->next;
            return inode;
        }
    }
    return NULL;
}

/* In the order of `from`: the list of inodes, and its twins. */
static void inodes_copy(struct sl_sim_disk *to, const struct sl_sim_disk *from)
{
    struct sim_inode *old = to->inodes;
    struct sim_inode **end = &to->inodes;
    for (struct sim_inode *inode = old; inode != NULL; inode = inode->next)
        SL_ASSERT(inode->open_count == 0);
    for (struct sim_inode *inode = from->inodes; inode != NULL; inode = inode->next)
        inode->twin = inode_reuse(&old, inode);
    while (old != NULL) {
        struct sim_inode *next = old->next;
        inode_release(to, old);
        old = next;
    }
    for (struct sim_inode *inode = from->inodes; inode != NULL; inode = inode->next) {
        if (inode->twin == NULL) {
            inode->twin = inode_new(to);
            inode_copy(inode->twin, inode);
        }
        *end = inode->twin;
        end = &inode->twin->next;
    }
    *end = NULL;
}

void sl_sim_disk_copy(struct sl_sim_disk *to, const struct sl_sim_disk *from, uint64_t seed)
{
    inodes_copy(to, from);
    to->seen.count = 0;
    to->durable.count = 0;
    to->change_count = 0;
    to->random = seed;
    to->capacity_bytes = from->capacity_bytes;
    to->used_bytes = from->used_bytes;
    names_copy(&to->seen, &from->seen);
    names_copy(&to->durable, &from->durable);
    for (uint32_t i = 0; i < from->change_count; i++) {
        const struct sim_change *change = &from->changes[i];
        change_add(to, change->kind, change->path,
                   change->inode == NULL ? NULL : change->inode->twin);
    }
}
