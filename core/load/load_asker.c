/* load_asker.c: see load_asker.h. */
#include "load/load_asker.h"

#include "base/bytes.h"
#include "base/status.h"
#include "load/load_greeting.h"

#include <stdio.h>
#include <string.h>

#define ASK_TIMEOUT_MS 30000
#define ASK_TIMEOUT_NS (INT64_C(1000000) * ASK_TIMEOUT_MS)

/* ---- frames ---- */

/* Waits until the connection can go on; an error: not in time, or never. */
static sl_err wait_for_more(struct load_asker *asker, bool writes, int64_t until_ns)
{
    int64_t left_ns = until_ns - sl_os_mono_ns(asker->os);
    if (left_ns <= 0) {
        return SLUICE_E_TIMEOUT;
    }
    load_link_wait_ns(&asker->link, writes, left_ns);
    return SLUICE_OK;
}

static sl_err write_whole(struct load_asker *asker, const uint8_t *bytes, size_t size)
{
    int64_t until_ns = sl_os_mono_ns(asker->os) + ASK_TIMEOUT_NS;
    while (size > 0) {
        size_t sent = 0;
        sl_err err = load_link_write(&asker->link, bytes, size, &sent);
        err = err == SLUICE_E_WOULD_BLOCK ? wait_for_more(asker, true, until_ns) : err;
        if (err != SLUICE_OK) {
            return err;
        }
        bytes += sent;
        size -= sent;
    }
    return SLUICE_OK;
}

/* All of them, or an error: also when not all has come for half a minute. */
static sl_err read_whole(struct load_asker *asker, uint8_t *into, size_t size)
{
    int64_t until_ns = sl_os_mono_ns(asker->os) + ASK_TIMEOUT_NS;
    while (size > 0) {
        size_t got = 0;
        sl_err err = load_link_read(&asker->link, into, size, &got);
        err = err == SLUICE_E_WOULD_BLOCK ? wait_for_more(asker, false, until_ns) : err;
        if (err != SLUICE_OK) {
            return err;
        }
        into += got;
        size -= got;
    }
    return SLUICE_OK;
}

