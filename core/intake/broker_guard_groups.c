/* broker_guard_groups.c: who may be a member of a group, and who may see and delete groups
 * (broker_guard.h). */
#include "intake/broker_guard_judge.h"

/* ---- members ---- */

static void on_group_join(const struct sluice_broker *broker, const struct sluice_context *context,
                          const struct sluice_group_join *request, sluice_group_joined_done *done,
                          void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    if (broker_guard_may_group(guard, context, SLUICE_OP_READ, request->group)) {
        guard->inner->group_join(guard->inner, context, request, done, arg);
        return;
    }
    const struct sluice_group_joined refused = {.status = SLUICE_E_GROUP_AUTHORIZATION,
                                                .generation = -1,
                                                .leader = {"", 0},
                                                .member = request->member};
    done(arg, &refused);
}

static void on_group_sync(const struct sluice_broker *broker, const struct sluice_context *context,
                          const struct sluice_group_sync *request, sluice_group_synced_done *done,
                          void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    if (broker_guard_may_group(guard, context, SLUICE_OP_READ, request->group)) {
        guard->inner->group_sync(guard->inner, context, request, done, arg);
        return;
    }
    const struct sluice_group_synced refused = {.status = SLUICE_E_GROUP_AUTHORIZATION,
                                                .assignment = {(const uint8_t *)"", 0}};
    done(arg, &refused);
}

static void on_group_heartbeat(const struct sluice_broker *broker,
                               const struct sluice_context *context,
                               const struct sluice_group_identity *request,
                               sluice_status_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    if (broker_guard_may_group(guard, context, SLUICE_OP_READ, request->group)) {
        guard->inner->group_heartbeat(guard->inner, context, request, done, arg);
    } else {
        done(arg, SLUICE_E_GROUP_AUTHORIZATION);
    }
}

static void on_group_leave(const struct sluice_broker *broker, const struct sluice_context *context,
                           const struct sluice_group_leave *request, sluice_statuses_done *done,
                           void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    if (broker_guard_may_group(guard, context, SLUICE_OP_READ, request->group)) {
        guard->inner->group_leave(guard->inner, context, request, done, arg);
    } else {
        done(arg, SLUICE_E_GROUP_AUTHORIZATION, NULL, 0);
    }
}

/* ---- groups as an administrator sees them ---- */

static void groups_listed(void *arg, sluice_status status,
                          const struct sluice_group_summary *groups, uint32_t count)
{
    struct guarded *guarded = arg;
    struct sluice_group_summary *seen = sl_alloc_zero(count + 1u, sizeof(*seen));
    uint32_t seen_count = 0;
    status = seen == NULL ? SLUICE_E_NO_MEMORY : status;
    for (uint32_t i = 0; status == SLUICE_OK && i < count; i++) {
        if (broker_guard_may_group(guarded->guard, &guarded->context, SLUICE_OP_DESCRIBE,
                                   groups[i].group)) {
            seen[seen_count++] = groups[i];
        }
    }
    guarded->done.groups(guarded->arg, status, seen, seen_count);
    sl_free(seen);
    guarded_free(guarded);
}

/* All, or those that the asker may describe. */
static void on_groups(const struct sluice_broker *broker, const struct sluice_context *context,
                      sluice_groups_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    if (broker_guard_may_cluster(guard, context, SLUICE_OP_DESCRIBE)) {
        guard->inner->groups(guard->inner, context, done, arg);
        return;
    }
    struct guarded *guarded = guarded_later(guard, context, arg);
    if (guarded == NULL) {
        done(arg, SLUICE_E_NO_MEMORY, NULL, 0);
        return;
    }
    guarded->done.groups = done;
    guard->inner->groups(guard->inner, context, groups_listed, guarded);
}

static void on_group_describe(const struct sluice_broker *broker,
                              const struct sluice_context *context, struct sluice_text group,
                              sluice_group_info_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    if (broker_guard_may_group(guard, context, SLUICE_OP_DESCRIBE, group)) {
        guard->inner->group_describe(guard->inner, context, group, done, arg);
        return;
    }
    const struct sluice_group_info refused = {
        .size = sizeof(refused), .status = SLUICE_E_GROUP_AUTHORIZATION, .group = group};
    done(arg, &refused);
}

static void on_group_delete(const struct sluice_broker *broker,
                            const struct sluice_context *context, struct sluice_text group,
                            sluice_status_done *done, void *arg)
{
    struct broker_guard *guard = broker_guard_of(broker);
    if (broker_guard_may_group(guard, context, SLUICE_OP_DELETE, group)) {
        guard->inner->group_delete(guard->inner, context, group, done, arg);
    } else {
        done(arg, SLUICE_E_GROUP_AUTHORIZATION);
    }
}

void broker_guard_groups_init(struct sluice_broker *table)
{
    table->group_join = on_group_join;
    table->group_sync = on_group_sync;
    table->group_heartbeat = on_group_heartbeat;
    table->group_leave = on_group_leave;
    table->groups = on_groups;
    table->group_describe = on_group_describe;
    table->group_delete = on_group_delete;
}
