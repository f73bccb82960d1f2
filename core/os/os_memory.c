/* os_memory.c: see os_memory.h. */
#include "os/os_memory.h"

#include <stddef.h> /* says which library it is */

#ifdef __GLIBC__
#include <malloc.h>
#endif

void sl_memory_give_back(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}
