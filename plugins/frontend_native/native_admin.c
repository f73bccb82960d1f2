/* native_admin.c: topics and groups: TOPICS, TOPIC_CREATE, TOPIC_DELETE, TOPIC_CONFIG, OFFSETS,
 * TRIM, GROUP_DELETE.
 *
 * Each is one call of the broker, which judges who may; what it points at is kept in one piece with
 * the request, until the broker has answered. */
#include "native_frontend.h"

#include <stdlib.h>
#include <string.h>

#define CONFIGS_MAX 1024u

/* A request under way, with a copy of its body, and room for what the broker is given. */
struct asking {
    struct native_call *call;
    struct native_reader reader; /* of the copy */
    struct native_pattern pattern;
    struct sluice_topic_spec spec;
    struct sluice_config_alter alter;
    struct sluice_topic_ref topic;
    int32_t partitions; /* that go with a topic */
    struct sluice_records_delete trim;
    struct sluice_text group;
    struct sluice_key_value *configs;
    struct sluice_config_change *changes;
    struct sluice_offset_query *queries;
    uint32_t query_count;
};

static void asking_free(struct asking *asking)
{
    native_pattern_fini(&asking->pattern);
    native_call_end(asking->call);
    free(asking->configs);
    free(asking->changes);
    free(asking->queries);
    free(asking);
}

/* NULL: no memory; then it was answered. */
static struct asking *asking_new(struct native_conn *conn, const struct native_frame *frame)
{
    struct native_call *call = native_call_new(conn, frame);
    struct asking *asking = call == NULL ? NULL : calloc(1, sizeof(*asking) + frame->body_size + 1);
    if (asking == NULL) {
        if (call != NULL) {
            native_conn_error(conn, frame->id, SLUICE_E_NO_MEMORY, (struct sluice_text){NULL, 0});
            native_call_end(call);
        }
        return NULL;
    }
    asking->call = call;
    if (frame->body_size > 0) {
        memcpy(asking + 1, frame->body, frame->body_size);
    }
    native_reader_init(&asking->reader, asking + 1, frame->body_size);
    return asking;
}

/* [takes asking] */
static void refuse(struct asking *asking, sluice_status status, struct sluice_text reason)
{
    struct native_conn *conn = asking->call->conn;
    if (native_conn_is_open(conn)) {
        native_conn_error(conn, asking->call->id, status, reason);
    }
    asking_free(asking);
}

/* [takes asking] The body is none. */
static void end_malformed(struct asking *asking)
{
    struct native_conn *conn = asking->call->conn;
    native_conn_goaway(conn, SLUICE_E_MALFORMED, "a request cannot be read");
    asking_free(asking);
}

/* [takes asking] DONE, or ERROR. */
static void finish(struct asking *asking, sluice_status status, struct sluice_text reason)
{
    struct native_conn *conn = asking->call->conn;
    if (status != SLUICE_OK) {
        refuse(asking, status, reason);
        return;
    }
    if (native_conn_is_open(conn)) {
        (void)native_conn_frame(conn, NATIVE_DONE, 0, asking->call->id);
        native_conn_send(conn);
    }
    asking_free(asking);
}

/* ---- TOPICS ---- */

static bool is_asked_for(const struct asking *asking, const struct sluice_topic_info *topic)
{
    if (topic->status != SLUICE_OK) {
        return false;
    }
    return asking->pattern.text == NULL ? !topic->internal
                                        : native_pattern_matches(&asking->pattern, topic->name);
}

static void topics_listed(void *arg, const struct sluice_topic_info *topics, uint32_t count)
{
    struct asking *asking = arg;
    struct native_conn *conn = asking->call->conn;
    uint32_t listed = 0;
    if (native_conn_is_open(conn)) {
        struct native_writer *writer =
            native_conn_frame(conn, NATIVE_TOPIC_LIST, 0, asking->call->id);
        native_write_u32(writer, 0);
        for (uint32_t i = 0; i < count; i++) {
            if (is_asked_for(asking, &topics[i])) {
                native_write_text(writer, topics[i].name);
                native_write_bytes(writer, topics[i].id.bytes, sizeof(topics[i].id.bytes));
                native_write_u32(writer, topics[i].partition_count);
                listed++;
            }
        }
        native_patch_u32(writer, NATIVE_HEAD_BYTES, listed);
        if (writer->failed) {
            refuse(asking, SLUICE_E_LIMIT,
                   sluice_text_of("the list is larger than native.frame_bytes_max"));
            return;
        }
        native_conn_send(conn);
    }
    asking_free(asking);
}

