/* load_kafka.c: a producer and a consumer of Kafka's protocol over one connection, without a
 * socket.
 *
 * Answers come in the order of the requests, so those that wait are a ring of tokens; one Fetch
 * request for all partitions is under way at a time, as with Kafka's own clients. */
#include "load/load_greeting.h"
#include "load/load_kafka_wire.h"

#include "base/bytes.h"
#include "record/batch_builder.h"
#include "record/codec.h"

#include <stdio.h>

#define PARTITIONS_MAX 1024u
#define FETCH_WAIT_MS  500
#define FETCH_BYTES    (16 << 20)
#define PIECE_BYTES    (1 << 20) /* of one partition in an answer */
/* In the ring: no publish, but the Fetch, or a step of the greeting. */
#define IS_FETCH    UINT32_MAX
#define IS_GREETING (UINT32_MAX - 1)

struct place {
    int32_t partition;
    int64_t next; /* offset */
};

struct load_kafka {
    struct load_peer base;
    struct load_kafka_wire wire;
    struct load_greeting greeting;
    struct sl_buffer out, in, batch, scratch;
    size_t out_sent; /* of out */
    struct codec_context *codecs;
    uint32_t waiting[LOAD_REQUESTS_MAX + 1]; /* a ring of what is not answered yet */
    uint32_t waiting_from, waiting_count;
    bool is_fetching;
    uint32_t place_count;
    struct place places[PARTITIONS_MAX];
    struct kafka_fetch_request_partition asked[PARTITIONS_MAX];
};

static struct load_kafka *kafka_of(struct load_peer *peer)
{
    return SL_CONTAINER_OF(peer, struct load_kafka, base);
}

static void kafka_free(struct load_peer *peer)
{
    struct load_kafka *kafka = kafka_of(peer);
    load_kafka_wire_fini(&kafka->wire);
    load_greeting_fini(&kafka->greeting);
    sl_buffer_fini(&kafka->out);
    sl_buffer_fini(&kafka->in);
    sl_buffer_fini(&kafka->batch);
    sl_buffer_fini(&kafka->scratch);
    codec_context_free(kafka->codecs);
    sl_free(kafka);
}

static sl_err kafka_make(struct sl_os *os, const struct load_target *target,
                         const struct load_events *events, struct load_peer **ret_peer)
{
    struct load_kafka *kafka = sl_alloc_zero(1, sizeof(*kafka));
    sl_err err =
        kafka == NULL ? SLUICE_E_NO_MEMORY : load_kafka_wire_init(&kafka->wire, target->client_id);
    if (err != SLUICE_OK) {
        sl_free(kafka);
        return err;
    }
    kafka->base =
        (struct load_peer){.ops = &load_kafka_peer, .os = os, .target = *target, .events = *events};
    load_greeting_init(&kafka->greeting, target->security);
    sl_buffer_init(&kafka->out, 2 * LOAD_ANSWER_BYTES);
    sl_buffer_init(&kafka->in, 2 * LOAD_ANSWER_BYTES);
    sl_buffer_init(&kafka->batch, LOAD_ANSWER_BYTES);
    sl_buffer_init(&kafka->scratch, LOAD_ANSWER_BYTES);
    kafka->codecs = codec_context_new();
    *ret_peer = &kafka->base;
    return kafka->codecs != NULL ? SLUICE_OK : (kafka_free(&kafka->base), SLUICE_E_NO_MEMORY);
}

/* ---- out ---- */

static size_t unsent(const struct load_kafka *kafka)
{
    return kafka->out.size - kafka->out_sent;
}

