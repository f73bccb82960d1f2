/* cli_bundle.c: see cli_bundle.h. */
#include "cli/cli_bundle.h"

#include "record/codec.h"

#include <stdio.h>
#include <string.h>

#define BLOCK        512u /* of a tar */
#define END_BLOCKS   2u
#define LAST_RESERVE (64u * 1024) /* for what tells what is in it */

void bundle_init(struct bundle *bundle, const char *folder, int64_t time_s, size_t bytes_max,
                 size_t file_bytes_max)
{
    memset(bundle, 0, sizeof(*bundle));
    snprintf(bundle->folder, sizeof(bundle->folder), "%s", folder);
    bundle->time_s = time_s;
    bundle->file_bytes_max = file_bytes_max;
    sl_buffer_init(&bundle->tar, bytes_max + LAST_RESERVE);
}

void bundle_fini(struct bundle *bundle)
{
    sl_buffer_fini(&bundle->tar);
}

static struct bundle_file *file_new(struct bundle *bundle, const char *name, const char *what)
{
    if (bundle->file_count == BUNDLE_FILES_MAX) {
        return NULL;
    }
    struct bundle_file *file = &bundle->files[bundle->file_count++];
    snprintf(file->name, sizeof(file->name), "%s", name);
    snprintf(file->what, sizeof(file->what), "%s", what);
    return file;
}

void bundle_miss(struct bundle *bundle, const char *name, const char *why)
{
    (void)file_new(bundle, name, why);
}

/* name 100, mode 8, uid 8, gid 8, size 12, mtime 12, checksum 8, type 1, link 100, magic 8, … */
static void header_make(const struct bundle *bundle, const char *name, size_t size,
                        uint8_t ret_block[BLOCK])
{
    char *block = (char *)ret_block;
    uint32_t sum = 0;
    memset(ret_block, 0, BLOCK);
    snprintf(block, 100, "%.34s/%.63s", bundle->folder, name);
    memcpy(block + 100, "0000600", 7);
    memcpy(block + 108, "0000000", 7);
    memcpy(block + 116, "0000000", 7);
    snprintf(block + 124, 12, "%011llo", (unsigned long long)size);
    snprintf(block + 136, 12, "%011llo", (unsigned long long)bundle->time_s & 077777777777ull);
    memset(block + 148, ' ', 8);
    block[156] = '0';
    memcpy(block + 257, "ustar", 6);
    memcpy(block + 263, "00", 2);
    for (uint32_t i = 0; i < BLOCK; i++) {
        sum += ret_block[i];
    }
    snprintf(block + 148, 8, "%06o", sum & 0777777u); /* and the NUL and space that it ends in */
    block[155] = ' ';
}

/* So much of it as fits; a text is cut behind its last whole line. */
static size_t content_cut(struct sl_bytes content, size_t room)
{
    if (content.size <= room) {
        return content.size;
    }
    const void *newline = room > 0 ? memrchr(content.data, '\n', room) : NULL;
    return newline != NULL ? (size_t)((const uint8_t *)newline - content.data) + 1 : 0;
}

void bundle_add(struct bundle *bundle, const char *name, const char *what, struct sl_bytes content)
{
    static const uint8_t zeros[BLOCK] = {0};
    uint8_t header[BLOCK];
    bool is_last = strcmp(name, "README.txt") == 0;
    size_t bound = bundle->tar.size_max - (END_BLOCKS * BLOCK) - (is_last ? 0 : LAST_RESERVE);
    size_t used = bundle->tar.size + 2u * BLOCK; /* and its header and padding */
    size_t room = SL_MIN(used < bound ? bound - used : 0, bundle->file_bytes_max);
    size_t size = content_cut(content, room);
    struct bundle_file *file = file_new(bundle, name, what);
    if (file == NULL) {
        return;
    }
    file->is_cut = size < content.size;
    if (size == 0 && content.size > 0) {
        snprintf(file->what, sizeof(file->what), "there was no room for its %zu bytes",
                 content.size);
        return;
    }
    header_make(bundle, name, size, header);
    sl_err err = sl_buffer_append(&bundle->tar, header, BLOCK);
    err = err != SLUICE_OK ? err : sl_buffer_append(&bundle->tar, content.data, size);
    size_t padding = (BLOCK - size % BLOCK) % BLOCK;
    err = err != SLUICE_OK ? err : sl_buffer_append(&bundle->tar, zeros, padding);
    file->is_there = err == SLUICE_OK;
    file->bytes = size;
}

static sl_err file_write(struct sl_os *os, const char *path, struct sl_bytes bytes)
{
    struct sl_file *file = NULL;
    struct sl_iovec piece = {(void *)(uintptr_t)bytes.data, bytes.size};
    sl_err err = sl_file_open(os, path, SL_FILE_WRITE | SL_FILE_CREATE | SL_FILE_EXCLUSIVE, &file);
    if (err != SLUICE_OK) {
        return err;
    }
    err = sl_file_pwritev(file, &piece, 1, 0);
    err = err != SLUICE_OK ? err : sl_file_sync(file);
    sl_file_close(file);
    if (err != SLUICE_OK) {
        sl_err gone = sl_path_remove(os, path);
        (void)gone;
    }
    return err;
}

sl_err bundle_write(struct bundle *bundle, struct sl_os *os, const char *path, uint64_t *ret_bytes)
{
    static const uint8_t zeros[END_BLOCKS * BLOCK] = {0};
    struct sl_buffer packed;
    struct codec_context *codecs = codec_context_new();
    int gzip = 0;
    sl_buffer_init(&packed, codec_compress_room(bundle->tar.size_max));
    sl_err err = codecs == NULL ? SLUICE_E_NO_MEMORY : codec_by_name("gzip", &gzip);
    err = err != SLUICE_OK ? err : sl_buffer_append(&bundle->tar, zeros, sizeof(zeros));
    err = err != SLUICE_OK ? err
                           : codec_compress(codecs, gzip, sl_buffer_bytes(&bundle->tar), &packed);
    err = err != SLUICE_OK ? err : file_write(os, path, sl_buffer_bytes(&packed));
    *ret_bytes = packed.size;
    sl_buffer_fini(&packed);
    codec_context_free(codecs);
    return err;
}
