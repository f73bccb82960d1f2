/* config_typed.c: one parser and one writer per type of value.
 *
 * Sizes: digits and one of B, KiB, MiB, GiB, TiB, kB, MB, GB, TB; no unit means bytes. Durations:
 * digits and one of ms, s, min, h, d; only 0 may go without. A space before the unit is allowed. */
#include "control/config_option.h"

#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};

/* Largest first: the writer takes the first that divides. */
static const struct unit size_units[] = {
    {"TiB", INT64_C(1) << 40},
    {"GiB", INT64_C(1) << 30},
    {"MiB", INT64_C(1) << 20},
    {"KiB", INT64_C(1) << 10},
    {"TB", 1000000000000},
    {"GB", 1000000000},
    {"MB", 1000000},
    {"kB", 1000},
    {"B", 1},
};
#define SIZE_UNITS_WRITTEN 4 /* binary ones */
static const struct unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1},
};

static sl_err why(char ret_why[CONFIG_WHY_MAX], const char *text)
{
    snprintf(ret_why, CONFIG_WHY_MAX, "%s", text);
    return SLUICE_E_CONFIG_VALUE;
}

/* Decimal digits with an optional minus; *ret_end is behind them. */
static bool digits_parse(const char *text, int64_t *ret_value, const char **ret_end)
{
    bool negative = *text == '-';
    const char *at = text + negative;
    int64_t value = 0;
    if (*at < '0' || *at > '9') {
        return false;
    }
    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *at - '0', &value)) {
            return false;
        }
    }
    *ret_value = negative ? -value : value;
    *ret_end = at;
    return true;
}

static const struct unit *unit_find(const struct unit *units, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(units[i].name, name) == 0) {
            return &units[i];
        }
    }
    return NULL;
}

void config_number_text(enum config_type type, int64_t value, char ret_text[32])
{
    bool is_size = type == CONFIG_TYPE_SIZE;
    const struct unit *units = is_size ? size_units : duration_units;
    size_t count = is_size ? SIZE_UNITS_WRITTEN : SL_COUNT_OF(duration_units);
    if (type == CONFIG_TYPE_INT || value == 0) {
        snprintf(ret_text, 32, "%lld%s", (long long)value,
                 type == CONFIG_TYPE_DURATION ? " s" : "");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (value % units[i].factor == 0) {
            snprintf(ret_text, 32, "%lld %s", (long long)(value / units[i].factor), units[i].name);
            return;
        }
    }
    snprintf(ret_text, 32, "%lld B", (long long)value);
}

static sl_err range_check(const struct config_option *option, int64_t value,
                          char ret_why[CONFIG_WHY_MAX])
{
    char least[32], most[32];
    if (value >= option->min && value <= option->max) {
        return SLUICE_OK;
    }
    config_number_text(option->type, option->min, least);
    config_number_text(option->type, option->max, most);
    snprintf(ret_why, CONFIG_WHY_MAX, "must be from %s to %s", least, most);
    return SLUICE_E_CONFIG_VALUE;
}

typedef sl_err parse_fn(const struct config_option *option, const struct config_node *node,
                        struct config_arena *arena, void *field, char ret_why[CONFIG_WHY_MAX]);

static sl_err int_parse(const struct config_option *option, const struct config_node *node,
                        struct config_arena *arena SL_UNUSED, void *field,
                        char ret_why[CONFIG_WHY_MAX])
{
    int64_t value = 0;
    const char *end = "";
    if (!digits_parse(node->text, &value, &end) || *end != '\0') {
        return why(ret_why, "must be a whole number in decimal digits");
    }
    sl_err err = range_check(option, value, ret_why);
    if (err == SLUICE_OK) {
        *(int64_t *)field = value;
    }
    return err;
}

/* A number with a unit. */
struct quantity {
    const struct unit *units;
    size_t unit_count;
    const char *sentence; /* what it must be */
};

/* Digits, spaces, unit. */
static sl_err quantity_parse(const struct quantity *quantity, const struct config_option *option,
                             const char *text, void *field, char ret_why[CONFIG_WHY_MAX])
{
    int64_t value = 0;
    const char *end = "";
    if (!digits_parse(text, &value, &end)) {
        return why(ret_why, quantity->sentence);
    }
    end += strspn(end, " ");
    bool bare = *end == '\0' && (value == 0 || option->type == CONFIG_TYPE_SIZE);
    const struct unit *unit = bare ? NULL : unit_find(quantity->units, quantity->unit_count, end);
    if ((!bare && unit == NULL) ||
        (unit != NULL && __builtin_mul_overflow(value, unit->factor, &value))) {
        return why(ret_why, quantity->sentence);
    }
    sl_err err = range_check(option, value, ret_why);
    if (err == SLUICE_OK) {
        *(int64_t *)field = value;
    }
    return err;
}

static sl_err size_parse(const struct config_option *option, const struct config_node *node,
                         struct config_arena *arena SL_UNUSED, void *field,
                         char ret_why[CONFIG_WHY_MAX])
{
    static const struct quantity size = {
        size_units, SL_COUNT_OF(size_units),
        "must be a size such as \"64 MiB\" (B, KiB, MiB, GiB, TiB)"};
    return quantity_parse(&size, option, node->text, field, ret_why);
}

