/* http_response.h: the head of a response, and errors as JSON. Pure data. */
#ifndef FRONTEND_HTTP_HTTP_RESPONSE_H
#define FRONTEND_HTTP_HTTP_RESPONSE_H

#include <sluice/sluice.h>

#define HTTP_HEAD_MAX  512
#define HTTP_ERROR_MAX 512

struct http_response {
    int32_t status;
    const char *type; /* Content-Type */
    uint64_t body_size;
    int64_t wall_ms; /* for Date */
    bool close;
};

/* Returns the size written. */
size_t http_response_head(const struct http_response *response, char ret_head[HTTP_HEAD_MAX]);
/* {"error":{"code":"SLU-1004","status":404,"message":"…"}}; message must need no escapes. */
size_t http_error_body(int32_t http_status, sluice_status status, const char *message,
                       char ret_body[HTTP_ERROR_MAX]);
/* The row of SLUICE_STATUS_TABLE. */
int32_t http_status_of(sluice_status status);
const char *http_status_sentence(sluice_status status);

#endif
