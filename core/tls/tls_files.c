/* tls_files.c: the PEM files of a listener, read whole (tls_context.h). */
#include "tls/tls_context.h"

#include "base/hash.h"
#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* size_max: a file that is larger is refused. */
static sl_err read_file(struct sl_os *os, const char *what, const char *path, size_t size_max,
                        struct sl_bytes *ret_text, char ret_why[TLS_WHY_BYTES])
{
    struct sl_file *file = NULL;
    uint64_t size = 0;
    size_t got = 0;
    uint8_t *text = NULL;
    sl_err err = sl_file_open(os, path, SL_FILE_READ, &file);
    err = err != SLUICE_OK ? err : sl_file_size(file, &size);
    if (err == SLUICE_OK && size > size_max) {
        sl_file_close(file);
        snprintf(ret_why, TLS_WHY_BYTES, "%s %.180s has more than %zu bytes", what, path, size_max);
        return SLUICE_E_CONFIG_VALUE;
    }
    if (err == SLUICE_OK && (text = sl_alloc((size_t)size + 1)) == NULL) {
        err = SLUICE_E_NO_MEMORY;
    }
    err = err != SLUICE_OK ? err : sl_file_pread(file, text, (size_t)size, 0, &got);
    sl_file_close(file);
    if (err != SLUICE_OK) {
        snprintf(ret_why, TLS_WHY_BYTES, "%s %.180s cannot be read: %s", what, path,
                 sl_status_text(err));
        sl_free(text);
        return err == SLUICE_E_NO_MEMORY ? err : SLUICE_E_CONFIG_VALUE;
    }
    *ret_text = (struct sl_bytes){text, got};
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
    drop(&files->key_password);
    drop(&files->ca);
    drop(&files->crl);
}

/* ---- revocation lists: a file, or all files of a folder in the order of their names ---- */

struct listing {
    char *names[TLS_CRL_FILES_MAX];
    uint32_t count;
    bool is_full;
};

static void note_entry(void *arg, const char *name, bool is_directory)
{
    struct listing *listing = arg;
    char *copy = NULL;
    if (is_directory || name[0] == '.') { /* Kubernetes puts "..data" beside its files */
        return;
    }
    if (listing->count < TLS_CRL_FILES_MAX && (copy = sl_alloc(strlen(name) + 1)) != NULL) {
        memcpy(copy, name, strlen(name) + 1);
        listing->names[listing->count++] = copy;
    }
    listing->is_full = listing->is_full || copy == NULL;
}

static int name_compare(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Behind what is there. [takes text] */
static sl_err append(struct sl_bytes *all, struct sl_bytes *text)
{
    size_t size = all->size + text->size + 1;
    uint8_t *both = sl_alloc(size);
    if (both != NULL) {
        if (all->size > 0) {
            memcpy(both, all->data, all->size);
        }
        memcpy(both + all->size, text->data, text->size);
        both[size - 1] = '\n';
        drop(all);
        *all = (struct sl_bytes){both, size};
    }
    drop(text);
    return both == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

static sl_err read_listed(struct sl_os *os, const char *path, struct listing *listing,
                          struct sl_bytes *ret_text, char ret_why[TLS_WHY_BYTES])
{
    sl_err err = SLUICE_OK;
    qsort((void *)listing->names, listing->count, sizeof(char *), name_compare);
    for (uint32_t i = 0; i < listing->count && err == SLUICE_OK; i++) {
        char file[1024];
        struct sl_bytes text = {0};
        snprintf(file, sizeof(file), "%s/%s", path, listing->names[i]);
        err = read_file(os, "crl", file, TLS_CRL_BYTES_MAX - ret_text->size, &text, ret_why);
        err = err != SLUICE_OK ? err : append(ret_text, &text);
    }
    return err;
}

static sl_err read_lists(struct sl_os *os, const char *path, struct sl_bytes *ret_text,
                         char ret_why[TLS_WHY_BYTES])
{
    struct listing *listing = sl_alloc_zero(1, sizeof(*listing));
    if (listing == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    sl_err err = SLUICE_OK;
    if (sl_dir_list(os, path, note_entry, listing) != SLUICE_OK) {
        err = read_file(os, "crl", path, TLS_CRL_BYTES_MAX, ret_text, ret_why);
    } else if (listing->is_full || listing->count == 0) {
        snprintf(ret_why, TLS_WHY_BYTES, "crl %.180s is a folder of %s", path,
                 listing->is_full ? "too many files" : "no files");
        err = SLUICE_E_CONFIG_VALUE;
    } else {
        err = read_listed(os, path, listing, ret_text, ret_why);
    }
    for (uint32_t i = 0; i < listing->count; i++) {
        sl_free(listing->names[i]);
    }
    sl_free(listing);
    return err;
}

/* ---- all ---- */

/* The first line of the file. */
static void cut_line(struct sl_bytes *text)
{
    size_t size = 0;
    while (size < text->size && text->data[size] != '\n' && text->data[size] != '\r') {
        size++;
    }
    text->size = size;
}

static sl_err read_key(struct sl_os *os, const struct tls_settings *settings,
                       struct tls_files *files, char ret_why[TLS_WHY_BYTES])
{
    const char *path = settings->key[0] != '\0' ? settings->key : settings->certificate;
    sl_err err = read_file(os, "key", path, TLS_FILE_BYTES_MAX, &files->key, ret_why);
    if (err == SLUICE_OK && settings->key_password_file[0] != '\0') {
        err = read_file(os, "key_password_file", settings->key_password_file, TLS_FILE_BYTES_MAX,
                        &files->key_password, ret_why);
        cut_line(&files->key_password);
    }
    return err;
}

sl_err tls_files_read(struct sl_os *os, const struct tls_settings *settings,
                      struct tls_files *ret_files, char ret_why[TLS_WHY_BYTES])
{
    struct tls_files files = {0};
    sl_err err = read_file(os, "certificate", settings->certificate, TLS_FILE_BYTES_MAX,
                           &files.certificate, ret_why);
    err = err != SLUICE_OK ? err : read_key(os, settings, &files, ret_why);
    if (err == SLUICE_OK && settings->ca[0] != '\0') {
        err = read_file(os, "ca", settings->ca, TLS_FILE_BYTES_MAX, &files.ca, ret_why);
    }
    if (err == SLUICE_OK && settings->crl[0] != '\0') {
        err = read_lists(os, settings->crl, &files.crl, ret_why);
    }
    if (err != SLUICE_OK) {
        tls_files_drop(&files);
        return err;
    }
    const struct sl_bytes *parts[] = {&files.certificate, &files.key, &files.key_password,
                                      &files.ca, &files.crl};
    for (size_t i = 0; i < SL_COUNT_OF(parts); i++) {
        uint64_t pair[2] = {files.hash, sl_hash64(parts[i]->data, parts[i]->size)};
        files.hash = sl_hash64(pair, sizeof(pair));
    }
    *ret_files = files;
    return SLUICE_OK;
}
