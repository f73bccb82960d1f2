/* varint.c: the slow halves of varint.h. */
#include "base/varint.h"

/* Both loops end at the type's last byte, which may hold only the bits that are left. */
const uint8_t *sl_varint_read_u32_long(const uint8_t *at, const uint8_t *end, uint32_t *ret_value)
{
    uint32_t value = 0;
    for (unsigned shift = 0; at < end; shift += 7) {
        uint8_t byte = *at++;
        if (shift == 28 && byte > 0x0f)
            return NULL;
        value |= (uint32_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            return at;
        }
    }
    return NULL;
}

const uint8_t *sl_varint_read_u64_long(const uint8_t *at, const uint8_t *end, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; at < end; shift += 7) {
        uint8_t byte = *at++;
        if (shift == 63 && byte > 0x01)
            return NULL;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            return at;
        }
    }
    return NULL;
}
