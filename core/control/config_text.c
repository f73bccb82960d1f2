/* config_text.c: the option table as --help, JSON Schema and reference page, and a configuration as
 * text. */
#include "control/config_option.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

static const char *apply_text(enum config_apply apply)
{
    static const char *const texts[] = {"live", "component", "restart"};
    return texts[apply];
}

static const char *initial_text(const struct config_option *option)
{
    return option->initial[0] == '\0' ? "(empty)" : option->initial;
}

static void help_row(const struct config_option *option, const char *prefix, FILE *out)
{
    fprintf(out, "  %s%s  [%s]", prefix, option->key, initial_text(option));
    if (option->initial_dev != NULL) {
        fprintf(out, "  (--dev: %s)", option->initial_dev);
    }
    fprintf(out, "\n      %s\n", option->doc);
}

void config_help_write(FILE *out)
{
    fputs("Usage: sluice serve [--profile NAME] [--config FILE]... [--home DIR] [--dev] [--set "
          "key=value]...\n\n"
          "  --config FILE    read this file (YAML or JSON); later files win\n"
          "  --home DIR       data in DIR/data, plugins in DIR/plugins, socket DIR/sluice.sock\n"
          "  --dev            defaults for trying things out: home var/, topics on first use\n"
          "  --profile NAME   settings for a kind of use, below all files: development, edge,\n"
          "                   high-performance, production, single-node (\"sluice config init\")\n"
          "  --set key=value  one value, wins over files and environment\n\n"
          "Environment: SLUICE_A__B_C=value sets a.b_c. Order: command line, environment, files,\n"
          "defaults. SIGHUP reads the files again.\n\nKeys  [default]\n",
          out);
    for (uint32_t i = 0; i < config_option_count; i++) {
        help_row(&config_options[i], "", out);
    }
    fputs("\nOf each plugins.instances.NAME\n", out);
    for (uint32_t i = 0; i < config_instance_option_count; i++) {
        help_row(&config_instance_options[i], "", out);
    }
}

/* ---- reference ---- */

static void range_write(const struct config_option *option, FILE *out)
{
    char least[32], most[32], word[32];
    fputs(config_type_name(option->type), out);
    if (option->type == CONFIG_TYPE_ENUM) {
        fputs(":", out);
        for (uint32_t i = 0; config_choice(option->choices, i, word); i++) {
            fprintf(out, "%s%s", word[0] == '\0' ? "" : " ", word);
        }
    } else if (option->type == CONFIG_TYPE_INT || option->type == CONFIG_TYPE_SIZE ||
               option->type == CONFIG_TYPE_DURATION) {
        config_number_text(option->type, option->min, least);
        config_number_text(option->type, option->max, most);
        fprintf(out, ", %s to %s", least, most);
    }
}

static void reference_rows(const struct config_section *section, FILE *out)
{
    fputs("| key | type | default | with `--dev` | change | what it is |\n"
          "|---|---|---|---|---|---|\n",
          out);
    for (uint32_t i = 0; i < section->count; i++) {
        const struct config_option *option = &section->options[i];
        fprintf(out, "| `%s` | ", option->key);
        range_write(option, out);
        fprintf(out, " | %s | %s | %s | %s |\n", initial_text(option),
                option->initial_dev != NULL ? option->initial_dev : "", apply_text(option->apply),
                option->doc);
    }
}

void config_reference_write(FILE *out)
{
    fputs(
        "# Configuration reference\n\n"
        "Made by `sluice config reference` from the table in core/control/config_options.c; a "
        "test\n"
        "compares the two. Change the table, not this page.\n\n"
        "The order, later wins: defaults, defaults of `--dev`, files in the order of `--config`,\n"
        "environment (`SLUICE_A__B_C` sets `a.b_c`), command line (`--home`, `--set`).\n"
        "Files are YAML without anchors, aliases and tags, or JSON. Change: *live* keys follow a\n"
        "reload (SIGHUP), *restart* keys are reported as pending and keep the running value.\n\n"
        "## Keys\n\n",
        out);
    reference_rows(config_section_main(), out);
    fputs("\n## Keys of a plugin instance, below `plugins.instances.NAME`\n\n", out);
    reference_rows(config_section_instance(), out);
}

/* ---- JSON Schema ---- */

static cJSON *schema_value(const struct config_option *option)
{
    static const char *const patterns[CONFIG_TYPE_COUNT] = {
        [CONFIG_TYPE_ADDRESS] = "^(.+:[0-9]{1,5})?$",
        [CONFIG_TYPE_SIZE] = "^[0-9]+ *(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)?$",
        [CONFIG_TYPE_DURATION] = "^(0|[0-9]+ *(ms|s|min|h|d))$",
    };
    static const char *const json_types[CONFIG_TYPE_COUNT] = {
        [CONFIG_TYPE_STRING] = "string",  [CONFIG_TYPE_PATH] = "string",
        [CONFIG_TYPE_BOOL] = "boolean",   [CONFIG_TYPE_INT] = "integer",
        [CONFIG_TYPE_ENUM] = "string",    [CONFIG_TYPE_OBJECT] = "object",
        [CONFIG_TYPE_ADDRESS] = "string",
    };
    cJSON *schema = cJSON_CreateObject();
    cJSON_AddStringToObject(schema, "description", option->doc);
    if (json_types[option->type] != NULL) {
        cJSON_AddStringToObject(schema, "type", json_types[option->type]);
    }
    if (patterns[option->type] != NULL && option->choices == NULL) {
        cJSON_AddStringToObject(schema, "pattern", patterns[option->type]);
    }
    if (option->type == CONFIG_TYPE_INT) {
        cJSON_AddNumberToObject(schema, "minimum", (double)option->min);
        cJSON_AddNumberToObject(schema, "maximum", (double)option->max);
    }
    char word[32];
    cJSON *words = option->type == CONFIG_TYPE_ENUM ? cJSON_AddArrayToObject(schema, "enum") : NULL;
    for (uint32_t i = 0; words != NULL && config_choice(option->choices, i, word); i++) {
        if (word[0] != '\0') {
            cJSON_AddItemToArray(words, cJSON_CreateString(word));
        }
    }
    if (option->initial[0] != '\0') {
        cJSON_AddStringToObject(schema, "x-default", option->initial);
    }
    return schema;
}

