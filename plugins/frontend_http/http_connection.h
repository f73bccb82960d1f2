/* http_connection.h: one client: requests are answered one after the other, in order.
 *
 * While an answer is being made, input is paused; a connection that closes meanwhile lives on until
 * its call to the broker has ended. */
#ifndef FRONTEND_HTTP_HTTP_CONNECTION_H
#define FRONTEND_HTTP_HTTP_CONNECTION_H

#include "http_request.h"
#include "http_response.h"

#include <sluice/upgrade.h>

#define HTTP_ORIGINS_BYTES_MAX 1024u

/* One instance of the frontend. */
struct http_frontend {
    const struct sluice_host *host;
    const struct sluice_frontend_host *net;
    const struct sluice_broker *broker;
    const struct sluice_upgrade_host *upgrade; /* NULL: the host cannot hand over */
    char origins[HTTP_ORIGINS_BYTES_MAX]; /* that WebSocket is open to, by spaces; "": it is off */
};

struct http_connection {
    struct http_frontend *frontend;
    uint64_t token;
    struct sluice_context context; /* its texts point into `texts` */
    char texts[3][128];            /* principal, listener, client host */
    struct http_request request;
    uint32_t holds; /* freed with the last one */
    bool busy;      /* a call to the broker is under way */
    bool paused;    /* and input waits for it */
    bool closing;   /* the last answer was given */
    bool gone;      /* the host closed it: no call to the host any more */
};

/* NULL: no memory. */
struct http_connection *http_connection_new(struct http_frontend *frontend,
                                            const struct sluice_connection *connection);
/* Takes input; returns the bytes done with. */
uint64_t http_connection_input(struct http_connection *connection, struct sluice_bytes input);
void http_connection_closed(struct http_connection *connection); /* [takes connection] */

/* Gives the answer to the running request. `body` is copied. */
void http_connection_answer(struct http_connection *connection, int32_t status, const char *type,
                            struct sluice_text body);
/* The connection is another frontend's: there is nothing to answer. */
void http_connection_taken(struct http_connection *connection);
/* The same as a JSON error. */
void http_connection_error(struct http_connection *connection, int32_t http_status,
                           sluice_status status, const char *message);

/* Starts the answer to the request that is complete (http_routes.c). */
void http_route(struct http_connection *connection);

/* ---- http_upgrade.c ---- */

/* A request at /native: hands the connection to who speaks the native protocol, or says why not. */
void http_upgrade(struct http_connection *connection);
/* Takes websocket.origins of the configuration; false: set_error says what is wrong. */
bool http_upgrade_configure(struct http_frontend *frontend);

#endif
