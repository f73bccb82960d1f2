/* share_item.c: see share_item.h. */
#include "deliver/share_item.h"

#include "base/bytes.h"

#include <string.h>

#define COUNT_AT 32u

sl_err share_item_begin(const struct share_item *item, struct sl_buffer *payload)
{
    SL_ASSERT(item->group.size <= SHARE_GROUP_BYTES_MAX);
    uint8_t head[SHARE_STATE_HEAD_SIZE] = {0};
    memcpy(head, item->topic.b, 16);
    sl_le32_store(head + 16, item->partition);
    head[20] = item->replaces ? 1 : 0;
    sl_le16_store(head + 22, (uint16_t)item->group.size);
    sl_le64_store(head + 24, (uint64_t)item->start);
    sl_err err = sl_buffer_append(payload, head, sizeof(head));
    return err != SLUICE_OK ? err : sl_buffer_append(payload, item->group.data, item->group.size);
}

static struct share_range load(const uint8_t *at)
{
    int64_t first = (int64_t)sl_le64_load(at);
    return (struct share_range){.first = first,
                                .last = first + (int64_t)sl_le32_load(at + 8) - 1,
                                .deliveries = sl_le16_load(at + 12),
                                .state = at[14],
                                .reason = at[15]};
}

sl_err share_item_add(struct sl_buffer *payload, size_t at, const struct share_range *range)
{
    uint8_t bytes[SHARE_RANGE_SIZE] = {0};
    uint32_t length = (uint32_t)(range->last - range->first + 1);
    uint32_t count = sl_le32_load(payload->data + at + COUNT_AT);
    if (count > 0) {
        uint8_t *before_at = payload->data + payload->size - SHARE_RANGE_SIZE;
        struct share_range before = load(before_at);
        if (before.last + 1 == range->first && before.state == range->state &&
            before.deliveries == range->deliveries && before.reason == range->reason) {
            sl_le32_store(before_at + 8, sl_le32_load(before_at + 8) + length);
            return SLUICE_OK;
        }
    }
    sl_le64_store(bytes, (uint64_t)range->first);
    sl_le32_store(bytes + 8, length);
    sl_le16_store(bytes + 12, range->deliveries);
    bytes[14] = range->state;
    bytes[15] = range->reason;
    sl_err err = sl_buffer_append(payload, bytes, sizeof(bytes));
    if (err == SLUICE_OK) {
        sl_le32_store(payload->data + at + COUNT_AT, count + 1);
    }
    return err;
}

static bool is_range(const struct share_range *range, int64_t before)
{
    bool is_state = range->state == SHARE_AVAILABLE || range->state == SHARE_ACKNOWLEDGED ||
                    range->state == SHARE_ARCHIVED;
    bool is_doomed = range->state == SHARE_DOOMED && (range->reason == SHARE_REJECTED ||
                                                      range->reason == SHARE_DELIVERED_TOO_OFTEN);
    return (is_doomed || (is_state && range->reason == SHARE_NO_REASON)) && range->first > before &&
           range->last >= range->first;
}

sl_err share_item_decode(uint8_t version, struct sl_bytes payload, struct share_item *ret_item)
{
    if (version != SHARE_ITEM_VERSION) {
        return SLUICE_E_NEWER_FORMAT;
    }
    if (payload.size < SHARE_STATE_HEAD_SIZE || payload.data[20] > 1 || payload.data[21] != 0) {
        return SLUICE_E_CORRUPT;
    }
    size_t group_size = sl_le16_load(payload.data + 22);
    uint32_t count = sl_le32_load(payload.data + COUNT_AT);
    size_t rest = payload.size - SHARE_STATE_HEAD_SIZE;
    if (group_size > SHARE_GROUP_BYTES_MAX || group_size > rest ||
        (rest - group_size) / SHARE_RANGE_SIZE != count ||
        (rest - group_size) % SHARE_RANGE_SIZE != 0) {
        return SLUICE_E_CORRUPT;
    }
    struct share_item item = {.partition = sl_le32_load(payload.data + 16),
                              .replaces = payload.data[20] == 1,
                              .start = (int64_t)sl_le64_load(payload.data + 24),
                              .range_count = count};
    memcpy(item.topic.b, payload.data, 16);
    item.group = (struct sl_bytes){payload.data + SHARE_STATE_HEAD_SIZE, group_size};
    item.ranges = (struct sl_bytes){item.group.data + group_size, rest - group_size};
    int64_t before = -1;
    for (uint32_t i = 0; i < count; i++) {
        struct share_range range = share_item_range(&item, i);
        if (!is_range(&range, before)) {
            return SLUICE_E_CORRUPT;
        }
        before = range.last;
    }
    if (item.start < 0) {
        return SLUICE_E_CORRUPT;
    }
    *ret_item = item;
    return SLUICE_OK;
}

struct share_range share_item_range(const struct share_item *item, uint32_t index)
{
    return load(item->ranges.data + (size_t)index * SHARE_RANGE_SIZE);
}

size_t share_forget_size(const struct share_forget *forget)
{
    return SHARE_FORGET_HEAD_SIZE + forget->group.size;
}

void share_forget_encode(const struct share_forget *forget, uint8_t *ret_payload)
{
    memset(ret_payload, 0, SHARE_FORGET_HEAD_SIZE);
    ret_payload[0] = (uint8_t)forget->what;
    sl_le16_store(ret_payload + 2, (uint16_t)forget->group.size);
    memcpy(ret_payload + 8, forget->topic.b, 16);
    sl_bytes_copy(ret_payload + SHARE_FORGET_HEAD_SIZE, forget->group);
}

sl_err share_forget_decode(uint8_t version, struct sl_bytes payload,
                           struct share_forget *ret_forget)
{
    if (version != SHARE_ITEM_VERSION) {
        return SLUICE_E_NEWER_FORMAT;
    }
    if (payload.size < SHARE_FORGET_HEAD_SIZE) {
        return SLUICE_E_CORRUPT;
    }
    struct share_forget forget = {.what = payload.data[0]};
    size_t group_size = sl_le16_load(payload.data + 2);
    bool known = forget.what == SHARE_FORGET_TOPIC || forget.what == SHARE_FORGET_GROUP;
    if (!known || group_size > SHARE_GROUP_BYTES_MAX ||
        payload.size != SHARE_FORGET_HEAD_SIZE + group_size) {
        return SLUICE_E_CORRUPT;
    }
    memcpy(forget.topic.b, payload.data + 8, 16);
    forget.group = (struct sl_bytes){payload.data + SHARE_FORGET_HEAD_SIZE, group_size};
    *ret_forget = forget;
    return SLUICE_OK;
}
