/* supervisor.h: when to start a worker again. A state machine without clock or process: times come
 * in.
 *
 *   IDLE --start--> STARTING --ready--> RUNNING --exited--> WAITING --(due)--start--> STARTING …
 *                       `--exited--> WAITING (longer each time)   `--(too often)--> STOPPED
 * The first restarts_at_once deaths in a row are followed by a start at once; then the pause
 * doubles from backoff_min_ms to backoff_max_ms with each death; a run of stable_ms after READY
 * forgets the deaths before. One thread per supervisor. */
#ifndef SANDBOX_SUPERVISOR_H
#define SANDBOX_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#define SUPERVISOR_IDLE     0u
#define SUPERVISOR_STARTING 1u
#define SUPERVISOR_RUNNING  2u
#define SUPERVISOR_WAITING  3u
#define SUPERVISOR_STOPPED  4u

struct supervisor_policy {
    uint32_t backoff_min_ms;
    uint32_t backoff_max_ms;
    uint32_t stable_ms; /* a run as long as this clears the count of deaths */
    uint32_t restarts_at_once;
    uint32_t deaths_max; /* in a row without a stable run; then STOPPED. 0: never */
};
#define SUPERVISOR_POLICY_DEFAULT                                                                 \
    (struct supervisor_policy)                                                                    \
    {                                                                                             \
        .backoff_min_ms = 100, .backoff_max_ms = 30000, .stable_ms = 10000, .restarts_at_once = 1 \
    }

struct supervisor {
    struct supervisor_policy policy;
    uint32_t state;
    uint32_t deaths;      /* in a row */
    uint64_t death_count; /* ever, for metrics */
    uint64_t start_count;
    int64_t changed_ms;  /* when the state was entered */
    int64_t start_at_ms; /* in WAITING */
};

void supervisor_init(struct supervisor *supervisor, const struct supervisor_policy *policy);
/* True when a worker should be spawned now (IDLE, or WAITING and due). */
bool supervisor_due(const struct supervisor *supervisor, int64_t now_ms);
/* For the caller's timer: when supervisor_due turns true; INT64_MAX: not by itself. */
int64_t supervisor_due_at(const struct supervisor *supervisor);
void supervisor_started(struct supervisor *supervisor, int64_t now_ms); /* spawn was begun */
void supervisor_ready(struct supervisor *supervisor, int64_t now_ms);   /* the worker said READY */
/* The worker died, or its spawn failed. `bypass`: a restart that bisection wants: due at once and
 * not counted. */
void supervisor_exited(struct supervisor *supervisor, int64_t now_ms, bool bypass);
/* Forget the past (new code, new configuration): due at once. */
void supervisor_reset(struct supervisor *supervisor);
void supervisor_stop(struct supervisor *supervisor, int64_t now_ms);

#endif
