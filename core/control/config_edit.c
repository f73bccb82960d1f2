/* config_edit.c: a value of a YAML text is put in place (config_edit.h). libyaml tells where
 * things are, in characters; what is cut out and put in are bytes. */
#include "control/config_edit.h"
#include "control/config_tree.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#define INDENT 2u

struct edit {
    struct sl_bytes text;
    const char *name, *path, *value;
    struct config_report *report;
    struct sl_buffer *out;
    char *written; /* the value as YAML; owned */
};

/* Where character `index` begins; a mark of libyaml. */
static size_t byte_of(struct sl_bytes text, uint64_t index)
{
    size_t at = 0;
    for (; at < text.size && index > 0; index--) {
        at++;
        while (at < text.size && (text.data[at] & 0xC0) == 0x80)
            at++;
    }
    return at;
}

static size_t line_of(struct sl_bytes text, uint64_t index)
{
    size_t at = byte_of(text, index);
    while (at > 0 && text.data[at - 1] != '\n')
        at--;
    return at;
}

/* Means the same in braces as outside, and nothing but itself. */
static bool is_plain(const char *value)
{
    static const char inside[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._/:+%@=-";
    size_t size = strlen(value);
    return size > 0 && strspn(value, inside) == size && strchr(" :+%@=-", value[0]) == NULL &&
           strchr(" :", value[size - 1]) == NULL && strstr(value, ": ") == NULL;
}

static bool is_scalar(const char *value)
{
    return value[0] != '[' && value[0] != '{';
}

/* JSON's strings are YAML's. */
static char *value_write(const char *value)
{
    if (!is_scalar(value) || is_plain(value))
        return strdup(value);
    cJSON *string = cJSON_CreateString(value);
    char *text = string != NULL ? cJSON_PrintUnformatted(string) : NULL;
    cJSON_Delete(string);
    return text;
}

static sl_err put(struct edit *edit, const void *data, size_t size)
{
    return sl_buffer_append(edit->out, data, size);
}

/* The text with `size` bytes at `at` replaced by what `middle` appends. */
static sl_err replace(struct edit *edit, size_t at, size_t size,
                      sl_err (*middle)(struct edit *edit, const char *rest, uint32_t column),
                      const char *rest, uint32_t column)
{
    sl_err err = put(edit, edit->text.data, at);
    err = err != SLUICE_OK ? err : middle(edit, rest, column);
    return err != SLUICE_OK ? err
                            : put(edit, edit->text.data + at + size, edit->text.size - at - size);
}

/* A key without a value ends at its colon. */
static sl_err put_value(struct edit *edit, const char *rest, uint32_t column)
{
    size_t size = edit->out->size;
    bool needs_space = size > 0 && edit->out->data[size - 1] == ':';
    sl_err err = needs_space ? put(edit, " ", 1) : SLUICE_OK;
    (void)rest;
    (void)column;
    return err != SLUICE_OK ? err : put(edit, edit->written, strlen(edit->written));
}

/* "a.b.c" as three lines, from a column on. */
static sl_err put_lines(struct edit *edit, const char *rest, uint32_t column)
{
    size_t size = edit->out->size;
    sl_err err = size > 0 && edit->out->data[size - 1] != '\n' ? put(edit, "\n", 1) : SLUICE_OK;
    while (err == SLUICE_OK) {
        size_t word = strcspn(rest, ".");
        for (uint32_t i = 0; i < column && err == SLUICE_OK; i++)
            err = put(edit, " ", 1);
        err = err != SLUICE_OK ? err : put(edit, rest, word);
        if (err != SLUICE_OK || rest[word] == '\0')
            break;
        err = put(edit, ":\n", 2);
        rest += word + 1;
        column += INDENT;
    }
    err = err != SLUICE_OK ? err : put(edit, ": ", 2);
    err = err != SLUICE_OK ? err : put(edit, edit->written, strlen(edit->written));
    return err != SLUICE_OK ? err : put(edit, "\n", 1);
}

static sl_err refuse(struct edit *edit, const struct config_node *node, const char *sentence)
{
    config_problem(edit->report, SLUICE_E_CONFIG_VALUE, node != NULL ? &node->origin : NULL,
                   "%.100s %s", edit->path, sentence);
    return SLUICE_E_CONFIG_VALUE;
}

static sl_err edit_at(struct edit *edit, const struct config_node *root)
{
    const struct config_node *at = root;
    const char *rest = edit->path;
    for (size_t word = strcspn(rest, "."); at->kind == CONFIG_MAP; word = strcspn(rest, ".")) {
        const struct config_node *child = config_node_child(at, rest, word);
        if (child == NULL)
            break;
        at = child;
        rest += word + (rest[word] == '.');
        if (*rest == '\0')
            break;
    }
    if (*rest == '\0') {
        if (at->kind != CONFIG_SCALAR)
            return refuse(edit, at, "is a list or section here: change it in the file");
        size_t begin = byte_of(edit->text, at->begin);
        if (begin < edit->text.size && strchr("|>", edit->text.data[begin]) != NULL)
            return refuse(edit, at, "has a text of several lines here: change it in the file");
        return replace(edit, begin, byte_of(edit->text, at->end) - begin, put_value, NULL, 0);
    }
    if (at->kind != CONFIG_MAP || at->inside)
        return refuse(
            edit, at,
            "has no place: what is above it stands in one line here; change it in the file");
    if (at->child_count == 0)
        return replace(edit, edit->text.size, 0, put_lines, rest, 0);
    return replace(edit, line_of(edit->text, at->begin), 0, put_lines, rest, at->origin.column - 1);
}

static bool is_path(const char *path)
{
    static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    size_t size = strlen(path);
    return size > 0 && size < CONFIG_PATH_MAX && strspn(path, word) == size && path[0] != '.' &&
           path[size - 1] != '.' && strstr(path, "..") == NULL;
}

/* Whether both say the same but for what is at the path. path NULL: it is not below here. */
static bool same_but(const struct config_node *before, const struct config_node *after,
                     const char *path)
{
    if (path != NULL && *path == '\0')
        return true;
    if (before == NULL)
        return path != NULL;
    if (before->kind != after->kind || strcmp(before->text, after->text) != 0)
        return false;
    size_t word = path != NULL ? strcspn(path, ".") : 0;
    uint32_t found = 0;
    bool same = true;
    const struct config_node *was = before->first;
    for (const struct config_node *is = after->first; is != NULL && same; is = is->next) {
        bool leads = path != NULL && is->key != NULL && strlen(is->key) == word &&
                     memcmp(is->key, path, word) == 0;
        const struct config_node *twin =
            is->key != NULL ? config_node_child(before, is->key, strlen(is->key)) : was;
        same = (twin != NULL || leads) &&
               same_but(twin, is, leads ? path + word + (path[word] == '.') : NULL);
        found += twin != NULL;
        was = was != NULL ? was->next : NULL;
    }
    return same && found == before->child_count;
}

/* What was made says what was meant, and nothing else is said otherwise. */
static sl_err check(struct edit *edit, struct config_arena *arena, const struct config_node *before)
{
    struct config_node *after = NULL;
    sl_err err =
        config_tree_parse(arena, sl_buffer_bytes(edit->out), edit->name, edit->report, &after);
    if (err != SLUICE_OK)
        return err;
    const struct config_node *node = config_node_find(after, edit->path);
    bool is_there =
        node != NULL && (!is_scalar(edit->value) || strcmp(node->text, edit->value) == 0);
    return is_there && same_but(before, after, edit->path)
               ? SLUICE_OK
               : refuse(edit, NULL, "cannot be written into this file: change it there");
}

sl_err config_edit(struct sl_bytes text, const char *name, const char *path, const char *value,
                   struct config_report *report, struct sl_buffer *ret_text)
{
    struct edit edit = {text, name, path, value, report, ret_text, NULL};
    struct config_arena *arena = config_arena_new();
    struct config_node *root = NULL;
    sl_err err = is_path(path) ? SLUICE_OK : refuse(&edit, NULL, "is no key");
    if (err == SLUICE_OK)
        edit.written = value_write(value);
    if (err == SLUICE_OK && (arena == NULL || edit.written == NULL))
        err = config_no_memory(report);
    err = err != SLUICE_OK ? err : config_tree_parse(arena, text, name, report, &root);
    err = err != SLUICE_OK ? err : edit_at(&edit, root);
    err = err != SLUICE_OK ? err : check(&edit, arena, root);
    free(edit.written);
    config_arena_free(arena);
    return err;
}