/* Sends the request that was written; its answer is known by its place in the ring. */
static sl_err written_put(struct load_kafka *kafka, uint32_t token)
{
    if (kafka->out_sent > LOAD_PENDING_BYTES) {
        memmove(kafka->out.data, kafka->out.data + kafka->out_sent, unsent(kafka));
        kafka->out.size -= kafka->out_sent;
        kafka->out_sent = 0;
    }
    sl_err err = sl_buffer_append(&kafka->out, kafka->wire.writer.data, kafka->wire.writer.size);
    if (err == SLUICE_OK) {
        uint32_t at = (kafka->waiting_from + kafka->waiting_count++) % SL_COUNT_OF(kafka->waiting);
        kafka->waiting[at] = token;
    }
    return err;
}

static sl_err request_put(struct load_kafka *kafka, enum load_kafka_api api, const void *message,
                          uint32_t token)
{
    sl_err err = load_kafka_write(&kafka->wire, api, 0, message);
    return err == SLUICE_OK ? written_put(kafka, token) : err;
}

/* One step at a time. */
static void greeting_put(struct load_kafka *kafka)
{
    if (kafka->waiting_count == 0 &&
        load_greeting_write(&kafka->greeting, &kafka->wire, 0) == SLUICE_OK) {
        (void)written_put(kafka, IS_GREETING); /* no memory: no greeting comes, and that is told */
    }
}

static sl_err batch_make(struct load_kafka *kafka, const struct load_request *request,
                         struct batch_view *ret_view)
{
    struct batch_builder builder;
    int64_t now_ms = sl_os_wall_ms(kafka->base.os);
    sl_buffer_reset(&kafka->batch);
    sl_err err = batch_builder_start(&builder, &kafka->batch, NULL);
    for (uint32_t i = 0; i < request->count && err == SLUICE_OK; i++) {
        struct record_fields fields = {
            .value = load_maker_next(request->maker, request->first_sequence + i, request->due_ns),
            .timestamp_ms = now_ms,
            .key_is_null = true};
        err = batch_builder_append(&builder, &fields);
    }
    return err != SLUICE_OK
               ? err
               : batch_builder_finish(&builder, BATCH_CODEC_NONE, NULL, &kafka->scratch, ret_view);
}

static sl_err kafka_publish(struct load_peer *peer, const struct load_request *request)
{
    struct load_kafka *kafka = kafka_of(peer);
    struct kafka_produce_request message;
    struct kafka_produce_request_topic topic;
    struct kafka_produce_request_partition partition;
    struct batch_view view;
    if (kafka->waiting_count >= LOAD_REQUESTS_MAX || unsent(kafka) > LOAD_PENDING_BYTES) {
        return SLUICE_E_WOULD_BLOCK;
    }
    sl_err err = batch_make(kafka, request, &view);
    if (err != SLUICE_OK) {
        return err;
    }
    kafka_produce_request_init(&message);
    kafka_produce_request_topic_init(&topic);
    kafka_produce_request_partition_init(&partition);
    partition.index = request->partition;
    partition.records = (struct kafka_records){.data = view.data, .size = (int32_t)view.size};
    topic.name = kafka_string(peer->target.topic);
    topic.partition_data = &partition;
    topic.partition_data_count = 1;
    message.acks = peer->target.acks;
    message.timeout_ms = 30000;
    message.topic_data = &topic;
    message.topic_data_count = 1;
    return request_put(kafka, LOAD_KAFKA_PRODUCE, &message, request->token);
}

static sl_err kafka_subscribe(struct load_peer *peer, int32_t partition, int64_t offset)
{
    struct load_kafka *kafka = kafka_of(peer);
    if (kafka->place_count == PARTITIONS_MAX) {
        return SLUICE_E_LIMIT;
    }
    kafka->places[kafka->place_count++] = (struct place){partition, offset};
    return SLUICE_OK;
}

