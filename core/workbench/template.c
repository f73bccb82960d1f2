/* template.c: copies a template; "my_processor", "my_frontend" and "my_app" become the name, in
 * texts and in file names. */
#include "workbench/template.h"

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/status.h"

#include <stdio.h>
#include <string.h>

#define FILE_BYTES_MAX (1u << 20)
#define PATH_BYTES     4352u

static const struct {
    const char *kind, *lang, *folder, *word;
} languages[] = {{"plugin", "c", "processor_c/", "my_processor"},
                 {"plugin", "lua", "processor_lua/", "my_processor"},
                 {"plugin", "frontend", "frontend/", "my_frontend"},
                 {"app", "c", "app_c/", "my_app"},
                 {"app", "python", "app_python/", "my_app"},
                 {"app", "lua", "app_lua/", "my_app"}};

bool template_name_check(const char *name, char ret_text[TEMPLATE_TEXT_BYTES])
{
    size_t size = strlen(name);
    bool good = size > 0 && size <= TEMPLATE_NAME_MAX && name[0] >= 'a' && name[0] <= 'z' &&
                strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == size;
    if (!good) {
        snprintf(ret_text, TEMPLATE_TEXT_BYTES,
                 "\"%.100s\" cannot be the name: take a letter and then a-z, 0-9 or _, "
                 "at most %u of them",
                 name, TEMPLATE_NAME_MAX);
    }
    return good;
}

/* The text with each `word` replaced. */
static sl_err replace(struct sl_bytes text, const char *word, const char *name,
                      struct sl_buffer *out)
{
    size_t size = strlen(word);
    sl_err err = SLUICE_OK;
    while (text.size > 0 && err == SLUICE_OK) {
        const uint8_t *found = memmem(text.data, text.size, word, size);
        size_t before = found != NULL ? (size_t)(found - text.data) : text.size;
        err = sl_buffer_append(out, text.data, before);
        text = sl_bytes_of(text.data + before, text.size - before);
        if (found != NULL && err == SLUICE_OK) {
            err = sl_buffer_append(out, name, strlen(name));
            text = sl_bytes_of(text.data + size, text.size - size);
        }
    }
    return err;
}

static sl_err file_write(struct sl_os *os, const char *path, struct sl_bytes bytes)
{
    char folder[PATH_BYTES];
    struct sl_file *file = NULL;
    const struct sl_iovec piece = {(void *)(uintptr_t)bytes.data, bytes.size};
    snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path), path);
    sl_err err = sl_dir_make(os, folder);
    err = err != SLUICE_OK
              ? err
              : sl_file_open(os, path, SL_FILE_WRITE | SL_FILE_CREATE | SL_FILE_EXCLUSIVE, &file);
    err = err != SLUICE_OK ? err : sl_file_pwritev(file, &piece, 1, 0);
    sl_file_close(file);
    return err;
}

/* my_app.py becomes NAME.py; and processor.lua NAME.lua: its file is the plugin. */
static void target_name(const char *path, const char *word, const char *name, char *ret_name,
                        size_t size)
{
    const char *found = strstr(path, word);
    if (strcmp(path, "processor.lua") == 0) {
        snprintf(ret_name, size, "%s.lua", name);
    } else if (found != NULL) {
        snprintf(ret_name, size, "%.*s%s%s", (int)(found - path), path, name, found + strlen(word));
    } else {
        snprintf(ret_name, size, "%s", path);
    }
}

static sl_err one_make(struct sl_os *os, const char *folder, const char *name, size_t language,
                       const struct template_file *file, char ret_path[PATH_BYTES])
{
    struct sl_buffer text;
    char target[256];
    target_name(file->path + strlen(languages[language].folder), languages[language].word, name,
                target, sizeof(target));
    if (snprintf(ret_path, PATH_BYTES, "%s/%s", folder, target) >= (int)PATH_BYTES) {
        return SLUICE_E_LIMIT;
    }
    sl_buffer_init(&text, FILE_BYTES_MAX);
    sl_err err = replace(file->bytes, languages[language].word, name, &text);
    err = err != SLUICE_OK ? err : file_write(os, ret_path, sl_buffer_bytes(&text));
    sl_buffer_fini(&text);
    return err;
}

static void ignore(void *arg, const char *name, bool is_directory)
{
    (void)arg;
    (void)name;
    (void)is_directory;
}

static bool is_there(struct sl_os *os, const char *path)
{
    struct sl_file *file = NULL;
    bool is = sl_dir_list(os, path, ignore, NULL) == SLUICE_OK ||
              sl_file_open(os, path, SL_FILE_READ, &file) == SLUICE_OK;
    sl_file_close(file);
    return is;
}

/* "c, lua and frontend" */
static void languages_name(const char *kind, char *ret_text, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < SL_COUNT_OF(languages) && used < size; i++) {
        bool is_last = i + 1 == SL_COUNT_OF(languages) || strcmp(languages[i + 1].kind, kind) != 0;
        const char *before = used == 0 ? "" : is_last ? " and " : ", ";
        if (strcmp(languages[i].kind, kind) == 0) {
            used +=
                (size_t)snprintf(ret_text + used, size - used, "%s%s", before, languages[i].lang);
        }
    }
}

sl_err template_make(struct sl_os *os, const char *kind, const char *lang, const char *folder,
                     const char *name, template_made_fn *made, void *arg,
                     char ret_text[TEMPLATE_TEXT_BYTES])
{
    size_t language = 0;
    char path[PATH_BYTES], known[128];
    while (language < SL_COUNT_OF(languages) && (strcmp(languages[language].kind, kind) != 0 ||
                                                 strcmp(languages[language].lang, lang) != 0)) {
        language++;
    }
    if (language == SL_COUNT_OF(languages)) {
        languages_name(kind, known, sizeof(known));
        snprintf(ret_text, TEMPLATE_TEXT_BYTES, "there is no template for \"%.60s\"; there are %s",
                 lang, known);
        return SLUICE_E_UNSUPPORTED;
    }
    if (is_there(os, folder)) {
        snprintf(ret_text, TEMPLATE_TEXT_BYTES,
                 "%.800s is there already; nothing was written. Take another name", folder);
        return SLUICE_E_EXISTS;
    }
    for (unsigned i = 0; i < template_file_count; i++) {
        if (strncmp(template_files[i].path, languages[language].folder,
                    strlen(languages[language].folder)) != 0) {
            continue;
        }
        sl_err err = one_make(os, folder, name, language, &template_files[i], path);
        if (err != SLUICE_OK) {
            snprintf(ret_text, TEMPLATE_TEXT_BYTES, "cannot write %.800s: %s", path,
                     sl_status_text(err));
            return err;
        }
        made(arg, path);
    }
    return SLUICE_OK;
}
