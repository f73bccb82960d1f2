/* alloc_note.c: the allocator of the process, which notes refusals where the host can see them.
 *
 * A plugin that runs into its memory limit dies in many ways: NULL pointer, abort, exit. The note
 * lets the host name the cause. It stands in front of glibc's allocator for every library in the
 * process. Rehearsals also have it count what is not given back, and refuse. */
#include "worker.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

#define PUBLIC __attribute__((visibility("default")))

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *memory);

static _Atomic uint32_t *refusals;
static bool counts;                 /* set and read while one thread runs */
static _Atomic int64_t live_blocks; /* since it counts */
static _Atomic int64_t live_bytes;
static _Atomic uint32_t fails_after;

void alloc_note_attach(_Atomic uint32_t *counter)
{
    refusals = counter;
}

void alloc_note_count(bool on)
{
    counts = on;
    atomic_store(&live_blocks, 0);
    atomic_store(&live_bytes, 0);
}

struct alloc_live alloc_note_live(void)
{
    return (struct alloc_live){atomic_load(&live_blocks), atomic_load(&live_bytes)};
}

void alloc_note_fail(uint32_t after)
{
    atomic_store(&fails_after, after);
}

static bool refused(void)
{
    return atomic_load_explicit(&fails_after, memory_order_relaxed) != 0 &&
           atomic_fetch_sub(&fails_after, 1u) == 1u;
}

static void count(const void *memory, int64_t sign)
{
    if (counts && memory != NULL) {
        atomic_fetch_add(&live_blocks, sign);
        atomic_fetch_add(&live_bytes,
                         sign * (int64_t)malloc_usable_size((void *)(uintptr_t)memory));
    }
}

static void *noted(void *memory, size_t size)
{
    if (memory == NULL && size > 0 && refusals != NULL) {
        atomic_fetch_add_explicit(refusals, 1u, memory_order_relaxed);
    }
    count(memory, 1);
    return memory;
}

PUBLIC void *malloc(size_t size)
{
    return refused() ? NULL : noted(__libc_malloc(size), 1);
}
PUBLIC void *calloc(size_t number, size_t size)
{
    return refused() ? NULL : noted(__libc_calloc(number, size), 1);
}
PUBLIC void *realloc(void *memory, size_t size)
{
    void *grown;

    if (size > 0 && refused()) {
        return NULL;
    }
    count(memory, -1);
    grown = __libc_realloc(memory, size);
    if (grown == NULL && size > 0) {
        count(memory, 1); /* it is still there */
    }
    return noted(grown, size);
}
PUBLIC void *memalign(size_t alignment, size_t size)
{
    return refused() ? NULL : noted(__libc_memalign(alignment, size), 1);
}
PUBLIC void *aligned_alloc(size_t alignment, size_t size)
{
    return refused() ? NULL : noted(__libc_memalign(alignment, size), 1);
}
PUBLIC int posix_memalign(void **memory, size_t alignment, size_t size)
{
    void *block = refused() ? NULL : noted(__libc_memalign(alignment, size), 1);

    if (block == NULL) {
        return ENOMEM;
    }
    *memory = block;
    return 0;
}
PUBLIC void free(void *memory)
{
    count(memory, -1);
    __libc_free(memory);
}
