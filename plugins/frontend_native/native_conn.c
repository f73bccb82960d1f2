/* native_conn.c: a connection: frames from bytes, one handler a kind, frames to bytes.
 *
 * A frame whose request cannot begin yet (as many are under way as may be, a topic is being made, a
 * step of a login is judged) is not consumed: input is paused, and it comes again. So nothing is
 * copied, and the order of PUBLISHes is that in which they came. */
#include "native_lua.h"
#include "native_share.h"

#include <stdlib.h>
#include <string.h>

#define WORD_GOAWAY_NEVER 0xFFFFFFFFu
#define PING_BYTES_MAX    64u
#define TEXTS             4u
#define FRAMES_PER_CALL   16u /* then the host looks whose turn it is */

/* ---- life ---- */

void native_frontend_unref(struct native_frontend *frontend)
{
    if (--frontend->refs == 0) {
        native_topics_fini(&frontend->topics);
        native_writer_fini(&frontend->writer);
        free(frontend->read_records);
        free(frontend->read_headers);
        free(frontend);
    }
}

void native_conn_ref(struct native_conn *conn)
{
    conn->refs++;
}

void native_conn_unref(struct native_conn *conn)
{
    if (--conn->refs == 0) {
        struct native_frontend *frontend = conn->frontend;
        free(conn->subs);
        free(conn->texts);
        free(conn);
        native_frontend_unref(frontend);
    }
}

