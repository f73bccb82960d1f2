/* config_tree.c: building, searching, merging and writing trees of configuration. */
#include "control/config_tree.h"

#include <stdarg.h>
#include <string.h>

const char *config_origin_text(const struct config_origin *origin,
                               char ret_text[CONFIG_ORIGIN_TEXT_MAX])
{
    static const char *const plain[] = {"default", "default of --dev"};
    if (origin->source <= CONFIG_SOURCE_DEV) {
        snprintf(ret_text, CONFIG_ORIGIN_TEXT_MAX, "%s", plain[origin->source]);
    } else if (origin->source == CONFIG_SOURCE_FILE) {
        snprintf(ret_text, CONFIG_ORIGIN_TEXT_MAX, "%s:%u:%u", origin->name, origin->line,
                 origin->column);
    } else {
        snprintf(ret_text, CONFIG_ORIGIN_TEXT_MAX, "%s", origin->name);
    }
    return ret_text;
}

void config_problem(struct config_report *report, sl_err err, const struct config_origin *origin,
                    const char *format, ...)
{
    if (report->count++ == 0) {
        report->first = err;
    }
    if (report->count > CONFIG_PROBLEMS_MAX) {
        return;
    }
    char *line = report->problems[report->count - 1];
    char place[CONFIG_ORIGIN_TEXT_MAX];
    int at = 0;
    if (origin != NULL) {
        at = snprintf(line, CONFIG_PROBLEM_TEXT_MAX, "%s: ", config_origin_text(origin, place));
    }
    va_list args;
    va_start(args, format);
    vsnprintf(line + at, CONFIG_PROBLEM_TEXT_MAX - (size_t)at, format, args);
    va_end(args);
}

sl_err config_no_memory(struct config_report *report)
{
    config_problem(report, SLUICE_E_NO_MEMORY, NULL,
                   "out of memory while reading the configuration");
    return SLUICE_E_NO_MEMORY;
}

void config_report_write(const struct config_report *report, FILE *out)
{
    uint32_t kept = SL_MIN(report->count, (uint32_t)CONFIG_PROBLEMS_MAX);
    for (uint32_t i = 0; i < kept; i++) {
        fprintf(out, "%s\n", report->problems[i]);
    }
    if (report->count > kept) {
        fprintf(out, "… and %u more\n", report->count - kept);
    }
}

struct config_node *config_node_new(struct config_arena *arena, enum config_kind kind,
                                    const struct config_origin *origin)
{
    struct config_node *node = config_arena_get(arena, sizeof(*node));
    if (node != NULL) {
        node->kind = kind;
        node->text = "";
        node->origin = *origin;
    }
    return node;
}

void config_node_append(struct config_node *parent, struct config_node *child)
{
    SL_ASSERT(parent->kind != CONFIG_SCALAR && child->next == NULL);
    if (parent->last == NULL) {
        parent->first = child;
    } else {
        parent->last->next = child;
    }
    parent->last = child;
    parent->child_count++;
}

struct config_node *config_node_child(const struct config_node *map, const char *key, size_t size)
{
    for (struct config_node *child = map->first; child != NULL; child = child->next) {
        if (child->key != NULL && strlen(child->key) == size &&
            memcmp(child->key, key, size) == 0) {
            return child;
        }
    }
    return NULL;
}

struct config_node *config_node_find(const struct config_node *map, const char *path)
{
    for (;;) {
        size_t size = strcspn(path, ".");
        struct config_node *child =
            map->kind == CONFIG_MAP ? config_node_child(map, path, size) : NULL;
        if (child == NULL || path[size] == '\0') {
            return child;
        }
        map = child;
        path += size + 1;
    }
}

static void node_replace(struct config_node *parent, const struct config_node *old,
                         struct config_node *fresh)
{
    struct config_node *before = NULL;
    for (struct config_node *child = parent->first; child != old; child = child->next) {
        before = child;
    }
    fresh->next = old->next;
    if (before == NULL) {
        parent->first = fresh;
    } else {
        before->next = fresh;
    }
    if (parent->last == old) {
        parent->last = fresh;
    }
}

sl_err config_node_put(struct config_arena *arena, struct config_node *map, const char *path,
                       struct config_node *value)
{
    for (;;) {
        size_t size = strcspn(path, ".");
        bool is_leaf = path[size] == '\0';
        struct config_node *child = config_node_child(map, path, size);
        if (child != NULL && !is_leaf && child->kind != CONFIG_MAP) {
            return SLUICE_E_CONFIG_VALUE;
        }
        if (child == NULL || is_leaf) {
            struct config_node *fresh =
                is_leaf ? value : config_node_new(arena, CONFIG_MAP, &value->origin);
            if (fresh == NULL || (fresh->key = config_arena_text(arena, path, size)) == NULL) {
                return SLUICE_E_NO_MEMORY;
            }
            if (child == NULL) {
                config_node_append(map, fresh);
            } else {
                node_replace(map, child, fresh);
            }
            child = fresh;
        }
        if (is_leaf) {
            return SLUICE_OK;
        }
        map = child;
        path += size + 1;
    }
}

static const char *text_copy(struct config_arena *arena, const char *text, bool *failed)
{
    if (text == NULL) {
        return NULL;
    }
    const char *copy = config_arena_text(arena, text, strlen(text));
    *failed = *failed || copy == NULL;
    return copy;
}

struct config_node *config_node_copy(struct config_arena *arena, const struct config_node *node)
{
    bool failed = false;
    struct config_node *copy = config_node_new(arena, node->kind, &node->origin);
    if (copy == NULL) {
        return NULL;
    }
    copy->quoted = node->quoted;
    copy->key = text_copy(arena, node->key, &failed);
    copy->text = text_copy(arena, node->text, &failed);
    copy->origin.name = text_copy(arena, node->origin.name, &failed);
    for (const struct config_node *child = node->first; child != NULL && !failed;
         child = child->next) {
        struct config_node *child_copy = config_node_copy(arena, child);
        if (child_copy == NULL) {
            return NULL;
        }
        config_node_append(copy, child_copy);
    }
    return failed ? NULL : copy;
}

sl_err config_node_merge(struct config_arena *arena, struct config_node *base,
                         const struct config_node *over)
{
    SL_ASSERT(base->kind == CONFIG_MAP && over->kind == CONFIG_MAP);
    for (const struct config_node *child = over->first; child != NULL; child = child->next) {
        struct config_node *old = config_node_child(base, child->key, strlen(child->key));
        if (old != NULL && old->kind == CONFIG_MAP && child->kind == CONFIG_MAP) {
            sl_err err = config_node_merge(arena, old, child);
            if (err != SLUICE_OK) {
                return err;
            }
            continue;
        }
        struct config_node *copy = config_node_copy(arena, child);
        if (copy == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
        if (old == NULL) {
            config_node_append(base, copy);
        } else {
            node_replace(base, old, copy);
        }
    }
    return SLUICE_OK;
}
