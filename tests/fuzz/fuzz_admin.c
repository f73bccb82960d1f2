/* fuzz_admin.c: any bytes on the admin socket, before a broker that holds what was produced last.
 *
 * Input: the size of the pieces in which the bytes come, then the bytes. Each line that is written
 * is a JSON object that says whether it went well, and nothing is under way when the bytes end. */
#include "control/admin.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t stored[1 << 20];
static size_t stored_size;

static const struct sluice_cluster *answer_cluster(const struct sluice_broker *broker,
                                                   const struct sluice_context *context)
{
    (void)broker, (void)context;
    static const struct sluice_cluster cluster = {.size = sizeof(cluster), .cluster_id = {"c", 1}};
    return &cluster;
}

static void answer_topics(const struct sluice_broker *broker, const struct sluice_context *context,
                          const struct sluice_topic_ref *topics, uint32_t count, bool create,
                          sluice_topics_done *done, void *arg)
{
    (void)broker, (void)context, (void)create;
    static const struct sluice_partition_info partitions[2] = {{.partition = 0}, {.partition = 1}};
    struct sluice_topic_info info = {.size = sizeof(info),
                                     .partition_count = 2,
                                     .name = sluice_text_of("t"),
                                     .partitions = partitions};
    if (topics != NULL) {
        info.name = topics->name;
        info.status = topics->name.size == 1 ? SLUICE_OK : SLUICE_E_UNKNOWN_TOPIC;
        info.partition_count = info.status == SLUICE_OK ? 2 : 0;
    }
    done(arg, &info, topics == NULL || count > 0 ? 1 : 0);
}

static void answer_create(const struct sluice_broker *broker, const struct sluice_context *context,
                          const struct sluice_topic_spec *specs, uint32_t count, bool validate_only,
                          sluice_topic_results_done *done, void *arg)
{
    (void)broker, (void)context, (void)count, (void)validate_only;
    struct sluice_topic_result result = {.name = specs->name, .partition_count = 1};
    done(arg, &result, 1);
}

static void answer_delete(const struct sluice_broker *broker, const struct sluice_context *context,
                          const struct sluice_topic_ref *topics, uint32_t count, bool validate_only,
                          sluice_topic_results_done *done, void *arg)
{
    (void)broker, (void)context, (void)count;
    struct sluice_topic_result result = {
        .name = topics->name, .status = validate_only ? SLUICE_OK : SLUICE_E_UNKNOWN_TOPIC};
    done(arg, &result, 1);
}

static void answer_produce(const struct sluice_broker *broker, const struct sluice_context *context,
                           const struct sluice_produce *request, sluice_produce_done *done,
                           void *arg)
{
    (void)broker, (void)context;
    struct sluice_produce_result results[2] = {{0}};
    struct sluice_bytes batch = request->entries[0].batch;
    if (request->entry_count > 2) {
        abort(); /* of the topic's two partitions */
    }
    if (batch.size <= sizeof(stored)) {
        memcpy(stored, batch.data, batch.size);
        stored_size = batch.size;
    }
    done(arg, results, request->entry_count, 0);
}

static void answer_fetch(const struct sluice_broker *broker, const struct sluice_context *context,
                         const struct sluice_fetch *request, sluice_fetch_done *done, void *arg)
{
    (void)broker, (void)context, (void)request;
    struct sluice_fetch_result result = {.high_watermark = 1, .records = {stored, stored_size}};
    done(arg, &result, 1, 0);
}

static void answer_offsets(const struct sluice_broker *broker, const struct sluice_context *context,
                           int32_t isolation, const struct sluice_offset_query *queries,
                           uint32_t count, sluice_offsets_done *done, void *arg)
{
    (void)broker, (void)context, (void)isolation, (void)queries;
    struct sluice_offset_answer answers[4] = {{0}};
    if (count > 4) {
        abort();
    }
    done(arg, answers, count);
}

static void answer_configs(const struct sluice_broker *broker, const struct sluice_context *context,
                           int32_t resource, struct sluice_text name, sluice_config_done *done,
                           void *arg)
{
    (void)broker, (void)context, (void)resource;
    struct sluice_config_result result = {.name = name};
    done(arg, &result);
}

static void answer_health(const struct sluice_broker *broker, const struct sluice_context *context,
                          int32_t what, sluice_health_done *done, void *arg)
{
    (void)broker, (void)context, (void)what;
    struct sluice_health health = {.size = sizeof(health), .ok = true, .text = {"", 0}};
    done(arg, &health);
}

static void answer_metrics(const struct sluice_broker *broker, const struct sluice_context *context,
                           sluice_text_done *done, void *arg)
{
    (void)broker, (void)context;
    done(arg, SLUICE_OK, sluice_text_of("sluice_up 1\n"));
}

static const struct sluice_broker broker = {.size = sizeof(broker),
                                            .cluster = answer_cluster,
                                            .topics = answer_topics,
                                            .topics_create = answer_create,
                                            .topics_delete = answer_delete,
                                            .metrics = answer_metrics,
                                            .produce = answer_produce,
                                            .fetch = answer_fetch,
                                            .offsets = answer_offsets,
                                            .configs_describe = answer_configs,
                                            .health = answer_health};

static void check_line(void *arg, void *connection, const void *bytes, size_t size)
{
    (void)arg, (void)connection;
    if (size == 0 || memchr(bytes, '\n', size) != (const char *)bytes + size - 1) {
        abort();
    }
    cJSON *reply = cJSON_ParseWithLength(bytes, size);
    if (!cJSON_IsBool(cJSON_GetObjectItemCaseSensitive(reply, "ok"))) {
        abort();
    }
    cJSON_Delete(reply);
}

static int64_t wall(void *arg)
{
    (void)arg;
    return 1700000000000;
}

static void feed(struct admin_session *session, const uint8_t *data, size_t size, size_t piece)
{
    sl_err err = SLUICE_OK;
    while (size > 0 && err == SLUICE_OK) {
        size_t now = SL_MIN(piece, size);
        err = admin_session_input(session, (struct sl_bytes){data, now});
        data += now;
        size -= now;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct admin_server *server = NULL;
    struct admin_session *session = NULL;
    struct admin_server_config config = {.broker = &broker, .decompressed_bytes_max = 1 << 20};
    config.hooks.write = check_line;
    config.hooks.wall_ms = wall;
    stored_size = 0;
    if (size < 1 || admin_server_new(&config, &server) != SLUICE_OK) {
        return 0;
    }
    if (admin_session_open(server, &config, &session) == SLUICE_OK) {
        feed(session, data + 1, size - 1, data[0] == 0 ? size : data[0]);
        admin_session_close(session);
    }
    admin_server_free(server); /* asserts that nothing is under way */
    return 0;
}
