/* plugin_kept.c: see plugin_kept.h. */
#include "plugin/plugin_kept.h"

#include "base/bytes.h"
#include "plugin/plugin_scan.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORMAT     1
#define INDEX      "index.json"
#define NEW        ".new" /* being written */
#define HEX_SIZE   ((size_t)2 * PLUGIN_HASH_SIZE)
#define NAME_BYTES (HEX_SIZE + 16u)
#define PATH_BYTES 4608u
#define NUMBER_MAX 9007199254740991.0 /* what a double holds exactly */

/* ---- the index ---- */

static bool take_text(const cJSON *entry, const char *key, char *ret_text, size_t size)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, key));
    if (text == NULL || strlen(text) >= size) {
        return false;
    }
    size_t i = 0;
    for (; text[i] != '\0'; i++) { /* a terminal shows it */
        ret_text[i] = (unsigned char)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
    }
    ret_text[i] = '\0';
    return true;
}

static bool take_number(const cJSON *entry, const char *key, int64_t *ret_number)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(entry, key);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble > NUMBER_MAX) {
        return false;
    }
    *ret_number = (int64_t)item->valuedouble;
    return true;
}

static bool take_flag(const cJSON *entry, const char *key)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(entry, key));
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_hash(const char *text, uint8_t ret_hash[PLUGIN_HASH_SIZE])
{
    for (size_t i = 0; i < HEX_SIZE; i++) {
        int digit = digit_of(text[i]); /* the end of the text is none */
        if (digit < 0) {
            return false;
        }
        ret_hash[i / 2] = (uint8_t)(i % 2 == 0 ? digit << 4 : ret_hash[i / 2] | digit);
    }
    return true;
}

static bool take_entry(const cJSON *entry, struct kept_version *is)
{
    char hash[HEX_SIZE + 1];
    int64_t size = 0;
    *is = (struct kept_version){.is_active = take_flag(entry, "active"),
                                .failed = take_flag(entry, "failed")};
    if (!take_text(entry, "instance", is->instance, sizeof(is->instance)) ||
        !manifest_id_is_valid(sl_bytes_of_text(is->instance)) ||
        !take_text(entry, "file", is->file, sizeof(is->file)) ||
        !plugin_scan_is_candidate(is->file) || !take_text(entry, "hash", hash, sizeof(hash)) ||
        !parse_hash(hash, is->hash) || !take_number(entry, "bytes", &size) ||
        size > (int64_t)STAGED_MODULE_SIZE_MAX ||
        !take_text(entry, "version", is->version_text, sizeof(is->version_text)) ||
        !take_text(entry, "ended", is->why, sizeof(is->why)) ||
        !take_number(entry, "state_version", &is->state_version) ||
        !take_number(entry, "since_ms", &is->since_ms) ||
        !take_number(entry, "until_ms", &is->until_ms)) {
        return false;
    }
    is->size = (uint64_t)size;
    is->is_script = strcmp(strrchr(is->file, '.'), ".lua") == 0;
    return true;
}

sl_err kept_index_parse(struct sl_bytes text, struct kept_item **ret_items, uint32_t *ret_count)
{
    cJSON *root = text.size <= KEPT_INDEX_BYTES_MAX
                      ? cJSON_ParseWithLength((const char *)text.data, text.size)
                      : NULL;
    const cJSON *format = cJSON_GetObjectItemCaseSensitive(root, "format");
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(root, "versions");
    bool ok = cJSON_IsNumber(format) && format->valueint == FORMAT && cJSON_IsArray(array);
    size_t room = ok ? SL_MIN((size_t)cJSON_GetArraySize(array), (size_t)KEPT_VERSIONS_MAX) : 0;
    struct kept_item *items = ok ? sl_alloc_zero(room + 1u, sizeof(*items)) : NULL;
    uint32_t count = 0;
    for (const cJSON *entry = items != NULL ? array->child : NULL; entry != NULL && count < room;
         entry = entry->next) {
        count += take_entry(entry, &items[count].is);
    }
    cJSON_Delete(root);
    if (items == NULL) {
        return ok ? SLUICE_E_NO_MEMORY : SLUICE_E_CORRUPT;
    }
    *ret_items = items;
    *ret_count = count;
    return SLUICE_OK;
}

char *kept_index_print(const struct kept_item *items, uint32_t count)
{
    char hash[HEX_SIZE + 1];
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "format", FORMAT);
    cJSON *array = cJSON_AddArrayToObject(root, "versions");
    for (uint32_t i = 0; i < count; i++) {
        const struct kept_version *is = &items[i].is;
        cJSON *entry = cJSON_CreateObject();
        plugin_hash_text(is->hash, hash, sizeof(hash));
        cJSON_AddStringToObject(entry, "instance", is->instance);
        cJSON_AddStringToObject(entry, "file", is->file);
        cJSON_AddStringToObject(entry, "hash", hash);
        cJSON_AddNumberToObject(entry, "bytes", (double)is->size);
        cJSON_AddStringToObject(entry, "version", is->version_text);
        cJSON_AddNumberToObject(entry, "state_version", (double)is->state_version);
        cJSON_AddNumberToObject(entry, "since_ms", (double)is->since_ms);
        cJSON_AddNumberToObject(entry, "until_ms", (double)is->until_ms);
        cJSON_AddStringToObject(entry, "ended", is->why);
        cJSON_AddBoolToObject(entry, "active", is->is_active);
        cJSON_AddBoolToObject(entry, "failed", is->failed);
        cJSON_AddItemToArray(array, entry);
    }
    char *printed = array != NULL ? cJSON_PrintUnformatted(root) : NULL;
    char *text = printed != NULL ? sl_strdup_bytes(printed, strlen(printed)) : NULL;
    cJSON_free(printed);
    cJSON_Delete(root);
    return text;
}

