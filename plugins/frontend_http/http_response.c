/* http_response.c: status lines, heads and error bodies. */
#include "http_response.h"

#include <sluice/status_row.h>
#include <stdio.h>
#include <time.h>

static const struct reason {
    int32_t status;
    const char *reason;
    const char *headers; /* that go with it, each with its end of line */
    const char *option;  /* of Connection, with a comma behind it */
} reasons[] = {
    {200, "OK", "", ""},
    {400, "Bad Request", "", ""},
    {403, "Forbidden", "", ""},
    {404, "Not Found", "", ""},
    {405, "Method Not Allowed", "Allow: GET, HEAD\r\n", ""},
    {413, "Content Too Large", "", ""},
    {414, "URI Too Long", "", ""},
    {426, "Upgrade Required", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", "Upgrade, "},
    {431, "Request Header Fields Too Large", "", ""},
    {500, "Internal Server Error", "", ""},
    {503, "Service Unavailable", "", ""},
    {505, "HTTP Version Not Supported", "", ""},
};
static const struct reason unknown_reason = {0, "Error", "", ""};

static const struct reason *find_reason(int32_t status)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == status) {
            return &reasons[i];
        }
    }
    return &unknown_reason;
}

int32_t http_status_of(sluice_status status)
{
    const struct sluice_status_row *row = sluice_status_row_of(status);
    return row == NULL ? 500 : row->http;
}

const char *http_status_sentence(sluice_status status)
{
    const struct sluice_status_row *row = sluice_status_row_of(status);
    return row == NULL ? "internal error" : row->text;
}

size_t http_response_head(const struct http_response *response, char ret_head[HTTP_HEAD_MAX])
{
    char date[64] = "";
    struct tm parts;
    time_t seconds = (time_t)(response->wall_ms / 1000);
    if (gmtime_r(&seconds, &parts) != NULL) {
        strftime(date, sizeof(date), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
    }
    const struct reason *reason = find_reason(response->status);
    int size = snprintf(ret_head, HTTP_HEAD_MAX,
                        "HTTP/1.1 %d %s\r\n%sContent-Type: %s\r\nContent-Length: %llu\r\n"
                        "Cache-Control: no-store\r\n%sConnection: %s%s\r\n\r\n",
                        response->status, reason->reason, date, response->type,
                        (unsigned long long)response->body_size, reason->headers, reason->option,
                        response->close ? "close" : "keep-alive");
    return size < HTTP_HEAD_MAX ? (size_t)size : HTTP_HEAD_MAX - 1;
}

size_t http_error_body(int32_t http_status, sluice_status status, const char *message,
                       char ret_body[HTTP_ERROR_MAX])
{
    int size = snprintf(ret_body, HTTP_ERROR_MAX,
                        "{\"error\":{\"code\":\"SLU-%04d\",\"status\":%d,\"message\":\"%s\"}}\n",
                        status, http_status, message);
    return size < HTTP_ERROR_MAX ? (size_t)size : HTTP_ERROR_MAX - 1;
}
