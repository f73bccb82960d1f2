/* cli_backup_files.c: see cli_backup.h: copying, sums, the manifest. */
#include "base/crc32c.h"
#include "cli/cli_backup.h"

#include "base/status.h"

#include <stdlib.h>
#include <string.h>

#define MANIFEST_BYTES_MAX (1u << 30)
#define HEX_DIGITS         8u

/* ---- pace ---- */

void backup_pace_begin(struct backup_pace *pace, struct cli *cli, const char *what,
                       uint64_t bytes_per_s, uint64_t total)
{
    *pace = (struct backup_pace){
        .cli = cli, .bytes_per_s = bytes_per_s, .begun_ns = sl_os_mono_ns(cli->os)};
    cli_progress_begin(&pace->progress, cli, what, total);
}

void backup_pace_add(struct backup_pace *pace, uint64_t bytes)
{
    pace->bytes += bytes;
    cli_progress_add(&pace->progress, bytes);
    if (pace->bytes_per_s == 0) {
        return;
    }
    double due_s = (double)pace->bytes / (double)pace->bytes_per_s;
    double spent_s = (double)(sl_os_mono_ns(pace->cli->os) - pace->begun_ns) / 1e9;
    if (due_s > spent_s) {
        sl_sleep_ms((int64_t)((due_s - spent_s) * 1000));
    }
}

/* ---- sums ---- */

static bool sums_add(struct backup_sums *sums, uint32_t crc)
{
    if (sums->size + HEX_DIGITS + 1 > sums->capacity) {
        size_t capacity = SL_MAX(sums->capacity * 2, (size_t)256);
        char *text = sl_realloc(sums->text, capacity);
        if (text == NULL) {
            return false;
        }
        sums->text = text;
        sums->capacity = capacity;
    }
    snprintf(sums->text + sums->size, HEX_DIGITS + 1, "%08x", crc);
    sums->size += HEX_DIGITS;
    return true;
}

int64_t backup_sums_compare(const struct backup_sums *sums, const char *expected)
{
    size_t size = strlen(expected);
    for (size_t at = 0; at < SL_MAX(size, sums->size); at += HEX_DIGITS) {
        bool same = at + HEX_DIGITS <= size && at + HEX_DIGITS <= sums->size &&
                    memcmp(sums->text + at, expected + at, HEX_DIGITS) == 0;
        if (!same) {
            return (int64_t)(at / HEX_DIGITS);
        }
    }
    return -1;
}

void backup_sums_fini(struct backup_sums *sums)
{
    sl_free(sums->text);
    *sums = (struct backup_sums){.text = NULL};
}

/* ---- copying ---- */

struct copy {
    struct backup_pace *pace;
    struct sl_file *from, *to;
    uint8_t *block;
    struct backup_sums sums;
};

static sl_err copy_blocks(struct copy *copy, uint64_t size)
{
    sl_err err = SLUICE_OK;
    for (uint64_t at = 0; at < size && err == SLUICE_OK;) {
        size_t part = (size_t)SL_MIN(size - at, (uint64_t)BACKUP_BLOCK);
        size_t got = 0;
        err = sl_file_pread(copy->from, copy->block, part, at, &got);
        if (err == SLUICE_OK && got != part) {
            err = SLUICE_E_TRUNCATED;
        }
        const struct sl_iovec piece = {copy->block, part};
        if (err == SLUICE_OK && copy->to != NULL) {
            err = sl_file_pwritev(copy->to, &piece, 1, at);
        }
        if (err == SLUICE_OK && !sums_add(&copy->sums, sl_crc32c(copy->block, part))) {
            err = SLUICE_E_NO_MEMORY;
        }
        at += part;
        backup_pace_add(copy->pace, part);
    }
    return err != SLUICE_OK || copy->to == NULL ? err : sl_file_sync(copy->to);
}

static sl_err copy_open(struct copy *copy, const char *from, const char *to)
{
    struct sl_os *os = copy->pace->cli->os;
    copy->block = sl_alloc(BACKUP_BLOCK);
    sl_err err = copy->block == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    err = err != SLUICE_OK ? err : sl_file_open(os, from, SL_FILE_READ, &copy->from);
    if (err == SLUICE_OK && to != NULL) {
        err = sl_file_open(os, to, SL_FILE_WRITE | SL_FILE_CREATE | SL_FILE_EXCLUSIVE, &copy->to);
    }
    return err;
}

bool backup_copy(struct backup_pace *pace, const char *from, const char *to, uint64_t size,
                 struct backup_sums *ret_sums)
{
    struct copy copy = {.pace = pace};
    sl_err err = copy_open(&copy, from, to);
    err = err != SLUICE_OK ? err : copy_blocks(&copy, size);
    sl_file_close(copy.from);
    sl_file_close(copy.to);
    sl_free(copy.block);
    if (err != SLUICE_OK) {
        cli_progress_clear(&pace->progress);
        cli_complain("%.400s cannot be %s: %s", from, to != NULL ? "copied" : "read",
                     sl_status_text(err));
        backup_sums_fini(&copy.sums);
        return false;
    }
    *ret_sums = copy.sums;
    return true;
}

