/* rehearsal_broker_cluster.c: the broker itself, and notes from connection to connection, made up
 * (rehearsal_broker.h). */
#include "rehearsal_broker.h"

#include <string.h>

static void end_text(struct stage *stage, const struct stage_call *call, void *results,
                     sluice_status status)
{
    (void)stage;
    (void)results;
    DONE(sluice_text_done)(call->arg, status, (struct sluice_text){"made_up 1\n", 10});
}

static const struct rehearsal_kind text_kind = KIND("metrics", end_text, 0);

static void end_health(struct stage *stage, const struct stage_call *call, void *results,
                       sluice_status status)
{
    const struct sluice_health health = {
        .size = sizeof(health), .ok = status == SLUICE_OK, .text = {"made up\n", 8}};

    (void)stage;
    (void)results;
    DONE(sluice_health_done)(call->arg, &health);
}

static const struct rehearsal_kind health_kind = KIND("health", end_health, 0);

static void end_log_dirs(struct stage *stage, const struct stage_call *call, void *results,
                         sluice_status status)
{
    static const struct sluice_partition_usage usage = {.topic = {"rehearsed", 9}, .bytes = 4711};
    const struct sluice_log_dir dir = {.size = sizeof(dir),
                                       .status = stage_draw_status(stage, status != SLUICE_OK),
                                       .path = {"/data", 5},
                                       .total_bytes = 1 << 20,
                                       .usable_bytes = 1 << 10,
                                       .partition_count = 1,
                                       .partitions = &usage};

    (void)results;
    DONE(sluice_log_dirs_done)(call->arg, status, &dir, status == SLUICE_OK ? 1 : 0);
}

static const struct rehearsal_kind log_dirs_kind = KIND("log_dirs", end_log_dirs, 0);

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

static const struct rehearsal_kind quorum_kind = KIND("quorum", end_quorum, 0);

/* ---- calls ---- */

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

CALL(metrics, sluice_text_done *done, void *arg)
{
    ASK(text_kind, 1);
}

CALL(health, int32_t what, sluice_health_done *done, void *arg)
{
    (void)what;
    ASK(health_kind, 1);
}

CALL(log_dirs, const struct sluice_partition_ref *places, uint32_t count,
     sluice_log_dirs_done *done, void *arg)
{
    for (uint32_t i = 0; places != NULL && i < count; i++) {
        stage_read_topic(&places[i].topic);
    }
    ASK(log_dirs_kind, 1);
}

CALL(quorum, sluice_quorum_done *done, void *arg)
{
    ASK(quorum_kind, 1);
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
        stage_read(updates[i].name.data, updates[i].name.size);
    }
    ASK(text_kind, 1);
}

/* It is told to somebody at another time (rehearsal_frontend.c). */
CALL(conn_tell, uint32_t loop, uint64_t connection, struct sluice_bytes note,
     sluice_status_done *done, void *arg)
{
    struct stage *stage = broker->data;

    (void)loop;
    (void)connection;
    stage_read(note.data, note.size);
    stage->note_size = note.size < sizeof(stage->note) ? (uint32_t)note.size : 0;
    memcpy(stage->note, note.data, stage->note_size);
    ASK(rehearsal_status_kind, 1);
}

void rehearsal_cluster_init(struct sluice_broker *table)
{
    table->cluster = on_cluster;
    table->metrics = on_metrics;
    table->health = on_health;
    table->log_dirs = on_log_dirs;
    table->quorum = on_quorum;
    table->features = on_features;
    table->features_update = on_features_update;
    table->conn_tell = on_conn_tell;
}
