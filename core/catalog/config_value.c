/* config_value.c: one parser for the values of topic and broker keys (Kafka's ConfigDef.parseType).
 */
#include "catalog/config_value.h"

#include "base/bytes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define NUMBER_BYTES_MAX 40u

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct sl_bytes trimmed(struct sl_bytes text)
{
    while (text.size > 0 && is_blank(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1]))
        text.size--;
    return text;
}

/* Cuts the next element off `list`; false at its end. */
static bool list_next(struct sl_bytes *list, struct sl_bytes *ret_element)
{
    if (list->data == NULL)
        return false;
    const uint8_t *comma = list->size == 0 ? NULL : memchr(list->data, ',', list->size);
    size_t size = comma == NULL ? list->size : (size_t)(comma - list->data);
    *ret_element = trimmed(sl_bytes_of(list->data, size));
    if (comma == NULL)
        *list = (struct sl_bytes){0};
    else
        *list = sl_bytes_of(comma + 1, list->size - size - 1);
    return true;
}

static bool list_has(struct sl_bytes list, struct sl_bytes word)
{
    struct sl_bytes element;
    while (list_next(&list, &element)) {
        if (sl_bytes_equal(element, word))
            return true;
    }
    return false;
}

bool config_list_has(struct sl_bytes list, const char *word)
{
    return list_has(list, sl_bytes_of_text(word));
}

static sl_err refuse(const char *name, struct sl_bytes text, const char *must,
                     char ret_reason[CONFIG_REASON_BYTES])
{
    snprintf(ret_reason, CONFIG_REASON_BYTES, "%s: '%.*s' is not valid: it must be %s", name,
             (int)SL_MIN(text.size, 60u), text.size == 0 ? "" : (const char *)text.data, must);
    return SLUICE_E_INVALID_CONFIG;
}

static sl_err boolean_parse(const char *name, const struct config_rule *rule, struct sl_bytes text,
                            struct config_value *value, char reason[CONFIG_REASON_BYTES])
{
    (void)rule;
    bool yes = text.size == 4 && strncasecmp((const char *)text.data, "true", 4) == 0;
    bool no = text.size == 5 && strncasecmp((const char *)text.data, "false", 5) == 0;
    if (!yes && !no)
        return refuse(name, text, "true or false", reason);
    value->boolean = yes;
    return SLUICE_OK;
}

/* Digits with an optional sign; false beyond 64 bits. */
static bool integer_of(struct sl_bytes text, int64_t *ret_number)
{
    size_t i = text.size > 0 && (text.data[0] == '-' || text.data[0] == '+') ? 1 : 0;
    bool negative = i == 1 && text.data[0] == '-';
    int64_t number = 0;
    if (i == text.size)
        return false;
    for (; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        int64_t digit = text.data[i] - '0';
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, negative ? -digit : digit, &number))
            return false;
    }
    *ret_number = number;
    return true;
}

static sl_err integer_parse(const char *name, const struct config_rule *rule, struct sl_bytes text,
                            struct config_value *value, char reason[CONFIG_REASON_BYTES])
{
    bool small = rule->type == SLUICE_CONFIG_TYPE_INT;
    int64_t min = small ? SL_MAX(rule->min, INT32_MIN) : rule->min;
    int64_t max = small ? SL_MIN(rule->max, INT32_MAX) : rule->max;
    int64_t number = 0;
    if (!integer_of(text, &number) || number < min || number > max) {
        char must[96];
        snprintf(must, sizeof must, "a whole number from %lld to %lld", (long long)min,
                 (long long)max);
        return refuse(name, text, must, reason);
    }
    value->number = number;
    return SLUICE_OK;
}

