/* os_uv_file.c: files and directories by plain system calls, on the thread that asks.
 *
 * Reads and writes go on after a short count or a signal. fdatasync's errors are reported as they
 * come and the call is not repeated: Linux marks the pages clean after a failed writeback, so that
 * a second call would lie (see Rebello et al., "Can Applications Recover from fsync Failures?"). */
#include "os/os_uv_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIECES_PER_CALL 512u
#define ZERO_BYTES      (1024u * 1024u)
#define ZERO_ALIGN      4096u          /* what O_DIRECT asks of memory, place and size at most */
#define PREFETCH_BYTES  (128u * 1024u) /* read at once; fits a processor's own cache */
#define PREFETCH_MAX    (1u << 30)     /* by one call */
#define FOLIO_BYTES_MAX (512u << 20)   /* of pages of 64 KiB, the largest that 64 bits have */
#define FILE_MODE       0640
#define DIR_MODE        0750

_Static_assert(sizeof(struct sl_iovec) == sizeof(struct iovec), "passed on as it is");
_Static_assert(offsetof(struct sl_iovec, base) == offsetof(struct iovec, iov_base), "same layout");
_Static_assert(offsetof(struct sl_iovec, size) == offsetof(struct iovec, iov_len), "same layout");

static int descriptor_of(struct sl_file *file)
{
    return SL_CONTAINER_OF(file, struct osuv_file, base)->descriptor;
}

/* O_NONBLOCK: a FIFO that lies where a file should must not hold anybody up, at a stop least of
 * all; it means nothing for files. */
static int open_flags(uint32_t flags)
{
    bool reads = flags & SL_FILE_READ, writes = flags & SL_FILE_WRITE;
    int result = O_CLOEXEC | O_NONBLOCK | (reads && writes ? O_RDWR : writes ? O_WRONLY : O_RDONLY);
    if (flags & SL_FILE_CREATE)
        result |= O_CREAT;
    if (flags & SL_FILE_EXCLUSIVE)
        result |= O_EXCL;
    return result;
}

static int open_retrying(const char *path, int flags)
{
    struct stat stat;
    int descriptor;
    do
        descriptor = open(path, flags, FILE_MODE);
    while (descriptor < 0 && errno == EINTR);
    if (descriptor >= 0 && fstat(descriptor, &stat) == 0 && S_ISFIFO(stat.st_mode)) {
        close(descriptor);
        errno = ESPIPE; /* as reading it anywhere says */
        return -1;
    }
    return descriptor;
}

sl_err osuv_file_open(struct sl_os *os, const char *path, uint32_t flags, struct sl_file **ret_file)
{
    struct osuv_file *file = sl_alloc_zero(1, sizeof *file);
    if (!file)
        return SLUICE_E_NO_MEMORY;
    file->base.os = os;
    file->descriptor = open_retrying(path, open_flags(flags));
    if (file->descriptor < 0) {
        sl_err err = osuv_err(errno);
        sl_free(file);
        return err;
    }
    *ret_file = &file->base;
    return SLUICE_OK;
}

void osuv_file_close(struct sl_file *file)
{
    close(descriptor_of(file));
    sl_free(SL_CONTAINER_OF(file, struct osuv_file, base));
}

static sl_err read_all(struct sl_file *file, void *buffer, size_t size, uint64_t position,
                       int flags, size_t *ret_size)
{
    size_t done = 0;
    while (done < size) {
        struct iovec piece = {(char *)buffer + done, size - done};
        ssize_t got = preadv2(descriptor_of(file), &piece, 1, (off_t)(position + done), flags);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && flags && errno == EOPNOTSUPP)
            return SLUICE_E_WOULD_BLOCK; /* this file system cannot tell */
        if (got < 0)
            return osuv_err(errno);
        if (got == 0)
            break;
        done += (size_t)got;
    }
    *ret_size = done;
    return SLUICE_OK;
}

sl_err osuv_file_pread(struct sl_file *file, void *buffer, size_t size, uint64_t position,
                       size_t *ret_size)
{
    return read_all(file, buffer, size, position, 0, ret_size);
}

sl_err osuv_file_pread_cached(struct sl_file *file, void *buffer, size_t size, uint64_t position,
                              size_t *ret_size)
{
    return read_all(file, buffer, size, position, RWF_NOWAIT, ret_size);
}

/* What is left of the pieces: the first of them from `skip` bytes on. */
struct pieces_left {
    const struct sl_iovec *pieces;
    size_t count;
    size_t skip;
};

