/* config_yaml.c: YAML 1.1 through libyaml's events, restricted to what JSON can say plus comments
 * and plain scalars. Anchors, aliases, tags, merge keys and further documents are refused: each is
 * a way to write a file that does not mean what it looks like. */
#include "control/config_tree.h"

#include <string.h>
#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    struct config_arena *arena;
    struct config_report *report;
    const char *name;
    uint32_t node_count;
    uint32_t depth;
    struct config_node *stack[CONFIG_DEPTH_MAX]; /* open maps and lists */
    const char *key[CONFIG_DEPTH_MAX]; /* read, its value awaited; NULL: a key comes next */
    struct config_node *root;
    bool done;
};

static struct config_origin origin_of(const struct reader *reader, yaml_mark_t mark)
{
    return (struct config_origin){.source = CONFIG_SOURCE_FILE,
                                  .name = reader->name,
                                  .line = (uint32_t)mark.line + 1,
                                  .column = (uint32_t)mark.column + 1};
}

static sl_err refuse(struct reader *reader, yaml_mark_t mark, const char *sentence)
{
    struct config_origin origin = origin_of(reader, mark);
    config_problem(reader->report, SLUICE_E_CONFIG_SYNTAX, &origin, "%s", sentence);
    return SLUICE_E_CONFIG_SYNTAX;
}

static sl_err parser_failed(struct reader *reader)
{
    const yaml_parser_t *parser = &reader->parser;
    if (parser->error == YAML_MEMORY_ERROR) {
        return config_no_memory(reader->report);
    }
    struct config_origin origin = origin_of(reader, parser->problem_mark);
    config_problem(reader->report, SLUICE_E_CONFIG_SYNTAX, &origin,
                   "not valid YAML: %s%s%s; correct the line and try again",
                   parser->problem != NULL ? parser->problem : "unreadable text",
                   parser->context != NULL ? " " : "",
                   parser->context != NULL ? parser->context : "");
    return SLUICE_E_CONFIG_SYNTAX;
}

static sl_err key_take(struct reader *reader, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t size = event->data.scalar.length;
    struct config_node *map = reader->stack[reader->depth - 1];
    if (size == 0 || memchr(text, '\0', size) != NULL) {
        return refuse(reader, event->start_mark, "a key must not be empty");
    }
    if (strcmp(text, "<<") == 0) {
        return refuse(reader, event->start_mark,
                      "merge keys (<<) are not supported; write the values out");
    }
    const struct config_node *twin = config_node_child(map, text, size);
    if (twin != NULL) {
        struct config_origin origin = origin_of(reader, event->start_mark);
        config_problem(reader->report, SLUICE_E_CONFIG_SYNTAX, &origin,
                       "the key \"%.100s\" was given already in line %u; remove one of the two",
                       text, twin->origin.line);
        return SLUICE_E_CONFIG_SYNTAX;
    }
    const char *copy = config_arena_text(reader->arena, text, size);
    if (copy == NULL) {
        return config_no_memory(reader->report);
    }
    reader->key[reader->depth - 1] = copy;
    return SLUICE_OK;
}

/* Makes the node of an event and hangs it where it belongs. */
static sl_err node_add(struct reader *reader, const yaml_event_t *event, enum config_kind kind,
                       struct config_node **ret_node)
{
    struct config_origin origin = origin_of(reader, event->start_mark);
    if (++reader->node_count > CONFIG_NODES_MAX) {
        return refuse(reader, event->start_mark, "the file holds more values than allowed (8192)");
    }
    struct config_node *node = config_node_new(reader->arena, kind, &origin);
    if (node == NULL) {
        return config_no_memory(reader->report);
    }
    node->begin = event->start_mark.index;
    node->end = event->end_mark.index;
    if (reader->depth == 0) {
        reader->root = node;
    } else {
        struct config_node *parent = reader->stack[reader->depth - 1];
        if (parent->child_count >= CONFIG_CHILDREN_MAX) {
            return refuse(reader, event->start_mark, "more than 1024 entries in one place");
        }
        node->key = reader->key[reader->depth - 1];
        reader->key[reader->depth - 1] = NULL;
        config_node_append(parent, node);
    }
    *ret_node = node;
    return SLUICE_OK;
}

static sl_err on_scalar(struct reader *reader, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t size = event->data.scalar.length;
    if (event->data.scalar.anchor != NULL || event->data.scalar.tag != NULL) {
        return refuse(reader, event->start_mark,
                      "anchors (&) and tags (!) are not supported; write the value itself");
    }
    bool in_map = reader->depth > 0 && reader->stack[reader->depth - 1]->kind == CONFIG_MAP;
    if (in_map && reader->key[reader->depth - 1] == NULL) {
        return key_take(reader, event);
    }
    if (memchr(text, '\0', size) != NULL) {
        return refuse(reader, event->start_mark, "a value must not hold the character NUL");
    }
    struct config_node *node = NULL;
    sl_err err = node_add(reader, event, CONFIG_SCALAR, &node);
    if (err != SLUICE_OK) {
        return err;
    }
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->text = config_arena_text(reader->arena, text, size);
    return node->text == NULL ? config_no_memory(reader->report) : SLUICE_OK;
}

