/* acl_file.c: see acl_file.h. */
#include "admit/acl_file.h"

#include "base/bytes.h"
#include "base/text.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const operations[] = {
    [SLUICE_OP_ALL] = "All",
    [SLUICE_OP_READ] = "Read",
    [SLUICE_OP_WRITE] = "Write",
    [SLUICE_OP_CREATE] = "Create",
    [SLUICE_OP_DELETE] = "Delete",
    [SLUICE_OP_ALTER] = "Alter",
    [SLUICE_OP_DESCRIBE] = "Describe",
    [SLUICE_OP_CLUSTER_ACTION] = "ClusterAction",
    [SLUICE_OP_DESCRIBE_CONFIGS] = "DescribeConfigs",
    [SLUICE_OP_ALTER_CONFIGS] = "AlterConfigs",
    [SLUICE_OP_IDEMPOTENT_WRITE] = "IdempotentWrite",
    [SLUICE_OP_CREATE_TOKENS] = "CreateTokens",
    [SLUICE_OP_DESCRIBE_TOKENS] = "DescribeTokens",
    [SLUICE_OP_TWO_PHASE_COMMIT] = "TwoPhaseCommit",
};
static const char *const resources[] = {
    [SLUICE_ACL_TOPIC] = "Topic",
    [SLUICE_ACL_GROUP] = "Group",
    [SLUICE_ACL_CLUSTER] = "Cluster",
    [SLUICE_ACL_TRANSACTIONAL_ID] = "TransactionalId",
    [SLUICE_ACL_DELEGATION_TOKEN] = "DelegationToken",
    [SLUICE_ACL_USER] = "User",
};

void acl_rules_fini(struct acl_rules *rules)
{
    for (uint32_t i = 0; i < rules->count; i++) {
        acl_unref(rules->rules[i]);
    }
    sl_free(rules->rules);
    *rules = (struct acl_rules){0};
}

static int32_t number_of(const char *const *names, size_t count, const char *name, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i] != NULL && strlen(names[i]) == size &&
            strncasecmp(names[i], name, size) == 0) {
            return (int32_t)i;
        }
    }
    return 0;
}

int32_t acl_operation_number(const char *name)
{
    return number_of(operations, SL_COUNT_OF(operations), name, strlen(name));
}

/* Case is no mistake: both sides are compared in small letters. */
static const char *nearest(const char *const *names, size_t count, const char *word, size_t size)
{
    enum { WORDS_MAX = 24, WORD_BYTES = 32 };
    static const char none[] = "";
    char small[WORDS_MAX][WORD_BYTES], typed[WORD_BYTES] = "";
    const char *known[WORDS_MAX];
    SL_ASSERT(count <= WORDS_MAX);
    for (size_t i = 0; i < count; i++) {
        snprintf(small[i], WORD_BYTES, "%s", names[i] != NULL ? names[i] : none);
        for (char *at = small[i]; *at != '\0'; at++) {
            *at = (char)tolower((unsigned char)*at);
        }
        known[i] = small[i];
    }
    snprintf(typed, sizeof(typed), "%.*s", (int)size, word);
    for (char *at = typed; *at != '\0'; at++) {
        *at = (char)tolower((unsigned char)*at);
    }
    const char *best = sl_text_nearest(sl_bytes_of_text(typed), known, count);
    for (size_t i = 0; best != NULL && i < count; i++) {
        if (known[i] == best && names[i] != NULL) {
            return names[i];
        }
    }
    return NULL;
}

const char *acl_operation_nearest(const char *word)
{
    return nearest(operations, SL_COUNT_OF(operations), word, strlen(word));
}

const char *acl_resource_nearest(const char *word)
{
    return nearest(resources, SL_COUNT_OF(resources), word, strcspn(word, ":"));
}

const char *acl_operation_name(int32_t operation)
{
    return operation >= 0 && operation < (int32_t)SL_COUNT_OF(operations) ? operations[operation]
                                                                          : NULL;
}

const char *acl_resource_name(int32_t resource)
{
    return resource >= 0 && resource < (int32_t)SL_COUNT_OF(resources) ? resources[resource] : NULL;
}

bool acl_resource_parse(const char *text, struct sluice_acl *rule)
{
    size_t size = strcspn(text, ":");
    rule->resource = number_of(resources, SL_COUNT_OF(resources), text, size);
    rule->pattern = SLUICE_PATTERN_LITERAL;
    if (rule->resource == 0 || (text[size] == '\0' && rule->resource != SLUICE_ACL_CLUSTER)) {
        return false;
    }
    if (text[size] == '\0') {
        rule->name = sluice_text_of(SLUICE_CLUSTER_NAME);
        return true;
    }
    rule->name = sluice_text_of(text + size + 1);
    if (rule->name.size > 1 && rule->name.data[rule->name.size - 1] == '*') {
        rule->pattern = SLUICE_PATTERN_PREFIXED;
        rule->name.size--;
    }
    return rule->name.size > 0;
}

/* ---- the file ---- */

static SL_PRINTF(3, 4) sl_err refuse(char *ret_why, int index, const char *format, ...)
{
    int size = index < 0 ? 0 : snprintf(ret_why, ACL_FILE_WHY_BYTES, "rule %d: ", index + 1);
    va_list args;
    va_start(args, format);
    vsnprintf(ret_why + size, ACL_FILE_WHY_BYTES - (size_t)size, format, args);
    va_end(args);
    return SLUICE_E_CONFIG_VALUE;
}

/* All members of a rule; a member that is there twice, or unknown, is an error. */
struct members {
    const cJSON *principal, *operation, *resource, *allow, *host;
};

