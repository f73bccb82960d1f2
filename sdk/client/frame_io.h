/* frame_io.h: frames of the native protocol (docs/formats/native.md), written and read field by
 * field.
 *
 * A frame_out is a queue of bytes with a bound: frames are put at its end, what was sent leaves at
 * its front. Errors stick until frame_end, which takes the unfinished frame back. A frame_in reads
 * a body; once a field is not there `failed` is set and everything after reads as 0. */
#ifndef SLUICE_CLIENT_FRAME_IO_H
#define SLUICE_CLIENT_FRAME_IO_H

#include <sluice/types.h>

enum frame_kind {
    FRAME_HELLO = 1,
    FRAME_WELCOME = 2,
    FRAME_AUTH = 3,
    FRAME_AUTH_NEXT = 4,
    FRAME_PING = 5,
    FRAME_PONG = 6,
    FRAME_ERROR = 7,
    FRAME_GOAWAY = 8,
    FRAME_PUBLISH = 16,
    FRAME_PUBLISHED = 17,
    FRAME_SUBSCRIBE = 18,
    FRAME_SUBSCRIBED = 19,
    FRAME_CREDIT = 20,
    FRAME_SOURCE = 21,
    FRAME_MESSAGES = 22,
    FRAME_ACK = 23,
    FRAME_ACKED = 24,
    FRAME_UNSUBSCRIBE = 25,
    FRAME_UNSUBSCRIBED = 26,
    FRAME_STALLED = 27,
    FRAME_ENDED = 28,
    FRAME_REPLY = 29,
    FRAME_THROTTLED = 30,
    FRAME_TOPICS = 32,
    FRAME_TOPIC_LIST = 33,
    FRAME_TOPIC_CREATE = 34,
    FRAME_TOPIC_DELETE = 35,
    FRAME_TOPIC_CONFIG = 36,
    FRAME_OFFSETS = 37,
    FRAME_OFFSET_LIST = 38,
    FRAME_GROUP_DELETE = 39,
    FRAME_DONE = 40,
    FRAME_TRIM = 41,
    FRAME_KINDS = 42, /* one more than the last */
};

#define FRAME_HEAD_BYTES 12u
#define FRAME_NULL_BLOB  UINT32_MAX
#define FRAME_MAGIC      0x43554C53u

struct frame_out {
    uint8_t *data;
    size_t capacity;
    size_t begin; /* of what is to be sent */
    size_t end;
    size_t frame;         /* where the unfinished one begins */
    size_t max;           /* of end - begin, while it is written */
    sluice_status status; /* of the unfinished one */
};

void frame_out_fini(struct frame_out *out);
/* Bytes in it. */
size_t frame_out_size(const struct frame_out *out);
/* `size` bytes leave at the front. */
void frame_out_drop(struct frame_out *out, size_t size);

/* Begins a frame; the queue may have `max` bytes at its end. */
void frame_begin(struct frame_out *out, uint16_t kind, uint16_t flags, uint32_t id, size_t max);
void frame_put_u8(struct frame_out *out, uint8_t value);
void frame_put_u16(struct frame_out *out, uint16_t value);
void frame_put_u32(struct frame_out *out, uint32_t value);
void frame_put_u64(struct frame_out *out, uint64_t value);
void frame_put_i32(struct frame_out *out, int32_t value);
void frame_put_i64(struct frame_out *out, int64_t value);
void frame_put_zeros(struct frame_out *out, size_t count);
void frame_put_bytes(struct frame_out *out, const void *data, size_t size);
/* SLUICE_E_INVALID at the end when it is above 65,535 bytes or has a NUL. */
void frame_put_text(struct frame_out *out, struct sluice_text text);
void frame_put_blob(struct frame_out *out, struct sluice_bytes blob);
/* Ends it. SLUICE_E_WOULD_BLOCK: the queue would be longer than it may be. SLUICE_E_LIMIT: the
 * frame is above frame_max. SLUICE_E_INVALID, SLUICE_E_NO_MEMORY. Then the frame is not there. */
sluice_status frame_end(struct frame_out *out, size_t frame_max);

struct frame_in {
    const uint8_t *at;
    const uint8_t *end;
    bool failed;
};

struct frame_in frame_in_of(const void *data, size_t size);
size_t frame_left(const struct frame_in *in);
uint8_t frame_get_u8(struct frame_in *in);
uint16_t frame_get_u16(struct frame_in *in);
uint32_t frame_get_u32(struct frame_in *in);
uint64_t frame_get_u64(struct frame_in *in);
int32_t frame_get_i32(struct frame_in *in);
int64_t frame_get_i64(struct frame_in *in);
void frame_skip(struct frame_in *in, size_t count);
struct sluice_text frame_get_text(struct frame_in *in);
struct sluice_bytes frame_get_blob(struct frame_in *in);
struct sluice_uuid frame_get_uuid(struct frame_in *in);

#endif
