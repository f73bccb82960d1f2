/* slow_sync.c: LD_PRELOAD shim: fdatasync and fsync take SLOW_SYNC_MS longer, as on a slow disk. */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

typedef int sync_fn(int descriptor);
sync_fn fdatasync, fsync;

static int slowed(const char *name, int descriptor)
{
    const char *text = getenv("SLOW_SYNC_MS");
    long delay_ms = text != NULL ? strtol(text, NULL, 10) : 0;
    struct timespec pause = {delay_ms / 1000, delay_ms % 1000 * 1000000};
    sync_fn *real = (sync_fn *)dlsym(RTLD_NEXT, name);

    nanosleep(&pause, NULL);
    return real(descriptor);
}

__attribute__((visibility("default"))) int fdatasync(int descriptor)
{
    return slowed("fdatasync", descriptor);
}

__attribute__((visibility("default"))) int fsync(int descriptor)
{
    return slowed("fsync", descriptor);
}
