/* connection.c: a client with a socket that blocks: connects when the client wants it, moves bytes,
 * waits in poll(), wakes the client at its deadlines. */
#include "shared_stream.h"
#include "socket_stream.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES  (64u << 10)
#define FAREWELL_MS 1000
#define ATTEMPT_MS  10000 /* of one connect */
#define STEP_TURNS  32u   /* then the loop has its turn */
#define SHOWN_MAX   200   /* bytes of an address in a sentence */

struct sluice_connection {
    struct sluice_client *client;
    struct socket_address address;
    const struct sluice_transport *transport;
    struct sluice_transport shared; /* of shm:// */
    uint32_t look_us;
    void *session; /* NULL: there is none */
    int fd;
    sluice_status last; /* why the last attempt failed, or the connection ended */
    uint8_t buffer[READ_BYTES];
};

static int64_t deadline_of(int32_t timeout_ms)
{
    return timeout_ms < 0 ? INT64_MAX : socket_now_ms() + timeout_ms;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* -- one attempt, one connection -- */

static void lose(struct sluice_connection *connection, sluice_status why)
{
    if (connection->session != NULL) {
        connection->transport->end(connection->session);
        connection->session = NULL;
    }
    connection->fd = -1;
    connection->last = why;
    sluice_client_disconnected(connection->client, why, socket_now_ms());
}

static void attempt(struct sluice_connection *connection, int64_t deadline_ms)
{
    int fd;
    void *session;
    const int64_t until = earlier(deadline_ms, socket_now_ms() + ATTEMPT_MS);
    sluice_status status = socket_connect(&connection->address, until, &fd);
    if (status == SLUICE_OK) {
        status = connection->transport->start(connection->transport->data, fd,
                                              connection->address.host, &session);
    }
    if (status != SLUICE_OK) {
        lose(connection, status);
        return;
    }
    connection->fd = fd;
    connection->session = session;
    sluice_client_connected(connection->client, socket_now_ms());
}

/* Sends what can be sent. False: the connection is gone. */
static bool flush(struct sluice_connection *connection)
{
    struct sluice_bytes pending = sluice_client_pending(connection->client);
    while (pending.size > 0) {
        int64_t sent =
            connection->transport->write(connection->session, pending.data, pending.size);
        if (sent < 0) {
            lose(connection, (sluice_status)-sent);
            return false;
        }
        if (sent == 0) {
            return true;
        }
        sluice_client_sent(connection->client, (uint64_t)sent);
        pending = sluice_client_pending(connection->client);
    }
    return true;
}

/* Takes in what is there. *ret_came: whether anything was. False: the connection is gone. */
static bool receive(struct sluice_connection *connection, bool *ret_came)
{
    for (;;) {
        int64_t size =
            connection->transport->read(connection->session, connection->buffer, READ_BYTES);
        if (size == 0) {
            return true;
        }
        if (size < 0) {
            lose(connection, (sluice_status)-size);
            return false;
        }
        *ret_came = true;
        sluice_status status = sluice_client_feed(connection->client, connection->buffer,
                                                  (uint64_t)size, socket_now_ms());
        if (status != SLUICE_OK || sluice_client_wants(connection->client) == SLUICE_WANT_CLOSE) {
            (void)flush(connection);
            if (connection->session != NULL) {
                lose(connection, status != SLUICE_OK ? status : SLUICE_E_NETWORK);
            }
            return false;
        }
        if (size < (int64_t)READ_BYTES) {
            return true;
        }
    }
}

/* Waits until something came, or also there is room to send; false: the deadline. */
static bool wait_for_more(struct sluice_connection *connection, bool writes, int64_t deadline_ms)
{
    const struct sluice_transport *transport = connection->transport;
    if (transport->size > offsetof(struct sluice_transport, wait) && transport->wait != NULL) {
        return transport->wait(connection->session, writes, deadline_ms);
    }
    return socket_wait(connection->fd, writes || transport->wants_write(connection->session),
                       deadline_ms);
}

/* What the client wants, what is to be sent, what has come. False: nothing more can be done now. */
static bool work(struct sluice_connection *connection, int64_t deadline_ms)
{
    struct sluice_client *client = connection->client;
    bool came = false;
    sluice_client_tick(client, socket_now_ms());
    if (sluice_client_wants(client) == SLUICE_WANT_CONNECT) {
        attempt(connection, deadline_ms);
        return true;
    }
    if (sluice_client_wants(client) == SLUICE_WANT_CLOSE) {
        lose(connection, SLUICE_E_NETWORK);
        return true;
    }
    return connection->session != NULL &&
           (!flush(connection) || !receive(connection, &came) || came);
}

/* One round: work, and if there is none, a wait. */
static bool turn(struct sluice_connection *connection, int64_t deadline_ms)
{
    struct sluice_client *client = connection->client;
    bool came = false;
    if (work(connection, deadline_ms)) {
        return true;
    }
    const int64_t until = earlier(deadline_ms, sluice_client_deadline(client));
    if (connection->session == NULL) {
        return socket_wait(-1, false, until);
    }
    const bool writes = sluice_client_pending(client).size > 0;
    return wait_for_more(connection, writes, until) && receive(connection, &came);
}

/* -- the interface -- */

static sluice_status greet(struct sluice_connection *connection, int32_t timeout_ms)
{
    const int64_t deadline = deadline_of(timeout_ms);
    while (sluice_client_state(connection->client) != SLUICE_CLIENT_READY) {
        (void)turn(connection, deadline);
        const uint32_t state = sluice_client_state(connection->client);
        if (state == SLUICE_CLIENT_WAITING || state == SLUICE_CLIENT_IDLE) {
            return connection->last;
        }
        if (socket_now_ms() >= deadline) {
            return SLUICE_E_TIMEOUT;
        }
    }
    return SLUICE_OK;
}

static _Thread_local char why[SHOWN_MAX + 256];

const char *sluice_connection_why(void)
{
    return why;
}

static void explain(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void explain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why, sizeof(why), format, arguments);
    va_end(arguments);
}

