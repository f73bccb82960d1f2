/* kafka_call.h: one request under way: its memory, and its answer in its place in the order.
 *
 * A call owns what must live until its answer: a copy of the frame (Produce: only the names), the
 * decoded message, the arrays given to the broker, the response. All of it comes from one bump
 * arena of chained blocks with a cap; nothing is freed singly. Calls are kept and reused. [loop] */
#ifndef KAFKA_CALL_H
#define KAFKA_CALL_H

#include "kafka_frame.h"
#include "kafka_frontend.h"

#define KAFKA_CALL_INLINE_BYTES 3072u        /* enough for a request of a few partitions */
#define KAFKA_CALL_BLOCK_BYTES  (32u << 10)  /* of the first block beyond that */
#define KAFKA_CALL_KEPT_BYTES   (256u << 10) /* a block up to this size stays with an idle call */

struct kafka_block_memory;

struct kafka_call {
    struct kafka_conn *conn;
    struct kafka_call *next; /* in the connection's queue or the idle list */
    const struct kafka_api *api;
    int16_t version;
    bool silent;   /* no response bytes (acks=0) */
    bool answered; /* waits for its turn to be sent */
    bool unfit;    /* a part of the answer had no room */
    int32_t correlation_id;
    int32_t throttle_ms;
    sluice_status failure; /* of a part of it, before the broker was called */
    uint32_t frame_bytes;  /* of the request */
    uint32_t pending;      /* parts of the answer that are not there yet, for handlers of several */
    void *request;         /* decoded message, then whatever the handler puts here */
    void *response;        /* for the handler */
    void *slots;           /* for the handler: where each entry's outcome goes */
    uint8_t *answer;       /* [owned, heap] encoded response that waits for its turn */
    size_t answer_size;
    /* All above is cleared for a new request (kafka_call_new), all below is set or kept. */
    struct kafka_arena arena;         /* the newest block */
    struct kafka_block_memory *block; /* newest first */
    size_t block_bytes;
    _Alignas(max_align_t) uint8_t memory[KAFKA_CALL_INLINE_BYTES];
};

/* A call at the end of the connection's queue; NULL: no memory. */
struct kafka_call *kafka_call_new(struct kafka_conn *conn, const struct kafka_request_head *head);
/* Room for count things of `size` bytes, zeroed, until the call ends. NULL: the call has been
 * failed (connection closed, call gone): the caller returns at once and touches nothing. */
void *kafka_call_take(struct kafka_call *call, int64_t count, size_t size);
/* The same, but a NULL is left to the caller (kafka_call_fail later). */
void *kafka_call_try_take(struct kafka_call *call, int64_t count, size_t size);
/* The same, but not zeroed: for what is initialized whole at once. Never of 0 bytes: where count is
 * 0, it is of somebody's own. */
KAFKA_PRIMITIVE void *kafka_call_room(struct kafka_call *call, int64_t count, size_t size);
/* The same, where the newest block may be full or the count be none. */
void *kafka_call_room_beyond(struct kafka_call *call, int64_t count, size_t size);
/* Decodes the body into call->request, growing the arena up to its cap. */
sluice_status kafka_call_decode(struct kafka_call *call, const uint8_t *body, size_t size);

/* Sends the response when its turn comes, and ends the call. `response` is of the api's response
 * struct; NULL for a silent call. */
void kafka_call_answer(struct kafka_call *call, const void *response);
/* The same for a response that refers to at most splices_max runs of records. */
void kafka_call_answer_spliced(struct kafka_call *call, const void *response, uint32_t splices_max);
/* One of call->pending parts of call->response is in its place; !fits: there was no room for it.
 * The last one answers, or fails the call if one did not fit. A handler that begins several parts
 * counts itself as one: broker calls may end at once. */
void kafka_call_part(struct kafka_call *call, bool fits);
/* Closes the connection with a line in the log, and ends the call. */
void kafka_call_fail(struct kafka_call *call, const char *why, sluice_status status);
/* Ends a call that is not in a queue any more. */
void kafka_call_release(struct kafka_call *call);

KAFKA_PRIMITIVE void *kafka_call_room(struct kafka_call *call, int64_t count, size_t size)
{
    void *room = count > 0 ? kafka_arena_take(&call->arena, (size_t)count, size) : NULL;
    return room != NULL ? room : kafka_call_room_beyond(call, count, size);
}

/* ---- between the SDK's views and the codec's ---- */

static inline struct sluice_text kafka_to_text(struct kafka_bytes bytes)
{
    static const char none[1] = "";
    return bytes.size < 0 ? (struct sluice_text){NULL, 0}
                          : (struct sluice_text){bytes.data ? (const char *)bytes.data : none,
                                                 (uint64_t)bytes.size};
}
/* Null becomes empty. */
static inline struct sluice_text kafka_to_text_or_empty(struct kafka_bytes bytes)
{
    return bytes.size < 0 ? (struct sluice_text){"", 0} : kafka_to_text(bytes);
}
static inline struct sluice_bytes kafka_to_bytes(struct kafka_bytes bytes)
{
    struct sluice_text text = kafka_to_text_or_empty(bytes);
    return (struct sluice_bytes){(const uint8_t *)text.data, text.size};
}
/* data NULL becomes null. */
static inline struct kafka_bytes kafka_of_text(struct sluice_text text)
{
    return text.data == NULL ? kafka_null() : kafka_bytes(text.data, (size_t)text.size);
}
static inline struct kafka_bytes kafka_of_text_or_empty(struct sluice_text text)
{
    return kafka_bytes(text.data, (size_t)text.size);
}
static inline struct kafka_bytes kafka_of_bytes(struct sluice_bytes bytes)
{
    return kafka_bytes(bytes.data, (size_t)bytes.size);
}
/* Null when there is nothing to say. */
static inline struct kafka_bytes kafka_of_reason(struct sluice_text text)
{
    return text.size == 0 ? kafka_null() : kafka_of_text(text);
}
static inline struct sluice_uuid kafka_to_uuid(struct kafka_uuid uuid)
{
    struct sluice_uuid copy;
    memcpy(copy.bytes, uuid.b, sizeof(copy.bytes));
    return copy;
}
static inline struct kafka_uuid kafka_of_uuid(struct sluice_uuid uuid)
{
    struct kafka_uuid copy;
    memcpy(copy.b, uuid.bytes, sizeof(copy.b));
    return copy;
}
/* A copy that lives as long as the call. false: no room; the call goes on. */
bool kafka_call_copy(struct kafka_call *call, struct kafka_bytes view,
                     struct kafka_bytes *ret_copy);

/* The broker of the call and the context to pass to it. */
static inline const struct sluice_broker *kafka_call_broker(const struct kafka_call *call)
{
    return call->conn->frontend->broker;
}
static inline const struct sluice_context *kafka_call_context(const struct kafka_call *call)
{
    return &call->conn->context;
}

#endif
