/* kafka_conn.c: a connection: frames from bytes, and which request may start when.
 *
 *   frame: size int32 (of what follows) | header | body
 *
 * Answers leave in request order. Consecutive Produce requests overlap, at most KAFKA_PIPELINE_MAX
 * of them; any other request starts when those before it are answered, and holds back those after
 * it. While nothing may start, input is paused, so that it is not offered again in vain. A frame
 * beyond request_bytes_max, a header that cannot be read, and an API or version that is not served
 * close the connection, as Kafka does (KAFKA SocketServer): only ApiVersions has an answer for it.
 */
#include "kafka_api.h"
#include "kafka_status.h"
#include "kafka_throttle.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- life ---- */

void kafka_frontend_unref(struct kafka_frontend *frontend)
{
    if (--frontend->refs == 0) {
        fetch_sessions_fini(&frontend->sessions);
        share_sessions_fini(&frontend->share_sessions);
        kafka_writer_fini(&frontend->writer);
        kafka_frontend_free_calls(frontend);
        free(frontend);
    }
}

/* Cut to fit. */
static struct sluice_text keep_text(char *into, size_t room, struct sluice_text text)
{
    uint64_t size = text.size < room ? text.size : room - 1;
    if (size > 0) {
        memcpy(into, text.data, (size_t)size);
    }
    return (struct sluice_text){into, size};
}

/* The tick comes when the first of the muted is due, or the oldest may be idle. */
static void set_tick(struct kafka_frontend *frontend)
{
    int64_t now_ms = frontend->io->now_ms(frontend->io);
    int64_t first_ms = kafka_idle_due_ms(frontend);

    for (struct kafka_conn *conn = frontend->muted; conn != NULL; conn = conn->next_muted) {
        first_ms = conn->muted_until_ms < first_ms ? conn->muted_until_ms : first_ms;
    }
    if (first_ms != INT64_MAX) {
        frontend->io->set_tick(frontend->io, first_ms > now_ms ? (uint32_t)(first_ms - now_ms) : 1);
    }
}

sluice_status kafka_conn_open(void *self, const struct sluice_connection *connection,
                              void **ret_conn)
{
    if (connection->context.principal.size >= KAFKA_PRINCIPAL_BYTES) {
        return SLUICE_E_AUTHENTICATION; /* cut, it could be another's */
    }
    struct kafka_conn *conn = aligned_alloc(KAFKA_LINE_BYTES, sizeof(*conn));
    struct kafka_peer *peer = calloc(1, sizeof(*peer));
    if (conn == NULL || peer == NULL) {
        free(conn);
        free(peer);
        return SLUICE_E_NO_MEMORY;
    }
    memset(conn, 0, sizeof(*conn));
    conn->peer = peer;
    conn->frontend = self;
    conn->frontend->refs++;
    conn->refs = 1;
    conn->context = (struct sluice_context){
        .size = sizeof(conn->context),
        .principal =
            keep_text(peer->principal, sizeof(peer->principal), connection->context.principal),
        .listener = keep_text(peer->listener, sizeof(peer->listener), connection->context.listener),
        .client_id = {conn->client_id, 0},
        .client_host = keep_text(peer->client_host, sizeof(peer->client_host),
                                 connection->context.client_host),
        .connection = connection->token,
    };
    kafka_login_begin(conn);
    bool is_first = conn->frontend->oldest == NULL;
    kafka_idle_watch(conn);
    if (is_first) {
        set_tick(conn->frontend);
    }
    *ret_conn = conn;
    return SLUICE_OK;
}

void kafka_conn_ref(struct kafka_conn *conn)
{
    conn->refs++;
}

void kafka_conn_unref(struct kafka_conn *conn)
{
    if (--conn->refs == 0) {
        kafka_frontend_unref(conn->frontend);
        free(conn->software);
        free(conn->peer);
        free(conn);
    }
}

static void unmute(struct kafka_conn *conn)
{
    struct kafka_conn **at = &conn->frontend->muted;
    while (conn->muted) {
        if (*at == conn) {
            *at = conn->next_muted;
            conn->muted = false;
            return;
        }
        at = &(*at)->next_muted;
    }
}

/* Calls that wait for their turn end here; those in the broker end with their done. */
void kafka_conn_closed(void *self, void *data)
{
    struct kafka_conn *conn = data;
    (void)self;

    conn->closed = true;
    unmute(conn);
    kafka_idle_forget(conn);
    kafka_share_conn_closed(conn);
    while (conn->first != NULL) {
        struct kafka_call *call = conn->first;
        kafka_conn_pop(conn);
        if (call->answered) {
            kafka_call_release(call);
        }
    }
    kafka_conn_unref(conn);
}

void kafka_conn_fail(struct kafka_conn *conn, const char *why, sluice_status status)
{
    const struct sluice_frontend_host *io = conn->frontend->io;
    const struct sluice_host *host = conn->frontend->host;
    char line[512];
    int size;

    if (!kafka_conn_is_open(conn)) {
        return;
    }
    conn->closing = true;
    size = snprintf(line, sizeof(line), "closed the connection of %s (client id '%s'): %s: %s",
                    conn->peer->client_host, conn->client_id, why, kafka_status_text(status));
    host->log(
        host, SLUICE_LOG_WARN,
        (struct sluice_text){line, size < (int)sizeof(line) ? (uint64_t)size : sizeof(line) - 1});
    io->conn_close(io, conn->context.connection);
}

