/* conn_tls.c: see conn_tls.h. */
#include "intake/conn_tls.h"

#include "base/log.h"
#include "catalog/acl.h"
#include "intake/conn.h"
#include "intake/listener_tls.h"
#include "tls/tls_flight.h"
#include "tls/tls_session.h"

#include <stdio.h>
#include <string.h>

struct conn_tls {
    struct conn *conn;           /* NULL: it is gone, and the end of the step frees this */
    struct tls_session *session; /* owned; the helper's while a step is away */
    struct tls_flight flight;    /* likewise */
    struct login_step step;
    bool away;                                    /* the step waits, or runs */
    bool done;                                    /* the handshake: the wire is the socket */
    bool ready;                                   /* and the peer has a name */
    sl_err said;                                  /* by the last step */
    int64_t until_ms;                             /* monotonic: the handshake is done by then */
    char principal[ACL_PRINCIPAL_BYTES_MAX + 1u]; /* empty: no certificate */
};

/* During the handshake the wire ends in memory, which a helper may touch; what came behind it is
 * read from there first. [helper, then loop] */
static sl_err wire_read(void *arg, void *buffer, size_t size, size_t *ret_size)
{
    struct conn_tls *tls = arg;
    if (tls->done && tls->flight.bytes == NULL) {
        return sl_stream_read(tls->conn->stream, buffer, size, ret_size);
    }
    sl_err err = tls_flight_read(&tls->flight, buffer, size, ret_size);
    if (tls->done) {
        tls_flight_land(&tls->flight);
    }
    return err;
}

static sl_err wire_write(void *arg, const void *data, size_t size, size_t *ret_size)
{
    struct conn_tls *tls = arg;
    struct sl_iovec piece = {(void *)(uintptr_t)data, size};
    if (tls->done) {
        return sl_stream_writev(tls->conn->stream, &piece, 1, ret_size);
    }
    tls_flight_write(&tls->flight, data, size, ret_size);
    return SLUICE_OK;
}

static void tls_free(struct conn_tls *tls)
{
    tls_session_free(tls->session);
    tls_flight_fini(&tls->flight);
    sl_free(tls);
}

/* [helper] */
static void step_work(struct login_step *step)
{
    struct conn_tls *tls = SL_CONTAINER_OF(step, struct conn_tls, step);
    tls->said = tls_session_handshake(tls->session);
}

static void step_done(struct login_step *step)
{
    struct conn_tls *tls = SL_CONTAINER_OF(step, struct conn_tls, step);
    tls->away = false;
    if (tls->conn == NULL) {
        tls_free(tls);
    } else {
        conn_go_on(tls->conn);
    }
}

