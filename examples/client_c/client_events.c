/* client_events.c: the client on a loop of libuv, without blocking: publishes ten records, gets
 * each pushed, and ends.
 *
 *   client_events 127.0.0.1 9192 ticks
 *
 * The client does no input or output. after() is all that joins it to a loop: it is called whenever
 * the client may want something else. A lost connection is made again when the client's deadline is
 * there. */
#include <sluice/client.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define RECORDS 10

static struct sluice_client *client;
static uv_loop_t *loop;
static uv_tcp_t tcp;
static uv_timer_t timer;
static uv_connect_t connecting;
static uv_write_t writing;
static struct sockaddr_in address;
static char buffer[65536];
static enum { NO_SOCKET, CONNECTING, CONNECTED, CLOSING } phase;
static int is_writing, seen;

static void after(void);

static int64_t now_ms(void)
{
    return (int64_t)uv_now(loop);
}

static void on_closed(uv_handle_t *handle)
{
    (void)handle;
    phase = NO_SOCKET;
    is_writing = 0;
    sluice_client_disconnected(client, SLUICE_E_NETWORK, now_ms());
    after();
}

static void hang_up(void)
{
    if (phase != NO_SOCKET && phase != CLOSING) {
        phase = CLOSING;
        uv_close((uv_handle_t *)&tcp, on_closed);
    }
}

static void on_memory(uv_handle_t *handle, size_t size, uv_buf_t *ret_buffer)
{
    (void)handle;
    (void)size;
    *ret_buffer = uv_buf_init(buffer, sizeof(buffer));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *read)
{
    (void)stream;
    if (size < 0 || sluice_client_feed(client, read->base, (uint64_t)size, now_ms()) != SLUICE_OK) {
        hang_up();
    }
    after();
}

static void on_connected(uv_connect_t *request, int status)
{
    (void)request;
    if (phase == CLOSING) {
        return;
    }
    if (status != 0) {
        hang_up();
        return;
    }
    phase = CONNECTED;
    (void)uv_read_start((uv_stream_t *)&tcp, on_memory, on_read);
    sluice_client_connected(client, now_ms());
    after();
}

static void on_written(uv_write_t *request, int status)
{
    free(request->data);
    is_writing = 0;
    if (status != 0) {
        hang_up();
    }
    after();
}

/* The client's queue may move while a write is under way, so that the write has a copy. */
static void write_pending(void)
{
    const struct sluice_bytes pending = sluice_client_pending(client);
    char *copy = pending.size > 0 && !is_writing ? malloc((size_t)pending.size) : NULL;
    if (copy == NULL) {
        return;
    }
    memcpy(copy, pending.data, (size_t)pending.size);
    sluice_client_sent(client, pending.size);
    const uv_buf_t out = uv_buf_init(copy, (unsigned)pending.size);
    writing.data = copy;
    is_writing = 1;
    if (uv_write(&writing, (uv_stream_t *)&tcp, &out, 1, on_written) != 0) {
        free(copy);
        is_writing = 0;
        hang_up();
    }
}

static void on_timer(uv_timer_t *handle)
{
    (void)handle;
    sluice_client_tick(client, now_ms());
    after();
}

static void after(void)
{
    if (sluice_client_wants(client) == SLUICE_WANT_CONNECT && phase == NO_SOCKET) {
        phase = CONNECTING;
        (void)uv_tcp_init(loop, &tcp);
        if (uv_tcp_connect(&connecting, &tcp, (const struct sockaddr *)&address, on_connected) !=
            0) {
            hang_up();
        }
    }
    if (phase == CONNECTED) {
        write_pending();
    }
    if (sluice_client_wants(client) == SLUICE_WANT_CLOSE) {
        hang_up();
    }
    const int64_t deadline = sluice_client_deadline(client);
    if (deadline == INT64_MAX) {
        (void)uv_timer_stop(&timer);
    } else {
        const int64_t left = deadline - now_ms();
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
    if (++seen == RECORDS) {
        sluice_client_stop(client);
    }
}

static void on_event(void *arg, struct sluice_subscription *subscription, uint32_t event,
                     sluice_status status, struct sluice_text text, uint64_t value)
{
    (void)arg;
    (void)subscription;
    (void)value;
    if (event == SLUICE_SUBSCRIPTION_ENDED && status != SLUICE_E_CANCELLED) {
        (void)fprintf(stderr, "SLU-%04d %.*s\n", status, (int)text.size, text.data);
        sluice_client_stop(client);
    }
}

static void on_published(void *arg, const struct sluice_result *result)
{
    (void)arg;
    if (result->status != SLUICE_OK) {
        (void)fprintf(stderr, "SLU-%04d %.*s\n", result->status, (int)result->text.size,
                      result->text.data);
        sluice_client_stop(client);
    }
}

static sluice_status begin(const char *topic)
{
    const struct sluice_client_options options = sluice_client_defaults();
    struct sluice_subscribe subscribe = sluice_subscribe_to(topic);
    struct sluice_subscription *subscription;
    subscribe.start = SLUICE_START_BEGINNING;
    subscribe.on_message = on_message;
    subscribe.on_event = on_event;
    sluice_status status = sluice_client_new(&options, &client);
    if (status == SLUICE_OK) {
        status = sluice_client_subscribe(client, &subscribe, &subscription);
    }
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
    if (argc != 4 || uv_ip4_addr(argv[1], atoi(argv[2]), &address) != 0) {
        (void)fprintf(stderr, "usage: %s HOST PORT TOPIC\n", argv[0]);
        return 2;
    }
    loop = uv_default_loop();
    (void)uv_timer_init(loop, &timer);
    if (begin(argv[3]) == SLUICE_OK) {
        after();
        (void)uv_run(loop, UV_RUN_DEFAULT); /* until nothing is left: the client has stopped */
    }
    sluice_client_free(client);
    return seen == RECORDS ? 0 : 1;
}
