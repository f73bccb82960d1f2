/* http_upgrade.c: WebSocket's opening handshake (RFC 6455, 4.2), and whose pages it is open to.
 *
 * A browser lets any page open a WebSocket to any server, and sends along what it knows of that
 * server: certificates, and the way to addresses that only this machine reaches. What keeps other
 * people's pages out is the server's look at Origin, which a page cannot forge. So nobody's page
 * may until the operator names it (http.websocket.origins). A request without Origin is no
 * browser's: that could connect to native.listen as well.
 *
 * The bytes of the native protocol go over binary messages (websocket.h); logins, limits and TLS
 * are asked for by the host as at the native listener. */
#include "http_connection.h"
#include "websocket.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PROTOCOL   "sluice.native.1"
#define ANSWER_MAX 256

/* ---- whose pages ---- */

/* "*", "null", or scheme://host[:port] and nothing behind it. */
static bool is_origin(const char *text, size_t size)
{
    const char *host = memmem(text, size, "://", 3);
    if ((size == 1 && text[0] == '*') || (size == 4 && memcmp(text, "null", 4) == 0)) {
        return true;
    }
    return host != NULL && host > text && host + 3 < text + size && size <= HTTP_HEADER_BYTES_MAX &&
           memchr(host + 3, '/', (size_t)(text + size - host - 3)) == NULL;
}

/* The next of the list at *at; size 0: its end. */
static size_t next_origin(const char **at)
{
    *at += strspn(*at, " ");
    return strcspn(*at, " ");
}

bool http_upgrade_configure(struct http_frontend *frontend)
{
    const struct sluice_host *host = frontend->host;
    struct sluice_text text =
        host->get_config(host, "websocket.origins", (struct sluice_text){"", 0});
    char reason[HTTP_HEADER_BYTES_MAX + 160];
    if (text.size >= sizeof(frontend->origins)) {
        snprintf(reason, sizeof(reason), "http.websocket.origins has more than %zu bytes",
                 sizeof(frontend->origins) - 1);
        host->set_error(host, sluice_text_of(reason));
        return false;
    }
    memcpy(frontend->origins, text.data, (size_t)text.size);
    frontend->origins[text.size] = '\0';
    const char *at = frontend->origins;
    for (size_t size; (size = next_origin(&at)) > 0; at += size) {
        if (!is_origin(at, size)) {
            snprintf(reason, sizeof(reason),
                     "http.websocket.origins: \"%.*s\" is no origin; say https://host or "
                     "http://host:port without a path, null (pages from files), or * (any)",
                     (int)(size < HTTP_HEADER_BYTES_MAX ? size : HTTP_HEADER_BYTES_MAX), at);
            host->set_error(host, sluice_text_of(reason));
            return false;
        }
    }
    return true;
}

static bool is_open_to(const struct http_connection *connection)
{
    const struct http_header_value *origin = &connection->request.headers[HTTP_ORIGIN];
    const char *at = connection->frontend->origins;
    bool open = origin->count == 0;
    for (size_t size; !open && (size = next_origin(&at)) > 0; at += size) {
        open = (size == 1 && *at == '*') ||
               (origin->size == size && strncasecmp(at, origin->text, size) == 0);
    }
    return open && connection->frontend->origins[0] != '\0';
}

/* ---- the request ---- */

static bool is_off(const struct http_connection *connection)
{
    return connection->frontend->origins[0] == '\0' || connection->frontend->upgrade == NULL;
}
static bool is_closed_to(const struct http_connection *connection)
{
    return !is_open_to(connection);
}
static bool is_no_upgrade(const struct http_connection *connection)
{
    const struct http_request *request = &connection->request;
    return request->method != HTTP_GET || !request->modern ||
           !http_request_has_word(request, HTTP_UPGRADE, "websocket") ||
           !http_request_has_word(request, HTTP_CONNECTION, "upgrade");
}
static bool is_other_version(const struct http_connection *connection)
{
    return strcmp(connection->request.headers[HTTP_WEBSOCKET_VERSION].text, "13") != 0;
}
static bool is_without_key(const struct http_connection *connection)
{
    char accept[WEBSOCKET_ACCEPT_BYTES + 1u];
    return !websocket_accept(connection->request.headers[HTTP_WEBSOCKET_KEY].text, accept);
}
static bool is_other_protocol(const struct http_connection *connection)
{
    return !http_request_has_word(&connection->request, HTTP_WEBSOCKET_PROTOCOL, PROTOCOL);
}