sl_err conn_tls_open(struct conn *conn)
{
    const struct listener_tls *settings = conn->listener != NULL ? conn->listener->tls : NULL;
    if (settings == NULL) {
        return SLUICE_OK;
    }
    struct intake *intake = conn->intake;
    if (intake->tls_scratch == NULL) {
        intake->tls_scratch = sl_alloc(TLS_RECORD_BYTES);
    }
    struct conn_tls *tls = intake->tls_scratch == NULL ? NULL : sl_alloc_zero(1, sizeof(*tls));
    if (tls == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    const struct tls_wire wire = {.arg = tls, .read = wire_read, .write = wire_write};
    sl_err err = tls_session_new(listener_tls_context(settings), &wire, &tls->session);
    if (err != SLUICE_OK) {
        sl_free(tls);
        return err;
    }
    tls->until_ms = sl_loop_now_ns(intake->loop) / 1000000 + settings->handshake_ms;
    tls->step = (struct login_step){.work = step_work, .done = step_done};
    tls->said = SLUICE_E_WOULD_BLOCK;
    tls->conn = conn;
    conn->tls = tls;
    return SLUICE_OK;
}

void conn_tls_close(struct conn *conn)
{
    struct conn_tls *tls = conn->tls;
    conn->tls = NULL;
    if (tls == NULL) {
        return;
    }
    if (tls->away && !login_desk_withdraw(&tls->step)) {
        tls->conn = NULL; /* step_done frees it */
        return;
    }
    tls_free(tls);
}

/* Of the peer's address without its port, so that lines of one peer are counted as one. */
static void tell(const struct conn *conn, const char *what, const char *why)
{
    char host[sizeof(conn->peer)];
    const char *colon = strrchr(conn->peer, ':');
    size_t size = colon != NULL ? (size_t)(colon - conn->peer) : strlen(conn->peer);
    snprintf(host, sizeof(host), "%.*s", (int)size, conn->peer);
    sl_log(conn->intake->logger, SL_LOG_WARN, "tls", what,
           sl_log_text("listener", conn->listener->name), sl_log_text("peer", host),
           sl_log_text("reason", why));
}

static const char closed_by_peer[] = "the peer closed the connection";

static void tell_failure(struct conn *conn, const char *why)
{
    conn->intake->handshakes_failed_total++;
    tell(conn, "handshake failed", why);
}

void conn_tls_look(const struct conn *conn, const uint8_t *data, size_t size)
{
    /* A record of a handshake, RFC 8446 5.1: no frame of a protocol of ours begins so. */
    if (conn->tls == NULL && conn->listener != NULL && size > 2 && data[0] == 0x16 &&
        data[1] == 0x03) {
        tell(conn, "connection closed", "the peer speaks TLS, the listener does not");
    }
}

/* Who the peer is by its certificate. */
static sl_err take_principal(struct conn *conn, const char **ret_why)
{
    static const char prefix[] = "User:";
    struct conn_tls *tls = conn->tls;
    char name[TLS_PRINCIPAL_BYTES_MAX + 1u];
    char mapped[TLS_PRINCIPAL_BYTES_MAX + 1u];
    bool there = false;
    _Static_assert(sizeof(prefix) + TLS_PRINCIPAL_BYTES_MAX <= sizeof(tls->principal), "it fits");
    sl_err err = tls_session_peer(tls->session, name, sizeof(name), &there);
    if (err != SLUICE_OK || !there) {
        *ret_why = "the name of the peer's certificate is too long";
        return err;
    }
    err = tls_rules_apply(conn->listener->tls->rules, name, mapped);
    *ret_why = "no rule of principal_mapping_rules is for the name of the peer's certificate";
    if (err == SLUICE_OK) {
        snprintf(tls->principal, sizeof(tls->principal), "%s%s", prefix, mapped);
    }
    return err;
}

/* ---- the handshake ---- */

/* What the last step has to say. E_WOULD_BLOCK: the rest when there is room. */
static sl_err send_flight(struct conn *conn)
{
    struct tls_flight *flight = &conn->tls->flight;
    for (;;) {
        struct sl_bytes output = tls_flight_output(flight);
        struct sl_iovec piece = {(void *)(uintptr_t)output.data, output.size};
        size_t sent = 0;
        if (output.size == 0) {
            return SLUICE_OK;
        }
        sl_err err = sl_stream_writev(conn->stream, &piece, 1, &sent);
        if (err != SLUICE_OK) {
            return err;
        }
        tls_flight_sent(flight, sent);
        if (sent < output.size) {
            return SLUICE_E_WOULD_BLOCK;
        }
    }
}

/* Until there is something for a step to do. */
static sl_err take_flight(struct conn *conn)
{
    struct tls_flight *flight = &conn->tls->flight;
    sl_err err = SLUICE_OK;
    while (err == SLUICE_OK && !tls_flight_is_due(flight)) {
        uint8_t *room = NULL;
        size_t size = 0;
        err = tls_flight_room(flight, &room, &size);
        err = err != SLUICE_OK ? err : sl_stream_read(conn->stream, room, size, &size);
        if (err == SLUICE_OK) {
            tls_flight_took(flight, size);
        }
    }
    return err;
}

/* Meanwhile what the peer sends waits in the socket. */
static sl_err start_step(struct conn *conn)
{
    struct conn_tls *tls = conn->tls;
    struct listener *listener = conn->listener;
    tls->flight.refused = false; /* from here on the helper's */
    sl_err err = login_desk_submit(&conn->intake->logins, &tls->step, conn->frontend->urgent);
    if (err != SLUICE_OK) {
        listener_gate_refused(&listener->gate, LISTENER_LOGINS_FULL, conn->intake->logger,
                              listener->name, conn->peer, conn_now_ms(conn));
        return err;
    }
    tls->away = true;
    sl_stream_read_stop(conn->stream);
    return SLUICE_E_WOULD_BLOCK;
}

/* The last step ended the handshake, well or not. */
static sl_err end_handshake(struct conn *conn)
{
    struct conn_tls *tls = conn->tls;
    const char *why = NULL;
    sl_err err = tls->said;
    if (err == SLUICE_OK) {
        tls->done = true;
        tls_flight_land(&tls->flight);
        err = take_principal(conn, &why);
    } else {
        why = tls_session_why(tls->session);
    }
    if (err != SLUICE_OK) {
        tell_failure(conn, why);
        return SLUICE_E_NETWORK;
    }
    conn->intake->handshakes_total++;
    tls->ready = true;
    return SLUICE_OK;
}

sl_err conn_tls_ready(struct conn *conn, bool *ret_now)
{
    struct conn_tls *tls = conn->tls;
    *ret_now = false;
    if (tls == NULL || tls->ready) {
        return SLUICE_OK;
    }
    if (tls->away) {
        return SLUICE_E_WOULD_BLOCK;
    }
    sl_err err = send_flight(conn);
    if (err == SLUICE_E_WOULD_BLOCK) {
        sl_stream_read_stop(conn->stream); /* what it sends ahead is looked at when there is room */
        return err;
    }
    sl_stream_read_start(conn->stream);
    if (err == SLUICE_OK && tls->said != SLUICE_E_WOULD_BLOCK) {
        err = end_handshake(conn);
        *ret_now = err == SLUICE_OK;
        return err;
    }
    if (err == SLUICE_OK && !tls->flight.refused) {
        err = take_flight(conn);
    }
    if (err == SLUICE_OK) {
        return start_step(conn);
    }
    if (err != SLUICE_E_WOULD_BLOCK) {
        tell_failure(conn, closed_by_peer);
    }
    return err;
}

void conn_tls_failed(struct conn *conn)
{
    if (conn->tls != NULL && !conn->tls->ready) {
        tell_failure(conn, closed_by_peer);
    }
}

bool conn_tls_is_late(struct conn *conn, int64_t at_ms)
{
    if (conn->tls == NULL || conn->tls->ready || conn->closing || at_ms < conn->tls->until_ms) {
        return false;
    }
    tell_failure(conn, "it was not done in time (tls.handshake_timeout)");
    return true;
}

const char *conn_tls_principal(const struct conn *conn)
{
    return conn->tls != NULL && conn->tls->principal[0] != '\0' ? conn->tls->principal : NULL;
}

const char *conn_tls_version(const struct conn *conn)
{
    return conn->tls != NULL ? tls_session_version(conn->tls->session) : "";
}

const char *conn_tls_cipher(const struct conn *conn)
{
    return conn->tls != NULL ? tls_session_cipher(conn->tls->session) : "";
}

bool conn_tls_has_input(const struct conn *conn)
{
    return conn->tls != NULL && conn->tls->ready && !conn_tls_waits_for_room(conn) &&
           (conn->tls->flight.bytes != NULL || tls_session_has_input(conn->tls->session));
}

bool conn_tls_waits_for_room(const struct conn *conn)
{
    return conn->tls != NULL && conn->tls->ready && tls_session_waits_for_room(conn->tls->session);
}

bool conn_tls_has_room(struct conn *conn)
{
    bool waited = conn_tls_waits_for_room(conn);
    if (waited) {
        tls_session_has_room(conn->tls->session);
    }
    return waited;
}

sl_err conn_wire_read(struct conn *conn, void *buffer, size_t size, size_t *ret_size)
{
    return conn->tls != NULL ? tls_session_read(conn->tls->session, buffer, size, ret_size)
                             : sl_stream_read(conn->stream, buffer, size, ret_size);
}

sl_err conn_wire_writev(struct conn *conn, const struct sl_iovec *pieces, size_t count,
                        size_t *ret_size)
{
    return conn->tls != NULL ? tls_session_writev(conn->tls->session, pieces, count,
                                                  conn->intake->tls_scratch, ret_size)
                             : sl_stream_writev(conn->stream, pieces, count, ret_size);
}
