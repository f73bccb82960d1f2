/* conn.h: one connection between a socket and a frontend.
 *
 *   socket ─► input chunk ─► frontend.conn_input ─► (broker calls) ─► conn_write ─► output queue ─►
 * socket
 *
 * Between the socket and the chunk, and before the queue, there may be TLS (conn_tls.h) and a codec
 * (conn_upgrade.h): the frontend sees bytes of its protocol all the same.
 *
 * Input is fed in order; what the frontend does not consume stays. While a connection is not read,
 * TCP's window tells the peer. Each stop is counted by its cause:
 *
 *   output    more than CONN_OUTPUT_HIGH is not yet taken by the peer; nothing is fed either
 *   log       its records are not yet durable, and it has sent as much ahead as its frontend takes,
 *             or memory is scarce
 *   frontend  its frontend paused it for another reason
 *   memory    the loop's memory is used up
 *
 * Who gets memory, by how much of the loop's budget is in use (budget/chunk.h):
 *
 *   up to half         everybody
 *   up to all of it    who has no records on their way to the log: however much others send ahead,
 *                      a newcomer finds memory
 *   more               one connection, the exempt one, whose request may exceed the budget; then,
 *                      when all that it holds is free again, the next in line. So requests that are
 *                      half there end, one after the other. And a few of urgent frontends.
 *
 * Who sends more than its turn's CONN_TURN_CALLS requests or CONN_TURN_BYTES goes on behind the
 * others, and is not read before.
 *
 * Into memory that it has, a connection is read even while it is paused, so that a peer that goes
 * away during a long poll is noticed. All on the connection's loop. */
#ifndef SL_INTAKE_CONN_H
#define SL_INTAKE_CONN_H

#include "budget/chunk.h"
#include "intake/frontend.h"
#include "intake/listener.h"

/* Read at once for small requests: at most, and at least. A connection begins with little and
 * gets as much as it sends: a thousand that wait for an acknowledgement hold a page or so each. */
#define CONN_INPUT_BYTES     (64u << 10)
#define CONN_INPUT_BYTES_MIN CHUNK_BYTES_MIN
#define CONN_TURN_BYTES      (1u << 20) /* read in one turn of the loop before others have theirs */
#define CONN_TURN_CALLS      64u        /* of its frontend, likewise: requests, as a rule */
#define CONN_URGENT_MAX      64u        /* of a loop, that read although the budget is used up */
#define CONN_OUTPUT_HIGH     (256u << 10) /* queued bytes above which nothing more is served */
/* Of its state in the frontend, what is fetched into the cache before a request and an answer. */
#define CONN_STATE_AHEAD 256u
#define CONN_PIECES_MAX  64u  /* given to the socket at once */
#define CONN_LINGER_MS   2000 /* a closed connection's output is taken by then, or dropped */
/* Over the memory budget, a peer sends the rest of its request and takes its answers, or is closed:
 * by then it must have moved something. */
#define CONN_SILENCE_MS 5000

/* Why a connection is not being read; the order is that of the metric's labels. */
enum conn_stall {
    CONN_STALL_NONE,
    CONN_STALL_FRONTEND,
    CONN_STALL_OUTPUT,
    CONN_STALL_MEMORY,
    CONN_STALL_LOG,
    CONN_STALL_COUNT
};
const char *conn_stall_name(enum conn_stall stall);

/* Bytes to send: a part of a chunk, of which it holds a reference. */
struct conn_piece {
    struct chunk *chunk;
    const uint8_t *data;
    size_t size;
};

