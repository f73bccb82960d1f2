/* buffer.c: see buffer.h. */
#include "base/buffer.h"

#include <string.h>

enum { CAPACITY_FIRST = 256 };

void sl_buffer_init(struct sl_buffer *buffer, size_t size_max)
{
    *buffer = (struct sl_buffer){.size_max = size_max};
}

void sl_buffer_fini(struct sl_buffer *buffer)
{
    sl_free(buffer->data);
    sl_buffer_init(buffer, buffer->size_max);
}

void sl_buffer_reset(struct sl_buffer *buffer)
{
    buffer->size = 0;
}

void sl_buffer_reset_above(struct sl_buffer *buffer, size_t keep_bytes_max)
{
    buffer->size = 0;
    if (buffer->capacity > keep_bytes_max)
        sl_buffer_fini(buffer);
}

static sl_err grow(struct sl_buffer *buffer, size_t needed, size_t bound)
{
    size_t doubled = SL_MAX(buffer->capacity, (size_t)CAPACITY_FIRST / 2);
    doubled = doubled > bound / 2 ? bound : doubled * 2;
    size_t capacity = SL_MAX(needed, doubled);
    uint8_t *data = sl_realloc(buffer->data, capacity);
    if (data == NULL)
        return SLUICE_E_NO_MEMORY;
    buffer->data = data;
    buffer->capacity = capacity;
    return SLUICE_OK;
}

sl_err sl_buffer_reserve_within(struct sl_buffer *buffer, size_t extra, size_t bound)
{
    SL_ASSERT(buffer->size <= buffer->capacity && buffer->capacity <= buffer->size_max);
    bound = SL_MIN(bound, buffer->size_max);
    if (buffer->size > bound || extra > bound - buffer->size)
        return SLUICE_E_LIMIT;
    if (extra <= buffer->capacity - buffer->size)
        return SLUICE_OK;
    return grow(buffer, buffer->size + extra, bound);
}

sl_err sl_buffer_reserve(struct sl_buffer *buffer, size_t extra)
{
    return sl_buffer_reserve_within(buffer, extra, buffer->size_max);
}

sl_err sl_buffer_append(struct sl_buffer *buffer, const void *data, size_t size)
{
    sl_err err = sl_buffer_reserve(buffer, size);
    if (err != SLUICE_OK)
        return err;
    if (size != 0)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    return SLUICE_OK;
}
