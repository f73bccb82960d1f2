/* attacker.c: a processor that attacks from inside process_batch; its config key "attack" says how.
 */
#include "../../../sandbox/channel_layout.h"

#include <fcntl.h>
#include <signal.h>
#include <sluice/sluice.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct sluice_host *the_host;
static volatile int sink;

typedef void attack_fn(uint8_t *output);

static void answer_by_hand(uint8_t *output, uint32_t answered)
{
    const uint64_t one = 1;

    atomic_store(&((struct channel_output_head *)(void *)output)->answered, answered);
    (void)!write(4, &one, sizeof(one));
    for (;;) {
        usleep(1000);
    }
}

static void lie(uint8_t *output, struct channel_descriptor descriptor,
                struct channel_result_wire wire)
{
    memcpy(output + CHANNEL_HEAD_BYTES, &wire, sizeof(wire));
    memcpy(output + CHANNEL_DESCRIPTORS_AT, &descriptor, sizeof(descriptor));
    answer_by_hand(output, 1);
}

static void segfault(uint8_t *output)
{
    volatile uintptr_t nowhere = 16;

    (void)output;
    *(volatile int *)nowhere = 1;
}

static void forever(uint8_t *output)
{
    (void)output;
    for (;;) {
        sink++;
    }
}

static void forever_asleep(uint8_t *output)
{
    (void)output;
    for (;;) {
        sleep(1);
    }
}

static void call_socket(uint8_t *output)
{
    (void)output;
    sink = socket(AF_INET, SOCK_STREAM, 0);
}

static void call_execve(uint8_t *output)
{
    char *arguments[] = {NULL};

    (void)output;
    sink = execve("/bin/sh", arguments, arguments);
}

static void call_fork(uint8_t *output)
{
    (void)output;
    sink = fork();
}

static void call_clone3(uint8_t *output) /* refused, not killed; then something that is */
{
    (void)output;
    if (syscall(SYS_clone3, NULL, 0) == -1) {
        sink = (int)syscall(SYS_vfork);
    }
}

static void call_open(uint8_t *output)
{
    (void)output;
    sink = open("/etc/passwd", O_RDONLY);
}

static void call_ptrace(uint8_t *output)
{
    (void)output;
    sink = (int)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static void call_kill(uint8_t *output)
{
    (void)output;
    sink = kill(getppid(), SIGKILL);
}

static void call_prctl(uint8_t *output)
{
    (void)output;
    sink = prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static void call_memfd(uint8_t *output)
{
    (void)output;
    sink = memfd_create("x", 0);
}

static void map_executable(uint8_t *output)
{
    (void)output;
    sink = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0) != MAP_FAILED;
}

static void protect_executable(uint8_t *output)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)output;
    sink = mprotect(page, 4096, PROT_READ | PROT_EXEC);
}

static void allocate(uint8_t *output)
{
    (void)output;
    for (;;) {
        char *memory = malloc(1u << 20);

        memset(memory, 1, 1u << 20);
    }
}

static void call_abort(uint8_t *output)
{
    (void)output;
    abort();
}

static void call_exit(uint8_t *output)
{
    (void)output;
    exit(7);
}

static void close_control(uint8_t *output)
{
    close(3);
    forever_asleep(output);
}

static void flood_log(uint8_t *output)
{
    struct control {
        uint16_t version, kind;
        uint32_t size;
        int32_t level;
        uint32_t lost, text_size, reserved;
    } line = {1, 70, sizeof(line), 1, 0, 0, 0};

    (void)output;
    for (;;) {
        struct iovec part = {&line, sizeof(line)};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

        sink = (int)sendmsg(3, &message, 0);
    }
}

