/* What access rules say: Kafka's order of deny, allow and default, patterns, hosts, implied
 * operations; and the file form of rules. */
#include "admit/access_policy.h"
#include "admit/acl_file.h"
#include "base/bytes.h"

#include <criterion/criterion.h>
#include <string.h>

#define RULES_MAX 16u

static struct policy *policy_of_text(const char *text, bool allow_if_none)
{
    static const char *const super[] = {"User:admin"};
    struct acl_rules rules;
    char why[ACL_FILE_WHY_BYTES];
    struct policy *policy = NULL;
    sl_err err = acl_file_parse(sl_bytes_of_text(text), &rules, why);
    cr_assert_eq(err, SLUICE_OK, "%s", why);
    err = policy_new(rules.rules, rules.count, super, 1, true, allow_if_none, &policy);
    cr_assert_eq(err, SLUICE_OK);
    sl_free(rules.rules); /* the references are the policy's */
    return policy;
}

static struct policy_action action_of(const char *who, int32_t operation, int32_t resource,
                                      const char *name)
{
    return (struct policy_action){.principal = sl_bytes_of_text(who),
                                  .host = sl_bytes_of_text("10.0.0.1"),
                                  .operation = operation,
                                  .resource = resource,
                                  .name = sl_bytes_of_text(name)};
}

static bool may(const struct policy *policy, const char *who, int32_t operation, const char *topic)
{
    struct policy_action action = action_of(who, operation, SLUICE_ACL_TOPIC, topic);
    return policy_allows(policy, &action);
}

#define RULE(who, operation, resource, allow)                                             \
    "{\"principal\":\"" who "\",\"operation\":\"" operation "\",\"resource\":\"" resource \
    "\",\"allow\":" allow "}"

Test(policy, allows_what_a_rule_names_and_nothing_else)
{
    struct policy *policy = policy_of_text(
        "{\"rules\":[" RULE("User:alice", "Read", "Topic:user-events", "true") "]}", false);
    cr_assert(may(policy, "User:alice", SLUICE_OP_READ, "user-events"));
    cr_assert(may(policy, "User:alice", SLUICE_OP_DESCRIBE, "user-events"), "READ implies it");
    cr_assert(!may(policy, "User:alice", SLUICE_OP_WRITE, "user-events"));
    cr_assert(!may(policy, "User:alice", SLUICE_OP_READ, "user-event"));
    cr_assert(!may(policy, "User:alice", SLUICE_OP_READ, "user-events2"));
    cr_assert(!may(policy, "User:bob", SLUICE_OP_READ, "user-events"));
    cr_assert(may(policy, "User:admin", SLUICE_OP_DELETE, "anything"), "a super user");
    struct policy_action group =
        action_of("User:alice", SLUICE_OP_READ, SLUICE_ACL_GROUP, "user-events");
    cr_assert(!policy_allows(policy, &group));
    policy_unref(policy);
}

Test(policy, deny_wins_over_every_allow)
{
    struct policy *policy =
        policy_of_text("{\"rules\":[" RULE("User:*", "All", "Topic:*", "true") "," RULE(
                           "User:bob", "Write", "Topic:pay-*", "false") "]}",
                       false);
    cr_assert(may(policy, "User:bob", SLUICE_OP_READ, "pay-roll"));
    cr_assert(!may(policy, "User:bob", SLUICE_OP_WRITE, "pay-roll"));
    cr_assert(!may(policy, "User:bob", SLUICE_OP_WRITE, "pay-"));
    cr_assert(may(policy, "User:bob", SLUICE_OP_WRITE, "pay"));
    cr_assert(may(policy, "User:carol", SLUICE_OP_WRITE, "pay-roll"));
    cr_assert(may(policy, "User:bob", SLUICE_OP_DESCRIBE, "pay-roll"), "deny implies nothing");
    policy_unref(policy);
}

Test(policy, the_default_holds_only_where_no_rule_is_about_the_resource)
{
    struct policy *policy =
        policy_of_text("{\"rules\":[" RULE("User:alice", "Read", "Topic:a*", "true") "]}", true);
    cr_assert(may(policy, "User:bob", SLUICE_OP_READ, "b"));
    cr_assert(!may(policy, "User:bob", SLUICE_OP_READ, "ab"));
    policy_unref(policy);
}

