/* native_publish.c: PUBLISH: records to a batch to the log.
 *
 * All records of a frame are one batch of one partition, so all of them are there or none is. A
 * topic that is not known yet is looked up, and made where the configuration makes topics; the
 * frame waits meanwhile, and what comes behind it. */
#include "native_frontend.h"

#include <stdlib.h>
#include <string.h>

#define NO_ANSWER      1u /* flag */
#define WAS_THERE      1u /* flag of PUBLISHED */
#define COMES_LATER    2u /* likewise */
#define LEVEL_ACCEPTED 0u
#define LEVEL_TOPIC    1u
#define TIMEOUT_MS     30000
#define KEYLESS_ROUNDS                                                        \
    4u /* 1 << this: publishes without a key to one partition before the next \
        */

struct publish {
    struct sluice_text topic;
    int32_t partition;
    uint8_t level;
    int64_t expected;
    struct sluice_text message_id;
    uint32_t count;
};

/* ---- reading ---- */

static bool make_room(struct native_frontend *frontend, uint32_t records, uint32_t headers)
{
    if (records > frontend->read_record_room) {
        void *memory = realloc(frontend->read_records, records * sizeof(struct sluice_record));
        if (memory == NULL) {
            return false;
        }
        frontend->read_records = memory;
        frontend->read_record_room = records;
    }
    if (headers > frontend->read_header_room) {
        void *memory = realloc(frontend->read_headers, headers * sizeof(struct sluice_header));
        if (memory == NULL) {
            return false;
        }
        frontend->read_headers = memory;
        frontend->read_header_room = headers;
    }
    return true;
}

/* A large frame's memory is not kept. */
void native_read_give_back(struct native_frontend *frontend)
{
    if (frontend->read_record_room * sizeof(struct sluice_record) > NATIVE_SCRATCH_KEPT) {
        free(frontend->read_records);
        frontend->read_records = NULL;
        frontend->read_record_room = 0;
    }
    if (frontend->read_header_room * sizeof(struct sluice_header) > NATIVE_SCRATCH_KEPT) {
        free(frontend->read_headers);
        frontend->read_headers = NULL;
        frontend->read_header_room = 0;
    }
}

sluice_status native_read_some(struct native_frontend *frontend, struct native_reader *reader,
                               uint32_t count)
{
    if (count == 0 || count > (uint64_t)(reader->end - reader->at) / NATIVE_RECORD_MIN) {
        return SLUICE_E_MALFORMED;
    }
    uint32_t headers = native_records_headers(*reader, count);
    if (!make_room(frontend, count, headers)) {
        return SLUICE_E_NO_MEMORY;
    }
    return native_records_read(reader, frontend->read_records, count, frontend->read_headers,
                               headers);
}

static void read_head(struct native_reader *reader, struct publish *publish)
{
    publish->topic = native_read_text(reader);
    publish->partition = native_read_i32(reader);
    publish->level = native_read_u8(reader);
    native_skip(reader, 3);
    publish->expected = native_read_i64(reader);
    publish->message_id = native_read_text(reader);
    publish->count = native_read_u32(reader);
}

/* ---- which partition ---- */

/* As Kafka's clients hash keys (org.apache.kafka.common.utils.Utils.murmur2). */
static uint32_t murmur2(const uint8_t *data, size_t size)
{
    const uint32_t m = 0x5bd1e995;
    uint32_t hash = 0x9747b28cu ^ (uint32_t)size;
    size_t at = 0;
    for (; at + 4 <= size; at += 4) {
        uint32_t k = (uint32_t)data[at] | (uint32_t)data[at + 1] << 8 |
                     (uint32_t)data[at + 2] << 16 | (uint32_t)data[at + 3] << 24;
        k *= m;
        k ^= k >> 24;
        hash = hash * m ^ k * m;
    }
    for (size_t i = size; i > at; i--) {
        hash ^= (uint32_t)data[i - 1] << (8 * (i - 1 - at));
    }
    hash = size > at ? hash * m : hash;
    hash ^= hash >> 13;
    hash *= m;
    return hash ^ hash >> 15;
}

/* A message id finds the partition where it was seen before. */
static int32_t choose(struct native_frontend *frontend, const struct publish *publish,
                      uint32_t partition_count)
{
    struct sluice_bytes key = frontend->read_records[0].key;
    if (publish->message_id.size > 0) {
        key = (struct sluice_bytes){(const uint8_t *)publish->message_id.data,
                                    publish->message_id.size};
    }
    uint32_t number = key.data != NULL ? murmur2(key.data, (size_t)key.size) & 0x7FFFFFFFu
                                       : frontend->round++ >> KEYLESS_ROUNDS;
    return (int32_t)(number % partition_count);
}

