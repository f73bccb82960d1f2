/* broker_guard_cluster.c: what administrators ask about the cluster (broker_guard.h): by the rules
 * of the cluster; where an epoch ends by those of each topic. */
#include "intake/broker_guard_judge.h"

static void on_partitions_find(const struct sluice_broker *broker,
                               const struct sluice_context *context, int32_t operation,
                               const struct sluice_partition_ref *partitions, uint32_t count,
                               sluice_statuses_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    if (broker_guard_may_cluster(guard, context, operation)) {
        guard->inner->partitions_find(guard->inner, context, operation, partitions, count, done,
                                      arg);
    } else {
        done(arg, SLUICE_E_CLUSTER_AUTHORIZATION, NULL, 0);
    }
}

static void refuse_end(void *to, const void *entry)
{
    (void)entry;
    *(struct sluice_epoch_end *)to = (struct sluice_epoch_end){
        .status = SLUICE_E_TOPIC_AUTHORIZATION, .epoch = -1, .end_offset = -1};
}

static const struct guard_kind epoch_kind = {
    sizeof(struct sluice_epoch_query),
    sizeof(struct sluice_epoch_end),
    offsetof(struct sluice_epoch_query, topic),
    broker_guard_may_topic,
    SLUICE_OP_DESCRIBE,
    refuse_end,
};

static void ends_came(void *arg, const struct sluice_epoch_end *ends, uint32_t count)
{
    struct guarded *guarded = arg;
    uint32_t all = guarded_merge_all(guarded, ends, count);
    guarded->done.epoch_ends(guarded->arg, guarded->results, all);
    guarded_free(guarded);
}

static void on_epoch_ends(const struct sluice_broker *broker, const struct sluice_context *context,
                          const struct sluice_epoch_query *queries, uint32_t count,
                          sluice_epoch_ends_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    struct guarded *guarded = NULL;
    switch (guarded_judge(guard, context, &epoch_kind, queries, count, arg, &guarded)) {
    case GUARD_ALL:
        guard->inner->epoch_ends(guard->inner, context, queries, count, done, arg);
        return;
    case GUARD_NO_MEMORY:
        done(arg, NULL, 0);
        return;
    case GUARD_NONE:
        guarded->done.epoch_ends = done;
        ends_came(guarded, NULL, 0);
        return;
    case GUARD_SOME:
        guarded->done.epoch_ends = done;
        guard->inner->epoch_ends(guard->inner, context, guarded->entries, guarded->allowed_count,
                                 ends_came, guarded);
        return;
    }
}

static void on_log_dirs(const struct sluice_broker *broker, const struct sluice_context *context,
                        const struct sluice_partition_ref *partitions, uint32_t count,
                        sluice_log_dirs_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    if (broker_guard_may_cluster(guard, context, SLUICE_OP_DESCRIBE)) {
        guard->inner->log_dirs(guard->inner, context, partitions, count, done, arg);
    } else {
        done(arg, SLUICE_E_CLUSTER_AUTHORIZATION, NULL, 0);
    }
}

static void on_quorum(const struct sluice_broker *broker, const struct sluice_context *context,
                      sluice_quorum_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    if (broker_guard_may_cluster(guard, context, SLUICE_OP_DESCRIBE)) {
        guard->inner->quorum(guard->inner, context, done, arg);
    } else {
        done(arg, &(struct sluice_quorum){.size = sizeof(struct sluice_quorum),
                                          .status = SLUICE_E_CLUSTER_AUTHORIZATION});
    }
}

static void on_features_update(const struct sluice_broker *broker,
                               const struct sluice_context *context,
                               const struct sluice_feature_update *updates, uint32_t count,
                               bool validate_only, sluice_text_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    if (broker_guard_may_cluster(guard, context, SLUICE_OP_ALTER)) {
        guard->inner->features_update(guard->inner, context, updates, count, validate_only, done,
                                      arg);
    } else {
        done(arg, SLUICE_E_CLUSTER_AUTHORIZATION, sluice_text_of(""));
    }
}

void broker_guard_cluster_init(struct sluice_broker *table)
{
    table->partitions_find = on_partitions_find;
    table->epoch_ends = on_epoch_ends;
    table->log_dirs = on_log_dirs;
    table->quorum = on_quorum;
    table->features_update = on_features_update;
}