Test(policy, a_host_limits_a_rule)
{
    struct policy *policy =
        policy_of_text("{\"rules\":[{\"principal\":\"User:a\",\"operation\":\"read\","
                       "\"resource\":\"topic:t\",\"allow\":true,\"host\":\"10.0.0.1\"},"
                       "{\"principal\":\"User:a\",\"operation\":\"write\",\"resource\":\"topic:t\","
                       "\"allow\":true,\"host\":\"10.0.0.2\"}]}",
                       false);
    cr_assert(may(policy, "User:a", SLUICE_OP_READ, "t"));
    cr_assert(!may(policy, "User:a", SLUICE_OP_WRITE, "t"));
    policy_unref(policy);
}

Test(policy, some_topic_to_write_to_is_found_unless_all_of_them_are_denied)
{
    struct policy_action write = action_of("User:a", SLUICE_OP_WRITE, SLUICE_ACL_TOPIC, "");
    struct policy *policy =
        policy_of_text("{\"rules\":[" RULE("User:a", "Write", "Topic:x", "true") "]}", false);
    cr_assert(policy_allows_any(policy, &write));
    policy_unref(policy);
    policy = policy_of_text("{\"rules\":[" RULE("User:a", "Write", "Topic:xy", "true") "," RULE(
                                "User:a", "Write", "Topic:x*", "false") "]}",
                            false);
    cr_assert(!policy_allows_any(policy, &write));
    policy_unref(policy);
    policy = policy_of_text("{\"rules\":[" RULE("User:a", "Read", "Topic:x", "true") "]}", false);
    cr_assert(!policy_allows_any(policy, &write));
    policy_unref(policy);
}

Test(policy, tells_all_operations_of_a_resource)
{
    struct policy *policy =
        policy_of_text("{\"rules\":[" RULE("User:a", "Read", "Topic:t", "true") "," RULE(
                           "User:a", "AlterConfigs", "Topic:t", "true") "]}",
                       false);
    struct policy_action action = action_of("User:a", 0, SLUICE_ACL_TOPIC, "t");
    cr_assert_eq(policy_operations(policy, &action),
                 1u << SLUICE_OP_READ | 1u << SLUICE_OP_DESCRIBE | 1u << SLUICE_OP_ALTER_CONFIGS |
                     1u << SLUICE_OP_DESCRIBE_CONFIGS);
    policy_unref(policy);
}

Test(acl_file, refuses_what_is_not_a_rule_and_says_which)
{
    static const struct {
        const char *text;
        const char *word;
    } wrong[] = {
        {"", "empty"},
        {"{\"rules\":[}", "JSON"},
        {"{\"rules\":[]} x", "JSON"},
        {"[]", "\"rules\""},
        {"{\"rules\":[],\"other\":1}", "\"rules\""},
        {"{\"rules\":[7]}", "rule 1"},
        {"{\"rules\":[" RULE("User:a", "Read", "Topic:t", "true") "," RULE("User:a", "Reed",
                                                                           "Topic:t", "true") "]}",
         "rule 2: \"Reed\""},
        {"{\"rules\":[" RULE("alice", "Read", "Topic:t", "true") "]}", "User:alice"},
        {"{\"rules\":[" RULE("User:a", "Read", "Table:t", "true") "]}", "Topic:NAME"},
        {"{\"rules\":[" RULE("User:a", "Read", "Topic:", "true") "]}", "Topic:NAME"},
        {"{\"rules\":[" RULE("User:a", "Read", "Topic:t", "1") "]}", "true or false"},
        {"{\"rules\":[" RULE("User:a", "Read", "Cluster", "true") "]}", "does not exist"},
        {"{\"rules\":[{\"principal\":\"User:a\"}]}", "\"operation\" is missing"},
        {"{\"rules\":[{\"principal\":\"User:a\",\"who\":1}]}", "\"who\""},
        {"{\"rules\":[{\"principal\":\"User:a\",\"principal\":\"User:b\"}]}", "twice"},
    };
    for (size_t i = 0; i < SL_COUNT_OF(wrong); i++) {
        struct acl_rules rules;
        char why[ACL_FILE_WHY_BYTES] = "";
        cr_assert_neq(acl_file_parse(sl_bytes_of_text(wrong[i].text), &rules, why), SLUICE_OK, "%s",
                      wrong[i].text);
        cr_assert(strstr(why, wrong[i].word) != NULL, "%s: %s", wrong[i].text, why);
    }
}

Test(acl_file, takes_an_empty_list)
{
    struct acl_rules rules;
    char why[ACL_FILE_WHY_BYTES];
    cr_assert_eq(acl_file_parse(sl_bytes_of_text(" {\"rules\":[]}\n"), &rules, why), SLUICE_OK);
    cr_assert_eq(rules.count, 0);
    acl_rules_fini(&rules);
}
