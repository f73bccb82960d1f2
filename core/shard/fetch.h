/* fetch.h: a fetch request with its long poll.
 *
 * Each shard concerned gets a part: it looks what is there and either answers, or waits until
 * bytes_min are there, an entry fails, or the time is up. The first part that ends asks the others
 * to end too. Bytes come from the page cache on the loop, from the disk on a helper. */
#ifndef SL_SHARD_FETCH_H
#define SL_SHARD_FETCH_H

#include "shard/partition.h"

#define FETCH_ENTRIES_MAX 100000u
#define FETCH_BYTES_MAX                                                                      \
    (55u << 20)                  /* of one answer, whatever is asked for; Kafka's default of \
                                    fetch.max.bytes */
#define FETCH_WAIT_MS_MAX 300000 /* a long poll ends by then, whatever is asked for */

struct fetch_waiter {
    struct fetch_part *part;
    struct fetch_waiter *next;
    struct fetch_waiter **previous_next; /* NULL: not waiting */
};

struct fetch_entry {
    struct sl_uuid topic;
    uint32_t partition_number;
    int32_t leader_epoch;
    int32_t last_epoch;
    int64_t offset;
    uint32_t bytes_max;
    struct partition *partition;
    int64_t end_offset; /* records below it may be given: the last stable offset, or INT64_MAX */
    struct sluice_aborted *aborted; /* owned; of the result */
    uint32_t forgotten;             /* txn_log_forgotten when it was planned */
    struct fetch_waiter waiter;
    struct chunk *chunk; /* holds the records */
    struct read_plan *plan;
    uint32_t read_bytes_max; /* granted of the whole answer's budget */
    bool is_cut;             /* only the first place of the plan: what follows is damaged */
    uint32_t places_read;    /* of the plan, from its front, are in the chunk */
    bool cold;               /* its segments are pinned, a helper reads it */
    bool was_cold;           /* it was */
};

struct fetch_part {
    struct shard_call call;
    struct shard_call finish; /* origin asks it to answer now */
    struct fetch_request *request;
    struct fetch_part *next_waiting;
    struct fetch_part **previous_waiting; /* NULL: not in shard->waiting */
    struct sl_task retry;                 /* looks again after new records */
    struct sl_job job;                    /* cold reads */
    uint32_t *entries;
    uint32_t entry_count;
    int64_t deadline_ms;
    bool finishing; /* answer with what is there */
    bool reading;   /* no more looking */
    bool ended;     /* replied, or about to */
    /* The origin's own: */
    bool used; /* has entries */
    bool finish_sent;
    bool answered; /* the reply arrived */
};

struct fetch_request {
    struct shard *home;
    uint64_t connection;
    uint64_t tag;                                         /* 0: nobody names it */
    struct fetch_request *next_tagged, **previous_tagged; /* in a bucket of home->tagged */
    uint32_t bytes_max;
    uint32_t bytes_min;
    int32_t wait_ms;
    bool committed; /* SLUICE_ISOLATION_COMMITTED */
    uint32_t pending_parts;
    uint32_t pending_finishes;
    uint32_t entry_count;
    uint32_t part_count;
    struct fetch_part *parts;
    struct fetch_entry *entries;
    struct sluice_fetch_result *results;
    struct chunk **chunks; /* by records_token - 1 */
    void (*set_tokens)(void *arg, struct chunk *const *chunks, uint32_t count);
    void *set_tokens_arg;
    sluice_fetch_done *done;
    void *arg;
};

/* set_tokens is called around done, so that conn_write can send the chunks. */
void fetch_start(struct shard *home, const struct sluice_context *context,
                 const struct sluice_fetch *request,
                 void (*set_tokens)(void *arg, struct chunk *const *chunks, uint32_t count),
                 void *set_tokens_arg, sluice_fetch_done *done, void *arg);
/* Ends what waits on this shard for the connection of home's loop: another loop may have one with
 * the same token. */
void fetch_cancel(struct shard *shard, const struct shard *home, uint64_t connection);
/* Ends what the connection named by the tag, wherever it waits; done follows. [home's loop] */
void fetch_cancel_tag(struct shard *home, uint64_t connection, uint64_t tag);
/* Answers what is due; returns the next deadline, INT64_MAX: none. */
int64_t fetch_tick(struct shard *shard, int64_t now_ms);
void fetch_wake(struct fetch_waiter *waiter);
void fetch_finish_all(struct shard *shard);

/* fetch_aborted.c: the aborted transactions that a reader of committed records must know of to read
 * what the entry gives; where they are not known (any more), it gives nothing. */
void fetch_list_aborted(struct fetch_entry *entry, struct sluice_fetch_result *result);

#endif
