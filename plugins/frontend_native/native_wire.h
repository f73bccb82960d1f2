/* native_wire.h: bytes of the native protocol: numbers, texts, blobs, frames, records.
 *
 * The format: docs/formats/native.md. A reader gives views into what it reads and remembers whether
 * anything was beyond its end, so that a body is read to its end and judged once. A writer grows up
 * to its bound, and remembers likewise. No state, no host. [any] */
#ifndef FRONTEND_NATIVE_NATIVE_WIRE_H
#define FRONTEND_NATIVE_NATIVE_WIRE_H

#include <sluice/processor.h>

#define NATIVE_MAGIC          0x43554C53u
#define NATIVE_VERSION        1u
#define NATIVE_HEAD_BYTES     12u
#define NATIVE_BLOB_NULL      0xFFFFFFFFu
#define NATIVE_RECORD_FIXED   20u /* of a record, behind its size: offset to number of headers */
#define NATIVE_RECORD_MIN     32u /* a record without anything */
#define NATIVE_MESSAGES_FIXED 8u  /* source and number of records */

/* Kinds of frames. */
enum native_kind {
    NATIVE_HELLO = 1,
    NATIVE_WELCOME = 2,
    NATIVE_AUTH = 3,
    NATIVE_AUTH_NEXT = 4,
    NATIVE_PING = 5,
    NATIVE_PONG = 6,
    NATIVE_ERROR = 7,
    NATIVE_GOAWAY = 8,
    NATIVE_PUBLISH = 16,
    NATIVE_PUBLISHED = 17,
    NATIVE_SUBSCRIBE = 18,
    NATIVE_SUBSCRIBED = 19,
    NATIVE_CREDIT = 20,
    NATIVE_SOURCE = 21,
    NATIVE_MESSAGES = 22,
    NATIVE_ACK = 23,
    NATIVE_ACKED = 24,
    NATIVE_UNSUBSCRIBE = 25,
    NATIVE_UNSUBSCRIBED = 26,
    NATIVE_STALLED = 27,
    NATIVE_ENDED = 28,
    NATIVE_REPLY = 29,
    NATIVE_THROTTLED = 30,
    NATIVE_TOPICS = 32,
    NATIVE_TOPIC_LIST = 33,
    NATIVE_TOPIC_CREATE = 34,
    NATIVE_TOPIC_DELETE = 35,
    NATIVE_TOPIC_CONFIG = 36,
    NATIVE_OFFSETS = 37,
    NATIVE_OFFSET_LIST = 38,
    NATIVE_GROUP_DELETE = 39,
    NATIVE_DONE = 40,
    NATIVE_TRIM = 41,
};

/* ---- reading ---- */

struct native_reader {
    const uint8_t *at;
    const uint8_t *end;
    bool failed; /* something was beyond the end, or was not what it should be; all that follows is
                    0 */
};

void native_reader_init(struct native_reader *reader, const void *data, size_t size);
uint8_t native_read_u8(struct native_reader *reader);
uint16_t native_read_u16(struct native_reader *reader);
uint32_t native_read_u32(struct native_reader *reader);
uint64_t native_read_u64(struct native_reader *reader);
int32_t native_read_i32(struct native_reader *reader);
int64_t native_read_i64(struct native_reader *reader);
/* Views into what is read. A text is UTF-8 without NUL; a null blob has data NULL, an empty one
 * not. */
struct sluice_text native_read_text(struct native_reader *reader);
struct sluice_bytes native_read_blob(struct native_reader *reader);
void native_skip(struct native_reader *reader, size_t size);

/* The head of a frame. */
struct native_frame {
    uint32_t size; /* of head and body */
    uint16_t kind;
    uint16_t flags;
    uint32_t id;
    const uint8_t *body;
    size_t body_size;
};

/* Bytes of the frame that begins here, head included; 0: not known yet, since fewer than 4 are
 * there. A size field below 8 gives 1, which no frame has. */
uint64_t native_frame_size(const void *data, size_t size);
/* A frame that is there as a whole. */
void native_frame_read(const void *data, struct native_frame *ret_frame);

/* Records of a PUBLISH: `records` has room for `record_max`, `headers` for `header_max`. Reads
 * `count` records; views into the input. SLUICE_E_LIMIT: more headers than that;
 * SLUICE_E_MALFORMED. */
sluice_status native_records_read(struct native_reader *reader, struct sluice_record *records,
                                  uint32_t count, struct sluice_header *headers,
                                  uint32_t header_max);
/* Headers that `count` records which begin here say they have; at most what their bytes could hold.
 */
uint32_t native_records_headers(struct native_reader reader, uint32_t count);

/* ---- writing ---- */

struct native_writer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t size_max;
    bool failed; /* no memory, or beyond the bound; nothing is added any more */
};

void native_writer_init(struct native_writer *writer, size_t size_max);
void native_writer_fini(struct native_writer *writer);
/* Empty again; memory beyond `keep` is given back. */
void native_writer_reset(struct native_writer *writer, size_t keep);
void native_write_u8(struct native_writer *writer, uint8_t value);
void native_write_u16(struct native_writer *writer, uint16_t value);
void native_write_u32(struct native_writer *writer, uint32_t value);
void native_write_u64(struct native_writer *writer, uint64_t value);
void native_write_i32(struct native_writer *writer, int32_t value);
void native_write_i64(struct native_writer *writer, int64_t value);
void native_write_bytes(struct native_writer *writer, const void *data, size_t size);
void native_write_text(struct native_writer *writer, struct sluice_text text); /* cut at 65535 */
void native_write_blob(struct native_writer *writer, struct sluice_bytes bytes);
/* A number that was written before, now known. */
void native_patch_u32(struct native_writer *writer, size_t at, uint32_t value);
void native_patch_u16(struct native_writer *writer, size_t at, uint16_t value);

/* Begins a frame; returns where, for native_frame_end, which fills in its size. */
size_t native_frame_begin(struct native_writer *writer, uint16_t kind, uint16_t flags, uint32_t id);
void native_frame_end(struct native_writer *writer, size_t begin);

/* Bytes of a record with its size field: what it costs of a credit. */
uint64_t native_record_size(const struct sluice_record *record);
void native_record_write(struct native_writer *writer, const struct sluice_record *record,
                         uint16_t deliveries);

#endif
