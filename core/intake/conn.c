/* conn.c: see conn.h. */
#include "intake/conn.h"

#include "intake/conn_output.h"
#include "intake/conn_shared.h"
#include "intake/conn_tls.h"
#include "intake/conn_upgrade.h"

#include <stdio.h>
#include <string.h>

#define CONN_GROWTH     4u  /* of the input chunk, as a large request or more of them arrive */
#define CONN_USER_BYTES 32u /* of "User:uid=4294967295" */
#define CONN_SHRINK     8u  /* where no more than this part of it was used, the next is smaller */

static const char *const stall_names[CONN_STALL_COUNT] = {"none", "frontend", "output", "memory",
                                                          "log"};

const char *conn_stall_name(enum conn_stall stall)
{
    return stall_names[stall];
}

/* ---- life ---- */

static void conn_free(struct sl_task *task)
{
    struct conn *conn = SL_CONTAINER_OF(task, struct conn, close_task);
    if (conn->read_posted || conn->received) {
        conn->free_due = true;
        return;
    }
    struct frontend *frontend = conn->frontend;
    if (conn->listener != NULL) {
        listener_gate_leave(&conn->listener->gate, conn->peer);
    }
    listener_unref(conn->listener);
    conn_output_free(conn);
    sl_free(conn);
    frontend_connection_gone(frontend);
}

static void list_stalled(struct conn *conn)
{
    struct intake *intake = conn->intake;
    conn->next_stalled = NULL;
    *intake->stalled_end = conn;
    intake->stalled_end = &conn->next_stalled;
}

static void unlist_stalled(struct conn *conn)
{
    struct intake *intake = conn->intake;
    struct conn **at = &intake->stalled;
    while (*at != conn) {
        at = &(*at)->next_stalled;
    }
    *at = conn->next_stalled;
    if (intake->stalled_end == &conn->next_stalled) {
        intake->stalled_end = at;
    }
}

/* Another one may exceed the budget now. */
static void end_exempt(struct conn *conn)
{
    if (conn->intake->exempt == conn) {
        conn->intake->exempt = NULL;
        chunk_cache_relieve(conn->intake->cache);
    }
}

static void end_urgent(struct conn *conn)
{
    conn->intake->urgent_count -= conn->urgent;
    conn->urgent = false;
}

/* Who stalls for memory is in the intake's list. Who stalls for its peer or its frontend must not
 * keep others from exceeding the budget: that may last for ever. */
static void set_stall(struct conn *conn, enum conn_stall stall)
{
    if (stall == CONN_STALL_OUTPUT || stall == CONN_STALL_FRONTEND) {
        end_exempt(conn);
    }
    if (conn->stall == stall) {
        return;
    }
    if (conn->stall == CONN_STALL_MEMORY) {
        unlist_stalled(conn);
    } else if (stall == CONN_STALL_MEMORY) {
        list_stalled(conn);
    }
    conn->intake->stalled_now[conn->stall]--;
    conn->intake->stalled_now[stall]++;
    conn->intake->stalls_total[stall]++;
    conn->stall = stall;
}

/* Tells everybody, gives back what it holds; the memory goes at the end of the turn. */
static void conn_die(struct conn *conn)
{
    if (conn->dead) {
        return;
    }
    conn->dead = true;
    set_stall(conn, CONN_STALL_NONE);
    conn->intake->stalled_now[CONN_STALL_NONE]--;
    conn->intake->closing_count -= conn->closing;
    conn_tls_close(conn);
    conn->stream = sl_stream_free(conn->stream);
    conn_shared_close(conn);
    struct intake *intake = conn->intake;
    conn_stage_forget_output(&intake->stage, conn);
    conn_output_drop(conn);
    intake_slot_give(intake, conn->token);
    if (conn->state != NULL) {
        conn->frontend->ops->conn_closed(conn->frontend->self, conn->state);
        conn->state = NULL;
    }
    conn_upgrade_drop(conn);
    sasl_session_drop(conn->sasl);
    conn->sasl = NULL;
    intake->cancel(intake->cancel_arg, conn->token);
    if (!conn->feeding) {
        conn->input = chunk_unref(conn->input);
    }
    end_exempt(conn);
    end_urgent(conn);
    conn->close_task = (struct sl_task){.run = conn_free, .priority = SL_PRIORITY_CONTROL};
    sl_loop_post(intake->loop, &conn->close_task);
}

