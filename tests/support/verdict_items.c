/* verdict_items.c: see verdict_items.h. */
#include "verdict_items.h"

#include "base/base.h"
#include "channel_layout.h"

#include <sandbox/sandbox.h>
#include <string.h>

static void put(struct verdict_items *items, const void *data, size_t size)
{
    SL_ASSERT(items->size + size <= items->room);
    memcpy(items->bytes + items->size, data, size);
    items->size += (uint32_t)size;
}

static void pad(struct verdict_items *items)
{
    static const uint8_t zero[8];
    put(items, zero, channel_pad8(items->size) - items->size);
}

void verdict_items_reason(struct verdict_items *items, uint32_t kind, uint32_t index,
                          const char *reason)
{
    struct channel_item item = {
        .kind = kind, .index = index, .reason_size = (uint32_t)strlen(reason)};
    item.size = (uint32_t)sizeof(item) + channel_pad8(item.reason_size);
    put(items, &item, sizeof(item));
    put(items, reason, item.reason_size);
    pad(items);
}

void verdict_items_emit(struct verdict_items *items, uint32_t index, int32_t partition,
                        const char *topic, const char *value)
{
    struct channel_emit emit = {.timestamp = -1,
                                .partition = partition,
                                .topic_size = (uint32_t)strlen(topic),
                                .key_size = CHANNEL_NULL,
                                .value_size = (uint32_t)strlen(value)};
    uint32_t used = (uint32_t)sizeof(emit) + emit.topic_size + emit.value_size;
    struct channel_item item = {.kind = SANDBOX_VERDICT_EMIT, .index = index};
    item.size = (uint32_t)sizeof(item) + channel_pad8(used);
    put(items, &item, sizeof(item));
    put(items, &emit, sizeof(emit));
    put(items, value, emit.value_size);
    put(items, topic, emit.topic_size);
    pad(items);
    items->emit_count++;
}
