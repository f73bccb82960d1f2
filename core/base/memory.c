/* memory.c: the allocation helpers of base.h, for control paths. */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

void *sl_alloc(size_t size)
{
    return malloc(size == 0 ? 1 : size);
}

void *sl_alloc_zero(size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    return total == 0 ? calloc(1, 1) : calloc(count, size);
}

void *sl_realloc(void *memory, size_t size)
{
    return realloc(memory, size == 0 ? 1 : size);
}

void sl_free(void *memory)
{
    free(memory);
}

char *sl_strdup_bytes(const void *data, size_t size)
{
    if (size == SIZE_MAX)
        return NULL;
    char *copy = malloc(size + 1);
    if (copy == NULL)
        return NULL;
    if (size != 0)
        memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}
