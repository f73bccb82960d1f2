/* cli_bundle.h: the archive of `sluice debug bundle`: files in one folder of a tar (POSIX.1-1988
 * ustar) in gzip. It is made in memory, within a bound, and written at the end, so that it is whole
 * or not there. Internal. */
#ifndef SL_CLI_CLI_BUNDLE_H
#define SL_CLI_CLI_BUNDLE_H

#include "base/buffer.h"
#include "os/os.h"

#define BUNDLE_NAME_BYTES 64u
#define BUNDLE_FILES_MAX  600u

struct bundle_file {
    char name[BUNDLE_NAME_BYTES];
    char what[160]; /* it is, or why it is not there */
    size_t bytes;
    bool is_there, is_cut; /* cut: it had more than what was left */
};

struct bundle {
    char folder[BUNDLE_NAME_BYTES]; /* that all files are in */
    int64_t time_s;                 /* of all files */
    struct sl_buffer tar;
    size_t file_bytes_max;
    struct bundle_file files[BUNDLE_FILES_MAX];
    uint32_t file_count;
};

/* bytes_max: of all files together; file_bytes_max: of one. */
void bundle_init(struct bundle *bundle, const char *folder, int64_t time_s, size_t bytes_max,
                 size_t file_bytes_max);
void bundle_fini(struct bundle *bundle);
/* Adds a file; one that is too large is cut behind a line. What does not fit is told as missing. */
void bundle_add(struct bundle *bundle, const char *name, const char *what, struct sl_bytes content);
/* Says that a file is not in it, and why. */
void bundle_miss(struct bundle *bundle, const char *name, const char *why);
/* Ends the tar, packs it, and writes it to a new file, which only its owner may read. E_EXISTS: the
 * path is taken. *ret_bytes of the file. [blocks] */
sl_err bundle_write(struct bundle *bundle, struct sl_os *os, const char *path,
                    uint64_t *ret_bytes) SL_MUST_CHECK;

#endif
