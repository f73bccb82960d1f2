/* admin_socket.h: the local admin socket: control/admin's protocol over a Unix socket on loop 0. */
#ifndef SL_BROKER_ADMIN_SOCKET_H
#define SL_BROKER_ADMIN_SOCKET_H

#include "control/admin.h"
#include "intake/quota_link.h"
#include "intake/security_link.h"

#define ADMIN_CONNECTIONS_MAX  32u
#define ADMIN_OUTPUT_BYTES_MAX (64u << 20)

struct admin_connection;

struct admin_socket {
    struct sluice *sluice;
    struct broker_link link; /* its own view of the broker */
    struct security_link security;
    struct quota_link quota;
    struct sluice_context context; /* of all its calls */
    struct admin_server *server;
    struct sl_listener *listener;
    struct admin_connection *connections;
    uint32_t connection_count;
};

/* E_ADDRESS_IN_USE, E_IO … with the path in the log. [loop 0] */
sl_err admin_socket_open(struct admin_socket *admin, struct sluice *sluice) SL_MUST_CHECK;
void admin_socket_close(struct admin_socket *admin); /* not opened is fine */

#endif