/* All texts of the context in one piece of memory, `which` with another value. */
sluice_status native_conn_set_text(struct native_conn *conn, struct sluice_text *which,
                                   struct sluice_text text)
{
    struct sluice_text *slots[TEXTS] = {&conn->context.principal, &conn->context.listener,
                                        &conn->context.client_host, &conn->context.client_id};
    size_t total = 1;
    for (uint32_t i = 0; i < TEXTS; i++) {
        total += (size_t)(slots[i] == which ? text.size : slots[i]->size);
    }
    char *memory = malloc(total);
    char *at = memory;
    if (memory == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    for (uint32_t i = 0; i < TEXTS; i++) {
        struct sluice_text from = slots[i] == which ? text : *slots[i];
        if (from.size > 0) {
            memcpy(at, from.data, (size_t)from.size);
        }
        *slots[i] = (struct sluice_text){at, from.size};
        at += from.size;
    }
    free(conn->texts);
    conn->texts = memory;
    return SLUICE_OK;
}

/* ---- by last input ---- */

static void unlink_conn(struct native_conn *conn)
{
    struct native_frontend *frontend = conn->frontend;
    *(conn->newer != NULL ? &conn->newer->older : &frontend->newest) = conn->older;
    *(conn->older != NULL ? &conn->older->newer : &frontend->oldest) = conn->newer;
    conn->newer = conn->older = NULL;
}

static void link_newest(struct native_conn *conn)
{
    struct native_frontend *frontend = conn->frontend;
    conn->used_ms = frontend->io->now_ms(frontend->io);
    conn->newer = NULL;
    conn->older = frontend->newest;
    *(conn->older != NULL ? &conn->older->newer : &frontend->oldest) = conn;
    frontend->newest = conn;
}

/* When its silence is too long: half as much again as what it was told. */
static int64_t silence_ends_ms(const struct native_conn *conn)
{
    int64_t heartbeat_ms = conn->frontend->limits.heartbeat_ms;
    return heartbeat_ms == 0 ? INT64_MAX : conn->used_ms + heartbeat_ms + heartbeat_ms / 2;
}

/* ---- opening and closing ---- */

static void login_look(struct native_conn *conn)
{
    const struct sluice_security *security = conn->frontend->security;
    struct sluice_text names[SLUICE_MECHANISMS_MAX];
    conn->needs_login =
        security != NULL && security->mechanisms(security, &conn->context, names) > 0;
}

sluice_status native_conn_open(void *self, const struct sluice_connection *connection,
                               void **ret_conn)
{
    struct native_frontend *frontend = self;
    if (connection->context.principal.size >= NATIVE_PRINCIPAL_BYTES) {
        return SLUICE_E_AUTHENTICATION; /* cut, it could be another's */
    }
    struct native_conn *conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    conn->frontend = frontend;
    conn->refs = 1;
    conn->context = connection->context;
    conn->context.size = sizeof(conn->context);
    conn->context.connection = connection->token;
    conn->context.client_id = (struct sluice_text){"", 0};
    conn->context.trace_id = (struct sluice_bytes){NULL, 0};
    if (native_conn_set_text(conn, NULL, (struct sluice_text){NULL, 0}) != SLUICE_OK) {
        free(conn);
        return SLUICE_E_NO_MEMORY;
    }
    frontend->refs++;
    login_look(conn);
    link_newest(conn);
    native_tick_at(frontend, silence_ends_ms(conn));
    *ret_conn = conn;
    return SLUICE_OK;
}

void native_conn_closed(void *self, void *data)
{
    struct native_conn *conn = data;
    (void)self;
    conn->closed = true;
    unlink_conn(conn);
    native_quota_forget(conn);
    native_subs_drop(conn);
    native_lua_forget(conn);
    native_conn_unref(conn);
}

/* ---- sending ---- */

struct native_writer *native_conn_frame(struct native_conn *conn, uint16_t kind, uint16_t flags,
                                        uint32_t id)
{
    struct native_writer *writer = &conn->frontend->writer;
    native_writer_reset(writer, NATIVE_SCRATCH_KEPT);
    conn->frontend->frame_at = native_frame_begin(writer, kind, flags, id);
    return writer;
}

struct native_writer *native_conn_more(struct native_conn *conn, uint16_t kind, uint16_t flags,
                                       uint32_t id)
{
    struct native_writer *writer = &conn->frontend->writer;
    native_frame_end(writer, conn->frontend->frame_at);
    conn->frontend->frame_at = native_frame_begin(writer, kind, flags, id);
    return writer;
}

static void fail(struct native_conn *conn)
{
    if (native_conn_is_open(conn)) {
        conn->closing = true;
        conn->frontend->io->conn_close(conn->frontend->io, conn->context.connection);
    }
}

void native_conn_send(struct native_conn *conn)
{
    const struct sluice_frontend_host *io = conn->frontend->io;
    struct native_writer *writer = &conn->frontend->writer;
    native_frame_end(writer, conn->frontend->frame_at);
    if (!native_conn_is_open(conn)) {
        return;
    }
    if (writer->failed) {
        fail(conn); /* an answer that does not fit is none */
        return;
    }
    const struct sluice_piece piece = {{writer->data, writer->size}, 0};
    /* A peer that is gone will be closed by the host. */
    (void)io->conn_write(io, conn->context.connection, &piece, 1);
    if (!conn->closed &&
        io->conn_queued(io, conn->context.connection) > conn->frontend->limits.output_bytes_max) {
        conn->blocked = true;
    }
}

void native_conn_error(struct native_conn *conn, uint32_t id, sluice_status status,
                       struct sluice_text reason)
{
    struct native_writer *writer = native_conn_frame(conn, NATIVE_ERROR, 0, id);
    native_write_u32(writer, (uint32_t)status);
    native_write_u32(writer, native_status_may_pass(status) ? 1 : 0);
    native_write_text(writer,
                      reason.size > 0 ? reason : sluice_text_of(native_status_text(status)));
    native_conn_send(conn);
}

static void send_goaway(struct native_conn *conn, sluice_status status, const char *reason)
{
    struct native_writer *writer = native_conn_frame(conn, NATIVE_GOAWAY, 0, 0);
    native_write_u32(writer, (uint32_t)status);
    native_write_u32(writer, native_status_may_pass(status) ? 1000 : WORD_GOAWAY_NEVER);
    native_write_text(writer, sluice_text_of(reason));
    native_conn_send(conn);
}

void native_conn_goaway(struct native_conn *conn, sluice_status status, const char *reason)
{
    send_goaway(conn, status, reason);
    fail(conn);
}

void native_conn_leaving(void *self, void *data)
{
    struct native_conn *conn = data;
    (void)self;
    if (conn->greeted && native_conn_is_open(conn)) {
        native_conn_ref(conn);
        send_goaway(conn, SLUICE_E_STOPPING,
                    "the broker stops, or its native frontend is exchanged");
        conn->closing = true;
        native_conn_unref(conn);
    }
}

/* ---- waiting and calls ---- */

void native_conn_wait(struct native_conn *conn, enum native_wait wait)
{
    const struct sluice_frontend_host *io = conn->frontend->io;
    if (conn->wait == NATIVE_WAIT_NONE && native_conn_is_open(conn)) {
        conn->wait = wait;
        io->conn_pause(io, conn->context.connection);
    }
}

void native_conn_go(struct native_conn *conn)
{
    const struct sluice_frontend_host *io = conn->frontend->io;
    if (conn->wait != NATIVE_WAIT_NONE) {
        conn->wait = NATIVE_WAIT_NONE;
        if (native_conn_is_open(conn)) {
            io->conn_resume(io, conn->context.connection);
        }
    }
}

struct native_call *native_call_new(struct native_conn *conn, const struct native_frame *frame)
{
    struct native_call *call = calloc(1, sizeof(*call));
    if (call == NULL) {
        native_conn_error(conn, frame->id, SLUICE_E_NO_MEMORY, (struct sluice_text){NULL, 0});
        return NULL;
    }
    *call = (struct native_call){
        .conn = conn, .id = frame->id, .kind = frame->kind, .flags = frame->flags};
    native_conn_ref(conn);
    conn->calls++;
    return call;
}

void native_call_end(struct native_call *call)
{
    struct native_conn *conn = call->conn;
    free(call);
    conn->calls--;
    if (conn->wait == NATIVE_WAIT_CALLS && !conn->closed &&
        conn->calls <= conn->frontend->limits.publishes_max / 2) {
        native_conn_go(conn);
    }
    native_conn_unref(conn);
}

/* ---- kinds ---- */

static bool handle_ping(struct native_conn *conn, const struct native_frame *frame)
{
    if (frame->body_size > PING_BYTES_MAX) {
        native_conn_goaway(conn, SLUICE_E_INVALID_REQUEST, "a PING has at most 64 bytes");
        return true;
    }
    struct native_writer *writer = native_conn_frame(conn, NATIVE_PONG, 0, frame->id);
    native_write_bytes(writer, frame->body, frame->body_size);
    native_conn_send(conn);
    return true;
}

static bool handle_pong(struct native_conn *conn, const struct native_frame *frame)
{
    (void)conn;
    (void)frame;
    return true;
}

/* What a client may send. A kind more is a row more. */
static const struct kind_row {
    uint16_t kind;
    bool before_login;
    bool counts;     /* among publishes_max */
    bool is_charged; /* its bytes, as what a producer sends */
    native_handler *handle;
} kinds[] = {
    {NATIVE_HELLO, true, false, false, native_handle_hello},
    {NATIVE_AUTH, true, false, false, native_handle_auth},
    {NATIVE_PING, true, false, false, handle_ping},
    {NATIVE_PONG, true, false, false, handle_pong},
    {NATIVE_PUBLISH, false, true, true, native_handle_publish},
    {NATIVE_SUBSCRIBE, false, true, false, native_handle_subscribe},
    {NATIVE_CREDIT, false, false, false, native_handle_credit},
    {NATIVE_REPLY, false, true, true, native_handle_reply},
    {NATIVE_ACK, false, true, false, native_handle_ack},
    {NATIVE_UNSUBSCRIBE, false, false, false, native_handle_unsubscribe},
    {NATIVE_TOPICS, false, true, false, native_handle_topics},
    {NATIVE_TOPIC_CREATE, false, true, false, native_handle_topic_create},
    {NATIVE_TOPIC_DELETE, false, true, false, native_handle_topic_delete},
    {NATIVE_TOPIC_CONFIG, false, true, false, native_handle_topic_config},
    {NATIVE_OFFSETS, false, true, false, native_handle_offsets},
    {NATIVE_TRIM, false, true, false, native_handle_trim},
    {NATIVE_GROUP_DELETE, false, true, false, native_handle_group_delete},
};

static const struct kind_row *find_kind(uint16_t kind)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].kind == kind) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* Whether it need not log in, or has and the login still holds. */
static bool may_ask(const struct native_conn *conn)
{
    const struct sluice_frontend_host *io = conn->frontend->io;
    return !conn->needs_login || (conn->logged_in && (conn->login_until_ms == 0 ||
                                                      io->now_ms(io) < conn->login_until_ms));
}

