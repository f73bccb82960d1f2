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

struct http_request {
    http_parser parser;
    uint32_t head_size; /* bytes of the running request so far */
    uint32_t target_size;
    char target[HTTP_TARGET_BYTES_MAX + 1];
    char field[8]; /* beginning of the running header's name, lower case */
    uint32_t field_size;
    uint32_t host_count;
    bool in_value; /* the header's value has begun */
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
/* The path of the target, without query; NUL-terminated into ret_path. */
void http_request_path(const struct http_request *request,
                       char ret_path[HTTP_TARGET_BYTES_MAX + 1]);

#endif
