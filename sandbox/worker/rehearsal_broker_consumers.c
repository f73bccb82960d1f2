/* rehearsal_broker_consumers.c: consumer groups whose partitions the broker assigns, made up
 * (rehearsal_broker.h). */
#include "rehearsal_broker.h"

static void end_consumer_heartbeat(struct stage *stage, const struct stage_call *call,
                                   void *results, sluice_status status)
{
    static const struct sluice_assigned_partition partition = {.topic = {{1}}, .partition = 1};
    const struct sluice_consumer_heartbeat_answer answer = {.size = sizeof(answer),
                                                            .status = status,
                                                            .member = {"member-1", 8},
                                                            .member_epoch = 3,
                                                            .heartbeat_interval_ms = 5000,
                                                            .has_assignment = status == SLUICE_OK,
                                                            .partition_count =
                                                                status == SLUICE_OK ? 1 : 0,
                                                            .partitions = &partition};

    (void)stage;
    (void)results;
    DONE(sluice_consumer_heartbeat_done)(call->arg, &answer);
}

static const struct rehearsal_kind consumer_heartbeat_kind =
    KIND("consumer_group_heartbeat", end_consumer_heartbeat, 0);

static void end_consumer_group(struct stage *stage, const struct stage_call *call, void *results,
                               sluice_status status)
{
    static const struct sluice_described_partition partition = {
        .topic = {{1}}, .name = {"rehearsed", 9}, .partition = 1};
    static const struct sluice_consumer_member_info member = {.id = {"member-1", 8},
                                                              .client_id = {"client", 6},
                                                              .client_host = {"127.0.0.1", 9},
                                                              .epoch = 3,
                                                              .topic_count = 1,
                                                              .assigned_count = 1,
                                                              .target_count = 1,
                                                              .topics = &rehearsal_topic,
                                                              .assigned = &partition,
                                                              .target = &partition};
    const struct sluice_consumer_group_info info = {.size = sizeof(info),
                                                    .status = status,
                                                    .group = {"rehearsal", 9},
                                                    .state = {"Stable", 6},
                                                    .assignor = {"uniform", 7},
                                                    .epoch = 3,
                                                    .assignment_epoch = 3,
                                                    .member_count = status == SLUICE_OK ? 1 : 0,
                                                    .members = &member};

    (void)stage;
    (void)results;
    DONE(sluice_consumer_group_info_done)(call->arg, &info);
}

static const struct rehearsal_kind consumer_group_kind =
    KIND("consumer_group_describe", end_consumer_group, 0);

/* ---- calls ---- */

CALL(consumer_group_heartbeat, const struct sluice_consumer_heartbeat *request,
     sluice_consumer_heartbeat_done *done, void *arg)
{
    stage_read(request->group.data, request->group.size);
    stage_read(request->member.data, request->member.size);
    for (uint32_t i = 0; i < request->topic_count; i++) {
        stage_read(request->topics[i].data, request->topics[i].size);
    }
    stage_read(request->owned, request->owned_count * sizeof(*request->owned));
    ASK(consumer_heartbeat_kind, 1);
}

CALL(consumer_group_describe, struct sluice_text group, sluice_consumer_group_info_done *done,
     void *arg)
{
    stage_read(group.data, group.size);
    ASK(consumer_group_kind, 1);
}

void rehearsal_consumers_init(struct sluice_broker *table)
{
    table->consumer_group_heartbeat = on_consumer_group_heartbeat;
    table->consumer_group_describe = on_consumer_group_describe;
}
