/* bare_log.h: the least that makes bytes durable: pwritev and fdatasync, one group after the other,
 * into files that were filled with zeros before and go round. No header, no CRC, no thread. */
#ifndef BARE_LOG_H
#define BARE_LOG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define BARE_FILES      4
#define BARE_FILE_BYTES (64u << 20)

struct bare_log {
    int files[BARE_FILES];
    uint32_t file;
    uint64_t position;
};

void bare_log_open(struct bare_log *log, const char *directory);
/* Writes the pieces behind each other, padded to whole blocks of 4 KiB, and makes them durable. */
void bare_log_append(struct bare_log *log, const struct iovec *pieces, size_t count);
void bare_log_close(struct bare_log *log);

#endif
