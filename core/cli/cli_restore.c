/* cli_restore.c: backup restore: a new data folder out of a backup.
 *
 * Everything is verified before anything is written. The files are copied into
 * NEWDIR/restore.incomplete, compared with their sums once more on the way, and moved to their
 * places at the end, sluice.meta last. Topics, offsets and the cluster keep their ids. The epoch of
 * every shard rises by BACKUP_EPOCH_STEP, as if so many starts had been unclean: clients that saw
 * records after the cut find that their leader epoch ended before, and go back (KIP-320); without
 * the step the old broker might have come to the same epoch with other records. */
#include "cli/cli_backup.h"
#include "wal/wal_scan.h"

#include "base/buffer.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>

struct restore {
    struct cli *cli;
    const char *backup;
    char target[STORE_PATH_BYTES];
    cJSON *manifest;
    struct backup_pace pace;
    struct sl_file *lock;
};

static bool complain(const char *what, sl_err err)
{
    cli_complain("%.600s: %s", what, sl_status_text(err));
    return false;
}

static const char *path_of(const cJSON *file)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(file, "path"));
}

/* ---- files ---- */

static bool folder_of_file_make(struct restore *restore, const char *path)
{
    char folder[STORE_PATH_BYTES];
    snprintf(folder, sizeof(folder), "%s", path);
    *strrchr(folder, '/') = '\0';
    sl_err err = sl_dir_make(restore->cli->os, folder);
    return err == SLUICE_OK || complain(folder, err);
}

static bool file_restore(struct restore *restore, const cJSON *file)
{
    char from[STORE_PATH_BYTES], to[STORE_PATH_BYTES];
    struct backup_sums sums = {.text = NULL};
    snprintf(from, sizeof(from), "%.700s/data/%.200s", restore->backup, path_of(file));
    snprintf(to, sizeof(to), "%.700s/restore.incomplete/%.200s", restore->target, path_of(file));
    if (!folder_of_file_make(restore, to) ||
        !backup_copy(&restore->pace, from, to, backup_u64(file, "bytes"), &sums)) {
        return false;
    }
    bool same =
        backup_sums_compare(
            &sums, cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(file, "crc32c"))) < 0;
    backup_sums_fini(&sums);
    if (!same) {
        cli_progress_clear(&restore->pace.progress);
        cli_complain("%.600s changed while it was copied", from);
    }
    return same;
}

/* ---- epochs ---- */

static sl_err epoch_raise(struct restore *restore, const char *directory, uint32_t slot)
{
    char path[STORE_PATH_BYTES];
    struct wal_checkpoint_header header;
    struct sl_bytes items;
    struct sl_buffer bytes;
    snprintf(path, sizeof(path), "%.900s/checkpoint-%u", directory, slot);
    sl_err err = wal_checkpoint_read(restore->cli->os, path, false, &header, &items);
    if (err == SLUICE_E_NOT_FOUND) {
        return SLUICE_OK;
    }
    if (err != SLUICE_OK) {
        return err;
    }
    header.epoch += BACKUP_EPOCH_STEP;
    sl_buffer_init(&bytes, SIZE_MAX / 2);
    err = sl_buffer_reserve(&bytes, WAL_CHECKPOINT_HEADER + items.size);
    if (err == SLUICE_OK) {
        wal_checkpoint_header_encode(&header, bytes.data);
        bytes.size = WAL_CHECKPOINT_HEADER;
        err = sl_buffer_append(&bytes, items.data, items.size);
    }
    err = err != SLUICE_OK ? err
                           : wal_checkpoint_write(restore->cli->os, directory, header.generation,
                                                  sl_buffer_bytes(&bytes));
    sl_buffer_fini(&bytes);
    sl_free((void *)(uintptr_t)items.data);
    return err;
}

/* ---- the end ---- */

static sl_err shard_finish(struct restore *restore, uint32_t number)
{
    char from[STORE_PATH_BYTES], to[STORE_PATH_BYTES], log[STORE_PATH_BYTES + 8];
    struct sl_os *os = restore->cli->os;
    snprintf(from, sizeof(from), "%.700s/restore.incomplete/shard-%u", restore->target, number);
    snprintf(to, sizeof(to), "%.700s/shard-%u", restore->target, number);
    snprintf(log, sizeof(log), "%s/wal", from);
    sl_err err = epoch_raise(restore, log, 0);
    err = err != SLUICE_OK ? err : epoch_raise(restore, log, 1);
    err = err != SLUICE_OK ? err : sl_dir_sync(os, log);
    snprintf(log, sizeof(log), "%s/ext", from);
    err = err != SLUICE_OK ? err : sl_dir_make(os, log);
    err = err != SLUICE_OK ? err : sl_dir_sync(os, log);
    err = err != SLUICE_OK ? err : sl_dir_sync(os, from);
    return err != SLUICE_OK ? err : sl_path_rename(os, from, to);
}

