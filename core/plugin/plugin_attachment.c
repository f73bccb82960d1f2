/* plugin_attachment.c: see plugin_attachment.h. */
#include "plugin/plugin_attachment.h"

#include "base/bytes.h"
#include "base/text.h"
#include "catalog/topic_name.h"

#include <stdio.h>
#include <string.h>

_Static_assert(MANIFEST_IMPORTS_MAX == SLUICE_STATE_IMPORTS_MAX, "one bound");

/* ---- from the sources ---- */

static void add_name(char (*names)[MANIFEST_TOPIC_BYTES], uint32_t *count, struct sl_bytes name)
{
    if (*count < MANIFEST_TOPICS_MAX && name.size > 0 && name.size < MANIFEST_TOPIC_BYTES) {
        memcpy(names[*count], name.data, name.size);
        names[*count][name.size] = '\0';
        (*count)++;
    }
}

/* The script says several inputs as one text, parted by commas. */
static void add_inputs(struct plugin_attachment *attachment, struct sl_bytes text)
{
    size_t start = 0;
    for (size_t i = 0; i <= text.size; i++) {
        if (i == text.size || text.data[i] == ',') {
            while (start < i && text.data[start] == ' ') {
                start++;
            }
            add_name(attachment->inputs, &attachment->input_count,
                     sl_bytes_of(text.data + start, i - start));
            start = i + 1;
        }
    }
}

static void take_manifest(struct plugin_attachment *attachment, const struct manifest *manifest)
{
    attachment->on = manifest->on;
    attachment->deadline_ms = (uint32_t)manifest->deadline_ms;
    attachment->on_error = manifest->on_error;
    attachment->state_version = manifest->state_version;
    memcpy(attachment->state_import, manifest->state_import, sizeof(attachment->state_import));
    attachment->state_import_count = manifest->state_import_count;
    attachment->input_count = manifest->input_count;
    attachment->output_count = manifest->output_count;
    memcpy(attachment->inputs, manifest->inputs, sizeof(attachment->inputs));
    memcpy(attachment->output, manifest->output, sizeof(attachment->output));
    memcpy(attachment->outputs, manifest->outputs, sizeof(attachment->outputs));
}

static void take_described(struct plugin_attachment *attachment,
                           const struct sandbox_attachment *described)
{
    attachment->on = described->on != 0 ? (int32_t)described->on : attachment->on;
    if (described->deadline_ms != 0) {
        attachment->deadline_ms = described->deadline_ms;
    }
    if (described->input.size > 0) {
        attachment->input_count = 0;
        add_inputs(attachment, sl_of_text(described->input));
    }
    if (described->output.size > 0) {
        uint32_t none = 0;
        add_name(&attachment->output, &none, sl_of_text(described->output));
    }
    if (described->state_version != 0) {
        attachment->state_version = described->state_version;
    }
    if (described->state_import_count > 0) {
        attachment->state_import_count = described->state_import_count;
        memcpy(attachment->state_import, described->state_imports,
               sizeof(attachment->state_import));
    }
    for (uint32_t i = 0; i < described->extra_output_count; i++) {
        add_name(attachment->outputs, &attachment->output_count,
                 sl_of_text(described->extra_outputs[i]));
    }
}

static bool config_grants(const struct plugin_instance_config *config, const char *output)
{
    for (uint32_t i = 0; i < config->output_count; i++) {
        if (strcmp(config->outputs[i], output) == 0) {
            return true;
        }
    }
    return false;
}

/* Of what the module lists and the configuration lists, what both do. */
static void take_outputs(struct plugin_attachment *attachment,
                         const struct plugin_instance_config *config)
{
    uint32_t kept = 0;
    uint32_t listed = attachment->output_count;
    for (uint32_t i = 0; i < listed; i++) {
        if (config_grants(config, attachment->outputs[i])) {
            memmove(attachment->outputs[kept++], attachment->outputs[i], MANIFEST_TOPIC_BYTES);
        }
    }
    attachment->output_count = kept;
    for (uint32_t i = 0; listed == 0 && i < config->output_count; i++) {
        add_name(attachment->outputs, &attachment->output_count,
                 sl_bytes_of_text(config->outputs[i]));
    }
}

static void take_config(struct plugin_attachment *attachment,
                        const struct plugin_instance_config *config)
{
    attachment->on = config->on != PLUGIN_ON_UNSET ? config->on : attachment->on;
    attachment->from_beginning = config->from_beginning;
    if (config->on_error.on != ON_ERROR_UNSET) {
        attachment->on_error = config->on_error;
    }
    if (config->deadline_ms > 0) {
        attachment->deadline_ms = (uint32_t)SL_MIN(config->deadline_ms, 600000);
    }
    if (config->input_count > 0) {
        attachment->input_count = 0;
        for (uint32_t i = 0; i < config->input_count; i++) {
            add_name(attachment->inputs, &attachment->input_count,
                     sl_bytes_of_text(config->inputs[i]));
        }
    }
    if (config->output != NULL && config->output[0] != '\0') {
        uint32_t none = 0;
        add_name(&attachment->output, &none, sl_bytes_of_text(config->output));
    }
    take_outputs(attachment, config);
}

