/* spawn.c: starts a worker: shared memory, sockets, posix_spawn, pidfd, START.
 *
 * posix_spawn and never fork: fork copies the broker's page tables (14 ms per GiB), posix_spawn
 * borrows them until exec. The environment is empty and only the descriptors of control_wire.h are
 * there. The module goes over the socket after the process exists, so that limits which need the
 * process id come first. */
#include "boot_block.h"
#include "resource.h"
#include "worker_handle.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif
#define FIRST_FREE_FD 16 /* sources lie above all target numbers, so that dup2 overwrites none */

/* Descriptors of the child's side: closed in the host once the child has them. */
struct child_fds {
    int control;
    int event;
    int input;
    int output;
    int null;
};

static sluice_status fail(char *text, size_t text_size, const char *what)
{
    const int error = errno;

    snprintf(text, text_size, "cannot start a worker: %s: %s", what, strerror(error));
    return error == ENOMEM ? SLUICE_E_NO_MEMORY : SLUICE_E_IO;
}

/* Moves a descriptor out of the range of the targets. */
static int high(int fd)
{
    int moved = fd;

    if (fd >= 0 && fd < FIRST_FREE_FD) {
        moved = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
        close(fd);
    }
    return moved;
}

/* A shared region that neither side can resize. Returns its descriptor and the host's mapping. */
static int region_new(const char *name, uint64_t size, int protection, int seals,
                      uint8_t **ret_memory)
{
    const int fd = high(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    void *memory;

    if (fd < 0 || ftruncate(fd, (off_t)size) != 0) {
        goto failed;
    }
    memory = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED) {
        goto failed;
    }
    *ret_memory = memory;
    if (fcntl(fd, F_ADD_SEALS, seals) == 0) {
        return fd;
    }
failed:
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

static bool make_memory(struct sandbox_worker *worker, const struct channel_geometry *geometry,
                        struct child_fds *child)
{
    const int fixed = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

    child->input = region_new("sluice-input", channel_input_bytes(geometry), PROT_READ | PROT_WRITE,
                              fixed | F_SEAL_FUTURE_WRITE, &worker->input);
    child->output = region_new("sluice-output", channel_output_bytes(geometry), PROT_READ, fixed,
                               &worker->output);
    if (child->input < 0 || child->output < 0) {
        return false;
    }
    channel_init(&worker->channel, geometry, worker->input, worker->output);
    return true;
}

static bool make_sockets(struct sandbox_worker *worker, struct child_fds *child)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return false;
    }
    worker->control = pair[0];
    child->control = high(pair[1]);
    worker->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    child->event = fcntl(worker->event, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    child->null = high(open("/dev/null", O_RDWR | O_CLOEXEC));
    return child->control >= 0 && child->event >= 0 && child->null >= 0;
}

static int add_actions(posix_spawn_file_actions_t *actions, const struct child_fds *child)
{
    const int from[] = {child->null,  child->null,  child->null,  child->control,
                        child->event, child->input, child->output};
    int error = posix_spawn_file_actions_addchdir_np(actions, "/");

    for (int i = 0; i < (int)(sizeof(from) / sizeof(from[0])) && error == 0; i++) {
        error = posix_spawn_file_actions_adddup2(actions, from[i], i);
    }
    return error;
}

