/* test_authorizer.c: where a plugin may write, and the sentence when it may not. */
#include "admit/acl_file.h"
#include "admit/authorizer.h"
#include "base/bytes.h"

#include <criterion/criterion.h>
#include <string.h>

static sl_err write_as(bool any, const struct policy *policy, const char *topic, char *ret_reason)
{
    static const char *const topics[] = {"audit", "alerts"};
    const struct topic_capability capability = {.principal = "Plugin:mask",
                                                .own = sl_bytes_of_text("orders.masked"),
                                                .topics = topics,
                                                .topic_count = 2,
                                                .any = any,
                                                .policy = policy};
    return authorizer_write(&capability, sl_bytes_of_text(topic), ret_reason);
}

static sl_err write_to(bool any, const char *topic, char *ret_reason)
{
    return write_as(any, NULL, topic, ret_reason);
}

static sl_err write_under(const struct policy *policy, const char *topic, char *ret_reason)
{
    return write_as(false, policy, topic, ret_reason);
}

Test(authorizer, a_plugin_writes_to_its_output_and_what_is_granted)
{
    char reason[AUTHORIZER_REASON_BYTES] = "";
    cr_expect_eq(write_to(false, "orders.masked", reason), SLUICE_OK);
    cr_expect_eq(write_to(false, "alerts", reason), SLUICE_OK);
    cr_expect_eq(write_to(true, "anywhere", reason), SLUICE_OK);
    cr_expect_str_eq(reason, "");
}

Test(authorizer, a_rule_that_denies_takes_away_what_is_granted)
{
    char reason[AUTHORIZER_REASON_BYTES] = "";
    struct acl_rules rules;
    char why[ACL_FILE_WHY_BYTES];
    struct policy *policy = NULL;
    static const char text[] = "{\"rules\":[{\"principal\":\"Plugin:mask\",\"operation\":\"Write\","
                               "\"resource\":\"Topic:alerts\",\"allow\":false}]}";
    cr_assert_eq(acl_file_parse(sl_bytes_of_text(text), &rules, why), SLUICE_OK, "%s", why);
    cr_assert_eq(policy_new(rules.rules, rules.count, NULL, 0, true, false, &policy), SLUICE_OK);
    sl_free(rules.rules); /* the references are the policy's */
    cr_expect_eq(write_under(policy, "orders.masked", reason), SLUICE_OK);
    cr_expect_eq(write_under(policy, "alerts", reason), SLUICE_E_PERMISSION);
    cr_expect_str_eq(reason, "Plugin:mask may not write to topic alerts: an access rule denies it");
    policy_unref(policy);
}

Test(authorizer, elsewhere_is_refused_by_name_and_internal_topics_always)
{
    char reason[AUTHORIZER_REASON_BYTES] = "";
    cr_expect_eq(write_to(false, "secrets", reason), SLUICE_E_PERMISSION);
    cr_expect_str_eq(reason, "Plugin:mask may not write to topic secrets: it is not granted, "
                             "neither as its output nor in outputs");
    cr_expect_eq(write_to(false, "audit2", reason), SLUICE_E_PERMISSION);
    cr_expect_eq(write_to(true, "__sluice_dlq.mask", reason), SLUICE_E_PERMISSION);
    cr_expect(strstr(reason, "internal") != NULL);
    cr_expect_eq(write_to(true, "a\nb", reason), SLUICE_E_PERMISSION);
    cr_expect(strstr(reason, "\n") == NULL, "%s", reason);
}