static sl_err fetch_put(struct load_kafka *kafka)
{
    struct kafka_fetch_request message;
    struct kafka_fetch_request_topic topic;
    kafka_fetch_request_init(&message);
    kafka_fetch_request_topic_init(&topic);
    for (uint32_t i = 0; i < kafka->place_count; i++) {
        kafka_fetch_request_partition_init(&kafka->asked[i]);
        kafka->asked[i].partition = kafka->places[i].partition;
        kafka->asked[i].fetch_offset = kafka->places[i].next;
        kafka->asked[i].partition_max_bytes = PIECE_BYTES;
    }
    topic.topic = kafka_string(kafka->base.target.topic);
    topic.partitions = kafka->asked;
    topic.partitions_count = (int32_t)kafka->place_count;
    message.max_wait_ms = FETCH_WAIT_MS;
    message.min_bytes = 1;
    message.max_bytes = FETCH_BYTES;
    message.topics = &topic;
    message.topics_count = 1;
    return request_put(kafka, LOAD_KAFKA_FETCH, &message, IS_FETCH);
}

static struct sl_bytes kafka_pending(struct load_peer *peer)
{
    struct load_kafka *kafka = kafka_of(peer);
    if (!load_greeting_is_over(&kafka->greeting)) {
        greeting_put(kafka);
    } else if (kafka->place_count > 0 && !kafka->is_fetching) {
        kafka->is_fetching = fetch_put(kafka) == SLUICE_OK;
    }
    if (unsent(kafka) == 0) {
        return (struct sl_bytes){NULL, 0};
    }
    return sl_bytes_of(kafka->out.data + kafka->out_sent, unsent(kafka));
}

static void kafka_sent(struct load_peer *peer, size_t size)
{
    struct load_kafka *kafka = kafka_of(peer);
    kafka->out_sent += size;
    if (unsent(kafka) == 0) {
        sl_buffer_reset(&kafka->out);
        kafka->out_sent = 0;
    }
}

/* ---- in ---- */

static sl_err batch_take(struct load_kafka *kafka, struct place *place,
                         const struct batch_view *view)
{
    struct sl_bytes records;
    struct record_iterator iterator;
    struct record_view record;
    sl_err err =
        batch_decompress(view, kafka->codecs, LOAD_ANSWER_BYTES, &kafka->scratch, &records);
    if (err != SLUICE_OK) {
        return err;
    }
    record_iterator_init(&iterator, records, batch_view_record_count(view));
    while (record_iterator_next(&iterator, &record)) {
        bool is_new = record_offset(view, &record) >= place->next;
        if (is_new && !batch_view_has(view, BATCH_CONTROL)) {
            kafka->base.events.record(kafka->base.events.arg, record.value);
        }
    }
    place->next = SL_MAX(place->next, batch_view_next_offset(view));
    return record_iterator_finish(&iterator);
}

/* A last batch may be cut off. */
static sl_err records_take(struct load_kafka *kafka, struct place *place, struct sl_bytes bytes)
{
    struct batch_view view;
    size_t size;
    sl_err err = SLUICE_OK;
    while (err == SLUICE_OK && bytes.size > BATCH_OVERHEAD_SIZE &&
           batch_peek_size(bytes, &size) == SLUICE_OK && size <= bytes.size) {
        err = batch_view_init(&view, bytes);
        err = err == SLUICE_OK ? batch_view_check_crc(&view) : err;
        err = err == SLUICE_OK ? batch_take(kafka, place, &view) : err;
        bytes = sl_bytes_of(bytes.data + size, bytes.size - size);
    }
    return err;
}

static struct place *place_find(struct load_kafka *kafka, int32_t partition)
{
    for (uint32_t i = 0; i < kafka->place_count; i++) {
        if (kafka->places[i].partition == partition) {
            return &kafka->places[i];
        }
    }
    return NULL;
}

