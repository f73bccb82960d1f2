/* conn_upgrade.c: see conn_upgrade.h. */
#include "intake/conn_upgrade.h"

#include "intake/conn.h"
#include "intake/conn_tls.h"
#include "intake/listener_tls.h"

struct conn_upgrade {
    const struct sluice_codec *codec;
    void *state;            /* of the codec, owned */
    struct frontend *heir;  /* the hand-over is due; counted among its connections; NULL: done */
    struct listener *entry; /* likewise: of the heir, a reference, entered; NULL: it has none */
    bool over;              /* the codec takes nothing more */
};

/* ---- the hand-over ---- */

static struct frontend *find_heir(const struct intake *intake, const char *protocol)
{
    struct frontend *frontend = intake->frontends;
    while (frontend != NULL && !frontend_speaks(frontend, protocol)) {
        frontend = frontend->next;
    }
    return frontend;
}

/* Nobody gets in this way who would not at the listener itself. */
static bool is_safe_for(const struct conn *conn, const struct listener *listener)
{
    const struct listener_tls *asked = listener->tls;
    bool shows_who = asked == NULL || asked->client_auth != TLS_CLIENT_REQUIRED ||
                     conn_tls_principal(conn) != NULL;
    return !listener->is_local && (asked == NULL || (conn->tls != NULL && shows_who));
}

/* One connection more of the heir's listener. */
static sluice_status enter(struct conn *conn, struct listener *listener)
{
    if (listener == NULL) {
        return SLUICE_OK;
    }
    if (!is_safe_for(conn, listener)) {
        return SLUICE_E_PERMISSION;
    }
    enum listener_refusal refusal = listener_gate_enter(&listener->gate, conn->peer);
    if (refusal != LISTENER_TAKES) {
        listener_gate_refused(&listener->gate, refusal, conn->intake->logger, listener->name,
                              conn->peer, conn_now_ms(conn));
        return SLUICE_E_TOO_MANY_CONNECTIONS;
    }
    listener_ref(listener);
    return SLUICE_OK;
}

static void leave(struct conn *conn, struct listener *listener)
{
    if (listener != NULL) {
        listener_gate_leave(&listener->gate, conn->peer);
        listener_unref(listener);
    }
}

sluice_status conn_upgrade_begin(struct conn *conn, const char *protocol,
                                 const struct sluice_codec *codec, void *state,
                                 struct sluice_bytes answer)
{
    struct frontend *heir = find_heir(conn->intake, protocol);
    if (!conn->feeding || conn->pauses > 0 || conn->upgrade != NULL ||
        codec->size < sizeof(*codec)) {
        return SLUICE_E_INVALID;
    }
    if (conn->dead || conn->closing) {
        return SLUICE_E_CANCELLED;
    }
    if (heir == NULL) {
        return SLUICE_E_NOT_FOUND;
    }
    struct conn_upgrade *upgrade = sl_alloc_zero(1, sizeof(*upgrade));
    sluice_status status = upgrade == NULL ? SLUICE_E_NO_MEMORY : enter(conn, heir->listener);
    if (status != SLUICE_OK) {
        sl_free(upgrade);
        return status;
    }
    const struct sluice_piece piece = {.bytes = answer};
    status = conn_write(conn, &piece, 1);
    if (status != SLUICE_OK) {
        leave(conn, heir->listener);
        sl_free(upgrade);
        return SLUICE_E_CANCELLED;
    }
    *upgrade = (struct conn_upgrade){
        .codec = codec, .state = state, .heir = heir, .entry = heir->listener};
    heir->connection_count++;
    conn->upgrade = upgrade;
    return SLUICE_OK;
}

bool conn_upgrade_is_due(const struct conn *conn)
{
    return conn->upgrade != NULL && conn->upgrade->heir != NULL;
}

/* Of what was read before, what the codec makes of it. */
static void decode_rest(struct conn *conn)
{
    struct conn_upgrade *upgrade = conn->upgrade;
    size_t have = conn->input_end - conn->input_start;
    uint64_t size = 0;
    if (have > 0) {
        uint8_t *data = conn->input->data + conn->input_start;
        upgrade->over = upgrade->codec->decode(upgrade->state, data, have, &size) != SLUICE_OK;
        SL_ASSERT(size <= have);
        conn->input_end = conn->input_start + (size_t)size;
    }
}

