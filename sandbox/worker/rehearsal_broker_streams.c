/* rehearsal_broker_streams.c: groups of Kafka Streams, made up (rehearsal_broker.h). */
#include "rehearsal_broker.h"

static const int32_t streams_partition = 1;
static const struct sluice_streams_tasks streams_tasks = {
    .subtopology = {"0", 1}, .count = 1, .partitions = &streams_partition};
static const struct sluice_streams_topic streams_topic = {.name = {"rehearsed-changelog", 19},
                                                          .partition_count = 1};
static const struct sluice_streams_subtopology streams_subtopology = {.id = {"0", 1},
                                                                      .source_count = 1,
                                                                      .changelog_count = 1,
                                                                      .sources = &rehearsal_topic,
                                                                      .changelogs = &streams_topic};
static const struct sluice_streams_topology streams_topology = {
    .epoch = 1, .subtopology_count = 1, .subtopologies = &streams_subtopology};
static const struct sluice_streams_assignment streams_assignment = {
    .active_count = 1, .standby_count = 1, .active = &streams_tasks, .standby = &streams_tasks};

static void end_streams_heartbeat(struct stage *stage, const struct stage_call *call, void *results,
                                  sluice_status status)
{
    static const struct sluice_streams_status told = {.code = SLUICE_STREAMS_MISSING_INTERNAL,
                                                      .detail = {"missing", 7}};
    static const struct sluice_streams_partitions shown = {
        .topic = {"rehearsed", 9}, .count = 1, .partitions = &streams_partition};
    static const struct sluice_streams_endpoint_info endpoint = {
        .endpoint = {.host = {"localhost", 9}, .port = 80},
        .active_count = 1,
        .standby_count = 1,
        .active = &shown,
        .standby = &shown};
    bool ok = status == SLUICE_OK;
    const struct sluice_streams_heartbeat_answer answer = {.size = sizeof(answer),
                                                           .status = status,
                                                           .member = {"member-1", 8},
                                                           .member_epoch = 3,
                                                           .heartbeat_interval_ms = 5000,
                                                           .endpoint_epoch = 1,
                                                           .status_count = ok ? 1 : 0,
                                                           .statuses = &told,
                                                           .assignment =
                                                               ok ? &streams_assignment : NULL,
                                                           .endpoints = &endpoint,
                                                           .endpoint_count = ok ? 1 : 0,
                                                           .missing_count = ok ? 1 : 0,
                                                           .has_endpoints = ok,
                                                           .missing = &streams_topic};

    (void)stage;
    (void)results;
    DONE(sluice_streams_heartbeat_done)(call->arg, &answer);
}

static const struct rehearsal_kind streams_heartbeat_kind =
    KIND("streams_group_heartbeat", end_streams_heartbeat, 0);

static void end_streams_group(struct stage *stage, const struct stage_call *call, void *results,
                              sluice_status status)
{
    static const struct sluice_streams_pair tag = {{"zone", 4}, {"a", 1}};
    const struct sluice_streams_member_info member = {
        .id = {"member-1", 8},
        .client_id = {"client", 6},
        .client_host = {"127.0.0.1", 9},
        .process = {"process", 7},
        .endpoint = {.host = {"localhost", 9}, .port = 80},
        .epoch = 3,
        .topology_epoch = 1,
        .tag_count = 1,
        .tags = &tag,
        .assigned = streams_assignment,
        .target = streams_assignment};
    bool ok = status == SLUICE_OK;
    const struct sluice_streams_group_info info = {.size = sizeof(info),
                                                   .status = status,
                                                   .group = {"rehearsal", 9},
                                                   .state = {"Stable", 6},
                                                   .epoch = 3,
                                                   .assignment_epoch = 3,
                                                   .topology = ok ? &streams_topology : NULL,
                                                   .is_ready = ok,
                                                   .member_count = ok ? 1 : 0,
                                                   .members = &member};

    (void)stage;
    (void)results;
    DONE(sluice_streams_group_info_done)(call->arg, &info);
}

static const struct rehearsal_kind streams_group_kind =
    KIND("streams_group_describe", end_streams_group, 0);

/* ---- calls ---- */

static void read_streams_topics(const struct sluice_streams_topic *topics, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        stage_read(topics[i].name.data, topics[i].name.size);
        stage_read(topics[i].configs, topics[i].config_count * sizeof(*topics[i].configs));
    }
}
static void read_streams_tasks(const struct sluice_streams_tasks *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        stage_read(rows[i].subtopology.data, rows[i].subtopology.size);
        stage_read(rows[i].partitions, rows[i].count * sizeof(*rows[i].partitions));
    }
}
static void read_streams_topology(const struct sluice_streams_topology *topology)
{
    for (uint32_t i = 0; topology != NULL && i < topology->subtopology_count; i++) {
        const struct sluice_streams_subtopology *sub = &topology->subtopologies[i];
        stage_read(sub->id.data, sub->id.size);
        stage_read(sub->sources, sub->source_count * sizeof(*sub->sources));
        stage_read(sub->sinks, sub->sink_count * sizeof(*sub->sinks));
        stage_read(sub->copartitions, sub->copartition_count * sizeof(*sub->copartitions));
        read_streams_topics(sub->changelogs, sub->changelog_count);
        read_streams_topics(sub->repartitions, sub->repartition_count);
    }
}

CALL(streams_group_heartbeat, const struct sluice_streams_heartbeat *request,
     sluice_streams_heartbeat_done *done, void *arg)
{
    stage_read(request->group.data, request->group.size);
    stage_read(request->member.data, request->member.size);
    stage_read(request->tags, request->tag_count * sizeof(*request->tags));
    read_streams_topology(request->topology);
    if (request->owned != NULL) {
        read_streams_tasks(request->owned->active, request->owned->active_count);
        read_streams_tasks(request->owned->standby, request->owned->standby_count);
    }
    ASK(streams_heartbeat_kind, 1);
}

CALL(streams_group_describe, struct sluice_text group, sluice_streams_group_info_done *done,
     void *arg)
{
    stage_read(group.data, group.size);
    ASK(streams_group_kind, 1);
}

void rehearsal_streams_init(struct sluice_broker *table)
{
    table->streams_group_heartbeat = on_streams_group_heartbeat;
    table->streams_group_describe = on_streams_group_describe;
}