bool native_handle_topics(struct native_conn *conn, const struct native_frame *frame)
{
    const struct sluice_broker *broker = conn->frontend->broker;
    struct asking *asking = asking_new(conn, frame);
    if (asking == NULL) {
        return true;
    }
    struct sluice_text pattern = native_read_text(&asking->reader);
    sluice_status status =
        pattern.size == 0 ? SLUICE_OK : native_pattern_init(&asking->pattern, pattern);
    if (asking->reader.failed) {
        end_malformed(asking);
    } else if (status != SLUICE_OK) {
        refuse(asking, status, sluice_text_of("the pattern is not one"));
    } else {
        broker->topics(broker, &conn->context, NULL, 0, false, topics_listed, asking);
    }
    return true;
}

/* ---- TOPIC_CREATE, TOPIC_DELETE, TOPIC_CONFIG ---- */

static void topic_done(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    if (count == 0) {
        finish(arg, SLUICE_E_NO_MEMORY, (struct sluice_text){NULL, 0});
    } else {
        finish(arg, results[0].status, results[0].reason);
    }
}

/* The topic was made or is gone. */
static void topic_changed(void *arg, const struct sluice_topic_result *results, uint32_t count)
{
    struct asking *asking = arg;
    if (count > 0 && results[0].status == SLUICE_OK) {
        native_quota_topics(asking->call->conn, asking->partitions > 0
                                                    ? asking->partitions
                                                    : results[0].partition_count);
    }
    topic_done(arg, results, count);
}

static bool read_create(struct asking *asking)
{
    struct native_reader *reader = &asking->reader;
    asking->spec = (struct sluice_topic_spec){.size = sizeof(asking->spec)};
    asking->spec.name = native_read_text(reader);
    asking->spec.partition_count = native_read_i32(reader);
    asking->spec.replication_factor = -1;
    uint32_t count = native_read_u16(reader);
    asking->configs = count > CONFIGS_MAX ? NULL : calloc(count + 1u, sizeof(*asking->configs));
    for (uint32_t i = 0; asking->configs != NULL && i < count; i++) {
        asking->configs[i].key = native_read_text(reader);
        asking->configs[i].value = native_read_text(reader);
    }
    asking->spec.configs = asking->configs;
    asking->spec.config_count = count;
    return asking->configs != NULL && !reader->failed;
}

bool native_handle_topic_create(struct native_conn *conn, const struct native_frame *frame)
{
    const struct sluice_broker *broker = conn->frontend->broker;
    struct asking *asking = asking_new(conn, frame);
    if (asking == NULL) {
        return true;
    }
    if (!read_create(asking)) {
        end_malformed(asking);
        return true;
    }
    if (!native_quota_allows_topics(conn)) {
        refuse(asking, SLUICE_E_QUOTA_EXCEEDED, (struct sluice_text){NULL, 0});
        return true;
    }
    broker->topics_create(broker, &conn->context, &asking->spec, 1, false, topic_changed, asking);
    return true;
}

bool native_handle_topic_delete(struct native_conn *conn, const struct native_frame *frame)
{
    const struct sluice_broker *broker = conn->frontend->broker;
    struct asking *asking = asking_new(conn, frame);
    if (asking == NULL) {
        return true;
    }
    asking->topic.name = native_read_text(&asking->reader);
    if (asking->reader.failed) {
        end_malformed(asking);
        return true;
    }
    if (!native_quota_allows_topics(conn)) {
        refuse(asking, SLUICE_E_QUOTA_EXCEEDED, (struct sluice_text){NULL, 0});
        return true;
    }
    native_topics_refresh(conn->frontend);
    const struct native_topic *topic =
        native_topics_find(&conn->frontend->topics, asking->topic.name);
    asking->partitions = topic != NULL ? (int32_t)topic->partition_count : 0;
    broker->topics_delete(broker, &conn->context, &asking->topic, 1, false, topic_changed, asking);
    return true;
}

static bool read_config(struct asking *asking)
{
    struct native_reader *reader = &asking->reader;
    asking->alter = (struct sluice_config_alter){.size = sizeof(asking->alter),
                                                 .resource = SLUICE_RESOURCE_TOPIC,
                                                 .name = native_read_text(reader)};
    uint32_t count = native_read_u16(reader);
    asking->changes = count > CONFIGS_MAX ? NULL : calloc(count + 1u, sizeof(*asking->changes));
    for (uint32_t i = 0; asking->changes != NULL && i < count; i++) {
        struct sluice_config_change *change = &asking->changes[i];
        change->key = native_read_text(reader);
        struct sluice_bytes value = native_read_blob(reader);
        change->value = (struct sluice_text){(const char *)value.data, value.size};
        change->operation = value.data == NULL ? SLUICE_CONFIG_DELETE : SLUICE_CONFIG_SET;
    }
    asking->alter.changes = asking->changes;
    asking->alter.change_count = count;
    return asking->changes != NULL && !reader->failed;
}