/* All signals unblocked and at their defaults, a session of its own. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    const short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID;
    sigset_t signals;
    int error;

    sigemptyset(&signals);
    error = posix_spawnattr_setsigmask(attributes, &signals);
    sigfillset(&signals);
    if (error == 0) {
        error = posix_spawnattr_setsigdefault(attributes, &signals);
    }
    return error != 0 ? error : posix_spawnattr_setflags(attributes, flags);
}

static bool start_process(struct sandbox_worker *worker, const struct sandbox *sandbox,
                          const struct child_fds *child)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char name[] = "sluice-worker";
    char *arguments[] = {name, worker->instance, NULL};
    char *environment[] = {NULL};
    int error;

    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    error = add_actions(&actions, child);
    if (error == 0) {
        error = set_attributes(&attributes);
    }
    if (error == 0) {
        error = posix_spawn(&worker->pid, sandbox->worker_path, &actions, &attributes, arguments,
                            environment);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    errno = error;
    if (error != 0) {
        worker->pid = 0;
        return false;
    }
    worker->pidfd = (int)syscall(SYS_pidfd_open, worker->pid, 0);
    return worker->pidfd >= 0;
}

bool worker_watch(const struct sandbox_worker *worker, int descriptor, uint32_t watch)
{
    struct epoll_event event = {.events = EPOLLIN, .data = {.u32 = watch}};

    if (watch == WATCH_EVENT) {
        event.events |= EPOLLET;
    }
    return epoll_ctl(worker->epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

static bool watch_all(struct sandbox_worker *worker)
{
    worker->epoll = epoll_create1(EPOLL_CLOEXEC);
    return worker->epoll >= 0 && worker_watch(worker, worker->pidfd, WATCH_PID) &&
           worker_watch(worker, worker->control, WATCH_CONTROL) &&
           worker_watch(worker, worker->event, WATCH_EVENT);
}

static bool send_start(struct sandbox_worker *worker, const struct sandbox *sandbox,
                       const struct sandbox_spawn *spawn, const int *resources)
{
    const int boot = boot_block_build(sandbox, spawn, resources, worker->pid);
    int descriptors[CONTROL_DESCRIPTORS_MAX] = {boot, spawn->module->fd};
    uint32_t count = 2;
    sluice_status status;

    for (uint32_t i = 0; i < spawn->resource_count; i++) {
        if (resources[i] >= 0) {
            descriptors[count++] = resources[i];
        }
    }
    if (boot < 0) {
        return false;
    }
    status = worker_send(worker, CONTROL_START, (struct sluice_bytes){NULL, 0}, descriptors, count);
    close(boot);
    return status == SLUICE_OK;
}

static bool spawn_valid(const struct sandbox_spawn *spawn)
{
    return spawn->instance.size <= SANDBOX_NAME_SIZE_MAX &&
           spawn->config_json.size <= SANDBOX_CONFIG_SIZE_MAX &&
           spawn->broker_config_json.size <= SANDBOX_CONFIG_SIZE_MAX &&
           spawn->script.size <= SANDBOX_SCRIPT_SIZE_MAX &&
           spawn->rehearsal.size <= SANDBOX_REHEARSAL_SIZE_MAX &&
           spawn->limits.rehearsal_threads <= SANDBOX_REHEARSAL_THREADS_MAX &&
           spawn->script_name.size <= SANDBOX_TEXT_SIZE_MAX &&
           spawn->output_count <= SANDBOX_OUTPUTS_MAX &&
           spawn->resource_count <= SANDBOX_RESOURCES_MAX &&
           channel_geometry_valid(&spawn->geometry) &&
           spawn->limits.descriptors_max >= FIRST_FREE_FD;
}

static struct sandbox_worker *worker_new(const struct sandbox_spawn *spawn, int64_t now_ms)
{
    struct sandbox_worker *worker = calloc(1, sizeof(*worker));

    if (worker == NULL) {
        return NULL;
    }
    worker->pidfd = worker->control = worker->event = worker->listener = worker->epoll = -1;
    worker->limits = worker->report.limits = spawn->limits;
    worker->observe = spawn->observe;
    worker->rehearses = spawn->rehearsal.size > 0;
    worker->spawned_ms = worker->log_ms = now_ms;
    worker->log_tokens = LOG_BURST;
    worker->phase = PHASE_LOADING;
    worker->message = malloc(CONTROL_FROM_SIZE_MAX);
    if (worker->message == NULL) {
        free(worker);
        return NULL;
    }
    if (spawn->instance.size > 0) {
        memcpy(worker->instance, spawn->instance.data, spawn->instance.size);
    }
    return worker;
}

static void close_child(const struct child_fds *child)
{
    const int fds[] = {child->control, child->event, child->input, child->output, child->null};

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
}

/* Bounds that the kernel keeps for the whole process, before the module reaches it. Best effort:
 * the report says which there are. */
static void bound(struct sandbox_worker *worker, const struct sandbox *sandbox)
{
    const struct channel_geometry *geometry = &worker->channel.geometry;
    const uint64_t shared = channel_input_bytes(geometry) + channel_output_bytes(geometry);

    cgroup_make(&sandbox->cgroups, worker->pid, &worker->limits, shared, &worker->cgroup);
    worker->report.cgroup_memory = worker->cgroup.memory;
    worker->report.cgroup_cpu = worker->cgroup.cpu;
    worker->report.cgroup_tasks = worker->cgroup.tasks;
    worker->listener_wanted = sandbox->listener;
}

sluice_status sandbox_worker_spawn(const struct sandbox *sandbox, const struct sandbox_spawn *spawn,
                                   int64_t now_ms, struct sandbox_worker **ret_worker, char *text,
                                   size_t text_size)
{
    struct child_fds child = {-1, -1, -1, -1, -1};
    int resources[SANDBOX_RESOURCES_MAX];
    struct sandbox_worker *worker;
    const char *what = NULL;
    sluice_status status = SLUICE_OK;

    if (!spawn_valid(spawn)) {
        snprintf(text, text_size, "cannot start a worker: a bound of its settings is broken");
        return SLUICE_E_INVALID;
    }
    status = resources_open(spawn->resources, spawn->resource_count, resources, text, text_size);
    if (status != SLUICE_OK) {
        return status;
    }
    worker = worker_new(spawn, now_ms);
    if (worker == NULL) {
        resources_close(resources, spawn->resource_count);
        snprintf(text, text_size, "cannot start a worker: out of memory");
        return SLUICE_E_NO_MEMORY;
    }
    if (!make_memory(worker, &spawn->geometry, &child)) {
        what = "shared memory";
    } else if (!make_sockets(worker, &child)) {
        what = "sockets";
    } else if (!start_process(worker, sandbox, &child)) {
        what = "sluice-worker";
    } else if (!watch_all(worker)) {
        what = "epoll";
    } else {
        bound(worker, sandbox);
        what = send_start(worker, sandbox, spawn, resources) ? NULL : "its boot block";
    }
    if (what != NULL) {
        status = fail(text, text_size, what);
    }
    close_child(&child);
    resources_close(resources, spawn->resource_count);
    if (status != SLUICE_OK) {
        sandbox_worker_close(worker);
        return status;
    }
    *ret_worker = worker;
    return SLUICE_OK;
}
