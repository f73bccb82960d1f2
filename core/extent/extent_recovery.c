/* extent_recovery.c: a set from the items of checkpoint and frames, and back (extent_set.h). */
#include "extent/extent_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- files ---- */

static sl_err file_open(struct extent_set *set, struct extent *extent)
{
    char path[EXTENT_PATH_MAX];
    struct sl_file *file;
    extent_path(path, set->directory, extent->item.id);
    sl_err err = sl_file_open(set->os, path, SL_FILE_READ, &file);
    if (err != SLUICE_OK)
        return err;
    atomic_store_explicit(&extent->file, file, memory_order_release);
    extent_set_opened(set, extent);
    return SLUICE_OK;
}

static void file_close(struct extent_set *set, struct extent *extent)
{
    sl_file_close(atomic_exchange_explicit(&extent->file, NULL, memory_order_acq_rel));
    sl_list_remove(&extent->open);
    set->open_count--;
}

/* What the load will read, header and footer: the disk brings it while the log is read. A hint:
 * whatever is wrong with the file is the load's to tell. */
static void file_ask(struct extent_set *set, struct extent *extent)
{
    const struct extent_item *item = &extent->item;
    uint64_t footer = EXTENT_TRAILER + extent_footer_size(item->stream_count, item->block_count);
    if (file_open(set, extent) != SLUICE_OK)
        return;
    struct sl_file *file = atomic_load_explicit(&extent->file, memory_order_acquire);
    sl_file_ask(file, 0, EXTENT_HEADER);
    sl_file_ask(file, item->file_size - footer, footer);
    if (set->open_count > set->open_files_max)
        file_close(set, extent);
}

/* ---- items ---- */

static sl_err apply_extent(struct extent_set *set, uint8_t version, struct sl_bytes payload)
{
    struct extent_item item;
    sl_err err = extent_item_decode(version, payload, &item);
    if (err != SLUICE_OK)
        return err;
    const struct extent *known = extent_table_find(&set->table, item.id);
    if (known != NULL) { /* a checkpoint may hold what the frames behind it tell again */
        uint8_t bytes[EXTENT_ITEM_SIZE];
        extent_item_encode(&known->item, bytes);
        bool same = payload.size == sizeof bytes && memcmp(bytes, payload.data, sizeof bytes) == 0;
        return same ? SLUICE_OK : SLUICE_E_CORRUPT;
    }
    err = extent_set_reserve(set, 1);
    if (err == SLUICE_OK)
        file_ask(set, extent_set_insert(set, &item));
    return err;
}

static sl_err apply_drop(struct extent_set *set, uint8_t version, struct sl_bytes payload)
{
    uint64_t id;
    sl_err err = extent_drop_item_decode(version, payload, &id);
    if (err != SLUICE_OK)
        return err;
    set->id_max = SL_MAX(set->id_max, id);
    struct extent *extent = extent_table_find(&set->table, id);
    if (extent != NULL) {
        extent_set_take_out(set, extent);
        extent_free(extent); /* extent_set_load removes what is on disk */
    }
    return SLUICE_OK;
}

sl_err extent_set_apply(struct extent_set *set, uint16_t kind, uint8_t version,
                        struct sl_bytes payload)
{
    if (kind == WAL_ITEM_EXTENT)
        return apply_extent(set, version, payload);
    return kind == WAL_ITEM_EXTENT_DROP ? apply_drop(set, version, payload) : SLUICE_E_INVALID;
}

void extent_walk_begin(const struct extent_set *set, struct extent_walk *ret_walk)
{
    *ret_walk = (struct extent_walk){.last_id = set->id_max};
}

/* The drop of the highest id comes first, when no extent is there that it would drop. */
sl_err extent_walk_next(const struct extent_set *set, struct extent_walk *walk, uint32_t count,
                        extent_add_fn *add, void *add_arg, bool *ret_done)
{
    uint8_t payload[EXTENT_ITEM_SIZE];
    sl_err err = SLUICE_OK;
    if (walk->id == 0 && walk->last_id > 0) {
        extent_drop_item_encode(walk->last_id, payload);
        err = add(add_arg, WAL_ITEM_EXTENT_DROP, EXTENT_DROP_ITEM_VERSION,
                  (struct sl_bytes){payload, EXTENT_DROP_ITEM_SIZE});
    }
    const struct extent *extent = extent_table_from(&set->table, walk->id);
    for (; count > 0 && extent != NULL && extent->item.id <= walk->last_id && err == SLUICE_OK;
         count--) {
        extent_item_encode(&extent->item, payload);
        if (!extent->dropped && !extent->replaced)
            err = add(add_arg, WAL_ITEM_EXTENT, EXTENT_ITEM_VERSION,
                      (struct sl_bytes){payload, sizeof payload});
        walk->id = extent->item.id + 1;
        extent = extent_table_from(&set->table, walk->id);
    }
    *ret_done = extent == NULL || extent->item.id > walk->last_id;
    return err;
}

/* ---- load ---- */

struct load {
    struct extent_set *set;
    extent_found_fn *found;
    void *arg;
    char *problem;
    uint64_t left; /* extents that come after this one: the last ones stay open */
};

