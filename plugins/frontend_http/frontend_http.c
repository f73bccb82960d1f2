/* frontend_http.c: entry table of the HTTP frontend: /metrics, /livez, /readyz, /native.
 *
 * It is built on the SDK alone, as a stranger's frontend would be. Configuration: listen,
 * websocket.origins (separated by spaces). */
#include "http_connection.h"

#include <stdlib.h>

static sluice_status frontend_create(const struct sluice_host *host, void **ret_self)
{
    struct http_frontend *self = calloc(1, sizeof(*self));
    if (self == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    self->host = host;
    self->net = host->get_extension(host, SLUICE_EXT_FRONTEND);
    self->broker = host->get_extension(host, SLUICE_EXT_BROKER);
    self->upgrade = host->get_extension(host, SLUICE_EXT_UPGRADE);
    if (self->net == NULL || self->broker == NULL) {
        free(self);
        host->set_error(host, sluice_text_of("the host offers no network or no broker"));
        return SLUICE_E_UNSUPPORTED;
    }
    if (!http_upgrade_configure(self)) {
        free(self);
        return SLUICE_E_PLUGIN_CONFIG;
    }
    *ret_self = self;
    return SLUICE_OK;
}

static void frontend_destroy(void *self)
{
    free(self);
}

static sluice_status conn_open(void *self, const struct sluice_connection *connection,
                               void **ret_conn)
{
    *ret_conn = http_connection_new(self, connection);
    return *ret_conn == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
}

static sluice_status conn_input(void *self, void *conn, struct sluice_bytes input,
                                uint64_t *ret_consumed, uint64_t *ret_wanted)
{
    (void)self;
    *ret_consumed = http_connection_input(conn, input);
    *ret_wanted = 0;
    return SLUICE_OK;
}

static void conn_closed(void *self, void *conn)
{
    (void)self;
    http_connection_closed(conn);
}

static const struct sluice_frontend entry = {
    .size = sizeof(entry),
    .create = frontend_create,
    .destroy = frontend_destroy,
    .conn_open = conn_open,
    .conn_input = conn_input,
    .conn_closed = conn_closed,
};

static const char *const required[] = {SLUICE_EXT_FRONTEND, SLUICE_EXT_BROKER, NULL};

SLUICE_MANIFEST("{\"id\":\"frontend_http\",\"version\":\"0.1.0\",\"kind\":\"frontend\","
                "\"config\":{\"type\":\"object\",\"properties\":{\"listen\":{\"type\":\"string\"},"
                "\"websocket\":{\"type\":\"object\"}}},"
                "\"defaults\":{\"listen\":\"127.0.0.1:9292\"}}");

SLUICE_PLUGIN(.size = sizeof(struct sluice_plugin_descriptor), .magic = SLUICE_PLUGIN_MAGIC,
              .abi_major = SLUICE_ABI_MAJOR, .abi_minor = SLUICE_ABI_MINOR,
              .kind = SLUICE_KIND_FRONTEND, .id = "frontend_http", .version = "0.1.0",
              .required_extensions = required, .entry = &entry);
