/* load_kafka.h: Kafka's protocol as a client of one broker speaks it, in versions that brokers from
 * Kafka 2.4 to 4.3 know (https://kafka.apache.org/protocol.html). */
#ifndef SL_LOAD_LOAD_KAFKA_H
#define SL_LOAD_LOAD_KAFKA_H

#include "load/load_peer.h"

#include "kafka_frame.h"
#include "kafka_messages.h"

/* Messages of that many bytes of arrays, and frames of LOAD_ANSWER_BYTES. */
#define LOAD_KAFKA_ARENA_BYTES (1u << 20)

enum load_kafka_api {
    LOAD_KAFKA_PRODUCE,
    LOAD_KAFKA_FETCH,
    LOAD_KAFKA_OFFSETS,
    LOAD_KAFKA_METADATA,
    LOAD_KAFKA_CREATE,
    LOAD_KAFKA_DELETE,
};

/* Frames in one direction and messages in the other. */
struct load_kafka_wire {
    struct kafka_writer writer;
    struct kafka_arena arena;
    const char *client_id;
};

/* SLUICE_E_NO_MEMORY. */
sl_err load_kafka_wire_init(struct load_kafka_wire *wire, const char *client_id) SL_MUST_CHECK;
void load_kafka_wire_fini(struct load_kafka_wire *wire);
/* Writes one request; it is wire->writer's content until the next one. */
sl_err load_kafka_write(struct load_kafka_wire *wire, enum load_kafka_api api, int32_t correlation,
                        const void *message) SL_MUST_CHECK;
/* Reads the answer to a request, a frame less its size; views into the frame and the arena. */
sl_err load_kafka_read(struct load_kafka_wire *wire, enum load_kafka_api api, struct sl_bytes frame,
                       int32_t *ret_correlation, void *ret_message) SL_MUST_CHECK;
/* SLUICE_OK for 0. ret_text: "Kafka's error 3: no such topic or partition". */
sl_err load_kafka_error(int16_t code, char ret_text[LOAD_TEXT_BYTES]);

/* ---- one question after the other, over a connection of its own [blocks] ---- */

struct load_kafka_asker {
    struct load_kafka_wire wire;
    int descriptor;
    uint8_t *frame; /* of the last answer; owned */
    char text[LOAD_TEXT_BYTES];
};

/* All of them: an error has its sentence in asker->text. */
sl_err load_kafka_asker_open(struct load_kafka_asker *asker, struct sl_os *os,
                             const char *address) SL_MUST_CHECK;
void load_kafka_asker_close(struct load_kafka_asker *asker);
sl_err load_kafka_topic_create(struct load_kafka_asker *asker, const char *topic,
                               int32_t partitions) SL_MUST_CHECK;
sl_err load_kafka_topic_delete(struct load_kafka_asker *asker, const char *topic) SL_MUST_CHECK;
sl_err load_kafka_topic_partitions(struct load_kafka_asker *asker, const char *topic,
                                   int32_t *ret_count) SL_MUST_CHECK;
/* Where a partition begins and ends. */
sl_err load_kafka_ends(struct load_kafka_asker *asker, const char *topic, int32_t partition,
                       int64_t *ret_start, int64_t *ret_end) SL_MUST_CHECK;

#endif
