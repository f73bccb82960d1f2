/* load_kafka_wire.h: requests of Kafka's protocol to frames and frames to answers, in versions that
 * brokers from Kafka 2.4 to 4.3 know (https://kafka.apache.org/protocol.html). Pure. [any] */
#ifndef SL_LOAD_LOAD_KAFKA_WIRE_H
#define SL_LOAD_LOAD_KAFKA_WIRE_H

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
    LOAD_KAFKA_VERSIONS,
    LOAD_KAFKA_HANDSHAKE,
    LOAD_KAFKA_AUTHENTICATE,
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
/* Whether a frame's first four bytes are those of an alert of TLS: the peer speaks that. */
bool load_kafka_is_alert(const uint8_t head[4]);

#endif
