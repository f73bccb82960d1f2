/* client_loop.c: a connection on a loop of libuv, whatever it is made of: publishes ten records,
 * gets each pushed, and so many in all, and ends.
 *
 *   client_loop shm:///run/sluice/native.sock ticks [11]
 *
 * after() is all that joins it to a loop: it does what there is to do, and watches the descriptor
 * and the time that the connection wants watched. Over shared memory the descriptor is that of the
 * Unix socket, over which the broker wakes who sleeps. */
#include <sluice/client.h>

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#define RECORDS 10

static struct sluice_connection *connection;
static uv_loop_t *loop;
static uv_timer_t timer;
static uv_poll_t *watch; /* NULL: nothing is watched */
static int watched = -1;
static int seen, wanted = RECORDS;

static void after(void);

static void on_timer(uv_timer_t *handle)
{
    (void)handle;
    after();
}

static void on_ready(uv_poll_t *handle, int status, int events)
{
    (void)handle;
    (void)status;
    (void)events;
    after();
}

static void on_unwatched(uv_handle_t *handle)
{
    free(handle);
}

static void unwatch(void)
{
    if (watch != NULL) {
        uv_close((uv_handle_t *)watch, on_unwatched);
    }
    watch = NULL;
    watched = -1;
}

/* A lost connection that was made again has another descriptor. */
static void watch_for(const struct sluice_connection_wants *wants)
{
    const int events = (wants->reads ? UV_READABLE : 0) | (wants->writes ? UV_WRITABLE : 0);
    if (watched != wants->fd) {
        unwatch();
    }
    if (watch == NULL && wants->fd >= 0) {
        watch = malloc(sizeof(*watch));
        if (watch == NULL || uv_poll_init(loop, watch, wants->fd) != 0) {
            abort();
        }
        watched = wants->fd;
    }
    if (watch != NULL) {
        (void)uv_poll_start(watch, events, on_ready);
    }
}

static void after(void)
{
    struct sluice_connection_wants wants = {.size = sizeof(wants)};
    const sluice_status status = sluice_connection_step(connection, &wants);
    if (status != SLUICE_OK || seen == wanted) { /* nothing is left for the loop */
        unwatch();
        (void)uv_timer_stop(&timer);
        return;
    }
    watch_for(&wants);
    uv_update_time(loop);
    const int64_t left = wants.deadline_ms - (int64_t)uv_now(loop);
    if (wants.deadline_ms == INT64_MAX) {
        (void)uv_timer_stop(&timer);
    } else {
        (void)uv_timer_start(&timer, on_timer, left > 0 ? (uint64_t)left : 0, 0);
    }
}

static void on_message(void *arg, struct sluice_subscription *subscription,
                       const struct sluice_message *message)
{
    (void)arg;
    (void)subscription;
    (void)printf("%lld %.*s\n", (long long)message->offset, (int)message->value.size,
                 (const char *)message->value.data);
    (void)fflush(stdout);
    seen++;
}

static void on_published(void *arg, const struct sluice_result *result)
{
    (void)arg;
    if (result->status != SLUICE_OK) {
        (void)fprintf(stderr, "SLU-%04d %.*s\n", result->status, (int)result->text.size,
                      result->text.data);
    }
}

static sluice_status begin(const char *topic)
{
    struct sluice_client *client = sluice_connection_client(connection);
    struct sluice_subscribe subscribe = sluice_subscribe_to(topic);
    struct sluice_subscription *subscription;
    subscribe.start = SLUICE_START_BEGINNING;
    subscribe.on_message = on_message;
    sluice_status status = sluice_client_subscribe(client, &subscribe, &subscription);
    for (int i = 0; i < RECORDS && status == SLUICE_OK; i++) {
        char value[32];
        const int size = snprintf(value, sizeof(value), "tick %d", i);
        const struct sluice_message message = sluice_message_of(topic, value, (uint64_t)size);
        status = sluice_client_send(client, &message, on_published, NULL);
    }
    return status;
}

int main(int argc, char **argv)
{
    const struct sluice_client_options options = sluice_client_defaults();
    if (argc < 3 || argc > 4) {
        (void)fprintf(stderr, "usage: %s ADDRESS TOPIC [COUNT]\n", argv[0]);
        return 2;
    }
    wanted = argc == 4 ? atoi(argv[3]) : RECORDS;
    sluice_status status = sluice_connection_open(argv[1], &options, NULL, 5000, &connection);
    if (status != SLUICE_OK) {
        (void)fprintf(stderr, "SLU-%04d %s\n", status, sluice_connection_why());
        return 1;
    }
    loop = uv_default_loop();
    (void)uv_timer_init(loop, &timer);
    if (begin(argv[2]) == SLUICE_OK) {
        after();
        (void)uv_run(loop, UV_RUN_DEFAULT);
    }
    sluice_connection_close(connection);
    return seen == wanted ? 0 : 1;
}
