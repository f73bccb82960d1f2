/* os_uv_log.c: the sink of a program's logger. */
#include "os/os_log.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

void sl_os_log_stderr(void *arg, enum sl_log_level level, const char *line, size_t size)
{
    ssize_t put;
    (void)arg;
    (void)level;
    /* A rest after a short write is dropped: a second write could land inside another thread's
     * line. */
    do
        put = write(STDERR_FILENO, line, size);
    while (put < 0 && errno == EINTR);
}

int64_t sl_os_log_clock(void *arg)
{
    return sl_os_wall_ms(arg);
}

bool sl_os_log_is_terminal(void)
{
    return sl_descriptor_is_terminal(STDERR_FILENO) && getenv("NO_COLOR") == NULL;
}
