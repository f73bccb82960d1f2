/* broker_guard_streams.c: who may be a member of a Streams application's group, and who may see
 * such a group (broker_guard.h).
 *
 * A member may read the group and describe all topics of its topology, as in Kafka; the topics that
 * are missing it makes itself (topics_create), and so is judged for that. A description that names
 * a topic which the asker may not describe is refused as a whole. */
#include "intake/broker_guard_judge.h"

static bool may_topic(struct broker_guard *guard, const struct sluice_context *context,
                      struct sluice_text name)
{
    return broker_guard_allows(guard, context, SLUICE_OP_DESCRIBE, SLUICE_ACL_TOPIC, name);
}

static bool may_texts(struct broker_guard *guard, const struct sluice_context *context,
                      const struct sluice_text *names, uint32_t count)
{
    bool may = true;
    for (uint32_t i = 0; i < count && may; i++) {
        may = may_topic(guard, context, names[i]);
    }
    return may;
}

static bool may_topics(struct broker_guard *guard, const struct sluice_context *context,
                       const struct sluice_streams_topic *topics, uint32_t count)
{
    bool may = true;
    for (uint32_t i = 0; i < count && may; i++) {
        may = may_topic(guard, context, topics[i].name);
    }
    return may;
}

static bool may_topology(struct broker_guard *guard, const struct sluice_context *context,
                         const struct sluice_streams_topology *topology)
{
    bool may = true;
    for (uint32_t i = 0; topology != NULL && i < topology->subtopology_count && may; i++) {
        const struct sluice_streams_subtopology *sub = &topology->subtopologies[i];
        may = may_texts(guard, context, sub->sources, sub->source_count) &&
              may_texts(guard, context, sub->sinks, sub->sink_count) &&
              may_topics(guard, context, sub->repartitions, sub->repartition_count) &&
              may_topics(guard, context, sub->changelogs, sub->changelog_count);
    }
    return may;
}

static void on_heartbeat(const struct sluice_broker *broker, const struct sluice_context *context,
                         const struct sluice_streams_heartbeat *request,
                         sluice_streams_heartbeat_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    struct sluice_streams_heartbeat_answer refused = {.size = sizeof(refused)};
    if (!broker_guard_may_group(guard, context, SLUICE_OP_READ, request->group)) {
        refused.status = SLUICE_E_GROUP_AUTHORIZATION;
    } else if (!may_topology(guard, context, request->topology)) {
        refused.status = SLUICE_E_TOPIC_AUTHORIZATION;
    }
    if (refused.status == SLUICE_OK) {
        guard->inner->streams_group_heartbeat(guard->inner, context, request, done, arg);
        return;
    }
    done(arg, &refused);
}

static void described(void *arg, const struct sluice_streams_group_info *info)
{
    struct guarded *guarded = arg;
    bool allowed = may_topology(guarded->guard, &guarded->context, info->topology);
    const struct sluice_streams_group_info refused = {
        .size = sizeof(refused),
        .status = SLUICE_E_TOPIC_AUTHORIZATION,
        .message = sluice_text_of("The described group uses topics that the client is not "
                                  "authorized to describe."),
        .group = info->group};
    guarded->done.streams_group(guarded->arg, allowed ? info : &refused);
    guarded_free(guarded);
}

static void on_describe(const struct sluice_broker *broker, const struct sluice_context *context,
                        struct sluice_text group, sluice_streams_group_info_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    struct sluice_streams_group_info refused = {
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
    guarded->done.streams_group = done;
    guard->inner->streams_group_describe(guard->inner, context, group, described, guarded);
}

void broker_guard_streams_init(struct sluice_broker *table)
{
    table->streams_group_heartbeat = on_heartbeat;
    table->streams_group_describe = on_describe;
}