static void conn_readable(void *arg);
static void conn_writable(void *arg);

static void conn_failed(void *arg, sl_err err)
{
    (void)err;
    conn_tls_failed(arg);
    conn_die(arg);
}

static const struct sl_stream_events conn_events = {conn_readable, conn_writable, conn_failed};

/* Whom the connection itself tells: a certificate, or the kernel of who connected to a local
 * socket; NULL: nobody. E_UNSUPPORTED: the kernel does not say. */
static sl_err find_principal(const struct conn *conn, char text[CONN_USER_BYTES],
                             const char **ret_principal)
{
    uint32_t user = 0;
    *ret_principal = conn_tls_principal(conn);
    if (conn->listener == NULL || !conn->listener->names_user) {
        return SLUICE_OK;
    }
    sl_err err = sl_stream_peer_user(conn->stream, &user);
    snprintf(text, CONN_USER_BYTES, "User:uid=%u", user);
    *ret_principal = text;
    return err;
}

static struct sluice_context conn_context(const struct conn *conn, const char *principal)
{
    return (struct sluice_context){
        .size = sizeof(struct sluice_context),
        .principal = sluice_text_of(principal != NULL ? principal : "User:ANONYMOUS"),
        .listener =
            sluice_text_of(conn->listener != NULL ? conn->listener->name : conn->frontend->name),
        .client_host = sluice_text_of(conn->peer),
        .connection = conn->token,
    };
}

