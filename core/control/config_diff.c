/* config_diff.c: what a reload would change, and the configuration that a broker goes on with after
 * it. */
#include "control/config_option.h"

#include <cjson/cJSON.h>

#include <string.h>

static char *text_new(const char *text)
{
    return sl_strdup_bytes(text, strlen(text));
}

const char *config_outcome_text(enum config_outcome outcome)
{
    static const char *const texts[CONFIG_OUTCOME_COUNT] = {
        [CONFIG_APPLIED] = "applied live",
        [CONFIG_NEEDS_RESTART] = "needs restart",
        [CONFIG_COMPONENT] = "applied by component restart",
        [CONFIG_REFUSED] = "refused",
        [CONFIG_NOT_APPLIED] = "not applied",
        [CONFIG_FAILED] = "applied, but does not run",
    };
    return texts[outcome];
}

/* What the words of a change are taken from. */
struct source {
    const struct config_origin *origin; /* of the new value; NULL: the default */
    const char *instance;               /* or NULL */
};

static sl_err change_add(struct config_diff *diff, const char *key, const char *before,
                         const char *after, enum config_outcome outcome,
                         const struct source *source)
{
    static const struct config_origin none = {.source = CONFIG_SOURCE_DEFAULT};
    char origin[CONFIG_ORIGIN_TEXT_MAX];
    config_origin_text(source->origin != NULL ? source->origin : &none, origin);
    struct config_change *changes = sl_realloc(diff->changes, (diff->count + 1) * sizeof(*changes));
    if (changes == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    diff->changes = changes;
    struct config_change *change = &changes[diff->count++];
    *change = (struct config_change){
        .key = text_new(key),
        .before = text_new(before),
        .after = text_new(after),
        .origin = text_new(origin),
        .instance = source->instance != NULL ? text_new(source->instance) : NULL,
        .outcome = outcome,
    };
    diff->restart_count += outcome == CONFIG_NEEDS_RESTART;
    bool failed = change->key == NULL || change->before == NULL || change->after == NULL ||
                  change->origin == NULL || (source->instance != NULL && change->instance == NULL);
    return failed ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

/* A missing side (NULL base) is the default, shown as "". */
static sl_err option_compare(struct config_diff *diff, const struct config_option *option,
                             const char *prefix, const void *before, const void *after,
                             const struct source *source)
{
    static const enum config_outcome outcomes[] = {
        [CONFIG_APPLY_LIVE] = CONFIG_APPLIED,
        [CONFIG_APPLY_COMPONENT] = CONFIG_COMPONENT,
        [CONFIG_APPLY_RESTART] = CONFIG_NEEDS_RESTART,
    };
    char old_text[CONFIG_VALUE_TEXT_MAX], new_text[CONFIG_VALUE_TEXT_MAX], key[CONFIG_PATH_MAX];
    config_typed_text(option, config_field(option, before), old_text);
    config_typed_text(option, config_field(option, after), new_text);
    bool same = strcmp(old_text, new_text) == 0;
    if (option->type == CONFIG_TYPE_OBJECT || option->is_secret) { /* not all of it is shown */
        same = strcmp(*(const char *const *)config_field(option, before),
                      *(const char *const *)config_field(option, after)) == 0;
    }
    if (same) {
        return SLUICE_OK;
    }
    snprintf(key, sizeof(key), "%s%s", prefix, option->key);
    return change_add(diff, key, old_text, new_text, outcomes[option->apply], source);
}

static const struct config_instance *instance_find(const struct sl_config *config, const char *name)
{
    for (uint32_t i = 0; i < config->plugins.instance_count; i++) {
        if (strcmp(config->plugins.instances[i].name, name) == 0) {
            return &config->plugins.instances[i];
        }
    }
    return NULL;
}

/* The node of an instance; its name may hold dots. */
static const struct config_node *instance_node(const struct sl_config *config, const char *name)
{
    const struct config_node *map = config_node_find(config->root, "plugins.instances");
    return map == NULL ? NULL : config_node_child(map, name, strlen(name));
}

static sl_err instance_compare(struct config_diff *diff, const struct config_instance *before,
                               const struct config_instance *after,
                               const struct config_node *after_node)
{
    char prefix[CONFIG_PATH_MAX];
    snprintf(prefix, sizeof(prefix), "plugins.instances.%s.", before->name);
    for (uint32_t i = 0; i < config_instance_option_count; i++) {
        const struct config_option *option = &config_instance_options[i];
        const struct config_node *node =
            after_node != NULL ? config_node_find(after_node, option->key) : NULL;
        struct source source = {node != NULL ? &node->origin : NULL, after->name};
        sl_err err = option_compare(diff, option, prefix, before, after, &source);
        if (err != SLUICE_OK) {
            return err;
        }
    }
    return SLUICE_OK;
}

/* Those of `from` that `to` lacks. */
static sl_err missing_report(struct config_diff *diff, const struct sl_config *from,
                             const struct sl_config *to, const char *before, const char *after)
{
    char key[CONFIG_PATH_MAX];
    for (uint32_t i = 0; i < from->plugins.instance_count; i++) {
        const struct config_instance *instance = &from->plugins.instances[i];
        if (instance_find(to, instance->name) != NULL) {
            continue;
        }
        snprintf(key, sizeof(key), "plugins.instances.%s", instance->name);
        bool is_new = after[0] == 'p';
        struct source source = {is_new ? &instance->origin : NULL, instance->name};
        sl_err err = change_add(diff, key, before, after, CONFIG_COMPONENT, &source);
        if (err != SLUICE_OK) {
            return err;
        }
    }
    return SLUICE_OK;
}

static sl_err instances_compare(struct config_diff *diff, const struct sl_config *before,
                                const struct sl_config *after)
{
    for (uint32_t i = 0; i < before->plugins.instance_count; i++) {
        const struct config_instance *old = &before->plugins.instances[i];
        const struct config_instance *now = instance_find(after, old->name);
        sl_err err = now == NULL
                         ? SLUICE_OK
                         : instance_compare(diff, old, now, instance_node(after, old->name));
        if (err != SLUICE_OK) {
            return err;
        }
    }
    sl_err err = missing_report(diff, before, after, "present", "absent");
    return err == SLUICE_OK ? missing_report(diff, after, before, "absent", "present") : err;
}

sl_err config_diff_new(const struct sl_config *before, const struct sl_config *after,
                       struct config_diff **ret_diff)
{
    struct config_diff *diff = sl_alloc_zero(1, sizeof(*diff));
    sl_err err = diff == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    for (uint32_t i = 0; err == SLUICE_OK && i < config_option_count; i++) {
        bool is_map = config_options[i].type == CONFIG_TYPE_INSTANCES;
        struct source source = {&after->origins[i], NULL};
        err = is_map ? instances_compare(diff, before, after)
                     : option_compare(diff, &config_options[i], "", before, after, &source);
    }
    if (err != SLUICE_OK) {
        config_diff_free(diff);
        return err;
    }
    *ret_diff = diff;
    return SLUICE_OK;
}

struct config_diff *config_diff_free(struct config_diff *diff)
{
    if (diff == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < diff->count; i++) {
        sl_free(diff->changes[i].key);
        sl_free(diff->changes[i].before);
        sl_free(diff->changes[i].after);
        sl_free(diff->changes[i].origin);
        sl_free(diff->changes[i].instance);
        sl_free(diff->changes[i].note);
    }
    sl_free(diff->changes);
    sl_free(diff);
    return NULL;
}

sl_err config_change_settle(struct config_diff *diff, struct config_change *change,
                            enum config_outcome outcome, const char *note, int64_t took_ns)
{
    diff->restart_count -= change->outcome == CONFIG_NEEDS_RESTART;
    diff->restart_count += outcome == CONFIG_NEEDS_RESTART;
    diff->refused_count += outcome == CONFIG_REFUSED || outcome == CONFIG_NOT_APPLIED;
    diff->failed_count += outcome == CONFIG_FAILED;
    change->outcome = outcome;
    change->took_ns = took_ns;
    sl_free(change->note);
    change->note = note != NULL && note[0] != '\0' ? text_new(note) : NULL;
    return note != NULL && note[0] != '\0' && change->note == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

struct cJSON *config_diff_json(const struct config_diff *diff)
{
    cJSON *array = cJSON_CreateArray();
    for (uint32_t i = 0; array != NULL && i < diff->count; i++) {
        const struct config_change *change = &diff->changes[i];
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "key", change->key);
        cJSON_AddStringToObject(entry, "before", change->before);
        cJSON_AddStringToObject(entry, "after", change->after);
        cJSON_AddStringToObject(entry, "origin", change->origin);
        cJSON_AddStringToObject(entry, "outcome", config_outcome_text(change->outcome));
        if (change->note != NULL) {
            cJSON_AddStringToObject(entry, "note", change->note);
        }
        if (change->took_ns != 0) {
            cJSON_AddNumberToObject(entry, "took_us", (double)(change->took_ns / 1000));
        }
        cJSON_AddItemToArray(array, entry);
    }
    return array;
}

/* Puts a copy of the node at `path` of `from` to the same path of `to`, or the explicit default. */
static sl_err node_carry(struct config_arena *arena, struct config_node *to, const char *path,
                         const struct config_node *from, const struct config_option *option,
                         bool dev)
{
    const struct config_node *node = config_node_find(from, path);
    struct config_node initial = {.kind = CONFIG_SCALAR, .quoted = true};
    if (node == NULL) {
        bool use_dev = dev && option->initial_dev != NULL;
        initial.text = use_dev ? option->initial_dev : option->initial;
        initial.origin.source = use_dev ? CONFIG_SOURCE_DEV : CONFIG_SOURCE_DEFAULT;
        node = &initial;
    }
    struct config_node *copy = config_node_copy(arena, node);
    return copy == NULL ? SLUICE_E_NO_MEMORY : config_node_put(arena, to, path, copy);
}

static sl_err live_carry(struct config_arena *arena, struct config_node *root,
                         const struct sl_config *loaded)
{
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; err == SLUICE_OK && i < config_option_count; i++) {
        if (config_options[i].apply == CONFIG_APPLY_LIVE) {
            err = node_carry(arena, root, config_options[i].key, loaded->root, &config_options[i],
                             loaded->dev);
        }
    }
    static const struct config_origin none = {.source = CONFIG_SOURCE_DEFAULT};
    const struct config_node *from = config_node_find(loaded->root, "plugins.instances");
    struct config_node *copy =
        from != NULL ? config_node_copy(arena, from) : config_node_new(arena, CONFIG_MAP, &none);
    if (err == SLUICE_OK) {
        err = copy == NULL ? SLUICE_E_NO_MEMORY
                           : config_node_put(arena, root, "plugins.instances", copy);
    }
    return err;
}

sl_err config_merge_live(const struct sl_config *running, const struct sl_config *loaded,
                         struct sl_config **ret_config)
{
    struct config_report report = {.count = 0};
    struct config_arena *arena = config_arena_new();
    if (arena == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    struct config_node *root = config_node_copy(arena, running->root);
    sl_err err = root == NULL ? SLUICE_E_NO_MEMORY : live_carry(arena, root, loaded);
    if (err == SLUICE_OK) {
        err = config_build(arena, root, running->dev, running->executable, &report, ret_config);
    }
    if (err != SLUICE_OK) {
        config_arena_free(arena);
    }
    return err;
}
