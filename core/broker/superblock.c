/* superblock.c: see superblock.h. */
#include "broker/superblock.h"

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/status.h"

#include <stdio.h>
#include <string.h>

#define MAGIC        "SLUICEDB"
#define CRC_AT       (SUPERBLOCK_SIZE - 4)
#define PATH_BYTES   4096u
#define SHARDS_MAX   64u
#define LOCK_WAIT_MS 2000
#define LOCK_STEP_MS 10

void superblock_encode(const struct superblock *superblock, uint8_t p[SUPERBLOCK_SIZE])
{
    memset(p, 0, SUPERBLOCK_SIZE);
    memcpy(p, MAGIC, 8);
    sl_le16_store(p + 8, SUPERBLOCK_MAJOR);
    sl_le16_store(p + 10, SUPERBLOCK_MINOR);
    sl_le32_store(p + 12, superblock->shard_count);
    memcpy(p + 32, superblock->cluster.b, 16);
    sl_le32_store(p + CRC_AT, sl_crc32c(p, CRC_AT));
}

sl_err superblock_decode(const uint8_t p[SUPERBLOCK_SIZE], struct superblock *ret_superblock)
{
    if (memcmp(p, MAGIC, 8) != 0 || sl_le32_load(p + CRC_AT) != sl_crc32c(p, CRC_AT)) {
        return SLUICE_E_CORRUPT;
    }
    if (sl_le16_load(p + 8) > SUPERBLOCK_MAJOR || sl_le64_load(p + 24) != 0) {
        return SLUICE_E_NEWER_FORMAT;
    }
    struct superblock superblock = {.shard_count = sl_le32_load(p + 12)};
    memcpy(superblock.cluster.b, p + 32, 16);
    if (superblock.shard_count == 0 || superblock.shard_count > SHARDS_MAX) {
        return SLUICE_E_CORRUPT;
    }
    *ret_superblock = superblock;
    return SLUICE_OK;
}

static sl_err create(struct sl_os *os, const char *directory, const char *path, uint32_t shards,
                     struct superblock *ret_superblock)
{
    struct superblock superblock = {.shard_count = shards};
    sl_os_random(os, superblock.cluster.b, sizeof(superblock.cluster.b));
    uint8_t bytes[SUPERBLOCK_SIZE];
    superblock_encode(&superblock, bytes);
    char temporary[PATH_BYTES + 8];
    snprintf(temporary, sizeof(temporary), "%s.new", path);
    struct sl_file *file = NULL;
    sl_err err = sl_file_open(os, temporary, SL_FILE_WRITE | SL_FILE_CREATE, &file);
    struct sl_iovec piece = {bytes, sizeof(bytes)};
    err = err != SLUICE_OK ? err : sl_file_pwritev(file, &piece, 1, 0);
    err = err != SLUICE_OK ? err : sl_file_sync(file);
    sl_file_close(file);
    err = err != SLUICE_OK ? err : sl_path_rename(os, temporary, path);
    err = err != SLUICE_OK ? err : sl_dir_sync(os, directory);
    if (err == SLUICE_OK) {
        *ret_superblock = superblock;
    }
    return err;
}

/* Those of the shards are on the disk before the superblock is: where it is and one of them is not,
 * that one was lost. */
static sl_err folders_make(struct sl_os *os, const char *directory, uint32_t shards)
{
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < shards && err == SLUICE_OK; i++) {
        char shard[PATH_BYTES];
        char log[PATH_BYTES + 8];
        snprintf(shard, sizeof(shard), "%s/shard-%u", directory, i);
        snprintf(log, sizeof(log), "%s/wal", shard);
        err = sl_dir_make(os, log);
        err = err != SLUICE_OK ? err : sl_dir_sync(os, shard);
    }
    return err != SLUICE_OK ? err : sl_dir_sync(os, directory);
}

struct look {
    bool found;
};

static void look_entry(void *arg, const char *name SL_UNUSED, bool is_directory SL_UNUSED)
{
    struct look *look = arg;
    look->found = true;
}

/* A folder whose shards have files had a superblock: a new one would make its data somebody else's.
 */