static sl_err conn_new(struct intake *intake, struct frontend *frontend, const char *peer,
                       struct conn **ret_conn)
{
    struct conn *conn = sl_alloc_zero(1, sizeof(*conn));
    if (conn == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    conn->intake = intake;
    conn->frontend = frontend;
    conn->input_bytes = CONN_INPUT_BYTES_MIN;
    conn_output_init(conn);
    conn->opened_ms = sl_loop_now_ns(intake->loop) / 1000000;
    strncpy(conn->peer, peer, sizeof(conn->peer) - 1);
    sl_err err = intake_slot_take(intake, conn, &conn->token);
    if (err != SLUICE_OK) {
        sl_free(conn);
        return err;
    }
    frontend->connection_count++;
    *ret_conn = conn;
    return SLUICE_OK;
}

/* The frontend hears of it. */
static bool conn_begin(struct conn *conn)
{
    char user[CONN_USER_BYTES];
    const char *principal = NULL;
    if (find_principal(conn, user, &principal) != SLUICE_OK) {
        return false;
    }
    struct sluice_connection about = {
        .size = sizeof(about),
        .token = conn->token,
        .context = conn_context(conn, principal),
        .tls_version = sluice_text_of(conn_tls_version(conn)),
        .tls_cipher = sluice_text_of(conn_tls_cipher(conn)),
    };
    char local[LISTENER_ADDRESS_BYTES];
    sl_stream_local(conn->stream, local, sizeof(local));
    about.local_address = sluice_text_of(local);
    struct frontend *frontend = conn->frontend;
    if (frontend->ops->conn_open(frontend->self, &about, &conn->state) != SLUICE_OK) {
        conn->state = NULL;
        return false;
    }
    return true;
}

/* Whether one more may come; from now on it is counted. */
static bool gate_takes(struct intake *intake, struct listener *listener, const char *peer)
{
    const struct sluice_context context = {.size = sizeof(context),
                                           .client_host = sluice_text_of(peer)};
    const struct sluice_quota *quota = intake->quota;
    enum listener_refusal refusal = LISTENER_TAKES;
    if (quota != NULL && quota->charge(quota, &context, SLUICE_QUOTA_CONNECTIONS, 1) > 0) {
        refusal = LISTENER_TOO_FAST;
    } else {
        refusal = listener_gate_enter(&listener->gate, peer);
    }
    if (refusal != LISTENER_TAKES) {
        listener_gate_refused(&listener->gate, refusal, intake->logger, listener->name, peer,
                              sl_loop_now_ns(intake->loop) / 1000000);
    }
    return refusal == LISTENER_TAKES;
}

void conn_start(struct intake *intake, struct frontend *frontend, struct listener *listener,
                int descriptor, const char *peer)
{
    struct conn *conn = NULL;
    if (listener != NULL && !gate_takes(intake, listener, peer)) {
        intake->refused_total++;
        sl_descriptor_close(descriptor);
        return;
    }
    sl_err err = frontend->draining ? SLUICE_E_STOPPING : conn_new(intake, frontend, peer, &conn);
    if (err != SLUICE_OK) {
        if (listener != NULL) {
            listener_gate_leave(&listener->gate, peer);
        }
        intake->refused_total++;
        sl_descriptor_close(descriptor);
        return;
    }
    conn->listener = listener != NULL ? listener_ref(listener) : NULL;
    conn->may_share = listener != NULL && listener->is_local;
    intake->accepted_total++;
    intake->stalled_now[CONN_STALL_NONE]++;
    if (sl_stream_new(intake->loop, descriptor, &conn_events, conn, &conn->stream) != SLUICE_OK ||
        conn_tls_open(conn) != SLUICE_OK || (conn->tls == NULL && !conn_begin(conn))) {
        conn_die(conn);
        return;
    }
    sl_stream_read_start(conn->stream);
}

/* Bytes may pass. False: not yet, or the connection ended. */
static bool wire_is_ready(struct conn *conn)
{
    bool now = false;
    sl_err err = conn_tls_ready(conn, &now);
    bool ok = err == SLUICE_OK && (!now || conn_begin(conn));
    if (!ok && err != SLUICE_E_WOULD_BLOCK) {
        conn_die(conn);
    }
    return ok;
}

static void conn_feed(struct conn *conn);

static void read_again(struct sl_task *task)
{
    struct conn *conn = SL_CONTAINER_OF(task, struct conn, read_task);
    bool was_behind = conn->behind;
    conn->read_posted = conn->behind = false;
    if (conn->free_due) {
        conn_free(&conn->close_task);
    } else if (conn->ended) {
        conn_die(conn);
    } else if (!conn->dead) {
        if (was_behind) {
            conn_feed(conn);
        }
        conn_readable(conn);
    }
}

static void post_read_task(struct conn *conn)
{
    if (!conn->read_posted) {
        conn->read_posted = true;
        conn->read_task = (struct sl_task){.run = read_again, .priority = SL_PRIORITY_IO};
        sl_loop_post(conn->intake->loop, &conn->read_task);
    }
}

/* Reads on: at the next event of the socket, or for what was already taken from it. */
static void read_on(struct conn *conn)
{
    sl_stream_read_start(conn->stream);
    if (conn_tls_has_input(conn)) {
        post_read_task(conn);
    }
}

/* ---- input ---- */

/* Reading on takes no further memory. */
static bool has_room(const struct conn *conn)
{
    size_t have = conn->input_end - conn->input_start;
    bool fits = conn->input != NULL && conn->input_start + conn->wanted <= conn->input->size;
    return conn->input != NULL && conn->input_end < conn->input->size &&
           (fits || have < conn->input->size / 2);
}

/* What keeps it from being read. Into memory that it has, and while there is plenty, it is read
 * ahead during a pause. */
static enum conn_stall find_stall(const struct conn *conn)
{
    bool scarce = chunk_cache_is_scarce(conn->intake->cache);
    if ((conn->output_bytes > CONN_OUTPUT_HIGH && conn->pauses == 0) ||
        conn_tls_waits_for_room(conn)) {
        return CONN_STALL_OUTPUT;
    }
    if (has_room(conn) || (conn->input == NULL && !scarce)) {
        return CONN_STALL_NONE;
    }
    if (conn->produces > 0 && (conn->pauses > 0 || scarce)) {
        return CONN_STALL_LOG;
    }
    if (conn->pauses > 0) {
        return CONN_STALL_FRONTEND;
    }
    return chunk_cache_is_over(conn->intake->cache) ? CONN_STALL_MEMORY : CONN_STALL_NONE;
}

/* Over the budget: the one whose turn it is, and some connections of urgent frontends. */
static bool may_exceed(struct conn *conn)
{
    struct intake *intake = conn->intake;
    if (conn->frontend->urgent && !conn->urgent && intake->urgent_count < CONN_URGENT_MAX) {
        intake->urgent_count++;
        conn->urgent = true;
    }
    return conn->urgent || intake->exempt == conn;
}

/* There is something to read: may it be read? Stops reading if not. */
static bool may_read(struct conn *conn)
{
    enum conn_stall stall = find_stall(conn);
    if (stall == CONN_STALL_MEMORY && may_exceed(conn)) {
        stall = CONN_STALL_NONE;
    }
    set_stall(conn, stall);
    if (stall == CONN_STALL_NONE) {
        return true;
    }
    sl_stream_read_stop(conn->stream);
    if (stall == CONN_STALL_MEMORY && conn->intake->exempt == NULL) {
        chunk_cache_relieve(conn->intake->cache); /* the first in the list is the one */
    }
    return false;
}

/* All input is consumed. */
static void give_input_back(struct conn *conn)
{
    if (conn->input != NULL && conn->input_end < conn->input_bytes / CONN_SHRINK) {
        conn->input_bytes = SL_MAX(conn->input_bytes / 2, (size_t)CONN_INPUT_BYTES_MIN);
    }
    conn->input = chunk_unref(conn->input);
    conn->input_start = conn->input_end = 0;
    end_urgent(conn);
    if (conn->produces == 0) {
        end_exempt(conn); /* else when its records are durable and their memory is free */
    }
}

void conn_produce_begins(struct conn *conn)
{
    conn->produces++;
}

void conn_produce_ended(struct conn *conn)
{
    SL_ASSERT(conn->produces > 0);
    conn->produces--;
    if (conn->produces == 0) {
        end_exempt(conn);
    }
    if (conn->stall == CONN_STALL_LOG) {
        conn_wake(conn);
    }
}

/* The first bytes over a local socket may be for us. False: they are not all here, or were the end.
 */
static bool is_for_frontend(struct conn *conn)
{
    if (!conn->may_share) {
        return true;
    }
    size_t used = 0;
    sl_err err = conn_shared_look(conn, conn->input->data + conn->input_start,
                                  conn->input_end - conn->input_start, &used);
    if (err == SLUICE_E_WOULD_BLOCK) {
        return false;
    }
    conn->may_share = false;
    conn->input_start += used;
    if (err != SLUICE_OK) {
        conn_die(conn);
    }
    return err == SLUICE_OK;
}

/* Another frontend has it from now on; false: that one would not. */
static bool hand_over(struct conn *conn)
{
    conn_upgrade_finish(conn);
    end_urgent(conn);
    conn->wanted = 0;
    conn->opened_ms = conn_now_ms(conn);
    bool ok = conn_begin(conn);
    if (!ok) {
        conn_close(conn);
    }
    return ok;
}

/* Calls the frontend while it takes something, and its turn lasts; leaves input_start at the first
 * byte it did not take. */
static void conn_feed(struct conn *conn)
{
    if (conn->feeding || conn->behind) {
        return;
    }
    conn->feeding = true;
    bool served = false;
    uint32_t calls = 0;
    while (!conn->dead && !conn->closing && conn->pauses == 0 &&
           conn->output_bytes <= CONN_OUTPUT_HIGH && is_for_frontend(conn)) {
        size_t have = conn->input_end - conn->input_start;
        if (have == 0 || have < conn->wanted) {
            break;
        }
        if (calls++ == CONN_TURN_CALLS) {
            conn->behind = true;
            post_read_task(conn);
            break;
        }
        uint64_t consumed = 0;
        uint64_t wanted = 0;
        conn->resumed = false;
        struct sluice_bytes input = {conn->input->data + conn->input_start, have};
        sluice_status status = conn->frontend->ops->conn_input(conn->frontend->self, conn->state,
                                                               input, &consumed, &wanted);
        if (conn->dead) {
            break;
        }
        if (status != SLUICE_OK || consumed > have || wanted > conn->frontend->request_bytes_max) {
            conn_close(conn);
            break;
        }
        conn->input_start += (size_t)consumed;
        served = served || consumed > 0;
        conn->wanted = (size_t)wanted;
        if (conn_upgrade_is_due(conn)) {
            if (!hand_over(conn)) {
                break;
            }
            continue;
        }
        if (consumed == 0 && wanted <= have && !conn->resumed) {
            break; /* it waits for something else than input */
        }
    }
    conn->feeding = false;
    bool is_whole = conn->dead || conn->input_start == conn->input_end;
    conn->begun_ms = is_whole                        ? 0
                     : served || conn->begun_ms == 0 ? conn_now_ms(conn)
                                                     : conn->begun_ms;
    if (is_whole) {
        give_input_back(conn);
    }
    if (conn->produces == 0 && (served || conn->pauses > 0)) {
        end_exempt(conn); /* what it sends next has to wait in line again */
    }
    if (conn_codec_is_over(conn)) {
        conn_close(conn);
    }
}

/* What the unconsumed rest moves to: of a size announced only, memory comes as its bytes do, so
 * that four bytes do not claim a hundred megabytes. */
static size_t room_needed(const struct conn *conn, size_t have)
{
    size_t wanted = SL_MAX(conn->wanted, have + 1);
    size_t grown = SL_MAX(have * CONN_GROWTH, (size_t)CONN_INPUT_BYTES);
    return SL_MAX(SL_MIN(wanted, grown), conn->input_bytes);
}

/* Makes room behind input_end for at least one byte. */
static sl_err make_room(struct conn *conn)
{
    size_t have = conn->input_end - conn->input_start;
    if (has_room(conn)) {
        return SLUICE_OK;
    }
    struct chunk *chunk = NULL;
    sl_err err = chunk_new(conn->intake->cache, room_needed(conn, have), &chunk);
    if (err != SLUICE_OK) {
        return err;
    }
    if (have > 0) {
        memcpy(chunk->data, conn->input->data + conn->input_start, have);
    }
    chunk_unref(conn->input);
    conn->input = chunk;
    conn->input_start = 0;
    conn->input_end = have;
    return SLUICE_OK;
}

/* A large request is read to its end and not beyond, so that the next one starts in a chunk of its
 * own. */
static size_t room_to_read(const struct conn *conn)
{
    size_t room = conn->input->size - conn->input_end;
    size_t have = conn->input_end - conn->input_start;
    if (conn->wanted > CONN_INPUT_BYTES && conn->wanted > have) {
        return SL_MIN(room, conn->wanted - have);
    }
    return room;
}

static size_t read_buffer_bytes(const struct conn *conn)
{
    int64_t bytes = conn->listener != NULL
                        ? listener_limit(&conn->listener->gate, LISTENER_LIMIT_READ_BUFFER)
                        : 0;
    return bytes > 0 ? (size_t)bytes : CONN_INPUT_BYTES;
}

/* Behind what is there, once. E_BUSY: it may not read; *ret_more: there may be more. */
static sl_err receive(struct conn *conn, size_t *ret_size, bool *ret_more)
{
    if (!may_read(conn)) {
        return SLUICE_E_BUSY;
    }
    sl_err err = make_room(conn);
    if (err != SLUICE_OK) {
        return err;
    }
    size_t room = room_to_read(conn);
    err = conn_codec_read(conn, conn->input->data + conn->input_end, room, ret_size);
    if (err == SLUICE_OK && *ret_size == 0 && !conn_codec_is_over(conn)) {
        err = SLUICE_E_NETWORK;
    }
    if (err == SLUICE_OK) {
        conn->input_end += *ret_size;
        conn->intake->bytes_in_total += *ret_size;
        conn->since_ms = conn_now_ms(conn);
        *ret_more = *ret_size == room || conn_tls_has_input(conn);
    } else if (conn_tls_waits_for_room(conn) && conn->piece_count == 0) {
        conn->taken_ms = conn_now_ms(conn);
    }
    return err;
}

/* What it received may wait until others have received, too. */
static bool is_staged(const struct conn *conn)
{
    return conn->tls == NULL && conn->upgrade == NULL && conn->shared_bytes == 0 &&
           !conn->may_share;
}

static void conn_readable(void *arg)
{
    struct conn *conn = arg;
    size_t taken = 0;
    bool more = true;
    if (conn->dead || conn->behind || !wire_is_ready(conn)) {
        return;
    }
    while (more && !conn->dead && !conn->closing && !conn->behind && taken < CONN_TURN_BYTES) {
        size_t size = 0;
        sl_err err = receive(conn, &size, &more);
        if (err == SLUICE_E_BUSY) {
            return;
        }
        if (err == SLUICE_E_WOULD_BLOCK) {
            break;
        }
        if (err != SLUICE_OK) {
            conn_die(conn);
            return;
        }
        if (!more && is_staged(conn)) {
            conn_stage_serve_later(&conn->intake->stage, conn);
            return;
        }
        taken += size;
        conn_feed(conn);
        conn->input_bytes = more ? SL_MIN(conn->input_bytes * CONN_GROWTH, read_buffer_bytes(conn))
                                 : conn->input_bytes;
    }
    if (!conn->dead && conn->input_start == conn->input_end) {
        give_input_back(conn);
    }
    if (!conn->dead && !conn->closing && conn_tls_has_input(conn)) {
        read_on(conn);
    }
}

void conn_serve(struct conn *conn)
{
    if (conn->free_due) {
        conn_free(&conn->close_task);
    } else if (!conn->dead) {
        conn_feed(conn);
    }
}

void conn_go_on(struct conn *conn)
{
    sl_stream_read_start(conn->stream);
    conn_readable(conn);
}

void conn_wake(struct conn *conn)
{
    if (conn->dead || conn->closing || conn->feeding) {
        return;
    }
    if (conn->input_end > conn->input_start && conn->pauses == 0) {
        conn_feed(conn);
    }
    if (conn->dead || conn->closing) {
        return;
    }
    conn->since_ms = conn_now_ms(conn); /* until now it was we who kept its peer waiting */
    conn->begun_ms = conn->begun_ms > 0 ? conn->since_ms : 0;
    enum conn_stall stall = find_stall(conn);
    if (stall == CONN_STALL_MEMORY) {
        stall = CONN_STALL_NONE; /* it is decided when there is something to read */
    }
    set_stall(conn, stall);
    if (stall == CONN_STALL_NONE) {
        read_on(conn);
    }
}

void conn_relieve(struct conn *conn, bool exempt)
{
    set_stall(conn, CONN_STALL_NONE);
    if (exempt) {
        conn->intake->exempt = conn;
    }
    conn_wake(conn);
}

void conn_pause(struct conn *conn)
{
    conn->pauses++;
}

void conn_resume(struct conn *conn)
{
    SL_ASSERT(conn->pauses > 0);
    if (--conn->pauses == 0) {
        conn->resumed = true;
        conn_wake(conn);
    }
}

/* ---- output ---- */

/* Sends until the socket is full or nothing is left. */
static sl_err send_queued(struct conn *conn)
{
    while (conn->piece_count > 0) {
        struct sl_iovec pieces[CONN_PIECES_MAX];
        uint32_t count = SL_MIN(conn->piece_count, CONN_PIECES_MAX);
        size_t total = 0;
        for (uint32_t i = 0; i < count; i++) {
            struct conn_piece *piece = conn_output_piece(conn, i);
            pieces[i] = (struct sl_iovec){(void *)(uintptr_t)piece->data, piece->size};
            total += piece->size;
        }
        size_t written = 0;
        sl_err err = conn_wire_writev(conn, pieces, count, &written);
        if (err != SLUICE_OK) {
            return err;
        }
        conn_output_advance(conn, written);
        if (written < total) {
            conn->writing = true;
            break;
        }
    }
    return SLUICE_OK;
}

/* Likewise; true: it has to close. */
static bool send_and_look(struct conn *conn)
{
    return send_queued(conn) != SLUICE_OK || (conn->closing && conn->piece_count == 0);
}

static void conn_flush(struct conn *conn)
{
    if (send_and_look(conn)) {
        conn_die(conn);
    }
}

void conn_send(struct conn *conn)
{
    if (!conn->writing && send_and_look(conn)) {
        conn->ended = true;
        post_read_task(conn);
    }
}

static void tell_drained(struct conn *conn)
{
    const struct sluice_frontend *ops = conn->frontend->ops;
    if (FRONTEND_HAS(ops, conn_drained) && conn->piece_count == 0 && !conn->closing &&
        conn->state != NULL) {
        ops->conn_drained(conn->frontend->self, conn->state);
    }
}

static void conn_writable(void *arg)
{
    struct conn *conn = arg;
    if (!wire_is_ready(conn)) {
        return;
    }
    conn->writing = false;
    conn_flush(conn);
    if (!conn->dead && conn_tls_has_room(conn)) {
        post_read_task(conn);
    }
    if (!conn->dead) {
        tell_drained(conn);
    }
    if (!conn->dead) {
        conn_wake(conn);
    }
}

/* Nothing is queued: what the socket takes at once is not copied. */
static sl_err write_through(struct conn *conn, const struct sluice_piece *pieces, uint32_t count,
                            size_t *ret_written)
{
    struct sl_iovec now[CONN_PIECES_MAX];
    size_t total = 0;
    size_t written = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (pieces[i].token != 0 && conn_output_chunk(conn, &pieces[i]) == NULL) {
            return SLUICE_E_INVALID;
        }
        now[i] = (struct sl_iovec){(void *)(uintptr_t)pieces[i].bytes.data,
                                   (size_t)pieces[i].bytes.size};
        total += now[i].size;
    }
    sl_err err = total == 0 ? SLUICE_OK : conn_wire_writev(conn, now, count, &written);
    if (err == SLUICE_OK) {
        conn->writing = written < total;
        conn->intake->bytes_out_total += written;
        *ret_written = written;
    }
    return err;
}

