/* extent_file.c: see extent_file.h. Header, trailer, then the footer, whose size the trailer says:
 * nothing is used for a size or a position before the CRC that covers it holds. */
#include "extent/extent_file.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPAIR_HINT "stop, copy the directory, then restore the file from a backup"
#define NAME_DIGITS 20u
#define PATH_SHOWN  90u

void extent_path(char ret_path[EXTENT_PATH_MAX], const char *directory, uint64_t id)
{
    snprintf(ret_path, EXTENT_PATH_MAX, "%s/%020" PRIu64 ".ext", directory, id);
}

const char *extent_path_shown(const char *path)
{
    size_t length = strlen(path);
    return path + (length > PATH_SHOWN ? length - PATH_SHOWN : 0);
}

uint64_t extent_name_id(const char *name)
{
    if (strlen(name) != NAME_DIGITS + 4 || strspn(name, "0123456789") != NAME_DIGITS ||
        strcmp(name + NAME_DIGITS, ".ext") != 0)
        return 0;
    uint64_t id = strtoull(name, NULL, 10);
    return id < WAL_PLACE_EXTENT ? id : 0;
}

struct ids {
    uint64_t *at;
    size_t count;
    sl_err err;
};

static void name_seen(void *arg, const char *name, bool is_directory)
{
    struct ids *ids = arg;
    uint64_t id = extent_name_id(name);
    if (is_directory || id == 0 || ids->err != SLUICE_OK)
        return;
    if ((ids->count & (ids->count + 1)) == 0) { /* 0, 1, 3, 7 …: full */
        uint64_t *grown = sl_realloc(ids->at, (ids->count * 2 + 1) * sizeof *grown);
        if (grown == NULL) {
            ids->err = SLUICE_E_NO_MEMORY;
            return;
        }
        ids->at = grown;
    }
    ids->at[ids->count++] = id;
}

static int id_compare(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;
    return *left < *right ? -1 : *left > *right;
}

sl_err extent_directory_ids(struct sl_os *os, const char *directory, uint64_t **ret_ids,
                            size_t *ret_count)
{
    struct ids ids = {NULL, 0, SLUICE_OK};
    sl_err err = sl_dir_list(os, directory, name_seen, &ids);
    if (err == SLUICE_OK)
        err = ids.err;
    if (err != SLUICE_OK) {
        sl_free(ids.at);
        return err;
    }
    if (ids.count > 1)
        qsort(ids.at, ids.count, sizeof *ids.at, id_compare);
    *ret_ids = ids.at;
    *ret_count = ids.count;
    return SLUICE_OK;
}

/* ---- outline ---- */

struct outline_run {
    struct sl_file *file;
    const char *path;
    const struct extent_item *item;
    struct extent_outline *outline;
    char *problem;
};

static sl_err SL_PRINTF(3, 4)
    refuse(const struct outline_run *run, sl_err err, const char *format, ...)
{
    char what[96];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    const char *path = extent_path_shown(run->path);
    if (err == SLUICE_E_NEWER_FORMAT)
        snprintf(run->problem, EXTENT_PROBLEM_BYTES,
                 "%s was written by a newer version of Sluice; start that one", path);
    else
        snprintf(run->problem, EXTENT_PROBLEM_BYTES, "%s: %s; " REPAIR_HINT, path, what);
    return err;
}

/* size bytes, no less. */
static sl_err read_exactly(const struct outline_run *run, void *buffer, size_t size,
                           uint64_t position)
{
    size_t got = 0;
    sl_err err = sl_file_pread(run->file, buffer, size, position, &got);
    if (err != SLUICE_OK)
        return refuse(run, err, "%zu bytes at %" PRIu64 " cannot be read", size, position);
    return got == size
               ? SLUICE_OK
               : refuse(run, SLUICE_E_CORRUPT, "it ends at %" PRIu64 ", %zu bytes too early",
                        position + got, size - got);
}

/* Compared with itself, one byte on: a start looks at the header of every extent there is. */
static bool is_zero(const uint8_t *bytes, size_t size)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static sl_err header_read(const struct outline_run *run, struct extent_header *ret_header)
{
    uint8_t block[EXTENT_HEADER];
    struct extent_header header;
    sl_err err = read_exactly(run, block, sizeof block, 0);
    if (err != SLUICE_OK)
        return err;
    err = extent_header_decode(block, &header);
    if (err != SLUICE_OK)
        return refuse(run, err, "the header at 0 is damaged");
    uint32_t at = EXTENT_HEADER_USED;
    if (!is_zero(block + at, EXTENT_HEADER - at)) {
        while (block[at] == 0)
            at++;
        return refuse(run, SLUICE_E_CORRUPT, "byte %u of the header is not zero", at);
    }
    *ret_header = header;
    return SLUICE_OK;
}

sl_err extent_file_header(struct sl_file *file, const char *path, struct extent_header *ret_header,
                          char ret_problem[EXTENT_PROBLEM_BYTES])
{
    const struct outline_run run = {file, path, NULL, NULL, ret_problem};
    return header_read(&run, ret_header);
}

