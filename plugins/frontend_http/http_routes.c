/* http_routes.c: the paths that there are. A path more is a row more. */
#include "http_connection.h"

#include <stdio.h>
#include <string.h>

#define TEXT_TYPE    "text/plain; charset=utf-8"
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

typedef void route_fn(struct http_connection *connection);

static const struct sluice_broker *broker_of(const struct http_connection *connection)
{
    return connection->frontend->broker;
}

static void metrics_done(void *arg, sluice_status status, struct sluice_text text)
{
    struct http_connection *connection = arg;
    if (status == SLUICE_OK) {
        http_connection_answer(connection, 200, METRICS_TYPE, text);
    } else {
        http_connection_error(connection, http_status_of(status), status,
                              http_status_sentence(status));
    }
}

static void metrics(struct http_connection *connection)
{
    const struct sluice_broker *broker = broker_of(connection);
    broker->metrics(broker, &connection->context, metrics_done, connection);
}

/* "ok", or 503 with one line a finding. */
static void health_done(void *arg, const struct sluice_health *health)
{
    char body[4096];
    int size =
        snprintf(body, sizeof(body), "%s\n%.*s%s", health->ok ? "ok" : "not ready",
                 (int)(health->text.size < 4000 ? health->text.size : 4000),
                 health->text.size > 0 ? health->text.data : "", health->text.size > 0 ? "\n" : "");
    http_connection_answer(arg, health->ok ? 200 : 503, TEXT_TYPE,
                           (struct sluice_text){body, (uint64_t)size});
}

static void health_ask(struct http_connection *connection, int32_t what)
{
    const struct sluice_broker *broker = broker_of(connection);
    broker->health(broker, &connection->context, what, health_done, connection);
}

static void livez(struct http_connection *connection)
{
    health_ask(connection, SLUICE_HEALTH_LIVE);
}

static void readyz(struct http_connection *connection)
{
    health_ask(connection, SLUICE_HEALTH_READY);
}

static void index_show(struct http_connection *connection)
{
    http_connection_answer(connection, 200, TEXT_TYPE,
                           sluice_text_of("Sluice\n/livez    the loops turn\n/metrics  Prometheus "
                                          "text\n/native   WebSocket\n/readyz   recovered and "
                                          "writable\n"));
}

static const struct {
    const char *path;
    route_fn *answer;
} routes[] = {
    {"/", index_show},         {"/livez", livez},   {"/metrics", metrics},
    {"/native", http_upgrade}, {"/readyz", readyz},
};

void http_route(struct http_connection *connection)
{
    char path[HTTP_TARGET_BYTES_MAX + 1];
    http_request_path(&connection->request, path);
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (strcmp(routes[i].path, path) != 0) {
            continue;
        }
        if (connection->request.method != HTTP_GET && connection->request.method != HTTP_HEAD) {
            http_connection_error(connection, 405, SLUICE_E_UNSUPPORTED,
                                  "only GET and HEAD are answered here");
        } else {
            routes[i].answer(connection);
        }
        return;
    }
    http_connection_error(connection, 404, SLUICE_E_NOT_FOUND,
                          "no such path; there are /livez, /metrics, /native and /readyz");
}
