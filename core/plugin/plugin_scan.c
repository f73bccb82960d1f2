/* plugin_scan.c: see plugin_scan.h. */
#include "plugin/plugin_scan.h"

#include "base/bytes.h"
#include "plugin/plugin_kept.h"

#include <stdio.h>
#include <string.h>

#define PATH_BYTES 4096u

static bool has_suffix(const char *name, const char *suffix)
{
    size_t size = strlen(name);
    size_t tail = strlen(suffix);
    return size > tail && strcmp(name + size - tail, suffix) == 0;
}

bool plugin_scan_is_candidate(const char *name)
{
    return name[0] != '.' && strchr(name, '/') == NULL && strlen(name) < PLUGIN_FILE_BYTES &&
           (has_suffix(name, ".lua") || has_suffix(name, ".so"));
}

static void found(void *arg, const char *name, bool is_directory)
{
    struct plugin_scan *scan = arg;
    if (is_directory || !plugin_scan_is_candidate(name) || scan->entry_count == SCAN_FILES_MAX) {
        return;
    }
    struct scan_entry *entry = &scan->entries[scan->entry_count++];
    snprintf(entry->name, sizeof(entry->name), "%s", name);
    entry->script = has_suffix(name, ".lua");
}

sl_err plugin_scan_read(struct sl_os *os, const char *path, uint64_t size_max, uint8_t **ret_bytes,
                        size_t *ret_size)
{
    struct sl_file *file = NULL;
    uint64_t size = 0;
    size_t got = 0;
    sl_err err = sl_file_open(os, path, SL_FILE_READ, &file);
    if (err != SLUICE_OK) {
        return err;
    }
    err = sl_file_size(file, &size);
    err = err == SLUICE_OK && size > size_max ? SLUICE_E_LIMIT : err;
    uint8_t *bytes = err == SLUICE_OK ? sl_alloc(size + 1) : NULL;
    if (err == SLUICE_OK) {
        err =
            bytes == NULL ? SLUICE_E_NO_MEMORY : sl_file_pread(file, bytes, (size_t)size, 0, &got);
    }
    sl_file_close(file);
    if (err != SLUICE_OK) {
        sl_free(bytes);
        return err;
    }
    *ret_bytes = bytes;
    *ret_size = got;
    return SLUICE_OK;
}

static sl_err read_whole(struct sl_os *os, const char *directory, const char *name,
                         uint64_t size_max, uint8_t **ret_bytes, size_t *ret_size)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    return plugin_scan_read(os, path, size_max, ret_bytes, ret_size);
}

static const struct scan_known *known_of(const struct plugin_scan *scan, const char *name)
{
    for (uint32_t i = 0; i < scan->known_count; i++) {
        if (strcmp(scan->known[i].name, name) == 0) {
            return &scan->known[i];
        }
    }
    return NULL;
}

bool plugin_scan_wanted(const struct plugin_scan *scan, const char *name)
{
    const struct scan_known *known = known_of(scan, name);
    return known != NULL && known->wanted;
}

static bool equals_system(struct plugin_scan *scan, const struct scan_entry *entry)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    uint8_t hash[PLUGIN_HASH_SIZE] = {0};
    if (read_whole(scan->os, scan->system_dir, entry->name, STAGED_MODULE_SIZE_MAX, &bytes,
                   &size) != SLUICE_OK) {
        return false;
    }
    plugin_hash((struct sl_bytes){bytes, size}, hash);
    sl_free(bytes);
    return memcmp(hash, entry->hash, sizeof(hash)) == 0;
}

static void take(struct plugin_scan *scan, struct scan_entry *entry, uint8_t *bytes, size_t size)
{
    entry->taken = true;
    if (entry->script) {
        entry->bytes = bytes;
        entry->size = size;
        return;
    }
    sl_err err = plugin_module_new((struct sl_bytes){bytes, size}, entry->hash, &entry->module,
                                   entry->reason);
    sl_free(bytes);
    if (err == SLUICE_OK && entry->module->manifest.kind == MANIFEST_FRONTEND) {
        entry->first_party = equals_system(scan, entry);
    }
}

