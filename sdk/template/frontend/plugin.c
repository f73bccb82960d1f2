/* A frontend in C: a line protocol. "PING" is answered "PONG", "ECHO text" with the text, "QUIT"
 * closes.
 *
 * The host opens the listeners, reads and writes; the frontend sees bytes. conn_input gets all
 * input that is there and says how much of it is done with; an unfinished line stays with the host.
 * All calls come on one loop thread and must not block. */
#include <sluice/sluice.h>

#include <stdlib.h>
#include <string.h>

#define LINE_BYTES_MAX 1024u

SLUICE_MANIFEST("{\"id\":\"my_frontend\",\"version\":\"0.1.0\",\"kind\":\"frontend\"}");

struct my_frontend {
    const struct sluice_host *host;
    const struct sluice_frontend_host *io;
};

/* What is known of one connection. */
struct peer {
    uint64_t token;
};

static sluice_status create(const struct sluice_host *host, void **ret_self)
{
    const struct sluice_frontend_host *io =
        (const struct sluice_frontend_host *)host->get_extension(host, SLUICE_EXT_FRONTEND);
    if (io == NULL) {
        host->set_error(host, sluice_text_of("this host does not run frontends"));
        return SLUICE_E_UNSUPPORTED;
    }
    struct my_frontend *self = (struct my_frontend *)calloc(1, sizeof(*self));
    if (self == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    self->host = host;
    self->io = io;
    *ret_self = self;
    return SLUICE_OK;
}

static sluice_status conn_open(void *self, const struct sluice_connection *connection,
                               void **ret_conn)
{
    (void)self;
    struct peer *peer = (struct peer *)calloc(1, sizeof(*peer));
    if (peer == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    peer->token = connection->token;
    *ret_conn = peer;
    return SLUICE_OK;
}

static sluice_status answer(const struct my_frontend *self, const struct peer *peer,
                            const void *text, uint64_t size)
{
    struct sluice_piece pieces[2] = {{{(const uint8_t *)text, size}, 0},
                                     {{(const uint8_t *)"\r\n", 2}, 0}};
    return self->io->conn_write(self->io, peer->token, pieces, 2);
}

static sluice_status handle_line(const struct my_frontend *self, const struct peer *peer,
                                 const uint8_t *line, uint64_t size)
{
    if (size == 4 && memcmp(line, "PING", 4) == 0) {
        return answer(self, peer, "PONG", 4);
    }
    if (size >= 5 && memcmp(line, "ECHO ", 5) == 0) {
        return answer(self, peer, line + 5, size - 5);
    }
    if (size == 4 && memcmp(line, "QUIT", 4) == 0) {
        self->io->conn_close(self->io, peer->token);
        return SLUICE_OK;
    }
    return answer(self, peer, "ERR unknown command", 19);
}

/* One line a call: the host calls again while there is more. conn_write and conn_close may end the
 * connection at once, and then conn_closed has freed the peer: nothing touches it behind them. */
static sluice_status conn_input(void *data, void *conn, struct sluice_bytes input,
                                uint64_t *ret_consumed, uint64_t *ret_wanted)
{
    const uint8_t *end = (const uint8_t *)memchr(input.data, '\n', (size_t)input.size);
    uint64_t size = end != NULL ? (uint64_t)(end - input.data) : input.size;
    *ret_consumed = end != NULL ? size + 1 : 0;
    *ret_wanted = 0; /* a line may end with any byte */
    if (size > LINE_BYTES_MAX) {
        return SLUICE_E_FRAME_TOO_LARGE;
    }
    if (end == NULL) {
        return SLUICE_OK;
    }
    size -= (size > 0 && input.data[size - 1] == '\r') ? 1 : 0;
    return handle_line((const struct my_frontend *)data, (const struct peer *)conn, input.data,
                       size);
}

static void conn_closed(void *self, void *conn)
{
    (void)self;
    free(conn);
}

static const struct sluice_frontend frontend = {
    .size = sizeof(frontend),
    .create = create,
    .destroy = free,
    .conn_open = conn_open,
    .conn_input = conn_input,
    .conn_closed = conn_closed,
};

static const char *const required_extensions[] = {SLUICE_EXT_FRONTEND, NULL};

SLUICE_PLUGIN(.size = sizeof(struct sluice_plugin_descriptor), .magic = SLUICE_PLUGIN_MAGIC,
              .abi_major = SLUICE_ABI_MAJOR, .abi_minor = SLUICE_ABI_MINOR,
              .kind = SLUICE_KIND_FRONTEND, .id = "my_frontend", .version = "0.1.0",
              .required_extensions = required_extensions, .entry = &frontend);
