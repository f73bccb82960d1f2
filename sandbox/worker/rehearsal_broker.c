/* rehearsal_broker.c: a broker that is made up: it takes every call, and ends it at once, later, or
 * when its connection is gone, with results that a broker may give (<sluice/broker.h>). */
#include "rehearsal_frontend.h"

#include <string.h>

#define RESULTS_MAX 4096u /* of one call; more are not asked for in a rehearsal's 64 KiB */
#define BATCH_BYTES 256u
_Static_assert(offsetof(struct sluice_broker, conn_tell) + sizeof(void (*)(void)) ==
                   sizeof(struct sluice_broker),
               "a new call of the broker: make it up below, and name it here");

extern void *__libc_calloc(size_t count, size_t size);
extern void __libc_free(void *memory);

enum {
    CALL_TOPICS,
    CALL_TOPIC_RESULTS,
    CALL_CONFIG,
    CALL_PRODUCE,
    CALL_FETCH,
    CALL_OFFSETS,
    CALL_PRODUCER_ID,
    CALL_JOINED,
    CALL_SYNCED,
    CALL_STATUS,
    CALL_STATUSES,
    CALL_OFFSETS_FETCHED,
    CALL_TEXT,
    CALL_HEALTH,
    CALL_DELETED,
    CALL_TXNS,
    CALL_PRODUCERS,
    CALL_GROUPS,
    CALL_GROUP_INFO,
    CALL_EPOCH_ENDS,
    CALL_LOG_DIRS,
    CALL_QUORUM,
    CALL_NAMES,
    CALL_CONSUMER_HEARTBEAT,
    CALL_CONSUMER_GROUP,
    CALL_STREAMS_HEARTBEAT,
    CALL_STREAMS_GROUP,
    CALL_SHARE_JOINED,
    CALL_SHARE_GROUP,
    CALL_SHARE_FETCHED,
    CALL_SHARE_OFFSETS,
    CALL_KINDS
};

static const struct sluice_text topic_name = {"rehearsed", 9};
static const struct sluice_partition_info partitions[] = {{.partition = 0, .leader_epoch = 1},
                                                          {.partition = 1, .leader_epoch = 1}};

static sluice_status draw_status(struct stage *stage, bool cancelled)
{
    static const sluice_status failures[] = {
        SLUICE_E_UNKNOWN_TOPIC, SLUICE_E_BUSY,    SLUICE_E_LIMIT,     SLUICE_E_NO_MEMORY,
        SLUICE_E_PERMISSION,    SLUICE_E_INVALID, SLUICE_E_CANCELLED, SLUICE_E_IO};

    if (cancelled) {
        return SLUICE_E_CANCELLED;
    }
    return stage_draw(stage, 3) > 0
               ? SLUICE_OK
               : failures[stage_draw(stage, sizeof(failures) / sizeof(failures[0]))];
}

/* ---- one function for each type of `done` ---- */

#define DONE(type) ((type *)call->done)
typedef void end_fn(struct stage *stage, const struct stage_call *call, void *results,
                    sluice_status status);

static void end_topics(struct stage *stage, const struct stage_call *call, void *results,
                       sluice_status status)
{
    struct sluice_topic_info *info = results;

    (void)stage;
    for (uint32_t i = 0; i < call->count; i++) {
        info[i] = (struct sluice_topic_info){.size = sizeof(*info),
                                             .status = status,
                                             .name = topic_name,
                                             .id = {{1}},
                                             .partition_count = status == SLUICE_OK ? 2 : 0,
                                             .partitions = partitions};
    }
    DONE(sluice_topics_done)(call->arg, info, call->count);
}

static void end_topic_results(struct stage *stage, const struct stage_call *call, void *results,
                              sluice_status status)
{
    struct sluice_topic_result *result = results;

    (void)stage;
    for (uint32_t i = 0; i < call->count; i++) {
        result[i] = (struct sluice_topic_result){.status = status,
                                                 .partition_count = 2,
                                                 .name = topic_name,
                                                 .reason = {"made up", 7},
                                                 .replication_factor = 1};
    }
    DONE(sluice_topic_results_done)(call->arg, result, call->count);
}

static void end_config(struct stage *stage, const struct stage_call *call, void *results,
                       sluice_status status)
{
    static const struct sluice_config_entry entries[] = {{.name = {"cleanup.policy", 14},
                                                          .value = {"delete", 6},
                                                          .source = SLUICE_CONFIG_SOURCE_DEFAULT,
                                                          .type = SLUICE_CONFIG_TYPE_LIST},
                                                         {.name = {"compression.type", 16},
                                                          .source = SLUICE_CONFIG_SOURCE_TOPIC,
                                                          .type = SLUICE_CONFIG_TYPE_STRING}};
    const struct sluice_config_result result = {.status = status,
                                                .resource = SLUICE_RESOURCE_TOPIC,
                                                .name = topic_name,
                                                .entry_count = status == SLUICE_OK ? 2 : 0,
                                                .entries = entries};

    (void)stage;
    (void)results;
    DONE(sluice_config_done)(call->arg, &result);
}

static void end_produce(struct stage *stage, const struct stage_call *call, void *results,
                        sluice_status status)
{
    struct sluice_produce_result *result = results;

    for (uint32_t i = 0; i < call->count; i++) {
        result[i] = (struct sluice_produce_result){.status = status,
                                                   .base_offset = status == SLUICE_OK ? 7 : -1,
                                                   .log_append_time_ms = -1,
                                                   .reason = {NULL, 0}};
    }
    DONE(sluice_produce_done)
    (call->arg, result, call->count, stage_draw(stage, 4) == 0 ? 10 : 0);
}

