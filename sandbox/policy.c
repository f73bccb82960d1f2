/* policy.c: which system calls a worker may make, as tables, and their compilation with libseccomp.
 *
 * Stage 1 is in force while the module's constructors, create, init and activate run: the dynamic
 * linker must open, read and map libraries (Landlock says which). Stage 2 takes away what only
 * loading needs: no open, no executable mapping, no prctl, no further filter. What is in no table
 * has no permission and ends the worker; benign probes of libraries get an error instead. Rules
 * look at numbers only, never behind pointers. The list follows an strace of glibc 2.36's features
 * and OpenSSH's sandbox.
 *
 * Where user notification cannot be had, the same tables compile with KILL_PROCESS as the default.
 */
#include "policy.h"

#include "control_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#define IN_STAGE_1 1u
#define IN_STAGE_2 2u
#define IN_BOTH    3u
#define ALLOW      0

struct rule {
    const char *name;
    uint32_t stages;
    int error;          /* ALLOW, or the errno that the call returns instead */
    uint32_t arg_count; /* of compared arguments; all must match */
    struct scmp_arg_cmp args[2];
};

/* clang-format off */
#define PLAIN(call, where)         {.name = call, .stages = where, .error = ALLOW}
#define DENY(call, where, number)  {.name = call, .stages = where, .error = number}
#define IF(call, where, a)         {.name = call, .stages = where, .error = ALLOW, .arg_count = 1, .args = {a}}
#define IF2(call, where, a, b)     {.name = call, .stages = where, .error = ALLOW, .arg_count = 2, .args = {a, b}}
#define MASKED(at, mask, value)    {.arg = at, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value}
#define EQUAL(at, value)           {.arg = at, .op = SCMP_CMP_EQ, .datum_a = value}
#define AT_MOST(at, value)         {.arg = at, .op = SCMP_CMP_LE, .datum_a = value}
/* clang-format on */
#define OPEN_CHANGES (O_ACCMODE | O_CREAT | O_TRUNC | O_TMPFILE)

static const struct rule rules[] = {
    /* memory */
    PLAIN("brk", IN_BOTH),
    PLAIN("munmap", IN_BOTH),
    PLAIN("mremap", IN_BOTH),
    PLAIN("mmap", IN_STAGE_1),
    /* Private only: shared anonymous memory is in no limit but a cgroup's. */
    IF2("mmap", IN_STAGE_2, MASKED(2, PROT_EXEC, 0), MASKED(3, MAP_TYPE, MAP_PRIVATE)),
    PLAIN("mprotect", IN_STAGE_1),
    IF("mprotect", IN_STAGE_2, MASKED(2, PROT_EXEC, 0)),
    PLAIN("madvise", IN_BOTH),
    PLAIN("membarrier", IN_BOTH),
    /* descriptors it was given */
    PLAIN("read", IN_BOTH),
    PLAIN("pread64", IN_BOTH),
    PLAIN("lseek", IN_BOTH),
    PLAIN("close", IN_BOTH),
    PLAIN("fstat", IN_BOTH),
    IF("newfstatat", IN_BOTH, MASKED(3, AT_EMPTY_PATH, AT_EMPTY_PATH)),
    IF("write", IN_BOTH, AT_MOST(0, 2)),
    IF("write", IN_BOTH, EQUAL(0, WORKER_FD_EVENT)),
    IF("writev", IN_BOTH, AT_MOST(0, 2)),
    IF("sendmsg", IN_BOTH, EQUAL(0, WORKER_FD_CONTROL)),
    IF("recvmsg", IN_BOTH, EQUAL(0, WORKER_FD_CONTROL)),
    /* resources that the host opened; sendto without an address, or it would choose its peer */
    IF("write", IN_BOTH, MASKED(0, WORKER_FD_RESOURCE_MASK, WORKER_FD_RESOURCE)),
    IF2("sendto", IN_BOTH, MASKED(0, WORKER_FD_RESOURCE_MASK, WORKER_FD_RESOURCE), EQUAL(4, 0)),
    IF("recvfrom", IN_BOTH, MASKED(0, WORKER_FD_RESOURCE_MASK, WORKER_FD_RESOURCE)),
    PLAIN("poll", IN_BOTH),
    PLAIN("ppoll", IN_BOTH),
    IF("ioctl", IN_BOTH, EQUAL(1, 0x5401 /* TCGETS: stdio asks whether it writes to a terminal */)),
    /* time */
    PLAIN("clock_gettime", IN_BOTH),
    PLAIN("clock_getres", IN_BOTH),
    PLAIN("gettimeofday", IN_BOTH),
    PLAIN("time", IN_BOTH),
    PLAIN("times", IN_BOTH),
    PLAIN("clock_nanosleep", IN_BOTH),
    PLAIN("nanosleep", IN_BOTH),
    PLAIN("setitimer", IN_BOTH),
    PLAIN("getitimer", IN_BOTH),
    PLAIN("alarm", IN_BOTH),
    PLAIN("timer_create", IN_BOTH),
    PLAIN("timer_settime", IN_BOTH),
    PLAIN("timer_gettime", IN_BOTH),
    PLAIN("timer_getoverrun", IN_BOTH),
    PLAIN("timer_delete", IN_BOTH),
    /* the process itself */
    PLAIN("futex", IN_BOTH),
    PLAIN("getrandom", IN_BOTH),
    PLAIN("getpid", IN_BOTH),
    PLAIN("gettid", IN_BOTH),
    PLAIN("getppid", IN_BOTH),
    PLAIN("getuid", IN_BOTH),
    PLAIN("geteuid", IN_BOTH),
    PLAIN("getgid", IN_BOTH),
    PLAIN("getegid", IN_BOTH),
    PLAIN("getcpu", IN_BOTH),
    PLAIN("sched_yield", IN_BOTH),
    PLAIN("sched_getaffinity", IN_BOTH),
    PLAIN("getrusage", IN_BOTH),
    PLAIN("sysinfo", IN_BOTH),
    PLAIN("uname", IN_BOTH),
    PLAIN("set_robust_list", IN_BOTH),
    PLAIN("rseq", IN_BOTH),
    IF("prlimit64", IN_BOTH, EQUAL(2, 0) /* reads only */),
    PLAIN("getrlimit", IN_BOTH),
    PLAIN("rt_sigaction", IN_BOTH),
    PLAIN("rt_sigprocmask", IN_BOTH),
    PLAIN("rt_sigreturn", IN_BOTH),
    PLAIN("sigaltstack", IN_BOTH),
    PLAIN("restart_syscall", IN_BOTH),
    PLAIN("exit", IN_BOTH),
    PLAIN("exit_group", IN_BOTH),
    IF("prctl", IN_STAGE_1, EQUAL(0, PR_SET_VMA)),
    /* loading only */
    IF("openat", IN_STAGE_1, MASKED(2, OPEN_CHANGES, O_RDONLY)),
    PLAIN("seccomp", IN_STAGE_1),
    PLAIN("landlock_create_ruleset", IN_STAGE_1),
    PLAIN("landlock_restrict_self", IN_STAGE_1),
    /* probes that are answered "no" */
    DENY("clone3", IN_BOTH, ENOSYS),
    DENY("access", IN_BOTH, EACCES),
    DENY("faccessat", IN_BOTH, EACCES),
    DENY("faccessat2", IN_BOTH, EACCES),
    DENY("stat", IN_BOTH, EACCES),
    DENY("lstat", IN_BOTH, EACCES),
    DENY("statx", IN_BOTH, ENOSYS),
    DENY("readlink", IN_BOTH, EACCES),
    DENY("readlinkat", IN_BOTH, EACCES),
    DENY("getcwd", IN_BOTH, EACCES),
};

