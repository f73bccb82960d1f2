/* http_request.h: bytes to one request at a time (RFC 9112), strict and bounded; sans-IO over
 * libhttp-parser.
 *
 * A head of more than HTTP_HEAD_BYTES_MAX, a target of more than HTTP_TARGET_BYTES_MAX, a body of
 * any kind, a missing or second Host, and anything malformed is refused with a status; the
 * connection then closes. */
#ifndef FRONTEND_HTTP_HTTP_REQUEST_H
#define FRONTEND_HTTP_HTTP_REQUEST_H

#include <http_parser.h>
#include <sluice/sluice.h>

#define HTTP_HEAD_BYTES_MAX   8192
#define HTTP_TARGET_BYTES_MAX 1024
#define HTTP_HEADER_BYTES_MAX 255 /* of the value of one that is kept */

/* Headers whose values are kept; their names: http_request.c. */
enum http_header {
    HTTP_CONNECTION,
    HTTP_HOST,
    HTTP_ORIGIN,
    HTTP_UPGRADE,
    HTTP_WEBSOCKET_KEY,
    HTTP_WEBSOCKET_PROTOCOL,
    HTTP_WEBSOCKET_VERSION,
    HTTP_HEADERS
};

struct http_header_value {
    uint32_t count; /* how often the header came; its values are joined by ", " */
    uint32_t size;  /* of the value; beyond HTTP_HEADER_BYTES_MAX: it is cut */
    char text[HTTP_HEADER_BYTES_MAX + 1u]; /* ends with a NUL */
};

struct http_request {
    http_parser parser;
    uint32_t head_size; /* bytes of the running request so far */
    uint32_t target_size;
    char target[HTTP_TARGET_BYTES_MAX + 1];
    char field[24]; /* beginning of the running header's name */
    uint32_t field_size;
    struct http_header_value *value; /* of the running header, NULL: it is not kept */
    bool in_value;                   /* the header's value has begun */
    bool modern;                     /* HTTP/1.1 */
    struct http_header_value headers[HTTP_HEADERS];
    bool complete;
    bool keep_alive; /* as the client wishes */
    uint8_t method;  /* HTTP_GET … */
    int32_t refused; /* HTTP status, 0: not */
};

void http_request_init(struct http_request *request);
/* Takes bytes up to the end of one request and returns how many. Then `complete`, `refused` or
 * neither (more is needed) is set. After `complete`, http_request_next begins the next one. */
size_t http_request_feed(struct http_request *request, struct sluice_bytes input);
void http_request_next(struct http_request *request);
/* Whether a comma-separated header has the word, in whatever case. */
bool http_request_has_word(const struct http_request *request, enum http_header header,
                           const char *word);
/* The path of the target, without query; NUL-terminated into ret_path. */
void http_request_path(const struct http_request *request,
                       char ret_path[HTTP_TARGET_BYTES_MAX + 1]);

#endif
