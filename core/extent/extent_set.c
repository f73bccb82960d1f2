/* extent_set.c: the table of live extents, what is held of them, and reading (extent_set.h).
 *
 * A helper's read finds its extent without a lock: nothing of the table moves and what is pinned
 * stays (extent_table.h). When the file is closed the helper opens it and leaves it open; the loop
 * counts it when the pin goes, and closes what was unused for longest. */
#include "extent/extent_state.h"

#include <stdio.h>
#include <string.h>

/* ---- extents ---- */

struct extent *extent_free(struct extent *extent)
{
    sl_file_close(atomic_load_explicit(&extent->file, memory_order_acquire));
    sl_free(extent);
    return NULL;
}

struct extent *extent_set_find(const struct extent_set *set, uint64_t id)
{
    struct extent *extent = extent_table_find(&set->table, id);
    return extent == NULL || extent->dropped ? NULL : extent;
}

struct extent *extent_set_insert(struct extent_set *set, const struct extent_item *item)
{
    struct extent *extent = set->spares;
    SL_ASSERT(extent != NULL && set->reserved > 0);
    set->spares = extent->next;
    set->reserved--;
    memset(extent, 0, sizeof *extent);
    extent->item = *item;
    sl_link_init(&extent->dead);
    sl_link_init(&extent->open);
    /* What else a promoted one has died at the latest when its copy does: not known here. */
    extent->dead_since_ms = item->promoted && !item->pure ? item->created_ms : 0;
    extent_table_insert(&set->table, item->id, extent);
    sl_list_push_back(&set->dead, &extent->dead);
    set->extent_count++;
    set->file_bytes += item->file_size;
    set->id_max = SL_MAX(set->id_max, item->id);
    return extent;
}

static void uncount(struct extent_set *set, struct extent *extent)
{
    extent->dropped = true;
    sl_list_remove(&extent->dead);
    set->extent_count--;
    set->file_bytes -= extent->item.file_size;
}

void extent_set_take_out(struct extent_set *set, struct extent *extent)
{
    if (!extent->dropped)
        uncount(set, extent);
    if (sl_link_is_listed(&extent->open)) {
        sl_list_remove(&extent->open);
        set->open_count--;
    }
    extent_table_remove(&set->table, extent->item.id);
}

void extent_set_opened(struct extent_set *set, struct extent *extent)
{
    if (sl_link_is_listed(&extent->open))
        sl_list_remove(&extent->open);
    else
        set->open_count++;
    sl_list_push_front(&set->open, &extent->open);
}

/* ---- life of the set ---- */

sl_err extent_set_new(const struct extent_set_config *config, struct extent_set **ret_set)
{
    if (config->open_files_max == 0 || strlen(config->directory) + 64 > EXTENT_PATH_MAX)
        return SLUICE_E_INVALID;
    struct extent_set *set = sl_alloc_zero(1, sizeof *set);
    if (set == NULL)
        return SLUICE_E_NO_MEMORY;
    set->os = config->os;
    set->loop = config->loop;
    set->cluster = config->cluster;
    set->shard = config->shard;
    set->open_files_max = config->open_files_max;
    extent_table_init(&set->table);
    sl_list_init(&set->dead);
    sl_list_init(&set->open);
    extent_upkeep_init(set);
    snprintf(set->directory, sizeof set->directory, "%s/ext", config->directory);
    sl_err err = sl_dir_make(set->os, set->directory);
    if (err == SLUICE_OK)
        err = sl_dir_sync(set->os, config->directory);
    if (err != SLUICE_OK) {
        extent_set_free(set);
        return err;
    }
    *ret_set = set;
    return SLUICE_OK;
}

static void extents_free(struct extent *first)
{
    while (first != NULL) {
        struct extent *next = first->next;
        extent_free(first);
        first = next;
    }
}

struct extent_set *extent_set_free(struct extent_set *set)
{
    if (set == NULL)
        return NULL;
    extent_upkeep_fini(set);
    for (struct extent *extent; (extent = extent_table_from(&set->table, 0)) != NULL;) {
        extent_set_take_out(set, extent);
        extent_free(extent);
    }
    extents_free(set->removable);
    extents_free(set->spares);
    extent_table_fini(&set->table);
    sl_free(set);
    return NULL;
}

const char *extent_set_directory(const struct extent_set *set)
{
    return set->directory;
}

uint64_t extent_set_next_id(struct extent_set *set)
{
    return ++set->id_max;
}

sl_err extent_set_reserve(struct extent_set *set, uint32_t count)
{
    sl_err err = extent_table_reserve(&set->table, set->reserved + count);
    for (uint32_t i = 0; i < count && err == SLUICE_OK; i++) {
        struct extent *spare = sl_alloc_zero(1, sizeof *spare);
        if (spare == NULL)
            return SLUICE_E_NO_MEMORY;
        spare->next = set->spares;
        set->spares = spare;
        set->reserved++;
    }
    return err;
}