static void end_fetch(struct stage *stage, const struct stage_call *call, void *results,
                      sluice_status status)
{
    static const uint8_t batch[BATCH_BYTES] = {0, 0, 0, 0, 0, 0, 0, 7};
    struct sluice_fetch_result *result = results;

    stage->records_token = stage->next_token++;
    for (uint32_t i = 0; i < call->count; i++) {
        const bool has = status == SLUICE_OK && stage_draw(stage, 2) == 0;

        result[i] =
            (struct sluice_fetch_result){.status = status,
                                         .leader_epoch = 1,
                                         .high_watermark = 9,
                                         .last_stable_offset = 9,
                                         .records = {has ? batch : NULL, has ? sizeof(batch) : 0},
                                         .records_token = has ? stage->records_token : 0};
    }
    DONE(sluice_fetch_done)(call->arg, result, call->count, 0);
    stage->records_token = 0;
}

static void end_offsets(struct stage *stage, const struct stage_call *call, void *results,
                        sluice_status status)
{
    struct sluice_offset_answer *answer = results;

    (void)stage;
    for (uint32_t i = 0; i < call->count; i++) {
        answer[i] = (struct sluice_offset_answer){status, 1, 5, -1};
    }
    DONE(sluice_offsets_done)(call->arg, answer, call->count);
}

static void end_producer_id(struct stage *stage, const struct stage_call *call, void *results,
                            sluice_status status)
{
    const struct sluice_producer_id producer = {.status = status, .id = 4000};

    (void)stage;
    (void)results;
    DONE(sluice_producer_id_done)(call->arg, &producer);
}

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

static void end_status(struct stage *stage, const struct stage_call *call, void *results,
                       sluice_status status)
{
    (void)stage;
    (void)results;
    DONE(sluice_status_done)(call->arg, status);
}

static void end_statuses(struct stage *stage, const struct stage_call *call, void *results,
                         sluice_status status)
{
    sluice_status *statuses = results;

    for (uint32_t i = 0; i < call->count; i++) {
        statuses[i] = draw_status(stage, status == SLUICE_E_CANCELLED);
    }
    DONE(sluice_statuses_done)(call->arg, status, statuses, call->count);
}

static void end_offsets_fetched(struct stage *stage, const struct stage_call *call, void *results,
                                sluice_status status)
{
    struct sluice_offset_fetched *fetched = results;

    (void)stage;
    for (uint32_t i = 0; i < call->count; i++) {
        fetched[i] = (struct sluice_offset_fetched){
            .status = status, .topic = topic_name, .offset = -1, .leader_epoch = -1};
    }
    DONE(sluice_offset_fetched_done)(call->arg, status, fetched, call->count);
}

static void end_text(struct stage *stage, const struct stage_call *call, void *results,
                     sluice_status status)
{
    (void)stage;
    (void)results;
    DONE(sluice_text_done)(call->arg, status, (struct sluice_text){"made_up 1\n", 10});
}

static void end_health(struct stage *stage, const struct stage_call *call, void *results,
                       sluice_status status)
{
    const struct sluice_health health = {
        .size = sizeof(health), .ok = status == SLUICE_OK, .text = {"made up\n", 8}};

    (void)stage;
    (void)results;
    DONE(sluice_health_done)(call->arg, &health);
}

static void end_deleted(struct stage *stage, const struct stage_call *call, void *results,
                        sluice_status status)
{
    struct sluice_records_deleted *deleted = results;

    (void)stage;
    for (uint32_t i = 0; i < call->count; i++) {
        deleted[i] = (struct sluice_records_deleted){
            .status = status, .log_start_offset = status == SLUICE_OK ? 3 : -1};
    }
    DONE(sluice_records_deleted_done)(call->arg, deleted, call->count);
}

static void end_txns(struct stage *stage, const struct stage_call *call, void *results,
                     sluice_status status)
{
    static const struct sluice_txn_partition partition = {.topic = {.name = {"rehearsed", 9}}};
    struct sluice_txn_info *txns = results;

    for (uint32_t i = 0; i < call->count; i++) {
        txns[i] = (struct sluice_txn_info){.status = draw_status(stage, status != SLUICE_OK),
                                           .state = SLUICE_TXN_ONGOING,
                                           .id = {"rehearsal", 9},
                                           .producer_id = 4000,
                                           .start_ms = -1,
                                           .partition_count = 1,
                                           .partitions = &partition};
    }
    DONE(sluice_txns_done)(call->arg, status, txns, call->count);
}

static void end_producers(struct stage *stage, const struct stage_call *call, void *results,
                          sluice_status status)
{
    static const struct sluice_producer_info producer = {
        .producer_id = 4000, .txn_first_offset = -1, .last_sequence = -1};
    struct sluice_producers_result *result = results;

    (void)stage;
    for (uint32_t i = 0; i < call->count; i++) {
        result[i] =
            (struct sluice_producers_result){status, status == SLUICE_OK ? 1 : 0, &producer};
    }
    DONE(sluice_producers_done)(call->arg, result, call->count);
}

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

