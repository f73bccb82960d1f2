/* kafka_call.c: see kafka_call.h. */
#include "kafka_call.h"

#include "kafka_throttle.h"

#include <stdlib.h>

#define AHEAD_BYTES 768u

struct kafka_block_memory {
    struct kafka_block_memory *next;
    size_t size; /* of data */
    _Alignas(max_align_t) uint8_t data[];
};

/* ---- memory ---- */

static void give_block(struct kafka_call *call, struct kafka_block_memory *block)
{
    call->block_bytes -= block->size;
    call->conn->frontend->call_bytes -= block->size;
    free(block);
}

static bool block_add(struct kafka_call *call, size_t size)
{
    struct kafka_frontend *frontend = call->conn->frontend;
    struct kafka_block_memory *block;

    if (size > KAFKA_CALL_BYTES_MAX || call->block_bytes + size > KAFKA_CALL_BYTES_MAX ||
        frontend->call_bytes + size > KAFKA_INSTANCE_BYTES_MAX) {
        return false;
    }
    block = malloc(sizeof(*block) + size);
    if (block == NULL) {
        return false;
    }
    block->next = call->block;
    block->size = size;
    call->block = block;
    call->block_bytes += size;
    frontend->call_bytes += size;
    call->arena = kafka_arena(block->data, size);
    return true;
}

/* The size of the next block: it grows with the call. */
static size_t next_block_size(const struct kafka_call *call)
{
    return call->block_bytes < KAFKA_CALL_BLOCK_BYTES ? KAFKA_CALL_BLOCK_BYTES : call->block_bytes;
}

void *kafka_call_room_beyond(struct kafka_call *call, int64_t count, size_t size)
{
    size_t bytes;
    size_t grown = next_block_size(call);
    void *room;

    if (count < 0 || __builtin_mul_overflow((uint64_t)count, size, &bytes) ||
        bytes > KAFKA_CALL_BYTES_MAX) {
        return NULL;
    }
    bytes += bytes == 0;
    room = kafka_arena_take(&call->arena, bytes, 1);
    if (room != NULL) {
        return room;
    }
    if (!block_add(call, grown > bytes + 64 ? grown : bytes + 64)) {
        return NULL;
    }
    return kafka_arena_take(&call->arena, bytes, 1);
}

void *kafka_call_try_take(struct kafka_call *call, int64_t count, size_t size)
{
    void *room = kafka_call_room(call, count, size);

    if (room != NULL) {
        memset(room, 0, (size_t)count * size);
    }
    return room;
}

void *kafka_call_take(struct kafka_call *call, int64_t count, size_t size)
{
    void *room = kafka_call_try_take(call, count, size);
    if (room == NULL) {
        kafka_call_fail(call, "the request needs more memory than it may take", SLUICE_E_LIMIT);
    }
    return room;
}

bool kafka_call_copy(struct kafka_call *call, struct kafka_bytes view, struct kafka_bytes *ret_copy)
{
    uint8_t *data;

    if (view.size <= 0) {
        *ret_copy = view;
        return true;
    }
    data = kafka_call_room(call, view.size, 1);
    if (data == NULL) {
        return false;
    }
    memcpy(data, view.data, (size_t)view.size);
    *ret_copy = kafka_bytes(data, (size_t)view.size);
    return true;
}

sluice_status kafka_call_decode(struct kafka_call *call, const uint8_t *body, size_t size)
{
    sluice_status status;
    size_t consumed;

    call->request = kafka_call_room(call, 1, call->api->request->size);
    if (call->request == NULL) {
        return SLUICE_E_LIMIT;
    }
    for (;;) {
        status = call->api->request->decode(body, size, call->version, &call->arena, call->request,
                                            &consumed);
        if (status != SLUICE_E_LIMIT || !block_add(call, next_block_size(call) * 2)) {
            return status;
        }
    }
}

/* ---- life ---- */

/* In halves, as compilers write so much as stores, and a little more as a loop (rep stos), which
 * takes longer to begin than all of this. */
static void clear(struct kafka_call *call)
{
    memset(call, 0, offsetof(struct kafka_call, request));
    memset(&call->request, 0,
           offsetof(struct kafka_call, arena) - offsetof(struct kafka_call, request));
}

/* What a small request uses of the next idle call comes into the cache while this one is worked on.
 */
static void fetch_ahead(const struct kafka_call *call)
{
    for (uintptr_t at = 0; at < AHEAD_BYTES; at += KAFKA_LINE_BYTES) {
        __builtin_prefetch((const void *)((uintptr_t)call + at),
                           1); /* of NULL, too: nothing is read */
    }
}