/* ---- a topic that is not known ---- */

static void looked_up(void *arg, const struct sluice_topic_info *topics, uint32_t count)
{
    struct native_call *call = arg;
    struct native_conn *conn = call->conn;
    conn->looked_up = count == 0 ? SLUICE_E_NO_MEMORY : topics[0].status;
    conn->has_looked_up = true;
    native_conn_ref(conn);
    native_call_end(call);
    if (!conn->closed && conn->wait == NATIVE_WAIT_TOPIC) {
        native_conn_go(conn);
    }
    native_conn_unref(conn);
}

struct lookup {
    struct native_call call;
    struct sluice_topic_ref ref;
};

/* Whether the frame waits for it; else conn->looked_up says how it ended. */
static bool look_up(struct native_conn *conn, const struct native_frame *frame,
                    struct sluice_text name)
{
    const struct sluice_broker *broker = conn->frontend->broker;
    struct lookup *lookup = calloc(1, sizeof(*lookup) + (size_t)name.size);
    if (lookup == NULL) {
        conn->looked_up = SLUICE_E_NO_MEMORY;
        return false;
    }
    memcpy(lookup + 1, name.data, (size_t)name.size);
    lookup->call = (struct native_call){.conn = conn, .id = frame->id, .kind = frame->kind};
    lookup->ref.name = (struct sluice_text){(const char *)(lookup + 1), name.size};
    native_conn_ref(conn);
    conn->calls++;
    conn->has_looked_up = false;
    native_conn_ref(conn);
    broker->topics(broker, &conn->context, &lookup->ref, 1, true, looked_up, &lookup->call);
    if (!conn->has_looked_up) {
        native_conn_wait(conn, NATIVE_WAIT_TOPIC);
    }
    bool waits = !conn->has_looked_up;
    conn->has_looked_up = false;
    native_conn_unref(conn);
    return waits;
}

/* ---- the answer ---- */

static void fail(struct native_conn *conn, uint32_t id, uint16_t flags, sluice_status status,
                 struct sluice_text reason)
{
    if (!native_conn_is_open(conn)) {
        return;
    }
    native_conn_error(conn, id, status, reason);
    if ((flags & NO_ANSWER) != 0) {
        native_conn_goaway(conn, status, "a PUBLISH without an answer failed");
    }
}

static void produced(void *arg, const struct sluice_produce_result *results, uint32_t count,
                     int32_t throttle_ms)
{
    struct native_call *call = arg;
    struct native_conn *conn = call->conn;
    sluice_status status = count == 0 ? SLUICE_E_NO_MEMORY : results[0].status;
    (void)throttle_ms;
    if (!native_conn_is_open(conn)) {
        /* nobody is there to hear of it */
    } else if (status != SLUICE_OK) {
        struct sluice_text reason = count == 0 ? (struct sluice_text){NULL, 0} : results[0].reason;
        fail(conn, call->id, call->flags, status, reason);
    } else if ((call->flags & NO_ANSWER) == 0) {
        struct native_writer *writer =
            native_conn_frame(conn, NATIVE_PUBLISHED,
                              (uint16_t)((results[0].is_duplicate ? WAS_THERE : 0) |
                                         (results[0].is_later ? COMES_LATER : 0)),
                              call->id);
        native_write_i32(writer, call->partition);
        native_write_i64(writer, results[0].base_offset);
        native_write_i64(writer, results[0].log_append_time_ms);
        native_conn_send(conn);
    }
    native_call_end(call);
}

static void produce(struct native_conn *conn, const struct native_frame *frame,
                    const struct publish *publish, int32_t partition)
{
    struct native_frontend *frontend = conn->frontend;
    const struct sluice_broker *broker = frontend->broker;
    struct sluice_produce_entry entry = {.topic = {.name = publish->topic}, .partition = partition};
    sluice_status status =
        frontend->records->build(frontend->records, frontend->read_records, publish->count,
                                 sizeof(struct sluice_record), &entry.batch);
    struct native_call *call = NULL;
    if (status != SLUICE_OK) {
        fail(conn, frame->id, frame->flags, status, (struct sluice_text){NULL, 0});
        return;
    }
    call = native_call_new(conn, frame);
    if (call == NULL) {
        return;
    }
    call->partition = partition;
    const struct sluice_produce_terms terms = {
        .expected_offset = publish->expected,
        .message_id = publish->message_id,
        .deliver_at_ms = native_record_deliver_at(&frontend->read_records[0])};
    const struct sluice_produce request = {
        .size = sizeof(request),
        .acks = publish->level == LEVEL_ACCEPTED ? 0 : -1,
        .timeout_ms = TIMEOUT_MS,
        .entry_count = 1,
        .entries = &entry,
        .terms = &terms,
    };
    broker->produce(broker, &conn->context, &request, produced, call);
}

