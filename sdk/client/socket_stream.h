/* socket_stream.h: sockets by address, and the transport that is nothing but a socket. */
#ifndef SLUICE_CLIENT_SOCKET_STREAM_H
#define SLUICE_CLIENT_SOCKET_STREAM_H

#include <sluice/client.h>

#define SOCKET_TEXT_MAX 255u

struct socket_address {
    bool is_unix;
    bool is_tls;
    bool is_shared;                 /* is_unix, and from then on shared memory */
    char host[SOCKET_TEXT_MAX + 1]; /* or the path */
    char port[8];
};

/* tcp://host:port, tls://host:port, unix:/path, shm:///path; hosts of IPv6 stand in [].
 * SLUICE_E_INVALID. */
sluice_status socket_address_parse(const char *text, struct socket_address *ret_address);

/* A connected socket that does not block. [blocks], at most until `deadline_ms` (monotonic).
 * SLUICE_E_TIMEOUT, SLUICE_E_NETWORK. */
sluice_status socket_connect(const struct socket_address *address, int64_t deadline_ms,
                             int *ret_fd);

/* Monotonic milliseconds. */
int64_t socket_now_ms(void);

/* Waits until a socket can be read, or also written, or the deadline. False: the deadline. */
bool socket_wait(int fd, bool writes, int64_t deadline_ms);

extern const struct sluice_transport socket_stream;

#endif
