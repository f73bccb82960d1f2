/* cli_backup.h: what the backup commands share: the manifest, copying with checksums, the pace.
 *
 * A backup is a folder:
 *   backup.json   the manifest, written last: without it the folder is no backup
 *   data/         a data folder as it was at the cut, with the files that the manifest lists
 * backup.json is two lines: an object (format, versions, cluster, what each shard holds, and of
 * each file its path below data/, size, and a CRC-32C of every MiB), then {"crc32c":"…"} of the
 * first line. While it is made the files lie in incomplete/ instead of data/. Everything here
 * [blocks]. */
#ifndef SL_CLI_CLI_BACKUP_H
#define SL_CLI_CLI_BACKUP_H

#include "cli/cli_store.h"

#define BACKUP_FORMAT "sluice-backup"
#define BACKUP_MAJOR  1
#define BACKUP_MINOR  0
#define BACKUP_BLOCK  (1u << 20)
#define BACKUP_EPOCH_STEP                                                   \
    1000u /* by which a restored broker is ahead of the one that was copied \
           */

/* Bytes on their way: at most so many a second, seen on a bar. */
struct backup_pace {
    struct cli *cli;
    uint64_t bytes_per_s; /* 0: as fast as it goes */
    uint64_t bytes;
    int64_t begun_ns;
    struct cli_progress progress;
};
void backup_pace_begin(struct backup_pace *pace, struct cli *cli, const char *what,
                       uint64_t bytes_per_s, uint64_t total);
void backup_pace_add(struct backup_pace *pace, uint64_t bytes);

/* The CRCs of a file's blocks, as hex digits. */
struct backup_sums {
    char *text; /* owned */
    size_t size, capacity;
};

/* Reads `size` bytes from the start of `from`; writes them to `to` unless that is NULL, and syncs
 * them. *ret_sums: of what was read [owned by the caller]. False: a sentence was written. */
bool backup_copy(struct backup_pace *pace, const char *from, const char *to, uint64_t size,
                 struct backup_sums *ret_sums);
/* The first block that differs, or -1; a missing one differs. */
int64_t backup_sums_compare(const struct backup_sums *sums, const char *expected);
void backup_sums_fini(struct backup_sums *sums);

/* Adds a file to the manifest's "files". */
void backup_file_add(cJSON *files, const char *path, uint64_t bytes,
                     const struct backup_sums *sums);
uint64_t backup_u64(const cJSON *object, const char *name);
/* Writes DIR/backup.json. False: a sentence was written. */
bool backup_manifest_write(struct cli *cli, const char *directory, const cJSON *manifest);
/* Reads and checks DIR/backup.json; NULL: a sentence was written. [gives] */
cJSON *backup_manifest_read(struct cli *cli, const char *directory);
/* Reads every file that the manifest lists and compares it; what differs is told with file and
 * position. CLI_OK: all is as it was written. */
int backup_check(struct cli *cli, const char *directory, const cJSON *manifest,
                 uint64_t bytes_per_s);
uint64_t backup_bytes(const cJSON *manifest); /* of all files */
/* The folder is not there (then it is made) or empty. False: a sentence was written. */
bool backup_folder_make(struct cli *cli, const char *directory, const char *what);

#endif
