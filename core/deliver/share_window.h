/* share_window.h: what a group that shares a stream has done with its records (KIP-932): the
 * delivery engine's state of one stream × group.
 *
 *   start                                            everything behind the last range
 *   ▼                                                ▼
 *   [acquired][acknowledged][available ×2][acquired] available, never delivered …
 *
 * Every offset from `start` on has a state; those that no range holds are available and were never
 * delivered, so that an empty window is a stream that nobody has read. What is final at the start
 * moves the start. States:
 *
 *   available ──acquire──► acquired ──accept──► acknowledged ─┐
 *       ▲                   │ │ │ ▲└─renew─┐                  ├─► behind the start
 *       └─release, time out─┘ │ └─┴────────┘                  │
 *                             └─reject, or too many deliveries─► doomed ──bury──► archived ─┘
 *
 * Doomed records wait for their dead letters, over crashes too, and are given to nobody meanwhile;
 * a window without dead letters archives at once. A gap is where the log has no record, or one that
 * is not for clients. An acquisition belongs to an owner (a number that stands for a member) and
 * ends by itself at a time.
 *
 * Bounded: no more than in_flight_max offsets are in ranges, gaps aside; so many ranges there are
 * at most, and twice as many gaps and halves. No clock, no I/O, no knowledge of a protocol: Kafka's
 * share groups and native subscriptions are both written on it. One thread. */
#ifndef SL_DELIVER_SHARE_WINDOW_H
#define SL_DELIVER_SHARE_WINDOW_H

#include "base/base.h"

#define SHARE_IN_FLIGHT_MAX  10000u /* of a window, whatever is configured */
#define SHARE_NEVER          INT64_MAX
#define SHARE_DELIVERIES_MAX UINT16_MAX

/* Numbered as Kafka's delivery states where it has them; written to disk. */
enum share_state {
    SHARE_AVAILABLE = 0,
    SHARE_ACQUIRED = 1, /* in memory only */
    SHARE_ACKNOWLEDGED = 2,
    SHARE_DOOMED = 3,
    SHARE_ARCHIVED = 4,
    SHARE_GAP = 6, /* in memory only: found again by reading */
};

/* Why a record is doomed; written to disk. */
enum share_reason { SHARE_NO_REASON = 0, SHARE_REJECTED = 1, SHARE_DELIVERED_TOO_OFTEN = 2 };

struct share_range {
    int64_t first;
    int64_t last;   /* inclusive */
    int64_t at_ms;  /* acquired: until when; available: not before; else 0 */
    uint64_t owner; /* acquired; else 0 */
    uint16_t deliveries;
    uint8_t state;  /* enum share_state */
    uint8_t reason; /* enum share_reason; doomed; else 0 */
};

struct share_window {
    int64_t start;
    struct share_range *ranges; /* owned; by rising offset */
    uint32_t count;
    uint32_t capacity;
    uint32_t in_flight; /* offsets in ranges, gaps aside */
    uint32_t acquired;  /* … of those, acquired */
    uint32_t doomed;    /* … doomed */
    uint32_t archived;  /* since somebody set it to 0: records rejected, or delivered too often,
                           and not doomed */
    int64_t finals;     /* offsets in ranges that are done with */
    int64_t due_ms;     /* no lock ends, and no delay, before it */
};

/* What is asked of each call that may end a delivery. */
struct share_rules {
    uint32_t deliveries_max; /* a record that was delivered so often is not available again */
    bool dead_letters;       /* such a one, or a rejected one, is doomed; else archived at once */
    int64_t delay_ms;        /* of a release: available again only then; 0: at once */
};

void share_window_init(struct share_window *window, int64_t start);
void share_window_fini(struct share_window *window);
static inline bool share_state_is_final(uint8_t state)
{
    return state == SHARE_ACKNOWLEDGED || state == SHARE_ARCHIVED || state == SHARE_GAP;
}
/* Where the ranges end: from here on nothing was delivered. */
int64_t share_window_end(const struct share_window *window);
/* The run that begins at offset, up to last at most. offset >= start. */
struct share_range share_window_run(const struct share_window *window, int64_t offset,
                                    int64_t last);