/* Up to PIECES_PER_CALL of them. Returns how many. */
static size_t pieces_take(const struct pieces_left *left, struct iovec ret_pieces[PIECES_PER_CALL])
{
    size_t n = 0;
    for (size_t i = 0; i < left->count && n < PIECES_PER_CALL; i++) {
        size_t skip = i == 0 ? left->skip : 0;
        if (left->pieces[i].size == 0)
            continue;
        ret_pieces[n++] =
            (struct iovec){(char *)left->pieces[i].base + skip, left->pieces[i].size - skip};
    }
    return n;
}

static void pieces_advance(struct pieces_left *left, size_t size)
{
    left->skip += size;
    while (left->count > 0 && left->skip >= left->pieces->size) {
        left->skip -= left->pieces->size;
        left->pieces++;
        left->count--;
    }
}

sl_err osuv_file_pwritev(struct sl_file *file, const struct sl_iovec *pieces, size_t count,
                         uint64_t position)
{
    struct iovec now[PIECES_PER_CALL];
    struct pieces_left left = {pieces, count, 0};
    pieces_advance(&left, 0); /* past empty ones */
    while (left.count > 0) {
        size_t n = pieces_take(&left, now);
        ssize_t put = pwritev(descriptor_of(file), now, (int)n, (off_t)position);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return osuv_err(errno);
        if (put == 0)
            return SLUICE_E_IO;
        position += (uint64_t)put;
        pieces_advance(&left, (size_t)put);
    }
    return SLUICE_OK;
}

sl_err osuv_file_sync(struct sl_file *file)
{
    int result;
    do
        result = fdatasync(descriptor_of(file));
    while (result != 0 && errno == EINTR); /* interrupted before it reported anything */
    return result == 0 ? SLUICE_OK : osuv_err(errno);
}

static sl_err write_zeros(struct sl_file *file, uint64_t size, const void *zeros)
{
    for (uint64_t at = 0; at < size;) {
        struct sl_iovec piece = {(void *)(uintptr_t)zeros, (size_t)SL_MIN(size - at, ZERO_BYTES)};
        sl_err err = osuv_file_pwritev(file, &piece, 1, at);
        if (err)
            return err;
        at += piece.size;
    }
    return SLUICE_OK;
}

/* Past the page cache, which would copy every zero and write it back once more. E_UNSUPPORTED: not
 * on this file system. */
static sl_err write_zeros_direct(struct sl_file *file, uint64_t size, const void *zeros)
{
    int flags = fcntl(descriptor_of(file), F_GETFL);
    if (size % ZERO_ALIGN != 0 || flags == -1 ||
        fcntl(descriptor_of(file), F_SETFL, flags | O_DIRECT) != 0)
        return SLUICE_E_UNSUPPORTED;
    sl_err err = write_zeros(file, size, zeros);
    if (fcntl(descriptor_of(file), F_SETFL, flags) != 0)
        return osuv_err(errno);
    return err == SLUICE_OK || err == SLUICE_E_DISK_FULL ? err : SLUICE_E_UNSUPPORTED;
}

sl_err osuv_file_fill_zero(struct sl_file *file, uint64_t size)
{
    /* One extent where the file system can; the writing below is what makes later syncs cheap. */
    if (size > 0 && fallocate(descriptor_of(file), 0, 0, (off_t)size) != 0 && errno == ENOSPC)
        return SLUICE_E_DISK_FULL;
    uint8_t *zeros = sl_alloc_zero(1, ZERO_BYTES + ZERO_ALIGN);
    if (!zeros)
        return SLUICE_E_NO_MEMORY;
    const uint8_t *aligned = zeros + (ZERO_ALIGN - (uintptr_t)zeros % ZERO_ALIGN);
    sl_err err = write_zeros_direct(file, size, aligned);
    if (err == SLUICE_E_UNSUPPORTED)
        err = write_zeros(file, size, aligned);
    sl_free(zeros);
    return err;
}

sl_err osuv_file_allocate(struct sl_file *file, uint64_t size)
{
    int error;
    do
        error = fallocate(descriptor_of(file), 0, 0, (off_t)size) == 0 ? 0 : errno;
    while (error == EINTR);
    if (error == EOPNOTSUPP)
        return osuv_file_truncate(file, size); /* then its blocks come with the writes */
    return error == 0 ? SLUICE_OK : osuv_err(error);
}

