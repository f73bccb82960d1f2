/* kafka_codec.h: what a user of the Kafka wire codec holds in hand: views, arena, writer, API
 * table.
 *
 * The messages themselves (struct kafka_produce_request …) are generated from messages/<name>.tbl
 * by generate.lua; include kafka_messages.h for all of them. Everything here is pure data and
 * arithmetic: no system calls, no globals, any thread, one thread at a time per object. [any]
 *
 * Decoding copies nothing but numbers: strings, bytes and records are views into the input, which
 * must outlive the message; arrays lie in the caller's arena. Input is hostile until decoded.
 * Encoding appends to a writer; records may be referenced instead of copied (gather list).
 *
 * Byte format: https://kafka.apache.org/protocol.html, KIP-482 (flexible versions, tagged fields).
 */
#ifndef KAFKA_CODEC_H
#define KAFKA_CODEC_H

#include <sluice/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KAFKA_MUST_CHECK __attribute__((warn_unused_result))
/* The primitives: small, and called for each field of each message. What compilers think of their
 * size (a call for each of them) costs more than the fields do, in files that are built with
 * KAFKA_CODEC_IS_HOT (CMakeLists.txt): what comes with every record. The rest would be twice as
 * large for nothing. */
#ifdef KAFKA_CODEC_IS_HOT
#define KAFKA_PRIMITIVE static inline __attribute__((always_inline))
#else
#define KAFKA_PRIMITIVE static inline
#endif
/* What they call where something is wrong or rare, and must not take in. */
#define KAFKA_RARE __attribute__((noinline, cold))

/* Kafka's own bound of a string in bytes, in both encodings. */
#define KAFKA_STRING_SIZE_MAX 32767

/* ---- values ---- */

/* A borrowed string or run of bytes. size < 0 is Kafka's null; a zeroed view is the empty string.
 */
struct kafka_bytes {
    const uint8_t *data;
    int32_t size;
};

struct kafka_uuid {
    uint8_t b[16];
};

/* One run of bytes on its way out. token is the caller's own mark (what keeps the bytes alive, or
 * the file region that data == NULL stands for); bytes of the writer itself have token 0. */
struct kafka_piece {
    const uint8_t *data;
    size_t size;
    uint64_t token;
};

/* A records field. Decoded: a view (data, size). To encode: either a view with its token, or `size`
 * bytes made of pieces_count pieces in order. size < 0 is null. */
struct kafka_records {
    const uint8_t *data;
    int32_t size;
    uint32_t pieces_count;
    const struct kafka_piece *pieces; /* [borrowed]; NULL unless pieces_count > 0 */
    uint64_t token;
};

/* [borrows data] A size that no field can have makes a view that encoders refuse. */
static inline struct kafka_bytes kafka_bytes(const void *data, size_t size)
{
    return (struct kafka_bytes){(const uint8_t *)data,
                                size > INT32_MAX ? INT32_MIN : (int32_t)size};
}

/* A C string; NULL becomes Kafka's null. [borrows text] */
static inline struct kafka_bytes kafka_string(const char *text)
{
    return text ? kafka_bytes(text, strlen(text)) : (struct kafka_bytes){NULL, -1};
}

static inline struct kafka_bytes kafka_null(void)
{
    return (struct kafka_bytes){NULL, -1};
}

static inline bool kafka_is_null(struct kafka_bytes view)
{
    return view.size < 0;
}

/* Null equals only null. */
static inline bool kafka_bytes_equal(struct kafka_bytes a, struct kafka_bytes b)
{
    return a.size == b.size && (a.size <= 0 || memcmp(a.data, b.data, (size_t)a.size) == 0);
}

static inline bool kafka_uuid_is_zero(const struct kafka_uuid *uuid)
{
    static const struct kafka_uuid zero;
    return memcmp(uuid, &zero, sizeof zero) == 0;
}

/* ---- arena: where decoded arrays lie ---- */

/* One chunk of the caller's memory, handed out front to back; its size is the cap. Reset by used =
 * 0. */
struct kafka_arena {
    uint8_t *memory; /* [borrowed], aligned for max_align_t */
    size_t size;     /* bytes; what does not fit is SLUICE_E_LIMIT */
    size_t used;
};

static inline struct kafka_arena kafka_arena(void *memory, size_t size)
{
    return (struct kafka_arena){(uint8_t *)memory, size, 0};
}

/* size * count bytes aligned for any type, not cleared; NULL when they do not fit. Usable by
 * handlers for the arrays of a response as well. */
KAFKA_MUST_CHECK static inline void *kafka_arena_take(struct kafka_arena *arena, size_t count,
                                                      size_t size)
{
    const size_t align = _Alignof(max_align_t);
    size_t start = (arena->used + align - 1) & ~(align - 1);
    size_t total;

    if (__builtin_mul_overflow(count, size, &total) || start > arena->size ||
        total > arena->size - start) {
        return NULL;
    }
    arena->used = start + total;
    return arena->memory + start;
}

/* ---- writer: where encoded bytes go ---- */

