/* consumer_own.c: see consumer_own.h. */
#include "shard/consumer_own.h"

#include "admit/access_policy.h"
#include "shard/shard.h"

static void own_config(void *arg, struct sl_bytes group, struct consumer_group_own *ret_own)
{
    const struct shard *shard = arg;
    const struct share_owner_group *found = share_store_group(&shard->shares, group);
    if (found != NULL) {
        const int64_t *values = found->settings.values;
        ret_own->session_timeout_ms = (int32_t)values[SHARE_CONFIG_consumer_session_ms];
        ret_own->heartbeat_interval_ms = (int32_t)values[SHARE_CONFIG_consumer_heartbeat_ms];
        ret_own->assignment_interval_ms = (int32_t)values[SHARE_CONFIG_consumer_assignment_ms];
    }
}

static bool may_describe(void *arg, struct sl_bytes principal, struct sl_bytes host,
                         struct sl_bytes topic)
{
    const struct shard *shard = arg;
    return shard->policy == NULL ||
           policy_allows(shard->policy, &(struct policy_action){.principal = principal,
                                                                .host = host,
                                                                .operation = SLUICE_OP_DESCRIBE,
                                                                .resource = SLUICE_ACL_TOPIC,
                                                                .name = topic});
}

void consumer_own_init(struct shard *shard, struct consumer_groups *groups)
{
    consumer_groups_ask(groups, &(struct consumer_group_asks){own_config, may_describe, shard});
}

/* The rules that were seen last are held, so that others cannot be in their place. */
uint64_t consumer_own_rules(struct shard *shard)
{
    struct consumer_desk *desk = &shard->consumers;
    struct policy *now = (struct policy *)(uintptr_t)shard->policy;
    if (now != desk->rules) {
        policy_unref(desk->rules);
        desk->rules = now == NULL ? NULL : policy_ref(now);
        desk->rules_seen++;
    }
    return desk->rules_seen;
}

void consumer_own_fini(struct shard *shard)
{
    shard->consumers.rules = policy_unref(shard->consumers.rules);
}
