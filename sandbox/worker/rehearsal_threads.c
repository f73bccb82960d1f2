/* rehearsal_threads.c: threads on which a rehearsal calls the module, one at a time but for
 * threads_run_both.
 *
 * The worker makes them after it dropped its ids and before the first filter, which comes over all
 * of them at once; they end before the plugin's real life begins. They wait on semaphores, so that
 * each step sees what the one before it wrote. */
#include "worker.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#define STACK_BYTES (1u << 20)

struct helper {
    pthread_t thread;
    sem_t go;
    sem_t done;
    thread_run *run; /* NULL: it ends */
    void *arg;
};
struct threads {
    uint32_t count;
    struct helper helpers[SANDBOX_REHEARSAL_THREADS_MAX];
};

static void wait_for(sem_t *semaphore)
{
    while (sem_wait(semaphore) != 0) {
    }
}

static void *help(void *arg)
{
    struct helper *helper = arg;

    for (;;) {
        wait_for(&helper->go);
        if (helper->run == NULL) {
            return NULL;
        }
        helper->run(helper->arg);
        sem_post(&helper->done);
    }
}

static bool helper_start(struct helper *helper)
{
    pthread_attr_t attributes;
    bool started;

    sem_init(&helper->go, 0, 0);
    sem_init(&helper->done, 0, 0);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    started = pthread_create(&helper->thread, &attributes, help, helper) == 0;
    pthread_attr_destroy(&attributes);
    return started;
}

const char *threads_start(struct worker *worker)
{
    const uint32_t wanted = worker->boot->limits.rehearsal_threads;

    if (wanted == 0) {
        return NULL;
    }
    worker->threads = calloc(1, sizeof(*worker->threads));
    if (worker->threads == NULL) {
        return "has no memory for its threads";
    }
    while (worker->threads->count < wanted) {
        if (!helper_start(&worker->threads->helpers[worker->threads->count])) {
            return "cannot make threads for a rehearsal";
        }
        worker->threads->count++;
    }
    return confine_threads();
}

static void begin(struct helper *helper, thread_run *run, void *arg)
{
    helper->run = run;
    helper->arg = arg;
    sem_post(&helper->go);
}

void threads_run(struct worker *worker, uint32_t number, thread_run *run, void *arg)
{
    struct threads *threads = worker->threads;

    if (number == 0 || threads == NULL || number > threads->count) {
        run(arg);
        return;
    }
    begin(&threads->helpers[number - 1], run, arg);
    wait_for(&threads->helpers[number - 1].done);
}

void threads_run_both(struct worker *worker, thread_run *run, void *first, void *second)
{
    struct threads *threads = worker->threads;

    if (threads == NULL || threads->count < 2) {
        run(first);
        run(second);
        return;
    }
    begin(&threads->helpers[0], run, first);
    begin(&threads->helpers[1], run, second);
    wait_for(&threads->helpers[0].done);
    wait_for(&threads->helpers[1].done);
}

void threads_end(struct worker *worker)
{
    struct threads *threads = worker->threads;

    for (uint32_t i = 0; threads != NULL && i < threads->count; i++) {
        begin(&threads->helpers[i], NULL, NULL);
        pthread_join(threads->helpers[i].thread, NULL);
    }
    free(threads);
    worker->threads = NULL;
}
