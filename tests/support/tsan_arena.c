/* tsan_arena.c: lets Criterion run under ThreadSanitizer; linked into unit tests of that build
 * only.
 *
 * Criterion hands options to the process of each test in an arena that it maps at a fixed address,
 * drawn by rand_r as 0x200000000000 + r * 2^24. ThreadSanitizer owns nearly all of that range and
 * refuses the mapping. This rand_r, found before libc's, draws from the part that is the program's:
 * 0x554000000000 and up, below where an executable is loaded without address randomisation. */
#include <stdlib.h>

#define FIRST 0x354000 /* (0x554000000000 - 0x200000000000) >> 24 */
#define COUNT 0x400

__attribute__((visibility("default"))) int rand_r(unsigned int *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return FIRST + (int)(*seed >> 16) % COUNT;
}
