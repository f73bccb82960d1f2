/* alloc_note.c: the allocator of the process, which notes refusals where the host can see them.
 *
 * A plugin that runs into its memory limit dies in many ways: NULL pointer, abort, exit. The note
 * lets the host name the cause. It stands in front of glibc's allocator for every library in the
 * process. */
#include "worker.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#define PUBLIC __attribute__((visibility("default")))

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static _Atomic uint32_t *refusals;

void alloc_note_attach(_Atomic uint32_t *counter)
{
    refusals = counter;
}

static void *noted(void *memory, size_t size)
{
    if (memory == NULL && size > 0 && refusals != NULL) {
        atomic_fetch_add_explicit(refusals, 1u, memory_order_relaxed);
    }
    return memory;
}

PUBLIC void *malloc(size_t size)
{
    return noted(__libc_malloc(size), 1);
}
PUBLIC void *calloc(size_t count, size_t size)
{
    return noted(__libc_calloc(count, size), 1);
}
PUBLIC void *realloc(void *memory, size_t size)
{
    return noted(__libc_realloc(memory, size), size);
}
PUBLIC void *memalign(size_t alignment, size_t size)
{
    return noted(__libc_memalign(alignment, size), 1);
}
PUBLIC void *aligned_alloc(size_t alignment, size_t size)
{
    return noted(__libc_memalign(alignment, size), 1);
}
PUBLIC int posix_memalign(void **memory, size_t alignment, size_t size)
{
    void *block = noted(__libc_memalign(alignment, size), 1);

    if (block == NULL) {
        return ENOMEM;
    }
    *memory = block;
    return 0;
}