/* ---- folders ---- */

static void entry_count(void *arg, const char *name, bool is_directory)
{
    uint32_t *count = arg;
    (void)name;
    (void)is_directory;
    (*count)++;
}

bool backup_folder_make(struct cli *cli, const char *directory, const char *what)
{
    uint32_t count = 0;
    if (strlen(directory) > STORE_PATH_BYTES - 256) {
        cli_complain("the name of the folder is longer than %u bytes", STORE_PATH_BYTES - 256);
        return false;
    }
    sl_err err = sl_dir_make(cli->os, directory);
    err = err != SLUICE_OK ? err : sl_dir_list(cli->os, directory, entry_count, &count);
    if (err != SLUICE_OK) {
        cli_complain("%.400s cannot be made: %s", directory, sl_status_text(err));
        return false;
    }
    if (count > 0) {
        cli_complain("%.400s is not empty: %s wants a new or an empty folder, so that nothing is "
                     "overwritten",
                     directory, what);
        return false;
    }
    return true;
}

/* ---- the manifest ---- */

uint64_t backup_u64(const cJSON *object, const char *name)
{
    char text[1024];
    return strtoull(cli_member_text(object, name, text), NULL, 10);
}

void backup_file_add(cJSON *files, const char *path, uint64_t bytes, const struct backup_sums *sums)
{
    cJSON *file = cJSON_CreateObject();
    cJSON_AddStringToObject(file, "path", path);
    cli_u64_add(file, "bytes", bytes);
    cJSON_AddStringToObject(file, "crc32c", sums->text != NULL ? sums->text : "");
    cJSON_AddItemToArray(files, file);
}

uint64_t backup_bytes(const cJSON *manifest)
{
    const cJSON *file;
    uint64_t sum = 0;
    cJSON_ArrayForEach(file, cJSON_GetObjectItemCaseSensitive(manifest, "files"))
    {
        sum += backup_u64(file, "bytes");
    }
    return sum;
}

static sl_err text_write(struct cli *cli, const char *directory, const char *text)
{
    char path[STORE_PATH_BYTES], temporary[STORE_PATH_BYTES], sum[40];
    struct sl_file *file = NULL;
    snprintf(path, sizeof(path), "%.900s/backup.json", directory);
    snprintf(temporary, sizeof(temporary), "%.900s/backup.json.new", directory);
    snprintf(sum, sizeof(sum), "\n{\"crc32c\":\"%08x\"}\n", sl_crc32c(text, strlen(text)));
    const struct sl_iovec pieces[] = {{(void *)(uintptr_t)text, strlen(text)}, {sum, strlen(sum)}};
    sl_err err = sl_file_open(cli->os, temporary, SL_FILE_WRITE | SL_FILE_CREATE, &file);
    err = err != SLUICE_OK ? err : sl_file_pwritev(file, pieces, 2, 0);
    err = err != SLUICE_OK ? err : sl_file_sync(file);
    sl_file_close(file);
    err = err != SLUICE_OK ? err : sl_path_rename(cli->os, temporary, path);
    return err != SLUICE_OK ? err : sl_dir_sync(cli->os, directory);
}

bool backup_manifest_write(struct cli *cli, const char *directory, const cJSON *manifest)
{
    char *text = cJSON_PrintUnformatted(manifest);
    sl_err err = text == NULL ? SLUICE_E_NO_MEMORY : text_write(cli, directory, text);
    free(text);
    if (err != SLUICE_OK) {
        cli_complain("%.400s/backup.json cannot be written: %s", directory, sl_status_text(err));
    }
    return err == SLUICE_OK;
}

/* All of the file, with a NUL behind it. */
static sl_err text_read(struct cli *cli, const char *directory, char **ret_text, size_t *ret_size)
{
    char path[STORE_PATH_BYTES];
    struct sl_file *file = NULL;
    uint64_t size = 0;
    size_t got = 0;
    char *text = NULL;
    snprintf(path, sizeof(path), "%.900s/backup.json", directory);
    sl_err err = sl_file_open(cli->os, path, SL_FILE_READ, &file);
    err = err != SLUICE_OK ? err : sl_file_size(file, &size);
    if (err == SLUICE_OK && size > MANIFEST_BYTES_MAX) {
        err = SLUICE_E_CORRUPT;
    }
    if (err == SLUICE_OK) {
        text = sl_alloc((size_t)size + 1);
        err = text == NULL ? SLUICE_E_NO_MEMORY : sl_file_pread(file, text, (size_t)size, 0, &got);
    }
    sl_file_close(file);
    if (err != SLUICE_OK) {
        sl_free(text);
        return err;
    }
    text[got] = '\0';
    *ret_text = text;
    *ret_size = got;
    return SLUICE_OK;
}

