/* rehearsal_broker_shares.c: share groups, made up (rehearsal_broker.h). */
#include "rehearsal_broker.h"

static const int32_t shared_partitions[] = {0, 1};
static const struct sluice_share_assignment shared = {
    .name = {"rehearsed", 9}, .topic = {{1}}, .count = 2, .partitions = shared_partitions};

static void end_share_joined(struct stage *stage, const struct stage_call *call, void *results,
                             sluice_status status)
{
    const struct sluice_share_joined joined = {.status = status,
                                               .epoch = 2,
                                               .heartbeat_ms = 5000,
                                               .assignment_count = 1,
                                               .assignments =
                                                   stage_draw(stage, 2) == 0 ? &shared : NULL,
                                               .has_begun = stage_draw(stage, 2) == 0};

    (void)results;
    DONE(sluice_share_joined_done)(call->arg, &joined);
}

static const struct rehearsal_kind share_joined_kind = KIND("share_heartbeat", end_share_joined, 0);

static void end_share_group(struct stage *stage, const struct stage_call *call, void *results,
                            sluice_status status)
{
    const struct sluice_share_member member = {.id = {"member-1", 8},
                                               .client_id = {"client", 6},
                                               .client_host = {"127.0.0.1", 9},
                                               .epoch = 2,
                                               .topic_count = 1,
                                               .assignment_count = 1,
                                               .topics = &rehearsal_topic,
                                               .assignments = &shared};
    const struct sluice_share_group group = {.size = sizeof(group),
                                             .status = status,
                                             .group = {"rehearsal", 9},
                                             .state = {"Stable", 6},
                                             .epoch = 2,
                                             .member_count = status == SLUICE_OK ? 1 : 0,
                                             .members = &member};

    (void)stage;
    (void)results;
    DONE(sluice_share_group_done)(call->arg, &group);
}

static const struct rehearsal_kind share_group_kind = KIND("share_describe", end_share_group, 0);

static void end_share_fetched(struct stage *stage, const struct stage_call *call, void *results,
                              sluice_status status)
{
    static const uint8_t batch[REHEARSAL_BATCH_BYTES] = {0, 0, 0, 0, 0, 0, 0, 7};
    static const struct sluice_share_acquired acquired = {.first = 7, .last = 7, .deliveries = 1};
    struct sluice_share_result *result = results;

    stage->records_token = stage->next_token++;
    for (uint32_t i = 0; i < call->count; i++) {
        const bool has = status == SLUICE_OK && stage_draw(stage, 2) == 0;

        result[i] = (struct sluice_share_result){
            .status = status,
            .ack_status = stage_draw_status(stage, status != SLUICE_OK),
            .leader_epoch = 1,
            .acquired_count = has,
            .records = {has ? batch : NULL, has ? sizeof(batch) : 0},
            .records_token = has ? stage->records_token : 0,
            .acquired = &acquired};
    }
    DONE(sluice_share_fetched_done)(call->arg, status, 30000, result, call->count);
    stage->records_token = 0;
}

static const struct rehearsal_kind share_fetched_kind =
    KIND("share_fetch", end_share_fetched, sizeof(struct sluice_share_result));

static void end_share_offsets(struct stage *stage, const struct stage_call *call, void *results,
                              sluice_status status)
{
    struct sluice_share_offset *offsets = results;

    for (uint32_t i = 0; i < call->count; i++) {
        offsets[i] = (struct sluice_share_offset){.status = stage_draw_status(stage, false),
                                                  .topic = {.name = rehearsal_topic, .id = {{1}}},
                                                  .start = 5,
                                                  .lag = 2};
    }
    DONE(sluice_share_offsets_done)(call->arg, status, offsets, call->count);
}

static const struct rehearsal_kind share_offsets_kind =
    KIND("share_offsets", end_share_offsets, sizeof(struct sluice_share_offset));

/* ---- calls ---- */

CALL(share_heartbeat, const struct sluice_share_heartbeat *request, sluice_share_joined_done *done,
     void *arg)
{
    stage_read(request->group.data, request->group.size);
    stage_read(request->member.data, request->member.size);
    for (uint32_t i = 0; request->topics != NULL && i < request->topic_count; i++) {
        stage_read(request->topics[i].data, request->topics[i].size);
    }
    ASK(share_joined_kind, 1);
}

CALL(share_describe, struct sluice_text group, sluice_share_group_done *done, void *arg)
{
    stage_read(group.data, group.size);
    ASK(share_group_kind, 1);
}

CALL(share_fetch, const struct sluice_share_fetch *request, sluice_share_fetched_done *done,
     void *arg)
{
    stage_read(request->group.data, request->group.size);
    stage_read(request->member.data, request->member.size);
    for (uint32_t i = 0; i < request->entry_count; i++) {
        stage_read_topic(&request->entries[i].topic);
        for (uint32_t k = 0; k < request->entries[i].ack_count; k++) {
            stage_read(request->entries[i].acks[k].types, request->entries[i].acks[k].type_count);
        }
    }
    ASK(share_fetched_kind, request->entry_count);
}

CALL(share_offsets, const struct sluice_offset_fetch *request, sluice_share_offsets_done *done,
     void *arg)
{
    for (uint32_t i = 0; request->entries != NULL && i < request->entry_count; i++) {
        stage_read_topic(&request->entries[i].topic);
    }
    ASK(share_offsets_kind, request->entries != NULL ? request->entry_count : 1);
}

CALL(share_offsets_alter, struct sluice_text group,
     const struct sluice_offset_commit_entry *entries, uint32_t count, sluice_statuses_done *done,
     void *arg)
{
    stage_read(group.data, group.size);
    for (uint32_t i = 0; i < count; i++) {
        stage_read_topic(&entries[i].topic);
    }
    ASK(rehearsal_statuses_kind, count);
}

CALL(share_offsets_delete, struct sluice_text group, const struct sluice_topic_ref *topics,
     uint32_t count, sluice_statuses_done *done, void *arg)
{
    stage_read(group.data, group.size);
    for (uint32_t i = 0; i < count; i++) {
        stage_read_topic(&topics[i]);
    }
    ASK(rehearsal_statuses_kind, count);
}

void rehearsal_shares_init(struct sluice_broker *table)
{
    table->share_heartbeat = on_share_heartbeat;
    table->share_describe = on_share_describe;
    table->share_fetch = on_share_fetch;
    table->share_offsets = on_share_offsets;
    table->share_offsets_alter = on_share_offsets_alter;
    table->share_offsets_delete = on_share_offsets_delete;
}
