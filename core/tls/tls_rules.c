/* tls_rules.c: see tls_rules.h. */
#include "tls/tls_rules.h"

#include "tls/name_pattern.h"

#include <stdio.h>
#include <string.h>

struct rule {
    struct name_pattern *pattern; /* NULL: DEFAULT */
    char *replacement;
    char letter_case; /* L, U; 0: as it is */
};

struct tls_rules {
    uint32_t count;
    struct rule rules[TLS_RULES_MAX];
};

struct tls_rules *tls_rules_free(struct tls_rules *rules)
{
    for (uint32_t i = 0; rules != NULL && i < rules->count; i++) {
        name_pattern_free(rules->rules[i].pattern);
        sl_free(rules->rules[i].replacement);
    }
    sl_free(rules);
    return NULL;
}

/* ---- reading ---- */

#define WRONG(why, ...) (snprintf((why), TLS_RULES_WHY_BYTES, __VA_ARGS__), SLUICE_E_CONFIG_VALUE)

/* Up to the next slash that has no backslash before it, which is skipped. False: there is none. */
static bool take_part(const char **at, struct sl_bytes *ret_part)
{
    const char *from = *at;
    const char *to = from;
    while (*to != '\0' && *to != '/') {
        to += to[0] == '\\' && to[1] != '\0' ? 2 : 1;
    }
    if (*to == '\0') {
        return false;
    }
    *ret_part = (struct sl_bytes){(const uint8_t *)from, (size_t)(to - from)};
    *at = to + 1;
    return true;
}

/* $1 to $9: Kafka fails at each name when there is no group at all. */
static bool names_group(const char *replacement)
{
    for (const char *at = replacement; *at != '\0'; at++) {
        if (at[0] == '\\' && at[1] != '\0') {
            at++;
        } else if (at[0] == '$' && at[1] >= '1' && at[1] <= '9') {
            return true;
        }
    }
    return false;
}

