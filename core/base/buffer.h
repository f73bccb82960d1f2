/* buffer.h: a growing run of bytes that declares its maximum at birth.
 *
 * Grows by doubling up to size_max and keeps its memory over reset, so that a buffer that lives as
 * long as its owner allocates a few times and never again. Not shared between threads. [any] */
#ifndef SL_BASE_BUFFER_H
#define SL_BASE_BUFFER_H

#include "base/base.h"

struct sl_buffer {
    uint8_t *data;   /* owned; moves when the buffer grows */
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes allocated */
    size_t size_max; /* bound, for ever */
};

/* Empty, nothing allocated; size never exceeds size_max bytes. */
void sl_buffer_init(struct sl_buffer *buffer, size_t size_max);
/* Frees the memory; the buffer is then empty, with the same bound. */
void sl_buffer_fini(struct sl_buffer *buffer);
/* Forgets the content, keeps the memory. */
void sl_buffer_reset(struct sl_buffer *buffer);
/* Forgets the content, and the memory too where it is above keep_bytes_max (idle memory is
 * bounded). */
void sl_buffer_reset_above(struct sl_buffer *buffer, size_t keep_bytes_max);

/* Room for extra bytes behind size: data + size may then be written by the caller, who raises size.
 * SLUICE_E_LIMIT: size + extra is above the bound. SLUICE_E_NO_MEMORY. On failure nothing changed.
 */
sl_err sl_buffer_reserve(struct sl_buffer *buffer, size_t extra) SL_MUST_CHECK;
/* The same under a closer bound of the moment, which growth by doubling obeys too: for a caller
 * with a cap of its own. SLUICE_E_LIMIT: size + extra is above bound or size_max. */
sl_err sl_buffer_reserve_within(struct sl_buffer *buffer, size_t extra, size_t bound) SL_MUST_CHECK;
/* Copies at the end; data may be NULL when size is 0. Errors as sl_buffer_reserve. */
sl_err sl_buffer_append(struct sl_buffer *buffer, const void *data, size_t size) SL_MUST_CHECK;

/* The content, [borrowed] until the buffer grows, is reset or finished. */
static inline struct sl_bytes sl_buffer_bytes(const struct sl_buffer *buffer)
{
    return (struct sl_bytes){.data = buffer->data, .size = buffer->size};
}

#endif
