/* pace.h: the CPU share of a worker: a token bucket filled by the clock, emptied by the worker's
 * own CPU clock. No system calls: times come in.
 *
 *   tokens += elapsed * percent / 100, at most the burst; tokens -= CPU time used
 * A worker below zero rests until the bucket is back at zero: the host gives it no further task. A
 * task is never cut short by it (that is the deadline's job), so a long one is paid back
 * afterwards. One thread per pace. */
#ifndef SANDBOX_PACE_H
#define SANDBOX_PACE_H

#include <stdint.h>

struct pace {
    uint32_t percent; /* of one processor; 0: no bound */
    int64_t burst_ns;
    int64_t tokens_ns;
    int64_t seen_ms;
    uint64_t used_ns; /* CPU clock at seen_ms */
};

/* The bucket begins full; used_ns: what the CPU clock shows now (loading is free). */
void pace_init(struct pace *pace, uint32_t percent, uint32_t burst_ms, int64_t now_ms,
               uint64_t used_ns);
/* Milliseconds until the next task may begin; 0: now. A clock that goes back counts as standing. */
uint32_t pace_rest_ms(struct pace *pace, int64_t now_ms, uint64_t used_ns);

#endif
