/* base64.h: RFC 4648 section 4, with padding, nothing ignored. Pure functions. [any] */
#ifndef SL_CONTROL_BASE64_H
#define SL_CONTROL_BASE64_H

#include "base/base.h"

static inline size_t base64_size(size_t bytes)
{
    return (bytes + 2) / 3 * 4;
}

/* Writes base64_size(bytes.size) characters and NUL. */
void base64_encode(struct sl_bytes bytes, char *ret_text);
/* Writes at most size / 4 * 3 bytes. E_MALFORMED: a character, a length or padding is wrong. */
sl_err base64_decode(const char *text, size_t size, uint8_t *ret_bytes,
                     size_t *ret_size) SL_MUST_CHECK;

#endif