struct kafka_call *kafka_call_new(struct kafka_conn *conn, const struct kafka_request_head *head)
{
    struct kafka_frontend *frontend = conn->frontend;
    struct kafka_call *call = frontend->idle_calls;
    struct kafka_block_memory *kept = NULL;

    if (call != NULL) {
        frontend->idle_calls = call->next;
        frontend->idle_call_count--;
        fetch_ahead(frontend->idle_calls);
        kept = call->block;
    } else {
        call = malloc(sizeof(*call));
        if (call == NULL) {
            return NULL;
        }
    }
    clear(call);
    call->conn = conn;
    call->api = head->api;
    call->version = head->version;
    call->correlation_id = head->correlation_id;
    call->block = kept;
    call->block_bytes = kept == NULL ? 0 : kept->size;
    call->arena = kept == NULL ? kafka_arena(call->memory, sizeof(call->memory))
                               : kafka_arena(kept->data, kept->size);
    if (conn->last != NULL) {
        conn->last->next = call;
    } else {
        conn->first = call;
    }
    conn->last = call;
    conn->call_count++;
    kafka_conn_ref(conn);
    return call;
}

/* Frees all blocks but one of moderate size, where few others have one. */
static void trim(struct kafka_call *call)
{
    bool keeps = call->conn->frontend->idle_call_count < KAFKA_BLOCKS_KEPT;
    struct kafka_block_memory *kept = NULL;

    while (call->block != NULL) {
        struct kafka_block_memory *block = call->block;
        call->block = block->next;
        if (keeps && kept == NULL && block->size <= KAFKA_CALL_KEPT_BYTES) {
            kept = block;
        } else {
            give_block(call, block);
        }
    }
    if (kept != NULL) {
        kept->next = NULL;
    }
    call->block = kept;
}

void kafka_frontend_free_calls(struct kafka_frontend *frontend)
{
    while (frontend->idle_calls != NULL) {
        struct kafka_call *call = frontend->idle_calls;
        frontend->idle_calls = call->next;
        free(call->block);
        free(call);
    }
    frontend->idle_call_count = 0;
}

void kafka_call_release(struct kafka_call *call)
{
    struct kafka_conn *conn = call->conn;
    struct kafka_frontend *frontend = conn->frontend;

    if (call->answer != NULL) {
        free(call->answer);
        call->answer = NULL;
    }
    if (call->block != NULL) {
        trim(call);
    }
    if (frontend->idle_call_count < KAFKA_CALLS_KEPT) {
        call->next = frontend->idle_calls;
        frontend->idle_calls = call;
        frontend->idle_call_count++;
    } else {
        if (call->block != NULL) {
            give_block(call, call->block);
        }
        free(call);
    }
    kafka_conn_unref(conn);
}

/* ---- answer ---- */

static void write_out(struct kafka_conn *conn, const struct sluice_piece *pieces, uint32_t count)
{
    const struct sluice_frontend_host *io = conn->frontend->io;
    if (kafka_conn_is_open(conn)) {
        /* A refusal means that the connection is gone: conn_closed follows or has been. */
        (void)io->conn_write(io, conn->context.connection, pieces, count);
    }
}

/* Sends what the instance's writer holds, records by reference. */
static sluice_status send_pieces(struct kafka_call *call)
{
    struct kafka_writer *writer = &call->conn->frontend->writer;
    uint32_t pieces_max = 2 * writer->splices_count + 1;
    struct kafka_piece *own = kafka_call_room(call, pieces_max, sizeof(*own));
    struct sluice_piece *pieces = kafka_call_room(call, pieces_max, sizeof(*pieces));
    uint32_t count = 0;
    sluice_status status;

    if (own == NULL || pieces == NULL) {
        return SLUICE_E_LIMIT;
    }
    status = kafka_writer_pieces(writer, own, pieces_max, &count);
    if (status != SLUICE_OK) {
        return status;
    }
    for (uint32_t i = 0; i < count; i++) {
        pieces[i] = (struct sluice_piece){{own[i].data, own[i].size}, own[i].token};
    }
    write_out(call->conn, pieces, count);
    return SLUICE_OK;
}

/* The same, where all bytes are the writer's. */
static sluice_status send_whole(struct kafka_call *call)
{
    const struct kafka_writer *writer = &call->conn->frontend->writer;
    const struct sluice_piece whole = {{writer->data, writer->size}, 0};

    write_out(call->conn, &whole, 1);
    return SLUICE_OK;
}

static sluice_status send_answer(struct kafka_call *call)
{
    return call->conn->frontend->writer.splices_count > 0 ? send_pieces(call) : send_whole(call);
}

