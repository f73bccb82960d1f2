/* config_option.h: the one table of configuration keys.
 *
 * A row feeds the parser, --help, the JSON Schema, the reference page, `config show` and the reload
 * report. A new key is a new row and a new member of struct sl_config, nothing else. */
#ifndef SL_CONTROL_CONFIG_OPTION_H
#define SL_CONTROL_CONFIG_OPTION_H

#include "control/config_tree.h"

enum config_type {
    CONFIG_TYPE_STRING,    /* const char * */
    CONFIG_TYPE_PATH,      /* const char * */
    CONFIG_TYPE_ADDRESS,   /* const char *, "host:port" */
    CONFIG_TYPE_BOOL,      /* bool */
    CONFIG_TYPE_INT,       /* int64_t */
    CONFIG_TYPE_SIZE,      /* int64_t, bytes; "64 MiB" */
    CONFIG_TYPE_DURATION,  /* int64_t, milliseconds; "10 min" */
    CONFIG_TYPE_ENUM,      /* int32_t, index in choices */
    CONFIG_TYPE_LIST,      /* struct config_list of texts */
    CONFIG_TYPE_OBJECT,    /* const char *, JSON text */
    CONFIG_TYPE_INSTANCES, /* plugins.instances: members of plugins */
    CONFIG_TYPE_COUNT
};

enum config_apply {
    CONFIG_APPLY_LIVE,      /* a reload puts it in force */
    CONFIG_APPLY_COMPONENT, /* a reload rebuilds what it belongs to */
    CONFIG_APPLY_RESTART,
};

struct config_option {
    const char *key; /* dotted; of an instance: relative to it */
    enum config_type type;
    enum config_apply apply;
    size_t offset;           /* in struct sl_config, or struct config_instance */
    const char *initial;     /* default as text */
    const char *initial_dev; /* with --dev; NULL: the same */
    int64_t min, max;        /* INT, SIZE (bytes), DURATION (ms) */
    const char *choices;     /* ENUM: "debug|info|warn|error"; a leading '|' allows unset */
    bool may_be_empty;
    bool is_secret;  /* STRING: never shown */
    const char *doc; /* one sentence */
};

extern const struct config_option config_options[];
extern const uint32_t config_option_count;
extern const struct config_option config_instance_options[];
extern const uint32_t config_instance_option_count;

/* A set of rows and the path that stands before their keys ("" or "plugins.instances.mask."). */
struct config_section {
    const struct config_option *options;
    uint32_t count;
};
const struct config_section *config_section_main(void);
const struct config_section *config_section_instance(void);
/* The row of a key; NULL: none. */
const struct config_option *config_option_find(const struct config_section *section,
                                               const char *key);
/* A key of the section begins with `path` and a dot. */
bool config_option_is_section(const struct config_section *section, const char *path);

/* ---- values (config_typed.c) ---- */

#define CONFIG_WHY_MAX        256
#define CONFIG_VALUE_TEXT_MAX 1024
/* Checks the node against the row and writes the typed value to field (of the row's C type). Texts
 * are made in the arena. E_CONFIG_VALUE with the end of a sentence in ret_why ("must be …"),
 * E_NO_MEMORY. */
sl_err config_typed_parse(const struct config_option *option, const struct config_node *node,
                          struct config_arena *arena, void *field,
                          char ret_why[CONFIG_WHY_MAX]) SL_MUST_CHECK;
/* The value as people write it ("64 MiB"), a secret as CONFIG_HIDDEN; cut at CONFIG_VALUE_TEXT_MAX.
 * Returns ret_text. */
const char *config_typed_text(const struct config_option *option, const void *field,
                              char ret_text[CONFIG_VALUE_TEXT_MAX]);
/* Numbers as people write them. */
void config_number_text(enum config_type type, int64_t value, char ret_text[32]);
const char *config_type_name(enum config_type type);
/* Choice `index` of "a|b|c" is copied to ret_word; false: there are not so many. */
bool config_choice(const char *choices, uint32_t index, char ret_word[32]);

/* ---- secrets (config_secret.c) ---- */

#define CONFIG_HIDDEN "(secret)"
enum config_secrecy { CONFIG_UNKNOWN, CONFIG_PUBLIC, CONFIG_SECRET };
/* What the table says of a key, or of what stands in its place in an object ("key_password" of the
 * member "tls" of a listener). UNKNOWN: no row has that name. */
enum config_secrecy config_secrecy(const char *key);
/* The same object with CONFIG_HIDDEN for what is SECRET; to be freed. NULL: nothing in it is, or it
 * is no JSON. */
char *config_secrets_hide(const char *json);

static inline const void *config_field(const struct config_option *option, const void *base)
{
    return (const uint8_t *)base + option->offset;
}

/* ---- checking and building ---- */

/* Checks one layer against the table; each fault goes to the report. */
void config_layer_check(struct config_arena *arena, const struct config_node *root,
                        struct config_report *report);
/* Makes the typed value from the merged tree. [takes arena on success] */
sl_err config_build(struct config_arena *arena, const struct config_node *root, bool dev,
                    const char *executable, struct config_report *report,
                    struct sl_config **ret_config) SL_MUST_CHECK;

#endif
