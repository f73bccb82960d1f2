/* client_wire.h: as much of Kafka's protocol as a load client of one topic needs: Metadata 4,
 * Produce 7, Fetch 11 (facts: kafka.apache.org/protocol). Failures end the program. */
#ifndef CLIENT_WIRE_H
#define CLIENT_WIRE_H

#include "base/buffer.h"
#include "base/bytes.h"

int wire_connect(const char *address);     /* "host:port", blocking, no delay */
int wire_try_connect(const char *address); /* -1: nobody listens */
int wire_listen(uint16_t *ret_port);       /* on loopback */
int wire_accept(int listener);
void wire_write(int descriptor, const void *bytes, size_t size);
void wire_read(int descriptor, void *bytes, size_t size);
/* One whole answer: its bytes behind the size. */
size_t wire_read_answer(int descriptor, uint8_t *into, size_t room);

struct wire_batch {
    int32_t partition;
    struct sl_bytes batch;
};
/* Each appends one request, with its size in front. */
void wire_put_metadata(struct sl_buffer *out, const char *topic); /* creates the topic */
void wire_put_produce(struct sl_buffer *out, const char *topic, const struct wire_batch *batches,
                      uint32_t count);
void wire_put_fetch(struct sl_buffer *out, const char *topic, int32_t partition, int64_t offset,
                    int32_t bytes_max);
/* Bytes of the answer to a produce request of one batch, and its error. */
size_t wire_produce_answer_size(const char *topic);
int16_t wire_produce_error(const uint8_t *answer, const char *topic);

struct wire_fetched {
    int16_t error;
    int64_t high_watermark;
    struct sl_bytes records;
};
/* Of the answer to a fetch of one partition. */
void wire_fetched_read(const uint8_t *answer, const char *topic, struct wire_fetched *ret_fetched);

#endif
