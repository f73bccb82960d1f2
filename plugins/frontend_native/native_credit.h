/* native_credit.h: what a subscriber says that it can take; pure arithmetic. [any] */
#ifndef FRONTEND_NATIVE_NATIVE_CREDIT_H
#define FRONTEND_NATIVE_NATIVE_CREDIT_H

#include <stdbool.h>
#include <stdint.h>

#define NATIVE_CREDIT_MAX ((uint64_t)1 << 63) /* sums stop here */

struct native_credit {
    uint64_t records;
    uint64_t bytes;
};

void native_credit_add(struct native_credit *credit, uint64_t records, uint64_t bytes);
/* Whether a record of `size` bytes may be sent; then it is paid for. */
bool native_credit_take(struct native_credit *credit, uint64_t size);
/* Nothing can be sent at all. */
static inline bool native_credit_is_out(const struct native_credit *credit)
{
    return credit->records == 0 || credit->bytes == 0;
}

#endif