static sl_err queue_rest(struct conn *conn, const struct sluice_piece *pieces, uint32_t count,
                         size_t written)
{
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < count && err == SLUICE_OK; i++) {
        size_t skip = SL_MIN(written, (size_t)pieces[i].bytes.size);
        written -= skip;
        err = conn_output_push(conn, &pieces[i], skip);
    }
    return err;
}

/* So little that it may wait until others have written, too. */
static bool is_little(const struct conn *conn, const struct sluice_piece *pieces, uint32_t count)
{
    uint64_t total = conn->output_bytes;
    for (uint32_t i = 0; i < count; i++) {
        total += pieces[i].bytes.size;
    }
    return total <= CONN_STAGE_BYTES && conn->shared_bytes == 0;
}

sluice_status conn_write_raw(struct conn *conn, const struct sluice_piece *pieces, uint32_t count)
{
    size_t written = 0;
    sl_err err = SLUICE_OK;
    bool staged = count <= CONN_PIECES_MAX && is_little(conn, pieces, count);
    if (!staged && conn->piece_count == 0 && !conn->writing && count <= CONN_PIECES_MAX) {
        err = write_through(conn, pieces, count, &written);
    }
    err = err != SLUICE_OK ? err : queue_rest(conn, pieces, count, written);
    if (err != SLUICE_OK) {
        conn_die(conn);
        return err;
    }
    if (staged && !conn->writing) {
        conn_stage_send_later(&conn->intake->stage, conn);
    } else if (!conn->writing) {
        conn_flush(conn);
    }
    if (!conn->dead && conn->output_bytes > CONN_OUTPUT_HIGH) {
        set_stall(conn, CONN_STALL_OUTPUT);
        sl_stream_read_stop(conn->stream); /* conn_writable wakes it */
    }
    return SLUICE_OK;
}

