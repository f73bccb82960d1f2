/* acl_file.h: access rules out of a JSON text:
 *
 *   {"rules":[{"principal":"User:alice","operation":"Read","resource":"Topic:user-events",
 *              "allow":true}, …]}
 *
 * resource is Topic, Group, TransactionalId, Cluster, DelegationToken or User, a colon and a name;
 * a name that ends in '*' is a prefix, "*" alone is every name, Cluster needs no name. "host" may
 * name an address. Operations are Kafka's names, in any case: Read, Write, Create, Delete, Alter,
 * Describe, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite, All. Other members are
 * errors. [any] */
#ifndef SL_ADMIT_ACL_FILE_H
#define SL_ADMIT_ACL_FILE_H

#include "catalog/acl.h"

#define ACL_FILE_BYTES_MAX (4u << 20)
#define ACL_FILE_RULES_MAX 10000u
#define ACL_FILE_WHY_BYTES 320u

struct acl_rules {
    struct acl **rules; /* references; owned, as the array is */
    uint32_t count;
};
void acl_rules_fini(struct acl_rules *rules);

/* E_CONFIG_SYNTAX, E_CONFIG_VALUE with a sentence that names the rule; E_NO_MEMORY. */
sl_err acl_file_parse(struct sl_bytes text, struct acl_rules *ret_rules,
                      char ret_why[ACL_FILE_WHY_BYTES]) SL_MUST_CHECK;

/* "Read" ↔ SLUICE_OP_READ, "Topic:user-" … for commands; 0, NULL: none of that name. */
int32_t acl_operation_number(const char *name);
const char *acl_operation_name(int32_t operation);
const char *acl_resource_name(int32_t resource);
/* The name of an operation, or of a kind of resource, that is most like the word, in any case;
 * NULL: none is. */
const char *acl_operation_nearest(const char *word);
const char *acl_resource_nearest(const char *word);
/* "Topic:user-*" into resource, pattern and a view of the name. False: it is not one. */
bool acl_resource_parse(const char *text, struct sluice_acl *rule);

#endif
