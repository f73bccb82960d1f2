/* batch_validate.h: what a batch from a client must be before it may be appended.
 *
 * The rules of Kafka's LogValidator and UnifiedLog, in the order they are checked, with their
 * answers: one whole batch of magic 2 (E_INVALID_RECORD for none and for two, E_UNSUPPORTED_MAGIC,
 * E_CORRUPT_BATCH for lying lengths; a piece of a second one is left out); zstd where it may not be
 * (E_UNSUPPORTED_CODEC); a base offset of 0 (E_INVALID_RECORD); size (E_BATCH_TOO_LARGE,
 * E_SEGMENT_TOO_SMALL); CRC (E_CORRUPT_BATCH); attributes, producer fields, counts
 * (E_INVALID_RECORD); codec (E_UNSUPPORTED_CODEC); timestamp type and range (E_INVALID_TIMESTAMP: a
 * batch that claims the broker's time is taken by topics of the producer's time, which clear the
 * claim, and records without a time cannot be); then every record: offset
 * deltas 0..n-1, key present on a compacted topic, CreateTime within range (E_INVALID_RECORD,
 * E_INVALID_TIMESTAMP). [any] */
#ifndef SL_RECORD_BATCH_VALIDATE_H
#define SL_RECORD_BATCH_VALIDATE_H

#include "record/codec.h"

#define BATCH_TIMESTAMP_UNLIMITED INT64_MAX
enum { BATCH_FAULTS_MAX = 64 };

struct batch_limits {
    size_t batch_bytes_max;      /* max.message.bytes: of the whole batch, compressed */
    size_t segment_bytes_max;    /* segment.bytes */
    size_t expanded_bytes_max;   /* cap for decompression */
    int64_t now_ms;              /* wall clock */
    int64_t timestamp_before_ms; /* message.timestamp.before.max.ms, or BATCH_TIMESTAMP_UNLIMITED */
    int64_t timestamp_after_ms;  /* message.timestamp.after.max.ms, or the same */
    bool append_time;            /* LogAppendTime topic: the client's timestamps do not matter */
    bool compacted;              /* every record needs a key */
    bool zstd_allowed;           /* the API version knows zstd (Produce v7) */
    bool validate_records;       /* open compressed batches too (sluice.validate=records) */
    bool allow_holes;            /* offset deltas need only rise: for a batch that a gate rewrote */
};

/* Kafka's defaults: 1048588 bytes, 1 GiB segments, an hour ahead, 16 MiB expanded; now_ms is 0. */
void batch_limits_init(struct batch_limits *limits);

/* A record that is refused, for Produce v8's RecordErrors. */
struct batch_fault {
    int32_t index; /* of the record in the batch */
    sl_err err;
};

struct batch_verdict {
    struct batch_view view; /* set once the structure is known to be sound (view.data != NULL) */
    int64_t
        max_timestamp; /* found by the walk; differs from the header's where the client was wrong:
                          batch_patch_max_timestamp(), as Kafka does. Not walked: the header's */
    bool walked;       /* every record was looked at */
    bool formed;       /* one batch of a codec that the request may carry: what is wrong is in it */
    int32_t fault_count;                         /* refused records, also those beyond the bound */
    struct batch_fault faults[BATCH_FAULTS_MAX]; /* the first of them */
};

/* Whether batch_validate() will decompress: the caller may prefer a helper thread for that. True
 * for a compressed batch when validate_records or compacted is set. */
bool batch_validate_opens(const struct batch_view *view, const struct batch_limits *limits);

/* entry: all bytes that a request carries for one partition. context and scratch may be NULL where
 * batch_validate_opens() is false. *ret_verdict is written on failure too: that is where the faults
 * are; the error is the first fault's, or the batch's as listed above. */
sl_err batch_validate(struct sl_bytes entry, const struct batch_limits *limits,
                      struct codec_context *context, struct sl_buffer *scratch,
                      struct batch_verdict *ret_verdict) SL_MUST_CHECK;

#endif
