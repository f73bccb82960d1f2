/* os_uv_process.c: runs a program to its end, for command-line clients [blocks]. */
#include "os/os.h"

#include <errno.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

sl_err sl_process_run(const char *const *argv, int *ret_code)
{
    pid_t pid;
    int status = 0;
    /* posix_spawnp promises not to change the words. */
    int failed = posix_spawnp(&pid, argv[0], NULL, NULL, (char *const *)(uintptr_t)argv, environ);
    if (failed != 0) {
        return failed == ENOENT   ? SLUICE_E_NOT_FOUND
               : failed == ENOMEM ? SLUICE_E_NO_MEMORY
                                  : SLUICE_E_IO;
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return SLUICE_E_IO;
    }
    *ret_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return SLUICE_OK;
}
