/* hostile_life.c: attacks by dying, by not ending, by using all there is, by odd doors to the
 * kernel. */
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int sink;

/* ---- dying ---- */

static void segfault(struct hostile_scene *scene)
{
    volatile uintptr_t nowhere = 16;

    (void)scene;
    *(volatile int *)nowhere = 1;
}

static void illegal(struct hostile_scene *scene)
{
    (void)scene;
    __builtin_trap();
}

static void divide(struct hostile_scene *scene)
{
    volatile int zero = 0;

    (void)scene;
    sink = 42 / zero; /* 1 / zero would be folded into a comparison */
}

static void give_up(struct hostile_scene *scene)
{
    (void)scene;
    abort();
}

static void leave(struct hostile_scene *scene)
{
    (void)scene;
    exit(7);
}

static int deeper(int depth)
{
    volatile char room[4096];

    room[0] = (char)depth;
    return depth < 0 ? 0 : deeper(depth + 1) + room[0];
}

static void recurse(struct hostile_scene *scene)
{
    (void)scene;
    sink = deeper(0);
}

static void free_twice(struct hostile_scene *scene)
{
    void *volatile memory = malloc(100);
    void *volatile again = memory;

    (void)scene;
    free(memory);
    free(again);
    free(again);
}

/* ---- not ending ---- */

static void loop(struct hostile_scene *scene)
{
    (void)scene;
    for (;;) {
        sink++;
    }
}

static void sleep_on(struct hostile_scene *scene)
{
    (void)scene;
    hostile_wait();
}

static void swallow(int number)
{
    (void)number;
}

static void handle_all(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_NODEFER};

    for (int i = 1; i < NSIG; i++) {
        (void)sigaction(i, &action, NULL);
    }
}

static void ignore_signals(struct hostile_scene *scene)
{
    handle_all(swallow);
    loop(scene);
}

static void block_signals(struct hostile_scene *scene)
{
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    loop(scene);
}

/* The handler returns to the fault, for ever. */
static void outlive_segfault(struct hostile_scene *scene)
{
    handle_all(swallow);
    segfault(scene);
}

static void loop_in_handler(int number)
{
    (void)number;
    for (;;) {
        sink++;
    }
}

static void timer_handler(struct hostile_scene *scene)
{
    const struct itimerval soon = {{0, 1000}, {0, 1000}};

    (void)scene;
    (void)signal(SIGALRM, loop_in_handler);
    setitimer(ITIMER_REAL, &soon, NULL);
    hostile_wait();
}

/* Answers in time and leaves a handler behind that never ends: the next batch finds it. */
static void linger(struct hostile_scene *scene)
{
    const struct itimerval soon = {{0, 0}, {0, 20000}};
    static bool again;

    (void)scene;
    if (again) {
        hostile_wait();
    }
    again = true;
    (void)signal(SIGALRM, loop_in_handler);
    setitimer(ITIMER_REAL, &soon, NULL);
}

/* Answers one after the other a moment before each deadline. */
static void last_moment(struct hostile_scene *scene)
{
    struct timespec now;

    do {
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000 <
             scene->batch->context->deadline_ms - 50);
    hostile_say(scene, "answered at the last moment");
}

/* ---- using all there is ---- */

static void allocate(struct hostile_scene *scene)
{
    (void)scene;
    for (;;) {
        char *memory = malloc(1u << 20);

        memset(memory, 1, 1u << 20);
    }
}

static void map_all(struct hostile_scene *scene)
{
    uint64_t size = 0;

    for (uint64_t step = 1ull << 40; step >= 4096; step /= 2) {
        while (size < 1ull << 40 && mmap(NULL, step, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) {
            size += step;
        }
    }
    if (size > (1ull << 30)) {
        hostile_say(scene, "BREACH: mapped %llu MiB", (unsigned long long)(size >> 20));
    } else {
        hostile_say(scene, "mapped %llu MiB, then no more", (unsigned long long)(size >> 20));
    }
}

static void shared_memory(struct hostile_scene *scene)
{
    char *memory =
        mmap(NULL, 1ull << 33, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) {
        hostile_say(scene, "no shared memory of 8 GiB");
        return;
    }
    for (uint64_t at = 0; at < 1ull << 33; at += 4096) {
        memory[at] = 1;
    }
    hostile_say(scene, "BREACH: used 8 GiB");
}

static void *thread(void *argument)
{
    return argument;
}

static void make_threads(struct hostile_scene *scene)
{
    pthread_t id;

    for (int i = 0; i < 100000; i++) {
        if (pthread_create(&id, NULL, thread, NULL) != 0) {
            hostile_say(scene, "no thread");
            return;
        }
    }
    hostile_say(scene, "BREACH: made threads");
}

static void make_timers(struct hostile_scene *scene)
{
    timer_t id;
    int count = 0;

    for (; count < 1000000; count++) {
        struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};

        if (timer_create(CLOCK_MONOTONIC, &event, &id) != 0) {
            hostile_say(scene, "no timer after %d", count);
            return;
        }
    }
    hostile_say(scene, "BREACH: made %d timers", count);
}

static void emit_without_end(struct hostile_scene *scene)
{
    static uint8_t value[65536];
    const struct sluice_emit record = {.size = sizeof(record),
                                       .partition = SLUICE_PARTITION_AUTO,
                                       .timestamp = -1,
                                       .value = {value, sizeof(value)}};
    uint64_t count = 0;

    while (scene->writer->emit(scene->writer, 0, &record) == SLUICE_OK && count < 1000000) {
        count++;
    }
    if (count == 1000000) {
        (void)scene->writer->drop(scene->writer, 0);
        hostile_say(scene, "BREACH: emitted without end");
    }
}