/* ---- checks ---- */

static sl_err check_names(const struct plugin_attachment *attachment, char *ret_reason)
{
    char why[MANIFEST_REASON_BYTES] = "";
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < attachment->input_count && err == SLUICE_OK; i++) {
        err = manifest_topic_check(sl_bytes_of_text(attachment->inputs[i]), true, false, why);
    }
    if (err == SLUICE_OK && attachment->output[0] != '\0') {
        err = manifest_topic_check(sl_bytes_of_text(attachment->output), false, true, why);
    }
    for (uint32_t i = 0; i < attachment->output_count && err == SLUICE_OK; i++) {
        err = manifest_topic_check(sl_bytes_of_text(attachment->outputs[i]), false, false, why);
    }
    if (err != SLUICE_OK) {
        snprintf(ret_reason, PLUGIN_REASON_BYTES, "%s", why);
    }
    return err;
}

/* A gate's records are not stored yet: their producer has them, and repeats by itself. */
static sl_err check_on_error(const struct attachment_sources *sources,
                             const struct plugin_attachment *attachment, char *ret_reason)
{
    enum on_error on = attachment->on_error.on;
    char text[ERROR_RULE_BYTES];
    if (attachment->on != SLUICE_ON_PRODUCE || (on != ON_ERROR_RETRY && on != ON_ERROR_STOP)) {
        return SLUICE_OK;
    }
    struct sl_text_out out = sl_text_out_of(ret_reason, PLUGIN_REASON_BYTES);
    sl_text_add(&out, "%s is a gate, for which on_error cannot be \"%s\": it refuses a record to ",
                sources->instance, error_rule_text(&attachment->on_error, text));
    sl_text_add(&out, "its producer (dead-letter) or leaves it out (drop)%s", "");
    return SLUICE_E_PLUGIN_CONFIG;
}

static void say_grant(const struct attachment_sources *sources,
                      const struct plugin_attachment *wanted, char *ret_reason)
{
    char inputs[PLUGIN_TEXT_BYTES];
    plugin_attachment_inputs_text(wanted, inputs, sizeof(inputs));
    bool writes = wanted->output[0] != '\0';
    struct sl_text_out out = sl_text_out_of(ret_reason, PLUGIN_REASON_BYTES);
    sl_text_add(&out, "%s reads %s", sources->file, inputs);
    sl_text_add(&out, writes ? " and writes %s" : "%s", wanted->output);
    sl_text_add(&out, ", which the configuration does not grant: add plugins.instances.%s: ",
                sources->instance);
    sl_text_add(&out, "{module: %s, input: [%s]", sources->file, inputs);
    sl_text_add(&out, writes ? ", output: \"%s\"" : "%s", wanted->output);
    sl_text_add(&out, "} or run with --dev");
}

/* Outside --dev only what the configuration names. */
static bool is_granted(const struct plugin_instance_config *config,
                       const struct plugin_attachment *wanted)
{
    bool writes = wanted->output[0] != '\0' && wanted->on != SLUICE_ON_PRODUCE;
    return config != NULL && config->input_count > 0 &&
           (!writes || (config->output != NULL && config->output[0] != '\0'));
}

sl_err plugin_attachment_resolve(const struct attachment_sources *sources,
                                 struct plugin_attachment *ret_attachment,
                                 char ret_reason[PLUGIN_REASON_BYTES])
{
    struct plugin_attachment attachment = {0};
    if (sources->manifest != NULL && sources->manifest->id[0] != '\0') {
        take_manifest(&attachment, sources->manifest);
    }
    if (sources->described != NULL) {
        take_described(&attachment, sources->described);
        struct sl_bytes rule = sl_of_text(sources->described->on_error);
        if (rule.size > 0 && error_rule_parse(rule, &attachment.on_error) != SLUICE_OK) {
            snprintf(ret_reason, PLUGIN_REASON_BYTES, "%s: on_error must be " ERROR_RULE_WORDS,
                     sources->file);
            return SLUICE_E_PLUGIN_MANIFEST;
        }
    }
    if (!sources->dev && !is_granted(sources->config, &attachment)) {
        say_grant(sources, &attachment, ret_reason);
        return SLUICE_E_PERMISSION;
    }
    if (sources->config != NULL) {
        take_config(&attachment, sources->config);
    }
    attachment.outputs_any =
        sources->dev && (sources->config == NULL || sources->config->output_count == 0);
    attachment.on = attachment.on == SLUICE_ON_PRODUCE ? SLUICE_ON_PRODUCE : SLUICE_ON_LOG;
    if (attachment.deadline_ms == 0) {
        attachment.deadline_ms =
            attachment.on == SLUICE_ON_PRODUCE ? PLUGIN_GATE_MS : PLUGIN_STAGE_MS;
    }
    if (attachment.input_count == 0) {
        snprintf(ret_reason, PLUGIN_REASON_BYTES,
                 "%s says no input topic, neither itself nor by plugins.instances.%s.input",
                 sources->file, sources->instance);
        return SLUICE_E_PLUGIN_MANIFEST;
    }
    if (attachment.on_error.on == ON_ERROR_UNSET) {
        attachment.on_error.on = ON_ERROR_DEAD_LETTER;
    }
    sl_err err = check_names(&attachment, ret_reason);
    err = err != SLUICE_OK ? err : check_on_error(sources, &attachment, ret_reason);
    if (err == SLUICE_OK) {
        *ret_attachment = attachment;
    }
    return err;
}

