/* broker_guard_configs.c: who may see and change configurations (broker_guard.h): of a topic by
 * the topic's rules, of a group by the group's, of the broker and client metrics by the cluster's.
 */
#include "intake/broker_guard_judge.h"

static bool may_config(struct broker_guard *guard, const struct sluice_context *context,
                       int32_t resource, struct sluice_text name, int32_t operation)
{
    if (resource == SLUICE_RESOURCE_GROUP) {
        return broker_guard_may_group(guard, context, operation, name);
    }
    return resource == SLUICE_RESOURCE_TOPIC
               ? broker_guard_allows(guard, context, operation, SLUICE_ACL_TOPIC, name)
               : broker_guard_may_cluster(guard, context, operation);
}

static sluice_status refusal_of(int32_t resource)
{
    return resource == SLUICE_RESOURCE_TOPIC   ? SLUICE_E_TOPIC_AUTHORIZATION
           : resource == SLUICE_RESOURCE_GROUP ? SLUICE_E_GROUP_AUTHORIZATION
                                               : SLUICE_E_CLUSTER_AUTHORIZATION;
}

/* ---- changes ---- */

static bool may_alter(struct broker_guard *guard, const struct sluice_context *context,
                      const void *named, int32_t operation)
{
    const struct sluice_config_alter *alter = named;
    return may_config(guard, context, alter->resource, alter->name, operation);
}

static void refuse_alter(void *to, const void *entry)
{
    const struct sluice_config_alter *alter = entry;
    *(struct sluice_topic_result *)to =
        (struct sluice_topic_result){.status = refusal_of(alter->resource),
                                     .partition_count = -1,
                                     .name = alter->name,
                                     .replication_factor = -1};
}

static const struct guard_kind alter_kind = {
    sizeof(struct sluice_config_alter),
    sizeof(struct sluice_topic_result),
    0,
    may_alter,
    SLUICE_OP_ALTER_CONFIGS,
    refuse_alter,
};

static void on_configs_alter(const struct sluice_broker *broker,
                             const struct sluice_context *context,
                             const struct sluice_config_alter *alters, uint32_t count,
                             bool validate_only, sluice_topic_results_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    struct guard_change change = {alters, count, done, arg};
    if (guard_change_judge(guard, context, &alter_kind, &change)) {
        guard->inner->configs_alter(guard->inner, context, change.entries, change.count,
                                    validate_only, change.done, change.arg);
    }
}

/* ---- descriptions ---- */

static void refuse_description(int32_t resource, struct sluice_text name, sluice_config_done *done,
                               void *arg)
{
    const struct sluice_config_result result = {
        .status = refusal_of(resource), .resource = resource, .name = name};
    done(arg, &result);
}

static void on_configs_describe(const struct sluice_broker *broker,
                                const struct sluice_context *context, int32_t resource,
                                struct sluice_text name, sluice_config_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    if (may_config(guard, context, resource, name, SLUICE_OP_DESCRIBE_CONFIGS)) {
        guard->inner->configs_describe(guard->inner, context, resource, name, done, arg);
    } else {
        refuse_description(resource, name, done, arg);
    }
}

static void on_configs_preview(const struct sluice_broker *broker,
                               const struct sluice_context *context,
                               const struct sluice_topic_spec *spec, sluice_config_done *done,
                               void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    if (may_config(guard, context, SLUICE_RESOURCE_TOPIC, spec->name, SLUICE_OP_DESCRIBE_CONFIGS)) {
        guard->inner->configs_preview(guard->inner, context, spec, done, arg);
    } else {
        refuse_description(SLUICE_RESOURCE_TOPIC, spec->name, done, arg);
    }
}

static void on_config_names(const struct sluice_broker *broker,
                            const struct sluice_context *context, int32_t resource,
                            sluice_names_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    if (broker_guard_may_cluster(guard, context, SLUICE_OP_DESCRIBE_CONFIGS)) {
        guard->inner->config_names(guard->inner, context, resource, done, arg);
    } else {
        done(arg, SLUICE_E_CLUSTER_AUTHORIZATION, NULL, 0);
    }
}

void broker_guard_configs_init(struct sluice_broker *table)
{
    table->configs_describe = on_configs_describe;
    table->configs_preview = on_configs_preview;
    table->configs_alter = on_configs_alter;
    table->config_names = on_config_names;
}
