/* txn_marker.h: the control batch that ends a transaction in a partition (KIP-98).
 *
 * One record; attributes transactional and control; no sequence. Key: version i16 = 0, type i16
 * (0 abort, 1 commit). Value: version i16 = 0, coordinator epoch i32. It takes one offset. Source:
 * Kafka's message-format documentation. One that compaction has met may have a delete horizon, and
 * the timestamp of its record counts from there: it is longer then. [any] */
#ifndef SL_RECORD_TXN_MARKER_H
#define SL_RECORD_TXN_MARKER_H

#include "record/batch_view.h"

#define TXN_MARKER_SIZE 78u

struct txn_marker {
    int64_t producer_id;
    int64_t time_ms;
    int32_t coordinator_epoch;
    int16_t producer_epoch;
    bool commits;
};

/* Base offset 0, leader epoch -1: as a producer's batch, to be stamped by the commit. */
void txn_marker_encode(const struct txn_marker *marker, uint8_t ret_batch[TXN_MARKER_SIZE]);
/* E_INVALID_RECORD: the batch is no marker of a transaction. */
sl_err txn_marker_decode(const struct batch_view *batch,
                         struct txn_marker *ret_marker) SL_MUST_CHECK;

#endif
