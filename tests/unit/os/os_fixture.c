/* os_fixture.c: see os_fixture.h. A wait ends after WAIT_S at the latest, with a failure. */
#include "os_fixture.h"
#include "os/os_uv.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WAIT_S 30

struct os_event {
    pthread_mutex_t mutex;
    pthread_cond_t said;
    uint32_t count;
};

struct os_event *os_event_new(void)
{
    struct os_event *event = calloc(1, sizeof *event);
    cr_assert_not_null(event);
    pthread_mutex_init(&event->mutex, NULL);
    pthread_cond_init(&event->said, NULL);
    return event;
}

void os_event_say(struct os_event *event)
{
    pthread_mutex_lock(&event->mutex);
    event->count++;
    pthread_cond_broadcast(&event->said);
    pthread_mutex_unlock(&event->mutex);
}

void os_event_wait(struct os_event *event, uint32_t count)
{
    struct timespec end;
    int error = 0;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += WAIT_S;
    pthread_mutex_lock(&event->mutex);
    while (event->count < count && !error)
        error = pthread_cond_timedwait(&event->said, &event->mutex, &end);
    uint32_t seen = event->count;
    pthread_mutex_unlock(&event->mutex);
    cr_assert_geq(seen, count, "waited %d s for %u, saw %u", WAIT_S, count, seen);
}

uint32_t os_event_count(struct os_event *event)
{
    pthread_mutex_lock(&event->mutex);
    uint32_t count = event->count;
    pthread_mutex_unlock(&event->mutex);
    return count;
}

void os_event_free(struct os_event *event)
{
    pthread_cond_destroy(&event->said);
    pthread_mutex_destroy(&event->mutex);
    free(event);
}

struct os_fixture *os_fixture_open(void)
{
    struct os_fixture *fixture = calloc(1, sizeof *fixture);
    cr_assert_not_null(fixture);
    snprintf(fixture->directory, sizeof fixture->directory, "/tmp/sluice-test-os-XXXXXX");
    cr_assert_not_null(mkdtemp(fixture->directory));
    cr_assert_eq(sl_os_uv_new(2, &fixture->os), SLUICE_OK);
    cr_assert_eq(sl_loop_new(fixture->os, "test", -1, &fixture->loop), SLUICE_OK);
    cr_assert_eq(sl_loop_start(fixture->loop), SLUICE_OK);
    return fixture;
}

static void remove_entry(void *arg, const char *name, bool is_directory)
{
    const char *path = os_fixture_path(arg, name);
    if (is_directory ? rmdir(path) : unlink(path))
        cr_log_warn("left behind: %s", path);
}

void os_fixture_close(struct os_fixture *fixture)
{
    sl_loop_stop(fixture->loop);
    sl_loop_join(fixture->loop);
    sl_loop_free(fixture->loop);
    cr_expect_eq(sl_dir_list(fixture->os, fixture->directory, remove_entry, fixture), SLUICE_OK);
    sl_os_free(fixture->os);
    rmdir(fixture->directory);
    free(fixture);
}

struct call {
    struct sl_task task;
    void (*fn)(void *arg);
    void *arg;
    struct os_event *done;
};

static void run_call(struct sl_task *task)
{
    struct call *call = SL_CONTAINER_OF(task, struct call, task);
    call->fn(call->arg);
    os_event_say(call->done);
}

void os_fixture_on_loop(struct os_fixture *fixture, void (*fn)(void *arg), void *arg)
{
    struct call call = {.task = {.run = run_call, .priority = SL_PRIORITY_CONTROL},
                        .fn = fn,
                        .arg = arg,
                        .done = os_event_new()};
    sl_loop_post(fixture->loop, &call.task);
    os_event_wait(call.done, 1);
    os_event_free(call.done);
}

const char *os_fixture_path(struct os_fixture *fixture, const char *name)
{
    static char paths[2][512];
    static unsigned turn;
    char *path = paths[turn++ % 2];
    snprintf(path, sizeof paths[0], "%s/%s", fixture->directory, name);
    return path;
}