sl_err kept_index_read(struct sl_os *os, const char *directory, struct kept_item **ret_items,
                       uint32_t *ret_count)
{
    char path[PATH_BYTES];
    uint8_t *bytes = NULL;
    size_t size = 0;
    snprintf(path, sizeof(path), "%s/" INDEX, directory);
    sl_err err = plugin_scan_read(os, path, KEPT_INDEX_BYTES_MAX, &bytes, &size);
    if (err == SLUICE_E_NOT_FOUND) {
        *ret_items = NULL;
        *ret_count = 0;
        return SLUICE_OK;
    }
    if (err == SLUICE_OK) {
        err = kept_index_parse((struct sl_bytes){bytes, size}, ret_items, ret_count);
        sl_free(bytes);
    }
    return err;
}

/* ---- the copies ---- */

static void name_of(const uint8_t *hash, bool is_script, char ret_name[NAME_BYTES])
{
    char text[HEX_SIZE + 1];
    plugin_hash_text(hash, text, sizeof(text));
    snprintf(ret_name, NAME_BYTES, "%s%s", text, is_script ? ".lua" : ".so");
}

sl_err kept_read(struct sl_os *os, const char *directory, const uint8_t hash[PLUGIN_HASH_SIZE],
                 bool is_script, uint8_t **ret_bytes, size_t *ret_size)
{
    char name[NAME_BYTES];
    char path[PATH_BYTES];
    uint8_t found[PLUGIN_HASH_SIZE];
    uint8_t *bytes = NULL;
    size_t size = 0;
    name_of(hash, is_script, name);
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    sl_err err = plugin_scan_read(
        os, path, is_script ? SANDBOX_SCRIPT_SIZE_MAX : STAGED_MODULE_SIZE_MAX, &bytes, &size);
    if (err != SLUICE_OK) {
        return err == SLUICE_E_LIMIT ? SLUICE_E_CORRUPT : err;
    }
    plugin_hash((struct sl_bytes){bytes, size}, found);
    if (memcmp(found, hash, sizeof(found)) != 0) {
        sl_free(bytes);
        return SLUICE_E_CORRUPT;
    }
    *ret_bytes = bytes;
    *ret_size = size;
    return SLUICE_OK;
}

/* Beside its place, synced, renamed. */
static sl_err put(struct sl_os *os, const char *directory, const char *name, struct sl_bytes bytes)
{
    char path[PATH_BYTES];
    char beside[PATH_BYTES + sizeof(NEW)];
    struct sl_file *file = NULL;
    struct sl_iovec piece = {(void *)(uintptr_t)bytes.data, bytes.size};
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    snprintf(beside, sizeof(beside), "%s" NEW, path);
    sl_err err = sl_file_open(os, beside, SL_FILE_WRITE | SL_FILE_CREATE, &file);
    err = err != SLUICE_OK ? err : sl_file_truncate(file, 0);
    err = err != SLUICE_OK || bytes.size == 0 ? err : sl_file_pwritev(file, &piece, 1, 0);
    err = err != SLUICE_OK ? err : sl_file_sync(file);
    sl_file_close(file);
    return err != SLUICE_OK ? err : sl_path_rename(os, beside, path);
}

static bool is_there(struct sl_os *os, const char *directory, const char *name, uint64_t size)
{
    char path[PATH_BYTES];
    struct sl_file *file = NULL;
    uint64_t found = 0;
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    bool ok = sl_file_open(os, path, SL_FILE_READ, &file) == SLUICE_OK &&
              sl_file_size(file, &found) == SLUICE_OK && found == size;
    sl_file_close(file);
    return ok;
}

static sl_err put_module(struct sl_os *os, const char *directory, const char *name,
                         const struct plugin_module *module)
{
    char path[32];
    uint8_t *bytes = NULL;
    size_t size = 0;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", module->staged.fd);
    sl_err err = plugin_scan_read(os, path, STAGED_MODULE_SIZE_MAX, &bytes, &size);
    if (err == SLUICE_OK) {
        err = put(os, directory, name, (struct sl_bytes){bytes, size});
        sl_free(bytes);
    }
    return err;
}

