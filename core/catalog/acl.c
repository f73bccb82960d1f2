/* acl.c: see acl.h. */
#include "catalog/acl.h"

#include "base/hash.h"
#include "catalog/item_codec.h"

#include <stdio.h>
#include <string.h>

#define FLAG_GONE 1u

/* ---- what may be ---- */

static sl_err refuse(char *ret_reason, const char *why)
{
    snprintf(ret_reason, ACL_REASON_BYTES, "%s", why);
    return SLUICE_E_INVALID;
}

static bool is_between(int32_t value, int32_t min, int32_t max)
{
    return value >= min && value <= max;
}

static bool is_clean(struct sluice_text text, uint64_t max)
{
    return text.size > 0 && text.size <= max && memchr(text.data, 0, (size_t)text.size) == NULL;
}

/* Which operations make sense on which resource, as Kafka's AclEntry has it; bits by operation. */
#define OP(name) (1u << SLUICE_OP_##name)
static const uint32_t supported[SLUICE_ACL_USER + 1] = {
    [SLUICE_ACL_TOPIC] = OP(READ) | OP(WRITE) | OP(CREATE) | OP(DESCRIBE) | OP(DELETE) | OP(ALTER) |
                         OP(DESCRIBE_CONFIGS) | OP(ALTER_CONFIGS),
    [SLUICE_ACL_GROUP] =
        OP(READ) | OP(DESCRIBE) | OP(DELETE) | OP(DESCRIBE_CONFIGS) | OP(ALTER_CONFIGS),
    [SLUICE_ACL_CLUSTER] = OP(CREATE) | OP(CLUSTER_ACTION) | OP(DESCRIBE_CONFIGS) |
                           OP(ALTER_CONFIGS) | OP(IDEMPOTENT_WRITE) | OP(ALTER) | OP(DESCRIBE),
    [SLUICE_ACL_TRANSACTIONAL_ID] = OP(DESCRIBE) | OP(WRITE) | OP(TWO_PHASE_COMMIT),
    [SLUICE_ACL_DELEGATION_TOKEN] = OP(DESCRIBE),
    [SLUICE_ACL_USER] = OP(CREATE_TOKENS) | OP(DESCRIBE_TOKENS),
};

static bool is_cluster_name(struct sluice_text name)
{
    return sl_bytes_equal(sl_of_text(name), sl_bytes_of_text(SLUICE_CLUSTER_NAME));
}

sl_err acl_check(const struct sluice_acl *rule, char ret_reason[ACL_REASON_BYTES])
{
    if (!is_between(rule->resource, SLUICE_ACL_TOPIC, SLUICE_ACL_USER)) {
        return refuse(ret_reason, "the resource type is not one that rules can be for");
    }
    if (!is_between(rule->pattern, SLUICE_PATTERN_LITERAL, SLUICE_PATTERN_PREFIXED)) {
        return refuse(ret_reason, "the pattern type of a rule is literal or prefixed");
    }
    if (!is_between(rule->permission, SLUICE_RULE_DENY, SLUICE_RULE_ALLOW)) {
        return refuse(ret_reason, "the permission of a rule is allow or deny");
    }
    if (!is_between(rule->operation, SLUICE_OP_ALL, SLUICE_OP_TWO_PHASE_COMMIT) ||
        (rule->operation != SLUICE_OP_ALL &&
         (supported[rule->resource] & (1u << rule->operation)) == 0)) {
        return refuse(ret_reason, "this operation does not exist on that kind of resource");
    }
    if (!is_clean(rule->name, ACL_NAME_BYTES_MAX)) {
        return refuse(ret_reason, "the name of the resource is empty, or longer than 1023 bytes");
    }
    if (rule->resource == SLUICE_ACL_CLUSTER && !is_cluster_name(rule->name) &&
        !sl_bytes_equal(sl_of_text(rule->name), sl_bytes_of_text("*"))) {
        return refuse(ret_reason, "the name of the cluster resource is kafka-cluster");
    }
    const char *colon = rule->principal.size > 0
                            ? memchr(rule->principal.data, ':', (size_t)rule->principal.size)
                            : NULL;
    if (!is_clean(rule->principal, ACL_PRINCIPAL_BYTES_MAX) || colon == NULL ||
        colon == rule->principal.data || colon + 1 == rule->principal.data + rule->principal.size) {
        return refuse(ret_reason, "a principal is a type and a name, as User:alice");
    }
    return is_clean(rule->host, ACL_HOST_BYTES_MAX)
               ? SLUICE_OK
               : refuse(ret_reason, "the host is empty, or longer than 255 bytes");
}

