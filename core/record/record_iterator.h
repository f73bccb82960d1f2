/* record_iterator.h: walks the records of a batch, decompressed.
 *
 * A record: length varint (of what follows), attributes i8, timestamp delta varlong, offset delta
 * varint, key length varint (-1: null) and key, value length varint (-1: null) and value, header
 * count varint, headers. A header: key length varint (not null) and key, value length varint (-1:
 * null) and value.
 *
 * The input is hostile: no byte outside it is read, and every record is checked whole, its headers
 * too, before it is shown. Nothing is allocated; views borrow from the input. [any] */
#ifndef SL_RECORD_RECORD_ITERATOR_H
#define SL_RECORD_RECORD_ITERATOR_H

#include "record/batch_view.h"

/* One record. Null and empty differ: a null key or value has size 0 and its flag set. */
struct record_view {
    struct sl_bytes key;
    struct sl_bytes value;
    struct sl_bytes headers; /* the raw header list, for header_iterator_init() */
    struct sl_bytes whole;   /* all of the record, its length field too, for copying as it is */
    int64_t timestamp_delta; /* from the batch's base timestamp, ms */
    int32_t offset_delta;    /* from the batch's base offset */
    int32_t header_count;
    bool key_is_null;
    bool value_is_null; /* a tombstone, on a compacted topic */
};

struct record_iterator {
    const uint8_t *at;
    const uint8_t *end;
    int32_t left; /* records not shown yet */
    sl_err err;   /* sticky; read through record_iterator_finish() */
};

/* [borrows records] until the last use of iterator and of the views it gave. record_count: the
 * batch's. */
void record_iterator_init(struct record_iterator *iterator, struct sl_bytes records,
                          int32_t record_count);

/* The next record; false at the end or at the first fault, and then *ret_record has no meaning. */
bool record_iterator_next(struct record_iterator *iterator, struct record_view *ret_record);

/* After next() gave false. SLUICE_OK: record_count records filled the bytes exactly.
 * SLUICE_E_INVALID_RECORD: a record lies about a length, or bytes are left over. */
sl_err record_iterator_finish(const struct record_iterator *iterator) SL_MUST_CHECK;

struct header_view {
    struct sl_bytes key; /* UTF-8 by convention, not checked */
    struct sl_bytes value;
    bool value_is_null;
};

struct header_iterator {
    const uint8_t *at;
    const uint8_t *end;
    int32_t left;
};

void header_iterator_init(struct header_iterator *iterator, const struct record_view *record);
/* False at the end; the record was checked when it was shown, so there is no fault to report. */
bool header_iterator_next(struct header_iterator *iterator, struct header_view *ret_header);

static inline int64_t record_offset(const struct batch_view *batch,
                                    const struct record_view *record)
{
    return sl_wrapping_add(batch_view_base_offset(batch), record->offset_delta);
}

/* What a consumer sees: with LogAppendTime every record has the batch's max timestamp. */
int64_t record_timestamp(const struct batch_view *batch, const struct record_view *record);

#endif