static sl_err create_or_refuse(struct sl_os *os, const char *directory, const char *path,
                               uint32_t shards, struct superblock *ret_superblock)
{
    struct look look = {false};
    for (uint32_t i = 0; i < SHARDS_MAX; i++) {
        char log[PATH_BYTES];
        snprintf(log, sizeof(log), "%s/shard-%u/wal", directory, i);
        sl_err err = sl_dir_list(os, log, look_entry, &look);
        if (err != SLUICE_OK && err != SLUICE_E_NOT_FOUND) {
            return err;
        }
    }
    sl_err err = look.found ? SLUICE_E_NOT_FOUND : folders_make(os, directory, shards);
    return err != SLUICE_OK ? err : create(os, directory, path, shards, ret_superblock);
}

static sl_err load(struct sl_file *file, struct superblock *ret_superblock)
{
    uint8_t bytes[SUPERBLOCK_SIZE];
    size_t size = 0;
    sl_err err = sl_file_pread(file, bytes, sizeof(bytes), 0, &size);
    if (err == SLUICE_OK && size != sizeof(bytes)) {
        err = SLUICE_E_CORRUPT;
    }
    return err != SLUICE_OK ? err : superblock_decode(bytes, ret_superblock);
}

/* A broker that was killed while it started a worker left a child that holds the lock until it runs
 * the worker's program: some milliseconds, on a busy machine more. */
static sl_err lock_wait(struct sl_file *lock)
{
    sl_err err = sl_file_lock(lock);
    for (int waited_ms = 0; err == SLUICE_E_LOCKED && waited_ms < LOCK_WAIT_MS;
         waited_ms += LOCK_STEP_MS) {
        sl_sleep_ms(LOCK_STEP_MS);
        err = sl_file_lock(lock);
    }
    return err;
}

static sl_err lock_directory(struct sl_os *os, const char *directory, struct sl_file **ret_lock)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/lock", directory);
    struct sl_file *lock = NULL;
    sl_err err = sl_dir_make(os, directory);
    err = err != SLUICE_OK ? err : sl_file_open(os, path, SL_FILE_WRITE | SL_FILE_CREATE, &lock);
    err = err != SLUICE_OK ? err : lock_wait(lock);
    if (err != SLUICE_OK) {
        sl_file_close(lock);
        return err;
    }
    *ret_lock = lock;
    return SLUICE_OK;
}

static void explain(sl_err err, const char *directory, char ret_problem[SUPERBLOCK_PROBLEM_BYTES])
{
    const char *advice =
        err == SLUICE_E_LOCKED
            ? "another broker runs on it; stop that one, or give this one another data.dir"
        : err == SLUICE_E_NEWER_FORMAT ? "a newer release wrote it; start that release"
        : err == SLUICE_E_CORRUPT      ? "sluice.meta is damaged; restore it from a backup"
        : err == SLUICE_E_NOT_FOUND ? "it has shards, but sluice.meta is missing; restore it from "
                                      "a backup"
                                    : "check that it exists, may be written and has room";
    snprintf(ret_problem, SUPERBLOCK_PROBLEM_BYTES, "data directory %s: %s; %s", directory,
             sl_status_text(err), advice);
}

sl_err superblock_open(struct sl_os *os, const char *directory, uint32_t wanted_shards,
                       struct superblock *ret_superblock, struct sl_file **ret_lock,
                       char ret_problem[SUPERBLOCK_PROBLEM_BYTES])
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/sluice.meta", directory);
    struct sl_file *lock = NULL;
    struct sl_file *file = NULL;
    sl_err err = lock_directory(os, directory, &lock);
    if (err == SLUICE_OK) {
        err = sl_file_open(os, path, SL_FILE_READ, &file);
        if (err == SLUICE_E_NOT_FOUND) {
            err = create_or_refuse(os, directory, path, wanted_shards, ret_superblock);
        } else if (err == SLUICE_OK) {
            err = load(file, ret_superblock);
            /* A start that was killed may have left a name that is only seen. */
            err = err != SLUICE_OK ? err : sl_dir_sync(os, directory);
        }
        sl_file_close(file);
    }
    if (err != SLUICE_OK) {
        sl_file_close(lock);
        explain(err, directory, ret_problem);
        return err;
    }
    *ret_lock = lock;
    return SLUICE_OK;
}