static sl_err on_open(struct reader *reader, const yaml_event_t *event)
{
    bool is_map = event->type == YAML_MAPPING_START_EVENT;
    bool marked =
        is_map
            ? event->data.mapping_start.anchor != NULL || event->data.mapping_start.tag != NULL
            : event->data.sequence_start.anchor != NULL || event->data.sequence_start.tag != NULL;
    if (marked) {
        return refuse(reader, event->start_mark,
                      "anchors (&) and tags (!) are not supported; write the value itself");
    }
    if (reader->depth == CONFIG_DEPTH_MAX) {
        return refuse(reader, event->start_mark, "nested deeper than 16 levels");
    }
    bool in_map = reader->depth > 0 && reader->stack[reader->depth - 1]->kind == CONFIG_MAP;
    if (in_map && reader->key[reader->depth - 1] == NULL) {
        return refuse(reader, event->start_mark, "a key must be a plain word");
    }
    struct config_node *node = NULL;
    sl_err err = node_add(reader, event, is_map ? CONFIG_MAP : CONFIG_LIST, &node);
    if (err != SLUICE_OK) {
        return err;
    }
    node->inside = is_map ? event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE
                          : event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
    reader->stack[reader->depth] = node;
    reader->key[reader->depth] = NULL;
    reader->depth++;
    return SLUICE_OK;
}

static sl_err event_take(struct reader *reader, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return on_scalar(reader, event);
    case YAML_MAPPING_START_EVENT:
    case YAML_SEQUENCE_START_EVENT:
        return on_open(reader, event);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        reader->depth--;
        return SLUICE_OK;
    case YAML_ALIAS_EVENT:
        return refuse(reader, event->start_mark,
                      "aliases (*) are not supported; write the value itself");
    case YAML_DOCUMENT_START_EVENT:
        return reader->root == NULL ? SLUICE_OK
                                    : refuse(reader, event->start_mark,
                                             "a second document (---) in the file; keep one");
    case YAML_STREAM_END_EVENT:
        reader->done = true;
        return SLUICE_OK;
    default:
        return SLUICE_OK;
    }
}

static sl_err events_read(struct reader *reader)
{
    while (!reader->done) {
        yaml_event_t event;
        if (!yaml_parser_parse(&reader->parser, &event)) {
            return parser_failed(reader);
        }
        sl_err err = event_take(reader, &event);
        yaml_event_delete(&event);
        if (err != SLUICE_OK) {
            return err;
        }
    }
    return SLUICE_OK;
}

/* An empty file, or one of comments, is an empty map. */
static sl_err root_check(struct reader *reader, struct config_node **ret_root)
{
    struct config_node *root = reader->root;
    struct config_origin origin = {CONFIG_SOURCE_FILE, reader->name, 1, 1};
    if (root == NULL || (root->kind == CONFIG_SCALAR && root->text[0] == '\0' && !root->quoted)) {
        root = config_node_new(reader->arena, CONFIG_MAP, &origin);
        if (root == NULL) {
            return config_no_memory(reader->report);
        }
    }
    if (root->kind != CONFIG_MAP) {
        config_problem(reader->report, SLUICE_E_CONFIG_SYNTAX, &root->origin,
                       "expected \"section:\" lines with keys below them");
        return SLUICE_E_CONFIG_SYNTAX;
    }
    *ret_root = root;
    return SLUICE_OK;
}

sl_err config_tree_parse(struct config_arena *arena, struct sl_bytes text, const char *name,
                         struct config_report *report, struct config_node **ret_root)
{
    struct reader reader = {.arena = arena, .report = report, .name = name};
    struct config_origin origin = {CONFIG_SOURCE_FILE, name, 1, 1};
    if (text.size > CONFIG_FILE_BYTES_MAX) {
        config_problem(report, SLUICE_E_CONFIG_SYNTAX, &origin,
                       "the file is larger than 256 KiB; is this the right file?");
        return SLUICE_E_CONFIG_SYNTAX;
    }
    if (!yaml_parser_initialize(&reader.parser)) {
        return config_no_memory(report);
    }
    yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reader.parser, text.size > 0 ? text.data : (const uint8_t *)"",
                                 text.size);
    sl_err err = events_read(&reader);
    yaml_parser_delete(&reader.parser);
    return err != SLUICE_OK ? err : root_check(&reader, ret_root);
}