#define WRITER_KEPT_BYTES (1u << 20) /* a larger buffer is not kept between responses */
#define SPLICE_BYTES_MIN  1024u      /* shorter records are copied into the response */

static sluice_status encode(struct kafka_call *call, const void *response, uint32_t splices_max)
{
    struct kafka_writer *writer = &call->conn->frontend->writer;
    struct kafka_splice *splices = NULL;

    if (splices_max > 0) {
        splices = kafka_call_room(call, splices_max, sizeof(*splices));
        if (splices == NULL) {
            return SLUICE_E_LIMIT;
        }
    }
    kafka_writer_reset(writer);
    kafka_writer_set_splices(writer, splices, splices_max, SPLICE_BYTES_MIN);
    return kafka_response_encode(writer, call->api, call->version, call->correlation_id, response);
}

static void tidy_writer(struct kafka_writer *writer)
{
    if (writer->capacity > WRITER_KEPT_BYTES) {
        kafka_writer_fini(writer);
        kafka_writer_init(writer, KAFKA_RESPONSE_BYTES_MAX);
    }
}

/* Keeps the encoded response until those before it have been sent. */
static sluice_status keep_answer(struct kafka_call *call)
{
    const struct kafka_writer *writer = &call->conn->frontend->writer;
    call->answer = malloc(writer->size);
    if (call->answer == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    memcpy(call->answer, writer->data, writer->size);
    call->answer_size = writer->size;
    return SLUICE_OK;
}

/* The first call of the queue is done. */
static void finish_first(struct kafka_call *call)
{
    struct kafka_conn *conn = call->conn;
    int32_t throttle_ms = call->throttle_ms;

    kafka_conn_pop(conn);
    kafka_call_release(call);
    if (throttle_ms > 0 && kafka_conn_is_open(conn)) {
        kafka_conn_mute(conn, throttle_ms);
    }
}

/* Sends what waited behind a call that is done now. Writing may close the connection, which then
 * leaves calls alone that are not marked answered: hence the mark is taken off before. */
static void send_waiting(struct kafka_conn *conn)
{
    while (conn->first != NULL && conn->first->answered) {
        struct kafka_call *call = conn->first;
        struct sluice_piece piece = {{call->answer, call->answer_size}, 0};
        call->answered = false;
        if (call->answer != NULL) {
            write_out(conn, &piece, 1);
        }
        if (conn->closed) {
            kafka_call_release(call);
            return;
        }
        finish_first(call);
    }
}

/* The call's outcome has been written or is kept in it. */
static void settle_call(struct kafka_call *call)
{
    struct kafka_conn *conn = call->conn;

    if (conn->closed) {
        kafka_call_release(call);
    } else if (conn->first == call) {
        finish_first(call);
        send_waiting(conn);
        kafka_conn_settle(conn);
    } else {
        call->answered = true;
    }
}

static sluice_status encode_and_send(struct kafka_call *call, const void *response,
                                     uint32_t splices_max)
{
    bool first = call->conn->first == call;
    sluice_status status = encode(call, response, first ? splices_max : 0);

    if (status == SLUICE_OK) {
        status = first ? send_answer(call) : keep_answer(call);
    }
    tidy_writer(&call->conn->frontend->writer);
    return status;
}

void kafka_call_answer_spliced(struct kafka_call *call, const void *response, uint32_t splices_max)
{
    struct kafka_conn *conn = call->conn;
    sluice_status status = SLUICE_OK;

    bool timed;

    kafka_conn_ref(conn);
    timed = kafka_throttle_begin(conn);
    if (!call->silent && kafka_conn_is_open(conn)) {
        kafka_throttle_answer(call, response);
        status = encode_and_send(call, response, splices_max);
    }
    if (status != SLUICE_OK) {
        kafka_conn_fail(conn, "the response cannot be encoded", status);
    }
    kafka_throttle_end(conn, timed);
    settle_call(call);
    kafka_conn_unref(conn);
}

void kafka_call_answer(struct kafka_call *call, const void *response)
{
    kafka_call_answer_spliced(call, response, 0);
}

void kafka_call_part(struct kafka_call *call, bool fits)
{
    call->unfit = call->unfit || !fits;
    if (--call->pending > 0) {
        return;
    }
    if (call->unfit) {
        kafka_call_fail(call, "the parts of an answer do not fit", SLUICE_E_LIMIT);
        return;
    }
    kafka_call_answer(call, call->response);
}

void kafka_call_fail(struct kafka_call *call, const char *why, sluice_status status)
{
    struct kafka_conn *conn = call->conn;

    kafka_conn_ref(conn);
    call->silent = true;
    kafka_conn_fail(conn, why, status);
    settle_call(call);
    kafka_conn_unref(conn);
}
