/* share_steps.h: what the files of a share fetch (shares.h) share: the request, its parts on the
 * shards, its entries. Private to share_fetch.c, share_acquire.c, share_acknowledge.c,
 * share_stream.c and share_wait.c. */
#ifndef SL_SHARD_SHARE_STEPS_H
#define SL_SHARD_SHARE_STEPS_H

#include "shard/partition.h"
#include "shard/shares.h"

struct share_wait {
    struct sl_link link; /* in the stream's waiters */
    struct partition_observer observer;
    struct share_part *part;
    bool observes;
};

struct share_entry {
    const struct sluice_share_entry *from;
    struct sl_uuid topic;
    uint32_t number;
    struct share_stream *stream;
    struct partition *partition;
    struct share_wait wait;
    int64_t offset; /* that is read */
    bool reading;
    struct chunk *chunk;
    struct sluice_share_acquired *acquired; /* owned; of the result */
    uint32_t acquired_capacity;
};

struct share_part {
    struct shard_call call;
    struct shard_call finish;
    struct share_request *request;
    struct sl_link in_waiting; /* in shard->share_waiting */
    struct sl_task retry;
    struct share_change change;
    uint32_t *entries;
    uint32_t entry_count;
    struct share_settings settings;
    struct sluice_fetch_entry *reads; /* owned */
    uint32_t *read_places;            /* behind them: index of each one's entry */
    uint32_t read_count;
    struct chunk *const *chunks; /* while a read is answered */
    uint64_t owner;
    int64_t records_left;
    int64_t deadline_ms;
    bool changing; /* what it acknowledged is on its way to the log */
    bool reading;
    bool finishing;
    bool failed; /* an entry has an error */
    bool gave;   /* something was acquired */
    bool could;  /* something is there, and it had no share of the records */
    bool cancelled;
    bool alone; /* the last read gave nothing: one partition at a time tells a hole in the log */
    bool ended;
    bool used, finish_sent, answered; /* the origin's own */
};

struct share_request {
    struct shard *home;
    uint64_t connection;
    uint64_t tag;             /* 0: nobody names it */
    struct sl_link in_tagged; /* of home->share_tagged */
    const struct sluice_share_fetch *from;
    struct sluice_context context; /* of the reads: nothing but the connection */
    sl_err status;
    int32_t lock_ms;
    int32_t own_lock_ms; /* of this request; 0: as configured */
    uint32_t round;      /* in the next ones nothing is acknowledged again */
    bool is_last;        /* there is no next one: it was cancelled, or an entry cannot be */
    uint32_t pending_parts;
    uint32_t pending_finishes;
    uint32_t entry_count;
    uint32_t part_count;
    struct share_part *parts;
    struct share_entry *entries;
    struct sluice_share_result *results;
    struct chunk **chunks;
    void (*set_tokens)(void *arg, struct chunk *const *chunks, uint32_t count);
    void *set_tokens_arg;
    sluice_share_fetched_done *done;
    void *arg;
};

/* How long the request's locks hold. */
static inline int64_t share_part_lock_ms(const struct share_part *part)
{
    return part->request->own_lock_ms > 0 ? part->request->own_lock_ms
                                          : share_setting(&part->settings, SHARE_CONFIG_lock_ms);
}

/* ---- the part's shard: share_acquire.c ---- */

/* Reads and takes what there is, or waits, or ends. */
void share_part_try(struct share_part *part);

/* ---- the same: share_acknowledge.c ---- */

/* What the entry says of records. Errors of share_window_check and share_window_acknowledge. */
sl_err share_entry_acknowledge(struct share_part *part, struct share_entry *entry) SL_MUST_CHECK;
/* The member is gone: of all streams of its group here. */
void share_part_abandon(struct share_part *part);

/* ---- the same: share_stream.c ---- */

/* The entry's stream, made where there is none. E_UNKNOWN_TOPIC_ID, E_INVALID_RECORD_STATE,
 * E_LIMIT, E_NO_MEMORY. */
sl_err share_entry_open(struct share_part *part, struct share_entry *entry) SL_MUST_CHECK;

/* ---- the same: share_wait.c ---- */

/* It looks again, later in this turn of the loop. */
void share_part_wake(struct share_part *part);
void share_part_wait(struct share_part *part);
void share_part_unwait(struct share_part *part);
/* Its answer goes home. */
void share_part_end(struct share_part *part);

#endif
