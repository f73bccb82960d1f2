/* cli_backup.c: backup create and verify.
 *
 * The broker says what a consistent cut consists of and keeps those files (backup.begin); they are
 * copied here, in a process of its own, so that serving feels nothing but the reading. First the
 * logs, which are then given back, then the extents. What was copied is opened as a start would
 * open it, and every checksum in it compared, before the manifest makes it a backup. */
#include "cli/cli_backup.h"
#include "extent/extent_inspect.h"
#include "wal/wal_inspect.h"
#include "wal/wal_scan.h"

#include "base/buffer.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>

#define SUPERBLOCK_BYTES 4096u /* of sluice.meta */

struct backup {
    struct cli *cli;
    struct cli_link link;
    bool is_linked;
    const char *directory;
    char source[STORE_PATH_BYTES]; /* the broker's data folder */
    cJSON *cut;                    /* owned: the reply of backup.begin */
    cJSON *files;                  /* of the manifest; owned until it is made */
    cJSON *shards;
    struct backup_pace pace;
    uint64_t bytes_per_s;
};

static bool complain(struct backup *backup, const char *what, sl_err err)
{
    cli_progress_clear(&backup->pace.progress);
    cli_complain("%.600s: %s", what, sl_status_text(err));
    return false;
}

/* ---- one file ---- */

static bool file_copy(struct backup *backup, const char *name, uint64_t size)
{
    char from[STORE_PATH_BYTES], to[STORE_PATH_BYTES];
    struct backup_sums sums = {.text = NULL};
    snprintf(from, sizeof(from), "%.700s/%.200s", backup->source, name);
    snprintf(to, sizeof(to), "%.700s/incomplete/%.200s", backup->directory, name);
    if (!backup_copy(&backup->pace, from, to, size, &sums)) {
        return false;
    }
    backup_file_add(backup->files, name, size, &sums);
    backup_sums_fini(&sums);
    return true;
}

/* ---- the log of a shard ---- */

/* Where the frames of a segment end, up to and with lsn_max. 0: it cannot be read. */
static uint64_t segment_end(struct backup *backup, const char *path, uint64_t number,
                            uint64_t lsn_max)
{
    struct wal_reader reader;
    struct wal_frame_header frame;
    struct sl_file *file = NULL;
    uint64_t at = WAL_SEGMENT_HEADER;
    wal_reader_init(&reader);
    reader.os = backup->cli->os;
    sl_err err = sl_file_open(backup->cli->os, path, SL_FILE_READ, &file);
    err = err != SLUICE_OK ? err : wal_reader_open(&reader, file);
    while (err == SLUICE_OK && wal_reader_header(&reader, at, &frame) == SLUICE_OK &&
           frame.incarnation == number && frame.lsn <= lsn_max) {
        at += frame.frame_size;
    }
    wal_reader_fini(&reader);
    sl_file_close(file);
    return err == SLUICE_OK ? at : 0;
}

/* The newest checkpoint that the cut contains: it may have been replaced since, by the next but one
 * after the cut. */
static bool checkpoint_choose(struct backup *backup, const cJSON *shard,
                              struct wal_checkpoint_header *ret_header, struct sl_bytes *ret_items)
{
    bool found = false;
    for (uint32_t slot = 0; slot < 2; slot++) {
        char path[STORE_PATH_BYTES];
        struct wal_checkpoint_header header;
        struct sl_bytes items;
        snprintf(path, sizeof(path), "%.700s/shard-%d/wal/checkpoint-%u", backup->source,
                 (int)backup_u64(shard, "shard"), slot);
        if (wal_checkpoint_read(backup->cli->os, path, false, &header, &items) != SLUICE_OK) {
            continue;
        }
        bool fits = header.end_lsn <= backup_u64(shard, "lsn") &&
                    header.first_segment >= backup_u64(shard, "first_segment") &&
                    (!found || header.generation > ret_header->generation);
        if (fits && found) {
            sl_free((void *)(uintptr_t)ret_items->data);
        }
        if (fits) {
            *ret_header = header;
            *ret_items = items;
            found = true;
        } else {
            sl_free((void *)(uintptr_t)items.data);
        }
    }
    return found;
}

