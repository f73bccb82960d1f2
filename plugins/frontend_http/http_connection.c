/* http_connection.c: from input to requests, from answers to output. */
#include "http_connection.h"

#include <stdlib.h>
#include <string.h>

static struct sluice_text text_keep(struct sluice_text text, char memory[128])
{
    uint64_t size = text.size < 127 ? text.size : 127;
    if (size > 0) {
        memcpy(memory, text.data, (size_t)size);
    }
    memory[size] = '\0';
    return (struct sluice_text){memory, size};
}

struct http_connection *http_connection_new(struct http_frontend *frontend,
                                            const struct sluice_connection *connection)
{
    struct http_connection *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return NULL;
    }
    self->frontend = frontend;
    self->token = connection->token;
    self->context = connection->context;
    self->context.size = sizeof(self->context);
    self->context.principal = text_keep(connection->context.principal, self->texts[0]);
    self->context.listener = text_keep(connection->context.listener, self->texts[1]);
    self->context.client_host = text_keep(connection->context.client_host, self->texts[2]);
    self->context.client_id = (struct sluice_text){NULL, 0};
    self->context.trace_id = (struct sluice_bytes){NULL, 0};
    self->holds = 1; /* until it is closed */
    http_request_init(&self->request);
    return self;
}

/* The host may close the connection inside any call to it; memory goes with the last hold. */
static void hold(struct http_connection *connection)
{
    connection->holds++;
}

static void release(struct http_connection *connection)
{
    if (--connection->holds == 0) {
        free(connection);
    }
}

void http_connection_closed(struct http_connection *connection)
{
    connection->gone = true;
    release(connection);
}

/* A request is being answered: http_connection_answer ends it. */
static void busy_begin(struct http_connection *connection)
{
    connection->busy = true;
    hold(connection);
}

static void refusal_answer(struct http_connection *connection)
{
    static const struct {
        int32_t http;
        sluice_status status;
        const char *message;
    } refusals[] = {
        {400, SLUICE_E_MALFORMED, "the request is not valid HTTP/1.1"},
        {413, SLUICE_E_FRAME_TOO_LARGE, "requests with a body are not taken here"},
        {414, SLUICE_E_FRAME_TOO_LARGE, "the target is longer than 1024 bytes"},
        {431, SLUICE_E_FRAME_TOO_LARGE, "the request's head is longer than 8192 bytes"},
        {505, SLUICE_E_UNSUPPORTED_VERSION, "only HTTP/1.0 and HTTP/1.1 are spoken here"},
    };
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        if (refusals[i].http == connection->request.refused) {
            http_connection_error(connection, refusals[i].http, refusals[i].status,
                                  refusals[i].message);
            return;
        }
    }
}

/* Starts the answer; input waits when it is not there at once. */
static void request_answer(struct http_connection *connection)
{
    busy_begin(connection);
    http_route(connection);
    if (connection->busy) {
        connection->paused = true;
        connection->frontend->net->conn_pause(connection->frontend->net, connection->token);
    }
}

uint64_t http_connection_input(struct http_connection *connection, struct sluice_bytes input)
{
    uint64_t done = 0;
    hold(connection);
    while (done < input.size && !connection->busy && !connection->closing && !connection->gone) {
        struct sluice_bytes rest = {input.data + done, input.size - done};
        done += http_request_feed(&connection->request, rest);
        if (connection->request.refused != 0) {
            connection->request.keep_alive = false;
            connection->request.method = HTTP_GET;
            busy_begin(connection);
            refusal_answer(connection);
        } else if (connection->request.complete) {
            request_answer(connection);
            break; /* the host looks how much is queued before the next */
        }
    }
    done = connection->closing ? input.size : done;
    release(connection);
    return done;
}

static void answer_write(struct http_connection *connection, int32_t status, const char *type,
                         struct sluice_text body)
{
    const struct sluice_frontend_host *net = connection->frontend->net;
    char head[HTTP_HEAD_MAX];
    struct http_response response = {.status = status,
                                     .type = type,
                                     .body_size = body.size,
                                     .wall_ms = net->wall_ms(net),
                                     .close = !connection->request.keep_alive};
    bool with_body = connection->request.method != HTTP_HEAD && body.size > 0;
    struct sluice_piece pieces[2] = {
        {.bytes = {(const uint8_t *)head, http_response_head(&response, head)}},
        {.bytes = {(const uint8_t *)body.data, body.size}},
    };
    connection->closing = response.close;
    /* A peer that is gone will be closed by the host. */
    (void)net->conn_write(net, connection->token, pieces, with_body ? 2 : 1);
}

void http_connection_answer(struct http_connection *connection, int32_t status, const char *type,
                            struct sluice_text body)
{
    const struct sluice_frontend_host *net = connection->frontend->net;
    connection->busy = false;
    if (!connection->gone) {
        answer_write(connection, status, type, body);
    }
    if (!connection->gone && connection->closing) { /* a refused parser is not used again */
        net->conn_close(net, connection->token);
    } else if (!connection->gone) {
        http_request_next(&connection->request);
    }
    if (!connection->gone && connection->paused) {
        connection->paused = false;
        net->conn_resume(net, connection->token);
    }
    release(connection);
}

void http_connection_taken(struct http_connection *connection)
{
    connection->busy = false;
    release(connection);
}

void http_connection_error(struct http_connection *connection, int32_t http_status,
                           sluice_status status, const char *message)
{
    char body[HTTP_ERROR_MAX];
    size_t size = http_error_body(http_status, status, message, body);
    http_connection_answer(connection, http_status, "application/json",
                           (struct sluice_text){body, size});
}
