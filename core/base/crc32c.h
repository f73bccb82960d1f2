/* crc32c.h: CRC-32C (Castagnoli, reflected polynomial 0x82f63b78, RFC 3720 appendix B.4).
 *
 * The checksum of record batches, WAL frames and every other file. ISA-L's three-way kernel for
 * long runs, the SSE4.2 instruction in line for short ones. [any] */
#ifndef SL_BASE_CRC32C_H
#define SL_BASE_CRC32C_H

#include "base/base.h"

/* CRC of the bytes whose CRC so far is `crc`, followed by data; begin with 0. */
uint32_t sl_crc32c_extend(uint32_t crc, const void *data, size_t size);

static inline uint32_t sl_crc32c(const void *data, size_t size)
{
    return sl_crc32c_extend(0, data, size);
}

#endif