/* Its bytes under their own name, and into the manifest. */
static bool checkpoint_write(struct backup *backup, uint32_t number,
                             const struct wal_checkpoint_header *header, struct sl_bytes items)
{
    char directory[STORE_PATH_BYTES], name[64];
    struct sl_buffer bytes;
    struct backup_sums sums = {.text = NULL};
    snprintf(directory, sizeof(directory), "%.700s/incomplete/shard-%u/wal", backup->directory,
             number);
    snprintf(name, sizeof(name), "shard-%u/wal/checkpoint-%u", number,
             (uint32_t)(header->generation & 1));
    sl_buffer_init(&bytes, SIZE_MAX / 2);
    sl_err err = sl_buffer_reserve(&bytes, WAL_CHECKPOINT_HEADER + items.size);
    if (err == SLUICE_OK) {
        wal_checkpoint_header_encode(header, bytes.data);
        bytes.size = WAL_CHECKPOINT_HEADER;
        err = sl_buffer_append(&bytes, items.data, items.size);
    }
    err = err != SLUICE_OK ? err
                           : wal_checkpoint_write(backup->cli->os, directory, header->generation,
                                                  sl_buffer_bytes(&bytes));
    size_t size = bytes.size;
    sl_buffer_fini(&bytes);
    if (err != SLUICE_OK) {
        return complain(backup, directory, err);
    }
    char path[STORE_PATH_BYTES];
    snprintf(path, sizeof(path), "%.700s/incomplete/%s", backup->directory, name);
    if (!backup_copy(&backup->pace, path, NULL, size, &sums)) {
        return false;
    }
    backup_file_add(backup->files, name, size, &sums);
    backup_sums_fini(&sums);
    return true;
}

static bool segments_copy(struct backup *backup, const cJSON *shard, uint64_t first)
{
    uint32_t number = (uint32_t)backup_u64(shard, "shard");
    uint64_t last = backup_u64(shard, "last_segment");
    for (uint64_t at = first; at <= last; at++) {
        char name[64], path[STORE_PATH_BYTES];
        snprintf(name, sizeof(name), "shard-%u/wal/%020llu.seg", number, (unsigned long long)at);
        snprintf(path, sizeof(path), "%.700s/%s", backup->source, name);
        uint64_t end = segment_end(backup, path, at, backup_u64(shard, "lsn"));
        if (end == 0) {
            return complain(backup, path, SLUICE_E_NOT_FOUND);
        }
        if (!file_copy(backup, name, end)) {
            return false;
        }
    }
    return true;
}

static bool folders_make(struct backup *backup, uint32_t number)
{
    char path[STORE_PATH_BYTES];
    static const char *const names[] = {"wal", "ext"};
    for (size_t i = 0; i < SL_COUNT_OF(names); i++) {
        snprintf(path, sizeof(path), "%.700s/incomplete/shard-%u/%s", backup->directory, number,
                 names[i]);
        sl_err err = sl_dir_make(backup->cli->os, path);
        if (err != SLUICE_OK) {
            return complain(backup, path, err);
        }
    }
    return true;
}

static bool log_copy(struct backup *backup, const cJSON *shard)
{
    struct wal_checkpoint_header header;
    struct sl_bytes items = {NULL, 0};
    uint32_t number = (uint32_t)backup_u64(shard, "shard");
    if (!checkpoint_choose(backup, shard, &header, &items)) {
        cli_progress_clear(&backup->pace.progress);
        cli_complain("shard %u has no checkpoint that fits the cut; try again", number);
        return false;
    }
    bool done = checkpoint_write(backup, number, &header, items) &&
                segments_copy(backup, shard, header.first_segment);
    sl_free((void *)(uintptr_t)items.data);
    return done;
}

/* What was copied is what a start would find, and ends where the cut is. */
static bool log_check(struct backup *backup, const cJSON *shard)
{
    static const struct wal_inspect_events events = {NULL, NULL, NULL, NULL};
    char path[STORE_PATH_BYTES];
    struct wal_recovery report;
    snprintf(path, sizeof(path), "%.700s/incomplete/shard-%d", backup->directory,
             (int)backup_u64(shard, "shard"));
    sl_err err = wal_inspect(backup->cli->os, path, true, &events, NULL, &report);
    if (err == SLUICE_OK && report.last_lsn == backup_u64(shard, "lsn") && report.bytes_cut == 0) {
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddNumberToObject(entry, "shard", (double)backup_u64(shard, "shard"));
        cli_u64_add(entry, "lsn", report.last_lsn);
        cli_u64_add(entry, "epoch", report.epoch);
        cli_u64_add(
            entry, "extents",
            (uint64_t)cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(shard, "extents")));
        cJSON_AddItemToArray(backup->shards, entry);
        return true;
    }
    cli_progress_clear(&backup->pace.progress);
    cli_complain("what is stored is damaged, so it was not backed up: %s; see sluice scrub",
                 report.problem[0] != '\0' ? report.problem : path);
    return false;
}

