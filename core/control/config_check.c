/* config_check.c: one layer against the option table: unknown keys and values that cannot be. */
#include "base/text.h"
#include "control/config_option.h"

#include <string.h>

#define KEYS_MAX 160 /* rows of a table */

struct checker {
    struct config_arena *arena;
    struct config_report *report;
};

static void section_check(struct checker *checker, const struct config_section *section,
                          const struct config_node *map, const char *shown, const char *prefix);

/* Whether the text names `key` in parentheses, as the last word of them. */
static bool is_named_in(const char *text, const char *key)
{
    size_t size = strlen(key);
    const char *at = strstr(text, key);
    return at != NULL && at > text && (at[-1] == '(' || at[-1] == ' ') && at[size] == ')';
}

/* The row whose sentence names the key as Kafka's, whether that was written whole or nested. */
static const struct config_option *twin_of(const struct config_section *section,
                                           const struct config_node *node, const char *key,
                                           char ret_whole[CONFIG_PATH_MAX])
{
    snprintf(ret_whole, CONFIG_PATH_MAX, "%.200s", key);
    for (; node->kind == CONFIG_MAP && node->child_count == 1; node = node->first) {
        size_t size = strlen(ret_whole);
        snprintf(ret_whole + size, CONFIG_PATH_MAX - size, ".%.200s", node->first->key);
    }
    for (uint32_t i = 0; i < section->count; i++) {
        if (is_named_in(section->options[i].doc, ret_whole)) {
            return &section->options[i];
        }
    }
    return NULL;
}

static void unknown_key(struct checker *checker, const struct config_section *section,
                        const struct config_node *node, const char *shown, const char *key)
{
    const char *known[KEYS_MAX];
    SL_ASSERT(section->count <= KEYS_MAX);
    for (uint32_t i = 0; i < section->count; i++) {
        known[i] = section->options[i].key;
    }
    struct sl_bytes word = {(const uint8_t *)key, strlen(key)};
    const char *best = sl_text_nearest(word, known, section->count);
    char whole[CONFIG_PATH_MAX];
    const struct config_option *twin = twin_of(section, node, key, whole);
    if (twin != NULL) {
        config_problem(checker->report, SLUICE_E_CONFIG_UNKNOWN_KEY, &node->origin,
                       "\"%s\" is Kafka's name: here it is \"%s%s\"", whole, shown, twin->key);
    } else if (config_option_find(section, key) != NULL) {
        config_problem(checker->report, SLUICE_E_CONFIG_UNKNOWN_KEY, &node->origin,
                       "\"%.200s\" must be nested: write the last word below its section", key);
    } else if (best != NULL) {
        config_problem(checker->report, SLUICE_E_CONFIG_UNKNOWN_KEY, &node->origin,
                       "unknown key \"%s%.200s\"; did you mean \"%s%s\"?", shown, key, shown, best);
    } else {
        config_problem(checker->report, SLUICE_E_CONFIG_UNKNOWN_KEY, &node->origin,
                       "unknown key \"%s%.200s\"; \"sluice serve --help\" lists all keys", shown,
                       key);
    }
}

static void value_check(struct checker *checker, const struct config_option *option,
                        const struct config_node *node, const char *shown)
{
    union {
        const char *text;
        bool flag;
        int64_t number;
        int32_t choice;
        struct config_list list;
    } scratch;
    char why[CONFIG_WHY_MAX] = "";
    sl_err err = config_typed_parse(option, node, checker->arena, &scratch, why);
    if (err == SLUICE_E_NO_MEMORY) {
        (void)config_no_memory(checker->report);
    } else if (err != SLUICE_OK && node->kind == CONFIG_SCALAR) {
        config_problem(checker->report, err, &node->origin, "%s%s is \"%.100s\" but %s", shown,
                       option->key, node->text, why);
    } else if (err != SLUICE_OK) {
        config_problem(checker->report, err, &node->origin, "%s%s %s", shown, option->key, why);
    }
}

static bool is_instance_name(const char *name)
{
    size_t size = strlen(name);
    return size >= 1 && size <= 64 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-.") == size;
}

static void instances_check(struct checker *checker, const struct config_node *node)
{
    char shown[CONFIG_PATH_MAX];
    bool is_unset = node->kind == CONFIG_SCALAR && node->text[0] == '\0';
    if (node->kind != CONFIG_MAP && !is_unset) {
        config_problem(checker->report, SLUICE_E_CONFIG_VALUE, &node->origin,
                       "plugins.instances must be a map from names to instances");
        return;
    }
    for (const struct config_node *child = node->first; child != NULL; child = child->next) {
        if (!is_instance_name(child->key)) {
            config_problem(checker->report, SLUICE_E_CONFIG_VALUE, &child->origin,
                           "the instance name \"%.100s\" must be 1 to 64 of a-z, 0-9, _, - and .",
                           child->key);
            continue;
        }
        snprintf(shown, sizeof(shown), "plugins.instances.%s.", child->key);
        if (child->kind == CONFIG_MAP) {
            section_check(checker, config_section_instance(), child, shown, "");
        } else {
            config_problem(checker->report, SLUICE_E_CONFIG_VALUE, &child->origin,
                           "plugins.instances.%s must be a map of keys and values", child->key);
        }
    }
}

/* `shown` stands before every key in messages, `prefix` is the path inside the section's table. */
static void section_check(struct checker *checker, const struct config_section *section,
                          const struct config_node *map, const char *shown, const char *prefix)
{
    char key[CONFIG_PATH_MAX];
    for (const struct config_node *child = map->first; child != NULL; child = child->next) {
        snprintf(key, sizeof(key), "%s%.200s", prefix, child->key);
        const struct config_option *option = config_option_find(section, key);
        if (strchr(child->key, '.') != NULL) { /* would never be found again */
            unknown_key(checker, section, child, shown, key);
        } else if (option != NULL && option->type == CONFIG_TYPE_INSTANCES) {
            instances_check(checker, child);
        } else if (option != NULL) {
            value_check(checker, option, child, shown);
        } else if (!config_option_is_section(section, key)) {
            unknown_key(checker, section, child, shown, key);
        } else if (child->kind == CONFIG_MAP) {
            size_t size = strlen(key);
            snprintf(key + size, sizeof(key) - size, ".");
            section_check(checker, section, child, shown, key);
        } else if (child->text[0] != '\0' || child->kind == CONFIG_LIST) {
            config_problem(checker->report, SLUICE_E_CONFIG_VALUE, &child->origin,
                           "%s%s is a section: put its keys on lines below it", shown, key);
        }
    }
}

void config_layer_check(struct config_arena *arena, const struct config_node *root,
                        struct config_report *report)
{
    struct checker checker = {arena, report};
    section_check(&checker, config_section_main(), root, "", "");
}