/* E_NOT_FOUND: it is nowhere. */
static sl_err put_item(struct sl_os *os, const char *directory, const struct kept_item *item)
{
    char name[NAME_BYTES];
    const struct plugin_version *version = item->version;
    name_of(item->is.hash, item->is.is_script, name);
    if (is_there(os, directory, name, item->is.size)) {
        return SLUICE_OK;
    }
    if (version == NULL) {
        return SLUICE_E_NOT_FOUND;
    }
    return version->script != NULL
               ? put(os, directory, name, (struct sl_bytes){version->script, version->script_size})
               : put_module(os, directory, name, version->module);
}

/* ---- all of it ---- */

static int newest_first(const void *a, const void *b)
{
    const struct kept_version *x = &((const struct kept_item *)a)->is;
    const struct kept_version *y = &((const struct kept_item *)b)->is;
    if (x->is_active != y->is_active) {
        return x->is_active ? -1 : 1;
    }
    return x->until_ms != y->until_ms ? (x->until_ms > y->until_ms ? -1 : 1)
                                      : strcmp(x->instance, y->instance);
}

static bool names_hash(const struct kept_item *items, uint32_t count, const struct kept_item *item)
{
    for (uint32_t i = 0; i < count; i++) {
        if (memcmp(items[i].is.hash, item->is.hash, PLUGIN_HASH_SIZE) == 0 &&
            items[i].is.is_script == item->is.is_script) {
            return true;
        }
    }
    return false;
}

/* Those that are not kept go behind those that are. */
static sl_err put_all(struct sl_os *os, const char *directory, struct kept_item *items,
                      uint32_t count, uint32_t *ret_kept)
{
    uint64_t bytes = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count && kept < KEPT_VERSIONS_MAX; i++) {
        uint64_t more = names_hash(items, kept, &items[i]) ? 0 : items[i].is.size;
        sl_err err =
            bytes + more > KEPT_BYTES_MAX ? SLUICE_E_NOT_FOUND : put_item(os, directory, &items[i]);
        if (err != SLUICE_OK && err != SLUICE_E_NOT_FOUND) {
            return err;
        }
        if (err == SLUICE_OK) {
            struct kept_item item = items[i];
            items[i] = items[kept];
            items[kept++] = item;
            bytes += more;
        }
    }
    *ret_kept = kept;
    return SLUICE_OK;
}

struct sweep {
    struct sl_os *os;
    const char *directory;
    const struct kept_item *items;
    uint32_t count;
    char (*names)[NAME_BYTES]; /* to be removed */
    uint32_t name_count;
};
#define SWEEP_NAMES_MAX KEPT_VERSIONS_MAX

/* A name that only this file gives, and that no item has. */
static void sweep_look(void *arg, const char *name, bool is_directory)
{
    struct sweep *self = arg;
    struct kept_item item = {.version = NULL};
    size_t size = strlen(name);
    bool is_new = size > sizeof(NEW) && strcmp(name + size - (sizeof(NEW) - 1), NEW) == 0;
    if (is_directory || size >= NAME_BYTES || self->name_count == SWEEP_NAMES_MAX ||
        (!is_new && !parse_hash(name, item.is.hash))) {
        return;
    }
    item.is.is_script = strcmp(strrchr(name, '.') != NULL ? strrchr(name, '.') : "", ".lua") == 0;
    if (is_new || !names_hash(self->items, self->count, &item)) {
        memcpy(self->names[self->name_count++], name, size + 1);
    }
}

static void sweep(struct sl_os *os, const char *directory, const struct kept_item *items,
                  uint32_t count)
{
    struct sweep self = {.items = items, .count = count};
    self.names = sl_alloc_zero(SWEEP_NAMES_MAX, sizeof(*self.names));
    sl_err err =
        self.names != NULL ? sl_dir_list(os, directory, sweep_look, &self) : SLUICE_E_NO_MEMORY;
    for (uint32_t i = 0; err == SLUICE_OK && i < self.name_count; i++) {
        char path[PATH_BYTES];
        snprintf(path, sizeof(path), "%s/%s", directory, self.names[i]);
        (void)!sl_path_remove(os, path); /* the next write tries again */
    }
    sl_free(self.names);
}

sl_err kept_write(struct sl_os *os, const char *directory, struct kept_item *items, uint32_t count,
                  uint32_t *ret_kept)
{
    uint32_t kept = 0;
    qsort(items, count, sizeof(*items), newest_first);
    sl_err err = sl_dir_make(os, directory);
    err = err != SLUICE_OK ? err : put_all(os, directory, items, count, &kept);
    err = err != SLUICE_OK ? err : sl_dir_sync(os, directory); /* before what names them */
    char *text = err == SLUICE_OK ? kept_index_print(items, kept) : NULL;
    if (err == SLUICE_OK) {
        err = text == NULL ? SLUICE_E_NO_MEMORY : put(os, directory, INDEX, sl_bytes_of_text(text));
    }
    sl_free(text);
    err = err != SLUICE_OK ? err : sl_dir_sync(os, directory);
    if (err == SLUICE_OK) {
        sweep(os, directory, items, kept);
        *ret_kept = kept;
    }
    return err;
}
