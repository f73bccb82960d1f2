/* conn_stage.h: what many connections of a loop do in one turn is done by its kind: they receive,
 * then their requests are served, and what was answered is sent.
 *
 *   readable ─► receive ─► received[] ─► conn_serve (the frontend)
 *   conn_write ─► output queue ─► unsent[] ─► conn_send ─► socket
 *
 * The kernel's way of a receive, a frontend's of a request and the kernel's of a send drive one
 * another out of the processor's nearest cache when each connection does all of it in turn; with a
 * thousand that wait for an acknowledgement a request costs a tenth less so. (Staged processing:
 * Welsh, Culler, Brewer, SEDA, SOSP 2001.) Answers to a peer that sent several requests go out
 * together, too.
 *
 * Nothing waits beyond the turn: each list has a task that empties it, and is emptied when it is
 * full. Shared memory is not staged, since no kernel is on its way. [loop] */
#ifndef SL_INTAKE_CONN_STAGE_H
#define SL_INTAKE_CONN_STAGE_H

#include "budget/chunk.h"

#define CONN_STAGE_MAX         64u   /* connections in a list */
#define CONN_STAGE_SHARE_BYTES 1024u /* of an answer that is copied to a chunk with others */
#define CONN_STAGE_CHUNK_BYTES 4096u /* for the answers of several of them */
#define CONN_STAGE_BYTES       4096u /* queued by one: more is sent at once */

struct conn;

struct conn_stage {
    struct sl_loop *loop;
    struct sl_task serve, send;
    uint32_t received_count, unsent_count;
    struct chunk_cache *cache;
    struct chunk *answers; /* where the next little answer is copied to; NULL: nobody needs one */
    size_t answers_used;
    struct conn *received[CONN_STAGE_MAX]; /* input that was not yet offered to their frontends */
    struct conn *unsent[CONN_STAGE_MAX]; /* output that was not yet offered to their sockets; NULL:
                                            the connection ended meanwhile */
};

void conn_stage_init(struct conn_stage *stage, struct sl_loop *loop, struct chunk_cache *cache);
/* conn_serve is called for it later in this turn, or now for all. It may be listed already. */
void conn_stage_serve_later(struct conn_stage *stage, struct conn *conn);
/* conn_send is called for it likewise. No frontend is called by that. */
void conn_stage_send_later(struct conn_stage *stage, struct conn *conn);
/* A reference to a chunk that others have too, and the place of so many bytes in it. Only for who
 * has nothing else queued: a connection that is not read holds one such chunk. E_NO_MEMORY. */
sl_err conn_stage_place(struct conn_stage *stage, size_t size, struct chunk **ret_chunk,
                        uint8_t **ret_place) SL_MUST_CHECK;
/* Whether what ends at `end` lies where the next place would be: then it goes on there. */
bool conn_stage_extend(struct conn_stage *stage, const uint8_t *end, size_t size,
                       uint8_t **ret_place);
/* It ends: conn_send is not called. */
void conn_stage_forget_output(struct conn_stage *stage, struct conn *conn);

#endif