static bool item_is_of(const struct extent_item *item, const struct extent_header *header,
                       const struct extent_trailer *trailer)
{
    return item->created_ms == header->created_ms && item->id == trailer->id &&
           item->footer_crc == trailer->footer_crc && item->stream_count == trailer->stream_count &&
           item->block_count == trailer->block_count && item->promoted == (trailer->segment != 0) &&
           (item->promoted || item->bytes == trailer->footer_position - EXTENT_HEADER);
}

static sl_err trailer_read(struct outline_run *run, struct extent_trailer *ret_trailer)
{
    uint8_t bytes[EXTENT_TRAILER];
    uint64_t size = run->outline->file_size;
    if (size <= EXTENT_HEADER + EXTENT_TRAILER)
        return refuse(run, SLUICE_E_CORRUPT, "it has %" PRIu64 " bytes, fewer than any extent",
                      size);
    sl_err err = read_exactly(run, bytes, sizeof bytes, size - EXTENT_TRAILER);
    if (err != SLUICE_OK)
        return err;
    err = extent_trailer_decode(bytes, size, ret_trailer);
    if (err != SLUICE_OK)
        return refuse(run, err, "the trailer at %" PRIu64 " is damaged", size - EXTENT_TRAILER);
    if (ret_trailer->segment != run->outline->header.segment)
        return refuse(run, SLUICE_E_CORRUPT,
                      "its header is of segment %" PRIu64 " of the log, its trailer of %" PRIu64,
                      run->outline->header.segment, ret_trailer->segment);
    if (ret_trailer->segment != 0)
        run->outline->header.id = ret_trailer->id;
    if (ret_trailer->id != run->outline->header.id)
        return refuse(run, SLUICE_E_CORRUPT,
                      "its header is of extent %" PRIu64 ", its trailer of %" PRIu64,
                      run->outline->header.id, ret_trailer->id);
    if (run->item != NULL && !item_is_of(run->item, &run->outline->header, ret_trailer))
        return refuse(run, SLUICE_E_CORRUPT,
                      "the trailer at %" PRIu64 " is not that of extent %" PRIu64,
                      size - EXTENT_TRAILER, run->item->id);
    return SLUICE_OK;
}

/* Of a promoted extent only the footer tells how much of it is the stream's. */
static bool bytes_agree(const struct outline_run *run)
{
    const struct extent_footer *footer = &run->outline->footer;
    return run->item == NULL || !run->item->promoted ||
           extent_footer_stream(footer, 0).bytes == run->item->bytes;
}

static sl_err footer_read(struct outline_run *run, const struct extent_trailer *trailer)
{
    size_t size = (size_t)trailer->footer_size; /* at most EXTENT_FOOTER_MAX: the trailer agrees */
    uint8_t *bytes = sl_alloc(size);
    if (bytes == NULL)
        return refuse(run, SLUICE_E_NO_MEMORY, "no memory for its footer of %zu bytes", size);
    sl_err err = read_exactly(run, bytes, size, trailer->footer_position);
    if (err == SLUICE_OK) {
        err = extent_footer_check(trailer, sl_bytes_of(bytes, size), &run->outline->footer);
        if (err == SLUICE_OK && !bytes_agree(run))
            err = SLUICE_E_CORRUPT;
        if (err != SLUICE_OK)
            err =
                refuse(run, err, "the footer at %" PRIu64 " is damaged", trailer->footer_position);
    }
    if (err != SLUICE_OK) {
        sl_free(bytes);
        return err;
    }
    run->outline->bytes = bytes;
    return SLUICE_OK;
}

static sl_err size_read(struct outline_run *run)
{
    uint64_t *size = &run->outline->file_size;
    sl_err err = sl_file_size(run->file, size);
    if (err != SLUICE_OK)
        return refuse(run, err, "its size cannot be read");
    if (run->item != NULL && *size != run->item->file_size)
        return refuse(run, SLUICE_E_CORRUPT, "it has %" PRIu64 " bytes instead of %" PRIu64, *size,
                      run->item->file_size);
    return SLUICE_OK;
}

sl_err extent_outline_read(struct sl_file *file, const char *path, const struct extent_item *item,
                           struct extent_outline *ret_outline,
                           char ret_problem[EXTENT_PROBLEM_BYTES])
{
    struct extent_outline outline = {.bytes = NULL};
    struct extent_trailer trailer;
    struct outline_run run = {file, path, item, &outline, ret_problem};
    sl_err err = size_read(&run);
    if (err == SLUICE_OK)
        err = header_read(&run, &outline.header);
    if (err == SLUICE_OK)
        err = trailer_read(&run, &trailer);
    if (err == SLUICE_OK)
        err = footer_read(&run, &trailer);
    if (err == SLUICE_OK)
        *ret_outline = outline;
    return err;
}

void extent_outline_fini(struct extent_outline *outline)
{
    sl_free(outline->bytes);
    outline->bytes = NULL;
}
