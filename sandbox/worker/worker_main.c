/* worker_main.c: the program sluice-worker. Started only by the sandbox library, with the
 * descriptors of control_wire.h; see worker.h for the order of things. */
#include "worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void check(const char *fault)
{
    if (fault != NULL) {
        link_fail(SANDBOX_CAUSE_SETUP, SLUICE_E_INTERNAL, "its worker %s", fault);
    }
}

static void *map(int fd, uint64_t size, int protection)
{
    void *memory = mmap(NULL, size, protection, MAP_SHARED, fd, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

/* START brings descriptors; the lowest free numbers are theirs. Those of resources move to the
 * numbers that the filter knows. */
static void take_start(void)
{
    uint8_t space[256];
    int descriptors[CONTROL_DESCRIPTORS_MAX];
    const uint32_t size = link_receive(space, sizeof(space), descriptors, true);
    struct control_head head;

    memcpy(&head, space, sizeof(head));
    if (size < sizeof(head) || head.version != CONTROL_VERSION || head.kind != CONTROL_START ||
        descriptors[0] != WORKER_FD_BOOT || descriptors[1] != WORKER_FD_MODULE) {
        check("and its host are of different builds");
    }
    for (int i = 2; i < (int)CONTROL_DESCRIPTORS_MAX && descriptors[i] >= 0; i++) {
        if (dup2(descriptors[i], WORKER_FD_RESOURCE + i - 2) < 0) {
            check("cannot take its resources");
        }
        close(descriptors[i]);
    }
}

static void map_boot(struct worker *worker)
{
    struct stat stat;

    if (fstat(WORKER_FD_BOOT, &stat) != 0 || (size_t)stat.st_size < sizeof(struct boot_wire)) {
        check("got no boot block");
    }
    worker->boot = map(WORKER_FD_BOOT, (uint64_t)stat.st_size, PROT_READ);
    if (worker->boot == NULL || worker->boot->magic != BOOT_MAGIC ||
        worker->boot->size != (uint64_t)stat.st_size) {
        check("and its host are of different builds");
    }
    worker->input = map(WORKER_FD_INPUT, channel_input_bytes(&worker->boot->geometry), PROT_READ);
    worker->output = map(WORKER_FD_OUTPUT, channel_output_bytes(&worker->boot->geometry),
                         PROT_READ | PROT_WRITE);
    if (worker->input == NULL || worker->output == NULL) {
        check("cannot map the channel");
    }
    close(WORKER_FD_BOOT);
    close(WORKER_FD_INPUT);
    close(WORKER_FD_OUTPUT);
}

static void close_listener(int listener)
{
    if (listener >= 0) {
        close(listener);
    }
}

/* Both stages pass their listener on: the host names what is denied. */
static void confine_and_load(struct worker *worker)
{
    uint8_t space[256];
    int listener;

    check(confine_process(worker));
    check(confine_files(worker));
    link_send(CONTROL_HELLO, &worker->hello, sizeof(worker->hello), -1, true);
    check(threads_start(worker));
    check(confine_calls(worker, BOOT_FILTER_STAGE_1, &listener));
    link_send(CONTROL_CONFINED, NULL, 0, listener, true);
    close_listener(listener);

    loader_load(worker);
    close(WORKER_FD_MODULE);
    loader_activate(worker);

    link_send(CONTROL_LOADED, NULL, 0, -1, true);
    (void)link_receive(space, sizeof(space), NULL, true); /* PROCEED */
    worker->control_seen = 2;                             /* START and it */
    confine_files_all(worker);
    check(confine_calls(worker, BOOT_FILTER_STAGE_2, &listener));
    loader_ready(worker, listener);
    close_listener(listener);
}

int main(void)
{
    static struct worker worker;

    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    syscall(SYS_close_range, WORKER_FD_BOOT, ~0u, 0);
    take_start();
    map_boot(&worker);
    alloc_note_attach(&((struct channel_output_head *)(void *)worker.output)->alloc_failed);
    worker.listener = worker.boot->listener != 0;
    host_init(&worker);
    confine_and_load(&worker);
    task_loop_run(&worker);
}
