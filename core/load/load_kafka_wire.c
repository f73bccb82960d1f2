/* load_kafka_wire.c: requests to frames, frames to answers, and questions one after the other. */
#include "load/load_kafka.h"

#include "base/bytes.h"
#include "base/status.h"

#include <stdio.h>

#define REQUEST_BYTES_MAX (64u << 20)
#define ASK_TIMEOUT_MS    30000

static const struct {
    int16_t key, version;
} apis[] = {
    [LOAD_KAFKA_PRODUCE] = {0, 7},  [LOAD_KAFKA_FETCH] = {1, 11},  [LOAD_KAFKA_OFFSETS] = {2, 3},
    [LOAD_KAFKA_METADATA] = {3, 5}, [LOAD_KAFKA_CREATE] = {19, 4}, [LOAD_KAFKA_DELETE] = {20, 3},
};

/* ---- frames ---- */

sl_err load_kafka_wire_init(struct load_kafka_wire *wire, const char *client_id)
{
    void *memory = sl_alloc(LOAD_KAFKA_ARENA_BYTES);
    if (memory == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    *wire = (struct load_kafka_wire){.client_id = client_id};
    wire->arena = kafka_arena(memory, LOAD_KAFKA_ARENA_BYTES);
    kafka_writer_init(&wire->writer, REQUEST_BYTES_MAX);
    return SLUICE_OK;
}

void load_kafka_wire_fini(struct load_kafka_wire *wire)
{
    kafka_writer_fini(&wire->writer);
    sl_free(wire->arena.memory);
}

sl_err load_kafka_write(struct load_kafka_wire *wire, enum load_kafka_api api, int32_t correlation,
                        const void *message)
{
    kafka_writer_reset(&wire->writer);
    return kafka_request_encode(&wire->writer, kafka_api_get(apis[api].key), apis[api].version,
                                correlation, kafka_string(wire->client_id), message);
}

sl_err load_kafka_read(struct load_kafka_wire *wire, enum load_kafka_api api, struct sl_bytes frame,
                       int32_t *ret_correlation, void *ret_message)
{
    const struct kafka_api *row = kafka_api_get(apis[api].key);
    size_t body_at = 0, consumed;
    wire->arena.used = 0;
    sl_err err = kafka_response_head_decode(frame.data, frame.size, row, apis[api].version,
                                            ret_correlation, &body_at);
    return err != SLUICE_OK
               ? err
               : row->response->decode(frame.data + body_at, frame.size - body_at,
                                       apis[api].version, &wire->arena, ret_message, &consumed);
}

sl_err load_kafka_error(int16_t code, char ret_text[LOAD_TEXT_BYTES])
{
    size_t count;
    const struct sluice_status_row *rows = sluice_status_rows(&count);
    if (code == 0) {
        return SLUICE_OK;
    }
    for (size_t i = 0; i < count; i++) {
        if (rows[i].kafka == code) {
            snprintf(ret_text, LOAD_TEXT_BYTES, "Kafka's error %d: %s", code, rows[i].text);
            return rows[i].status;
        }
    }
    snprintf(ret_text, LOAD_TEXT_BYTES, "Kafka's error %d", code);
    return SLUICE_E_INTERNAL;
}

/* ---- questions ---- */

sl_err load_kafka_asker_open(struct load_kafka_asker *asker, struct sl_os *os, const char *address)
{
    *asker = (struct load_kafka_asker){.descriptor = -1};
    sl_err err = load_kafka_wire_init(&asker->wire, "sluice-bench");
    err = err == SLUICE_OK ? sl_connect(os, address, &asker->descriptor) : err;
    if (err != SLUICE_OK) {
        snprintf(asker->text, sizeof(asker->text), "no connection to %.200s: %s", address,
                 sl_status_text(err));
    }
    return err;
}

void load_kafka_asker_close(struct load_kafka_asker *asker)
{
    sl_descriptor_close(asker->descriptor);
    load_kafka_wire_fini(&asker->wire);
    sl_free(asker->frame);
    asker->frame = NULL;
}

/* All of them, or an error: also when nothing comes for half a minute. */
static sl_err read_whole(int descriptor, uint8_t *into, size_t size)
{
    while (size > 0) {
        size_t got = 0;
        if (!sl_descriptor_wait(descriptor, ASK_TIMEOUT_MS)) {
            return SLUICE_E_TIMEOUT;
        }
        sl_err err = sl_descriptor_read(descriptor, into, size, &got);
        if (err != SLUICE_OK || got == 0) {
            return SLUICE_E_NETWORK;
        }
        into += got;
        size -= got;
    }
    return SLUICE_OK;
}

static sl_err frame_read(struct load_kafka_asker *asker, struct sl_bytes *ret_frame)
{
    uint8_t head[4];
    sl_err err = read_whole(asker->descriptor, head, sizeof(head));
    uint32_t size = err == SLUICE_OK ? sl_be32_load(head) : 0;
    if (err != SLUICE_OK || size > LOAD_ANSWER_BYTES) {
        return err != SLUICE_OK ? err : SLUICE_E_MALFORMED;
    }
    uint8_t *frame = sl_realloc(asker->frame, SL_MAX(size, 1u));
    if (frame == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    asker->frame = frame;
    *ret_frame = sl_bytes_of(frame, size);
    return read_whole(asker->descriptor, frame, size);
}

static sl_err ask(struct load_kafka_asker *asker, enum load_kafka_api api, const void *request,
                  void *ret_answer)
{
    struct sl_bytes frame = {NULL, 0};
    int32_t correlation;
    sl_err err = load_kafka_write(&asker->wire, api, 1, request);
    if (err == SLUICE_OK) {
        err = sl_descriptor_write(asker->descriptor, asker->wire.writer.data,
                                  asker->wire.writer.size);
    }
    err = err == SLUICE_OK ? frame_read(asker, &frame) : err;
    err = err == SLUICE_OK ? load_kafka_read(&asker->wire, api, frame, &correlation, ret_answer)
                           : err;
    if (err != SLUICE_OK) {
        snprintf(asker->text, sizeof(asker->text),
                 "it does not answer as a broker of Kafka's protocol without a login: %s",
                 sl_status_text(err));
    }
    return err;
}

sl_err load_kafka_topic_create(struct load_kafka_asker *asker, const char *topic,
                               int32_t partitions)
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

sl_err load_kafka_topic_delete(struct load_kafka_asker *asker, const char *topic)
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

sl_err load_kafka_topic_partitions(struct load_kafka_asker *asker, const char *topic,
                                   int32_t *ret_count)
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
    return load_kafka_error(answer.topics[0].error_code, asker->text);
}

/* timestamp: -2 the start, -1 the end */
static sl_err place_ask(struct load_kafka_asker *asker, const char *topic, int32_t partition,
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

sl_err load_kafka_ends(struct load_kafka_asker *asker, const char *topic, int32_t partition,
                       int64_t *ret_start, int64_t *ret_end)
{
    sl_err err = place_ask(asker, topic, partition, -2, ret_start);
    return err != SLUICE_OK ? err : place_ask(asker, topic, partition, -1, ret_end);
}
