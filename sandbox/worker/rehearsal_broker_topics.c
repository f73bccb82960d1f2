/* rehearsal_broker_topics.c: topics and their partitions, made up (rehearsal_broker.h). */
#include "rehearsal_broker.h"

static const struct sluice_partition_info partitions[] = {{.partition = 0, .leader_epoch = 1},
                                                          {.partition = 1, .leader_epoch = 1}};

static void end_topics(struct stage *stage, const struct stage_call *call, void *results,
                       sluice_status status)
{
    struct sluice_topic_info *info = results;

    (void)stage;
    for (uint32_t i = 0; i < call->count; i++) {
        info[i] = (struct sluice_topic_info){.size = sizeof(*info),
                                             .status = status,
                                             .name = rehearsal_topic,
                                             .id = {{1}},
                                             .partition_count = status == SLUICE_OK ? 2 : 0,
                                             .partitions = partitions};
    }
    DONE(sluice_topics_done)(call->arg, info, call->count);
}

static const struct rehearsal_kind topics_kind =
    KIND("topics", end_topics, sizeof(struct sluice_topic_info));

static void end_topic_results(struct stage *stage, const struct stage_call *call, void *results,
                              sluice_status status)
{
    struct sluice_topic_result *result = results;

    (void)stage;
    for (uint32_t i = 0; i < call->count; i++) {
        result[i] = (struct sluice_topic_result){.status = status,
                                                 .partition_count = 2,
                                                 .name = rehearsal_topic,
                                                 .reason = {"made up", 7},
                                                 .replication_factor = 1};
    }
    DONE(sluice_topic_results_done)(call->arg, result, call->count);
}

const struct rehearsal_kind rehearsal_topic_results_kind =
    KIND("topics_create", end_topic_results, sizeof(struct sluice_topic_result));

/* ---- calls ---- */

CALL(topics, const struct sluice_topic_ref *topics, uint32_t count, bool auto_create,
     sluice_topics_done *done, void *arg)
{
    (void)auto_create;
    for (uint32_t i = 0; topics != NULL && i < count; i++) {
        stage_read_topic(&topics[i]);
    }
    ASK(topics_kind, topics != NULL ? count : 1);
}

CALL(topics_create, const struct sluice_topic_spec *specs, uint32_t count, bool validate_only,
     sluice_topic_results_done *done, void *arg)
{
    (void)validate_only;
    for (uint32_t i = 0; i < count; i++) {
        stage_read(specs[i].name.data, specs[i].name.size);
        for (uint32_t k = 0; k < specs[i].config_count; k++) {
            stage_read(specs[i].configs[k].key.data, specs[i].configs[k].key.size);
            stage_read(specs[i].configs[k].value.data, specs[i].configs[k].value.size);
        }
    }
    ASK(rehearsal_topic_results_kind, count);
}

CALL(topics_delete, const struct sluice_topic_ref *topics, uint32_t count, bool validate_only,
     sluice_topic_results_done *done, void *arg)
{
    (void)validate_only;
    for (uint32_t i = 0; i < count; i++) {
        stage_read_topic(&topics[i]);
    }
    ASK(rehearsal_topic_results_kind, count);
}

CALL(partitions_create, const struct sluice_topic_growth *growths, uint32_t count,
     bool validate_only, sluice_topic_results_done *done, void *arg)
{
    (void)validate_only;
    for (uint32_t i = 0; i < count; i++) {
        stage_read(growths[i].name.data, growths[i].name.size);
    }
    ASK(rehearsal_topic_results_kind, count);
}

CALL(partitions_find, int32_t operation, const struct sluice_partition_ref *places, uint32_t count,
     sluice_statuses_done *done, void *arg)
{
    (void)operation;
    for (uint32_t i = 0; i < count; i++) {
        stage_read_topic(&places[i].topic);
    }
    ASK(rehearsal_statuses_kind, count);
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

void rehearsal_topics_init(struct sluice_broker *table)
{
    table->topics = on_topics;
    table->topics_create = on_topics_create;
    table->topics_delete = on_topics_delete;
    table->partitions_create = on_partitions_create;
    table->partitions_find = on_partitions_find;
    table->topics_seen = on_topics_seen;
}
