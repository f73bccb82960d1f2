/* tls_files.c: the PEM files of a listener, read whole (tls_context.h). */
#include "tls/tls_context.h"

#include "base/hash.h"
#include "base/status.h"

#include <stdio.h>
#include <string.h>

static sl_err read_file(struct sl_os *os, const char *what, const char *path,
                        struct sl_bytes *ret_text, char ret_why[TLS_WHY_BYTES])
{
    struct sl_file *file = NULL;
    size_t size = 0;
    uint8_t *text = sl_alloc(TLS_FILE_BYTES_MAX);
    sl_err err = text == NULL ? SLUICE_E_NO_MEMORY : sl_file_open(os, path, SL_FILE_READ, &file);
    err = err != SLUICE_OK ? err : sl_file_pread(file, text, TLS_FILE_BYTES_MAX, 0, &size);
    sl_file_close(file);
    if (err != SLUICE_OK) {
        snprintf(ret_why, TLS_WHY_BYTES, "%s %.180s cannot be read: %s", what, path,
                 sl_status_text(err));
        sl_free(text);
        return err == SLUICE_E_NO_MEMORY ? err : SLUICE_E_CONFIG_VALUE;
    }
    *ret_text = (struct sl_bytes){text, size};
    return SLUICE_OK;
}

static void drop(struct sl_bytes *text)
{
    if (text->data != NULL) {
        explicit_bzero((void *)(uintptr_t)text->data, text->size);
        sl_free((void *)(uintptr_t)text->data);
    }
    *text = (struct sl_bytes){0};
}

void tls_files_drop(struct tls_files *files)
{
    drop(&files->certificate);
    drop(&files->key);
    drop(&files->ca);
}

sl_err tls_files_read(struct sl_os *os, const struct tls_settings *settings,
                      struct tls_files *ret_files, char ret_why[TLS_WHY_BYTES])
{
    const char *key = settings->key[0] != '\0' ? settings->key : settings->certificate;
    struct tls_files files = {0};
    sl_err err = read_file(os, "certificate", settings->certificate, &files.certificate, ret_why);
    err = err != SLUICE_OK ? err : read_file(os, "key", key, &files.key, ret_why);
    if (err == SLUICE_OK && settings->ca[0] != '\0') {
        err = read_file(os, "ca", settings->ca, &files.ca, ret_why);
    }
    if (err != SLUICE_OK) {
        tls_files_drop(&files);
        return err;
    }
    const struct sl_bytes *parts[] = {&files.certificate, &files.key, &files.ca};
    for (size_t i = 0; i < SL_COUNT_OF(parts); i++) {
        uint64_t pair[2] = {files.hash, sl_hash64(parts[i]->data, parts[i]->size)};
        files.hash = sl_hash64(pair, sizeof(pair));
    }
    *ret_files = files;
    return SLUICE_OK;
}
