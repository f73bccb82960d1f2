/* os_processors.c: see os_processors.h. */
#include "os/os_processors.h"

#include <sched.h>
#include <unistd.h>

uint32_t sl_processor_count(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof(set), &set) != 0) {
        return 1;
    }
    return (uint32_t)SL_MAX(CPU_COUNT(&set), 1);
}

int64_t sl_process_id(void)
{
    return getpid();
}