sl_err acl_filter_check(const struct sluice_acl *filter, char ret_reason[ACL_REASON_BYTES])
{
    if (!is_between(filter->resource, SLUICE_ACL_ANY, SLUICE_ACL_USER) ||
        !is_between(filter->pattern, SLUICE_PATTERN_ANY, SLUICE_PATTERN_PREFIXED) ||
        !is_between(filter->operation, SLUICE_OP_ANY, SLUICE_OP_TWO_PHASE_COMMIT) ||
        !is_between(filter->permission, SLUICE_RULE_ANY, SLUICE_RULE_ALLOW)) {
        return refuse(ret_reason, "the filter holds an element that is not known");
    }
    return SLUICE_OK;
}

/* ---- objects ---- */

static struct sl_bytes put(uint8_t **at, struct sluice_text text)
{
    struct sl_bytes copy = {*at, (size_t)text.size};
    sl_bytes_copy(*at, sl_of_text(text));
    (*at)[text.size] = '\0';
    *at += text.size + 1;
    return copy;
}

struct acl *acl_new(const struct sluice_acl *rule)
{
    size_t texts = (size_t)(rule->name.size + rule->principal.size + rule->host.size) + 3;
    struct acl *acl = sl_alloc(sizeof(*acl) + texts);
    if (acl == NULL) {
        return NULL;
    }
    *acl = (struct acl){.refs = 1,
                        .resource = (uint8_t)rule->resource,
                        .pattern = (uint8_t)rule->pattern,
                        .operation = (uint8_t)rule->operation,
                        .permission = (uint8_t)rule->permission};
    uint8_t *at = (uint8_t *)(acl + 1);
    acl->name = put(&at, rule->name);
    acl->principal = put(&at, rule->principal);
    acl->host = put(&at, rule->host);
    return acl;
}

struct acl *acl_ref(struct acl *acl)
{
    __atomic_add_fetch(&acl->refs, 1, __ATOMIC_RELAXED);
    return acl;
}