/* ---- order ---- */

void kafka_conn_pop(struct kafka_conn *conn)
{
    struct kafka_call *call = conn->first;
    conn->first = call->next;
    if (conn->first == NULL) {
        conn->last = NULL;
    }
    call->next = NULL;
    conn->call_count--;
    conn->exclusive = false; /* an exclusive call is alone in the queue */
}

static void block(struct kafka_conn *conn, enum kafka_block why)
{
    const struct sluice_frontend_host *io = conn->frontend->io;
    conn->block = why;
    io->conn_pause(io, conn->context.connection);
}

void kafka_conn_settle(struct kafka_conn *conn)
{
    const struct sluice_frontend_host *io = conn->frontend->io;
    bool free_again = conn->call_count == 0 || (conn->block == KAFKA_BLOCK_FULL &&
                                                conn->call_count <= KAFKA_PIPELINE_RESUME);

    if (conn->block != KAFKA_BLOCK_NONE && free_again && kafka_conn_is_open(conn)) {
        conn->block = KAFKA_BLOCK_NONE;
        io->conn_resume(io, conn->context.connection);
    }
}

/* Whether it may be under way beside others like it. */
static bool overlaps(const struct kafka_request_head *head)
{
    return head->api_key == KAFKA_PRODUCE_KEY && !head->legacy;
}

/* Whether a request may start now; blocks the connection if not. */
static bool may_start(struct kafka_conn *conn, const struct kafka_request_head *head)
{
    if (conn->call_count == 0) {
        return true;
    }
    if (!overlaps(head) || conn->exclusive) {
        block(conn, KAFKA_BLOCK_DRAIN);
        return false;
    }
    if (conn->call_count >= KAFKA_PIPELINE_MAX) {
        block(conn, KAFKA_BLOCK_FULL);
        return false;
    }
    return true;
}

/* ---- throttling ---- */

void kafka_conn_mute(struct kafka_conn *conn, int32_t throttle_ms)
{
    struct kafka_frontend *frontend = conn->frontend;
    int64_t until_ms = frontend->io->now_ms(frontend->io) + throttle_ms;

    if (conn->muted) {
        conn->muted_until_ms = until_ms > conn->muted_until_ms ? until_ms : conn->muted_until_ms;
    } else {
        conn->muted = true;
        conn->muted_until_ms = until_ms;
        conn->next_muted = frontend->muted;
        frontend->muted = conn;
        frontend->io->conn_pause(frontend->io, conn->context.connection);
    }
    set_tick(frontend);
}

static struct kafka_conn *find_due(struct kafka_frontend *frontend, int64_t now_ms)
{
    struct kafka_conn *conn = frontend->muted;
    while (conn != NULL && conn->muted_until_ms > now_ms) {
        conn = conn->next_muted;
    }
    return conn;
}

void kafka_conn_tick(void *self)
{
    struct kafka_frontend *frontend = self;
    int64_t now_ms = frontend->io->now_ms(frontend->io);
    struct kafka_conn *conn;

    /* Resuming may feed input and change the list: begin anew each time. */
    while ((conn = find_due(frontend, now_ms)) != NULL) {
        unmute(conn);
        frontend->io->conn_resume(frontend->io, conn->context.connection);
    }
    kafka_idle_expire(frontend, now_ms);
    set_tick(frontend);
}

/* ---- input ---- */

static int32_t read_size(const uint8_t *at)
{
    uint32_t raw;
    memcpy(&raw, at, sizeof(raw));
    return (int32_t)__builtin_bswap32(raw);
}

static bool is_client_id(const struct kafka_conn *conn, struct sluice_text text)
{
    return text.size == conn->context.client_id.size &&
           (text.size == 0 || memcmp(text.data, conn->client_id, (size_t)text.size) == 0);
}

/* Each request tells it, nearly always the same. */
static void keep_client_id(struct kafka_conn *conn, struct kafka_bytes client_id)
{
    struct sluice_text text = kafka_to_text_or_empty(client_id);
    if (!is_client_id(conn, text)) {
        conn->context.client_id = keep_text(conn->client_id, sizeof(conn->client_id), text);
        conn->client_id[conn->context.client_id.size] = '\0';
    }
}

/* Produce reads its batches where the host has them (it keeps that memory when told of a view into
 * it); any other request gets a copy of its body, which lives until the answer. */