/* ---- extents ---- */

static bool extents_copy(struct backup *backup, const cJSON *shard)
{
    const cJSON *extent;
    uint32_t number = (uint32_t)backup_u64(shard, "shard");
    cJSON_ArrayForEach(extent, cJSON_GetObjectItemCaseSensitive(shard, "extents"))
    {
        char name[64], path[STORE_PATH_BYTES];
        struct extent_report report;
        snprintf(name, sizeof(name), "shard-%u/ext/%020llu.ext", number,
                 (unsigned long long)backup_u64(extent, "id"));
        snprintf(path, sizeof(path), "%.700s/incomplete/%s", backup->directory, name);
        if (!file_copy(backup, name, backup_u64(extent, "bytes"))) {
            return false;
        }
        if (extent_inspect(backup->cli->os, path, true, NULL, NULL, &report) != SLUICE_OK) {
            cli_progress_clear(&backup->pace.progress);
            cli_complain("what is stored is damaged, so it was not backed up: %s", report.problem);
            return false;
        }
    }
    return true;
}

/* ---- the whole ---- */

static uint64_t bytes_planned(const struct backup *backup)
{
    const cJSON *shard;
    const cJSON *extent;
    uint64_t bytes = 0;
    cJSON_ArrayForEach(shard, cJSON_GetObjectItemCaseSensitive(cli_result(backup->cut), "shards"))
    {
        cJSON_ArrayForEach(extent, cJSON_GetObjectItemCaseSensitive(shard, "extents"))
        {
            bytes += backup_u64(extent, "bytes");
        }
        for (uint64_t at = backup_u64(shard, "first_segment");
             at <= backup_u64(shard, "last_segment"); at++) {
            char path[STORE_PATH_BYTES];
            snprintf(path, sizeof(path), "%.700s/shard-%d/wal/%020llu.seg", backup->source,
                     (int)backup_u64(shard, "shard"), (unsigned long long)at);
            bytes +=
                segment_end((struct backup *)(uintptr_t)backup, path, at, backup_u64(shard, "lsn"));
        }
    }
    return bytes;
}

#define LEFT_DIVISOR 10u /* of the broker's disk, so much is left: it slows its producers then */

/* On the broker's own disk the copy must not make it slow, or read-only. */
static bool disk_stays(struct backup *backup, uint64_t bytes)
{
    uint64_t total = 0, available = 0, own_total = 0, own_available = 0;
    struct sl_os *os = backup->cli->os;
    if (sl_disk_space(os, backup->directory, &total, &available) != SLUICE_OK ||
        sl_disk_space(os, backup->source, &own_total, &own_available) != SLUICE_OK ||
        total != own_total || available < bytes || available - bytes >= total / LEFT_DIVISOR) {
        return true;
    }
    cli_complain("%.500s lies on the disk of the broker, which would be more than 90 %% full: copy "
                 "%.1f MiB to another one",
                 backup->directory, (double)bytes / 1048576);
    return false;
}

static bool has_room(struct backup *backup, uint64_t bytes)
{
    uint64_t total = 0, available = 0;
    if (sl_disk_space(backup->cli->os, backup->directory, &total, &available) != SLUICE_OK ||
        available >= bytes) {
        return true;
    }
    cli_complain("%.600s has room for %.1f MiB, but %.1f MiB are needed", backup->directory,
                 (double)available / 1048576, (double)bytes / 1048576);
    return false;
}

static bool release(struct backup *backup, const char *what, bool *ret_kept)
{
    cJSON *args = cJSON_CreateObject();
    cJSON *reply = NULL;
    cJSON_AddStringToObject(args, "what", what);
    int code = cli_call(&backup->link, "backup.release", args, &reply);
    *ret_kept = code == CLI_OK &&
                cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(cli_result(reply), "log_kept"));
    cJSON_Delete(reply);
    return code == CLI_OK;
}

