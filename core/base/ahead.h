/* ahead.h: memory that is used soon comes into the cache while something else is done. Where much
 * is under way at once, what each piece of it needs has left the near caches when its turn comes;
 * waiting for one line after the other then takes longer than the work. [any] */
#ifndef SL_BASE_AHEAD_H
#define SL_BASE_AHEAD_H

#include <stddef.h>
#include <stdint.h>

#define SL_CACHE_LINE 64u /* a wrong one costs time only */

/* To be written to, most likely. `from` need not be valid, and may be NULL: nothing is read. Hence
 * no arithmetic of pointers, which has to stay inside of what is there. size > 0. */
static inline void sl_fetch_ahead(const void *from, size_t size)
{
    for (uintptr_t at = (uintptr_t)from; at < (uintptr_t)from + size; at += SL_CACHE_LINE) {
        __builtin_prefetch((const void *)at, 1);
    }
    __builtin_prefetch((const void *)((uintptr_t)from + size - 1),
                       1); /* it may begin within a line */
}

#endif