static void emit_elsewhere(struct hostile_scene *scene)
{
    static const char *const topics[] = {"secrets", "__sluice_dlq.other", "__consumer_offsets",
                                         "../../etc", "a\nb"};

    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
        const struct sluice_emit record = {.size = sizeof(record),
                                           .partition = SLUICE_PARTITION_AUTO,
                                           .timestamp = -1,
                                           .topic = sluice_text_of(topics[i])};

        if (scene->writer->emit(scene->writer, 0, &record) != SLUICE_E_PERMISSION) {
            (void)scene->writer->drop(scene->writer, 0);
            hostile_say(scene, "BREACH: may emit to %s", topics[i]);
            return;
        }
    }
    (void)scene->writer->reject(scene->writer, 0, sluice_text_of("no topic but its own"));
}

/* ---- odd doors to the kernel ---- */

/* Refused with ENOSYS, so that the C library falls back; then the way round is closed too. */
static void clone_3(struct hostile_scene *scene)
{
    static uint64_t arguments[11];

    if (syscall(SYS_clone3, arguments, sizeof(arguments)) == -1 && errno == ENOSYS) {
        (void)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    }
    hostile_say(scene, "BREACH: clone3 and clone returned");
}

static void thread_by_clone(struct hostile_scene *scene)
{
    static char stack[8192] __attribute__((aligned(16)));

    (void)syscall(SYS_clone, 0x50f00 /* VM FS FILES SIGHAND THREAD SYSVSEM */,
                  stack + sizeof(stack) - 128, 0, 0, 0);
    hostile_say(scene, "BREACH: clone returned");
}

#if defined(__x86_64__)
static void x32_call(struct hostile_scene *scene)
{
    (void)syscall(0x40000000 | 41 /* socket */, 2, 1, 0);
    hostile_say(scene, "BREACH: an x32 call returned");
}

static void i386_call(struct hostile_scene *scene)
{
    long result;

    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20 /* getpid */) : "memory");
    hostile_say(scene, "BREACH: an i386 call returned %ld", result);
}
#endif

static void unknown_call(struct hostile_scene *scene)
{
    (void)syscall(999);
    hostile_say(scene, "BREACH: system call 999 returned");
}

/* Code in memory of its own. */
static void run_data(struct hostile_scene *scene)
{
    static const uint8_t code[] = {0xc3, 0xc3, 0xc3, 0xc3}; /* ret */
    uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void (*run)(void);

    memcpy(page, code, sizeof(code));
    memcpy(&run, &page, sizeof(run));
    run();
    hostile_say(scene, "BREACH: data ran");
}

/* The module's own file is still open at this number in a careless host. */
static void use_module_descriptor(struct hostile_scene *scene)
{
    char byte;

    for (int i = 5; i < 1024; i++) {
        if (read(i, &byte, 1) >= 0 || errno != EBADF) {
            hostile_say(scene, "BREACH: descriptor %d is open", i);
            return;
        }
    }
    hostile_say(scene, "no descriptor but its own");
}

static void environment(struct hostile_scene *scene)
{
    hostile_say(scene, environ != NULL && environ[0] != NULL ? "BREACH: it has an environment"
                                                             : "no environment");
}

static void probe(struct hostile_scene *scene)
{
    struct {
        char bytes[512];
    } out;

    if (access(scene->secret, F_OK) == 0 || access("/", F_OK) == 0 ||
        readlink("/proc/self/exe", out.bytes, sizeof(out)) >= 0 ||
        getcwd(out.bytes, sizeof(out)) != NULL) {
        hostile_say(scene, "BREACH: it sees files");
    } else {
        hostile_say(scene, "no file is there");
    }
}

const struct hostile_attack hostile_life[] = {
    {"crash by a bad pointer", segfault},
    {"crash by an illegal instruction", illegal},
    {"crash by a division", divide},
    {"crash by abort", give_up},
    {"crash by endless recursion", recurse},
    {"crash by freeing twice", free_twice},
    {"exit in a batch", leave},
    {"destructor socket", leave},
    {"destructor loop", leave},
    {"loop for ever", loop},
    {"sleep for ever", sleep_on},
    {"loop with every signal handled", ignore_signals},
    {"loop with every signal blocked", block_signals},
    {"signal handler that outlives a bad pointer", outlive_segfault},
    {"signal handler that never ends", timer_handler},
    {"answer, then loop in a handler", linger},
    {"answer at the last moment", last_moment},
    {"allocate without end", allocate},
    {"map without end", map_all},
    {"shared memory without end", shared_memory},
    {"threads without end", make_threads},
    {"timers without end", make_timers},
    {"emit without end", emit_without_end},
    {"emit to other topics", emit_elsewhere},
    {"clone3, then clone", clone_3},
    {"clone a thread", thread_by_clone},
#if defined(__x86_64__)
    {"call by the x32 numbers", x32_call},
    {"call by the i386 gate", i386_call},
#endif
    {"call an unknown number", unknown_call},
    {"run data as code", run_data},
    {"look for open descriptors", use_module_descriptor},
    {"read the environment", environment},
    {"look for files", probe},
    {NULL, NULL},
};