static bool logs_copy(struct backup *backup)
{
    const cJSON *shard;
    bool kept = false;
    cJSON_ArrayForEach(shard, cJSON_GetObjectItemCaseSensitive(cli_result(backup->cut), "shards"))
    {
        if (!log_copy(backup, shard)) {
            return false;
        }
    }
    if (!release(backup, "log", &kept)) {
        return false;
    }
    if (!kept) {
        cli_progress_clear(&backup->pace.progress);
        cli_complain("the write-ahead log filled up meanwhile, so the broker took its files back; "
                     "try again, with a higher --rate or to a faster disk");
    }
    return kept;
}

static bool copy_all(struct backup *backup)
{
    const cJSON *shard;
    const cJSON *shards = cJSON_GetObjectItemCaseSensitive(cli_result(backup->cut), "shards");
    cJSON_ArrayForEach(shard, shards)
    {
        if (!folders_make(backup, (uint32_t)backup_u64(shard, "shard"))) {
            return false;
        }
    }
    if (!file_copy(backup, "sluice.meta", SUPERBLOCK_BYTES) || !logs_copy(backup)) {
        return false;
    }
    cJSON_ArrayForEach(shard, shards)
    {
        if (!log_check(backup, shard) || !extents_copy(backup, shard)) {
            return false;
        }
    }
    return true;
}

static cJSON *manifest_new(struct backup *backup)
{
    const cJSON *cut = cli_result(backup->cut);
    char text[1024];
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "format", BACKUP_FORMAT);
    cJSON_AddNumberToObject(object, "major", BACKUP_MAJOR);
    cJSON_AddNumberToObject(object, "minor", BACKUP_MINOR);
    cJSON_AddStringToObject(object, "version", cli_member_text(cut, "version", text));
    cJSON_AddStringToObject(object, "cluster_id", cli_member_text(cut, "cluster_id", text));
    cli_i64_add(object, "created_ms", sl_os_wall_ms(backup->cli->os));
    cJSON_AddItemToObject(object, "shards", backup->shards);
    cJSON_AddItemToObject(object, "files", backup->files);
    backup->shards = backup->files = NULL;
    return object;
}

/* Names of files and folders are durable before the manifest is. */
static bool names_sync(struct backup *backup)
{
    const cJSON *shard;
    char path[STORE_PATH_BYTES], to[STORE_PATH_BYTES];
    static const char *const names[] = {"/wal", "/ext", ""};
    sl_err err = SLUICE_OK;
    cJSON_ArrayForEach(shard, cJSON_GetObjectItemCaseSensitive(cli_result(backup->cut), "shards"))
    {
        for (size_t i = 0; i < SL_COUNT_OF(names) && err == SLUICE_OK; i++) {
            snprintf(path, sizeof(path), "%.700s/incomplete/shard-%d%s", backup->directory,
                     (int)backup_u64(shard, "shard"), names[i]);
            err = sl_dir_sync(backup->cli->os, path);
        }
    }
    snprintf(path, sizeof(path), "%.700s/incomplete", backup->directory);
    snprintf(to, sizeof(to), "%.700s/data", backup->directory);
    err = err != SLUICE_OK ? err : sl_dir_sync(backup->cli->os, path);
    err = err != SLUICE_OK ? err : sl_path_rename(backup->cli->os, path, to);
    err = err != SLUICE_OK ? err : sl_dir_sync(backup->cli->os, backup->directory);
    return err == SLUICE_OK || complain(backup, path, err);
}

static void told(struct backup *backup, const cJSON *manifest)
{
    cJSON *object = cli_event_new("created");
    char text[1024];
    cJSON_AddStringToObject(object, "path", backup->directory);
    cJSON_AddStringToObject(object, "cluster_id", cli_member_text(manifest, "cluster_id", text));
    cli_u64_add(object, "shards",
                (uint64_t)cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(manifest, "shards")));
    cli_u64_add(object, "files",
                (uint64_t)cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(manifest, "files")));
    cli_u64_add(object, "bytes", backup_bytes(manifest));
    cli_event_write(backup->cli, object);
}