static void end_epoch_ends(struct stage *stage, const struct stage_call *call, void *results,
                           sluice_status status)
{
    struct sluice_epoch_end *ends = results;

    (void)stage;
    for (uint32_t i = 0; i < call->count; i++) {
        ends[i] = (struct sluice_epoch_end){status, 1, status == SLUICE_OK ? 9 : -1};
    }
    DONE(sluice_epoch_ends_done)(call->arg, ends, call->count);
}

static void end_log_dirs(struct stage *stage, const struct stage_call *call, void *results,
                         sluice_status status)
{
    static const struct sluice_partition_usage usage = {.topic = {"rehearsed", 9}, .bytes = 4711};
    const struct sluice_log_dir dir = {.size = sizeof(dir),
                                       .status = draw_status(stage, status != SLUICE_OK),
                                       .path = {"/data", 5},
                                       .total_bytes = 1 << 20,
                                       .usable_bytes = 1 << 10,
                                       .partition_count = 1,
                                       .partitions = &usage};

    (void)results;
    DONE(sluice_log_dirs_done)(call->arg, status, &dir, status == SLUICE_OK ? 1 : 0);
}

static void end_quorum(struct stage *stage, const struct stage_call *call, void *results,
                       sluice_status status)
{
    const struct sluice_quorum quorum = {.size = sizeof(quorum),
                                         .status = status,
                                         .leader_id = 1,
                                         .leader_epoch = 1,
                                         .log_end_offset = 9,
                                         .high_watermark = 9};

    (void)stage;
    (void)results;
    DONE(sluice_quorum_done)(call->arg, &quorum);
}

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
                                                              .topics = &topic_name,
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

static const int32_t streams_partition = 1;
static const struct sluice_streams_tasks streams_tasks = {
    .subtopology = {"0", 1}, .count = 1, .partitions = &streams_partition};
static const struct sluice_streams_topic streams_topic = {.name = {"rehearsed-changelog", 19},
                                                          .partition_count = 1};
