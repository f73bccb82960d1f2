/* http_request.c: libhttp-parser's callbacks, and the limits that it does not have. */
#include "http_request.h"

#include <string.h>
#include <strings.h>

static struct http_request *request_of(http_parser *parser)
{
    return parser->data;
}

/* Any result but 0 stops the parser. */
static int refuse(struct http_request *request, int32_t status)
{
    if (request->refused == 0) {
        request->refused = status;
    }
    return -1;
}

static int on_url(http_parser *parser, const char *at, size_t size)
{
    struct http_request *request = request_of(parser);
    if (size > HTTP_TARGET_BYTES_MAX - request->target_size) {
        return refuse(request, 414);
    }
    memcpy(request->target + request->target_size, at, size);
    request->target_size += (uint32_t)size;
    request->target[request->target_size] = '\0';
    return 0;
}

static const char *const header_names[HTTP_HEADERS] = {
    [HTTP_CONNECTION] = "connection",
    [HTTP_HOST] = "host",
    [HTTP_ORIGIN] = "origin",
    [HTTP_UPGRADE] = "upgrade",
    [HTTP_WEBSOCKET_KEY] = "sec-websocket-key",
    [HTTP_WEBSOCKET_PROTOCOL] = "sec-websocket-protocol",
    [HTTP_WEBSOCKET_VERSION] = "sec-websocket-version",
};

static struct http_header_value *find_header(struct http_request *request)
{
    for (size_t i = 0; i < HTTP_HEADERS; i++) {
        if (strlen(header_names[i]) == request->field_size &&
            strncasecmp(header_names[i], request->field, request->field_size) == 0) {
            return &request->headers[i];
        }
    }
    return NULL;
}

static void value_add(struct http_header_value *value, const char *at, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (value->size < HTTP_HEADER_BYTES_MAX) {
            value->text[value->size] = at[i];
            value->text[value->size + 1] = '\0';
        }
        value->size += value->size <= HTTP_HEADER_BYTES_MAX;
    }
}

/* The name of the running header is complete. */
static void value_begin(struct http_request *request)
{
    request->in_value = true;
    request->value = find_header(request);
    request->field_size = 0;
    if (request->value != NULL && request->value->count++ > 0) {
        value_add(request->value, ", ", 2);
    }
}

static int on_field(http_parser *parser, const char *at, size_t size)
{
    struct http_request *request = request_of(parser);
    request->in_value = false;
    for (size_t i = 0; i < size; i++) {
        if (request->field_size < sizeof(request->field)) {
            request->field[request->field_size] = at[i];
        }
        request->field_size += request->field_size < UINT32_MAX;
    }
    return 0;
}

static int on_value(http_parser *parser, const char *at, size_t size)
{
    struct http_request *request = request_of(parser);
    if (!request->in_value) {
        value_begin(request);
    }
    if (request->value != NULL) {
        value_add(request->value, at, size);
    }
    return 0;
}

static int on_headers(http_parser *parser)
{
    struct http_request *request = request_of(parser);
    uint32_t hosts = request->headers[HTTP_HOST].count;
    request->modern = parser->http_major == 1 && parser->http_minor == 1;
    request->method = (uint8_t)parser->method;
    request->keep_alive = http_should_keep_alive(parser) != 0 && parser->upgrade == 0;
    if (parser->http_major != 1 || parser->http_minor > 1) {
        return refuse(request, 505);
    }
    if (hosts > 1 || (request->modern && hosts == 0)) {
        return refuse(request, 400);
    }
    bool has_length = parser->content_length != 0 && parser->content_length != UINT64_MAX;
    if (has_length || parser->uses_transfer_encoding) {
        return refuse(request, 413);
    }
    return 0;
}

static int on_complete(http_parser *parser)
{
    request_of(parser)->complete = true;
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers,
    .on_message_complete = on_complete,
};

static void request_begin(struct http_request *request)
{
    request->head_size = 0;
    request->target_size = 0;
    request->target[0] = '\0';
    request->field_size = 0;
    request->value = NULL;
    request->in_value = false;
    for (size_t i = 0; i < HTTP_HEADERS; i++) {
        request->headers[i].count = request->headers[i].size = 0;
        request->headers[i].text[0] = '\0';
    }
    request->complete = false;
    request->refused = 0;
}

void http_request_init(struct http_request *request)
{
    memset(request, 0, sizeof(*request));
    http_parser_init(&request->parser, HTTP_REQUEST);
    request->parser.data = request;
    request_begin(request);
}

void http_request_next(struct http_request *request)
{
    http_parser_pause(&request->parser, 0);
    request_begin(request);
}

size_t http_request_feed(struct http_request *request, struct sluice_bytes input)
{
    size_t room = HTTP_HEAD_BYTES_MAX - request->head_size;
    size_t size = input.size < room ? (size_t)input.size : room;
    size_t done = http_parser_execute(&request->parser, &settings, (const char *)input.data, size);
    request->head_size += (uint32_t)done;
    if (request->complete || request->refused != 0) {
        return done;
    }
    if (HTTP_PARSER_ERRNO(&request->parser) != HPE_OK) {
        (void)refuse(request, 400);
    } else if (request->head_size == HTTP_HEAD_BYTES_MAX) {
        (void)refuse(request, 431);
    }
    return done;
}

bool http_request_has_word(const struct http_request *request, enum http_header header,
                           const char *word)
{
    const char *at = request->headers[header].text;
    size_t size = strlen(word);
    while (*at != '\0') {
        at += strspn(at, ", \t");
        size_t length = strcspn(at, ", \t");
        if (length == size && strncasecmp(at, word, size) == 0) {
            return true;
        }
        at += length;
    }
    return false;
}

void http_request_path(const struct http_request *request, char ret_path[HTTP_TARGET_BYTES_MAX + 1])
{
    const char *path = request->target;
    if (strncasecmp(path, "http://", 7) == 0) { /* absolute form */
        path += 7;
        path += strcspn(path, "/?");
    }
    size_t size = strcspn(path, "?#");
    memcpy(ret_path, path, size);
    ret_path[size] = '\0';
    if (size == 0) {
        ret_path[0] = '/';
        ret_path[1] = '\0';
    }
}