static int create(struct backup *backup)
{
    bool kept = false;
    uint64_t bytes = bytes_planned(backup);
    if (!has_room(backup, bytes) || !disk_stays(backup, bytes)) {
        return CLI_FAILED;
    }
    backup_pace_begin(&backup->pace, backup->cli, "copying", backup->bytes_per_s, bytes);
    backup->files = cJSON_CreateArray();
    backup->shards = cJSON_CreateArray();
    if (!copy_all(backup) || !names_sync(backup)) {
        return CLI_FAILED;
    }
    cli_progress_clear(&backup->pace.progress);
    cJSON *manifest = manifest_new(backup);
    int code =
        backup_manifest_write(backup->cli, backup->directory, manifest) ? CLI_OK : CLI_FAILED;
    if (code == CLI_OK) {
        told(backup, manifest);
        (void)release(backup, "all", &kept); /* a broker that is gone holds nothing */
    }
    cJSON_Delete(manifest);
    return code;
}

/* Its files, when this process may read them. */
static int source_find(struct backup *backup)
{
    char text[1024], path[STORE_PATH_BYTES];
    struct sl_file *file = NULL;
    snprintf(backup->source, sizeof(backup->source), "%.700s",
             cli_member_text(cli_result(backup->cut), "data_dir", text));
    snprintf(path, sizeof(path), "%.700s/sluice.meta", backup->source);
    sl_err err = sl_file_open(backup->cli->os, path, SL_FILE_READ, &file);
    sl_file_close(file);
    if (err != SLUICE_OK) {
        cli_complain("the broker's data folder %.600s cannot be read here (%s): run this on its "
                     "machine, as its user",
                     backup->source, sl_status_text(err));
        return CLI_FAILED;
    }
    return CLI_OK;
}

static int backup_create(struct cli *cli)
{
    struct backup backup = {.cli = cli, .directory = cli->options.words[0]};
    if (!cli_rate(cli, &backup.bytes_per_s)) {
        return CLI_USAGE;
    }
    int code = cli_link_open(&backup.link, cli);
    if (code != CLI_OK) {
        return code;
    }
    code = backup_folder_make(cli, backup.directory, "a backup") ? CLI_OK : CLI_FAILED;
    code = code != CLI_OK ? code : cli_call(&backup.link, "backup.begin", NULL, &backup.cut);
    code = code != CLI_OK ? code : source_find(&backup);
    code = code != CLI_OK ? code : create(&backup);
    if (code != CLI_OK) {
        cli_progress_clear(&backup.pace.progress);
    }
    cli_link_close(&backup.link); /* the broker gives back what is still held */
    cJSON_Delete(backup.cut);
    cJSON_Delete(backup.files);
    cJSON_Delete(backup.shards);
    return code;
}

/* ---- verify ---- */

static int backup_verify(struct cli *cli)
{
    const char *directory = cli->options.words[0];
    uint64_t rate = 0;
    if (!cli_rate(cli, &rate)) {
        return CLI_USAGE;
    }
    cJSON *manifest = backup_manifest_read(cli, directory);
    int code = manifest == NULL ? CLI_FAILED : backup_check(cli, directory, manifest, rate);
    if (code == CLI_OK) {
        char text[1024];
        cJSON *object = cli_event_new("sound");
        cJSON_AddStringToObject(object, "path", directory);
        cJSON_AddStringToObject(object, "cluster_id",
                                cli_member_text(manifest, "cluster_id", text));
        cJSON_AddStringToObject(object, "created_ms",
                                cli_member_text(manifest, "created_ms", text));
        cli_u64_add(
            object, "files",
            (uint64_t)cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(manifest, "files")));
        cli_u64_add(object, "bytes", backup_bytes(manifest));
        cli_event_write(cli, object);
    }
    cJSON_Delete(manifest);
    return code;
}

/* ---- the table ---- */

/* clang-format off */
static const struct cli_command commands[] = {
    {"backup create", backup_create, "DIR", 1, 1, CLI_BROKER_OPTIONS | CLI_OPTION(RATE),
     "copy all that is durable now into a new folder, while the broker serves"},
    {"backup verify", backup_verify, "DIR", 1, 1,
     CLI_OPTION(JSON) | CLI_OPTION(HELP) | CLI_OPTION(RATE), "read and check every byte of a backup"},
    {"backup restore", cli_backup_restore, "DIR [NEWDIR]", 1, 2, CLI_FILE_OPTIONS | CLI_OPTION(RATE),
     "make a data folder out of a backup"},
};
/* clang-format on */

const struct cli_table cli_backup_table = {
    .title = "Backup", .commands = commands, .count = SL_COUNT_OF(commands)};
