/* conn_shared.c: see conn_shared.h. */
#include "intake/conn_shared.h"

#include "intake/conn.h"

#include <sluice/shared_ring.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "as on the socket");

static sl_err check(const struct listener_shared *shared,
                    const struct sluice_shared_request *request)
{
    if (request->lowest > SLUICE_SHARED_VERSION || request->highest < SLUICE_SHARED_VERSION) {
        return SLUICE_E_UNSUPPORTED_VERSION;
    }
    return shared->connections_max == 0 ? SLUICE_E_UNSUPPORTED : SLUICE_OK;
}

/* One of the connections that may have it, and its memory; both are given back by
 * conn_shared_close. */
static sl_err take_place(struct conn *conn)
{
    struct listener_shared *shared = &conn->listener->shared;
    const uint64_t bytes = sluice_shared_bytes(shared->ring_bytes);
    if (atomic_fetch_add_explicit(&shared->count, 1, memory_order_relaxed) >=
        shared->connections_max) {
        atomic_fetch_sub_explicit(&shared->count, 1, memory_order_relaxed);
        return SLUICE_E_LIMIT;
    }
    if (chunk_cache_hold(conn->intake->cache, bytes) != SLUICE_OK) {
        atomic_fetch_sub_explicit(&shared->count, 1, memory_order_relaxed);
        return SLUICE_E_BUSY;
    }
    conn->shared_bytes = bytes;
    return SLUICE_OK;
}

void conn_shared_close(struct conn *conn)
{
    if (conn->shared_bytes > 0) {
        chunk_cache_let_go(conn->intake->cache, conn->shared_bytes);
        atomic_fetch_sub_explicit(&conn->listener->shared.count, 1, memory_order_relaxed);
        conn->shared_bytes = 0;
    }
}

static sl_err share(struct conn *conn, const struct sluice_shared_request *request)
{
    const struct listener_shared *shared = &conn->listener->shared;
    struct sluice_shared_answer answer = {.magic = SLUICE_SHARED_MAGIC,
                                          .version = SLUICE_SHARED_VERSION};
    sl_err err = check(shared, request);
    err = err != SLUICE_OK ? err : take_place(conn);
    if (err == SLUICE_OK) {
        answer.ring_bytes = shared->ring_bytes;
        const struct sl_share how = {.ring_bytes = shared->ring_bytes,
                                     .look_ns = shared->look_ns,
                                     .answer = &answer,
                                     .answer_size = sizeof(answer)};
        err = sl_stream_share(conn->stream, &how);
    }
    if (err != SLUICE_OK) { /* which the peer is told; the socket is as it was */
        struct sl_iovec piece = {&answer, sizeof(answer)};
        size_t sent = 0;
        answer.code = (uint32_t)err;
        answer.ring_bytes = 0;
        atomic_fetch_add_explicit(&conn->listener->shared.refused, 1, memory_order_relaxed);
        (void)!sl_stream_writev(conn->stream, &piece, 1, &sent);
    }
    return err;
}

sl_err conn_shared_look(struct conn *conn, const uint8_t *data, size_t size, size_t *ret_used)
{
    const uint32_t magic = SLUICE_SHARED_MAGIC;
    struct sluice_shared_request request;
    *ret_used = 0;
    if (memcmp(data, &magic, SL_MIN(size, sizeof(magic))) != 0) {
        return SLUICE_OK;
    }
    if (size < sizeof(request)) {
        return SLUICE_E_WOULD_BLOCK;
    }
    memcpy(&request, data, sizeof(request));
    *ret_used = sizeof(request);
    if (size > sizeof(request)) {
        return SLUICE_E_MALFORMED; /* its frames go through the rings, once it has them */
    }
    return share(conn, &request);
}
