/* hostile_calls.c: attacks by one system call, out of attack_calls.h, and by other doors to the
 * kernel. */
#include "../attack_calls.h"
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static long room[64];

static const char *path_in(const struct hostile_scene *scene)
{
    return scene->secret;
}

/* A call that returned: the sandbox must have said no, or it is a breach. */
static void tell(const struct hostile_scene *scene, const char *name, long result)
{
    if (result == -1) {
        hostile_say(scene, "%s failed with error %d", name, errno);
    } else {
        hostile_say(scene, "BREACH: %s returned %ld", name, result);
    }
}

bool hostile_call(struct hostile_scene *scene, const char *name)
{
    static const char prefix[] = "call ";
    long PAGE = (long)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const long SECRET = (long)path_in(scene);
    const long HOST = scene->host_pid;
    const long WITNESS = scene->witness_pid;
    const long ROOM = (long)room;

    (void)WITNESS;
    if (strncmp(name, prefix, sizeof(prefix) - 1) != 0) {
        return false;
    }
    name += sizeof(prefix) - 1;
#define TRY(call, a, b, c, d, e, f)                                                     \
    if (strcmp(name, #call) == 0) {                                                     \
        tell(scene, #call,                                                              \
             syscall(SYS_##call, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), \
                     (long)(f)));                                                       \
        return true;                                                                    \
    }
    ATTACK_CALL_TABLE(TRY)
    ATTACK_CALL_X86_TABLE(TRY)
#undef TRY
    return false;
}
