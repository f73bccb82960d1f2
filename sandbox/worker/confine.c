/* confine.c: puts the walls up, from the outside in: rlimits, ids, capabilities, no_new_privs,
 * Landlock, seccomp. Namespaces are left before the ids are dropped and, in a user namespace, after
 * (spaces.c); the cgroup is the host's work, before the module comes.
 *
 * Two traps: a change of user id clears PR_SET_PDEATHSIG, so it is set again after it; RLIMIT_NPROC
 * does not stop root from forking, so the id goes and seccomp forbids clone as well. */
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define UID_NOBODY    65534u
#define ADDRESS_SLACK (512ull << 20) /* libraries, module, stack: RLIMIT_DATA is the real bound */

struct limit {
    __rlimit_resource_t resource;
    rlim_t soft;
    rlim_t hard;
};

static bool set_limits(const struct boot_wire *boot)
{
    const struct sandbox_limits *limits = &boot->limits;
    const rlim_t space = limits->memory_bytes_max + channel_input_bytes(&boot->geometry) +
                         channel_output_bytes(&boot->geometry) + ADDRESS_SLACK;
    /* those of a rehearsal are made by the worker itself, which sets 0 then */
    const rlim_t processes = limits->rehearsal_threads > 0 ? RLIM_INFINITY : 0;
    const rlim_t cpu = limits->cpu_s_max > 0 ? limits->cpu_s_max : RLIM_INFINITY;
    const struct limit table[] = {
        {RLIMIT_CORE, 0, 0},
        {RLIMIT_FSIZE, 0, 0},
        {RLIMIT_NPROC, processes, processes},
        {RLIMIT_MEMLOCK, 0, 0},
        {RLIMIT_MSGQUEUE, 0, 0},
        {RLIMIT_NICE, 0, 0},
        {RLIMIT_RTPRIO, 0, 0},
        {RLIMIT_SIGPENDING, 16, 16},
        {RLIMIT_NOFILE, limits->descriptors_max, limits->descriptors_max},
        {RLIMIT_STACK, limits->stack_bytes_max, limits->stack_bytes_max},
        {RLIMIT_DATA, limits->memory_bytes_max, limits->memory_bytes_max},
        {RLIMIT_AS, space, space},
        {RLIMIT_CPU, cpu, cpu == RLIM_INFINITY ? RLIM_INFINITY : cpu + 1},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct rlimit limit = {table[i].soft, table[i].hard};
        struct rlimit now;

        if (getrlimit(table[i].resource, &now) == 0 && now.rlim_max < limit.rlim_max) {
            limit.rlim_max = now.rlim_max; /* stricter already */
            limit.rlim_cur = limit.rlim_cur < now.rlim_max ? limit.rlim_cur : now.rlim_max;
        }
        if (setrlimit(table[i].resource, &limit) != 0) {
            return false;
        }
    }
    return true;
}

static bool take_id(uid_t id)
{
    return setresgid(id, id, id) == 0 && setresuid(id, id, id) == 0;
}

/* As root: no groups, an id of its own (or nobody, where a user namespace maps few). */
static void drop_ids(struct worker *worker)
{
    if (geteuid() == 0) {
        (void)!setgroups(0, NULL);
        worker->hello.ids_dropped = take_id(worker->boot->uid) || take_id(UID_NOBODY);
    }
    worker->hello.uid = getuid();
}

static void drop_capabilities(struct worker *worker)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0}, {0}};

    worker->hello.capabilities_dropped = syscall(SYS_capset, &head, none) == 0;
}

static void drop_bounding(void)
{
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0;
         capability++) {
        prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    }
}

static void pin(int32_t cpu)
{
    cpu_set_t set;

    if (cpu >= 0 && cpu < CPU_SETSIZE) {
        CPU_ZERO(&set);
        CPU_SET((size_t)cpu, &set);
        (void)sched_setaffinity(0, sizeof(set), &set); /* best effort: a wish, not a wall */
    }
}

const char *confine_process(struct worker *worker)
{
    pin(worker->boot->cpu);
    tzset(); /* reads /etc/localtime while that is possible */
    mallopt(M_ARENA_MAX, 1);
    if (!set_limits(worker->boot)) {
        return "cannot set its resource limits";
    }
    spaces_leave(worker, false);
    drop_bounding();
    drop_ids(worker);
    spaces_leave(worker, true);
    drop_capabilities(worker);
    if (!worker->hello.capabilities_dropped) {
        return "cannot drop its capabilities";
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return "cannot set no_new_privs";
    }
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 ||
        (uint32_t)getppid() != worker->boot->host_pid) {
        return "lost its host";
    }
    return NULL;
}