bool plugin_attachment_equal(const struct plugin_attachment *a, const struct plugin_attachment *b)
{
    bool same = a->on == b->on && a->input_count == b->input_count &&
                a->output_count == b->output_count && a->outputs_any == b->outputs_any &&
                a->deadline_ms == b->deadline_ms && error_rule_equal(&a->on_error, &b->on_error) &&
                strcmp(a->output, b->output) == 0 && a->state_version == b->state_version &&
                a->state_import_count == b->state_import_count &&
                memcmp(a->state_import, b->state_import, sizeof(a->state_import)) == 0;
    for (uint32_t i = 0; same && i < a->input_count; i++) {
        same = strcmp(a->inputs[i], b->inputs[i]) == 0;
    }
    for (uint32_t i = 0; same && i < a->output_count; i++) {
        same = strcmp(a->outputs[i], b->outputs[i]) == 0;
    }
    return same;
}

/* ---- shapes of names: prefix, and any text between it and the suffix ---- */

struct shape {
    struct sl_bytes prefix;
    struct sl_bytes suffix;
    bool open; /* false: the prefix is the whole name */
    char memory[2 * MANIFEST_TOPIC_BYTES];
};

static void shape_of_input(struct shape *shape, const char *input)
{
    size_t size = strlen(input);
    bool open = size > 0 && input[size - 1] == '*';
    *shape = (struct shape){.prefix = sl_bytes_of(input, open ? size - 1 : size), .open = open};
}

/* What an output "a%sb" makes of an input. */
static void shape_of_output(struct shape *shape, const char *output, const char *input)
{
    const char *mark = strstr(output, "%s");
    if (mark == NULL) {
        *shape = (struct shape){.prefix = sl_bytes_of_text(output)};
        return;
    }
    struct shape in;
    shape_of_input(&in, input);
    *shape = (struct shape){.open = in.open};
    size_t before = (size_t)(mark - output);
    size_t size = 0;
    memcpy(shape->memory, output, before);
    size += before;
    memcpy(shape->memory + size, in.prefix.data, in.prefix.size);
    size += in.prefix.size;
    if (in.open) {
        shape->suffix = sl_bytes_of_text(mark + 2);
    } else {
        size_t after = strlen(mark + 2);
        memcpy(shape->memory + size, mark + 2, after);
        size += after;
    }
    shape->prefix = sl_bytes_of(shape->memory, size);
}

static bool starts(struct sl_bytes text, struct sl_bytes prefix)
{
    return text.size >= prefix.size &&
           (prefix.size == 0 || memcmp(text.data, prefix.data, prefix.size) == 0);
}

static bool ends(struct sl_bytes text, struct sl_bytes suffix)
{
    return text.size >= suffix.size &&
           (suffix.size == 0 ||
            memcmp(text.data + text.size - suffix.size, suffix.data, suffix.size) == 0);
}

/* Whether some name has both shapes; the second has no suffix (an input). */
static bool meet(const struct shape *made, const struct shape *read)
{
    if (!made->open && !read->open) {
        return sl_bytes_equal(made->prefix, read->prefix);
    }
    if (!made->open) {
        return starts(made->prefix, read->prefix);
    }
    if (!read->open) {
        return starts(read->prefix, made->prefix) && ends(read->prefix, made->suffix) &&
               read->prefix.size >= made->prefix.size + made->suffix.size;
    }
    return starts(made->prefix, read->prefix) || starts(read->prefix, made->prefix);
}

static bool name_has_shape(struct sl_bytes name, const struct shape *shape)
{
    struct shape exact = {.prefix = name};
    if (!shape->open) {
        return sl_bytes_equal(name, shape->prefix);
    }
    return starts(exact.prefix, shape->prefix) && ends(exact.prefix, shape->suffix) &&
           name.size >= shape->prefix.size + shape->suffix.size;
}

