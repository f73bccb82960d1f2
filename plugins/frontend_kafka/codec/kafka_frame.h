/* kafka_frame.h: what stands before a message on the wire: the size and the request or response
 * header.
 *
 *   request:  size int32 | api_key int16 | version int16 | correlation_id int32 | client_id |
 * [tags] | body response: size int32 | correlation_id int32 | [tags] | body
 *
 * `size` counts what follows it. The [tags] are there in header versions 2 (request) and 1
 * (response). */
#ifndef KAFKA_FRAME_H
#define KAFKA_FRAME_H

#include "kafka_codec.h"

#define KAFKA_FRAME_PREFIX_SIZE 4
#define KAFKA_API_VERSIONS_KEY  18

/* The beginning of a request. */
struct kafka_request_head {
    const struct kafka_api *api; /* NULL: the codec does not know the key */
    int16_t api_key;
    int16_t version;
    int32_t correlation_id;
    bool supported;               /* api is known and version within its range */
    struct kafka_bytes client_id; /* null unless supported or legacy; a view into the frame */
    size_t body_at;               /* where the body begins; only when supported */
    /* Or below its range, where the codec still reads it. Not beside `supported`: compilers read
     * two that are as one, which waits for what was just written in two. */
    bool legacy;
};

/* Reads the head of a frame (less its size prefix). An unknown key or version is not an error here:
 * Kafka answers ApiVersions in v0 with error 35 and closes the connection for all others.
 * SLUICE_E_TRUNCATED, _MALFORMED: the frame is no request. [borrows frame] */
sluice_status kafka_request_head_decode(const void *frame, size_t size,
                                        struct kafka_request_head *ret_head) KAFKA_MUST_CHECK;

/* Appends a whole response frame: size, header, message (the api's response struct), as one step:
 * on failure the writer is as before. Errors of kafka_encode_fn; SLUICE_E_FRAME_TOO_LARGE beyond 2
 * GiB. */
sluice_status kafka_response_encode(struct kafka_writer *writer, const struct kafka_api *api,
                                    int16_t version, int32_t correlation_id,
                                    const void *message) KAFKA_MUST_CHECK;

/* For clients: a whole request frame (the api's request struct). */
sluice_status kafka_request_encode(struct kafka_writer *writer, const struct kafka_api *api,
                                   int16_t version, int32_t correlation_id,
                                   struct kafka_bytes client_id,
                                   const void *message) KAFKA_MUST_CHECK;

/* For clients: the head of a response frame (less its size prefix) to a request of that version. */
sluice_status kafka_response_head_decode(const void *frame, size_t size,
                                         const struct kafka_api *api, int16_t version,
                                         int32_t *ret_correlation_id,
                                         size_t *ret_body_at) KAFKA_MUST_CHECK;

#endif