static cJSON *schema_section(const struct config_section *section, const char *prefix);

static cJSON *schema_instances(void)
{
    cJSON *schema = cJSON_CreateObject();
    cJSON_AddStringToObject(schema, "type", "object");
    cJSON_AddItemToObject(schema, "additionalProperties",
                          schema_section(config_section_instance(), ""));
    return schema;
}

/* An object for all keys that begin with prefix; deeper ones become objects of their own. */
static cJSON *schema_section(const struct config_section *section, const char *prefix)
{
    char word[64], deeper[CONFIG_PATH_MAX];
    cJSON *schema = cJSON_CreateObject();
    cJSON_AddStringToObject(schema, "type", "object");
    cJSON_AddBoolToObject(schema, "additionalProperties", false);
    cJSON *properties = cJSON_AddObjectToObject(schema, "properties");
    size_t skip = strlen(prefix);
    for (uint32_t i = 0; i < section->count; i++) {
        const struct config_option *option = &section->options[i];
        if (strncmp(option->key, prefix, skip) != 0) {
            continue;
        }
        const char *rest = option->key + skip;
        size_t size = strcspn(rest, ".");
        snprintf(word, sizeof(word), "%.*s", (int)size, rest);
        if (cJSON_GetObjectItemCaseSensitive(properties, word) != NULL) {
            continue;
        }
        cJSON *value;
        if (rest[size] == '.') {
            snprintf(deeper, sizeof(deeper), "%s%s.", prefix, word);
            value = schema_section(section, deeper);
        } else {
            value =
                option->type == CONFIG_TYPE_INSTANCES ? schema_instances() : schema_value(option);
        }
        cJSON_AddItemToObject(properties, word, value);
    }
    return schema;
}

void config_schema_write(FILE *out)
{
    cJSON *schema = schema_section(config_section_main(), "");
    cJSON_AddStringToObject(schema, "$schema", "https://json-schema.org/draft/2020-12/schema");
    cJSON_AddStringToObject(schema, "title", "Sluice configuration");
    char *text = cJSON_Print(schema);
    if (text != NULL) {
        fprintf(out, "%s\n", text);
    }
    free(text);
    cJSON_Delete(schema);
}

/* ---- a configuration ---- */

void config_show_write(const struct sl_config *config, FILE *out)
{
    char text[CONFIG_VALUE_TEXT_MAX], origin[CONFIG_ORIGIN_TEXT_MAX];
    for (uint32_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        if (option->type != CONFIG_TYPE_INSTANCES) {
            config_typed_text(option, config_field(option, config), text);
            fprintf(out, "%s = %s  # %s\n", option->key, text,
                    config_origin_text(&config->origins[i], origin));
        }
    }
    for (uint32_t i = 0; i < config->plugins.instance_count; i++) {
        const struct config_instance *instance = &config->plugins.instances[i];
        for (uint32_t j = 0; j < config_instance_option_count; j++) {
            const struct config_option *option = &config_instance_options[j];
            fprintf(out, "plugins.instances.%s.%s = %s  # %s\n", instance->name, option->key,
                    config_typed_text(option, config_field(option, instance), text),
                    config_origin_text(&instance->origin, origin));
        }
    }
}

static void json_add(cJSON *object, const char *key, const struct config_option *option,
                     const void *base, const struct config_origin *origin)
{
    char text[CONFIG_VALUE_TEXT_MAX], place[CONFIG_ORIGIN_TEXT_MAX];
    cJSON *entry = cJSON_AddObjectToObject(object, key);
    bool is_object = option->type == CONFIG_TYPE_OBJECT;
    const char *value = is_object ? *(const char *const *)config_field(option, base)
                                  : config_typed_text(option, config_field(option, base), text);
    char *hidden = is_object ? config_secrets_hide(value) : NULL;
    cJSON_AddStringToObject(entry, "value", hidden != NULL ? hidden : value);
    free(hidden);
    cJSON_AddStringToObject(entry, "origin", config_origin_text(origin, place));
    cJSON_AddStringToObject(entry, "change", apply_text(option->apply));
}

struct cJSON *config_show_json(const struct sl_config *config)
{
    char key[CONFIG_PATH_MAX];
    cJSON *object = cJSON_CreateObject();
    for (uint32_t i = 0; i < config_option_count; i++) {
        if (config_options[i].type != CONFIG_TYPE_INSTANCES) {
            json_add(object, config_options[i].key, &config_options[i], config,
                     &config->origins[i]);
        }
    }
    for (uint32_t i = 0; i < config->plugins.instance_count; i++) {
        const struct config_instance *instance = &config->plugins.instances[i];
        for (uint32_t j = 0; j < config_instance_option_count; j++) {
            const struct config_option *option = &config_instance_options[j];
            snprintf(key, sizeof(key), "plugins.instances.%s.%s", instance->name, option->key);
            json_add(object, key, option, instance, &instance->origin);
        }
    }
    return object;
}