bool plugin_attachment_reads(const struct plugin_attachment *attachment, struct sl_bytes topic)
{
    if (topic_name_is_reserved(topic)) {
        return false;
    }
    for (uint32_t i = 0; i < attachment->input_count; i++) {
        struct shape input;
        struct shape own;
        shape_of_input(&input, attachment->inputs[i]);
        if (!name_has_shape(topic, &input)) {
            continue;
        }
        if (!input.open) {
            return true;
        }
        shape_of_output(&own, attachment->output, attachment->inputs[i]);
        bool is_own = attachment->output[0] != '\0' && name_has_shape(topic, &own);
        for (uint32_t k = 0; k < attachment->output_count && !is_own; k++) {
            is_own = sl_bytes_equal(topic, sl_bytes_of_text(attachment->outputs[k]));
        }
        if (!is_own) {
            return true;
        }
    }
    return false;
}

void plugin_attachment_inputs_text(const struct plugin_attachment *attachment, char *ret_text,
                                   size_t size)
{
    struct sl_text_out out = sl_text_out_of(ret_text, size);
    for (uint32_t i = 0; i < attachment->input_count; i++) {
        sl_text_add(&out, "%s%s", i > 0 ? ", " : "", attachment->inputs[i]);
    }
}

/* ---- the graph ---- */

static bool feeds_by(const struct shape *made, const struct plugin_attachment *to, bool itself)
{
    for (uint32_t i = 0; i < to->input_count; i++) {
        struct shape read;
        shape_of_input(&read, to->inputs[i]);
        /* A pattern never matches the instance's own outputs. */
        if (!(itself && read.open) && meet(made, &read)) {
            return true;
        }
    }
    return false;
}

static bool feeds(const struct plugin_attachment *from, const struct plugin_attachment *to,
                  bool itself)
{
    struct shape made;
    bool in_place = from->on == SLUICE_ON_PRODUCE;
    for (uint32_t i = 0; i < from->input_count && from->output[0] != '\0' && !in_place; i++) {
        shape_of_output(&made, from->output, from->inputs[i]);
        if (feeds_by(&made, to, itself)) {
            return true;
        }
    }
    for (uint32_t i = 0; i < from->output_count; i++) {
        shape_of_output(&made, from->outputs[i], "");
        if (feeds_by(&made, to, itself)) {
            return true;
        }
    }
    return false;
}

struct walk {
    const struct graph_node *nodes;
    uint32_t count;
    uint8_t state[GRAPH_NODES_MAX]; /* 0 new, 1 on the path, 2 done */
    uint32_t path[GRAPH_NODES_MAX];
    uint32_t depth;
};

static void say_cycle(const struct walk *walk, uint32_t from, char *ret_reason)
{
    struct sl_text_out out = sl_text_out_of(ret_reason, PLUGIN_REASON_BYTES);
    sl_text_add(&out, "the topics would go round for ever: ");
    uint32_t at = 0;
    while (walk->path[at] != from) {
        at++;
    }
    for (; at < walk->depth; at++) {
        const struct graph_node *node = &walk->nodes[walk->path[at]];
        char inputs[PLUGIN_TEXT_BYTES];
        plugin_attachment_inputs_text(node->attachment, inputs, sizeof(inputs));
        sl_text_add(&out, "%s (%s → %s) → ", node->instance, inputs,
                    node->attachment->output[0] != '\0' ? node->attachment->output
                                                        : node->attachment->outputs[0]);
    }
    sl_text_add(&out, "%s", walk->nodes[from].instance);
}

/* False: a cycle; the depth is that of the graph, at most GRAPH_NODES_MAX. */
static bool visit(struct walk *walk, uint32_t at, char *ret_reason)
{
    walk->state[at] = 1;
    walk->path[walk->depth++] = at;
    for (uint32_t i = 0; i < walk->count; i++) {
        if (walk->state[i] == 2 ||
            !feeds(walk->nodes[at].attachment, walk->nodes[i].attachment, at == i)) {
            continue;
        }
        if (walk->state[i] == 1) {
            say_cycle(walk, i, ret_reason);
            return false;
        }
        if (!visit(walk, i, ret_reason)) {
            return false;
        }
    }
    walk->state[at] = 2;
    walk->depth--;
    return true;
}

sl_err plugin_graph_check(const struct graph_node *nodes, uint32_t count,
                          char ret_reason[PLUGIN_REASON_BYTES])
{
    struct walk walk = {.nodes = nodes, .count = SL_MIN(count, GRAPH_NODES_MAX)};
    for (uint32_t i = 0; i < walk.count; i++) {
        if (walk.state[i] == 0 && !visit(&walk, i, ret_reason)) {
            return SLUICE_E_PLUGIN_CYCLE;
        }
    }
    return SLUICE_OK;
}