struct acl *acl_unref(struct acl *acl)
{
    if (acl != NULL && __atomic_sub_fetch(&acl->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        sl_free(acl);
    }
    return NULL;
}

struct sluice_acl acl_view(const struct acl *acl)
{
    return (struct sluice_acl){.resource = acl->resource,
                               .pattern = acl->pattern,
                               .operation = acl->operation,
                               .permission = acl->permission,
                               .name = text_of_sl(acl->name),
                               .principal = text_of_sl(acl->principal),
                               .host = text_of_sl(acl->host)};
}

static bool text_matches(struct sl_bytes value, struct sluice_text wanted)
{
    return wanted.data == NULL || sl_bytes_equal(value, sl_of_text(wanted));
}

/* MATCH: every rule that holds for that name. */
static bool name_matches(const struct acl *acl, const struct sluice_acl *filter)
{
    struct sl_bytes wanted = sl_of_text(filter->name);
    if (filter->pattern != SLUICE_PATTERN_ANY && filter->pattern != SLUICE_PATTERN_MATCH &&
        filter->pattern != acl->pattern) {
        return false;
    }
    if (filter->name.data == NULL || sl_bytes_equal(acl->name, wanted)) {
        return true;
    }
    if (filter->pattern != SLUICE_PATTERN_MATCH) {
        return false;
    }
    if (acl->pattern == SLUICE_PATTERN_LITERAL) {
        return sl_bytes_equal(acl->name, sl_bytes_of_text("*"));
    }
    return acl->name.size <= wanted.size &&
           memcmp(acl->name.data, wanted.data, acl->name.size) == 0;
}

bool acl_matches(const struct acl *acl, const struct sluice_acl *filter)
{
    return (filter->resource == SLUICE_ACL_ANY || filter->resource == acl->resource) &&
           (filter->operation == SLUICE_OP_ANY || filter->operation == acl->operation) &&
           (filter->permission == SLUICE_RULE_ANY || filter->permission == acl->permission) &&
           text_matches(acl->principal, filter->principal) &&
           text_matches(acl->host, filter->host) && name_matches(acl, filter);
}

bool acl_equal(const struct acl *acl, const struct sluice_acl *rule)
{
    return acl->resource == rule->resource && acl->pattern == rule->pattern &&
           acl->operation == rule->operation && acl->permission == rule->permission &&
           sl_bytes_equal(acl->name, sl_of_text(rule->name)) &&
           sl_bytes_equal(acl->principal, sl_of_text(rule->principal)) &&
           sl_bytes_equal(acl->host, sl_of_text(rule->host));
}

uint64_t acl_hash(const struct sluice_acl *rule)
{
    uint64_t hash = sl_hash64(rule->name.data, (size_t)rule->name.size);
    hash = hash * 31 + sl_hash64(rule->principal.data, (size_t)rule->principal.size);
    hash = hash * 31 + sl_hash64(rule->host.data, (size_t)rule->host.size);
    return hash * 31 + (uint64_t)(rule->resource << 12 | rule->pattern << 8 | rule->operation << 4 |
                                  rule->permission);
}

/* ---- items ---- */

sl_err acl_item_encode(const struct sluice_acl *rule, bool gone, struct sl_bytes *ret_payload)
{
    size_t size = 12 + (size_t)(rule->name.size + rule->principal.size + rule->host.size);
    uint8_t *payload = sl_alloc(size);
    if (payload == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    uint8_t *at = item_write_u8(payload, gone ? FLAG_GONE : 0);
    at = item_write_u8(at, (uint8_t)rule->resource);
    at = item_write_u8(at, (uint8_t)rule->pattern);
    at = item_write_u8(at, (uint8_t)rule->operation);
    at = item_write_u8(at, (uint8_t)rule->permission);
    at = item_write_u8(at, 0);
    at = item_write_u16(at, (uint16_t)rule->name.size);
    at = item_write_u16(at, (uint16_t)rule->principal.size);
    at = item_write_u16(at, (uint16_t)rule->host.size);
    at = item_write_bytes(at, sl_of_text(rule->name));
    at = item_write_bytes(at, sl_of_text(rule->principal));
    at = item_write_bytes(at, sl_of_text(rule->host));
    SL_ASSERT((size_t)(at - payload) == size);
    *ret_payload = (struct sl_bytes){payload, size};
    return SLUICE_OK;
}

sl_err acl_item_decode(uint8_t version, struct sl_bytes payload, struct sluice_acl *ret_rule,
                       bool *ret_gone)
{
    struct item_reader reader = item_reader_of(payload);
    char ignored[ACL_REASON_BYTES];
    struct sluice_acl rule = {0};
    if (version != ACL_ITEM_VERSION) {
        return SLUICE_E_NEWER_FORMAT;
    }
    uint8_t flags = item_read_u8(&reader);
    rule.resource = item_read_u8(&reader);
    rule.pattern = item_read_u8(&reader);
    rule.operation = item_read_u8(&reader);
    rule.permission = item_read_u8(&reader);
    uint8_t zero = item_read_u8(&reader);
    uint16_t name_size = item_read_u16(&reader);
    uint16_t principal_size = item_read_u16(&reader);
    uint16_t host_size = item_read_u16(&reader);
    rule.name = text_of_sl(item_read_bytes(&reader, name_size));
    rule.principal = text_of_sl(item_read_bytes(&reader, principal_size));
    rule.host = text_of_sl(item_read_bytes(&reader, host_size));
    if (!item_read_end(&reader) || zero != 0 || acl_check(&rule, ignored) != SLUICE_OK) {
        return SLUICE_E_CORRUPT;
    }
    if ((flags & ~FLAG_GONE) != 0) {
        return SLUICE_E_NEWER_FORMAT;
    }
    *ret_rule = rule;
    *ret_gone = (flags & FLAG_GONE) != 0;
    return SLUICE_OK;
}