/* Behind heads of the codec: a frame for as many pieces as go to the socket at once. */
static sluice_status write_encoded(struct conn *conn, const struct sluice_piece *pieces,
                                   uint32_t count)
{
    struct sluice_piece framed[CONN_PIECES_MAX];
    uint8_t head[SLUICE_CODEC_BYTES_MAX];
    sluice_status status = SLUICE_OK;
    for (uint32_t at = 0; at < count && status == SLUICE_OK;) {
        uint32_t some = SL_MIN(count - at, CONN_PIECES_MAX - 1);
        size_t total = 0;
        for (uint32_t i = 0; i < some; i++) {
            framed[i + 1] = pieces[at + i];
            total += (size_t)pieces[at + i].bytes.size;
        }
        at += some;
        if (total > 0) {
            framed[0] = (struct sluice_piece){.bytes = {head, conn_codec_head(conn, total, head)}};
            status = conn_write_raw(conn, framed, some + 1);
        }
    }
    return status;
}

sluice_status conn_write(struct conn *conn, const struct sluice_piece *pieces, uint32_t count)
{
    if (conn->dead || conn->closing) {
        return SLUICE_E_CANCELLED;
    }
    return conn_has_codec(conn) ? write_encoded(conn, pieces, count)
                                : conn_write_raw(conn, pieces, count);
}