static sl_err frame_read(struct load_asker *asker, struct sl_bytes *ret_frame)
{
    uint8_t head[4];
    sl_err err = read_whole(asker, head, sizeof(head));
    uint32_t size = err == SLUICE_OK ? sl_be32_load(head) : 0;
    if (err == SLUICE_OK && load_kafka_is_alert(head)) {
        snprintf(asker->text, sizeof(asker->text), "it speaks TLS");
        return SLUICE_E_NETWORK;
    }
    if (err != SLUICE_OK || size > LOAD_ANSWER_BYTES) {
        return err != SLUICE_OK ? err : SLUICE_E_MALFORMED;
    }
    uint8_t *frame = sl_realloc(asker->frame, SL_MAX(size, 1u));
    if (frame == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    asker->frame = frame;
    *ret_frame = sl_bytes_of(frame, size);
    return read_whole(asker, frame, size);
}

/* Sends the request that was written, and waits for its answer. */
static sl_err exchange(struct load_asker *asker, struct sl_bytes *ret_frame)
{
    asker->text[0] = '\0';
    sl_err err = write_whole(asker, asker->wire.writer.data, asker->wire.writer.size);
    return err == SLUICE_OK ? frame_read(asker, ret_frame) : err;
}

static sl_err explained(struct load_asker *asker, sl_err err)
{
    if (err != SLUICE_OK && asker->text[0] == '\0') {
        bool is_tls = err == SLUICE_E_AUTHENTICATION;
        snprintf(asker->text, sizeof(asker->text), "%s%s",
                 is_tls ? "" : "it does not answer as a broker of Kafka's protocol does: ",
                 load_link_reason(&asker->link, err));
    }
    return err;
}

static sl_err ask(struct load_asker *asker, enum load_kafka_api api, const void *request,
                  void *ret_answer)
{
    struct sl_bytes frame = {NULL, 0};
    int32_t correlation;
    sl_err err = load_kafka_write(&asker->wire, api, 1, request);
    err = err == SLUICE_OK ? exchange(asker, &frame) : err;
    err = err == SLUICE_OK ? load_kafka_read(&asker->wire, api, frame, &correlation, ret_answer)
                           : err;
    return explained(asker, err);
}

/* ---- its life ---- */

static sl_err greet(struct load_asker *asker, struct load_greeting *greeting)
{
    struct sl_bytes frame = {NULL, 0};
    sl_err err = SLUICE_OK;
    while (err == SLUICE_OK && !load_greeting_is_over(greeting)) {
        err = load_greeting_write(greeting, &asker->wire, 1);
        err = err == SLUICE_OK ? exchange(asker, &frame) : err;
        err =
            err == SLUICE_OK ? load_greeting_read(greeting, &asker->wire, frame, asker->text) : err;
    }
    return explained(asker, err);
}

/* *ret_offered: another mechanism that may do, or NULL. */
static sl_err attempt(struct load_asker *asker, const char *address,
                      const struct load_security *security, const char **ret_offered)
{
    *ret_offered = NULL;
    sl_err err = load_link_open(&asker->link, asker->os, address, security->transport);
    if (err != SLUICE_OK) {
        snprintf(asker->text, sizeof(asker->text), "no connection: %s", sl_status_text(err));
        return err;
    }
    struct load_greeting *greeting = sl_alloc(sizeof(*greeting));
    if (greeting == NULL) {
        return explained(asker, SLUICE_E_NO_MEMORY);
    }
    load_greeting_init(greeting, security);
    err = greet(asker, greeting);
    asker->mechanism = greeting->mechanism;
    *ret_offered = greeting->offered;
    load_greeting_fini(greeting);
    sl_free(greeting);
    return err;
}

sl_err load_asker_open(struct load_asker *asker, struct sl_os *os, const char *address,
                       const struct load_security *security)
{
    const char *offered;
    memset(asker, 0, sizeof(*asker));
    asker->os = os;
    asker->link.descriptor = -1;
    sl_err err = load_kafka_wire_init(&asker->wire, "sluice-bench");
    if (err != SLUICE_OK) {
        snprintf(asker->text, sizeof(asker->text), "out of memory");
        return err;
    }
    err = attempt(asker, address, security, &offered);
    /* Brokers close a connection after a mechanism that they do not have. */
    if (err == SLUICE_E_UNSUPPORTED_MECHANISM && security->mechanism == NULL && offered != NULL) {
        struct load_security second = *security;
        second.mechanism = offered;
        load_link_close(&asker->link);
        err = attempt(asker, address, &second, &offered);
    }
    return err;
}

void load_asker_close(struct load_asker *asker)
{
    load_link_close(&asker->link);
    load_kafka_wire_fini(&asker->wire);
    sl_free(asker->frame);
    asker->frame = NULL;
}

/* ---- questions ---- */

sl_err load_asker_topic_create(struct load_asker *asker, const char *topic, int32_t partitions)
{
    struct kafka_create_topics_request request;
    struct kafka_create_topics_request_topic entry;
    struct kafka_create_topics_response answer;
    kafka_create_topics_request_init(&request);
    kafka_create_topics_request_topic_init(&entry);
    entry.name = kafka_string(topic);
    entry.num_partitions = partitions;
    entry.replication_factor = 1;
    request.topics = &entry;
    request.topics_count = 1;
    sl_err err = ask(asker, LOAD_KAFKA_CREATE, &request, &answer);
    return err != SLUICE_OK          ? err
           : answer.topics_count < 1 ? SLUICE_E_MALFORMED
                                     : load_kafka_error(answer.topics[0].error_code, asker->text);
}

sl_err load_asker_topic_delete(struct load_asker *asker, const char *topic)
{
    struct kafka_delete_topics_request request;
    struct kafka_delete_topics_response answer;
    struct kafka_bytes name = kafka_string(topic);
    kafka_delete_topics_request_init(&request);
    request.topic_names = &name;
    request.topic_names_count = 1;
    request.timeout_ms = ASK_TIMEOUT_MS;
    sl_err err = ask(asker, LOAD_KAFKA_DELETE, &request, &answer);
    return err != SLUICE_OK ? err
           : answer.responses_count < 1
               ? SLUICE_E_MALFORMED
               : load_kafka_error(answer.responses[0].error_code, asker->text);
}

/* A broker of the answer as "host:port"; "" for one that is not in it. */
static void address_of(const struct kafka_metadata_response *answer, int32_t node,
                       char ret_address[LOAD_ADDRESS_BYTES])
{
    ret_address[0] = '\0';
    for (int32_t i = 0; i < answer->brokers_count; i++) {
        const struct kafka_metadata_response_broker *each = &answer->brokers[i];
        const char *host = (const char *)each->host.data;
        int size = SL_MAX(each->host.size, 0);
        if (each->node_id == node) {
            bool is_v6 = size > 0 && memchr(host, ':', (size_t)size) != NULL;
            snprintf(ret_address, LOAD_ADDRESS_BYTES, is_v6 ? "[%.*s]:%d" : "%.*s:%d",
                     SL_MIN(size, 255), host, each->port);
        }
    }
}

/* A single broker is the one that was asked, whatever it calls itself. */
static sl_err leader_take(struct load_asker *asker, const struct kafka_metadata_response *answer,
                          char ret_leader[LOAD_ADDRESS_BYTES])
{
    const struct kafka_metadata_response_topic *topic = &answer->topics[0];
    char other[LOAD_ADDRESS_BYTES];
    ret_leader[0] = '\0';
    for (int32_t i = 0; answer->brokers_count > 1 && i < topic->partitions_count; i++) {
        const struct kafka_metadata_response_partition *each = &topic->partitions[i];
        sl_err err = load_kafka_error(each->error_code, asker->text);
        if (err != SLUICE_OK) {
            return err;
        }
        address_of(answer, each->leader_id, other);
        if (i == 0) {
            memcpy(ret_leader, other, sizeof(other));
        } else if (strcmp(ret_leader, other) != 0) {
            snprintf(
                asker->text, sizeof(asker->text),
                "the topic's partitions are led by several brokers (%.100s, %.100s); one broker "
                "is measured at a time: a topic with one partition has one leader",
                ret_leader, other);
            return SLUICE_E_UNSUPPORTED;
        }
    }
    return SLUICE_OK;
}

sl_err load_asker_topic_look(struct load_asker *asker, const char *topic, int32_t *ret_count,
                             char ret_leader[LOAD_ADDRESS_BYTES])
{
    struct kafka_metadata_request request;
    struct kafka_metadata_request_topic entry;
    struct kafka_metadata_response answer;
    kafka_metadata_request_init(&request);
    kafka_metadata_request_topic_init(&entry);
    entry.name = kafka_string(topic);
    request.topics = &entry;
    request.topics_count = 1;
    request.allow_auto_topic_creation = false;
    sl_err err = ask(asker, LOAD_KAFKA_METADATA, &request, &answer);
    if (err != SLUICE_OK || answer.topics_count < 1) {
        return err != SLUICE_OK ? err : SLUICE_E_MALFORMED;
    }
    *ret_count = answer.topics[0].partitions_count;
    err = load_kafka_error(answer.topics[0].error_code, asker->text);
    return err == SLUICE_OK ? leader_take(asker, &answer, ret_leader) : err;
}

/* timestamp: -2 the start, -1 the end */
static sl_err place_ask(struct load_asker *asker, const char *topic, int32_t partition,
                        int64_t timestamp, int64_t *ret_offset)
{
    struct kafka_list_offsets_request request;
    struct kafka_list_offsets_request_topic entry;
    struct kafka_list_offsets_request_partition place;
    struct kafka_list_offsets_response answer;
    kafka_list_offsets_request_init(&request);
    kafka_list_offsets_request_topic_init(&entry);
    kafka_list_offsets_request_partition_init(&place);
    place.partition_index = partition;
    place.timestamp = timestamp;
    entry.name = kafka_string(topic);
    entry.partitions = &place;
    entry.partitions_count = 1;
    request.replica_id = -1;
    request.topics = &entry;
    request.topics_count = 1;
    sl_err err = ask(asker, LOAD_KAFKA_OFFSETS, &request, &answer);
    if (err != SLUICE_OK || answer.topics_count < 1 || answer.topics[0].partitions_count < 1) {
        return err != SLUICE_OK ? err : SLUICE_E_MALFORMED;
    }
    *ret_offset = answer.topics[0].partitions[0].offset;
    return load_kafka_error(answer.topics[0].partitions[0].error_code, asker->text);
}

sl_err load_asker_ends(struct load_asker *asker, const char *topic, int32_t partition,
                       int64_t *ret_start, int64_t *ret_end)
{
    sl_err err = place_ask(asker, topic, partition, -2, ret_start);
    return err != SLUICE_OK ? err : place_ask(asker, topic, partition, -1, ret_end);
}