static sl_err duration_parse(const struct config_option *option, const struct config_node *node,
                             struct config_arena *arena SL_UNUSED, void *field,
                             char ret_why[CONFIG_WHY_MAX])
{
    static const struct quantity duration = {
        duration_units, SL_COUNT_OF(duration_units),
        "must be a duration such as \"10 s\" (ms, s, min, h, d)"};
    return quantity_parse(&duration, option, node->text, field, ret_why);
}

static sl_err bool_parse(const struct config_option *option SL_UNUSED,
                         const struct config_node *node, struct config_arena *arena SL_UNUSED,
                         void *field, char ret_why[CONFIG_WHY_MAX])
{
    bool is_true = strcmp(node->text, "true") == 0;
    if (!is_true && strcmp(node->text, "false") != 0) {
        return why(ret_why, "must be true or false");
    }
    *(bool *)field = is_true;
    return SLUICE_OK;
}

static sl_err text_parse(const struct config_option *option, const struct config_node *node,
                         struct config_arena *arena, void *field, char ret_why[CONFIG_WHY_MAX])
{
    if (node->text[0] == '\0' && !option->may_be_empty) {
        return why(ret_why, "must not be empty");
    }
    if (option->type == CONFIG_TYPE_PATH && strlen(node->text) > 4000) {
        return why(ret_why, "is longer than a path may be (4000 characters)");
    }
    const char *copy = config_arena_text(arena, node->text, strlen(node->text));
    if (copy == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    *(const char **)field = copy;
    return SLUICE_OK;
}

/* host:port or [v6]:port; the system resolves the host, here only the form is checked. */
static bool is_address(const char *text)
{
    const char *colon = strrchr(text, ':');
    int64_t port = 0;
    const char *end = "";
    if (colon == NULL || colon == text || strlen(text) > 255 || strpbrk(text, " \t/") != NULL) {
        return false;
    }
    bool in_brackets = text[0] == '[' && colon[-1] == ']' && colon - text > 2;
    bool host_has_colon = memchr(text, ':', (size_t)(colon - text)) != NULL;
    if (host_has_colon != in_brackets && (host_has_colon || text[0] == '[')) {
        return false;
    }
    return colon[1] != '-' && digits_parse(colon + 1, &port, &end) && *end == '\0' && port <= 65535;
}

static sl_err address_parse(const struct config_option *option, const struct config_node *node,
                            struct config_arena *arena, void *field, char ret_why[CONFIG_WHY_MAX])
{
    bool is_word = option->choices != NULL && strcmp(option->choices, node->text) == 0;
    bool is_unset = option->may_be_empty && node->text[0] == '\0';
    if (!is_word && !is_unset && !is_address(node->text)) {
        return why(ret_why,
                   "must be an address \"host:port\" such as 127.0.0.1:9092 or [::1]:9092");
    }
    return text_parse(option, node, arena, field, ret_why);
}

bool config_choice(const char *choices, uint32_t index, char ret_word[32])
{
    for (uint32_t i = 0; i < index; i++) {
        choices = strchr(choices, '|');
        if (choices == NULL) {
            return false;
        }
        choices++;
    }
    snprintf(ret_word, 32, "%.*s", (int)strcspn(choices, "|"), choices);
    return true;
}

static sl_err enum_parse(const struct config_option *option, const struct config_node *node,
                         struct config_arena *arena SL_UNUSED, void *field,
                         char ret_why[CONFIG_WHY_MAX])
{
    char word[32];
    for (uint32_t i = 0; config_choice(option->choices, i, word); i++) {
        if (strcmp(word, node->text) == 0) {
            *(int32_t *)field = (int32_t)i;
            return SLUICE_OK;
        }
    }
    int at = snprintf(ret_why, CONFIG_WHY_MAX, "must be one of");
    for (uint32_t i = 0; config_choice(option->choices, i, word); i++) {
        if (word[0] != '\0') {
            at += snprintf(ret_why + at, CONFIG_WHY_MAX - (size_t)at, " %s", word);
        }
    }
    return SLUICE_E_CONFIG_VALUE;
}

/* One scalar "a, b" or a list of scalars. */
static sl_err list_from_scalar(const char *text, struct config_arena *arena,
                               struct config_list *ret_list)
{
    const char **items = config_arena_get(arena, (strlen(text) + 1) * sizeof(*items));
    uint32_t count = 0;
    if (items == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    for (const char *at = text; *at != '\0';) {
        size_t skip = strspn(at, ", ");
        size_t size = strcspn(at + skip, ", ");
        if (size > 0 && (items[count++] = config_arena_text(arena, at + skip, size)) == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
        at += skip + size;
    }
    *ret_list = (struct config_list){items, count};
    return SLUICE_OK;
}

static sl_err list_parse(const struct config_option *option SL_UNUSED,
                         const struct config_node *node, struct config_arena *arena, void *field,
                         char ret_why[CONFIG_WHY_MAX])
{
    if (node->kind == CONFIG_SCALAR) {
        return list_from_scalar(node->text, arena, field);
    }
    const char **items = config_arena_get(arena, (node->child_count + 1) * sizeof(*items));
    uint32_t count = 0;
    if (items == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    for (const struct config_node *child = node->first; child != NULL; child = child->next) {
        if (child->kind != CONFIG_SCALAR || child->text[0] == '\0') {
            return why(ret_why, "must be a list of words");
        }
        items[count] = config_arena_text(arena, child->text, strlen(child->text));
        if (items[count++] == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
    }
    *(struct config_list *)field = (struct config_list){items, count};
    return SLUICE_OK;
}

static sl_err object_parse(const struct config_option *option SL_UNUSED,
                           const struct config_node *node, struct config_arena *arena, void *field,
                           char ret_why[CONFIG_WHY_MAX])
{
    bool is_unset = node->kind == CONFIG_SCALAR && node->text[0] == '\0';
    if (node->kind != CONFIG_MAP && !is_unset) {
        return why(ret_why, "must be a map of keys and values");
    }
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    if (is_unset) {
        fputs("{}", out);
    } else {
        config_node_write_json(node, out);
    }
    fclose(out);
    const char *copy = text == NULL ? NULL : config_arena_text(arena, text, size);
    free(text);
    if (copy == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    *(const char **)field = copy;
    return SLUICE_OK;
}

static const struct {
    const char *name;
    parse_fn *parse; /* NULL: not a value of its own */
    bool takes_scalar_only;
} types[CONFIG_TYPE_COUNT] = {
    [CONFIG_TYPE_STRING] = {"string", text_parse, true},
    [CONFIG_TYPE_PATH] = {"path", text_parse, true},
    [CONFIG_TYPE_ADDRESS] = {"address", address_parse, true},
    [CONFIG_TYPE_BOOL] = {"true or false", bool_parse, true},
    [CONFIG_TYPE_INT] = {"number", int_parse, true},
    [CONFIG_TYPE_SIZE] = {"size", size_parse, true},
    [CONFIG_TYPE_DURATION] = {"duration", duration_parse, true},
    [CONFIG_TYPE_ENUM] = {"choice", enum_parse, true},
    [CONFIG_TYPE_LIST] = {"list", list_parse, false},
    [CONFIG_TYPE_OBJECT] = {"map", object_parse, false},
    [CONFIG_TYPE_INSTANCES] = {"map by name", NULL, false},
};

const char *config_type_name(enum config_type type)
{
    return types[type].name;
}

sl_err config_typed_parse(const struct config_option *option, const struct config_node *node,
                          struct config_arena *arena, void *field, char ret_why[CONFIG_WHY_MAX])
{
    SL_ASSERT(types[option->type].parse != NULL);
    if (types[option->type].takes_scalar_only && node->kind != CONFIG_SCALAR) {
        return why(ret_why, "must be a single value");
    }
    if (node->kind == CONFIG_MAP && option->type == CONFIG_TYPE_LIST) {
        return why(ret_why, "must be a list of words");
    }
    return types[option->type].parse(option, node, arena, field, ret_why);
}

static void list_text(const struct config_list *list, char ret_text[CONFIG_VALUE_TEXT_MAX])
{
    size_t at = 0;
    ret_text[0] = '\0';
    for (uint32_t i = 0; i < list->count && at < CONFIG_VALUE_TEXT_MAX; i++) {
        at += (size_t)snprintf(ret_text + at, CONFIG_VALUE_TEXT_MAX - at, "%s%s",
                               i == 0 ? "" : ", ", list->items[i]);
    }
}

static void object_text(const char *json, char ret_text[CONFIG_VALUE_TEXT_MAX])
{
    char *hidden = config_secrets_hide(json);
    snprintf(ret_text, CONFIG_VALUE_TEXT_MAX, "%s", hidden != NULL ? hidden : json);
    free(hidden);
}

const char *config_typed_text(const struct config_option *option, const void *field,
                              char ret_text[CONFIG_VALUE_TEXT_MAX])
{
    switch (option->type) {
    case CONFIG_TYPE_BOOL:
        snprintf(ret_text, CONFIG_VALUE_TEXT_MAX, "%s", *(const bool *)field ? "true" : "false");
        break;
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_SIZE:
    case CONFIG_TYPE_DURATION:
        config_number_text(option->type, *(const int64_t *)field, ret_text);
        break;
    case CONFIG_TYPE_ENUM:
        (void)config_choice(option->choices, (uint32_t) * (const int32_t *)field, ret_text);
        break;
    case CONFIG_TYPE_LIST:
        list_text(field, ret_text);
        break;
    case CONFIG_TYPE_INSTANCES:
        ret_text[0] = '\0';
        break;
    case CONFIG_TYPE_OBJECT:
        object_text(*(const char *const *)field, ret_text);
        break;
    default:
        snprintf(ret_text, CONFIG_VALUE_TEXT_MAX, "%s",
                 option->is_secret && (*(const char *const *)field)[0] != '\0'
                     ? CONFIG_HIDDEN
                     : *(const char *const *)field);
        break;
    }
    return ret_text;
}
