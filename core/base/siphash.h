/* siphash.h: SipHash-2-4 with 128 bits of output (J.-P. Aumasson, D. J. Bernstein, 2012): a hash
 * under a secret key, for where one who chooses the bytes must not be able to make two of them
 * meet. [any] */
#ifndef SL_BASE_SIPHASH_H
#define SL_BASE_SIPHASH_H

#include "base/base.h"

struct sl_hash128 {
    uint64_t low;
    uint64_t high;
};

struct sl_hash128 sl_siphash128(const uint8_t key[16], const void *data, size_t size);

#endif
