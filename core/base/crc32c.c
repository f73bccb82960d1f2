/* crc32c.c: see crc32c.h.
 *
 * ISA-L's crc32_iscsi() takes and returns the register without the final complement and picks its
 * kernel for the CPU once. It costs a call through a pointer and a set-up that short inputs never
 * earn back, so up to SHORT_SIZE_MAX bytes go through the crc32 instruction, where the CPU has it.
 */
#include "base/crc32c.h"

#include <isa-l/crc.h>
#include <string.h>

enum { SHORT_SIZE_MAX = 128, LONG_PIECE = 1 << 30 };

#if defined(__x86_64__)
#include <nmmintrin.h>

__attribute__((target("sse4.2"))) static uint32_t short_run(uint32_t state, const uint8_t *at,
                                                            size_t size)
{
    uint64_t wide = state;
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        wide = _mm_crc32_u64(wide, word);
    }
    state = (uint32_t)wide;
    for (; size > 0; at++, size--)
        state = _mm_crc32_u8(state, *at);
    return state;
}

static bool short_run_available(void)
{
    return __builtin_cpu_supports("sse4.2");
}
#else
static uint32_t short_run(uint32_t state, const uint8_t *at, size_t size)
{
    return crc32_iscsi((unsigned char *)(uintptr_t)at, (int)size, state);
}

static bool short_run_available(void)
{
    return false;
}
#endif

uint32_t sl_crc32c_extend(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *at = data;
    uint32_t state = ~crc;
    if (size <= SHORT_SIZE_MAX && short_run_available())
        return ~short_run(state, at, size);
    while (size > 0) {
        size_t piece = SL_MIN(size, (size_t)LONG_PIECE);
        state = crc32_iscsi((unsigned char *)(uintptr_t)at, (int)piece, state);
        at += piece;
        size -= piece;
    }
    return ~state;
}
