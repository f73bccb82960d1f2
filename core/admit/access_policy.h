/* access_policy.h: all access rules as one immutable value, and what they say about an action.
 *
 * Kafka's order: who is a super user may; a rule that denies wins; a rule that allows lets pass;
 * where no rule is about the resource at all, the default decides; else it is refused. Rules are
 * found by name: literal ones, those for "*", and those whose name the resource's begins with.
 * READ, WRITE, DELETE and ALTER imply DESCRIBE, ALTER_CONFIGS implies DESCRIBE_CONFIGS.
 *
 * Made on a helper of references to the store's rules, shared by counting references; every loop
 * holds the one in force. [any] */
#ifndef SL_ADMIT_ACCESS_POLICY_H
#define SL_ADMIT_ACCESS_POLICY_H

#include "catalog/acl.h"

#define POLICY_SUPER_USERS_MAX 256u

struct policy {
    uint32_t refs;
    bool enabled;         /* else everybody may do everything */
    bool allow_if_none;   /* no rule is about the resource */
    struct acl **literal; /* by resource and name; references */
    uint32_t literal_count;
    struct acl **prefixed; /* likewise */
    uint32_t prefixed_count;
    uint32_t prefix_sizes[(ACL_NAME_BYTES_MAX + 1) / 32]; /* a bit for each size that there is */
    char **super_users;                                   /* owned; "User:admin" */
    uint32_t super_user_count;
};

/* Somebody, or a resource of his asking. */
struct policy_action {
    struct sl_bytes principal;
    struct sl_bytes host;
    int32_t operation; /* SLUICE_OP_* */
    int32_t resource;  /* SLUICE_ACL_* */
    struct sl_bytes name;
};

/* [takes the references, also on failure; the array stays the caller's] E_NO_MEMORY. */
sl_err policy_new(struct acl **rules, uint32_t count, const char *const *super_users,
                  uint32_t super_user_count, bool enabled, bool allow_if_none,
                  struct policy **ret_policy) SL_MUST_CHECK;
struct policy *policy_ref(struct policy *policy);
struct policy *policy_unref(struct policy *policy); /* NULL is fine; returns NULL */

bool policy_allows(const struct policy *policy, const struct policy_action *action);
/* Whether there is a resource of that kind, of whatever name, that it may do it with. */
bool policy_allows_any(const struct policy *policy, const struct policy_action *action);
/* Whether a rule says no. For principals whose rights are given elsewhere. */
bool policy_denies(const struct policy *policy, const struct policy_action *action);
/* A bit for each operation that makes sense on the resource and is allowed (KIP-430). */
uint32_t policy_operations(const struct policy *policy, const struct policy_action *action);
/* All rules, those of one resource together. */
static inline uint32_t policy_rule_count(const struct policy *policy)
{
    return policy->literal_count + policy->prefixed_count;
}
static inline const struct acl *policy_rule_at(const struct policy *policy, uint32_t index)
{
    return index < policy->literal_count ? policy->literal[index]
                                         : policy->prefixed[index - policy->literal_count];
}

#endif