/* The first offset that could be acquired now; SHARE_NEVER: none, since the window is full. */
int64_t share_window_next(const struct share_window *window, int64_t now_ms,
                          uint32_t deliveries_max, uint32_t in_flight_max);

/* What is to be acquired. */
struct share_ask {
    uint64_t owner; /* not 0 */
    int64_t now_ms;
    int64_t until_ms;
    uint32_t deliveries_max;
    uint32_t in_flight_max;
    uint32_t records_max;
};
/* Acquires what is available in [first, last], records_max of it at most. ret_ranges: what was
 * acquired, as at most ranges_max runs that differ in their deliveries; more are left for the next
 * call. Returns how many records those are. E_NO_MEMORY (as a negative number): nothing changed. */
int64_t share_window_acquire(struct share_window *window, const struct share_ask *ask,
                             int64_t first, int64_t last, struct share_range *ret_ranges,
                             uint32_t ranges_max, uint32_t *ret_count);
/* There is nothing for clients in [first, last]: what is available there is a gap from now on.
 * E_NO_MEMORY. */
sl_err share_window_skip(struct share_window *window, int64_t first, int64_t last) SL_MUST_CHECK;

enum share_ack_type {
    SHARE_ACK_GAP = 0, /* the owner found no record there */
    SHARE_ACK_ACCEPT = 1,
    SHARE_ACK_RELEASE = 2,
    SHARE_ACK_REJECT = 3,
    SHARE_ACK_RENEW = 4,
};
struct share_ack {
    int64_t first;
    int64_t last;
    const int8_t *types; /* enum share_ack_type: one for all, or one an offset */
    uint32_t type_count;
};
/* Whether the owner may say this of all of these records now. E_INVALID_REQUEST: it makes no
 * sense; E_INVALID_RECORD_STATE: it does not hold one of them (any more). */
sl_err share_window_check(const struct share_window *window, uint64_t owner,
                          const struct share_ack *ack) SL_MUST_CHECK;
/* After a check that passed. renew_ms: until when renewed locks hold. E_NO_MEMORY: nothing changed.
 */
sl_err share_window_acknowledge(struct share_window *window, const struct share_ack *ack,
                                const struct share_rules *rules, int64_t now_ms,
                                int64_t renew_ms) SL_MUST_CHECK;

/* Ends of deliveries are told to `changed`, in rising order, for the log. */
typedef void share_changed_fn(void *arg, int64_t first, int64_t last);
/* Locks that end now, or before. Returns how many records lost theirs. */
uint32_t share_window_expire(struct share_window *window, const struct share_rules *rules,
                             int64_t now_ms, share_changed_fn *changed, void *arg);
/* The owner is gone: what it holds is available, as if it had not been delivered. */
uint32_t share_window_abandon(struct share_window *window, uint64_t owner,
                              share_changed_fn *changed, void *arg);
/* What is available but was delivered too often (the bound was lowered, or a crash came before it
 * was archived) is doomed, or archived. Returns how many records those are. */
uint32_t share_window_condemn(struct share_window *window, const struct share_rules *rules,
                              share_changed_fn *changed, void *arg);

/* The first doomed run at or behind offset. False: none. */
bool share_window_doomed(const struct share_window *window, int64_t offset,
                         struct share_range *ret_range);
/* The dead letters of [first, last] are durable: what is doomed there is archived. E_NO_MEMORY:
 * nothing changed. */
sl_err share_window_bury(struct share_window *window, int64_t first, int64_t last) SL_MUST_CHECK;

/* Records below the offset are gone, or done with. */
void share_window_raise(struct share_window *window, int64_t start);
/* As a new one: nothing was delivered from `start` on. */
void share_window_reset(struct share_window *window, int64_t start);

/* What is worth writing down of [first, last], as it would be if all locks ended: no gaps, nothing
 * that was never delivered. The range is of AVAILABLE, ACKNOWLEDGED, DOOMED or ARCHIVED. */
void share_window_describe(const struct share_window *window, int64_t first, int64_t last,
                           void (*visit)(void *arg, const struct share_range *range), void *arg);
/* Puts back what was written down. E_NO_MEMORY. */
sl_err share_window_restore(struct share_window *window,
                            const struct share_range *range) SL_MUST_CHECK;
/* Asserts what always holds. */
void share_window_verify(const struct share_window *window);

#endif
