/* cli_host_text.c: see cli_host_text.h. */
#include "cli/cli_host_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Behind the name at the beginning of a line; NULL: no line begins so. */
static const char *row_find(const char *text, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = text; at != NULL; at = strchr(at, '\n')) {
        at += *at == '\n';
        if (strncmp(at, name, size) == 0) {
            return at + size;
        }
    }
    return NULL;
}

bool host_limit_of(const char *text, const char *name, uint64_t *ret_limit)
{
    const char *at = row_find(text, name);
    if (at == NULL) {
        return false;
    }
    at += strspn(at, " ");
    *ret_limit = strncmp(at, "unlimited", 9) == 0 ? UINT64_MAX : strtoull(at, NULL, 10);
    return true;
}

bool host_memory_of(const char *text, const char *name, uint64_t *ret_bytes)
{
    const char *at = row_find(text, name);
    if (at != NULL) {
        *ret_bytes = strtoull(at, NULL, 10) * 1024;
    }
    return at != NULL;
}

bool host_choice_of(const char *text, char ret_word[HOST_WORD_BYTES])
{
    const char *from = strchr(text, '['), *to = from != NULL ? strchr(from, ']') : NULL;
    if (to == NULL) {
        return false;
    }
    snprintf(ret_word, HOST_WORD_BYTES, "%.*s", (int)(to - from - 1), from + 1);
    return true;
}

/* A field of a line: what stands between spaces, "\040" being one of them. */
static const char *field_take(const char *at, char *ret_field, size_t size)
{
    size_t used = 0;
    at += strspn(at, " ");
    while (*at != '\0' && *at != ' ' && *at != '\n') {
        char byte = *at;
        size_t length = 1;
        if (byte == '\\' && strspn(at + 1, "01234567") >= 3) {
            byte = (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + (at[3] - '0'));
            length = 4;
        }
        if (used + 1 < size) {
            ret_field[used++] = byte;
        }
        at += length;
    }
    ret_field[used] = '\0';
    return at;
}

/* id parent major:minor root POINT OPTIONS [optional …] - TYPE source OPTIONS */
static bool mount_read(const char *line, struct host_mount *ret_mount)
{
    char word[HOST_LINE_BYTES], options[HOST_LINE_BYTES], more[HOST_LINE_BYTES];
    const char *at = line;
    for (int i = 0; i < 4; i++) {
        at = field_take(at, word, sizeof(word));
    }
    at = field_take(at, ret_mount->point, sizeof(ret_mount->point));
    at = field_take(at, options, sizeof(options));
    do {
        at = field_take(at, word, sizeof(word));
    } while (word[0] != '\0' && strcmp(word, "-") != 0);
    at = field_take(at, ret_mount->type, sizeof(ret_mount->type));
    at = field_take(at, word, sizeof(word));
    (void)field_take(at, more, sizeof(more));
    snprintf(ret_mount->options, sizeof(ret_mount->options), "%.250s,%.250s", options, more);
    return ret_mount->type[0] != '\0';
}

/* Whether the path is the point or below it. */
static bool lies_on(const char *path, const char *point)
{
    size_t size = strlen(point);
    return strcmp(point, "/") == 0 ||
           (strncmp(path, point, size) == 0 && (path[size] == '/' || path[size] == '\0'));
}

bool host_mount_of(const char *text, const char *path, struct host_mount *ret_mount)
{
    struct host_mount mount;
    bool found = false;
    for (const char *at = text; at != NULL && *at != '\0'; at = strchr(at, '\n')) {
        at += *at == '\n';
        /* The last one of a point hides those before it. */
        if (mount_read(at, &mount) && lies_on(path, mount.point) &&
            (!found || strlen(mount.point) >= strlen(ret_mount->point))) {
            *ret_mount = mount;
            found = true;
        }
    }
    return found;
}

bool host_option_has(const char *options, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = options; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, size) == 0 && (at[size] == ',' || at[size] == '\0')) {
            return true;
        }
    }
    return false;
}