static sl_err take_rule(const char **at, struct rule *rule, char *ret_why)
{
    struct sl_bytes pattern, replacement;
    char why[NAME_PATTERN_WHY_BYTES] = "";
    *at += strlen("RULE:");
    const char *first = *at;
    if (!take_part(at, &pattern) || !take_part(at, &replacement) || pattern.size == 0) {
        return WRONG(ret_why, "has \"RULE:%.60s\", which is not RULE:pattern/replacement/", first);
    }
    rule->letter_case = **at == 'L' || **at == 'U' ? *(*at)++ : '\0';
    rule->replacement = sl_strdup_bytes((const char *)replacement.data, replacement.size);
    if (rule->replacement == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    sl_err err = name_pattern_new(pattern, &rule->pattern, why);
    if (err == SLUICE_OK && name_pattern_groups(rule->pattern) == 0 &&
        names_group(rule->replacement)) {
        snprintf(why, sizeof(why), "has no group for the replacement");
        err = SLUICE_E_CONFIG_VALUE;
    }
    return err == SLUICE_E_CONFIG_VALUE
               ? WRONG(ret_why, "has the pattern \"%.80s\", which %s", first, why)
               : err;
}

static sl_err take_rules(struct tls_rules *rules, const char *text, char *ret_why)
{
    const char *at = text + strspn(text, " ");
    while (*at != '\0') {
        sl_err err = SLUICE_OK;
        if (rules->count == TLS_RULES_MAX) {
            return WRONG(ret_why, "has more than %u rules", TLS_RULES_MAX);
        }
        struct rule *rule = &rules->rules[rules->count++];
        if (strncmp(at, "DEFAULT", 7) == 0) {
            at += 7;
        } else if (strncmp(at, "RULE:", 5) == 0) {
            err = take_rule(&at, rule, ret_why);
        } else {
            err = WRONG(ret_why, "has \"%.60s\" where RULE: or DEFAULT is expected", at);
        }
        if (err != SLUICE_OK) {
            return err;
        }
        at += strspn(at, " ");
        if (*at != '\0' && *at != ',') {
            return WRONG(ret_why, "has \"%.60s\" behind a rule", at);
        }
        at += *at == ',';
        at += strspn(at, " ");
    }
    return SLUICE_OK;
}

sl_err tls_rules_new(const char *text, struct tls_rules **ret_rules,
                     char ret_why[TLS_RULES_WHY_BYTES])
{
    struct tls_rules *rules = sl_alloc_zero(1, sizeof(*rules));
    if (rules == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    sl_err err = take_rules(rules, text, ret_why);
    if (err != SLUICE_OK) {
        tls_rules_free(rules);
        return err;
    }
    if (rules->count == 0) {
        rules->count = 1; /* DEFAULT */
    }
    *ret_rules = rules;
    return SLUICE_OK;
}

/* ---- applying ---- */

struct result {
    char *text;
    size_t used;
    bool full;
};

static void add(struct result *result, const uint8_t *bytes, size_t size)
{
    result->full = result->full || result->used + size > TLS_PRINCIPAL_BYTES_MAX;
    if (!result->full && size > 0) {
        memcpy(result->text + result->used, bytes, size);
        result->used += size;
    }
}

/* "$1": the group; a number beyond the groups stands for itself; \x: x. As Java's appendReplacement
 * with what Kafka escapes before it: further digits count while such a group is there. */
static void add_replacement(struct result *result, const struct rule *rule, const uint8_t *name,
                            const struct name_match *match)
{
    uint32_t groups = name_pattern_groups(rule->pattern);
    const char *at = rule->replacement;
    while (*at != '\0') {
        uint32_t group =
            at[0] == '$' && at[1] >= '0' && at[1] <= '9' ? (uint32_t)(at[1] - '0') : UINT32_MAX;
        if (group <= groups) {
            at += 2;
            while (*at >= '0' && *at <= '9' && group * 10 + (uint32_t)(*at - '0') <= groups) {
                group = group * 10 + (uint32_t)(*at++ - '0');
            }
            size_t from = match->at[group][0];
            size_t to = match->at[group][1];
            if (from != SIZE_MAX && to != SIZE_MAX) {
                add(result, name + from, to - from);
            }
            continue;
        }
        at += at[0] == '\\' && at[1] != '\0';
        add(result, (const uint8_t *)at++, 1);
    }
}

/* Every match of the pattern is replaced. */
static sl_err replace_all(const struct rule *rule, struct sl_bytes name, struct result *result)
{
    size_t copied = 0;
    size_t from = 0;
    struct name_match match;
    sl_err err = SLUICE_OK;
    while (from <= name.size &&
           (err = name_pattern_find(rule->pattern, name, from, false, &match)) == SLUICE_OK) {
        add(result, name.data + copied, match.at[0][0] - copied);
        add_replacement(result, rule, name.data, &match);
        copied = match.at[0][1];
        from = match.at[0][1] > match.at[0][0] ? copied : copied + 1;
    }
    add(result, name.data + copied, name.size - copied);
    return err == SLUICE_E_NOT_FOUND ? SLUICE_OK : err;
}

static void set_case(struct result *result, char letter_case)
{
    for (size_t i = 0; i < result->used; i++) {
        char *c = &result->text[i];
        bool upper = *c >= 'A' && *c <= 'Z';
        bool lower = *c >= 'a' && *c <= 'z';
        if ((letter_case == 'L' && upper) || (letter_case == 'U' && lower)) {
            *c = (char)(*c ^ 32);
        }
    }
}

/* E_NOT_FOUND: the rule is not for this name. */
static sl_err apply(const struct rule *rule, struct sl_bytes name, struct result *result)
{
    struct name_match match;
    if (rule->pattern == NULL) {
        add(result, name.data, name.size);
        return SLUICE_OK;
    }
    sl_err err = name_pattern_find(rule->pattern, name, 0, true, &match);
    if (err == SLUICE_OK) {
        err = replace_all(rule, name, result);
        set_case(result, rule->letter_case);
    }
    return err;
}

sl_err tls_rules_apply(const struct tls_rules *rules, const char *name,
                       char ret_name[TLS_PRINCIPAL_BYTES_MAX + 1u])
{
    struct sl_bytes bytes = {(const uint8_t *)name, strlen(name)};
    struct result result = {.text = ret_name};
    sl_err err = bytes.size > TLS_PRINCIPAL_BYTES_MAX ? SLUICE_E_INVALID : SLUICE_E_NOT_FOUND;
    for (uint32_t i = 0; i < rules->count && err == SLUICE_E_NOT_FOUND; i++) {
        result.used = 0;
        err = apply(&rules->rules[i], bytes, &result);
    }
    ret_name[result.used] = '\0';
    if (err == SLUICE_OK && (result.full || result.used == 0)) {
        err = SLUICE_E_NOT_FOUND;
    }
    return err == SLUICE_E_INVALID ? SLUICE_E_NOT_FOUND : err;
}
