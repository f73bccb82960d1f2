/* consumer_group_classic.c: groups that change their protocol while they work.
 *
 * A group with members speaks one of both: who comes with the other one is refused. An empty group
 * becomes what the first member speaks. */
#include "deliver/consumer_group.h"

#include <stdio.h>

bool consumer_group_may_downgrade(const struct consumer_groups *groups,
                                  const struct consumer_group *group,
                                  const struct consumer_member *leaving)
{
    (void)groups;
    (void)group;
    (void)leaving;
    return false;
}

sl_err consumer_group_downgrade(struct consumer_groups *groups, struct consumer_group *group,
                                const struct consumer_member *leaving)
{
    (void)groups;
    (void)group;
    (void)leaving;
    return SLUICE_E_UNSUPPORTED;
}

sl_err consumer_group_upgrade(struct consumer_groups *groups, struct sl_bytes name,
                              struct consumer_group **ret_group,
                              char ret_message[CONSUMER_GROUP_MESSAGE_BYTES])
{
    (void)groups;
    (void)ret_group;
    snprintf(ret_message, CONSUMER_GROUP_MESSAGE_BYTES, "Group %.*s is not a consumer group.",
             (int)SL_MIN(name.size, (size_t)200), (const char *)name.data);
    return SLUICE_E_GROUP_NOT_FOUND;
}