static sl_err take_members(const cJSON *rule, int index, struct members *members, char *ret_why)
{
    const struct {
        const char *name;
        const cJSON **place;
        bool is_text;
    } known[] = {
        {"principal", &members->principal, true}, {"operation", &members->operation, true},
        {"resource", &members->resource, true},   {"allow", &members->allow, false},
        {"host", &members->host, true},
    };
    const cJSON *item;
    if (!cJSON_IsObject(rule)) {
        return refuse(ret_why, index, "it must be an object");
    }
    cJSON_ArrayForEach(item, rule)
    {
        size_t i = 0;
        while (i < SL_COUNT_OF(known) && strcmp(known[i].name, item->string) != 0) {
            i++;
        }
        if (i == SL_COUNT_OF(known)) {
            return refuse(ret_why, index, "\"%.40s\" is not a member of a rule", item->string);
        }
        if (*known[i].place != NULL) {
            return refuse(ret_why, index, "\"%s\" is there twice", known[i].name);
        }
        if (known[i].is_text ? !cJSON_IsString(item) : !cJSON_IsBool(item)) {
            return refuse(ret_why, index, "\"%s\" must be %s", known[i].name,
                          known[i].is_text ? "a text" : "true or false");
        }
        *known[i].place = item;
    }
    for (size_t i = 0; i + 1 < SL_COUNT_OF(known); i++) { /* but for host */
        if (*known[i].place == NULL) {
            return refuse(ret_why, index, "\"%s\" is missing", known[i].name);
        }
    }
    return SLUICE_OK;
}

static sl_err take_rule(const cJSON *item, int index, struct acl_rules *rules, char *ret_why)
{
    struct members members = {0};
    sl_err err = take_members(item, index, &members, ret_why);
    if (err != SLUICE_OK) {
        return err;
    }
    struct sluice_acl rule = {
        .operation = acl_operation_number(members.operation->valuestring),
        .permission = cJSON_IsTrue(members.allow) ? SLUICE_RULE_ALLOW : SLUICE_RULE_DENY,
        .principal = sluice_text_of(members.principal->valuestring),
        .host = sluice_text_of(members.host != NULL ? members.host->valuestring : "*"),
    };
    if (!acl_resource_parse(members.resource->valuestring, &rule)) {
        return refuse(ret_why, index,
                      "the resource \"%.80s\" must be Topic:NAME, Group:NAME, TransactionalId:NAME "
                      "or Cluster",
                      members.resource->valuestring);
    }
    if (rule.operation == 0) {
        return refuse(ret_why, index, "\"%.40s\" is not an operation",
                      members.operation->valuestring);
    }
    char why[ACL_REASON_BYTES] = "";
    if (acl_check(&rule, why) != SLUICE_OK) {
        return refuse(ret_why, index, "%s", why);
    }
    struct acl *acl = acl_new(&rule);
    if (acl == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    acl->from_file = true;
    rules->rules[rules->count++] = acl;
    return SLUICE_OK;
}

static sl_err take_root(const cJSON *root, struct acl_rules *rules, char *ret_why)
{
    const cJSON *array = cJSON_GetObjectItemCaseSensitive(root, "rules");
    if (!cJSON_IsObject(root) || !cJSON_IsArray(array) || cJSON_GetArraySize(root) != 1) {
        return refuse(ret_why, -1, "it must be an object with one member, \"rules\", an array");
    }
    int count = cJSON_GetArraySize(array);
    if (count > (int)ACL_FILE_RULES_MAX) {
        return refuse(ret_why, -1, "it has %d rules, at most %u are allowed", count,
                      ACL_FILE_RULES_MAX);
    }
    rules->rules = sl_alloc_zero((size_t)count + 1, sizeof(*rules->rules));
    sl_err err = rules->rules == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    const cJSON *item;
    int index = 0;
    cJSON_ArrayForEach(item, array)
    {
        err = err == SLUICE_OK ? take_rule(item, index++, rules, ret_why) : err;
    }
    return err;
}

static bool is_blank(const char *text, const char *end)
{
    while (text < end && (*text == ' ' || *text == '\n' || *text == '\r' || *text == '\t')) {
        text++;
    }
    return text >= end;
}

sl_err acl_file_parse(struct sl_bytes text, struct acl_rules *ret_rules,
                      char ret_why[ACL_FILE_WHY_BYTES])
{
    struct acl_rules rules = {0};
    const char *end = NULL;
    const char *start = (const char *)text.data;
    ret_why[0] = '\0';
    if (text.size == 0 || text.size > ACL_FILE_BYTES_MAX ||
        memchr(text.data, 0, text.size) != NULL) {
        (void)refuse(ret_why, -1, "it is empty, larger than 4 MiB, or not text");
        return SLUICE_E_CONFIG_SYNTAX;
    }
    cJSON *root = cJSON_ParseWithLengthOpts(start, text.size, &end, false);
    if (root == NULL || !is_blank(end, start + text.size)) {
        size_t at = end != NULL && end >= start ? (size_t)(end - start) : 0;
        size_t line = 1;
        for (size_t i = 0; i < SL_MIN(at, text.size); i++) {
            line += start[i] == '\n';
        }
        (void)refuse(ret_why, -1, "it is not JSON from line %zu on", line);
        cJSON_Delete(root);
        return SLUICE_E_CONFIG_SYNTAX;
    }
    sl_err err = take_root(root, &rules, ret_why);
    cJSON_Delete(root);
    if (err != SLUICE_OK) {
        acl_rules_fini(&rules);
        return err;
    }
    *ret_rules = rules;
    return SLUICE_OK;
}