/* ---- Landlock (Documentation/userspace-api/landlock.rst); degrades by what the kernel knows ----
 */

struct ruleset_attr { /* as of ABI 6; older kernels take a prefix */
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};
struct level {
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
    size_t attr_size;
};
#define LEVEL_MAX 6
static const struct level levels[LEVEL_MAX + 1] = {
    {0, 0, 0, 0},
    {(1ull << 13) - 1, 0, 0, 8},
    {(1ull << 14) - 1, 0, 0, 8},  /* refer */
    {(1ull << 15) - 1, 0, 0, 8},  /* truncate */
    {(1ull << 15) - 1, 3, 0, 16}, /* TCP bind and connect */
    {(1ull << 16) - 1, 3, 0, 16}, /* ioctl on devices */
    {(1ull << 16) - 1, 3, 3, 24}, /* abstract sockets and signals */
};

static const char *const library_paths[] = {"/lib", "/lib64", "/usr/lib", "/usr/lib64",
                                            "/usr/local/lib"};
static const char *const library_files[] = {"/etc/ld.so.cache"};

static const struct level *level_of(int32_t abi)
{
    return &levels[abi < 0 ? 0 : abi > LEVEL_MAX ? LEVEL_MAX : abi];
}

static int ruleset_new(const struct level *level)
{
    struct ruleset_attr attr = {level->fs, level->net, level->scoped};

    return (int)syscall(SYS_landlock_create_ruleset, &attr, level->attr_size, 0);
}

static void allow(int ruleset, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr rule = {.allowed_access = access,
                                              .parent_fd = open(path, O_PATH | O_CLOEXEC)};

    if (rule.parent_fd >= 0) {
        syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
        close(rule.parent_fd);
    }
}

static const char *restrict_self(int ruleset)
{
    const bool done = ruleset >= 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;

    if (ruleset >= 0) {
        close(ruleset);
    }
    return done ? NULL : "cannot restrict itself with Landlock";
}

const char *confine_threads(void)
{
    const struct rlimit none = {0, 0};

    return setrlimit(RLIMIT_NPROC, &none) == 0 ? NULL : "cannot set its resource limits";
}

const char *confine_files(struct worker *worker)
{
    const uint64_t read = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE;
    const long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    int ruleset;

    worker->hello.landlock_abi = abi > 0 ? (int32_t)abi : 0;
    if (abi <= 0) {
        return NULL; /* not on this kernel: the host says so, seccomp remains */
    }
    ruleset = ruleset_new(level_of((int32_t)abi));
    for (size_t i = 0; i < sizeof(library_paths) / sizeof(library_paths[0]) && ruleset >= 0; i++) {
        allow(ruleset, library_paths[i], read | LANDLOCK_ACCESS_FS_READ_DIR);
    }
    for (size_t i = 0; i < sizeof(library_files) / sizeof(library_files[0]) && ruleset >= 0; i++) {
        allow(ruleset, library_files[i], read);
    }
    return restrict_self(ruleset);
}

void confine_files_all(struct worker *worker)
{
    /* A second wall behind seccomp, which forbids open altogether: its failure is no reason to
     * stop. */
    if (worker->hello.landlock_abi > 0) {
        (void)restrict_self(ruleset_new(level_of(worker->hello.landlock_abi)));
    }
}

/* ---- seccomp ---- */

static long install(const struct worker *worker, const struct boot_span *span, unsigned flags)
{
    const struct sock_fprog program = {
        .len = (unsigned short)(span->size / sizeof(struct sock_filter)),
        .filter = (struct sock_filter *)((uintptr_t)worker->boot + span->at),
    };

    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

/* With threads for a rehearsal, stage 1 comes over all of them at once, or over none. */
const char *confine_calls(struct worker *worker, uint32_t stage, int *ret_listener)
{
    const bool all = stage == BOOT_FILTER_STAGE_1 && worker->boot->limits.rehearsal_threads > 0;
    const unsigned sync = all ? SECCOMP_FILTER_FLAG_TSYNC : 0;

    *ret_listener = -1;
    if (worker->listener) {
        const long listener = install(worker, &worker->boot->filters[stage],
                                      SECCOMP_FILTER_FLAG_NEW_LISTENER | sync |
                                          (all ? SECCOMP_FILTER_FLAG_TSYNC_ESRCH : 0));

        if (listener >= 0) {
            *ret_listener = (int)listener;
            return NULL;
        }
        worker->listener = false; /* a container above has one (EBUSY), or an old kernel */
    }
    return install(worker, &worker->boot->kill_filters[stage], sync) == 0
               ? NULL
               : "cannot install its seccomp filter";
}
