/* os_uv_child.c: see os_child.h. */
#include "os/os_child.h"

#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define POLL_MS        20
#define DEPTH_MAX      16 /* descriptors that nftw holds */
#define LOG_MODE       0600
#define LOG_OPEN       (O_WRONLY | O_CREAT | O_APPEND)
#define SPAWN_IN_GROUP POSIX_SPAWN_SETPGROUP

extern char **environ;

static int actions_make(posix_spawn_file_actions_t *actions, const char *log_path)
{
    int failed = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
    failed = failed != 0
                 ? failed
                 : posix_spawn_file_actions_addopen(actions, 1, log_path, LOG_OPEN, LOG_MODE);
    return failed != 0 ? failed : posix_spawn_file_actions_adddup2(actions, 1, 2);
}

static int spawn(const char *const *argv, const char *log_path, pid_t *ret_pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    if (posix_spawn_file_actions_init(&actions) != 0) {
        return ENOMEM;
    }
    if (posix_spawnattr_init(&attributes) != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return ENOMEM;
    }
    int failed = actions_make(&actions, log_path);
    failed = failed != 0 ? failed : posix_spawnattr_setflags(&attributes, SPAWN_IN_GROUP);
    failed = failed != 0 ? failed : posix_spawnattr_setpgroup(&attributes, 0);
    if (failed == 0) {
        /* posix_spawn promises not to change the words. */
        failed = posix_spawn(ret_pid, argv[0], &actions, &attributes,
                             (char *const *)(uintptr_t)argv, environ);
    }
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return failed;
}

sl_err sl_child_start(const char *const *argv, const char *log_path, struct sl_child *ret_child)
{
    pid_t pid = 0;
    int failed = spawn(argv, log_path, &pid);
    if (failed != 0) {
        return failed == ENOENT   ? SLUICE_E_NOT_FOUND
               : failed == ENOMEM ? SLUICE_E_NO_MEMORY
                                  : SLUICE_E_IO;
    }
    ret_child->pid = pid;
    return SLUICE_OK;
}

bool sl_child_is_running(struct sl_child *child)
{
    int status = 0;
    if (child->pid == 0) {
        return false;
    }
    if (waitpid((pid_t)child->pid, &status, WNOHANG) == 0) {
        return true;
    }
    child->pid = 0;
    child->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return false;
}

void sl_child_kill(struct sl_child *child)
{
    int status = 0;
    if (sl_child_is_running(child)) {
        (void)kill((pid_t)child->pid, SIGKILL);
        (void)waitpid((pid_t)child->pid, &status, 0);
        *child = (struct sl_child){.pid = 0, .code = 128 + SIGKILL};
    }
}

void sl_child_stop(struct sl_child *child, int64_t wait_ms)
{
    if (!sl_child_is_running(child)) {
        return;
    }
    (void)kill((pid_t)child->pid, SIGTERM);
    for (int64_t waited = 0; waited < wait_ms && sl_child_is_running(child); waited += POLL_MS) {
        sl_sleep_ms(POLL_MS);
    }
    sl_child_kill(child);
}

/* ---- the folder ---- */

sl_err sl_scratch_make(const char *prefix, char ret_path[SL_SCRATCH_BYTES])
{
    const char *parent = getenv("TMPDIR");
    int size = snprintf(ret_path, SL_SCRATCH_BYTES, "%s/%s-XXXXXX",
                        parent != NULL && parent[0] == '/' ? parent : "/tmp", prefix);
    if (size < 0 || (uint32_t)size >= SL_SCRATCH_BYTES || mkdtemp(ret_path) == NULL) {
        ret_path[0] = '\0';
        return SLUICE_E_IO;
    }
    return SLUICE_OK;
}

static int entry_remove(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    (void)remove(path);
    return 0; /* what cannot go is left, the rest goes on */
}

void sl_scratch_remove(const char *path)
{
    if (path[0] == '/') {
        (void)nftw(path, entry_remove, DEPTH_MAX, FTW_DEPTH | FTW_PHYS);
    }
}
