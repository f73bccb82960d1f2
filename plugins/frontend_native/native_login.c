/* native_login.c: HELLO and AUTH: which version is spoken, and who the peer is.
 *
 *   HELLO ─► WELCOME (mechanisms) ─► AUTH … AUTH_NEXT ─► the principal is known: all else
 *
 * The mechanisms are the broker's (<sluice/security.h>), those of Kafka's clients. A login may be
 * repeated before its lifetime is over, and must be of the same principal then. */
#include "native_frontend.h"

#include <string.h>

#define SOFTWARE         "sluice 0.1.0"
#define UUID_BYTES       16u
#define CLUSTER_ID_CHARS 22u

/* ---- HELLO ---- */

static int sextet(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? 0 : (int)(at - digits);
}

/* 22 characters of URL-safe base64 are 16 bytes. */
static void cluster_bytes(struct sluice_text id, uint8_t ret_bytes[UUID_BYTES])
{
    uint32_t bits = 0;
    uint32_t have = 0;
    size_t used = 0;
    memset(ret_bytes, 0, UUID_BYTES);
    for (uint64_t i = 0; i < id.size && i < CLUSTER_ID_CHARS; i++) {
        bits = (bits << 6 | (uint32_t)sextet(id.data[i])) & 0xFFFFFFu;
        have += 6;
        if (have >= 8 && used < UUID_BYTES) {
            have -= 8;
            ret_bytes[used++] = (uint8_t)(bits >> have);
        }
    }
}

static void welcome(struct native_conn *conn, uint32_t id)
{
    struct native_frontend *frontend = conn->frontend;
    const struct native_limits *limits = &frontend->limits;
    const struct sluice_cluster *cluster =
        frontend->broker->cluster(frontend->broker, &conn->context);
    struct sluice_text names[SLUICE_MECHANISMS_MAX];
    uint8_t uuid[UUID_BYTES];
    uint32_t count = conn->needs_login
                         ? frontend->security->mechanisms(frontend->security, &conn->context, names)
                         : 0;
    struct native_writer *writer = native_conn_frame(conn, NATIVE_WELCOME, 0, id);
    cluster_bytes(cluster->cluster_id, uuid);
    native_write_u16(writer, NATIVE_VERSION);
    native_write_u16(writer, 0);
    native_write_bytes(writer, uuid, sizeof(uuid));
    native_write_u32(writer, limits->frame_bytes_max);
    native_write_u32(writer, limits->subscriptions_max);
    native_write_u32(writer, limits->heartbeat_ms);
    native_write_text(writer, sluice_text_of(SOFTWARE));
    native_write_u16(writer, (uint16_t)count);
    for (uint32_t i = 0; i < count; i++) {
        native_write_text(writer, names[i]);
    }
    native_conn_send(conn);
}

bool native_handle_hello(struct native_conn *conn, const struct native_frame *frame)
{
    struct native_reader reader;
    native_reader_init(&reader, frame->body, frame->body_size);
    (void)native_read_u32(&reader); /* the magic was looked at */
    uint16_t lowest = native_read_u16(&reader);
    uint16_t highest = native_read_u16(&reader);
    struct sluice_text client_id = native_read_text(&reader);
    (void)native_read_text(&reader);
    if (reader.failed || conn->greeted) {
        native_conn_goaway(conn, SLUICE_E_MALFORMED,
                           conn->greeted ? "HELLO comes once" : "the HELLO cannot be read");
        return true;
    }
    if (lowest > NATIVE_VERSION || highest < NATIVE_VERSION) {
        native_conn_error(conn, frame->id, SLUICE_E_UNSUPPORTED_VERSION,
                          sluice_text_of("this server speaks version 1"));
        native_conn_goaway(conn, SLUICE_E_UNSUPPORTED_VERSION, "this server speaks version 1");
        return true;
    }
    if (native_conn_set_text(conn, &conn->context.client_id, client_id) != SLUICE_OK) {
        native_conn_goaway(conn, SLUICE_E_NO_MEMORY, "no memory for another connection");
        return true;
    }
    conn->greeted = true;
    welcome(conn, frame->id);
    return true;
}

/* ---- AUTH ---- */

static bool is_same_principal(const struct native_conn *conn, struct sluice_text principal)
{
    return principal.size == conn->context.principal.size &&
           memcmp(principal.data, conn->context.principal.data, (size_t)principal.size) == 0;
}

/* E_AUTHENTICATION: it was somebody else before. */
static sluice_status take_principal(struct native_conn *conn,
                                    const struct sluice_auth_result *result)
{
    const struct sluice_frontend_host *io = conn->frontend->io;
    if (result->principal.size >= NATIVE_PRINCIPAL_BYTES ||
        (conn->logged_in && !is_same_principal(conn, result->principal))) {
        return SLUICE_E_AUTHENTICATION;
    }
    sluice_status status = native_conn_set_text(conn, &conn->context.principal, result->principal);
    if (status == SLUICE_OK) {
        conn->logged_in = true;
        conn->login_until_ms = result->lifetime_ms > 0 ? io->now_ms(io) + result->lifetime_ms : 0;
    }
    return status;
}

static void stepped(void *arg, const struct sluice_auth_result *result)
{
    struct native_call *call = arg;
    struct native_conn *conn = call->conn;
    sluice_status status = result->status;
    if (!native_conn_is_open(conn)) {
        native_call_end(call);
        return;
    }
    if (status == SLUICE_OK && result->complete) {
        status = take_principal(conn, result);
    }
    conn->login_begun = status == SLUICE_OK && !result->complete;
    if (status == SLUICE_OK) {
        struct native_writer *writer = native_conn_frame(conn, NATIVE_AUTH_NEXT, 0, call->id);
        struct sluice_bytes answer = result->answer;
        answer.data = answer.data == NULL ? (const uint8_t *)"" : answer.data;
        native_write_u32(writer, result->complete ? 1 : 0);
        native_write_blob(writer, answer);
        native_conn_send(conn);
        native_conn_go(conn);
    } else {
        native_conn_error(conn, call->id, status, result->reason);
        native_conn_goaway(conn, status, "the login failed");
    }
    native_call_end(call);
}

/* The mechanism is named in the first step. */
static sluice_status login_begin(struct native_conn *conn, struct sluice_text mechanism)
{
    const struct sluice_security *security = conn->frontend->security;
    if (!conn->needs_login || (mechanism.size == 0 && !conn->login_begun)) {
        return SLUICE_E_AUTHENTICATION_STATE;
    }
    return mechanism.size == 0 ? SLUICE_OK
                               : security->auth_start(security, &conn->context, mechanism);
}

bool native_handle_auth(struct native_conn *conn, const struct native_frame *frame)
{
    const struct sluice_security *security = conn->frontend->security;
    struct native_reader reader;
    native_reader_init(&reader, frame->body, frame->body_size);
    struct sluice_text mechanism = native_read_text(&reader);
    struct sluice_bytes message = native_read_blob(&reader);
    if (reader.failed) {
        native_conn_goaway(conn, SLUICE_E_MALFORMED, "the AUTH cannot be read");
        return true;
    }
    sluice_status status = login_begin(conn, mechanism);
    if (status != SLUICE_OK) {
        native_conn_error(conn, frame->id, status, (struct sluice_text){NULL, 0});
        return true;
    }
    struct native_call *call = native_call_new(conn, frame);
    if (call == NULL) {
        return true;
    }
    message.data = message.data == NULL ? (const uint8_t *)"" : message.data;
    native_conn_wait(conn, NATIVE_WAIT_LOGIN);
    security->auth_step(security, &conn->context, message, stepped, call);
    return true;
}
