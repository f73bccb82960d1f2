/* load_worker.h: one thread of a run with its connection. Internal to load_*.c. */
#ifndef SL_LOAD_LOAD_WORKER_H
#define SL_LOAD_LOAD_WORKER_H

#include "load/load_link.h"
#include "load/load_run.h"
#include "load/load_sequence.h"

#include <stdatomic.h>

#define LOAD_READ_BYTES  (256u << 10)
#define LOAD_STREAMS_MAX 256u /* that one receiver checks */

struct load_run {
    struct sl_os *os;
    const struct load_plan *plan;
    _Atomic int64_t start_ns; /* 0: not yet */
    _Atomic bool stops;
    _Atomic uint32_t ready, sending, over; /* workers */
    uint32_t worker_count;
    struct load_worker *workers[2 * LOAD_THREADS_MAX];
};

struct load_sent {
    int64_t from_ns; /* what its latency counts from */
    uint32_t count;
};

/* What one connection of a run sent. */
struct load_stream {
    uint64_t run;
    uint32_t stream;
    struct load_sequence sequence;
};

struct load_worker {
    struct load_run *run;
    struct sl_loop *loop; /* only its thread is used */
    struct sl_task task;
    struct load_peer *peer;
    struct load_link link;
    bool receives, has_thread;
    bool is_cut;               /* a receiver without senders: the time was over before the end */
    _Atomic bool is_lost;      /* before the run began: err and text say why */
    uint32_t index;            /* among those of its kind */
    int64_t begun_ns, last_ns; /* last_ns: when the last answer or record came */
    int64_t seen_ns;           /* when the bytes at hand came */
    _Atomic uint64_t done;     /* records answered or received */
    struct load_histogram latency, lateness;
    sl_err err;
    char text[LOAD_TEXT_BYTES];
    /* a sender */
    struct load_maker maker;
    uint64_t share, sent, answered, refused, unsent, requests;
    sl_err refusal; /* the first one's */
    uint32_t free_count;
    uint32_t free_tokens[LOAD_REQUESTS_MAX];
    struct load_sent under_way[LOAD_REQUESTS_MAX]; /* by token */
    /* a receiver */
    uint64_t wanted; /* records between its offsets; UINT64_MAX: as many as were sent */
    uint64_t unstamped;
    uint32_t stream_count;
    struct load_stream streams[LOAD_STREAMS_MAX];
    uint8_t buffer[LOAD_READ_BYTES];
};

/* Connects, and begins to read what a receiver reads. */
sl_err load_worker_new(struct load_run *run, bool receives, uint32_t index,
                       struct load_worker **ret_worker,
                       char ret_text[LOAD_TEXT_BYTES]) SL_MUST_CHECK;
void load_worker_free(struct load_worker *worker);
/* All of it, on its thread. */
void load_worker_run(struct load_worker *worker);
/* It got no thread. */
void load_worker_fail(struct load_worker *worker, sl_err err);

#endif
