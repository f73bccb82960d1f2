/* wal_checkpoint_file.c: reading and writing checkpoint files, and the names of all files of a log.
 */
#include "wal/wal_scan.h"

#include "base/bytes.h"
#include "base/crc32c.h"

#include <inttypes.h>
#include <stdio.h>

#define CHECKPOINT_BYTES_MAX (4ull << 30)

void wal_path_segment(char ret_path[WAL_PATH_MAX], const char *directory, uint64_t seq)
{
    snprintf(ret_path, WAL_PATH_MAX, "%s/%020" PRIu64 ".seg", directory, seq);
}

void wal_path_spare(char ret_path[WAL_PATH_MAX], const char *directory, uint64_t number)
{
    snprintf(ret_path, WAL_PATH_MAX, "%s/%" PRIu64 ".spare", directory, number);
}

void wal_path_checkpoint(char ret_path[WAL_PATH_MAX], const char *directory, uint64_t generation)
{
    snprintf(ret_path, WAL_PATH_MAX, "%s/checkpoint-%u", directory, (unsigned)(generation & 1));
}

void wal_path_checkpoint_tmp(char ret_path[WAL_PATH_MAX], const char *directory)
{
    snprintf(ret_path, WAL_PATH_MAX, "%s/checkpoint.tmp", directory);
}

static sl_err items_read(struct sl_file *file, const struct wal_checkpoint_header *header,
                         struct sl_bytes *ret_items)
{
    size_t size = (size_t)header->items_size;
    uint8_t *items = sl_alloc(size + 1);
    if (items == NULL)
        return SLUICE_E_NO_MEMORY;
    size_t got = 0;
    sl_err err = sl_file_pread(file, items, size, WAL_CHECKPOINT_HEADER, &got);
    if (err == SLUICE_OK && (got != size || sl_crc32c(items, size) != header->items_crc))
        err = SLUICE_E_CORRUPT;
    if (err != SLUICE_OK) {
        sl_free(items);
        return err;
    }
    *ret_items = sl_bytes_of(items, size);
    return SLUICE_OK;
}

static sl_err header_read(struct sl_file *file, bool cached,
                          struct wal_checkpoint_header *ret_header)
{
    uint8_t bytes[WAL_CHECKPOINT_HEADER];
    size_t got = 0;
    uint64_t size = 0;
    struct wal_checkpoint_header header;
    sl_err err = cached ? SLUICE_OK : sl_file_drop_cache(file, 0, 0);
    if (err == SLUICE_OK)
        err = sl_file_size(file, &size);
    if (err == SLUICE_OK)
        err = sl_file_pread(file, bytes, sizeof bytes, 0, &got);
    if (err == SLUICE_OK && got != sizeof bytes)
        err = SLUICE_E_CORRUPT;
    if (err == SLUICE_OK)
        err = wal_checkpoint_header_decode(bytes, &header);
    if (err != SLUICE_OK)
        return err;
    if (header.items_size > CHECKPOINT_BYTES_MAX ||
        size != WAL_CHECKPOINT_HEADER + header.items_size)
        return SLUICE_E_CORRUPT;
    *ret_header = header;
    return SLUICE_OK;
}

sl_err wal_checkpoint_peek(struct sl_os *os, const char *path, bool cached,
                           struct wal_checkpoint_header *ret_header)
{
    struct sl_file *file;
    sl_err err = sl_file_open(os, path, SL_FILE_READ, &file);
    if (err != SLUICE_OK)
        return err;
    err = header_read(file, cached, ret_header);
    sl_file_close(file);
    return err;
}

sl_err wal_checkpoint_read(struct sl_os *os, const char *path, bool cached,
                           struct wal_checkpoint_header *ret_header, struct sl_bytes *ret_items)
{
    struct sl_file *file;
    struct wal_checkpoint_header header;
    sl_err err = sl_file_open(os, path, SL_FILE_READ, &file);
    if (err != SLUICE_OK)
        return err;
    err = header_read(file, cached, &header);
    if (err == SLUICE_OK)
        err = items_read(file, &header, ret_items);
    sl_file_close(file);
    if (err == SLUICE_OK)
        *ret_header = header;
    return err;
}

sl_err wal_checkpoint_create(struct sl_os *os, const char *directory, struct sl_file **ret_file)
{
    char tmp[WAL_PATH_MAX];
    struct sl_file *file;
    wal_path_checkpoint_tmp(tmp, directory);
    sl_err err = sl_file_open(os, tmp, SL_FILE_READ | SL_FILE_WRITE | SL_FILE_CREATE, &file);
    if (err != SLUICE_OK)
        return err;
    err = sl_file_truncate(file, 0);
    if (err != SLUICE_OK) {
        sl_file_close(file);
        return err;
    }
    *ret_file = file;
    return SLUICE_OK;
}

sl_err wal_checkpoint_put(struct sl_file *file, uint64_t position, struct sl_bytes bytes)
{
    const struct sl_iovec piece = {(void *)(uintptr_t)bytes.data, bytes.size};
    return bytes.size == 0 ? SLUICE_OK : sl_file_pwritev(file, &piece, 1, position);
}

static sl_err file_finish(struct sl_os *os, const char *directory, struct sl_file *file,
                          uint64_t generation)
{
    char tmp[WAL_PATH_MAX];
    char path[WAL_PATH_MAX];
    wal_path_checkpoint_tmp(tmp, directory);
    wal_path_checkpoint(path, directory, generation);
    sl_err err = sl_file_sync(file);
    sl_file_close(file);
    if (err == SLUICE_OK)
        err = sl_path_rename(os, tmp, path);
    return err == SLUICE_OK ? sl_dir_sync(os, directory) : err;
}

sl_err wal_checkpoint_finish(struct sl_os *os, const char *directory, struct sl_file *file,
                             const struct wal_checkpoint_header *header)
{
    uint8_t bytes[WAL_CHECKPOINT_HEADER];
    wal_checkpoint_header_encode(header, bytes);
    sl_err err = wal_checkpoint_put(file, 0, sl_bytes_of(bytes, sizeof bytes));
    if (err != SLUICE_OK) {
        sl_file_close(file);
        return err;
    }
    return file_finish(os, directory, file, header->generation);
}

sl_err wal_checkpoint_write(struct sl_os *os, const char *directory, uint64_t generation,
                            struct sl_bytes bytes)
{
    struct sl_file *file;
    sl_err err = wal_checkpoint_create(os, directory, &file);
    if (err != SLUICE_OK)
        return err;
    err = wal_checkpoint_put(file, 0, bytes);
    if (err != SLUICE_OK) {
        sl_file_close(file);
        return err;
    }
    return file_finish(os, directory, file, generation);
}

void wal_checkpoint_discard(struct sl_os *os, const char *directory, struct sl_file *file)
{
    char tmp[WAL_PATH_MAX];
    wal_path_checkpoint_tmp(tmp, directory);
    sl_file_close(file);
    sl_err err = sl_path_remove(os, tmp);
    (void)err; /* the next one begins with an empty one, and so does the next start */
}