/* false: it comes again. */
static bool dispatch(struct native_conn *conn, const struct native_frame *frame)
{
    const struct kind_row *row = find_kind(frame->kind);
    if (row == NULL) {
        native_conn_goaway(conn, SLUICE_E_INVALID_REQUEST,
                           "a client does not send frames of that kind to this server");
        return true;
    }
    if (!conn->greeted && frame->kind != NATIVE_HELLO) {
        native_conn_goaway(conn, SLUICE_E_INVALID_REQUEST, "the first frame is HELLO");
        return true;
    }
    if (!row->before_login && !may_ask(conn)) {
        native_conn_error(conn, frame->id, SLUICE_E_AUTHENTICATION_STATE,
                          sluice_text_of("log in first, with AUTH"));
        return true;
    }
    if (row->counts && conn->calls >= conn->frontend->limits.publishes_max) {
        native_conn_wait(conn, NATIVE_WAIT_CALLS);
        return false;
    }
    bool is_done = row->handle(conn, frame);
    if (is_done && row->is_charged) {
        native_quota_charge(conn, SLUICE_QUOTA_PRODUCE, frame->size);
    }
    return is_done;
}

/* ---- input ---- */

/* What does not begin as HELLO does is not spoken to. */
static bool begins_well(struct sluice_bytes input)
{
    static const uint8_t magic[4] = {0x53, 0x4C, 0x55, 0x43};
    size_t there =
        input.size < NATIVE_HEAD_BYTES
            ? 0
            : (input.size < NATIVE_HEAD_BYTES + 4 ? (size_t)input.size - NATIVE_HEAD_BYTES : 4);
    bool is_hello = input.size < 6 || (input.data[4] == NATIVE_HELLO && input.data[5] == 0);
    return is_hello && (there == 0 || memcmp(input.data + NATIVE_HEAD_BYTES, magic, there) == 0);
}