static bool finish(struct restore *restore)
{
    const cJSON *shard;
    char from[STORE_PATH_BYTES], to[STORE_PATH_BYTES];
    struct sl_os *os = restore->cli->os;
    sl_err err = SLUICE_OK;
    cJSON_ArrayForEach(shard, cJSON_GetObjectItemCaseSensitive(restore->manifest, "shards"))
    {
        err = err != SLUICE_OK ? err : shard_finish(restore, (uint32_t)backup_u64(shard, "shard"));
    }
    err = err != SLUICE_OK ? err : sl_dir_sync(os, restore->target);
    snprintf(from, sizeof(from), "%.700s/restore.incomplete/sluice.meta", restore->target);
    snprintf(to, sizeof(to), "%.700s/sluice.meta", restore->target);
    err = err != SLUICE_OK ? err : sl_path_rename(os, from, to);
    err = err != SLUICE_OK ? err : sl_dir_sync(os, restore->target);
    if (err != SLUICE_OK) {
        return complain(restore->target, err);
    }
    snprintf(from, sizeof(from), "%.700s/restore.incomplete", restore->target);
    (void)remove(from); /* empty now */
    return true;
}

/* ---- the command ---- */

/* No broker may begin in the folder meanwhile. */
static bool target_lock(struct restore *restore)
{
    char path[STORE_PATH_BYTES];
    snprintf(path, sizeof(path), "%.700s/lock", restore->target);
    sl_err err =
        sl_file_open(restore->cli->os, path, SL_FILE_WRITE | SL_FILE_CREATE, &restore->lock);
    err = err != SLUICE_OK ? err : sl_file_lock(restore->lock);
    return err == SLUICE_OK || complain(path, err);
}

static bool has_room(const struct restore *restore)
{
    uint64_t total = 0, available = 0;
    uint64_t bytes = backup_bytes(restore->manifest);
    if (sl_disk_space(restore->cli->os, restore->target, &total, &available) != SLUICE_OK ||
        available >= bytes) {
        return true;
    }
    cli_complain("%.600s has room for %.1f MiB, but %.1f MiB are needed", restore->target,
                 (double)available / 1048576, (double)bytes / 1048576);
    return false;
}

static bool files_restore(struct restore *restore, uint64_t bytes_per_s)
{
    const cJSON *file;
    backup_pace_begin(&restore->pace, restore->cli, "restoring", bytes_per_s,
                      backup_bytes(restore->manifest));
    cJSON_ArrayForEach(file, cJSON_GetObjectItemCaseSensitive(restore->manifest, "files"))
    {
        if (!file_restore(restore, file)) {
            return false;
        }
    }
    cli_progress_clear(&restore->pace.progress);
    return true;
}

static void told(const struct restore *restore)
{
    char text[1024];
    cJSON *object = cli_event_new("restored");
    cJSON_AddStringToObject(object, "path", restore->target);
    cJSON_AddStringToObject(object, "cluster_id",
                            cli_member_text(restore->manifest, "cluster_id", text));
    cJSON_AddStringToObject(object, "created_ms",
                            cli_member_text(restore->manifest, "created_ms", text));
    cli_u64_add(
        object, "files",
        (uint64_t)cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(restore->manifest, "files")));
    cli_u64_add(object, "bytes", backup_bytes(restore->manifest));
    cli_event_write(restore->cli, object);
}

static int target_find(struct restore *restore)
{
    if (restore->cli->options.word_count < 2) {
        return cli_store_configured(restore->cli, restore->target);
    }
    snprintf(restore->target, sizeof(restore->target), "%.1000s", restore->cli->options.words[1]);
    return CLI_OK;
}

int cli_backup_restore(struct cli *cli)
{
    struct restore restore = {.cli = cli, .backup = cli->options.words[0]};
    uint64_t rate = 0;
    int code = cli_rate(cli, &rate) ? target_find(&restore) : CLI_USAGE;
    if (code != CLI_OK) {
        return code;
    }
    restore.manifest = backup_manifest_read(cli, restore.backup);
    bool done = restore.manifest != NULL && backup_folder_make(cli, restore.target, "restore") &&
                has_room(&restore) &&
                backup_check(cli, restore.backup, restore.manifest, rate) == CLI_OK &&
                target_lock(&restore) && files_restore(&restore, rate) && finish(&restore);
    if (done) {
        told(&restore);
    }
    sl_file_close(restore.lock);
    cJSON_Delete(restore.manifest);
    return done ? CLI_OK : CLI_FAILED;
}