static sluice_status parse(const char *address, const struct sluice_transport *transport,
                           struct socket_address *ret_parsed)
{
    if (socket_address_parse(address, ret_parsed) != SLUICE_OK) {
        explain(
            "\"%.*s\" is not an address: it must be tcp://HOST:PORT, tls://HOST:PORT, unix:/PATH "
            "or shm:///PATH, as in tcp://127.0.0.1:9192",
            SHOWN_MAX, address);
        return SLUICE_E_INVALID;
    }
    if (ret_parsed->is_tls != (transport != NULL)) {
        explain("\"%.*s\" %s", SHOWN_MAX, address,
                ret_parsed->is_tls
                    ? "is opened without a transport, which TLS needs (sluice_tls_new)"
                    : "is opened with a transport, which only tls://HOST:PORT takes");
        return SLUICE_E_INVALID;
    }
    return SLUICE_OK;
}

static sluice_status open_parsed(const struct socket_address *address,
                                 const struct sluice_client_options *options,
                                 const struct sluice_transport *transport, int32_t timeout_ms,
                                 struct sluice_connection **ret_connection)
{
    struct sluice_connection *connection = calloc(1, sizeof(*connection));
    if (connection == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    connection->address = *address;
    connection->look_us = options->look_us;
    connection->shared = shared_stream(&connection->look_us);
    connection->transport = transport != NULL    ? transport
                            : address->is_shared ? &connection->shared
                                                 : &socket_stream;
    connection->fd = -1;
    sluice_status status = sluice_client_new(options, &connection->client);
    if (status != SLUICE_OK) {
        explain("the options of the client are refused: %s", sluice_status_text(status));
        free(connection);
        return status;
    }
    status = greet(connection, timeout_ms);
    if (status != SLUICE_OK) {
        sluice_connection_close(connection);
        return status;
    }
    *ret_connection = connection;
    return SLUICE_OK;
}

sluice_status sluice_connection_open(const char *address,
                                     const struct sluice_client_options *options,
                                     const struct sluice_transport *transport, int32_t timeout_ms,
                                     struct sluice_connection **ret_connection)
{
    struct socket_address parsed;
    why[0] = '\0';
    sluice_status status = parse(address, transport, &parsed);
    if (status != SLUICE_OK) {
        return status;
    }
    status = open_parsed(&parsed, options, transport, timeout_ms, ret_connection);
    if (status != SLUICE_OK && why[0] == '\0') {
        explain("%.*s: %s", SHOWN_MAX, address, sluice_status_text(status));
    }
    return status;
}

void sluice_connection_close(struct sluice_connection *connection)
{
    if (connection == NULL) {
        return;
    }
    const int64_t deadline = deadline_of(FAREWELL_MS);
    while (connection->session != NULL && flush(connection) &&
           sluice_client_pending(connection->client).size > 0 &&
           wait_for_more(connection, true, deadline)) {
        bool came = false;
        (void)receive(connection, &came);
    }
    if (connection->session != NULL) {
        connection->transport->end(connection->session);
    }
    sluice_client_free(connection->client);
    free(connection);
}

struct sluice_client *sluice_connection_client(struct sluice_connection *connection)
{
    return connection->client;
}

static bool is_over(const struct sluice_connection *connection)
{
    return sluice_client_state(connection->client) == SLUICE_CLIENT_IDLE &&
           sluice_client_wants(connection->client) == SLUICE_WANT_NOTHING;
}

sluice_status sluice_connection_run(struct sluice_connection *connection, int32_t timeout_ms)
{
    if (is_over(connection)) {
        return connection->last;
    }
    bool came = turn(connection, deadline_of(timeout_ms));
    return is_over(connection) ? connection->last : came ? SLUICE_OK : SLUICE_E_TIMEOUT;
}

/* Whether the transport has calls that are behind `wait`. */
static bool can_sleep(const struct sluice_connection *connection)
{
    const struct sluice_transport *transport = connection->transport;
    return transport->size > offsetof(struct sluice_transport, wake) && transport->sleep != NULL;
}

/* False: what would be waited for is there. */
static bool sleep_for(struct sluice_connection *connection, struct sluice_connection_wants *wants)
{
    const bool writes = sluice_client_pending(connection->client).size > 0;
    wants->deadline_ms = sluice_client_deadline(connection->client);
    if (connection->session == NULL) {
        return true;
    }
    wants->fd = connection->fd;
    wants->reads = true;
    if (can_sleep(connection)) {
        return connection->transport->sleep(connection->session, writes);
    }
    wants->writes = writes || connection->transport->wants_write(connection->session);
    return true;
}

sluice_status sluice_connection_step(struct sluice_connection *connection,
                                     struct sluice_connection_wants *ret_wants)
{
    struct sluice_connection_wants wants = {.size = sizeof(wants), .fd = -1};
    bool sleeps = false;
    if (connection->session != NULL && can_sleep(connection)) {
        connection->transport->wake(connection->session);
    }
    for (uint32_t turns = 0; !sleeps && turns < STEP_TURNS && !is_over(connection); turns++) {
        wants = (struct sluice_connection_wants){.size = sizeof(wants), .fd = -1};
        sleeps =
            !work(connection, INT64_MAX) && !is_over(connection) && sleep_for(connection, &wants);
    }
    if (!sleeps) { /* come again at once, or it is over */
        wants.deadline_ms = is_over(connection) ? INT64_MAX : socket_now_ms();
    }
    wants.size = ret_wants->size;
    memcpy(ret_wants, &wants,
           ret_wants->size < sizeof(wants) ? (size_t)ret_wants->size : sizeof(wants));
    return is_over(connection) ? connection->last : SLUICE_OK;
}

sluice_status sluice_connection_next(struct sluice_connection *connection,
                                     struct sluice_subscription *subscription, int32_t timeout_ms,
                                     struct sluice_message *ret_message)
{
    const int64_t deadline = deadline_of(timeout_ms);
    for (;;) {
        sluice_status status = sluice_subscription_next(subscription, ret_message);
        if (status != SLUICE_E_WOULD_BLOCK) {
            return status;
        }
        if (is_over(connection)) {
            return connection->last;
        }
        if (!turn(connection, deadline) && socket_now_ms() >= deadline) {
            return SLUICE_E_TIMEOUT;
        }
    }
}

/* -- waiting for an answer -- */

/* A copy of a list with its names behind it, so that one free ends both. */
static struct sluice_topic_info *copy_topics(const struct sluice_result *result)
{
    size_t names = 0;
    for (uint32_t i = 0; i < result->count; i++) {
        names += (size_t)result->topics[i].name.size;
    }
    struct sluice_topic_info *topics = calloc(1, result->count * sizeof(*topics) + names + 1);
    char *at = topics != NULL ? (char *)(topics + result->count) : NULL;
    for (uint32_t i = 0; topics != NULL && i < result->count; i++) {
        topics[i] = result->topics[i];
        memcpy(at, topics[i].name.data, (size_t)topics[i].name.size);
        topics[i].name.data = at;
        at += topics[i].name.size;
    }
    return topics;
}

static bool copy_lists(struct sluice_wait *wait, const struct sluice_result *result)
{
    bool done = true;
    if (result->topics != NULL) {
        wait->topics = copy_topics(result);
        done = wait->topics != NULL;
    }
    if (result->offsets != NULL) {
        wait->offsets = calloc((size_t)result->count + 1, sizeof(*wait->offsets));
        done = wait->offsets != NULL;
        if (done) {
            memcpy(wait->offsets, result->offsets, result->count * sizeof(*wait->offsets));
        }
    }
    if (result->message != NULL) {
        done = sluice_message_batch_new(&wait->answer) == SLUICE_OK &&
               sluice_message_batch_add(wait->answer, result->message) == SLUICE_OK;
    }
    return done;
}

void sluice_wait_done(void *arg, const struct sluice_result *result)
{
    struct sluice_wait *wait = arg;
    wait->result = *result;
    size_t size =
        result->text.size < sizeof(wait->text) ? (size_t)result->text.size : sizeof(wait->text) - 1;
    if (size > 0) {
        memcpy(wait->text, result->text.data, size);
    }
    wait->text[size] = '\0';
    if (!copy_lists(wait, result)) {
        wait->result.status = SLUICE_E_NO_MEMORY;
    }
    wait->result.text = (struct sluice_text){wait->text, size};
    wait->result.topics = wait->topics;
    wait->result.offsets = wait->offsets;
    wait->result.message = NULL;
    wait->is_done = true;
}

void sluice_wait_fini(struct sluice_wait *wait)
{
    free(wait->topics);
    free(wait->offsets);
    sluice_message_batch_free(wait->answer);
    memset(wait, 0, sizeof(*wait));
}

sluice_status sluice_connection_wait(struct sluice_connection *connection, struct sluice_wait *wait,
                                     int32_t timeout_ms)
{
    const int64_t deadline = deadline_of(timeout_ms);
    while (!wait->is_done) {
        if (is_over(connection)) {
            return connection->last;
        }
        if (!turn(connection, deadline) && socket_now_ms() >= deadline) {
            return wait->is_done ? wait->result.status : SLUICE_E_TIMEOUT;
        }
    }
    return wait->result.status;
}

/* Waits until an answer is there or the client has given up on it, which request_ms sees to. */
static sluice_status finish(struct sluice_connection *connection, struct sluice_wait *wait,
                            sluice_status status, int64_t *ret_offset)
{
    if (status == SLUICE_OK) {
        status = sluice_connection_wait(connection, wait, -1);
    }
    if (status == SLUICE_OK && ret_offset != NULL) {
        *ret_offset = wait->result.offset;
    }
    sluice_wait_fini(wait);
    return status;
}

sluice_status sluice_connection_publish(struct sluice_connection *connection,
                                        const struct sluice_publish *publish,
                                        const struct sluice_message_batch *batch,
                                        int64_t *ret_offset)
{
    struct sluice_wait wait = {0};
    sluice_status status =
        sluice_client_publish(connection->client, publish, batch, sluice_wait_done, &wait);
    return finish(connection, &wait, status, ret_offset);
}

sluice_status sluice_connection_send(struct sluice_connection *connection,
                                     const struct sluice_message *message, int64_t *ret_offset)
{
    struct sluice_wait wait = {0};
    sluice_status status = sluice_client_send(connection->client, message, sluice_wait_done, &wait);
    return finish(connection, &wait, status, ret_offset);
}