sl_err osuv_file_access_as(struct sl_file *file, const char *path)
{
    struct stat as, own;
    if (stat(path, &as) != 0 || fstat(descriptor_of(file), &own) != 0)
        return osuv_err(errno);
    bool is_groups = own.st_gid == as.st_gid;
    if (own.st_uid != as.st_uid || !is_groups)
        is_groups = fchown(descriptor_of(file), as.st_uid, as.st_gid) == 0 ||
                    fchown(descriptor_of(file), (uid_t)-1, as.st_gid) == 0;
    mode_t mode = as.st_mode & (mode_t)(is_groups ? 0777 : 0707);
    return fchmod(descriptor_of(file), mode) == 0 ? SLUICE_OK : osuv_err(errno);
}

sl_err osuv_file_truncate(struct sl_file *file, uint64_t size)
{
    int result;
    do
        result = ftruncate(descriptor_of(file), (off_t)size);
    while (result != 0 && errno == EINTR);
    return result == 0 ? SLUICE_OK : osuv_err(errno);
}

sl_err osuv_file_size(struct sl_file *file, uint64_t *ret_size)
{
    struct stat info;
    if (fstat(descriptor_of(file), &info) != 0)
        return osuv_err(errno);
    *ret_size = (uint64_t)info.st_size;
    return SLUICE_OK;
}

sl_err osuv_file_link_count(struct sl_file *file, uint64_t *ret_count)
{
    struct stat info;
    if (fstat(descriptor_of(file), &info) != 0)
        return osuv_err(errno);
    *ret_count = (uint64_t)info.st_nlink;
    return SLUICE_OK;
}

static void prefetch_by_reading(struct sl_file *file, uint64_t position, uint64_t size)
{
    uint8_t bytes[PREFETCH_BYTES]; /* looked at by nobody */
    for (uint64_t at = 0; at < size;) {
        ssize_t got = pread(descriptor_of(file), bytes, SL_MIN(sizeof bytes, size - at),
                            (off_t)(position + at));
        if (got <= 0)
            return;
        at += (uint64_t)got;
    }
}

/* Reading has the system read ahead in long stretches and large folios; what POSIX_FADV_WILLNEED
 * brings in lies in single pages, which cost every later read of them. Pages that are sent to
 * nowhere are read as any, and not copied: a quarter of the time of a processor. */
void osuv_file_prefetch(struct sl_file *file, uint64_t position, uint64_t size)
{
    int nowhere = SL_CONTAINER_OF(file->os, struct osuv, base)->nowhere;
    off_t at = (off_t)position;
    ssize_t sent = nowhere < 0 ? -1 : 1;
    while (size > 0 && sent > 0) {
        sent = sendfile(nowhere, descriptor_of(file), &at, (size_t)SL_MIN(size, PREFETCH_MAX));
        size -= sent > 0 ? SL_MIN((uint64_t)sent, size) : 0;
    }
    if (sent < 0)
        prefetch_by_reading(file, (uint64_t)at, size);
}

void osuv_file_ask(struct sl_file *file, uint64_t position, uint64_t size)
{
    (void)posix_fadvise(descriptor_of(file), (off_t)position, (off_t)size, POSIX_FADV_WILLNEED);
}

/* A file system that knows no holes says that all is data, or EINVAL. */
sl_err osuv_file_data_range(struct sl_file *file, uint64_t position, uint64_t *ret_start,
                            uint64_t *ret_end)
{
    uint64_t size = 0;
    sl_err err = osuv_file_size(file, &size);
    if (err != SLUICE_OK)
        return err;
    off_t start = lseek(descriptor_of(file), (off_t)position, SEEK_DATA);
    if (start < 0 && errno == ENXIO)
        return SLUICE_E_NOT_FOUND;
    off_t end = start < 0 ? -1 : lseek(descriptor_of(file), start, SEEK_HOLE);
    if (start < 0 || end <= start) {
        if (position >= size)
            return SLUICE_E_NOT_FOUND;
        start = (off_t)position;
        end = (off_t)size;
    }
    *ret_start = (uint64_t)start;
    *ret_end = (uint64_t)end;
    return SLUICE_OK;
}

/* Linux makes no folio larger than what one entry of the second level of a page table maps: as many
 * pages as entries of 8 bytes fit into a page. */
uint64_t osuv_folio_max(uint64_t page_size)
{
    return SL_MIN(page_size / 8 * page_size, (uint64_t)FOLIO_BYTES_MAX);
}