bool native_handle_topic_config(struct native_conn *conn, const struct native_frame *frame)
{
    const struct sluice_broker *broker = conn->frontend->broker;
    struct asking *asking = asking_new(conn, frame);
    if (asking == NULL) {
        return true;
    }
    if (!read_config(asking)) {
        end_malformed(asking);
        return true;
    }
    broker->configs_alter(broker, &conn->context, &asking->alter, 1, false, topic_done, asking);
    return true;
}

/* ---- OFFSETS ---- */

static void offsets_found(void *arg, const struct sluice_offset_answer *answers, uint32_t count)
{
    struct asking *asking = arg;
    struct native_conn *conn = asking->call->conn;
    sluice_status status = count == asking->query_count ? SLUICE_OK : SLUICE_E_NO_MEMORY;
    for (uint32_t i = 0; i < count && status == SLUICE_OK; i++) {
        status = answers[i].status;
    }
    if (status != SLUICE_OK) {
        refuse(asking, status, (struct sluice_text){NULL, 0});
        return;
    }
    if (native_conn_is_open(conn)) {
        struct native_writer *writer =
            native_conn_frame(conn, NATIVE_OFFSET_LIST, 0, asking->call->id);
        native_write_u32(writer, count);
        for (uint32_t i = 0; i < count; i++) {
            native_write_i32(writer, asking->queries[i].partition);
            native_write_i64(writer, answers[i].offset);
            native_write_i64(writer, answers[i].timestamp);
        }
        native_conn_send(conn);
    }
    asking_free(asking);
}

/* Questions for one partition, or for all. */
static sluice_status make_queries(struct asking *asking, struct sluice_text name, int32_t partition,
                                  int64_t time)
{
    struct native_frontend *frontend = asking->call->conn->frontend;
    native_topics_refresh(frontend);
    const struct native_topic *topic = native_topics_find(&frontend->topics, name);
    uint32_t count = topic != NULL && partition < 0 ? topic->partition_count : 1;
    asking->queries = calloc(count, sizeof(*asking->queries));
    if (asking->queries == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        asking->queries[i] =
            (struct sluice_offset_query){.topic = {.name = name},
                                         .partition = partition < 0 ? (int32_t)i : partition,
                                         .leader_epoch = -1,
                                         .timestamp = time};
    }
    asking->query_count = count;
    return partition < -1 || time < SLUICE_TIME_EARLIEST ? SLUICE_E_INVALID_REQUEST : SLUICE_OK;
}

bool native_handle_offsets(struct native_conn *conn, const struct native_frame *frame)
{
    const struct sluice_broker *broker = conn->frontend->broker;
    struct asking *asking = asking_new(conn, frame);
    if (asking == NULL) {
        return true;
    }
    struct sluice_text topic = native_read_text(&asking->reader);
    int32_t partition = native_read_i32(&asking->reader);
    int64_t time = native_read_i64(&asking->reader);
    if (asking->reader.failed) {
        end_malformed(asking);
        return true;
    }
    sluice_status status = make_queries(asking, topic, partition, time);
    if (status != SLUICE_OK) {
        refuse(asking, status, (struct sluice_text){NULL, 0});
        return true;
    }
    broker->offsets(broker, &conn->context, SLUICE_ISOLATION_UNCOMMITTED, asking->queries,
                    asking->query_count, offsets_found, asking);
    return true;
}

/* ---- TRIM, GROUP_DELETE ---- */

static void trimmed(void *arg, const struct sluice_records_deleted *results, uint32_t count)
{
    finish(arg, count == 0 ? SLUICE_E_NO_MEMORY : results[0].status, (struct sluice_text){NULL, 0});
}

bool native_handle_trim(struct native_conn *conn, const struct native_frame *frame)
{
    const struct sluice_broker *broker = conn->frontend->broker;
    struct asking *asking = asking_new(conn, frame);
    if (asking == NULL) {
        return true;
    }
    asking->trim.topic.name = native_read_text(&asking->reader);
    asking->trim.partition = native_read_i32(&asking->reader);
    asking->trim.before_offset = native_read_i64(&asking->reader);
    if (asking->reader.failed) {
        end_malformed(asking);
        return true;
    }
    broker->records_delete(broker, &conn->context, &asking->trim, 1, trimmed, asking);
    return true;
}

static void group_deleted(void *arg, sluice_status status)
{
    finish(arg, status, (struct sluice_text){NULL, 0});
}

bool native_handle_group_delete(struct native_conn *conn, const struct native_frame *frame)
{
    const struct sluice_broker *broker = conn->frontend->broker;
    struct asking *asking = asking_new(conn, frame);
    if (asking == NULL) {
        return true;
    }
    asking->group = native_read_text(&asking->reader);
    if (asking->reader.failed) {
        end_malformed(asking);
        return true;
    }
    broker->group_delete(broker, &conn->context, asking->group, group_deleted, asking);
    return true;
}