/* false: the connection ends. */
static bool check_size(struct native_conn *conn, uint64_t size)
{
    const struct native_limits *limits = &conn->frontend->limits;
    bool is_new = !conn->greeted || (conn->needs_login && !conn->logged_in);
    uint32_t most = is_new && limits->frame_bytes_max > NATIVE_LOGIN_BYTES_MAX
                        ? NATIVE_LOGIN_BYTES_MAX
                        : limits->frame_bytes_max;
    if (size == 1 || size > most) {
        native_conn_goaway(conn, size == 1 ? SLUICE_E_MALFORMED : SLUICE_E_FRAME_TOO_LARGE,
                           size == 1 ? "the size of a frame is below that of its head"
                                     : "a frame is larger than native.frame_bytes_max");
        return false;
    }
    return true;
}

/* Takes one frame; 0: none is there, or it waits, or the connection ends. */
static uint64_t take_frame(struct native_conn *conn, struct sluice_bytes input,
                           uint64_t *ret_wanted)
{
    struct native_frame frame;
    uint64_t size = native_frame_size(input.data, (size_t)input.size);
    if (!conn->greeted && !begins_well(input)) {
        fail(conn);
        return 0;
    }
    if (!conn->greeted && input.size < NATIVE_HEAD_BYTES + 4) {
        *ret_wanted = NATIVE_HEAD_BYTES + 4;
        return 0;
    }
    if (size == 0) {
        *ret_wanted = NATIVE_HEAD_BYTES;
        return 0;
    }
    if (!check_size(conn, size)) {
        return 0;
    }
    if (size > input.size) {
        *ret_wanted = size;
        return 0;
    }
    native_frame_read(input.data, &frame);
    return dispatch(conn, &frame) ? size : 0;
}

sluice_status native_conn_input(void *self, void *data, struct sluice_bytes input,
                                uint64_t *ret_consumed, uint64_t *ret_wanted)
{
    struct native_conn *conn = data;
    struct native_frontend *frontend = self;
    uint64_t at = 0;
    uint64_t wanted = 0;
    uint32_t frames = 0;
    int64_t begun_ns = native_quota_begin(conn);
    native_conn_ref(conn);
    unlink_conn(conn);
    link_newest(conn);
    while (native_conn_is_open(conn) && conn->wait == NATIVE_WAIT_NONE && at < input.size &&
           frames++ < FRAMES_PER_CALL) {
        struct sluice_bytes rest = {input.data + at, input.size - at};
        uint64_t size = take_frame(conn, rest, &wanted);
        if (size == 0) {
            break;
        }
        at += size;
        if (!conn->closed && frontend->io->conn_queued(frontend->io, conn->context.connection) >
                                 frontend->limits.output_bytes_max) {
            break; /* the host looks how much is queued before the next */
        }
    }
    native_quota_end(conn, begun_ns);
    *ret_consumed = native_conn_is_open(conn) ? at : input.size;
    *ret_wanted = wanted;
    native_conn_unref(conn);
    return SLUICE_OK;
}

/* ---- the output is taken ---- */

