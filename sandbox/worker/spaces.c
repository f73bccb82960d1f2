/* spaces.c: namespaces of a worker's own (namespaces(7)): a network without interfaces, no System V
 * objects, no host name, no mounts, no cgroups of others.
 *
 * Each is tried by itself, so that one that the kernel or a container refuses costs no other. A
 * process without privileges gets them inside a user namespace, where those exist; no id is mapped
 * there. There is no process namespace: it would take a second process for each worker, and
 * signals, ptrace and process_vm_readv are denied by seccomp, by the user id and by Landlock. */
#include "worker.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mount.h>

static const struct {
    uint32_t bit;
    int flag;
} spaces[] = {
    {SANDBOX_SPACE_NET, CLONE_NEWNET},       {SANDBOX_SPACE_IPC, CLONE_NEWIPC},
    {SANDBOX_SPACE_UTS, CLONE_NEWUTS},       {SANDBOX_SPACE_MOUNT, CLONE_NEWNS},
    {SANDBOX_SPACE_CGROUP, CLONE_NEWCGROUP},
};

void spaces_leave(struct worker *worker, bool as_user)
{
    struct control_hello *hello = &worker->hello;

    if (as_user) {
        if (hello->spaces != 0 || unshare(CLONE_NEWUSER) != 0) {
            return;
        }
        hello->spaces = SANDBOX_SPACE_USER;
        hello->spaces_error = 0;
    }
    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
        if (unshare(spaces[i].flag) == 0) {
            hello->spaces |= spaces[i].bit;
        } else if (hello->spaces_error == 0) {
            hello->spaces_error = errno;
        }
    }
    if ((hello->spaces & SANDBOX_SPACE_MOUNT) != 0) {
        (void)mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
    }
}