static void send_garbage(uint8_t *output)
{
    char text[] = "garbage garbage";
    struct iovec part = {text, sizeof(text)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    sink = (int)sendmsg(3, &message, 0);
    forever_asleep(output);
}

static void scribble(uint8_t *output)
{
    memset(output, 0xff, CHANNEL_HEAD_BYTES + (1u << 20));
    answer_by_hand(output, 0xffffffffu);
}

static void lie_about_count(uint8_t *output)
{
    answer_by_hand(output, 3);
}

static void lie_about_length(uint8_t *output)
{
    lie(output, (struct channel_descriptor){7, 0xfffffff0u, 0},
        (struct channel_result_wire){CHANNEL_RESULT_MAGIC, 0, 0, 0});
}

static void lie_about_items(uint8_t *output)
{
    lie(output, (struct channel_descriptor){7, 64, 0},
        (struct channel_result_wire){CHANNEL_RESULT_MAGIC, 0, 0x7ffffff8, 0});
}

static void lie_about_task(uint8_t *output)
{
    lie(output, (struct channel_descriptor){8, sizeof(struct channel_result_wire), 0},
        (struct channel_result_wire){CHANNEL_RESULT_MAGIC, 0, 0, 0});
}

static void lie_about_index(uint8_t *output)
{
    const struct channel_item item = {SANDBOX_VERDICT_DROP, 1000, sizeof(item), 0};

    memcpy(output + CHANNEL_HEAD_BYTES + sizeof(struct channel_result_wire), &item, sizeof(item));
    lie(output,
        (struct channel_descriptor){7, sizeof(struct channel_result_wire) + sizeof(item), 0},
        (struct channel_result_wire){CHANNEL_RESULT_MAGIC, 0, sizeof(item), 0});
}

static const struct {
    const char *name;
    attack_fn *run;
} attacks[] = {
    {"segfault", segfault},
    {"forever", forever},
    {"forever asleep", forever_asleep},
    {"socket", call_socket},
    {"execve", call_execve},
    {"fork", call_fork},
    {"clone3", call_clone3},
    {"open", call_open},
    {"ptrace", call_ptrace},
    {"kill", call_kill},
    {"prctl", call_prctl},
    {"memfd", call_memfd},
    {"mmap", map_executable},
    {"mprotect", protect_executable},
    {"allocate", allocate},
    {"abort", call_abort},
    {"exit", call_exit},
    {"close control", close_control},
    {"flood log", flood_log},
    {"garbage", send_garbage},
    {"scribble", scribble},
    {"lie: count", lie_about_count},
    {"lie: length", lie_about_length},
    {"lie: items", lie_about_items},
    {"lie: task", lie_about_task},
    {"lie: index", lie_about_index},
};

static sluice_status create(const struct sluice_host *host, void **ret_self)
{
    the_host = host;
    *ret_self = NULL;
    return SLUICE_OK;
}

static sluice_status process_batch(void *self, const struct sluice_batch *batch,
                                   const struct sluice_writer *writer)
{
    const struct sluice_text attack = the_host->get_config(the_host, "attack", sluice_text_of(""));
    uint8_t *memory;

    (void)self;
    (void)batch;
    if (writer->reserve(writer, 8, &memory) != SLUICE_OK) {
        return SLUICE_E_INTERNAL;
    }
    for (size_t i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
        if (strlen(attacks[i].name) == attack.size &&
            memcmp(attacks[i].name, attack.data, attack.size) == 0) {
            /* The first task's slot is the first: from the reservation back to the start. */
            attacks[i].run(memory - CHANNEL_EMIT_VALUE_AT - sizeof(struct channel_result_wire) -
                           CHANNEL_HEAD_BYTES);
        }
    }
    return SLUICE_OK;
}

static void destroy(void *self)
{
    (void)self;
}

static const struct sluice_processor processor = {.size = sizeof(processor),
                                                  .create = create,
                                                  .process_batch = process_batch,
                                                  .destroy = destroy};
SLUICE_PLUGIN(.size = sizeof(struct sluice_plugin_descriptor), .magic = SLUICE_PLUGIN_MAGIC,
              .abi_major = SLUICE_ABI_MAJOR, .abi_minor = SLUICE_ABI_MINOR,
              .kind = SLUICE_KIND_PROCESSOR, .id = "attacker", .version = "1.0.0",
              .entry = &processor);