/* "Here, after `at` bytes of the writer's own, piece belongs." */
struct kafka_splice {
    size_t at;
    struct kafka_piece piece;
};

/* Bytes in one growing buffer that never exceeds size_max, plus references to records outside of
 * it. Reading .data/.size between calls is fine; the rest belongs to kafka_writer.c and the
 * generated code. */
struct kafka_writer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t size_max;
    bool heap;                    /* data is ours to grow and free; otherwise the caller's, fixed */
    struct kafka_splice *splices; /* [borrowed]; NULL: records are copied in */
    uint32_t splices_count;
    uint32_t splices_max;
    size_t spliced_size;    /* sum over splices: bytes on the wire = size + spliced_size */
    size_t splice_size_min; /* smaller records with data are copied even when splices are given */
    sluice_status status;   /* of the encode call that is running */
};

/* Heap buffer that grows up to size_max. Nothing is allocated yet. */
void kafka_writer_init(struct kafka_writer *writer, size_t size_max);
/* The caller's memory, never more than `size` bytes (a host's reserve/commit). [borrows memory] */
void kafka_writer_init_fixed(struct kafka_writer *writer, void *memory, size_t size);
void kafka_writer_fini(struct kafka_writer *writer);
/* Forgets the content, keeps the buffer. */
void kafka_writer_reset(struct kafka_writer *writer);
/* From now on records of at least splice_size_min bytes are referenced, at most splices_max of them
 * (SLUICE_E_LIMIT beyond). [borrows splices] */
void kafka_writer_set_splices(struct kafka_writer *writer, struct kafka_splice *splices,
                              uint32_t splices_max, size_t splice_size_min);
/* The content as a gather list in wire order: at most 2 * splices_count + 1 pieces. Valid until the
 * next write. SLUICE_E_LIMIT: more than pieces_max. */
sluice_status kafka_writer_pieces(const struct kafka_writer *writer, struct kafka_piece *pieces,
                                  uint32_t pieces_max, uint32_t *ret_count) KAFKA_MUST_CHECK;

/* ---- API table ---- */

/* The generated functions behind untyped pointers; message is the struct of the same name.
 *   init:   every field to the protocol's default (null where that is the default).
 *   decode: size bytes at data as `version`; bytes after the message are tolerated (real clients
 * send them): ret_consumed says how many belonged to it. Unknown tagged fields are skipped.
 *           SLUICE_E_UNSUPPORTED_VERSION, _TRUNCATED, _MALFORMED, _LIMIT (arena full).
 *   encode: appends the message; on failure the writer is as before.
 *           SLUICE_E_UNSUPPORTED_VERSION (also: a field that this version lacks, that readers must
 * not miss, is not at its default), _INVALID (null where forbidden, over-long string), _LIMIT
 * (writer or splices full), _NO_MEMORY. */
typedef void kafka_init_fn(void *ret_message);
typedef sluice_status kafka_decode_fn(const void *data, size_t size, int16_t version,
                                      struct kafka_arena *arena, void *ret_message,
                                      size_t *ret_consumed);
typedef sluice_status kafka_encode_fn(const void *message, int16_t version,
                                      struct kafka_writer *writer);

struct kafka_message_ops {
    size_t size; /* of the struct */
    kafka_init_fn *init;
    kafka_decode_fn *decode;
    kafka_encode_fn *encode;
    ptrdiff_t throttle_at; /* offset of throttle_time_ms, an int32_t; -1: the message has none */
};

/* Version range of an API that has none. */
#define KAFKA_NEVER_FLEXIBLE INT16_MAX

struct kafka_api {
    int16_t key;
    int16_t version_min; /* lowest accepted */
    int16_t version_max;
    int16_t advertised_min; /* in ApiVersions; below version_min for Produce (KAFKA-18659) */
    int16_t legacy_min;     /* lowest that the codec reads: for clients that Kafka 4 dropped */
    int16_t flexible_from;  /* first flexible version or KAFKA_NEVER_FLEXIBLE */
    const char *name;       /* Kafka's: "Produce" */
    const struct kafka_message_ops *request;
    const struct kafka_message_ops *response;
};

/* All APIs that the codec knows, by rising key. What to advertise is the frontend's decision: those
 * for which it has a handler. */
extern const struct kafka_api kafka_apis[];
extern const uint32_t kafka_apis_count;

#define KAFKA_API_KEYS 96 /* all keys are below */
/* The rows by their keys; NULL: the codec does not know the key. */
extern const struct kafka_api *const kafka_apis_by_key[KAFKA_API_KEYS];

/* NULL when the codec does not know the key. */
static inline const struct kafka_api *kafka_api_get(int16_t key)
{
    return key >= 0 && key < KAFKA_API_KEYS ? kafka_apis_by_key[key] : NULL;
}

/* Header versions (KIP-482): request 2 when flexible, else 1; response 1 when flexible, else 0, and
 * always 0 for ApiVersions, which a client reads before it knows what the broker speaks. */
int16_t kafka_request_header_version(const struct kafka_api *api, int16_t version);
int16_t kafka_response_header_version(const struct kafka_api *api, int16_t version);

#endif
