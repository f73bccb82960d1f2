/* os_fixture.h: an instance over the system, a loop on a thread of its own, a directory to write
 * in. */
#ifndef OS_FIXTURE_H
#define OS_FIXTURE_H

#include "os/os.h"

struct os_fixture {
    struct sl_os *os;
    struct sl_loop *loop; /* running; what a test does with it goes through os_fixture_on_loop */
    char directory[64];   /* fresh, removed by close with the files directly in it */
};

struct os_fixture *os_fixture_open(void);
void os_fixture_close(struct os_fixture *fixture);
/* Runs fn(arg) on the loop and waits for its end. */
void os_fixture_on_loop(struct os_fixture *fixture, void (*fn)(void *arg), void *arg);
/* fixture->directory/name, in static memory for the next two calls. */
const char *os_fixture_path(struct os_fixture *fixture, const char *name);

/* Something that one thread waits for and another says. */
struct os_event;
struct os_event *os_event_new(void);
void os_event_say(struct os_event *event);
void os_event_wait(struct os_event *event, uint32_t count); /* until it was said so often in all */
uint32_t os_event_count(struct os_event *event);
void os_event_free(struct os_event *event);

#endif