/* `why`: SLUICE_CODEC_ENDS or _AWAY. */
static void close_as(struct conn *conn, int32_t why)
{
    if (conn->dead || conn->closing) {
        return;
    }
    conn_codec_end(conn, why);
    if (conn->dead) {
        return;
    }
    if (conn->input != NULL) {
        conn_tls_look(conn, conn->input->data + conn->input_start,
                      conn->input_end - conn->input_start);
    }
    conn->closing = true;
    conn->since_ms = conn_now_ms(conn);
    conn->intake->closing_count++;
    set_stall(conn, CONN_STALL_NONE);
    end_exempt(conn);
    sl_stream_read_stop(conn->stream);
    if (conn->piece_count == 0) {
        conn_die(conn);
    }
}

void conn_close(struct conn *conn)
{
    close_as(conn, SLUICE_CODEC_ENDS);
}

void conn_dismiss(struct conn *conn)
{
    const struct sluice_frontend *ops = conn->frontend->ops;
    if (FRONTEND_HAS(ops, conn_leaving) && !conn->dead && !conn->closing && conn->state != NULL) {
        ops->conn_leaving(conn->frontend->self, conn->state);
    }
    close_as(conn, SLUICE_CODEC_AWAY);
}

void conn_abort(struct conn *conn)
{
    if (conn->unsent != 0) {
        conn_flush(conn);
    }
    conn_die(conn);
}