static sl_err real_parse(const char *name, const struct config_rule *rule, struct sl_bytes text,
                         struct config_value *value, char reason[CONFIG_REASON_BYTES])
{
    char copy[NUMBER_BYTES_MAX] = "";
    char *end = copy;
    double real = NAN;
    if (text.size > 0 && text.size < sizeof copy) {
        memcpy(copy, text.data, text.size);
        real = strtod(copy, &end);
    }
    if (end == copy || *end != '\0' || isnan(real) || real < (double)rule->min ||
        real > (double)rule->max) {
        char must[96];
        snprintf(must, sizeof must, "a number from %lld to %lld", (long long)rule->min,
                 (long long)rule->max);
        return refuse(name, text, must, reason);
    }
    value->real = real;
    return SLUICE_OK;
}

static sl_err words_refuse(const char *name, const struct config_rule *rule, struct sl_bytes text,
                           char reason[CONFIG_REASON_BYTES])
{
    char must[160];
    snprintf(must, sizeof must, "%s %s",
             rule->type == SLUICE_CONFIG_TYPE_LIST ? "some of" : "one of", rule->words);
    return refuse(name, text, must, reason);
}

static sl_err string_parse(const char *name, const struct config_rule *rule, struct sl_bytes text,
                           struct config_value *value, char reason[CONFIG_REASON_BYTES])
{
    if (rule->words != NULL && !list_has(sl_bytes_of_text(rule->words), text))
        return words_refuse(name, rule, text, reason);
    value->text = text;
    return SLUICE_OK;
}

static sl_err list_parse(const char *name, const struct config_rule *rule, struct sl_bytes text,
                         struct config_value *value, char reason[CONFIG_REASON_BYTES])
{
    struct sl_bytes rest = text.size == 0 ? (struct sl_bytes){0} : text;
    struct sl_bytes element;
    while (list_next(&rest, &element)) {
        if (element.size == 0)
            return refuse(name, text, "a list without empty elements", reason);
        if (rule->words != NULL && !list_has(sl_bytes_of_text(rule->words), element))
            return words_refuse(name, rule, text, reason);
        if (list_has(rest, element))
            return refuse(name, text, "a list without repeated elements", reason);
    }
    value->text = text;
    return SLUICE_OK;
}

typedef sl_err parse_fn(const char *name, const struct config_rule *rule, struct sl_bytes text,
                        struct config_value *value, char reason[CONFIG_REASON_BYTES]);

static parse_fn *const parsers[] = {
    [SLUICE_CONFIG_TYPE_BOOLEAN] = boolean_parse, [SLUICE_CONFIG_TYPE_STRING] = string_parse,
    [SLUICE_CONFIG_TYPE_INT] = integer_parse,     [SLUICE_CONFIG_TYPE_LONG] = integer_parse,
    [SLUICE_CONFIG_TYPE_DOUBLE] = real_parse,     [SLUICE_CONFIG_TYPE_LIST] = list_parse,
};

sl_err config_value_parse(const char *name, const struct config_rule *rule, struct sl_bytes text,
                          struct config_value *ret_value, char ret_reason[CONFIG_REASON_BYTES])
{
    SL_ASSERT(rule->type > 0 && (size_t)rule->type < SL_COUNT_OF(parsers));
    struct config_value value = {0};
    sl_err err = parsers[rule->type](name, rule, trimmed(text), &value, ret_reason);
    if (err == SLUICE_OK)
        *ret_value = value;
    return err;
}

struct sluice_text config_entries_text(struct config_entries *entries, const char *text)
{
    if (text == NULL)
        return (struct sluice_text){0};
    size_t size = strlen(text);
    SL_ASSERT(size < CONFIG_ENTRIES_BYTES - entries->text_size);
    char *copy = entries->text + entries->text_size;
    memcpy(copy, text, size + 1);
    entries->text_size += (uint32_t)size + 1;
    return (struct sluice_text){copy, size};
}

struct sluice_config_entry *config_entries_add(struct config_entries *entries)
{
    SL_ASSERT(entries->count < CONFIG_ENTRIES_MAX);
    struct sluice_config_entry *entry = &entries->entries[entries->count++];
    *entry = (struct sluice_config_entry){0};
    return entry;
}
