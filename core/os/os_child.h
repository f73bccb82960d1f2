/* os_child.h: a program in the background, and a folder that is gone afterwards: for command-line
 * clients that run a broker of their own. */
#ifndef SL_OS_OS_CHILD_H
#define SL_OS_OS_CHILD_H

#include "base/base.h"

struct sl_child {
    int64_t pid; /* 0: none */
    int code; /* of one that has ended: its exit code, 128 and the signal of one that was killed */
};

/* Starts a program by its path, in a process group of its own (Ctrl-C is not its business), with
 * nothing to read; what it writes goes to the file. argv ends in NULL. E_NOT_FOUND, E_IO. [blocks]
 */
sl_err sl_child_start(const char *const *argv, const char *log_path,
                      struct sl_child *ret_child) SL_MUST_CHECK;
bool sl_child_is_running(struct sl_child *child);
/* SIGTERM, and SIGKILL when it is still there after so long. [blocks] */
void sl_child_stop(struct sl_child *child, int64_t wait_ms);

/* SIGKILL at once. [blocks] */
void sl_child_kill(struct sl_child *child);

#define SL_SCRATCH_BYTES 256u
/* A new empty folder in TMPDIR or /tmp that only we may enter. E_IO. */
sl_err sl_scratch_make(const char *prefix, char ret_path[SL_SCRATCH_BYTES]) SL_MUST_CHECK;
/* With everything in it; links are removed, not followed. */
void sl_scratch_remove(const char *path);

#endif
