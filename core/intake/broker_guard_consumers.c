/* broker_guard_consumers.c: who may be a member of a group whose partitions the broker assigns, and
 * who may see such a group (broker_guard.h).
 *
 * A member may read the group and describe the topics it names, as in Kafka. What a pattern matches
 * is told by ids only, which tell nothing to who may not describe the topic; it cannot be read
 * either. A description that names a topic which the asker may not describe is refused as a whole.
 */
#include "intake/broker_guard_judge.h"

#include <string.h>

static void on_heartbeat(const struct sluice_broker *broker, const struct sluice_context *context,
                         const struct sluice_consumer_heartbeat *request,
                         sluice_consumer_heartbeat_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    sluice_status status = SLUICE_OK;
    if (!broker_guard_may_group(guard, context, SLUICE_OP_READ, request->group)) {
        status = SLUICE_E_GROUP_AUTHORIZATION;
    }
    for (uint32_t i = 0; i < request->topic_count && status == SLUICE_OK; i++) {
        if (!broker_guard_allows(guard, context, SLUICE_OP_DESCRIBE, SLUICE_ACL_TOPIC,
                                 request->topics[i])) {
            status = SLUICE_E_TOPIC_AUTHORIZATION;
        }
    }
    if (status == SLUICE_OK) {
        guard->inner->consumer_group_heartbeat(guard->inner, context, request, done, arg);
        return;
    }
    const struct sluice_consumer_heartbeat_answer refused = {.size = sizeof(refused),
                                                             .status = status};
    done(arg, &refused);
}

static bool may_see(const struct guarded *guarded, const struct sluice_described_partition *all,
                    uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        bool is_next = i > 0 && memcmp(all[i].topic.bytes, all[i - 1].topic.bytes,
                                       sizeof(all[i].topic.bytes)) == 0;
        if (!is_next && all[i].name.size > 0 &&
            !broker_guard_allows(guarded->guard, &guarded->context, SLUICE_OP_DESCRIBE,
                                 SLUICE_ACL_TOPIC, all[i].name)) {
            return false;
        }
    }
    return true;
}

static bool may_see_member(const struct guarded *guarded,
                           const struct sluice_consumer_member_info *member)
{
    for (uint32_t i = 0; i < member->topic_count; i++) {
        if (!broker_guard_allows(guarded->guard, &guarded->context, SLUICE_OP_DESCRIBE,
                                 SLUICE_ACL_TOPIC, member->topics[i])) {
            return false;
        }
    }
    return may_see(guarded, member->assigned, member->assigned_count) &&
           may_see(guarded, member->target, member->target_count);
}

static void described(void *arg, const struct sluice_consumer_group_info *info)
{
    struct guarded *guarded = arg;
    bool allowed = true;
    for (uint32_t i = 0; i < info->member_count && allowed; i++) {
        allowed = may_see_member(guarded, &info->members[i]);
    }
    const struct sluice_consumer_group_info refused = {
        .size = sizeof(refused),
        .status = SLUICE_E_TOPIC_AUTHORIZATION,
        .message = sluice_text_of("The group has described topic(s) that the client is not "
                                  "authorized to describe."),
        .group = info->group};
    guarded->done.consumer_group(guarded->arg, allowed ? info : &refused);
    guarded_free(guarded);
}

static void on_describe(const struct sluice_broker *broker, const struct sluice_context *context,
                        struct sluice_text group, sluice_consumer_group_info_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    struct sluice_consumer_group_info refused = {
        .size = sizeof(refused), .status = SLUICE_E_GROUP_AUTHORIZATION, .group = group};
    if (!broker_guard_may_group(guard, context, SLUICE_OP_DESCRIBE, group)) {
        done(arg, &refused);
        return;
    }
    struct guarded *guarded = guarded_later(guard, context, arg);
    if (guarded == NULL) {
        refused.status = SLUICE_E_NO_MEMORY;
        done(arg, &refused);
        return;
    }
    guarded->done.consumer_group = done;
    guard->inner->consumer_group_describe(guard->inner, context, group, described, guarded);
}

void broker_guard_consumers_init(struct sluice_broker *table)
{
    table->consumer_group_heartbeat = on_heartbeat;
    table->consumer_group_describe = on_describe;
}
