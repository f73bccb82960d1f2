/* config_value.h: what the two config tables (topic, broker) share: types, ranges, rendering.
 *
 * A rule states what a value may be; config_value_check applies it and says in one sentence what is
 * wrong. config_entries gathers the answer to DescribeConfigs without allocation. */
#ifndef SL_CATALOG_CONFIG_VALUE_H
#define SL_CATALOG_CONFIG_VALUE_H

#include "base/base.h"

#include <sluice/broker.h>

#define CONFIG_REASON_BYTES 256u

/* What a value may be. Numbers use the range; texts the words, separated by ','; NULL: anything. */
struct config_rule {
    int32_t type; /* SLUICE_CONFIG_TYPE_* */
    int64_t min;
    int64_t max;
    const char *words;
};

/* A parsed value, as its type says. Lists and strings: the text itself. */
struct config_value {
    bool boolean;
    int64_t number;
    double real;
    struct sl_bytes text;
};

/* SLUICE_E_INVALID_CONFIG and a sentence that begins with `name` in ret_reason. [any] */
sl_err config_value_parse(const char *name, const struct config_rule *rule, struct sl_bytes text,
                          struct config_value *ret_value,
                          char ret_reason[CONFIG_REASON_BYTES]) SL_MUST_CHECK;
/* True when `word` is one of the comma-separated elements of `list`, blanks around them ignored.
 * [any] */
bool config_list_has(struct sl_bytes list, const char *word);

#define CONFIG_ENTRIES_MAX   448u
#define CONFIG_ENTRIES_BYTES 4096u

/* Entries of one resource; their texts are static, the topic's, or in `text`. */
struct config_entries {
    uint32_t count;
    uint32_t text_size;
    struct sluice_config_entry entries[CONFIG_ENTRIES_MAX];
    char text[CONFIG_ENTRIES_BYTES];
};

/* The next entry, zeroed; there is room for CONFIG_ENTRIES_MAX (asserted). */
struct sluice_config_entry *config_entries_add(struct config_entries *entries);
/* A copy of `text` inside the entries; NULL stays null. Room is asserted. */
struct sluice_text config_entries_text(struct config_entries *entries, const char *text);

#endif