void osuv_folios_of(uint64_t page_size, uint64_t position, uint64_t size, uint64_t *ret_start,
                    uint64_t *ret_size)
{
    uint64_t folio = osuv_folio_max(page_size);
    uint64_t start = position / folio * folio;
    uint64_t end = (position + size + folio - 1) / folio * folio;
    *ret_start = start;
    *ret_size = size == 0 ? 0 : end - start;
}

/* A folio of which only a part is named is kept, whole: all is named that the largest may have. The
 * work is bounded by what the file has in the page cache there. */
sl_err osuv_file_drop_cache(struct sl_file *file, uint64_t position, uint64_t size)
{
    uint64_t start;
    uint64_t length;
    osuv_folios_of((uint64_t)sysconf(_SC_PAGESIZE), position, size, &start, &length);
    int error =
        posix_fadvise(descriptor_of(file), (off_t)start, (off_t)length, POSIX_FADV_DONTNEED);
    return error == 0 ? SLUICE_OK : osuv_err(error);
}

sl_err osuv_file_lock(struct sl_file *file)
{
    while (flock(descriptor_of(file), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return SLUICE_E_LOCKED;
        if (errno != EINTR)
            return osuv_err(errno);
    }
    return SLUICE_OK;
}

/* ---- directories and paths ---- */

static sl_err make_one(const char *path)
{
    struct stat info;
    if (mkdir(path, DIR_MODE) == 0)
        return SLUICE_OK;
    int error = errno;
    if (stat(path, &info) == 0)
        return S_ISDIR(info.st_mode) ? SLUICE_OK : SLUICE_E_EXISTS;
    return osuv_err(error);
}

sl_err osuv_dir_make(struct sl_os *os, const char *path)
{
    char part[PATH_MAX];
    size_t size = strlen(path);
    (void)os;
    if (size == 0 || size >= sizeof part)
        return SLUICE_E_INVALID;
    for (size_t i = 1; i <= size; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        sl_err err = make_one(part);
        if (err)
            return err;
    }
    return SLUICE_OK;
}

static bool is_directory(DIR *dir, const struct dirent *entry)
{
    struct stat info;
    if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK)
        return entry->d_type == DT_DIR;
    return fstatat(dirfd(dir), entry->d_name, &info, 0) == 0 && S_ISDIR(info.st_mode);
}

sl_err osuv_dir_list(struct sl_os *os, const char *path, sl_dir_entry_fn *entry, void *arg)
{
    (void)os;
    DIR *dir = opendir(path);
    if (!dir)
        return osuv_err(errno);
    struct dirent *found;
    while (errno = 0, (found = readdir(dir)) != NULL) {
        if (strcmp(found->d_name, ".") != 0 && strcmp(found->d_name, "..") != 0)
            entry(arg, found->d_name, is_directory(dir, found));
    }
    sl_err err = errno ? osuv_err(errno) : SLUICE_OK;
    closedir(dir);
    return err;
}

sl_err osuv_dir_sync(struct sl_os *os, const char *path)
{
    (void)os;
    int descriptor = open_retrying(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return osuv_err(errno);
    sl_err err = fsync(descriptor) == 0 ? SLUICE_OK : osuv_err(errno);
    close(descriptor);
    return err;
}

sl_err osuv_path_rename(struct sl_os *os, const char *from, const char *to)
{
    (void)os;
    return rename(from, to) == 0 ? SLUICE_OK : osuv_err(errno);
}

/* EPERM: a file system without links. EMLINK cannot be: two names are wanted. */
sl_err osuv_path_link(struct sl_os *os, const char *from, const char *to)
{
    (void)os;
    if (link(from, to) == 0)
        return SLUICE_OK;
    return errno == EPERM || errno == EOPNOTSUPP || errno == EXDEV || errno == EMLINK
               ? SLUICE_E_UNSUPPORTED
               : osuv_err(errno);
}

sl_err osuv_path_remove(struct sl_os *os, const char *path)
{
    (void)os;
    return unlink(path) == 0 ? SLUICE_OK : osuv_err(errno);
}

sl_err osuv_disk_space(struct sl_os *os, const char *path, uint64_t *ret_total_bytes,
                       uint64_t *ret_available_bytes)
{
    struct statvfs info;
    int result;
    (void)os;
    do
        result = statvfs(path, &info);
    while (result != 0 && errno == EINTR);
    if (result != 0)
        return osuv_err(errno);
    *ret_total_bytes = (uint64_t)info.f_blocks * info.f_frsize;
    *ret_available_bytes = (uint64_t)info.f_bavail * info.f_frsize;
    return SLUICE_OK;
}
