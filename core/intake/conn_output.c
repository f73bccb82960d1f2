/* conn_output.c: see conn_output.h. */
#include "intake/conn_output.h"

#include <string.h>

void conn_output_init(struct conn *conn)
{
    conn->pieces = &conn->first_piece;
    conn->piece_capacity = 1;
}

void conn_output_free(struct conn *conn)
{
    if (conn->pieces != &conn->first_piece) {
        sl_free(conn->pieces);
    }
}

static sl_err grow_pieces(struct conn *conn)
{
    if (conn->piece_count < conn->piece_capacity) {
        return SLUICE_OK;
    }
    uint32_t capacity = conn->piece_capacity == 1 ? 8 : conn->piece_capacity * 2;
    struct conn_piece *pieces = sl_alloc_zero(capacity, sizeof(*pieces));
    if (pieces == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    for (uint32_t i = 0; i < conn->piece_count; i++) {
        pieces[i] = conn->pieces[(conn->piece_head + i) & (conn->piece_capacity - 1)];
    }
    conn_output_free(conn);
    conn->pieces = pieces;
    conn->piece_capacity = capacity;
    conn->piece_head = 0;
    return SLUICE_OK;
}

/* [takes chunk] */
static sl_err push_piece(struct conn *conn, struct chunk *chunk, const uint8_t *data, size_t size)
{
    sl_err err = grow_pieces(conn);
    if (err != SLUICE_OK) {
        chunk_unref(chunk);
        return err;
    }
    if (conn->piece_count == 0) {
        conn->taken_ms = conn_now_ms(conn);
    }
    *conn_output_piece(conn, conn->piece_count++) = (struct conn_piece){chunk, data, size};
    conn->output_bytes += size;
    return SLUICE_OK;
}

/* Where so many bytes go on behind the last piece; NULL: nowhere. */
static uint8_t *extend_last(struct conn *conn, size_t size)
{
    if (conn->piece_count == 0) {
        return NULL;
    }
    struct conn_piece *last = conn_output_piece(conn, conn->piece_count - 1);
    uint8_t *end = last->chunk->data + conn->tail_used;
    if (conn->tail_open && conn->tail_used + size <= last->chunk->size) {
        conn->tail_used += size;
    } else if (!conn_stage_extend(&conn->intake->stage, last->data + last->size, size, &end)) {
        return NULL;
    }
    last->size += size;
    conn->output_bytes += size;
    return end;
}

/* In a chunk that others use too, or in one of its own, behind which it may go on. */
static sl_err push_place(struct conn *conn, size_t size, uint8_t **ret_place)
{
    struct chunk *chunk = NULL;
    bool shares = conn->piece_count == 0 && size <= CONN_STAGE_SHARE_BYTES;
    sl_err err = shares ? conn_stage_place(&conn->intake->stage, size, &chunk, ret_place)
                        : chunk_new(conn->intake->cache, size, &chunk);
    if (err != SLUICE_OK) {
        return err;
    }
    *ret_place = shares ? *ret_place : chunk->data;
    err = push_piece(conn, chunk, *ret_place, size);
    conn->tail_open = !shares && err == SLUICE_OK;
    conn->tail_used = size;
    return err;
}

static sl_err push_copy(struct conn *conn, struct sluice_bytes bytes)
{
    uint8_t *place = extend_last(conn, bytes.size);
    sl_err err = place != NULL ? SLUICE_OK : push_place(conn, bytes.size, &place);
    if (err == SLUICE_OK) {
        memcpy(place, bytes.data, bytes.size);
    }
    return err;
}

struct chunk *conn_output_chunk(const struct conn *conn, const struct sluice_piece *piece)
{
    const struct intake *intake = conn->intake;
    struct chunk *chunk =
        piece->token > intake->token_count ? NULL : intake->tokens[piece->token - 1];
    bool holds = chunk != NULL && piece->bytes.data >= chunk->data &&
                 piece->bytes.data + piece->bytes.size <= chunk->data + chunk->size;
    return holds ? chunk : NULL;
}

sl_err conn_output_push(struct conn *conn, const struct sluice_piece *piece, size_t skip)
{
    size_t size = (size_t)piece->bytes.size - skip;
    if (size == 0) {
        return SLUICE_OK;
    }
    const uint8_t *data = piece->bytes.data + skip;
    if (piece->token == 0) {
        return push_copy(conn, (struct sluice_bytes){data, size});
    }
    struct chunk *chunk = conn_output_chunk(conn, piece);
    if (chunk == NULL) {
        return SLUICE_E_INVALID;
    }
    conn->tail_open = false;
    return push_piece(conn, chunk_ref(chunk), data, size);
}

void conn_output_advance(struct conn *conn, size_t size)
{
    bool is_all = size == conn->output_bytes; /* the next that is queued sets taken_ms */
    conn->taken_ms = size > 0 && !is_all ? conn_now_ms(conn) : conn->taken_ms;
    conn->output_bytes -= size;
    conn->intake->bytes_out_total += size;
    while (size > 0) {
        struct conn_piece *piece = conn_output_piece(conn, 0);
        if (size < piece->size) {
            piece->data += size;
            piece->size -= size;
            return;
        }
        size -= piece->size;
        chunk_unref(piece->chunk);
        conn->piece_head = (conn->piece_head + 1) & (conn->piece_capacity - 1);
        conn->piece_count--;
    }
    if (conn->piece_count == 0) {
        conn->tail_open = false;
    }
}

void conn_output_drop(struct conn *conn)
{
    while (conn->piece_count > 0) {
        chunk_unref(conn->pieces[conn->piece_head].chunk);
        conn->piece_head = (conn->piece_head + 1) & (conn->piece_capacity - 1);
        conn->piece_count--;
    }
    conn->output_bytes = 0;
    conn->tail_open = false;
}