void extent_set_add(struct extent_set *set, const struct extent_item *item, struct sl_file *file)
{
    SL_ASSERT(extent_table_find(&set->table, item->id) == NULL);
    struct extent *extent = extent_set_insert(set, item);
    atomic_store_explicit(&extent->file, file, memory_order_release);
    extent_set_opened(set, extent);
    extent_upkeep_request(set);
}

/* ---- held bytes ---- */

static bool place_is_ours(const struct wal_place *place)
{
    return (place->segment & WAL_PLACE_EXTENT) != 0;
}

static uint64_t place_id(const struct wal_place *place)
{
    return place->segment & ~WAL_PLACE_EXTENT;
}

void extent_set_hold_bytes(struct extent_set *set, uint64_t id, uint64_t bytes)
{
    struct extent *extent = extent_set_find(set, id);
    SL_ASSERT(extent != NULL && !extent->given);
    extent->held += bytes;
    set->live_bytes += bytes;
    SL_ASSERT(extent->held <= extent->item.bytes);
    if (extent->held > 0)
        sl_list_remove(&extent->dead);
}

void extent_set_hold(struct extent_set *set, const struct wal_place *place)
{
    if (place_is_ours(place))
        extent_set_hold_bytes(set, place_id(place), place->size);
}

static void dead_list(struct extent_set *set, struct extent *extent)
{
    if (extent->held == 0 && !extent->given && !extent->moving && !sl_link_is_listed(&extent->dead))
        sl_list_push_back(&set->dead, &extent->dead);
}

void extent_set_release(struct extent_set *set, const struct wal_place *place)
{
    if (!place_is_ours(place))
        return;
    struct extent *extent = extent_set_find(set, place_id(place));
    SL_ASSERT(extent != NULL && extent->held >= place->size);
    extent->held -= place->size;
    set->live_bytes -= place->size;
    if (extent->dead_since_ms == 0)
        extent->dead_since_ms = sl_os_wall_ms(set->os);
    dead_list(set, extent);
}

/* ---- moving ---- */

bool extent_set_next(const struct extent_set *set, uint64_t id, struct extent_view *ret_extent)
{
    const struct extent *extent = extent_table_from(&set->table, id);
    while (extent != NULL && extent->dropped)
        extent = extent_table_from(&set->table, extent->item.id + 1);
    if (extent == NULL)
        return false;
    *ret_extent = (struct extent_view){
        .item = extent->item,
        .held = extent->held,
        .dead_since_ms = extent->dead_since_ms,
        .movable = !extent->given && !extent->moving && !extent->refused,
    };
    return true;
}

void extent_set_move_begin(struct extent_set *set, uint64_t id)
{
    struct extent *extent = extent_set_find(set, id);
    SL_ASSERT(extent != NULL && !extent->given && !extent->moving);
    extent->moving = true;
    sl_list_remove(&extent->dead);
}

void extent_set_move_end(struct extent_set *set, uint64_t id, bool refused)
{
    struct extent *extent = extent_set_find(set, id);
    SL_ASSERT(extent != NULL && extent->moving);
    extent->moving = false;
    extent->refused = refused;
    dead_list(set, extent);
}

void extent_set_replace(struct extent_set *set, uint64_t id)
{
    struct extent *extent = extent_set_find(set, id);
    SL_ASSERT(extent != NULL && extent->moving);
    extent->replaced = true;
}

uint32_t extent_set_take_dead(struct extent_set *set, uint64_t *ret_ids, uint32_t count_max)
{
    uint32_t count = 0;
    while (count < count_max) {
        struct sl_link *link = sl_list_pop_front(&set->dead);
        if (link == NULL)
            break;
        struct extent *extent = SL_CONTAINER_OF(link, struct extent, dead);
        extent->given = true;
        ret_ids[count++] = extent->item.id;
    }
    return count;
}

/* Nothing pins it and it is dropped: the next job has it. */
static void remove_later(struct extent_set *set, struct extent *extent)
{
    extent_set_take_out(set, extent);
    extent->next = set->removable;
    set->removable = extent;
    extent_upkeep_request(set);
}

void extent_set_drop(struct extent_set *set, uint64_t id)
{
    struct extent *extent = extent_set_find(set, id);
    SL_ASSERT(extent != NULL && extent->held == 0);
    uncount(set, extent);
    if (extent->pins == 0)
        remove_later(set, extent);
}

/* ---- reading ---- */

/* All extents are read between header and footer. */
static bool place_is_inside(const struct extent *extent, const struct wal_place *place)
{
    const struct extent_item *item = &extent->item;
    uint64_t end = item->file_size - EXTENT_TRAILER -
                   extent_footer_size(item->stream_count, item->block_count);
    return place->position >= EXTENT_HEADER && place->position <= end &&
           place->size <= end - place->position;
}