/* What a request at /native is refused for; the first that holds. */
static const struct refusal {
    bool (*holds)(const struct http_connection *connection);
    int32_t http;
    sluice_status status;
    const char *message;
} refusals[] = {
    {is_no_upgrade, 426, SLUICE_E_INVALID_REQUEST,
     "this is a WebSocket: GET with Connection: Upgrade and Upgrade: websocket over HTTP/1.1"},
    {is_other_version, 426, SLUICE_E_UNSUPPORTED_VERSION,
     "Sec-WebSocket-Version must be 13, as in RFC 6455"},
    {is_off, 403, SLUICE_E_PERMISSION,
     "WebSocket is off here; http.websocket.origins turns it on for the pages that it names"},
    {is_closed_to, 403, SLUICE_E_PERMISSION,
     "the page's origin may not connect; add it to http.websocket.origins"},
    {is_without_key, 400, SLUICE_E_INVALID_REQUEST,
     "Sec-WebSocket-Key must be base64 of 16 bytes, once"},
    {is_other_protocol, 400, SLUICE_E_INVALID_REQUEST,
     "Sec-WebSocket-Protocol must have " PROTOCOL},
};

/* ---- the hand-over ---- */

static const struct {
    sluice_status status;
    int32_t http;
    const char *message;
} failures[] = {
    {SLUICE_E_NOT_FOUND, 503,
     "the native protocol is not served here: add frontend_native to plugins.enabled"},
    {SLUICE_E_PERMISSION, 403,
     "the native listener wants TLS or a certificate that this connection lacks: set http.tls "
     "alike"},
    {SLUICE_E_TOO_MANY_CONNECTIONS, 503,
     "there are as many native connections as may be (native.connections_max)"},
};

static void failure_answer(struct http_connection *connection, sluice_status status)
{
    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
        if (failures[i].status == status) {
            http_connection_error(connection, failures[i].http, status, failures[i].message);
            return;
        }
    }
    http_connection_error(connection, http_status_of(status), status, http_status_sentence(status));
}

static sluice_status hand_over(struct http_connection *connection)
{
    const struct sluice_upgrade_host *host = connection->frontend->upgrade;
    const char *key = connection->request.headers[HTTP_WEBSOCKET_KEY].text;
    char accept[WEBSOCKET_ACCEPT_BYTES + 1u];
    char answer[ANSWER_MAX];
    struct websocket *socket = malloc(sizeof(*socket));
    if (socket == NULL || !websocket_accept(key, accept)) {
        free(socket);
        return SLUICE_E_NO_MEMORY;
    }
    websocket_init(socket);
    int size = snprintf(answer, sizeof(answer),
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
                        "Sec-WebSocket-Protocol: " PROTOCOL "\r\n\r\n",
                        accept);
    const struct sluice_bytes bytes = {(const uint8_t *)answer, (uint64_t)size};
    sluice_status status =
        host->hand_over(host, connection->token, PROTOCOL, &websocket_codec, socket, bytes);
    if (status != SLUICE_OK) {
        free(socket);
    }
    return status;
}

void http_upgrade(struct http_connection *connection)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        if (refusals[i].holds(connection)) {
            http_connection_error(connection, refusals[i].http, refusals[i].status,
                                  refusals[i].message);
            return;
        }
    }
    sluice_status status = hand_over(connection);
    if (status == SLUICE_OK) {
        http_connection_taken(connection);
    } else {
        failure_answer(connection, status);
    }
}
