/* share_item.h: what the log says of groups that share streams.
 *
 * Payloads (little-endian, version 1):
 *   SHARE_STATE   topic 16, partition u32, flags u8 (1: replaces all that was said before), zero
 *                 u8, group size u16, start i64, range count u32, zero u32, group, then 16 bytes a
 *                 range: first offset i64, length u32, deliveries u16, state u8 (0 available, 2
 *                 acknowledged, 3 waits for its dead letter, 4 archived), reason u8 (of 3:
 *                 1 rejected, 2 delivered too often; else 0)
 *   SHARE_FORGET  what u8 (1: one topic, 2: the whole group), zero u8, group size u16, zero u32,
 *                 topic 16, group
 *   SHARE_CONFIG  group size u16, value count u16, zero u32, group, then for each key size u16,
 *                 value size u16, key, value: the group's configuration, replacing the former
 *
 * A SHARE_STATE without the flag tells what changed: records below the start are done with, ranges
 * are as they say, the rest is as it was. [any] */
#ifndef SL_DELIVER_SHARE_ITEM_H
#define SL_DELIVER_SHARE_ITEM_H

#include "base/buffer.h"
#include "deliver/share_window.h"
#include "wal/item.h"

#define SHARE_ITEM_VERSION    1u
#define SHARE_GROUP_BYTES_MAX 1024u
#define SHARE_RANGE_SIZE      16u
#define SHARE_STATE_HEAD_SIZE 40u

struct share_item {
    struct sl_bytes group;
    struct sl_uuid topic;
    uint32_t partition;
    bool replaces;
    int64_t start;
    uint32_t range_count;   /* decoded */
    struct sl_bytes ranges; /* decoded; read them with share_item_range */
};

/* Writes the head and the group; ranges follow with share_item_add. The count is filled in with
 * them. E_NO_MEMORY, E_LIMIT of the buffer. */
sl_err share_item_begin(const struct share_item *item, struct sl_buffer *payload) SL_MUST_CHECK;
/* at: where the payload begins in the buffer. A range that goes on where the last one ended, and
 * says the same, is joined with it. */
sl_err share_item_add(struct sl_buffer *payload, size_t at,
                      const struct share_range *range) SL_MUST_CHECK;
/* E_CORRUPT, E_NEWER_FORMAT. Views into the payload. */
sl_err share_item_decode(uint8_t version, struct sl_bytes payload,
                         struct share_item *ret_item) SL_MUST_CHECK;
struct share_range share_item_range(const struct share_item *item, uint32_t index);

#define SHARE_FORGET_TOPIC     1
#define SHARE_FORGET_GROUP     2
#define SHARE_FORGET_HEAD_SIZE 24u
struct share_forget {
    int32_t what; /* SHARE_FORGET_* */
    struct sl_bytes group;
    struct sl_uuid topic; /* zero for a group */
};
size_t share_forget_size(const struct share_forget *forget);
void share_forget_encode(const struct share_forget *forget, uint8_t *ret_payload);
sl_err share_forget_decode(uint8_t version, struct sl_bytes payload,
                           struct share_forget *ret_forget) SL_MUST_CHECK;

#endif