sl_err extent_set_read_cached(struct extent_set *set, const struct wal_place *place,
                              void *ret_bytes)
{
    SL_ASSERT(place_is_ours(place));
    struct extent *extent = extent_table_find(&set->table, place_id(place));
    if (extent == NULL)
        return SLUICE_E_NOT_FOUND;
    if (!place_is_inside(extent, place))
        return SLUICE_E_CORRUPT;
    struct sl_file *file = atomic_load_explicit(&extent->file, memory_order_acquire);
    if (file == NULL)
        return SLUICE_E_WOULD_BLOCK;
    if (sl_link_is_listed(&extent->open))
        extent_set_opened(set, extent); /* used just now */
    size_t got = 0;
    sl_err err = sl_file_pread_cached(file, ret_bytes, place->size, place->position, &got);
    return err == SLUICE_OK && got != place->size ? SLUICE_E_CORRUPT : err;
}

/* Of two helpers that open one file the second closes its own again. */
static sl_err file_open(struct extent_set *set, struct extent *extent, struct sl_file **ret_file)
{
    char path[EXTENT_PATH_MAX];
    struct sl_file *file;
    struct sl_file *other = NULL;
    extent_path(path, set->directory, extent->item.id);
    sl_err err = sl_file_open(set->os, path, SL_FILE_READ, &file);
    if (err != SLUICE_OK)
        return err == SLUICE_E_NOT_FOUND ? SLUICE_E_CORRUPT : err;
    if (!atomic_compare_exchange_strong_explicit(&extent->file, &other, file, memory_order_acq_rel,
                                                 memory_order_acquire)) {
        sl_file_close(file);
        file = other;
    }
    *ret_file = file;
    return SLUICE_OK;
}

sl_err extent_set_read(struct extent_set *set, const struct wal_place *place, void *ret_bytes)
{
    SL_ASSERT(place_is_ours(place));
    struct extent *extent = extent_table_find(&set->table, place_id(place));
    SL_ASSERT(extent != NULL); /* the caller has a pin */
    if (!place_is_inside(extent, place))
        return SLUICE_E_CORRUPT;
    struct sl_file *file = atomic_load_explicit(&extent->file, memory_order_acquire);
    sl_err err = file != NULL ? SLUICE_OK : file_open(set, extent, &file);
    size_t got = 0;
    if (err == SLUICE_OK)
        err = sl_file_pread(file, ret_bytes, place->size, place->position, &got);
    return err == SLUICE_OK && got != place->size ? SLUICE_E_CORRUPT : err;
}

void extent_set_prefetch(struct extent_set *set, const struct wal_place *place)
{
    SL_ASSERT(place_is_ours(place));
    struct extent *extent = extent_table_find(&set->table, place_id(place));
    SL_ASSERT(extent != NULL); /* the caller has a pin */
    struct sl_file *file = atomic_load_explicit(&extent->file, memory_order_acquire);
    sl_err err = file != NULL ? SLUICE_OK : file_open(set, extent, &file);
    if (err == SLUICE_OK && place_is_inside(extent, place))
        sl_file_prefetch(file, place->position, place->size);
}

bool extent_set_pin(struct extent_set *set, uint64_t id)
{
    struct extent *extent = extent_set_find(set, id);
    if (extent == NULL)
        return false;
    extent->pins++;
    set->pins++;
    return true;
}

void extent_set_unpin(struct extent_set *set, uint64_t id)
{
    struct extent *extent = extent_table_find(&set->table, id);
    SL_ASSERT(extent != NULL && extent->pins > 0);
    extent->pins--;
    set->pins--;
    if (atomic_load_explicit(&extent->file, memory_order_acquire) != NULL)
        extent_set_opened(set, extent);
    if (extent->dropped && extent->pins == 0)
        remove_later(set, extent);
    else
        extent_upkeep_request(set);
}

struct sl_file *extent_set_file(struct extent_set *set, uint64_t id)
{
    struct extent *extent = extent_table_find(&set->table, id);
    SL_ASSERT(extent != NULL && extent->pins > 0);
    return atomic_load_explicit(&extent->file, memory_order_acquire);
}

/* ---- looking ---- */

void extent_set_status_get(const struct extent_set *set, struct extent_set_status *ret_status)
{
    *ret_status = (struct extent_set_status){
        .extent_count = set->extent_count,
        .file_bytes = set->file_bytes,
        .live_bytes = set->live_bytes,
        .removed_files = set->removed_files,
        .open_files = set->open_count,
        .pins = set->pins,
    };
}

const struct extent_item *extent_set_from(const struct extent_set *set, uint64_t id)
{
    const struct extent *extent = extent_table_from(&set->table, id);
    while (extent != NULL && extent->dropped)
        extent = extent_table_from(&set->table, extent->item.id + 1);
    return extent == NULL ? NULL : &extent->item;
}

uint64_t extent_set_id_max(const struct extent_set *set)
{
    return set->id_max;
}

void extent_set_each(const struct extent_set *set,
                     bool (*each)(void *arg, const struct extent_item *item, uint64_t live_bytes),
                     void *arg)
{
    const struct extent *extent = extent_table_from(&set->table, 0);
    while (extent != NULL) {
        if (!extent->dropped && !each(arg, &extent->item, extent->held))
            return;
        extent = extent_table_from(&set->table, extent->item.id + 1);
    }
}