static void pump_shares(struct native_conn *conn)
{
    for (uint32_t i = 0; conn->share_count > 0 && i < conn->sub_room && !conn->blocked; i++) {
        struct native_sub *sub = conn->subs[i];
        while (sub != NULL && native_conn_is_open(conn)) {
            struct native_sub *next = NULL;
            native_sub_ref(sub);
            if (sub->share != NULL) {
                native_share_pump(sub->share);
            }
            next = sub->ended ? NULL : sub->next_of_conn; /* else at the next time */
            native_sub_unref(sub);
            sub = next;
        }
    }
}

void native_conn_resume(struct native_conn *conn)
{
    if (conn->pumping) {
        return;
    }
    native_conn_ref(conn);
    conn->pumping = true;
    while (conn->parked != NULL && !conn->blocked && native_conn_is_open(conn) &&
           !native_quota_holds(conn)) {
        struct native_source *source = conn->parked;
        native_source_ref(source);
        native_source_unpark(source);
        native_source_pump(source);
        native_source_unref(source);
    }
    pump_shares(conn);
    conn->pumping = false;
    native_conn_unref(conn);
}

void native_conn_drained(void *self, void *data)
{
    struct native_conn *conn = data;
    (void)self;
    if (conn->blocked && !conn->pumping) {
        conn->blocked = false;
        native_conn_resume(conn);
    }
}

/* ---- time ---- */

void native_tick_at(struct native_frontend *frontend, int64_t at_ms)
{
    const struct sluice_frontend_host *io = frontend->io;
    int64_t now_ms = io->now_ms(io);
    if (at_ms < frontend->tick_at_ms) {
        frontend->tick_at_ms = at_ms;
        io->set_tick(io, at_ms > now_ms ? (uint32_t)(at_ms - now_ms) : 1);
    }
}

static void end_silent(struct native_frontend *frontend, int64_t now_ms)
{
    while (frontend->oldest != NULL && silence_ends_ms(frontend->oldest) <= now_ms) {
        struct native_conn *conn = frontend->oldest;
        native_conn_ref(conn);
        unlink_conn(conn);
        link_newest(conn); /* looked at again, should it stay */
        if (conn->wait == NATIVE_WAIT_NONE && conn->calls == 0 && native_conn_is_open(conn)) {
            native_conn_goaway(conn, SLUICE_E_TIMEOUT, "nothing was heard for too long");
        }
        native_conn_unref(conn);
    }
}

/* Durable subscriptions whose failure may have passed, or who are to be heard of. */
static void try_shares(struct native_frontend *frontend, int64_t now_ms)
{
    if (frontend->shares_due_ms > now_ms) {
        return;
    }
    frontend->shares_due_ms = INT64_MAX;
    for (struct native_sub *sub = frontend->subs; sub != NULL; sub = frontend->cursor) {
        frontend->cursor = sub->next;
        native_sub_ref(sub);
        int64_t next_ms = sub->share != NULL ? native_share_try(sub->share, now_ms) : INT64_MAX;
        native_sub_unref(sub);
        if (next_ms < frontend->shares_due_ms) {
            frontend->shares_due_ms = next_ms;
        }
    }
}

/* Sources whose turn was over, or whose failure may have passed. */
static void go_on(struct native_frontend *frontend, int64_t now_ms)
{
    struct native_source *source = frontend->ready;
    frontend->ready = NULL;
    while (source != NULL) {
        struct native_source *next = source->next_ready;
        if (source->retry_ms > now_ms) {
            source->next_ready = frontend->ready;
            frontend->ready = source;
            native_tick_at(frontend, source->retry_ms);
        } else {
            source->is_ready = false;
            native_source_pump(source);
            native_source_unref(source);
        }
        source = next;
    }
}

void native_tick(void *self)
{
    struct native_frontend *frontend = self;
    const struct sluice_frontend_host *io = frontend->io;
    int64_t now_ms = io->now_ms(io);
    frontend->tick_at_ms = INT64_MAX;
    end_silent(frontend, now_ms);
    if (frontend->subs != NULL) {
        native_topics_refresh(frontend);
        native_tick_at(frontend, now_ms + NATIVE_TICK_MS);
    }
    native_quota_tick(frontend, now_ms);
    go_on(frontend, now_ms);
    try_shares(frontend, now_ms);
    if (frontend->shares_due_ms != INT64_MAX) {
        native_tick_at(frontend, frontend->shares_due_ms);
    }
    if (frontend->oldest != NULL) {
        native_tick_at(frontend, silence_ends_ms(frontend->oldest));
    }
}
