/* os_program.c: see os_program.h. */
#include "os/os_program.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKER_NAME "sluice-worker"

void sl_program_worker(const char *executable, char ret_path[SL_PROGRAM_PATH_BYTES])
{
    const char *slash = executable != NULL ? strrchr(executable, '/') : NULL;
    ret_path[0] = '\0';
    if (slash == NULL) {
        return;
    }
    int size = (int)(slash - executable);
    snprintf(ret_path, SL_PROGRAM_PATH_BYTES, "%.*s/" WORKER_NAME, size, executable);
    if (access(ret_path, X_OK) == 0) {
        return;
    }
    while (size > 0 && executable[size - 1] != '/') {
        size--;
    }
    snprintf(ret_path, SL_PROGRAM_PATH_BYTES, "%.*slib/sluice/" WORKER_NAME, size, executable);
}

void sl_program_of_library(const void *symbol, char ret_path[SL_PROGRAM_PATH_BYTES])
{
    Dl_info info;
    char path[PATH_MAX];
    ret_path[0] = '\0';
    if (dladdr(symbol, &info) == 0 || realpath(info.dli_fname, path) == NULL) {
        return;
    }
    for (int i = 0; i < 2; i++) { /* the file, its folder */
        char *slash = strrchr(path, '/');
        if (slash == NULL) {
            return;
        }
        *slash = '\0';
    }
    snprintf(ret_path, SL_PROGRAM_PATH_BYTES, "%.4000s/bin/sluice", path);
}