static const struct sluice_streams_subtopology streams_subtopology = {.id = {"0", 1},
                                                                      .source_count = 1,
                                                                      .changelog_count = 1,
                                                                      .sources = &topic_name,
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

static void end_names(struct stage *stage, const struct stage_call *call, void *results,
                      sluice_status status)
{
    (void)stage;
    (void)results;
    DONE(sluice_names_done)(call->arg, status, &topic_name, status == SLUICE_OK ? 1 : 0);
}

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

static void end_share_group(struct stage *stage, const struct stage_call *call, void *results,
                            sluice_status status)
{
    const struct sluice_share_member member = {.id = {"member-1", 8},
                                               .client_id = {"client", 6},
                                               .client_host = {"127.0.0.1", 9},
                                               .epoch = 2,
                                               .topic_count = 1,
                                               .assignment_count = 1,
                                               .topics = &topic_name,
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

static void end_share_fetched(struct stage *stage, const struct stage_call *call, void *results,
                              sluice_status status)
{
    static const uint8_t batch[BATCH_BYTES] = {0, 0, 0, 0, 0, 0, 0, 7};
    static const struct sluice_share_acquired acquired = {.first = 7, .last = 7, .deliveries = 1};
    struct sluice_share_result *result = results;

    stage->records_token = stage->next_token++;
    for (uint32_t i = 0; i < call->count; i++) {
        const bool has = status == SLUICE_OK && stage_draw(stage, 2) == 0;

        result[i] =
            (struct sluice_share_result){.status = status,
                                         .ack_status = draw_status(stage, status != SLUICE_OK),
                                         .leader_epoch = 1,
                                         .acquired_count = has,
                                         .records = {has ? batch : NULL, has ? sizeof(batch) : 0},
                                         .records_token = has ? stage->records_token : 0,
                                         .acquired = &acquired};
    }
    DONE(sluice_share_fetched_done)(call->arg, status, 30000, result, call->count);
    stage->records_token = 0;
}

static void end_share_offsets(struct stage *stage, const struct stage_call *call, void *results,
                              sluice_status status)
{
    struct sluice_share_offset *offsets = results;

    for (uint32_t i = 0; i < call->count; i++) {
        offsets[i] = (struct sluice_share_offset){.status = draw_status(stage, false),
                                                  .topic = {.name = topic_name, .id = {{1}}},
                                                  .start = 5,
                                                  .lag = 2};
    }
    DONE(sluice_share_offsets_done)(call->arg, status, offsets, call->count);
}

static const struct {
    const char *name, *done_name;
    end_fn *end;
    size_t result_size; /* of each of `count`; 0: it has none */
} kinds[CALL_KINDS] = {
    [CALL_TOPICS] = {"topics", "the done of topics", end_topics, sizeof(struct sluice_topic_info)},
    [CALL_TOPIC_RESULTS] = {"topics_create", "the done of topics_create", end_topic_results,
                            sizeof(struct sluice_topic_result)},
    [CALL_CONFIG] = {"configs_describe", "the done of configs_describe", end_config, 0},
    [CALL_PRODUCE] = {"produce", "the done of produce", end_produce,
                      sizeof(struct sluice_produce_result)},
    [CALL_FETCH] = {"fetch", "the done of fetch", end_fetch, sizeof(struct sluice_fetch_result)},
    [CALL_OFFSETS] = {"offsets", "the done of offsets", end_offsets,
                      sizeof(struct sluice_offset_answer)},
    [CALL_PRODUCER_ID] = {"producer_id", "the done of producer_id", end_producer_id, 0},
    [CALL_JOINED] = {"group_join", "the done of group_join", end_joined, 0},
    [CALL_SYNCED] = {"group_sync", "the done of group_sync", end_synced, 0},
    [CALL_STATUS] = {"group_heartbeat", "the done of group_heartbeat", end_status, 0},
    [CALL_STATUSES] = {"offset_commit", "the done of offset_commit", end_statuses,
                       sizeof(sluice_status)},
    [CALL_OFFSETS_FETCHED] = {"offset_fetch", "the done of offset_fetch", end_offsets_fetched,
                              sizeof(struct sluice_offset_fetched)},
    [CALL_TEXT] = {"metrics", "the done of metrics", end_text, 0},
    [CALL_HEALTH] = {"health", "the done of health", end_health, 0},
    [CALL_DELETED] = {"records_delete", "the done of records_delete", end_deleted,
                      sizeof(struct sluice_records_deleted)},
    [CALL_TXNS] = {"txns_describe", "the done of txns_describe", end_txns,
                   sizeof(struct sluice_txn_info)},
    [CALL_PRODUCERS] = {"producers_describe", "the done of producers_describe", end_producers,
                        sizeof(struct sluice_producers_result)},
    [CALL_GROUPS] = {"groups", "the done of groups", end_groups, 0},
    [CALL_GROUP_INFO] = {"group_describe", "the done of group_describe", end_group_info, 0},
    [CALL_EPOCH_ENDS] = {"epoch_ends", "the done of epoch_ends", end_epoch_ends,
                         sizeof(struct sluice_epoch_end)},
    [CALL_LOG_DIRS] = {"log_dirs", "the done of log_dirs", end_log_dirs, 0},
    [CALL_QUORUM] = {"quorum", "the done of quorum", end_quorum, 0},
    [CALL_NAMES] = {"config_names", "the done of config_names", end_names, 0},
    [CALL_CONSUMER_HEARTBEAT] = {"consumer_group_heartbeat", "the done of consumer_group_heartbeat",
                                 end_consumer_heartbeat, 0},
    [CALL_CONSUMER_GROUP] = {"consumer_group_describe", "the done of consumer_group_describe",
                             end_consumer_group, 0},
    [CALL_STREAMS_HEARTBEAT] = {"streams_group_heartbeat", "the done of streams_group_heartbeat",
                                end_streams_heartbeat, 0},
    [CALL_STREAMS_GROUP] = {"streams_group_describe", "the done of streams_group_describe",
                            end_streams_group, 0},
    [CALL_SHARE_JOINED] = {"share_heartbeat", "the done of share_heartbeat", end_share_joined, 0},
    [CALL_SHARE_GROUP] = {"share_describe", "the done of share_describe", end_share_group, 0},
    [CALL_SHARE_FETCHED] = {"share_fetch", "the done of share_fetch", end_share_fetched,
                            sizeof(struct sluice_share_result)},
    [CALL_SHARE_OFFSETS] = {"share_offsets", "the done of share_offsets", end_share_offsets,
                            sizeof(struct sluice_share_offset)},
};

/* ---- their way ---- */

static void end_now(struct stage *stage, const struct stage_call *call, bool cancelled)
{
    const char *before = stage->doing;
    const sluice_status status = draw_status(stage, cancelled);
    void *results = NULL;

    if (kinds[call->kind].result_size > 0) {
        results = __libc_calloc(call->count + 1, kinds[call->kind].result_size);
    }
    stage_doing(stage, kinds[call->kind].done_name);
    kinds[call->kind].end(stage, call, results, status);
    stage->doing = before;
    __libc_free(results);
}

void stage_call_end(struct stage *stage, uint32_t index, bool cancelled)
{
    const struct stage_call call = stage->calls[index];

    stage->calls[index] = stage->calls[--stage->call_count];
    end_now(stage, &call, cancelled);
}

void stage_calls_cancel(struct stage *stage, uint64_t connection)
{
    for (uint32_t i = 0; i < stage->call_count;) {
        if (connection == 0 || stage->calls[i].connection == connection) {
            if (connection != 0 && stage_draw(stage, 4) < (stage->early ? 3 : 1)) {
                stage->calls[i++].connection = 0; /* records on their way: it ends later */
                continue;
            }
            stage_call_end(stage, i, true);
            i = 0; /* its done may have called */
        } else {
            i++;
        }
    }
}

static bool is_of_open(const struct stage *stage, struct sluice_text text)
{
    return text.size > 0 && text.data >= stage->open_text &&
           text.data < stage->open_text + sizeof(stage->open_text) && stage->open_text[0] == '?';
}

static void ask(const struct sluice_broker *broker, const struct sluice_context *context,
                uint32_t kind, uint32_t count, void (*done)(void), void *arg)
{
    struct stage *stage = broker->data;
    struct stage_call call = {.kind = kind, .count = count, .done = done, .arg = arg};

    if (!stage_may(stage, kinds[kind].name)) {
        return;
    }
    stage->asked++;
    if (context == NULL || done == NULL || count > RESULTS_MAX) {
        stage_fault(stage, "%s is asked without a context or a done, or for %u things",
                    kinds[kind].name, count);
        return;
    }
    if (is_of_open(stage, context->client_host) || is_of_open(stage, context->principal)) {
        stage_fault(stage,
                    "%s is asked with a context that conn_open was given: its texts are gone",
                    kinds[kind].name);
        return;
    }
    call.connection = context->connection;
    if (stage->call_count == STAGE_CALLS_MAX || stage_draw(stage, 4) == 0) {
        end_now(stage, &call, false); /* before the call returns */
    } else {
        stage->calls[stage->call_count++] = call;
    }
}

/* What is borrowed is read: a pointer that is none dies here. */
static void read_all(const void *data, uint64_t size)
{
    const volatile uint8_t *bytes = data;

    for (uint64_t i = 0; i < size; i++) {
        (void)bytes[i];
    }
}

static void read_topic(const struct sluice_topic_ref *topic)
{
    read_all(topic->name.data, topic->name.size);
}

#define CALL(name, ...)                                       \
    static void on_##name(const struct sluice_broker *broker, \
                          const struct sluice_context *context, __VA_ARGS__)
#define ASK(kind, count) ask(broker, context, kind, count, (void (*)(void))done, arg)

static const struct sluice_cluster *on_cluster(const struct sluice_broker *broker,
                                               const struct sluice_context *context)
{
    static const struct sluice_node node = {
        .size = sizeof(node), .id = 1, .host = {"localhost", 9}, .port = 9092};
    static const struct sluice_cluster cluster = {.size = sizeof(cluster),
                                                  .node_count = 1,
                                                  .cluster_id = {"AAAAAAAAAAAAAAAAAAAAAA", 22},
                                                  .controller_id = 1,
                                                  .nodes = &node};

    (void)context;
    (void)stage_may(broker->data, "cluster");
    return &cluster;
}

CALL(topics, const struct sluice_topic_ref *topics, uint32_t count, bool auto_create,
     sluice_topics_done *done, void *arg)
{
    (void)auto_create;
    for (uint32_t i = 0; topics != NULL && i < count; i++) {
        read_topic(&topics[i]);
    }
    ASK(CALL_TOPICS, topics != NULL ? count : 1);
}
CALL(topics_create, const struct sluice_topic_spec *specs, uint32_t count, bool validate_only,
     sluice_topic_results_done *done, void *arg)
{
    (void)validate_only;
    for (uint32_t i = 0; i < count; i++) {
        read_all(specs[i].name.data, specs[i].name.size);
        for (uint32_t k = 0; k < specs[i].config_count; k++) {
            read_all(specs[i].configs[k].key.data, specs[i].configs[k].key.size);
            read_all(specs[i].configs[k].value.data, specs[i].configs[k].value.size);
        }
    }
    ASK(CALL_TOPIC_RESULTS, count);
}
CALL(topics_delete, const struct sluice_topic_ref *topics, uint32_t count, bool validate_only,
     sluice_topic_results_done *done, void *arg)
{
    (void)validate_only;
    for (uint32_t i = 0; i < count; i++) {
        read_topic(&topics[i]);
    }
    ASK(CALL_TOPIC_RESULTS, count);
}
CALL(configs_describe, int32_t resource, struct sluice_text name, sluice_config_done *done,
     void *arg)
{
    (void)resource;
    read_all(name.data, name.size);
    ASK(CALL_CONFIG, 1);
}
CALL(produce, const struct sluice_produce *request, sluice_produce_done *done, void *arg)
{
    for (uint32_t i = 0; i < request->entry_count; i++) {
        read_topic(&request->entries[i].topic);
        read_all(request->entries[i].batch.data, request->entries[i].batch.size);
    }
    ASK(CALL_PRODUCE, request->entry_count);
}
CALL(fetch, const struct sluice_fetch *request, sluice_fetch_done *done, void *arg)
{
    for (uint32_t i = 0; i < request->entry_count; i++) {
        read_topic(&request->entries[i].topic);
    }
    ASK(CALL_FETCH, request->entry_count);
}
CALL(offsets, int32_t isolation, const struct sluice_offset_query *queries, uint32_t count,
     sluice_offsets_done *done, void *arg)
{
    (void)isolation;
    for (uint32_t i = 0; i < count; i++) {
        read_topic(&queries[i].topic);
    }
    ASK(CALL_OFFSETS, count);
}
CALL(producer_id, int64_t id, int16_t epoch, sluice_producer_id_done *done, void *arg)
{
    (void)id;
    (void)epoch;
    ASK(CALL_PRODUCER_ID, 1);
}
CALL(group_join, const struct sluice_group_join *request, sluice_group_joined_done *done, void *arg)
{
    read_all(request->group.data, request->group.size);
    read_all(request->member.data, request->member.size);
    ASK(CALL_JOINED, 1);
}
CALL(group_sync, const struct sluice_group_sync *request, sluice_group_synced_done *done, void *arg)
{
    read_all(request->group.data, request->group.size);
    ASK(CALL_SYNCED, 1);
}
CALL(group_heartbeat, const struct sluice_group_identity *request, sluice_status_done *done,
     void *arg)
{
    read_all(request->group.data, request->group.size);
    ASK(CALL_STATUS, 1);
}
CALL(group_leave, const struct sluice_group_leave *request, sluice_statuses_done *done, void *arg)
{
    ASK(CALL_STATUSES, request->entry_count);
}
CALL(offset_commit, const struct sluice_offset_commit *request, sluice_statuses_done *done,
     void *arg)
{
    for (uint32_t i = 0; i < request->entry_count; i++) {
        read_topic(&request->entries[i].topic);
    }
    ASK(CALL_STATUSES, request->entry_count);
}
CALL(offset_fetch, const struct sluice_offset_fetch *request, sluice_offset_fetched_done *done,
     void *arg)
{
    ASK(CALL_OFFSETS_FETCHED, request->entries != NULL ? request->entry_count : 1);
}
CALL(metrics, sluice_text_done *done, void *arg)
{
    ASK(CALL_TEXT, 1);
}
CALL(health, int32_t what, sluice_health_done *done, void *arg)
{
    (void)what;
    ASK(CALL_HEALTH, 1);
}
CALL(records_delete, const struct sluice_records_delete *entries, uint32_t count,
     sluice_records_deleted_done *done, void *arg)
{
    for (uint32_t i = 0; i < count; i++) {
        read_topic(&entries[i].topic);
    }
    ASK(CALL_DELETED, count);
}
CALL(configs_preview, const struct sluice_topic_spec *spec, sluice_config_done *done, void *arg)
{
    read_all(spec->name.data, spec->name.size);
    ASK(CALL_CONFIG, 1);
}

CALL(partitions_create, const struct sluice_topic_growth *growths, uint32_t count,
     bool validate_only, sluice_topic_results_done *done, void *arg)
{
    (void)validate_only;
    for (uint32_t i = 0; i < count; i++) {
        read_all(growths[i].name.data, growths[i].name.size);
    }
    ASK(CALL_TOPIC_RESULTS, count);
}
CALL(txn_producer, const struct sluice_txn *txn, int32_t timeout_ms, sluice_producer_id_done *done,
     void *arg)
{
    (void)timeout_ms;
    read_all(txn->id.data, txn->id.size);
    ASK(CALL_PRODUCER_ID, 1);
}
CALL(txn_partitions_add, const struct sluice_txn *txn, const struct sluice_txn_partition *places,
     uint32_t count, bool verify_only, sluice_statuses_done *done, void *arg)
{
    (void)verify_only;
    read_all(txn->id.data, txn->id.size);
    for (uint32_t i = 0; i < count; i++) {
        read_topic(&places[i].topic);
    }
    ASK(CALL_STATUSES, count);
}
CALL(txn_group_add, const struct sluice_txn *txn, struct sluice_text group,
     sluice_status_done *done, void *arg)
{
    read_all(txn->id.data, txn->id.size);
    read_all(group.data, group.size);
    ASK(CALL_STATUS, 1);
}
CALL(txn_offsets_commit, const struct sluice_txn *txn, const struct sluice_offset_commit *request,
     sluice_statuses_done *done, void *arg)
{
    read_all(txn->id.data, txn->id.size);
    ASK(CALL_STATUSES, request->entry_count);
}
CALL(txn_end, const struct sluice_txn *txn, bool commit, sluice_producer_id_done *done, void *arg)
{
    (void)commit;
    read_all(txn->id.data, txn->id.size);
    ASK(CALL_PRODUCER_ID, 1);
}
CALL(txns_describe, const struct sluice_text *ids, uint32_t count, sluice_txns_done *done,
     void *arg)
{
    for (uint32_t i = 0; i < count; i++) {
        read_all(ids[i].data, ids[i].size);
    }
    ASK(CALL_TXNS, count);
}
CALL(txns_list, struct sluice_text pattern, sluice_txns_done *done, void *arg)
{
    read_all(pattern.data, pattern.size);
    ASK(CALL_TXNS, 1);
}
CALL(producers_describe, const struct sluice_txn_partition *places, uint32_t count,
     sluice_producers_done *done, void *arg)
{
    for (uint32_t i = 0; i < count; i++) {
        read_topic(&places[i].topic);
    }
    ASK(CALL_PRODUCERS, count);
}

CALL(configs_alter, const struct sluice_config_alter *alters, uint32_t count, bool validate_only,
     sluice_topic_results_done *done, void *arg)
{
    (void)validate_only;
    for (uint32_t i = 0; i < count; i++) {
        read_all(alters[i].name.data, alters[i].name.size);
        for (uint32_t k = 0; k < alters[i].change_count; k++) {
            read_all(alters[i].changes[k].key.data, alters[i].changes[k].key.size);
            read_all(alters[i].changes[k].value.data, alters[i].changes[k].value.size);
        }
    }
    ASK(CALL_TOPIC_RESULTS, count);
}
CALL(groups, sluice_groups_done *done, void *arg)
{
    ASK(CALL_GROUPS, 1);
}
CALL(group_describe, struct sluice_text group, sluice_group_info_done *done, void *arg)
{
    read_all(group.data, group.size);
    ASK(CALL_GROUP_INFO, 1);
}
CALL(group_delete, struct sluice_text group, sluice_status_done *done, void *arg)
{
    read_all(group.data, group.size);
    ASK(CALL_STATUS, 1);
}
CALL(offset_delete, const struct sluice_offset_fetch *request, sluice_statuses_done *done,
     void *arg)
{
    for (uint32_t i = 0; i < request->entry_count; i++) {
        read_topic(&request->entries[i].topic);
    }
    ASK(CALL_STATUSES, request->entry_count);
}
CALL(partitions_find, int32_t operation, const struct sluice_partition_ref *places, uint32_t count,
     sluice_statuses_done *done, void *arg)
{
    (void)operation;
    for (uint32_t i = 0; i < count; i++) {
        read_topic(&places[i].topic);
    }
    ASK(CALL_STATUSES, count);
}
CALL(epoch_ends, const struct sluice_epoch_query *queries, uint32_t count,
     sluice_epoch_ends_done *done, void *arg)
{
    for (uint32_t i = 0; i < count; i++) {
        read_topic(&queries[i].topic);
    }
    ASK(CALL_EPOCH_ENDS, count);
}
CALL(log_dirs, const struct sluice_partition_ref *places, uint32_t count,
     sluice_log_dirs_done *done, void *arg)
{
    for (uint32_t i = 0; places != NULL && i < count; i++) {
        read_topic(&places[i].topic);
    }
    ASK(CALL_LOG_DIRS, 1);
}
CALL(quorum, sluice_quorum_done *done, void *arg)
{
    ASK(CALL_QUORUM, 1);
}
static const struct sluice_features *on_features(const struct sluice_broker *broker,
                                                 const struct sluice_context *context)
{
    static const struct sluice_feature feature = {
        .name = {"transaction.version", 19}, .max = 2, .level = 2};
    static const struct sluice_features features = {
        .size = sizeof(features), .count = 1, .features = &feature};

    (void)broker;
    (void)context;
    return &features;
}
CALL(features_update, const struct sluice_feature_update *updates, uint32_t count,
     bool validate_only, sluice_text_done *done, void *arg)
{
    (void)validate_only;
    for (uint32_t i = 0; i < count; i++) {
        read_all(updates[i].name.data, updates[i].name.size);
    }
    ASK(CALL_TEXT, 1);
}

CALL(consumer_group_heartbeat, const struct sluice_consumer_heartbeat *request,
     sluice_consumer_heartbeat_done *done, void *arg)
{
    read_all(request->group.data, request->group.size);
    read_all(request->member.data, request->member.size);
    for (uint32_t i = 0; i < request->topic_count; i++) {
        read_all(request->topics[i].data, request->topics[i].size);
    }
    read_all(request->owned, request->owned_count * sizeof(*request->owned));
    ASK(CALL_CONSUMER_HEARTBEAT, 1);
}
CALL(consumer_group_describe, struct sluice_text group, sluice_consumer_group_info_done *done,
     void *arg)
{
    read_all(group.data, group.size);
    ASK(CALL_CONSUMER_GROUP, 1);
}
static void read_streams_topics(const struct sluice_streams_topic *topics, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        read_all(topics[i].name.data, topics[i].name.size);
        read_all(topics[i].configs, topics[i].config_count * sizeof(*topics[i].configs));
    }
}
static void read_streams_tasks(const struct sluice_streams_tasks *rows, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        read_all(rows[i].subtopology.data, rows[i].subtopology.size);
        read_all(rows[i].partitions, rows[i].count * sizeof(*rows[i].partitions));
    }
}
static void read_streams_topology(const struct sluice_streams_topology *topology)
{
    for (uint32_t i = 0; topology != NULL && i < topology->subtopology_count; i++) {
        const struct sluice_streams_subtopology *sub = &topology->subtopologies[i];
        read_all(sub->id.data, sub->id.size);
        read_all(sub->sources, sub->source_count * sizeof(*sub->sources));
        read_all(sub->sinks, sub->sink_count * sizeof(*sub->sinks));
        read_all(sub->copartitions, sub->copartition_count * sizeof(*sub->copartitions));
        read_streams_topics(sub->changelogs, sub->changelog_count);
        read_streams_topics(sub->repartitions, sub->repartition_count);
    }
}
CALL(streams_group_heartbeat, const struct sluice_streams_heartbeat *request,
     sluice_streams_heartbeat_done *done, void *arg)
{
    read_all(request->group.data, request->group.size);
    read_all(request->member.data, request->member.size);
    read_all(request->tags, request->tag_count * sizeof(*request->tags));
    read_streams_topology(request->topology);
    if (request->owned != NULL) {
        read_streams_tasks(request->owned->active, request->owned->active_count);
        read_streams_tasks(request->owned->standby, request->owned->standby_count);
    }
    ASK(CALL_STREAMS_HEARTBEAT, 1);
}
CALL(streams_group_describe, struct sluice_text group, sluice_streams_group_info_done *done,
     void *arg)
{
    read_all(group.data, group.size);
    ASK(CALL_STREAMS_GROUP, 1);
}
CALL(config_names, int32_t resource, sluice_names_done *done, void *arg)
{
    (void)resource;
    ASK(CALL_NAMES, 1);
}
CALL(share_heartbeat, const struct sluice_share_heartbeat *request, sluice_share_joined_done *done,
     void *arg)
{
    read_all(request->group.data, request->group.size);
    read_all(request->member.data, request->member.size);
    for (uint32_t i = 0; request->topics != NULL && i < request->topic_count; i++) {
        read_all(request->topics[i].data, request->topics[i].size);
    }
    ASK(CALL_SHARE_JOINED, 1);
}
CALL(share_describe, struct sluice_text group, sluice_share_group_done *done, void *arg)
{
    read_all(group.data, group.size);
    ASK(CALL_SHARE_GROUP, 1);
}
CALL(share_fetch, const struct sluice_share_fetch *request, sluice_share_fetched_done *done,
     void *arg)
{
    read_all(request->group.data, request->group.size);
    read_all(request->member.data, request->member.size);
    for (uint32_t i = 0; i < request->entry_count; i++) {
        read_topic(&request->entries[i].topic);
        for (uint32_t k = 0; k < request->entries[i].ack_count; k++) {
            read_all(request->entries[i].acks[k].types, request->entries[i].acks[k].type_count);
        }
    }
    ASK(CALL_SHARE_FETCHED, request->entry_count);
}
CALL(share_offsets, const struct sluice_offset_fetch *request, sluice_share_offsets_done *done,
     void *arg)
{
    for (uint32_t i = 0; request->entries != NULL && i < request->entry_count; i++) {
        read_topic(&request->entries[i].topic);
    }
    ASK(CALL_SHARE_OFFSETS, request->entries != NULL ? request->entry_count : 1);
}
CALL(share_offsets_alter, struct sluice_text group,
     const struct sluice_offset_commit_entry *entries, uint32_t count, sluice_statuses_done *done,
     void *arg)
{
    read_all(group.data, group.size);
    for (uint32_t i = 0; i < count; i++) {
        read_topic(&entries[i].topic);
    }
    ASK(CALL_STATUSES, count);
}
CALL(share_offsets_delete, struct sluice_text group, const struct sluice_topic_ref *topics,
     uint32_t count, sluice_statuses_done *done, void *arg)
{
    read_all(group.data, group.size);
    for (uint32_t i = 0; i < count; i++) {
        read_topic(&topics[i]);
    }
    ASK(CALL_STATUSES, count);
}

