/* assert.c: the end of a process whose invariants do not hold. */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void sl_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "sluice: assertion failed: %s (%s:%d)\n", expression, file, line);
    abort();
}