static sl_err identity_check(const struct load *load, const char *path, uint64_t id,
                             const struct extent_header *header)
{
    if (!sl_uuid_equal(&header->cluster, &load->set->cluster)) {
        snprintf(load->problem, EXTENT_PROBLEM_BYTES,
                 "%s belongs to another cluster; put back its own files", extent_path_shown(path));
        return SLUICE_E_FOREIGN;
    }
    if (header->shard != load->set->shard) {
        snprintf(load->problem, EXTENT_PROBLEM_BYTES,
                 "%s belongs to shard %" PRIu32 ", not %" PRIu32 "; put it back there",
                 extent_path_shown(path), header->shard, load->set->shard);
        return SLUICE_E_FOREIGN;
    }
    if (header->segment == 0 && header->id != id) {
        snprintf(load->problem, EXTENT_PROBLEM_BYTES,
                 "%s is extent %" PRIu64 " under another's name; put back its own files",
                 extent_path_shown(path), header->id);
        return SLUICE_E_CORRUPT;
    }
    return SLUICE_OK;
}

/* Reads and checks one file; then its owner hears of it. */
static sl_err file_load(struct load *load, struct extent *extent, const char *path)
{
    struct sl_file *file = atomic_load_explicit(&extent->file, memory_order_acquire);
    struct extent_outline outline;
    struct extent_header header;
    sl_err err = extent_file_header(file, path, &header, load->problem);
    if (err == SLUICE_OK)
        err = identity_check(load, path, extent->item.id, &header);
    if (err == SLUICE_OK)
        err = extent_outline_read(file, path, &extent->item, &outline, load->problem);
    if (err != SLUICE_OK)
        return err;
    err = load->found == NULL ? SLUICE_OK : load->found(load->arg, &extent->item, &outline.footer);
    if (err != SLUICE_OK && load->problem[0] == '\0')
        snprintf(load->problem, EXTENT_PROBLEM_BYTES,
                 "%s does not fit the rest of the shard; restore the directory from a backup",
                 extent_path_shown(path));
    extent_outline_fini(&outline);
    return err;
}

static sl_err extent_load(struct load *load, struct extent *extent)
{
    struct extent_set *set = load->set;
    char path[EXTENT_PATH_MAX];
    extent_path(path, set->directory, extent->item.id);
    bool is_open = atomic_load_explicit(&extent->file, memory_order_acquire) != NULL;
    sl_err err = is_open ? SLUICE_OK : file_open(set, extent);
    if (err != SLUICE_OK) {
        bool missing = err == SLUICE_E_NOT_FOUND;
        snprintf(load->problem, EXTENT_PROBLEM_BYTES, "%s %s", extent_path_shown(path),
                 missing ? "is missing; restore it from a backup"
                         : "cannot be opened; see to its permissions and the limit of open files");
        return missing ? SLUICE_E_CORRUPT : err;
    }
    err = file_load(load, extent, path);
    if (load->left >= set->open_files_max)
        file_close(set, extent);
    return err == SLUICE_E_IO ? SLUICE_E_CORRUPT : err; /* a bad sector: other shards serve */
}

/* Files that no item names: half written, or dropped. Their ids are not given again either. */
static sl_err leftovers_remove(struct extent_set *set)
{
    char path[EXTENT_PATH_MAX];
    uint64_t *ids;
    size_t count;
    bool removed = false;
    sl_err err = extent_directory_ids(set->os, set->directory, &ids, &count);
    if (err != SLUICE_OK)
        return err;
    for (size_t i = 0; i < count && err == SLUICE_OK; i++) {
        set->id_max = SL_MAX(set->id_max, ids[i]);
        if (extent_table_find(&set->table, ids[i]) != NULL)
            continue;
        extent_path(path, set->directory, ids[i]);
        err = sl_path_remove(set->os, path);
        removed = true;
        set->removed_files++;
    }
    sl_free(ids);
    return err == SLUICE_OK && removed ? sl_dir_sync(set->os, set->directory) : err;
}

/* Since when bytes are dead is not written down: not before the file was. */
static void dead_date(struct extent_set *set)
{
    struct extent *extent = extent_table_from(&set->table, 0);
    while (extent != NULL) {
        if (extent->held < extent->item.bytes)
            extent->dead_since_ms = extent->item.created_ms;
        extent = extent_table_from(&set->table, extent->item.id + 1);
    }
}

sl_err extent_set_load(struct extent_set *set, extent_found_fn *found, void *arg,
                       char ret_problem[EXTENT_PROBLEM_BYTES])
{
    struct load load = {set, found, arg, ret_problem, set->extent_count};
    struct extent *extent = extent_table_from(&set->table, 0);
    ret_problem[0] = '\0';
    while (extent != NULL) {
        load.left--;
        sl_err err = extent_load(&load, extent);
        if (err != SLUICE_OK)
            return err;
        extent = extent_table_from(&set->table, extent->item.id + 1);
    }
    dead_date(set);
    sl_err err = leftovers_remove(set);
    if (err != SLUICE_OK)
        snprintf(ret_problem, EXTENT_PROBLEM_BYTES, "%s cannot be cleaned of old files",
                 extent_path_shown(set->directory));
    return err;
}
