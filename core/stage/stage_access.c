/* stage_access.c: see stage_access.h. */
#include "stage/stage_access.h"

#include "admit/access_policy.h"
#include "base/bytes.h"

bool stage_access_denies(const struct output_rules *rules, int32_t operation, struct sl_bytes topic)
{
    const struct policy *policy = rules->shard->policy;
    return policy != NULL &&
           policy_denies(policy, &(struct policy_action){
                                     .principal = sl_bytes_of_text(rules->principal),
                                     .operation = operation,
                                     .resource = SLUICE_ACL_TOPIC,
                                     .name = topic,
                                 });
}
