/* share_letter.h: dead letters of groups that share streams (KIP-1191), as they stand in the topic
 * that the group names: the record's key, value and headers, where it is copied, and behind them
 * these headers, all texts, under Kafka's names:
 *
 *   __dlq.errors.topic, .partition, .offset   where it lies
 *   __dlq.errors.group                        who could not process it
 *   __dlq.errors.delivery.count               how often it was delivered
 *   __dlq.errors.message                      why, in a sentence (Kafka's own, word for word)
 *
 * Their time is that of the writing, so that retention counts from there. Pure data. [any] */
#ifndef SL_SHARD_SHARE_LETTER_H
#define SL_SHARD_SHARE_LETTER_H

#include "deliver/share_window.h"
#include "record/batch_builder.h"

#define SHARE_LETTERS_MAX        500u /* of one batch */
#define SHARE_LETTER_HEADERS_MAX 6u

struct share_letter {
    int64_t offset;
    uint16_t deliveries;
    uint8_t reason; /* enum share_reason */
};

struct share_letter_origin {
    struct sl_bytes group;
    struct sl_bytes topic;
    uint32_t partition;
};

struct share_letter_page {
    struct share_letter_origin origin;
    const struct share_letter *letters; /* by rising offset; at least one */
    uint32_t letter_count;
    struct sl_bytes records; /* stored batches that hold them; empty: the letters hold no records */
    int64_t read_end;        /* below it a record that `records` does not have is gone */
    int64_t now_ms;
    uint32_t bytes_max;        /* of the batch … */
    size_t expanded_bytes_max; /* … and of one that is opened */
};
/* Writes a batch with the first letters of the page, one at least; *ret_count: how many. A letter
 * holds its record unless that is gone, damaged or, alone, larger than bytes_max. E_NO_MEMORY,
 * E_LIMIT of `out`. */
sl_err share_letters_write(const struct share_letter_page *page, struct sl_buffer *out,
                           uint32_t *ret_count) SL_MUST_CHECK;

#endif
