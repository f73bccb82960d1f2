/* authorizer.c: see authorizer.h. */
#include "admit/authorizer.h"

#include "base/bytes.h"
#include "base/text.h"
#include "catalog/topic_name.h"

#include <stdio.h>

static sl_err refuse(const struct topic_capability *capability, struct sl_bytes topic,
                     const char *why, char *ret_reason)
{
    /* What a plugin emits may hold anything: only what can be a name is shown. */
    const char *ignored = "";
    bool shown = topic_name_check(topic, true, &ignored) == SLUICE_OK;
    snprintf(ret_reason, AUTHORIZER_REASON_BYTES, "%.80s may not write to topic %.*s: %s",
             capability->principal != NULL ? capability->principal : "the plugin",
             shown ? (int)SL_MIN(topic.size, (size_t)100) : 1,
             shown ? (const char *)topic.data : "?", why);
    return SLUICE_E_PERMISSION;
}

static bool is_granted(const struct topic_capability *capability, struct sl_bytes topic)
{
    if (sl_bytes_equal(topic, capability->own)) {
        return true;
    }
    for (uint32_t i = 0; i < capability->topic_count; i++) {
        if (sl_bytes_equal(topic, sl_bytes_of_text(capability->topics[i]))) {
            return true;
        }
    }
    return capability->any && !topic_name_is_reserved(topic);
}

static bool is_denied(const struct topic_capability *capability, struct sl_bytes topic)
{
    if (capability->policy == NULL) {
        return false;
    }
    struct policy_action action = {.principal = sl_bytes_of_text(capability->principal),
                                   .operation = SLUICE_OP_WRITE,
                                   .resource = SLUICE_ACL_TOPIC,
                                   .name = topic};
    return policy_denies(capability->policy, &action);
}

sl_err authorizer_write(const struct topic_capability *capability, struct sl_bytes topic,
                        char ret_reason[AUTHORIZER_REASON_BYTES])
{
    const char *why = "";
    if (topic_name_check(topic, false, &why) != SLUICE_OK) {
        return refuse(capability, topic, "internal, or not a valid name", ret_reason);
    }
    if (!is_granted(capability, topic)) {
        return refuse(capability, topic, "it is not granted, neither as its output nor in outputs",
                      ret_reason);
    }
    return is_denied(capability, topic)
               ? refuse(capability, topic, "an access rule denies it", ret_reason)
               : SLUICE_OK;
}
