/* hostile_control.c: attacks over the control socket, and while the module is loaded and unloaded.
 */
#include "hostile.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile long sink;

void hostile_send(uint16_t kind, const void *body, uint32_t size, int descriptor)
{
    struct control_head head = {CONTROL_VERSION, kind, (uint32_t)sizeof(head) + size};
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } space;
    struct iovec parts[2] = {{&head, sizeof(head)}, {(void *)(uintptr_t)body, size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = size > 0 ? 2 : 1};

    memset(&space, 0, sizeof(space));
    if (descriptor >= 0) {
        struct cmsghdr *part;

        message.msg_control = &space;
        message.msg_controllen = sizeof(space);
        part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(part), &descriptor, sizeof(int));
    }
    sink = sendmsg(WORKER_FD_CONTROL, &message, 0);
}

/* ---- in a batch ---- */

static void garbage(struct hostile_scene *scene)
{
    char text[] = "garbage garbage";
    struct iovec part = {text, sizeof(text)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    (void)scene;
    sink = sendmsg(WORKER_FD_CONTROL, &message, 0);
    hostile_wait();
}

static void empty(struct hostile_scene *scene)
{
    struct iovec part = {NULL, 0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    (void)scene;
    sink = sendmsg(WORKER_FD_CONTROL, &message, 0);
    hostile_wait();
}

static void huge(struct hostile_scene *scene)
{
    static uint8_t body[CONTROL_FROM_SIZE_MAX * 2];

    (void)scene;
    hostile_send(CONTROL_LOG, body, sizeof(body), -1);
    hostile_wait();
}

static void close_control(struct hostile_scene *scene)
{
    (void)scene;
    close(WORKER_FD_CONTROL);
    hostile_wait();
}

static void flood_log(struct hostile_scene *scene)
{
    const struct control_note note = {1, 0, 0, 0};

    (void)scene;
    for (;;) {
        hostile_send(CONTROL_LOG, &note, sizeof(note), -1);
    }
}

static void log_lies(struct hostile_scene *scene)
{
    const struct control_note note = {1, 0, 0xffffff, 0};

    (void)scene;
    hostile_send(CONTROL_LOG, &note, sizeof(note), -1);
    hostile_wait();
}

static void pass_descriptor(struct hostile_scene *scene)
{
    const struct control_note note = {1, 0, 0, 0};

    (void)scene;
    hostile_send(CONTROL_LOG, &note, sizeof(note), 0);
    hostile_wait();
}

static void ready_again(struct hostile_scene *scene)
{
    const struct control_ready ready = {0};

    (void)scene;
    hostile_send(CONTROL_READY, &ready, sizeof(ready), -1);
    hostile_wait();
}

static void drained_unasked(struct hostile_scene *scene)
{
    const struct control_note note = {0, 0, 0, 0};

    (void)scene;
    hostile_send(CONTROL_DRAINED, &note, sizeof(note), -1);
    hostile_wait();
}

static void refuse_late(struct hostile_scene *scene)
{
    const struct control_note note = {0, SANDBOX_CAUSE_STOPPED, 0, 0};

    (void)scene;
    hostile_send(CONTROL_FAILED, &note, sizeof(note), -1);
    hostile_wait();
}

static void unknown_kind(struct hostile_scene *scene)
{
    (void)scene;
    hostile_send(999, NULL, 0, -1);
    hostile_wait();
}

const struct hostile_attack hostile_control[] = {
    {"control: garbage", garbage},
    {"control: an empty message", empty},
    {"control: a message too large", huge},
    {"control: close it", close_control},
    {"control: flood the log", flood_log},
    {"control: a log line that lies", log_lies},
    {"control: pass a descriptor", pass_descriptor},
    {"control: be ready twice", ready_again},
    {"control: be drained unasked", drained_unasked},
    {"control: fail after it was ready", refuse_late},
    {"control: an unknown kind", unknown_kind},
    {NULL, NULL},
};

/* ---- before and after ---- */

static void do_socket(void)
{
    sink = socket(AF_INET, SOCK_STREAM, 0);
}

static void do_execve(void)
{
    char *none[] = {NULL};

    sink = execve("/bin/sh", none, none);
}

static void do_fork_bomb(void)
{
    for (;;) {
        sink = fork();
    }
}

static void do_read(void)
{
    static const char *const paths[] = {"/etc/passwd", "/etc/shadow", "/proc/self/environ", "/root",
                                        "/proc/1/maps"};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        if (open(paths[i], O_RDONLY) >= 0) {
            exit(99);
        }
    }
    exit(3);
}

static void do_create(void)
{
    sink = open("/tmp/sluice-selftest-breach", O_WRONLY | O_CREAT, 0600);
}

static void do_loop(void)
{
    for (;;) {
        sink++;
    }
}

static void do_kill(void)
{
    sink = kill(getppid(), SIGKILL);
}

static void do_ptrace(void)
{
    sink = ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static void do_seccomp(void) /* a filter of its own is allowed: it can only take away */
{
    sink = syscall(SYS_io_uring_setup, 1, NULL);
}

static void do_crash(void)
{
    abort();
}

static void do_allocate(void)
{
    for (;;) {
        char *memory = malloc(1u << 20);

        memset(memory, 1, 1u << 20);
    }
}

/* Says it is ready without having been through the second stage: what it does then is still what
 * the first allows, and it answers no batch as the plugin that it claims to be. */
static void do_forge_ready(void)
{
    struct {
        struct control_ready ready;
        uint32_t sizes[CONTROL_READY_TEXTS];
    } body = {.ready = {.text_count = CONTROL_READY_TEXTS}};

    hostile_send(CONTROL_LOADED, NULL, 0, -1);
    hostile_send(CONTROL_READY, &body, sizeof(body), -1);
    do_loop();
}

static void do_forge_listener(void)
{
    hostile_send(CONTROL_CONFINED, NULL, 0, 0);
    hostile_wait();
}

static const struct {
    const char *name;
    void (*run)(void);
} loads[] = {
    {"socket", do_socket},
    {"execve", do_execve},
    {"fork bomb", do_fork_bomb},
    {"read files", do_read},
    {"create", do_create},
    {"loop", do_loop},
    {"kill", do_kill},
    {"ptrace", do_ptrace},
    {"io_uring", do_seccomp},
    {"crash", do_crash},
    {"allocate", do_allocate},
    {"forge ready", do_forge_ready},
    {"forge a listener", do_forge_listener},
};

void hostile_load(const char *moment, const char *name, const struct sluice_host *host)
{
    const size_t size = strlen(moment);

    (void)host;
    if (strncmp(name, moment, size) != 0) {
        return;
    }
    for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
        if (strcmp(loads[i].name, name + size) == 0) {
            loads[i].run();
        }
    }
}
