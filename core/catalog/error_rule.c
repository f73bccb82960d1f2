/* error_rule.c: see error_rule.h. */
#include "catalog/error_rule.h"

#include "base/bytes.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *word;
    enum on_error on;
} words[] = {{"dead-letter", ON_ERROR_DEAD_LETTER},
             {"drop", ON_ERROR_DROP},
             {"retry", ON_ERROR_RETRY},
             {"stop", ON_ERROR_STOP}};

static sl_err parse_count(struct sl_bytes digits, uint32_t *ret_count)
{
    uint32_t count = 0;
    for (size_t i = 0; i < digits.size; i++) {
        uint8_t digit = digits.data[i];
        if (digit < '0' || digit > '9' || count > ERROR_RULE_RETRIES_MAX) {
            return SLUICE_E_INVALID;
        }
        count = count * 10 + (digit - '0');
    }
    if (digits.size == 0 || count < 1 || count > ERROR_RULE_RETRIES_MAX) {
        return SLUICE_E_INVALID;
    }
    *ret_count = count;
    return SLUICE_OK;
}

sl_err error_rule_parse(struct sl_bytes text, struct error_rule *ret_rule)
{
    struct error_rule rule = {.retries_max = 0};
    for (size_t i = 0; i < SL_COUNT_OF(words); i++) {
        if (sl_bytes_equal(text, sl_bytes_of_text(words[i].word))) {
            rule.on = words[i].on;
            rule.retries_max = rule.on == ON_ERROR_RETRY ? ERROR_RULE_RETRIES_FOREVER : 0;
        }
    }
    static const char prefix[] = "retry ";
    size_t size = sizeof(prefix) - 1;
    if (text.size > size && memcmp(text.data, prefix, size) == 0) {
        sl_err err =
            parse_count(sl_bytes_of(text.data + size, text.size - size), &rule.retries_max);
        if (err != SLUICE_OK) {
            return err;
        }
        rule.on = ON_ERROR_RETRY;
    }
    if (rule.on == ON_ERROR_UNSET && text.size > 0) {
        return SLUICE_E_INVALID;
    }
    *ret_rule = rule;
    return SLUICE_OK;
}

const char *error_rule_text(const struct error_rule *rule, char ret_text[ERROR_RULE_BYTES])
{
    ret_text[0] = '\0';
    for (size_t i = 0; i < SL_COUNT_OF(words); i++) {
        if (words[i].on == rule->on) {
            snprintf(ret_text, ERROR_RULE_BYTES, "%s", words[i].word);
        }
    }
    if (rule->on == ON_ERROR_RETRY && rule->retries_max != ERROR_RULE_RETRIES_FOREVER) {
        snprintf(ret_text, ERROR_RULE_BYTES, "retry %u", rule->retries_max);
    }
    return ret_text;
}
