/* bare_log.c: see bare_log.h. */
#include "bare_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECES_PER_CALL 1024u
#define BLOCK           4096u
#define ZEROS           (1u << 20)

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int file_make(const char *path)
{
    static char zeros[ZEROS];
    int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) {
        fail(path);
    }
    for (uint64_t at = 0; at < BARE_FILE_BYTES; at += ZEROS) {
        if (pwrite(file, zeros, ZEROS, (off_t)at) != ZEROS) {
            fail("fill");
        }
    }
    if (fsync(file) != 0) {
        fail("fsync");
    }
    unlink(path); /* gone with the program */
    return file;
}

void bare_log_open(struct bare_log *log, const char *directory)
{
    char path[4096];
    for (int i = 0; i < BARE_FILES; i++) {
        snprintf(path, sizeof(path), "%s/bare-%d", directory, i);
        log->files[i] = file_make(path);
    }
    log->file = 0;
    log->position = 0;
}

static uint64_t size_of(const struct iovec *pieces, size_t count)
{
    uint64_t size = 0;
    for (size_t i = 0; i < count; i++) {
        size += pieces[i].iov_len;
    }
    return size;
}

/* A short count is not expected of a file: the disk is full. */
static void write_all(int file, const struct iovec *pieces, size_t count, uint64_t at)
{
    while (count > 0) {
        size_t now = count < PIECES_PER_CALL ? count : PIECES_PER_CALL;
        uint64_t size = size_of(pieces, now);
        ssize_t put = pwritev(file, pieces, (int)now, (off_t)at);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put != (ssize_t)size) {
            fail("pwritev");
        }
        at += size;
        pieces += now;
        count -= now;
    }
}

void bare_log_append(struct bare_log *log, const struct iovec *pieces, size_t count)
{
    static char zeros[BLOCK];
    uint64_t size = size_of(pieces, count);
    uint64_t padding = (BLOCK - size % BLOCK) % BLOCK;
    if (log->position + size + padding > BARE_FILE_BYTES) {
        log->file = (log->file + 1) % BARE_FILES;
        log->position = 0;
    }
    int file = log->files[log->file];
    write_all(file, pieces, count, log->position);
    if (padding > 0) {
        struct iovec piece = {zeros, padding};
        write_all(file, &piece, 1, log->position + size);
    }
    if (fdatasync(file) != 0) {
        fail("fdatasync");
    }
    log->position += size + padding;
}

void bare_log_close(struct bare_log *log)
{
    for (int i = 0; i < BARE_FILES; i++) {
        close(log->files[i]);
    }
}