static void on_fetch_cancel(const struct sluice_broker *broker,
                            const struct sluice_context *context, uint64_t tag)
{
    struct stage *stage = broker->data;

    (void)tag;
    if (stage_may(stage, "fetch_cancel") && context == NULL) {
        stage_fault(stage, "fetch_cancel is asked without a context");
    }
}

/* Topics come, grow and go, once in a while. */
static uint64_t on_topics_seen(const struct sluice_broker *broker, uint64_t known,
                               sluice_topic_seen_fn *seen, void *arg)
{
    static const char *const names[] = {"rehearsed", "a.b", "a.c", "__internal"};
    struct stage *stage = broker->data;

    if (!stage_may(stage, "topics_seen") || (known != 0 && stage_draw(stage, 8) != 0)) {
        return known;
    }
    for (uint8_t i = 0; i < 4; i++) {
        const struct sluice_topic_seen topic = {.size = sizeof(topic),
                                                .partition_count = 1 + stage_draw(stage, 3),
                                                .name = sluice_text_of(names[i]),
                                                .id = {{(uint8_t)(1 + i)}},
                                                .internal = i == 3};

        if (stage_draw(stage, 4) != 0) {
            seen(arg, &topic);
        }
    }
    return known + 1;
}

/* It is told to somebody at another time (rehearsal_frontend.c). */
CALL(conn_tell, uint32_t loop, uint64_t connection, struct sluice_bytes note,
     sluice_status_done *done, void *arg)
{
    struct stage *stage = broker->data;

    (void)loop;
    (void)connection;
    read_all(note.data, note.size);
    stage->note_size = note.size < sizeof(stage->note) ? (uint32_t)note.size : 0;
    memcpy(stage->note, note.data, stage->note_size);
    ASK(CALL_STATUS, 1);
}