static sl_err fetched(struct load_kafka *kafka, struct sl_bytes frame)
{
    struct kafka_fetch_response answer;
    int32_t correlation;
    sl_err err = load_kafka_read(&kafka->wire, LOAD_KAFKA_FETCH, frame, &correlation, &answer);
    kafka->is_fetching = false;
    err = err == SLUICE_OK ? load_kafka_error(answer.error_code, kafka->base.text) : err;
    for (int32_t i = 0; err == SLUICE_OK && i < answer.responses_count; i++) {
        const struct kafka_fetch_response_topic *topic = &answer.responses[i];
        for (int32_t j = 0; err == SLUICE_OK && j < topic->partitions_count; j++) {
            const struct kafka_fetch_response_partition *each = &topic->partitions[j];
            struct place *place = place_find(kafka, each->partition_index);
            err = load_kafka_error(each->error_code, kafka->base.text);
            if (err == SLUICE_OK && place != NULL && each->records.size > 0) {
                err = records_take(kafka, place,
                                   sl_bytes_of(each->records.data, (size_t)each->records.size));
            }
        }
    }
    return err;
}

static sl_err produced(struct load_kafka *kafka, struct sl_bytes frame, uint32_t token)
{
    struct kafka_produce_response answer;
    char text[LOAD_TEXT_BYTES] = "";
    int32_t correlation;
    sl_err err = load_kafka_read(&kafka->wire, LOAD_KAFKA_PRODUCE, frame, &correlation, &answer);
    if (err == SLUICE_OK &&
        (answer.responses_count != 1 || answer.responses[0].partition_responses_count != 1)) {
        err = SLUICE_E_MALFORMED;
    }
    if (err == SLUICE_OK) {
        sl_err told = load_kafka_error(answer.responses[0].partition_responses[0].error_code, text);
        kafka->base.events.answered(kafka->base.events.arg, token, told, text);
    }
    return err;
}

static sl_err frame_take(struct load_kafka *kafka, struct sl_bytes frame)
{
    if (kafka->waiting_count == 0) {
        return SLUICE_E_MALFORMED;
    }
    uint32_t token = kafka->waiting[kafka->waiting_from];
    kafka->waiting_from = (kafka->waiting_from + 1) % SL_COUNT_OF(kafka->waiting);
    kafka->waiting_count--;
    return token == IS_FETCH ? fetched(kafka, frame)
           : token == IS_GREETING
               ? load_greeting_read(&kafka->greeting, &kafka->wire, frame, kafka->base.text)
               : produced(kafka, frame, token);
}

static sl_err kafka_feed(struct load_peer *peer, struct sl_bytes bytes)
{
    struct load_kafka *kafka = kafka_of(peer);
    size_t at = 0;
    sl_err err = sl_buffer_append(&kafka->in, bytes.data, bytes.size);
    while (err == SLUICE_OK && kafka->in.size - at >= 4) {
        uint32_t size = sl_be32_load(kafka->in.data + at);
        if (load_kafka_is_alert(kafka->in.data + at)) {
            snprintf(peer->text, LOAD_TEXT_BYTES, "it speaks TLS");
            err = SLUICE_E_NETWORK;
        } else if (size > LOAD_ANSWER_BYTES) {
            err = SLUICE_E_MALFORMED;
        } else if (kafka->in.size - at - 4 < size) {
            break;
        } else {
            err = frame_take(kafka, sl_bytes_of(kafka->in.data + at + 4, size));
            at += 4 + (size_t)size;
        }
    }
    if (at > 0) {
        kafka->in.size -= at;
        memmove(kafka->in.data, kafka->in.data + at, kafka->in.size);
    }
    if (err != SLUICE_OK && peer->text[0] == '\0') {
        snprintf(peer->text, LOAD_TEXT_BYTES, "the broker's answer cannot be read");
    }
    return err;
}

static bool kafka_is_ready(struct load_peer *peer)
{
    return load_greeting_is_over(&kafka_of(peer)->greeting);
}

const struct load_peer_ops load_kafka_peer = {.name = "kafka",
                                              .make = kafka_make,
                                              .is_ready = kafka_is_ready,
                                              .publish = kafka_publish,
                                              .subscribe = kafka_subscribe,
                                              .pending = kafka_pending,
                                              .sent = kafka_sent,
                                              .feed = kafka_feed,
                                              .free = kafka_free};