static sluice_status fail(char *text, size_t text_size, const char *what, int error)
{
    snprintf(text, text_size, "%s: %s", what, strerror(error));
    return error == ENOMEM ? SLUICE_E_NO_MEMORY : SLUICE_E_UNSUPPORTED;
}

static int add_rules(scmp_filter_ctx filter, uint32_t stages)
{
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        const struct rule *rule = &rules[i];
        const int number = seccomp_syscall_resolve_name(rule->name);
        const uint32_t action =
            rule->error == ALLOW ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO((uint16_t)rule->error);
        int error;

        if ((rule->stages & stages) == 0 || number < 0) { /* < 0: this machine has no such call */
            continue;
        }
        error = seccomp_rule_add_array(filter, action, number, rule->arg_count, rule->args);
        if (error != 0) {
            return error;
        }
    }
    return 0;
}

/* libseccomp writes the program to a descriptor; a memfd takes it. */
static sluice_status export_code(scmp_filter_ctx filter, struct policy_filter *ret_filter)
{
    const int fd = memfd_create("sluice-filter", MFD_CLOEXEC);
    struct policy_filter out = {NULL, 0};
    struct stat stat;

    if (fd < 0) {
        return SLUICE_E_NO_MEMORY;
    }
    if (seccomp_export_bpf(filter, fd) == 0 && fstat(fd, &stat) == 0 && stat.st_size > 0 &&
        stat.st_size <= 4096 * 8) {
        out.size = (uint32_t)stat.st_size;
        out.code = malloc(out.size);
    }
    if (out.code == NULL || pread(fd, out.code, out.size, 0) != (ssize_t)out.size) {
        close(fd);
        policy_filter_fini(&out);
        return SLUICE_E_NO_MEMORY;
    }
    close(fd);
    *ret_filter = out;
    return SLUICE_OK;
}

sluice_status policy_compile(uint32_t stage, bool notify, struct policy_filter *ret_filter,
                             char *text, size_t text_size)
{
    const uint32_t stages = stage == 1 ? IN_STAGE_1 : IN_STAGE_2;
    scmp_filter_ctx filter = seccomp_init(notify ? SCMP_ACT_NOTIFY : SCMP_ACT_KILL_PROCESS);
    sluice_status status;
    int error;

    if (filter == NULL) {
        return fail(text, text_size, "cannot make a seccomp filter", EINVAL);
    }
    error = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (error == 0) {
        error = add_rules(filter, stages);
    }
    if (error != 0) {
        seccomp_release(filter);
        return fail(text, text_size, "cannot compile a seccomp filter", -error);
    }
    status = export_code(filter, ret_filter);
    seccomp_release(filter);
    if (status != SLUICE_OK) {
        snprintf(text, text_size, "cannot export a seccomp filter");
    }
    return status;
}

void policy_filter_fini(struct policy_filter *filter)
{
    free(filter->code);
    filter->code = NULL;
    filter->size = 0;
}

void policy_call_name(uint32_t arch, int number, char *text, size_t text_size)
{
    char *name = seccomp_syscall_resolve_num_arch(arch, number);

    if (name == NULL) {
        snprintf(text, text_size, "system call %d", number);
        return;
    }
    snprintf(text, text_size, "%s", name);
    free(name);
}