/* Its peer neither sends the rest of a request nor takes its answers, and their memory is wanted. A
 * fetched chunk may be of another loop. */
static bool keeps_memory(const struct conn *conn, int64_t at_ms)
{
    bool sends_nothing = conn->input != NULL && conn->stall == CONN_STALL_NONE && !conn->behind &&
                         conn->pauses == 0 && at_ms - conn->since_ms >= CONN_SILENCE_MS;
    bool takes_nothing = conn->piece_count > 0 && at_ms - conn->taken_ms >= CONN_SILENCE_MS;
    return (sends_nothing && chunk_cache_is_over(conn->input->cache)) ||
           (takes_nothing && chunk_cache_is_over(conn->pieces[conn->piece_head].chunk->cache));
}

/* It must log in, has not, and had the time. */
static bool logs_in_late(const struct conn *conn, int64_t at_ms)
{
    int64_t login_ms = listener_limit(&conn->listener->gate, LISTENER_LIMIT_LOGIN_MS);
    return login_ms > 0 && conn->listener->sasl.mechanisms != 0 &&
           !sasl_session_succeeded(conn->sasl) && at_ms - conn->opened_ms >= login_ms;
}

/* A request that began does not come, or its answers are not taken, however much memory there is.
 */
static enum listener_refusal find_slowness(const struct conn *conn, int64_t at_ms)
{
    if (conn->listener == NULL) {
        return LISTENER_TAKES;
    }
    int64_t request_ms = listener_limit(&conn->listener->gate, LISTENER_LIMIT_REQUEST_MS);
    int64_t answer_ms = listener_limit(&conn->listener->gate, LISTENER_LIMIT_ANSWER_MS);
    bool is_read = conn->stall == CONN_STALL_NONE && conn->pauses == 0;
    if (request_ms > 0 && conn->begun_ms > 0 && is_read && at_ms - conn->begun_ms >= request_ms) {
        return LISTENER_SLOW_REQUEST;
    }
    if (logs_in_late(conn, at_ms)) {
        return LISTENER_SLOW_LOGIN;
    }
    bool is_taken = (conn->piece_count == 0 && !conn_tls_waits_for_room(conn)) ||
                    at_ms - conn->taken_ms < answer_ms;
    return answer_ms > 0 && !is_taken ? LISTENER_SLOW_READER : LISTENER_TAKES;
}

void conn_tick(struct conn *conn, int64_t at_ms)
{
    enum listener_refusal slowness = find_slowness(conn, at_ms);
    if (slowness != LISTENER_TAKES) {
        listener_gate_refused(&conn->listener->gate, slowness, conn->intake->logger,
                              conn->listener->name, conn->peer, at_ms);
        conn_die(conn);
        return;
    }
    bool lingers = conn->closing && at_ms - conn->since_ms >= CONN_LINGER_MS;
    if (lingers || keeps_memory(conn, at_ms) || conn_tls_is_late(conn, at_ms)) {
        conn_die(conn);
    }
}
