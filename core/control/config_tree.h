/* config_tree.h: a layer of configuration as a tree: maps, lists, scalars, each with its place. */
#ifndef SL_CONTROL_CONFIG_TREE_H
#define SL_CONTROL_CONFIG_TREE_H

#include "control/config.h"

#define CONFIG_DEPTH_MAX    16
#define CONFIG_NODES_MAX    8192
#define CONFIG_CHILDREN_MAX 1024 /* of one map or list */
#define CONFIG_PATH_MAX     256  /* characters of a dotted path */

/* Memory that is given back as a whole. */
struct config_arena;
struct config_arena *config_arena_new(void) SL_MUST_CHECK;          /* NULL: no memory */
struct config_arena *config_arena_free(struct config_arena *arena); /* NULL is fine */
/* Zeroed and aligned for any type; NULL: no memory. */
void *config_arena_get(struct config_arena *arena, size_t size) SL_MUST_CHECK;
char *config_arena_text(struct config_arena *arena, const void *text, size_t size) SL_MUST_CHECK;

enum config_kind { CONFIG_SCALAR, CONFIG_LIST, CONFIG_MAP };

struct config_node {
    enum config_kind kind;
    bool quoted; /* a scalar that can only be a string */
    bool inside; /* braces or brackets: a list or map that is written so */
    uint32_t child_count;
    const char *key;  /* inside a map; else NULL */
    const char *text; /* of a scalar; "" else */
    struct config_origin origin;
    uint64_t begin, end; /* of a scalar in its text, in characters; begin of the others */
    struct config_node *first, *last, *next;
};

/* Adds one sentence to the report; later ones than CONFIG_PROBLEMS_MAX are counted only. */
void config_problem(struct config_report *report, sl_err err, const struct config_origin *origin,
                    const char *format, ...) SL_PRINTF(4, 5);
/* Reports E_NO_MEMORY and returns it. */
sl_err config_no_memory(struct config_report *report);

struct config_node *config_node_new(struct config_arena *arena, enum config_kind kind,
                                    const struct config_origin *origin) SL_MUST_CHECK;
void config_node_append(struct config_node *parent, struct config_node *child);
/* The child of a map by key of `size` characters; NULL: none. */
struct config_node *config_node_child(const struct config_node *map, const char *key, size_t size);
/* The node at a dotted path below a map; NULL: none. */
struct config_node *config_node_find(const struct config_node *map, const char *path);
/* Puts a scalar at a dotted path, making the maps on the way. E_CONFIG_VALUE: a scalar is in the
 * way; E_NO_MEMORY. */
sl_err config_node_put(struct config_arena *arena, struct config_node *map, const char *path,
                       struct config_node *value) SL_MUST_CHECK;
/* Deep copy. NULL: no memory. */
struct config_node *config_node_copy(struct config_arena *arena,
                                     const struct config_node *node) SL_MUST_CHECK;
/* Lays `over` on `base`: maps are merged, all else is replaced. */
sl_err config_node_merge(struct config_arena *arena, struct config_node *base,
                         const struct config_node *over) SL_MUST_CHECK;
/* Writes the node as JSON: plain scalars that are JSON numbers, true, false or null keep that type
 * and their digits; all others become strings. */
void config_node_write_json(const struct config_node *node, FILE *out);

/* Parses YAML or JSON. An empty text is an empty map. Errors in the report. */
sl_err config_tree_parse(struct config_arena *arena, struct sl_bytes text, const char *name,
                         struct config_report *report, struct config_node **ret_root) SL_MUST_CHECK;

#endif