void conn_upgrade_finish(struct conn *conn)
{
    struct conn_upgrade *upgrade = conn->upgrade;
    struct frontend *before = conn->frontend;
    before->ops->conn_closed(before->self, conn->state);
    conn->state = NULL;
    conn->frontend = upgrade->heir;
    upgrade->heir = NULL;
    if (upgrade->entry != NULL) {
        leave(conn, conn->listener);
        conn->listener = upgrade->entry;
        upgrade->entry = NULL;
    }
    conn->intake->upgraded_total++;
    decode_rest(conn);
    frontend_connection_gone(before);
}

void conn_upgrade_drop(struct conn *conn)
{
    struct conn_upgrade *upgrade = conn->upgrade;
    if (upgrade == NULL) {
        return;
    }
    upgrade->codec->free(upgrade->state);
    leave(conn, upgrade->entry);
    if (upgrade->heir != NULL) {
        frontend_connection_gone(upgrade->heir);
    }
    sl_free(upgrade);
    conn->upgrade = NULL;
}

/* ---- the codec ---- */

bool conn_has_codec(const struct conn *conn)
{
    return conn->upgrade != NULL && conn->upgrade->heir == NULL;
}

bool conn_codec_is_over(const struct conn *conn)
{
    return conn_has_codec(conn) && conn->upgrade->over;
}

size_t conn_codec_head(struct conn *conn, size_t size, uint8_t ret_head[SLUICE_CODEC_BYTES_MAX])
{
    uint64_t head = conn->upgrade->codec->head(conn->upgrade->state, size, ret_head);
    SL_ASSERT(head <= SLUICE_CODEC_BYTES_MAX);
    return (size_t)head;
}

/* What the codec has to say by itself. To a peer that does not read, later: before what is sent
 * next. */
static void speak(struct conn *conn)
{
    uint8_t said[SLUICE_CODEC_BYTES_MAX];
    size_t size = conn->output_bytes > CONN_OUTPUT_HIGH ? 0 : conn_codec_head(conn, 0, said);
    const struct sluice_piece piece = {.bytes = {said, size}};
    if (size > 0) {
        /* A connection that fails is dead then, which the caller looks at. */
        (void)conn_write_raw(conn, &piece, 1);
    }
}

void conn_codec_end(struct conn *conn, int32_t why)
{
    uint8_t said[SLUICE_CODEC_BYTES_MAX];
    if (!conn_has_codec(conn)) {
        return;
    }
    uint64_t size = conn->upgrade->codec->tail(conn->upgrade->state, why, said);
    SL_ASSERT(size <= SLUICE_CODEC_BYTES_MAX);
    const struct sluice_piece piece = {.bytes = {said, size}};
    if (size > 0) {
        (void)conn_write_raw(conn, &piece, 1);
    }
}

/* One read; size 0: nothing of it is the frontend's. */
static sl_err read_some(struct conn *conn, void *buffer, size_t size, size_t *ret_size)
{
    struct conn_upgrade *upgrade = conn->upgrade;
    size_t raw = 0;
    uint64_t decoded = 0;
    sl_err err = conn_wire_read(conn, buffer, size, &raw);
    if (err == SLUICE_OK && raw == 0) {
        return SLUICE_E_NETWORK; /* its end, without a word */
    }
    if (err == SLUICE_OK) {
        upgrade->over = upgrade->codec->decode(upgrade->state, buffer, raw, &decoded) != SLUICE_OK;
        SL_ASSERT(decoded <= raw);
        speak(conn);
        err = conn->dead ? SLUICE_E_CANCELLED : SLUICE_OK;
    }
    *ret_size = (size_t)decoded;
    return err;
}

sl_err conn_codec_read(struct conn *conn, void *buffer, size_t size, size_t *ret_size)
{
    if (!conn_has_codec(conn)) {
        return conn_wire_read(conn, buffer, size, ret_size);
    }
    for (uint32_t i = 0; i < CODEC_READS_MAX; i++) {
        sl_err err = read_some(conn, buffer, size, ret_size);
        if (err != SLUICE_OK || *ret_size > 0 || conn->upgrade->over) {
            return err;
        }
    }
    return SLUICE_E_WOULD_BLOCK; /* the wire tells again that there is more */
}
