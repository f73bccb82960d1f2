/* topic_config_page.c: docs/reference/topics.md, written from the table of topic keys. */
#include "catalog/topic_config.h"

static const char *type_text(int32_t type)
{
    static const char *const texts[] = {
        [SLUICE_CONFIG_TYPE_BOOLEAN] = "boolean", [SLUICE_CONFIG_TYPE_STRING] = "string",
        [SLUICE_CONFIG_TYPE_INT] = "int",         [SLUICE_CONFIG_TYPE_LONG] = "long",
        [SLUICE_CONFIG_TYPE_DOUBLE] = "double",   [SLUICE_CONFIG_TYPE_LIST] = "list",
    };
    SL_ASSERT(type > 0 && (size_t)type < SL_COUNT_OF(texts));
    return texts[type];
}

/* "1 to 9", "from -1", "delete, compact"; nothing where everything of the type will do. */
static void bounds_write(const struct config_rule *rule, FILE *out)
{
    bool has_min = rule->min != INT64_MIN;
    bool has_max = rule->max != INT64_MAX && rule->max != INT32_MAX;
    if (rule->words != NULL) {
        fputs(rule->type == SLUICE_CONFIG_TYPE_LIST ? " of " : ": ", out);
        for (const char *at = rule->words; *at != '\0'; at++) {
            fputs(*at == ',' ? ", " : (char[]){*at, '\0'}, out);
        }
    } else if (has_min && has_max) {
        fprintf(out, ", %lld to %lld", (long long)rule->min, (long long)rule->max);
    } else if (has_min) {
        fprintf(out, ", from %lld", (long long)rule->min);
    }
}

static void rows_write(bool inert, FILE *out)
{
    fputs("| key | value | default | of the broker | what it does |\n|---|---|---|---|---|\n", out);
    for (uint32_t i = 0; i < topic_config_count(); i++) {
        const struct topic_config_key *key = topic_config_at(i);
        if (key->inert != inert) {
            continue;
        }
        fprintf(out, "| `%s` | %s", key->name, type_text(key->rule.type));
        bounds_write(&key->rule, out);
        fprintf(out, " | %s | %s%s%s | %s |\n",
                key->default_value == NULL || *key->default_value == '\0' ? "(empty)"
                                                                          : key->default_value,
                key->synonym != NULL ? "`" : "", key->synonym != NULL ? key->synonym : "",
                key->synonym != NULL ? "`" : "", key->documentation);
    }
}

void topic_config_page_write(FILE *out)
{
    fputs(
        "# Configurations of topics\n\n"
        "Made by `sluice config topics` from the table in core/catalog/topic_config.c; a test\n"
        "compares the two. Change the table, not this page.\n\n"
        "Every key of Kafka 4.3 can be set (CreateTopics, AlterConfigs, IncrementalAlterConfigs,\n"
        "`sluice topic create -c KEY=VALUE`, `sluice topic alter`) and is told with its value and\n"
        "where that comes from (DescribeConfigs, `sluice topic describe`). A change is in force "
        "at\n"
        "once. The default is the broker's where its own configuration has the key named there.\n\n"
        "## With an effect\n\n",
        out);
    rows_write(false, out);
    fputs("\n## Without an effect in this version\n\nThey are checked, stored and told.\n\n", out);
    rows_write(true, out);
}
