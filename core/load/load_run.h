/* load_run.h: load on a broker from threads with a connection each, and the figures of it.
 *
 * Senders are open-loop where a rate is given: request i of all is due at start + i * batch / rate,
 * it is sent then whatever became of those before it, and its latency counts from that time, also
 * when it had to wait in this program. A client that waits for an answer before it sends the next
 * request leaves out just those that a slow answer held up ("coordinated omission": Gil Tene, How
 * NOT to Measure Latency; wrk2, github.com/giltene/wrk2). Without a rate each sender keeps `window`
 * requests under way, as fast as answers come, and a latency is that of the request alone.
 *
 * A run: new, start, then looks at it until it is over, finish. [one thread, beside its own] */
#ifndef SL_LOAD_LOAD_RUN_H
#define SL_LOAD_LOAD_RUN_H

#include "load/load_histogram.h"
#include "load/load_peer.h"

#define LOAD_THREADS_MAX    64u
#define LOAD_PARTITIONS_MAX 1024u
#define LOAD_WINDOW         8u

/* A partition to read. */
struct load_span {
    int32_t partition;
    int64_t start,
        end; /* offsets; end -1: until the senders have ended and all they sent is there */
};

struct load_plan {
    const struct load_peer_ops *ops;
    const char *address; /* "host:port" */
    struct load_target target;
    uint64_t run;                /* in the stamps */
    uint32_t senders, receivers; /* threads; at most LOAD_THREADS_MAX each */
    uint32_t partitions;         /* sender t writes to partition t % partitions */
    uint64_t count;              /* records to send; 0: until the time is over */
    int64_t duration_ns;         /* of sending or, without senders, of reading; 0: until the end */
    uint64_t rate;               /* records a second; 0: as fast as answers come */
    uint32_t batch, size;        /* records of a request, bytes of a value */
    uint32_t span_count;         /* what receivers read; shared out among them */
    struct load_span spans[LOAD_PARTITIONS_MAX];
    const uint64_t
        *expected; /* without senders: records of each stream of `run`; NULL: not known */
    uint32_t expected_count;
};

struct load_figures {
    struct load_histogram latency;  /* senders: to the answer; with receivers: to each record */
    struct load_histogram lateness; /* with a rate: how long behind its time a request was sent */
    uint64_t sent, answered, refused, received; /* records */
    uint64_t unsent;                            /* were due and not sent when the time was over */
    uint64_t unanswered;                        /* sent, and no answer came */
    uint64_t unstamped;                         /* received, and not made by a run like this */
    uint64_t lost, duplicated, reordered;
    uint64_t acknowledged[LOAD_THREADS_MAX]; /* by stream */
    bool reading_cut; /* not all was read, as the time was over: what is lost is known only between
                         what came */
    int64_t took_ns;  /* from the start to the last answer or record */
    sl_err err;       /* why it could not go on */
    sl_err refusal;   /* why the first record that was refused was */
    char text[LOAD_TEXT_BYTES];
};

struct load_run;

/* Connects. An error: ret_text says what failed. [borrows plan] [blocks] */
sl_err load_run_new(struct sl_os *os, const struct load_plan *plan, struct load_run **ret_run,
                    char ret_text[LOAD_TEXT_BYTES]) SL_MUST_CHECK;
/* Greets over all connections, and begins when all are ready. An error: one could not (a login was
 * refused), nothing was sent, and ret_text says why; what is left to call is finish. [blocks] */
sl_err load_run_start(struct load_run *run, char ret_text[LOAD_TEXT_BYTES]) SL_MUST_CHECK;
bool load_run_is_over(const struct load_run *run);
/* Records so far: answered, or with receivers received. */
uint64_t load_run_done(const struct load_run *run);
/* Sends no more, and waits for answers for a few seconds at most. */
void load_run_stop(struct load_run *run);
/* Waits for the end, and frees it. [blocks] */
void load_run_finish(struct load_run *run, struct load_figures *ret_figures);

#endif
