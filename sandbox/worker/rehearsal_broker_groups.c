/* rehearsal_broker_groups.c: consumer groups of the classic protocol, made up (rehearsal_broker.h).
 */
#include "rehearsal_broker.h"

static void end_joined(struct stage *stage, const struct stage_call *call, void *results,
                       sluice_status status)
{
    static const struct sluice_group_member member = {
        .id = {"member-1", 8}, .instance = {NULL, 0}, .metadata = {(const uint8_t *)"m", 1}};
    const struct sluice_group_joined joined = {.status = status,
                                               .generation = 3,
                                               .protocol_type = {"consumer", 8},
                                               .protocol = {"range", 5},
                                               .leader = {"member-1", 8},
                                               .member = {"member-1", 8},
                                               .member_count = stage_draw(stage, 2),
                                               .members = &member};

    (void)results;
    DONE(sluice_group_joined_done)(call->arg, &joined);
}

static const struct rehearsal_kind joined_kind = KIND("group_join", end_joined, 0);

static void end_synced(struct stage *stage, const struct stage_call *call, void *results,
                       sluice_status status)
{
    const struct sluice_group_synced synced = {.status = status,
                                               .protocol_type = {"consumer", 8},
                                               .protocol = {"range", 5},
                                               .assignment = {(const uint8_t *)"a", 1}};

    (void)stage;
    (void)results;
    DONE(sluice_group_synced_done)(call->arg, &synced);
}

static const struct rehearsal_kind synced_kind = KIND("group_sync", end_synced, 0);

static void end_groups(struct stage *stage, const struct stage_call *call, void *results,
                       sluice_status status)
{
    static const struct sluice_group_summary group = {.group = {"rehearsal", 9},
                                                      .protocol_type = {"consumer", 8},
                                                      .state = {"Stable", 6},
                                                      .type = {"classic", 7}};

    (void)stage;
    (void)results;
    DONE(sluice_groups_done)(call->arg, status, &group, status == SLUICE_OK ? 1 : 0);
}

static const struct rehearsal_kind groups_kind = KIND("groups", end_groups, 0);

static void end_group_info(struct stage *stage, const struct stage_call *call, void *results,
                           sluice_status status)
{
    static const struct sluice_group_member_info member = {
        .id = {"member-1", 8},
        .client_id = {"client", 6},
        .client_host = {"127.0.0.1", 9},
        .metadata = {(const uint8_t *)"\0\1\0\0\0\1\0\1t\377\377\377\377", 13},
        .assignment = {(const uint8_t *)"a", 1}};
    const struct sluice_group_info info = {.size = sizeof(info),
                                           .status = status,
                                           .group = {"rehearsal", 9},
                                           .state = {"Stable", 6},
                                           .protocol_type = {"consumer", 8},
                                           .protocol = {"range", 5},
                                           .member_count = status == SLUICE_OK ? 1 : 0,
                                           .members = &member};

    (void)stage;
    (void)results;
    DONE(sluice_group_info_done)(call->arg, &info);
}

static const struct rehearsal_kind group_info_kind = KIND("group_describe", end_group_info, 0);

/* ---- calls ---- */

CALL(group_join, const struct sluice_group_join *request, sluice_group_joined_done *done, void *arg)
{
    stage_read(request->group.data, request->group.size);
    stage_read(request->member.data, request->member.size);
    ASK(joined_kind, 1);
}

CALL(group_sync, const struct sluice_group_sync *request, sluice_group_synced_done *done, void *arg)
{
    stage_read(request->group.data, request->group.size);
    ASK(synced_kind, 1);
}

CALL(group_heartbeat, const struct sluice_group_identity *request, sluice_status_done *done,
     void *arg)
{
    stage_read(request->group.data, request->group.size);
    ASK(rehearsal_status_kind, 1);
}

CALL(group_leave, const struct sluice_group_leave *request, sluice_statuses_done *done, void *arg)
{
    ASK(rehearsal_statuses_kind, request->entry_count);
}

CALL(groups, sluice_groups_done *done, void *arg)
{
    ASK(groups_kind, 1);
}

CALL(group_describe, struct sluice_text group, sluice_group_info_done *done, void *arg)
{
    stage_read(group.data, group.size);
    ASK(group_info_kind, 1);
}

CALL(group_delete, struct sluice_text group, sluice_status_done *done, void *arg)
{
    stage_read(group.data, group.size);
    ASK(rehearsal_status_kind, 1);
}

void rehearsal_groups_init(struct sluice_broker *table)
{
    table->group_join = on_group_join;
    table->group_sync = on_group_sync;
    table->group_heartbeat = on_group_heartbeat;
    table->group_leave = on_group_leave;
    table->groups = on_groups;
    table->group_describe = on_group_describe;
    table->group_delete = on_group_delete;
}