static void run(struct kafka_conn *conn, const struct kafka_request_head *head,
                kafka_handler_fn *handler, const uint8_t *body, size_t size)
{
    struct kafka_call *call;
    sluice_status status;

    keep_client_id(conn, head->client_id);
    call = kafka_call_new(conn, head);
    if (call == NULL) {
        kafka_conn_fail(conn, "no memory for a request", SLUICE_E_NO_MEMORY);
        return;
    }
    call->frame_bytes = (uint32_t)(head->body_at + size);
    if (!head->supported && !head->legacy) {
        kafka_answer_api_versions_too_new(call);
        return;
    }
    if (!overlaps(head)) {
        uint8_t *copy = kafka_call_take(call, (int64_t)size, 1);
        if (copy == NULL) {
            return;
        }
        memcpy(copy, body, size);
        body = copy;
        conn->exclusive = true;
    }
    status = kafka_call_decode(call, body, size);
    if (status != SLUICE_OK) {
        kafka_call_fail(call, "a request cannot be read", status);
        return;
    }
    handler(call);
}

static void refuse_version(struct kafka_conn *conn, const struct kafka_request_head *head)
{
    char why[96];
    snprintf(why, sizeof(why), "version %d of API key %d is not served", head->version,
             head->api_key);
    kafka_conn_fail(conn, why, SLUICE_E_UNSUPPORTED_VERSION);
}

/* false: the frame waits. */
static bool take_frame(struct kafka_conn *conn, const uint8_t *frame, size_t size)
{
    struct kafka_request_head head;
    sluice_status status = kafka_request_head_decode(frame, size, &head);
    kafka_handler_fn *handler;
    bool timed;

    if (status != SLUICE_OK) {
        kafka_conn_fail(conn, "the header of a request cannot be read", status);
        return false;
    }
    handler = kafka_api_handler(conn->frontend, head.api_key);
    if (handler == NULL || !(head.supported || (head.legacy && conn->frontend->legacy) ||
                             head.api_key == KAFKA_API_VERSIONS_KEY)) {
        refuse_version(conn, &head);
        return false;
    }
    if (!may_start(conn, &head)) {
        return false;
    }
    if (!kafka_login_allows(conn, head.api_key)) {
        kafka_conn_fail(conn, conn->logged_in ? "its login is over" : "it has not logged in",
                        SLUICE_E_AUTHENTICATION_STATE);
        return false;
    }
    timed = kafka_throttle_begin(conn);
    run(conn, &head, handler, frame + head.body_at, size - head.body_at);
    kafka_throttle_end(conn, timed);
    return true;
}

static void refuse_size(struct kafka_conn *conn, int32_t size)
{
    char why[96];
    snprintf(why, sizeof(why), "a request of %d bytes, at most %u are allowed", size,
             conn->frontend->request_bytes_max);
    kafka_conn_fail(conn, why, SLUICE_E_FRAME_TOO_LARGE);
}

/* Whether the frame's size is one that can be. */
static bool fits(const struct kafka_conn *conn, int32_t size)
{
    return size >= 0 && (uint32_t)size <= conn->frontend->request_bytes_max &&
           (!conn->needs_login || conn->logged_in || size <= (int32_t)KAFKA_LOGIN_BYTES_MAX);
}

static bool may_take(const struct kafka_conn *conn)
{
    return kafka_conn_is_open(conn) && conn->block == KAFKA_BLOCK_NONE && !conn->muted &&
           !conn->login_waits;
}

/* All lines that a request uses come at once, not one after the other. */
static void fetch_ahead(const struct kafka_conn *conn)
{
    for (size_t at = 0; at <= offsetof(struct kafka_conn, client_id); at += KAFKA_LINE_BYTES) {
        __builtin_prefetch((const uint8_t *)conn + at, 1);
    }
}

sluice_status kafka_conn_input(void *self, void *data, struct sluice_bytes input,
                               uint64_t *ret_consumed, uint64_t *ret_wanted)
{
    struct kafka_conn *conn = data;
    uint64_t at = 0;
    uint64_t wanted = 0;
    (void)self;

    fetch_ahead(conn);
    kafka_conn_ref(conn);
    kafka_idle_touch(conn);
    while (may_take(conn)) {
        int32_t size;
        if (input.size - at < KAFKA_FRAME_PREFIX_SIZE) {
            wanted = KAFKA_FRAME_PREFIX_SIZE;
            break;
        }
        size = read_size(input.data + at);
        if (!fits(conn, size)) {
            refuse_size(conn, size);
            break;
        }
        if (input.size - at - KAFKA_FRAME_PREFIX_SIZE < (uint64_t)size) {
            wanted = (uint64_t)size + KAFKA_FRAME_PREFIX_SIZE;
            break;
        }
        if (conn->login_raw && conn->call_count == 0) {
            kafka_login_raw(conn, input.data + at + KAFKA_FRAME_PREFIX_SIZE, (size_t)size);
        } else if (!take_frame(conn, input.data + at + KAFKA_FRAME_PREFIX_SIZE, (size_t)size)) {
            break;
        }
        at += KAFKA_FRAME_PREFIX_SIZE + (uint64_t)size;
        if (conn->exclusive && conn->call_count > 0 && kafka_conn_is_open(conn)) {
            block(conn, KAFKA_BLOCK_DRAIN);
        }
        if (conn->call_count == 0) {
            break; /* answered already: the host looks how much is queued before the next */
        }
    }
    *ret_consumed = at;
    *ret_wanted = wanted;
    kafka_conn_unref(conn);
    return SLUICE_OK;
}
