/* access_policy.c: see access_policy.h. Kafka's StandardAuthorizer is the model (KIP-11, KIP-290,
 * KIP-801). */
#include "admit/access_policy.h"

#include "base/bytes.h"

#include <stdlib.h>
#include <string.h>

/* ---- making it ---- */

static int compare_bytes(struct sl_bytes a, struct sl_bytes b)
{
    size_t size = SL_MIN(a.size, b.size);
    int order = size == 0 ? 0 : memcmp(a.data, b.data, size);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_place(int32_t resource, struct sl_bytes name, const struct acl *acl)
{
    int order = (resource > acl->resource) - (resource < acl->resource);
    return order != 0 ? order : compare_bytes(name, acl->name);
}

static int compare_rules(const void *a, const void *b)
{
    const struct acl *left = *(struct acl *const *)a;
    const struct acl *right = *(struct acl *const *)b;
    int order = compare_place(left->resource, left->name, right);
    order = order != 0 ? order : compare_bytes(left->principal, right->principal);
    return order != 0 ? order : (int)left->operation - (int)right->operation;
}

static void unref_all(struct acl **rules, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        acl_unref(rules[i]);
    }
}

static sl_err copy_super_users(struct policy *policy, const char *const *users, uint32_t count)
{
    policy->super_users = sl_alloc_zero(count + 1u, sizeof(*policy->super_users));
    for (uint32_t i = 0; policy->super_users != NULL && i < count; i++) {
        char *copy = sl_strdup_bytes(users[i], strlen(users[i]));
        if (copy == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
        policy->super_users[policy->super_user_count++] = copy;
    }
    return policy->super_users == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

static void take_rules(struct policy *policy, struct acl **rules, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (rules[i]->pattern == SLUICE_PATTERN_PREFIXED) {
            size_t size = rules[i]->name.size;
            policy->prefix_sizes[size / 32] |= 1u << size % 32;
            policy->prefixed[policy->prefixed_count++] = rules[i];
        } else {
            policy->literal[policy->literal_count++] = rules[i];
        }
    }
    qsort(policy->literal, policy->literal_count, sizeof(struct acl *), compare_rules);
    qsort(policy->prefixed, policy->prefixed_count, sizeof(struct acl *), compare_rules);
}

sl_err policy_new(struct acl **rules, uint32_t count, const char *const *super_users,
                  uint32_t super_user_count, bool enabled, bool allow_if_none,
                  struct policy **ret_policy)
{
    struct policy *policy = sl_alloc_zero(1, sizeof(*policy));
    sl_err err = policy == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    if (err == SLUICE_OK) {
        policy->refs = 1;
        policy->enabled = enabled;
        policy->allow_if_none = allow_if_none;
        policy->literal = sl_alloc_zero(count + 1u, sizeof(struct acl *));
        policy->prefixed = sl_alloc_zero(count + 1u, sizeof(struct acl *));
        err = policy->literal == NULL || policy->prefixed == NULL
                  ? SLUICE_E_NO_MEMORY
                  : copy_super_users(policy, super_users, super_user_count);
    }
    if (err != SLUICE_OK) {
        unref_all(rules, count);
        policy_unref(policy);
        return err;
    }
    take_rules(policy, rules, count);
    *ret_policy = policy;
    return SLUICE_OK;
}

struct policy *policy_ref(struct policy *policy)
{
    __atomic_add_fetch(&policy->refs, 1, __ATOMIC_RELAXED);
    return policy;
}

struct policy *policy_unref(struct policy *policy)
{
    if (policy == NULL || __atomic_sub_fetch(&policy->refs, 1, __ATOMIC_ACQ_REL) > 0) {
        return NULL;
    }
    if (policy->literal != NULL) {
        unref_all(policy->literal, policy->literal_count);
    }
    if (policy->prefixed != NULL) {
        unref_all(policy->prefixed, policy->prefixed_count);
    }
    for (uint32_t i = 0; i < policy->super_user_count; i++) {
        sl_free(policy->super_users[i]);
    }
    sl_free(policy->super_users);
    sl_free(policy->literal);
    sl_free(policy->prefixed);
    sl_free(policy);
    return NULL;
}

/* ---- deciding ---- */

#define BIT(name)                (1u << SLUICE_OP_##name)
#define IMPLIES_DESCRIBE         (BIT(DESCRIBE) | BIT(READ) | BIT(WRITE) | BIT(DELETE) | BIT(ALTER))
#define IMPLIES_DESCRIBE_CONFIGS (BIT(DESCRIBE_CONFIGS) | BIT(ALTER_CONFIGS))

struct finding {
    bool any; /* a rule is about the resource, whoever it is for */
    bool allow;
    bool deny;
};

static bool names_operation(const struct acl *acl, int32_t operation)
{
    uint32_t bit = 1u << acl->operation;
    if (acl->operation == SLUICE_OP_ALL) {
        return true;
    }
    if (acl->permission == SLUICE_RULE_ALLOW && operation == SLUICE_OP_DESCRIBE) {
        return (bit & IMPLIES_DESCRIBE) != 0;
    }
    if (acl->permission == SLUICE_RULE_ALLOW && operation == SLUICE_OP_DESCRIBE_CONFIGS) {
        return (bit & IMPLIES_DESCRIBE_CONFIGS) != 0;
    }
    return acl->operation == operation;
}

static bool is_text(struct sl_bytes bytes, const char *text, size_t size)
{
    return bytes.size == size && memcmp(bytes.data, text, size) == 0;
}

static bool is_about(const struct acl *acl, const struct policy_action *action)
{
    return (sl_bytes_equal(acl->principal, action->principal) ||
            is_text(acl->principal, "User:*", 6)) &&
           (is_text(acl->host, "*", 1) || sl_bytes_equal(acl->host, action->host)) &&
           names_operation(acl, action->operation);
}

/* The rules of exactly that name. */
static void look(struct acl *const *rules, uint32_t count, struct sl_bytes name,
                 const struct policy_action *action, struct finding *finding)
{
    uint32_t low = 0;
    uint32_t high = count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (compare_place(action->resource, name, rules[middle]) > 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < count && compare_place(action->resource, name, rules[low]) == 0; low++) {
        finding->any = true;
        if (is_about(rules[low], action)) {
            finding->allow = finding->allow || rules[low]->permission == SLUICE_RULE_ALLOW;
            finding->deny = finding->deny || rules[low]->permission == SLUICE_RULE_DENY;
        }
    }
}

static void look_at_prefixes(const struct policy *policy, const struct policy_action *action,
                             struct finding *finding)
{
    size_t size_max = SL_MIN(action->name.size, (size_t)ACL_NAME_BYTES_MAX);
    for (size_t word = 0; word <= size_max / 32; word++) {
        uint32_t bits = policy->prefix_sizes[word];
        while (bits != 0) {
            size_t size = word * 32 + (size_t)__builtin_ctz(bits);
            bits &= bits - 1;
            if (size <= size_max) {
                struct sl_bytes head = {action->name.data, size};
                look(policy->prefixed, policy->prefixed_count, head, action, finding);
            }
        }
    }
}

static struct finding find(const struct policy *policy, const struct policy_action *action)
{
    struct finding finding = {0};
    look(policy->literal, policy->literal_count, action->name, action, &finding);
    look(policy->literal, policy->literal_count, sl_bytes_of_text("*"), action, &finding);
    if (policy->prefixed_count > 0) {
        look_at_prefixes(policy, action, &finding);
    }
    return finding;
}

static bool is_super(const struct policy *policy, struct sl_bytes principal)
{
    for (uint32_t i = 0; i < policy->super_user_count; i++) {
        if (sl_bytes_equal(principal, sl_bytes_of_text(policy->super_users[i]))) {
            return true;
        }
    }
    return false;
}

bool policy_allows(const struct policy *policy, const struct policy_action *action)
{
    if (!policy->enabled || is_super(policy, action->principal)) {
        return true;
    }
    struct finding finding = find(policy, action);
    return !finding.deny && (finding.allow || (!finding.any && policy->allow_if_none));
}

bool policy_denies(const struct policy *policy, const struct policy_action *action)
{
    return policy->enabled && find(policy, action).deny;
}

/* An allowing rule that no denying one takes away, as Kafka's authorizeByResourceType looks. */
static bool stands(const struct policy *policy, const struct acl *rule,
                   const struct policy_action *action)
{
    struct policy_action narrowed = *action;
    struct finding finding = {0};
    narrowed.name = rule->name;
    if (rule->permission != SLUICE_RULE_ALLOW || rule->resource != action->resource ||
        !is_about(rule, action)) {
        return false;
    }
    if (rule->pattern == SLUICE_PATTERN_LITERAL && !is_text(rule->name, "*", 1)) {
        look(policy->literal, policy->literal_count, rule->name, &narrowed, &finding);
    }
    look_at_prefixes(policy, &narrowed, &finding);
    return !finding.deny;
}

bool policy_allows_any(const struct policy *policy, const struct policy_action *action)
{
    struct finding everywhere = {0};
    if (!policy->enabled || is_super(policy, action->principal)) {
        return true;
    }
    look(policy->literal, policy->literal_count, sl_bytes_of_text("*"), action, &everywhere);
    if (everywhere.deny || everywhere.allow) {
        return !everywhere.deny;
    }
    for (uint32_t i = 0; i < policy_rule_count(policy); i++) {
        if (stands(policy, policy_rule_at(policy, i), action)) {
            return true;
        }
    }
    return policy->allow_if_none;
}

uint32_t policy_operations(const struct policy *policy, const struct policy_action *action)
{
    static const uint32_t known[SLUICE_ACL_USER + 1] = {
        [SLUICE_ACL_TOPIC] = BIT(READ) | BIT(WRITE) | BIT(CREATE) | BIT(DESCRIBE) | BIT(DELETE) |
                             BIT(ALTER) | BIT(DESCRIBE_CONFIGS) | BIT(ALTER_CONFIGS),
        [SLUICE_ACL_GROUP] =
            BIT(READ) | BIT(DESCRIBE) | BIT(DELETE) | BIT(DESCRIBE_CONFIGS) | BIT(ALTER_CONFIGS),
        [SLUICE_ACL_CLUSTER] = BIT(CREATE) | BIT(CLUSTER_ACTION) | BIT(DESCRIBE_CONFIGS) |
                               BIT(ALTER_CONFIGS) | BIT(IDEMPOTENT_WRITE) | BIT(ALTER) |
                               BIT(DESCRIBE),
        [SLUICE_ACL_TRANSACTIONAL_ID] = BIT(DESCRIBE) | BIT(WRITE) | BIT(TWO_PHASE_COMMIT),
        [SLUICE_ACL_DELEGATION_TOKEN] = BIT(DESCRIBE),
        [SLUICE_ACL_USER] = BIT(CREATE_TOKENS) | BIT(DESCRIBE_TOKENS),
    };
    uint32_t allowed = 0;
    if (action->resource < SLUICE_ACL_TOPIC || action->resource > SLUICE_ACL_USER) {
        return 0;
    }
    for (int32_t op = SLUICE_OP_READ; op <= SLUICE_OP_TWO_PHASE_COMMIT; op++) {
        struct policy_action one = *action;
        one.operation = op;
        if ((known[action->resource] & (1u << op)) != 0 && policy_allows(policy, &one)) {
            allowed |= 1u << op;
        }
    }
    return allowed;
}