static void look(struct plugin_scan *scan, struct scan_entry *entry)
{
    uint64_t size_max = entry->script ? SANDBOX_SCRIPT_SIZE_MAX : STAGED_MODULE_SIZE_MAX;
    const struct scan_known *known = known_of(scan, entry->name);
    uint8_t *bytes = NULL;
    size_t size = 0;
    sl_err err = read_whole(scan->os, entry->shipped ? scan->system_dir : scan->directory,
                            entry->name, size_max, &bytes, &size);
    if (err != SLUICE_OK) {
        scan->unsettled = scan->unsettled || (err == SLUICE_E_NOT_FOUND && !entry->shipped);
        entry->name[0] = '\0'; /* gone meanwhile, too large or unreadable: not there */
        return;
    }
    plugin_hash((struct sl_bytes){bytes, size}, entry->hash);
    bool old = known != NULL && memcmp(known->loaded, entry->hash, PLUGIN_HASH_SIZE) == 0;
    bool stable = known != NULL && memcmp(known->seen, entry->hash, PLUGIN_HASH_SIZE) == 0;
    entry->wanted = known != NULL && known->wanted;
    if (entry->wanted || (!old && (stable || scan->at_once))) {
        take(scan, entry, bytes, size);
        return;
    }
    scan->unsettled = scan->unsettled || !old;
    sl_free(bytes);
}

static bool is_found(const struct plugin_scan *scan, const char *name)
{
    for (uint32_t i = 0; i < scan->entry_count; i++) {
        if (strcmp(scan->entries[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static void add_shipped(struct plugin_scan *scan)
{
    for (uint32_t i = 0; i < scan->shipped_count && scan->entry_count < SCAN_FILES_MAX; i++) {
        if (!is_found(scan, scan->shipped[i])) {
            struct scan_entry *entry = &scan->entries[scan->entry_count++];
            memcpy(entry->name, scan->shipped[i], sizeof(entry->name));
            entry->shipped = true;
        }
    }
}

static void load_lua(struct plugin_scan *scan)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    uint8_t hash[PLUGIN_HASH_SIZE];
    sl_err err = read_whole(scan->os, scan->system_dir, "processor_lua.so", STAGED_MODULE_SIZE_MAX,
                            &bytes, &size);
    if (err != SLUICE_OK) {
        snprintf(scan->lua_reason, sizeof(scan->lua_reason),
                 "processor_lua.so, which runs Lua files, is not in %.160s", scan->system_dir);
        return;
    }
    plugin_hash((struct sl_bytes){bytes, size}, hash);
    err = plugin_module_new((struct sl_bytes){bytes, size}, hash, &scan->lua, scan->lua_reason);
    sl_free(bytes);
    if (err != SLUICE_OK) {
        scan->lua = NULL;
    }
}

/* [helper] */
static void work(struct sl_job *job)
{
    struct plugin_scan *scan = SL_CONTAINER_OF(job, struct plugin_scan, job);
    scan->entries = sl_alloc_zero(SCAN_FILES_MAX, sizeof(*scan->entries));
    scan->err = scan->entries == NULL ? SLUICE_E_NO_MEMORY
                                      : sl_dir_list(scan->os, scan->directory, found, scan);
    bool scripts = false;
    if (scan->kept_dir != NULL) {
        scan->kept_err = kept_index_read(scan->os, scan->kept_dir, &scan->kept, &scan->kept_count);
    }
    if (scan->err == SLUICE_OK) {
        add_shipped(scan);
    }
    for (uint32_t i = 0; scan->err == SLUICE_OK && i < scan->entry_count; i++) {
        look(scan, &scan->entries[i]);
        scripts = scripts || scan->entries[i].bytes != NULL;
    }
    if (scripts && scan->want_lua) {
        load_lua(scan);
    }
}

static void done(struct sl_job *job)
{
    struct plugin_scan *scan = SL_CONTAINER_OF(job, struct plugin_scan, job);
    scan->done(scan);
}

void plugin_scan_start(struct plugin_scan *scan, struct sl_loop *loop)
{
    scan->job = (struct sl_job){.work = work, .done = done};
    scan->job.task.priority = SL_PRIORITY_BACKGROUND;
    sl_helpers_submit(scan->os, loop, &scan->job);
}

void plugin_scan_free(struct plugin_scan *scan)
{
    for (uint32_t i = 0; i < scan->entry_count; i++) {
        sl_free(scan->entries[i].bytes);
        plugin_module_unref(scan->entries[i].module);
    }
    plugin_module_unref(scan->lua);
    sl_free(scan->kept);
    sl_free(scan->entries);
    sl_free(scan->known);
    sl_free(scan->shipped);
    sl_free(scan);
}