/* What of the frame cannot be; SLUICE_OK: nothing. */
static sluice_status check(const struct publish *publish, const char **ret_reason)
{
    static const struct {
        sluice_status status;
        const char *reason;
    } refusals[] = {
        {SLUICE_E_INVALID_REQUEST, "the level is 0 (accepted) or 1 (as the topic's durability)"},
        {SLUICE_E_INVALID_REQUEST, "a message id has at most 64 bytes"},
        {SLUICE_E_INVALID_REQUEST, "an expected offset wants a partition that is named"},
        {SLUICE_E_INVALID_REQUEST, "an expected offset is -1 or more"},
        {SLUICE_E_INVALID_REQUEST, "a partition is -1 or more"},
    };
    const bool wrong[] = {publish->level > LEVEL_TOPIC,
                          publish->message_id.size > SLUICE_MESSAGE_ID_BYTES_MAX,
                          publish->expected >= 0 && publish->partition < 0, publish->expected < -1,
                          publish->partition < -1};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (wrong[i]) {
            *ret_reason = refusals[i].reason;
            return refusals[i].status;
        }
    }
    return SLUICE_OK;
}

/* Where replies are wanted. */
static sluice_status address_all(struct native_conn *conn, uint32_t count)
{
    struct native_frontend *frontend = conn->frontend;
    sluice_status status = SLUICE_OK;
    uint32_t at = 0;
    for (uint32_t i = 0; i < count && status == SLUICE_OK; i++) {
        struct sluice_record *record = &frontend->read_records[i];
        if (record->header_count > 0) {
            status = native_inbox_address(conn, record, frontend->read_headers + at);
            at += record->header_count;
        }
    }
    return status;
}

/* false: the frame waits for the topic. */
static bool find_partition(struct native_conn *conn, const struct native_frame *frame,
                           const struct publish *publish, int32_t *ret_partition,
                           sluice_status *ret_status)
{
    struct native_frontend *frontend = conn->frontend;
    bool was_looked_up = conn->has_looked_up;
    conn->has_looked_up = false;
    native_topics_refresh(frontend);
    struct native_topic *topic = native_topics_find(&frontend->topics, publish->topic);
    if (topic == NULL && !was_looked_up) {
        if (look_up(conn, frame, publish->topic)) {
            return false;
        }
        native_topics_refresh(frontend);
        topic = native_topics_find(&frontend->topics, publish->topic);
    }
    *ret_status = topic != NULL                  ? SLUICE_OK
                  : conn->looked_up != SLUICE_OK ? conn->looked_up
                                                 : SLUICE_E_UNKNOWN_TOPIC;
    if (topic != NULL) {
        *ret_partition = publish->partition >= 0
                             ? publish->partition
                             : choose(frontend, publish, topic->partition_count);
    }
    return true;
}

bool native_handle_publish(struct native_conn *conn, const struct native_frame *frame)
{
    struct native_frontend *frontend = conn->frontend;
    struct native_reader reader;
    struct publish publish;
    const char *reason = NULL;
    int32_t partition = -1;
    native_reader_init(&reader, frame->body, frame->body_size);
    read_head(&reader, &publish);
    sluice_status status =
        reader.failed ? SLUICE_E_MALFORMED : native_read_some(frontend, &reader, publish.count);
    if (status == SLUICE_E_MALFORMED || status == SLUICE_E_LIMIT) {
        native_conn_goaway(conn, SLUICE_E_MALFORMED, "the PUBLISH cannot be read");
        return true;
    }
    status = status != SLUICE_OK ? status : check(&publish, &reason);
    if (status == SLUICE_OK && !find_partition(conn, frame, &publish, &partition, &status)) {
        return false;
    }
    status = status != SLUICE_OK ? status : address_all(conn, publish.count);
    if (status != SLUICE_OK) {
        fail(conn, frame->id, frame->flags, status, sluice_text_of(reason));
    } else {
        produce(conn, frame, &publish, partition);
    }
    native_read_give_back(frontend);
    return true;
}
