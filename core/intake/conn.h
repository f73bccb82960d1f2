/* conn.h: one connection between a socket and a frontend.
 *
 *   socket ─► input chunk ─► frontend.conn_input ─► (broker calls) ─► conn_write ─► output queue ─►
 * socket
 *
 * Input is fed in order; what the frontend does not consume stays. Reading stops, and TCP's window
 * tells the peer, while: the frontend paused the connection and the input chunk is full, its output
 * queue is above CONN_OUTPUT_HIGH, or the loop's memory budget is used up. The cause of a stop is
 * counted by name. A paused connection reads ahead into the chunk that it has, so that a peer that
 * goes away during a long poll is noticed. Nothing is fed while the output is above its bound.
 * All on the connection's loop. */
#ifndef SL_INTAKE_CONN_H
#define SL_INTAKE_CONN_H

#include "budget/chunk.h"
#include "intake/frontend.h"

#define CONN_INPUT_BYTES (64u << 10) /* read at once for small requests */
#define CONN_TURN_BYTES  (1u << 20)  /* read in one turn of the loop before others have theirs */
#define CONN_OUTPUT_HIGH (4u << 20)  /* queued bytes above which nothing more is read */
#define CONN_PIECES_MAX  64u         /* given to the socket at once */
#define CONN_LINGER_MS   2000        /* a closed connection's output is taken by then, or dropped */
#define CONN_SILENCE_MS  30000       /* the one that may exceed the memory budget sends by then */

/* Why a connection is not being read; the order is that of the metric's labels. */
enum conn_stall {
    CONN_STALL_NONE,
    CONN_STALL_FRONTEND,
    CONN_STALL_OUTPUT,
    CONN_STALL_MEMORY,
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
    struct conn *next_stalled; /* in intake->stalled */
    struct sl_stream *stream;
    void *state; /* the frontend's */
    uint64_t token;
    struct chunk *input;       /* NULL while nothing is buffered */
    size_t input_start;        /* first unconsumed byte */
    size_t input_end;          /* end of what was read */
    size_t wanted;             /* call the frontend again from so many bytes on */
    struct conn_piece *pieces; /* ring of piece_capacity, a power of two */
    uint32_t piece_capacity;
    uint32_t piece_head;
    uint32_t piece_count;
    size_t output_bytes; /* queued */
    size_t tail_used;    /* of the last piece's chunk, when that is open for small writes */
    bool tail_open;
    bool writing; /* waits for events.writable */
    bool feeding; /* inside conn_input */
    bool resumed; /* during the conn_input that runs */
    bool closing; /* close when the output is sent */
    bool dead;    /* freed at the end of the turn */
    bool stalled_listed;
    uint32_t pauses;
    enum conn_stall stall;
    int64_t since_ms; /* monotonic: of the close that waits, or of the last input when exempt */
    struct sl_task close_task;
    char peer[64];
};

/* Takes the descriptor, tells the frontend, starts reading. [takes descriptor] */
void conn_start(struct intake *intake, struct frontend *frontend, int descriptor, const char *peer);
/* See <sluice/frontend.h>. */
sluice_status conn_write(struct conn *conn, const struct sluice_piece *pieces, uint32_t count);
void conn_close(struct conn *conn);
void conn_pause(struct conn *conn);
void conn_resume(struct conn *conn);
/* Closes now; what is queued is dropped. */
void conn_abort(struct conn *conn);
/* Closes a connection that has kept others waiting for too long. */
void conn_tick(struct conn *conn, int64_t at_ms);
/* Reads again if nothing holds it back any more. */
void conn_wake(struct conn *conn);

#endif