struct conn {
    struct intake *intake;
    struct frontend *frontend;
    struct listener *listener; /* a reference; NULL: nothing is asked of its peers */
    struct conn *next_stalled; /* in intake->stalled while stall is CONN_STALL_MEMORY */
    struct sl_stream *stream;
    struct conn_tls *tls;         /* owned; NULL: the stream has plaintext */
    struct conn_upgrade *upgrade; /* owned; NULL: its frontend is the one that it came to */
    void *state;                  /* the frontend's */
    struct sasl_session *sasl;    /* owned; NULL: it has not begun to log in */
    uint64_t token;
    struct chunk *input;       /* NULL while nothing is buffered */
    size_t input_start;        /* first unconsumed byte */
    size_t input_end;          /* end of what was read */
    size_t wanted;             /* call the frontend again from so many bytes on */
    size_t input_bytes;        /* of the next chunk, when nothing asks for more */
    struct conn_piece *pieces; /* ring of piece_capacity, a power of two; first_piece at first */
    struct conn_piece first_piece;
    uint32_t piece_capacity;
    uint32_t piece_head;
    uint32_t piece_count;
    size_t output_bytes; /* queued */
    size_t tail_used;    /* of the last piece's chunk, when that is open for small writes */
    bool tail_open;
    bool writing;          /* waits for events.writable */
    bool feeding;          /* inside conn_input */
    bool behind;           /* its turn was over before its input was: read_task goes on with that */
    bool resumed;          /* during the conn_input that runs */
    bool closing;          /* close when the output is sent */
    bool dead;             /* freed at the end of the turn */
    bool ended;            /* read_task closes it: its output is gone, or cannot go */
    bool read_posted;      /* read_task is on its way */
    bool received;         /* in the stage's list */
    bool free_due;         /* who has it listed, or read_task, frees it */
    bool may_share;        /* nothing came yet: it may ask for shared memory */
    bool urgent;           /* counted in intake->urgent_count while it holds input */
    uint64_t shared_bytes; /* of its rings, held of the budget; 0: it has none */
    uint32_t unsent;       /* 1 + its place in the stage's list; 0: not there */
    uint32_t pauses;
    uint32_t produces; /* requests whose records are not yet durable or refused */
    enum conn_stall stall;
    int64_t opened_ms; /* monotonic: it was accepted */
    int64_t taken_ms;  /* monotonic: the peer took output last, or the queue was empty */
    int64_t begun_ms;  /* monotonic: the request that is not complete began to come; 0: none */
    int64_t since_ms;  /* monotonic: of the close that waits, else of the last input or wake */
    struct sl_task close_task;
    struct sl_task read_task; /* goes on without an event of the socket: a TLS session has input, or
                                 it is behind */
    char peer[64];
};

static inline int64_t conn_now_ms(const struct conn *conn)
{
    return sl_loop_now_ns(conn->intake->loop) / 1000000;
}

/* Takes the descriptor, tells the frontend, starts reading. listener may be NULL. [takes
 * descriptor]
 */
void conn_start(struct intake *intake, struct frontend *frontend, struct listener *listener,
                int descriptor, const char *peer);
/* See <sluice/frontend.h>. */
sluice_status conn_write(struct conn *conn, const struct sluice_piece *pieces, uint32_t count);
/* Past the codec; the connection is neither dead nor closing. */
sluice_status conn_write_raw(struct conn *conn, const struct sluice_piece *pieces, uint32_t count);
void conn_close(struct conn *conn);
void conn_pause(struct conn *conn);
void conn_resume(struct conn *conn);
/* Its frontend goes: lets it say so, then closes. */
void conn_dismiss(struct conn *conn);
/* Closes now; what is queued is dropped. */
void conn_abort(struct conn *conn);
/* Closes it when it has kept memory or its end waiting for too long. */
void conn_tick(struct conn *conn, int64_t at_ms);
/* Records of it go to the log; they are durable or refused, and their memory is free soon. */
void conn_produce_begins(struct conn *conn);
void conn_produce_ended(struct conn *conn);
/* Reads again if nothing holds it back any more. */
void conn_wake(struct conn *conn);
/* For the stage: offers what was received to the frontend. */
void conn_serve(struct conn *conn);
/* For the stage: sends what is queued. If that ends the connection, it closes by a task. */
void conn_send(struct conn *conn);
/* A step of its handshake ended. */
void conn_go_on(struct conn *conn);
/* It need not wait for memory any more: there is some, or it is the exempt one. */
void conn_relieve(struct conn *conn, bool exempt);

#endif