/* The object of the first line, when the second says that it is whole. */
static cJSON *text_parse(char *text)
{
    char sum[40];
    char *newline = strchr(text, '\n');
    if (newline == NULL) {
        return NULL;
    }
    *newline = '\0';
    snprintf(sum, sizeof(sum), "{\"crc32c\":\"%08x\"}\n", sl_crc32c(text, strlen(text)));
    return strcmp(newline + 1, sum) == 0 ? cJSON_Parse(text) : NULL;
}

/* A path below data/ that leads nowhere else. */
static bool path_is_inside(const char *path)
{
    return path != NULL && path[0] != '/' && path[0] != '\0' && strstr(path, "..") == NULL &&
           strlen(path) < 200;
}

static bool manifest_agrees(const cJSON *manifest)
{
    const cJSON *file;
    const char *format = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(manifest, "format"));
    bool agrees = format != NULL && strcmp(format, BACKUP_FORMAT) == 0;
    cJSON_ArrayForEach(file, cJSON_GetObjectItemCaseSensitive(manifest, "files"))
    {
        const char *path = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(file, "path"));
        const char *sums = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(file, "crc32c"));
        agrees = agrees && path_is_inside(path) && sums != NULL;
    }
    return agrees;
}

cJSON *backup_manifest_read(struct cli *cli, const char *directory)
{
    char *text = NULL;
    size_t size = 0;
    sl_err err = text_read(cli, directory, &text, &size);
    if (err == SLUICE_E_NOT_FOUND) {
        cli_complain("%.400s holds no finished backup: there is no backup.json", directory);
        return NULL;
    }
    if (err != SLUICE_OK) {
        cli_complain("%.400s/backup.json cannot be read: %s", directory, sl_status_text(err));
        return NULL;
    }
    cJSON *manifest = strlen(text) == size ? text_parse(text) : NULL;
    sl_free(text);
    if (manifest == NULL || !manifest_agrees(manifest)) {
        cli_complain("%.400s/backup.json is damaged; its checksum does not hold", directory);
        cJSON_Delete(manifest);
        return NULL;
    }
    if (backup_u64(manifest, "major") > BACKUP_MAJOR) {
        cli_complain("%.400s was made by a newer version of Sluice; use that one", directory);
        cJSON_Delete(manifest);
        return NULL;
    }
    return manifest;
}

/* ---- checking ---- */

static void damage_tell(struct cli *cli, const char *path, const cJSON *file, int64_t block)
{
    uint64_t bytes = backup_u64(file, "bytes");
    uint64_t position = (uint64_t)block * BACKUP_BLOCK;
    cJSON *object = cli_event_new("damaged");
    cJSON_AddStringToObject(object, "path", path);
    cli_u64_add(object, "position", position);
    cli_u64_add(object, "bytes", SL_MIN(bytes - SL_MIN(position, bytes), (uint64_t)BACKUP_BLOCK));
    cli_event_write(cli, object);
}

static bool file_check(struct backup_pace *pace, const char *directory, const cJSON *file)
{
    char path[STORE_PATH_BYTES];
    struct backup_sums sums = {.text = NULL};
    struct sl_file *opened = NULL;
    uint64_t size = 0;
    uint64_t bytes = backup_u64(file, "bytes");
    snprintf(path, sizeof(path), "%.700s/data/%.200s", directory,
             cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(file, "path")));
    sl_err err = sl_file_open(pace->cli->os, path, SL_FILE_READ, &opened);
    err = err != SLUICE_OK ? err : sl_file_size(opened, &size);
    sl_file_close(opened);
    if (err != SLUICE_OK || size != bytes) {
        cli_progress_clear(&pace->progress);
        cli_complain("%.400s: %s", path,
                     err == SLUICE_E_NOT_FOUND ? "the file is missing"
                     : err != SLUICE_OK        ? sl_status_text(err)
                                               : "the file has another size than when it was made");
        return false;
    }
    if (!backup_copy(pace, path, NULL, bytes, &sums)) {
        return false;
    }
    int64_t block = backup_sums_compare(
        &sums, cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(file, "crc32c")));
    backup_sums_fini(&sums);
    if (block >= 0) {
        cli_progress_clear(&pace->progress);
        cli_complain("%.400s is damaged between position %llu and %llu", path,
                     (unsigned long long)block * BACKUP_BLOCK,
                     (unsigned long long)SL_MIN((uint64_t)(block + 1) * BACKUP_BLOCK, bytes));
        damage_tell(pace->cli, path, file, block);
    }
    return block < 0;
}

int backup_check(struct cli *cli, const char *directory, const cJSON *manifest,
                 uint64_t bytes_per_s)
{
    const cJSON *file;
    struct backup_pace pace;
    uint32_t broken = 0;
    backup_pace_begin(&pace, cli, "verifying backup", bytes_per_s, backup_bytes(manifest));
    cJSON_ArrayForEach(file, cJSON_GetObjectItemCaseSensitive(manifest, "files"))
    {
        broken += !file_check(&pace, directory, file);
    }
    cli_progress_clear(&pace.progress);
    return broken == 0 ? CLI_OK : CLI_FAILED;
}