void stage_broker_init(struct stage *stage)
{
    stage->broker = (struct sluice_broker){.size = sizeof(struct sluice_broker),
                                           .data = stage,
                                           .cluster = on_cluster,
                                           .topics = on_topics,
                                           .topics_create = on_topics_create,
                                           .topics_delete = on_topics_delete,
                                           .configs_describe = on_configs_describe,
                                           .produce = on_produce,
                                           .fetch = on_fetch,
                                           .fetch_cancel = on_fetch_cancel,
                                           .topics_seen = on_topics_seen,
                                           .conn_tell = on_conn_tell,
                                           .offsets = on_offsets,
                                           .producer_id = on_producer_id,
                                           .group_join = on_group_join,
                                           .group_sync = on_group_sync,
                                           .group_heartbeat = on_group_heartbeat,
                                           .group_leave = on_group_leave,
                                           .offset_commit = on_offset_commit,
                                           .offset_fetch = on_offset_fetch,
                                           .metrics = on_metrics,
                                           .health = on_health,
                                           .records_delete = on_records_delete,
                                           .configs_preview = on_configs_preview,
                                           .partitions_create = on_partitions_create,
                                           .txn_producer = on_txn_producer,
                                           .txn_partitions_add = on_txn_partitions_add,
                                           .txn_group_add = on_txn_group_add,
                                           .txn_offsets_commit = on_txn_offsets_commit,
                                           .txn_end = on_txn_end,
                                           .txns_describe = on_txns_describe,
                                           .txns_list = on_txns_list,
                                           .producers_describe = on_producers_describe,
                                           .configs_alter = on_configs_alter,
                                           .groups = on_groups,
                                           .group_describe = on_group_describe,
                                           .group_delete = on_group_delete,
                                           .offset_delete = on_offset_delete,
                                           .partitions_find = on_partitions_find,
                                           .epoch_ends = on_epoch_ends,
                                           .log_dirs = on_log_dirs,
                                           .quorum = on_quorum,
                                           .features = on_features,
                                           .config_names = on_config_names,
                                           .features_update = on_features_update,
                                           .consumer_group_heartbeat = on_consumer_group_heartbeat,
                                           .consumer_group_describe = on_consumer_group_describe,
                                           .streams_group_heartbeat = on_streams_group_heartbeat,
                                           .streams_group_describe = on_streams_group_describe,
                                           .share_heartbeat = on_share_heartbeat,
                                           .share_describe = on_share_describe,
                                           .share_fetch = on_share_fetch,
                                           .share_offsets = on_share_offsets,
                                           .share_offsets_alter = on_share_offsets_alter,
                                           .share_offsets_delete = on_share_offsets_delete};
}
