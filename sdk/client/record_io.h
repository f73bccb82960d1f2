/* record_io.h: a record of the native protocol to a message and back. */
#ifndef SLUICE_CLIENT_RECORD_IO_H
#define SLUICE_CLIENT_RECORD_IO_H

#include "frame_io.h"

#include <sluice/client.h>

#define RECORD_ID_HEADER "sluice-message-id"
/* The least that a record takes: its numbers, and a key and a value that are null. */
#define RECORD_BYTES_MIN 32u

/* Headers that a record gets beside those of its message. */
struct record_extra {
    const struct sluice_header *headers;
    uint32_t count;
};

/* Puts a record. Errors stick in `out`. */
void record_put(struct frame_out *out, const struct sluice_message *message,
                struct record_extra extra);

/* Reads a record and checks all of it. ret_message has offset, timestamp, deliveries, key, value,
 * headers and id; partition, topic and source are the caller's. False: it is malformed. */
bool record_get(struct frame_in *in, struct sluice_message *ret_message);

/* Bytes of a record with its size field. */
uint64_t record_bytes(const struct sluice_message *message, struct record_extra extra);

#endif
