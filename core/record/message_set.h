/* message_set.h: Kafka's formats before record batches: message sets of magic 0 (before 0.10) and
 * magic 1 (0.10, KIP-32), to and from batches of format 2.
 *
 * A set is messages one behind the other:
 *   0 i64 offset        12 u32 CRC-32 (IEEE) over 16..end     18 i64 timestamp, magic 1 only
 *   8 i32 bytes behind  16 i8  magic                          18|26 i32 size and key, -1: null
 *         here          17 i8  attributes                     …     i32 size and value, -1: null
 * Attributes: bits 0-2 codec (none, gzip, snappy, lz4), bit 3 LogAppendTime. With a codec the value
 * is a set compressed, its messages of the same magic without a codec of their own; the outer
 * offset is that of the last of them. Inner offsets are absolute in magic 0, from the first one in
 * magic 1 (KIP-31). lz4 in magic 0 has a header checksum that counts the frame's magic too
 * (KAFKA-3160): it is written so and not looked at.
 *
 * Such messages have no headers, no producer and, in magic 0, no time (-1): what a batch has more
 * is lost on the way down, and markers are left out. Sources: Kafka's message-format documentation,
 * clients of 0.8 to 0.11. Everything may take long. [any] */
#ifndef SL_RECORD_MESSAGE_SET_H
#define SL_RECORD_MESSAGE_SET_H

#include "record/codec.h"

enum {
    MESSAGE_OFFSET_AT = 0,
    MESSAGE_SIZE_AT = 8,
    MESSAGE_CRC_AT = 12,
    MESSAGE_MAGIC_AT = 16, /* the CRC covers from here to the end */
    MESSAGE_ATTRIBUTES_AT = 17,
    MESSAGE_TIMESTAMP_AT = 18, /* magic 1 */
    MESSAGE_OVERHEAD_SIZE = 12,
    MESSAGE_MAGIC_MAX = 1,
    MESSAGE_APPEND_TIME = 0x08,
    MESSAGE_CODEC_MASK = 0x07,
};

/* What a conversion works with: one at a time. */
struct message_set_memory {
    struct codec_context *codecs;
    struct sl_buffer opened;  /* what was compressed; its bound caps what may expand */
    struct sl_buffer packing; /* what is to be compressed */
};
/* expanded_bytes_max: of one wrapper or batch. SLUICE_E_NO_MEMORY. */
sl_err message_set_memory_init(struct message_set_memory *memory,
                               size_t expanded_bytes_max) SL_MUST_CHECK;
void message_set_memory_fini(struct message_set_memory *memory);

/* Appends to `out` one batch with the messages of `set`, in their order, with offsets from 0 and
 * under the codec of the first wrapper, as Kafka's brokers convert. SLUICE_E_CORRUPT_BATCH: a lying
 * size, a CRC that does not fit, bytes left over. SLUICE_E_INVALID_RECORD: no message; a wrapper
 * in a wrapper, or of another magic, or without a value. SLUICE_E_UNSUPPORTED_MAGIC,
 * SLUICE_E_UNSUPPORTED_CODEC. SLUICE_E_INVALID_TIMESTAMP: LogAppendTime, which is the broker's to
 * set. SLUICE_E_EXPANDS_TOO_FAR, SLUICE_E_LIMIT: beyond the memory, or out's bound.
 * SLUICE_E_NO_MEMORY. out then has the size that it had. */
sl_err message_set_to_batch(struct sl_bytes set, struct message_set_memory *memory,
                            struct sl_buffer *out) SL_MUST_CHECK;

/* What to make of batches. */
struct message_set_want {
    int magic;        /* 0 or 1 */
    int64_t offset;   /* records before it are left out */
    size_t bytes_max; /* soft: the first message, or wrapper, comes whole */
};

/* Appends to `out` the records of whole batches, as they lie in a log, until the bound; wrappers
 * are of at most about a MiB uncompressed. *ret_next: the offset behind what was looked at, also
 * where nothing came of it. SLUICE_E_UNSUPPORTED_CODEC: zstd, which those clients do not know, and
 * nothing came before it; SLUICE_E_BATCH_TOO_LARGE: a record that such a message cannot hold.
 * SLUICE_E_TRUNCATED, SLUICE_E_CORRUPT_BATCH, SLUICE_E_INVALID_RECORD, SLUICE_E_EXPANDS_TOO_FAR:
 * stored bytes are not what they should be. SLUICE_E_NO_MEMORY. */
sl_err message_set_from_batches(struct sl_bytes batches, const struct message_set_want *want,
                                struct message_set_memory *memory, struct sl_buffer *out,
                                int64_t *ret_next) SL_MUST_CHECK;

/* CRC-32 of a message that begins at data and has `size` bytes in all. */
uint32_t message_computed_crc(const uint8_t *data, size_t size);
/* The header checksum of the lz4 frame at data: `old` as magic 0 counts it. Frames too short to
 * have one are left alone. */
void lz4_header_seal(uint8_t *frame, size_t size, bool old);

#endif
