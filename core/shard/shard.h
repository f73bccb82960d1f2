/* shard.h: one owner of partitions: its log, index, producers, groups, and its copy of the catalog.
 *
 * Everything of a shard runs on its loop; state has exactly one writer. Others reach it through a
 * shard_call: an intrusive object that travels to the shard's loop, and back to the loop it came
 * from. On the same loop both ways are plain calls, so that one thread pays nothing.
 *
 *   broker call ─► shard_call_start ─► run (shard's loop) ─► … durable … ─► shard_call_reply ─►
 * done
 *
 * Shard 0 owns the catalog and the producer ids: its log holds the TOPIC_* items; the other shards
 * get each change by a call and apply it to their copy before the change is answered. */
#ifndef SL_SHARD_SHARD_H
#define SL_SHARD_SHARD_H

#include "admit/message_ids.h"
#include "admit/producer_ids.h"
#include "admit/producer_state.h"
#include "admit/quota_book.h"
#include "admit/txn_store.h"
#include "base/log.h"
#include "budget/chunk.h"
#include "catalog/access_store.h"
#include "catalog/catalog.h"
#include "catalog/setting_store.h"
#include "catalog/switch_store.h"
#include "deliver/group_coordinator.h"
#include "deliver/offset_store.h"
#include "deliver/position_store.h"
#include "deliver/share_members.h"
#include "deliver/share_store.h"
#include "deliver/txn_offsets.h"
#include "record/batch_validate.h"
#include "shard/compact.h"
#include "shard/consumer_desk.h"
#include "shard/cut.h"
#include "shard/delayed.h"
#include "shard/memory_space.h"
#include "shard/readahead.h"
#include "shard/rewrite.h"
#include "shard/roll.h"
#include "shard/scrub.h"
#include "shard/seal.h"
#include "shard/snapshot.h"
#include "shard/space.h"
#include "wal/wal.h"

#define SHARD_COUNT_MAX     64u
#define SHARD_PROBLEM_BYTES 256u
#define SHARD_TAG_BUCKETS   1024u /* of fetches that have a name */

struct compactor;
struct fetch_part;
struct fetch_request;
struct intake;
struct lease;
struct partition;
struct retention;
struct shard;

/* All shards of the broker, in order; immutable once started. */
struct shard_set {
    struct shard *shards[SHARD_COUNT_MAX];
    uint32_t count;
    uint64_t features; /* in force: features.h [any, atomic] */
    bool gated;        /* there was a gate since the start [any, atomic] */
};
/* Before the first gate hangs on a partition: from then on requests keep who sent them. [any] */
static inline void shard_set_expect_gates(struct shard_set *set)
{
    __atomic_store_n(&set->gated, true, __ATOMIC_RELEASE);
}
static inline bool shard_set_is_gated(const struct shard_set *set)
{
    return __atomic_load_n(&set->gated, __ATOMIC_ACQUIRE);
}

/* What the owner of plugins hears of a shard; each may be NULL. [shard's loop] */
struct shard_hooks {
    void (*topic_created)(void *arg, struct shard *shard, struct topic *topic);
    /* There are more partitions, from `first` on. */
    void (*topic_grown)(void *arg, struct shard *shard, struct topic *topic, uint32_t first);
    void (*topic_deleted)(void *arg, struct shard *shard, struct topic *topic);
    /* A partition object came to be: attach gates and stages. */
    void (*partition_opened)(void *arg, struct shard *shard, struct partition *partition);
};

/* Mutants, for the tests that show why the order matters. All false in a broker. */
struct shard_mutants {
    bool drop_first;     /* an extent's file goes before the frame that drops it is durable */
    bool start_unlogged; /* the log start rises without a frame that says so */
    bool no_producers;   /* checkpoints forget producers … */
    bool no_bounds;      /* … log starts … */
    bool no_offsets;     /* … offsets of groups … */
    bool no_messages;    /* … ids of messages … */
    bool no_positions;   /* … positions of stages … */
    bool no_txns;        /* transactional ids */
};

struct shard_config {
    struct sl_os *os;
    struct sl_loop *loop;
    struct chunk_cache *cache; /* of the loop */
    struct sl_logger *logger;
    const char *data_directory; /* NULL: no disk, everything is in memory */
    bool has_folders;           /* they were made before: a shard without them was lost */
    /* What catalog_scan found in shard 0's log: then no shard waits for another one to be opened.
     * NULL: it was not asked. [borrows for the call] */
    const struct catalog *scanned;
    struct sl_uuid cluster;
    uint32_t index;
    struct shard_set *set;
    struct wal_limits wal;
    struct wal_mutants wal_mutants;
    uint64_t memory_bytes_max; /* of records of topics in memory; 0: 64 MiB */
    struct seal_limits seal;
    struct seal_mutants seal_mutants;
    struct compact_limits compact;
    struct compact_mutants compact_mutants;
    struct rewrite_limits rewrite;
    struct rewrite_mutants rewrite_mutants;
    struct shard_mutants mutants;
    uint32_t snapshot_slice; /* things that a slice of a checkpoint looks at; 0: the default */
    const struct broker_settings *settings;
    size_t expanded_bytes_max; /* cap for decompression */
    const struct shard_hooks *hooks;
    void *hooks_arg;
};

/* What is left to begin of produce requests, first come first (produce.c). */
struct produce_line {
    struct produce_part *first, *last;
    struct sl_task task;
};

/* Transactional ids of a shard (txns.h). */
struct txn_coordinator {
    struct txn_store store;
    int64_t due_ms;   /* next look at open transactions; INT64_MAX: none is open */
    int64_t retry_ms; /* next try of markers that could not be written */
};

struct shard {
    struct shard_config config;
    struct sl_loop *loop;
    struct chunk_cache *cache;
    struct sl_logger *logger;
    struct shard_set *set;
    uint32_t index;
    struct commit_log *log; /* NULL: it could not be opened */
    struct wal_recovery recovery;
    int64_t recovery_begun_ms;                   /* what items have no time of their own for */
    uint64_t extents_recovered, extents_removed; /* live ones; files that nothing named */
    struct extent_set *extents;
    struct space space;
    struct roll roll;
    struct lease *leases;       /* of offsets, under way */
    struct memory_space memory; /* of topics in memory; its log is the only one without a disk */
    struct sealer *sealer;
    struct compactor *compactor;
    struct rewriter *rewriter;
    struct scrubber *scrubber;
    struct cut cut; /* of a backup */
    sl_err status;  /* SLUICE_OK, or why it does not serve: E_CORRUPT after a refused recovery,
                       E_FENCED; other loops ask shard_status */
    struct catalog *catalog;
    struct topic *last_topic;    /* that was asked for: mostly it is the next one, too */
    uint64_t last_topic_version; /* of the catalog then: later it may be gone */
    struct producer_shard *producers;
    struct producer_ids producer_ids;    /* shard 0 */
    struct producer_id_call *id_waiters; /* shard 0: for the lease under way */
    struct producer_id_lease *id_lease;
    struct group_coordinator *groups;
    struct consumer_desk consumers; /* groups whose partitions the broker assigns */
    struct message_ids messages;    /* that were appended here not long ago */
    struct delayed delayed;         /* records that are appended later */
    struct offset_store *offsets;
    struct txn_coordinator txns;
    struct txn_offsets txn_offsets;   /* that transactions will commit */
    struct position_store *positions; /* of stage tasks */
    struct share_store shares;        /* what groups that share streams did with records here */
    struct share_members share_members;
    struct sl_list share_tagged;  /* requests of this loop's frontends that have a name */
    struct sl_list share_waiting; /* their requests that wait (share_fetch.c) */
    uint8_t share_key[16];        /* of numbers that stand for members */
    uint32_t share_turn;
    struct switch_store switches;   /* shard 0: of plugin instances */
    struct access_store access;     /* shard 0: rules and credentials */
    struct setting_store settings;  /* shard 0: of features, groups, client metrics */
    struct sl_list setting_changes; /* shard 0: made one at a time (settings.c) */
    const struct policy
        *policy; /* access rules in force on the loop; NULL before it serves [borrowed] */
    struct quota_book *quotas; /* shard 0's is everybody's: it may be asked on any loop */
    /* Shard 0: rules have changed; `done` when they are in force on all loops. NULL: nobody asks.
     */
    void (*publish_access)(void *arg, void (*done)(void *done_arg), void *done_arg);
    void *publish_access_arg;
    struct retention *retention;
    struct snapshot snapshot; /* for a checkpoint */
    struct codec_context *codecs;
    struct sl_buffer scratch;     /* of the loop: never across a callback */
    struct partition *partitions; /* all that are open */
    struct readahead readahead;
    struct produce_line produces;
    struct produce_request *idle_produces; /* kept for the next ones of this shard's loop */
    uint32_t idle_produce_count;
    struct intake *intake;      /* of the connections of its loop; NULL: not yet, or another of the
                                   loop's shards has it [opaque] */
    struct fetch_part *waiting; /* fetches that wait for data or time */
    struct fetch_request *tagged[SHARD_TAG_BUCKETS]; /* of this loop's frontends, by tag */
    struct sl_timer *timer;                          /* fetch deadlines, group deadlines */
    int64_t timer_at_ms;
    int64_t housekeeping_ms;                 /* next expiry of producers and offsets */
    uint64_t bytes_removed, records_removed; /* by retention and deletion of records */
    uint64_t records_in, bytes_in, batches_in, bytes_out, fetches, duplicates;
    uint32_t jobs;           /* under way on helpers: they use the log, which stays until then */
    uint32_t requests;       /* of frontends on this loop, whose done has not run */
    void (*idle)(void *arg); /* the last of them ended; NULL: nobody asks */
    void *idle_arg;
    void (*closed)(void *arg); /* of shard_stop */
    void *closed_arg;
    bool started; /* the loop runs */
    bool log_closed;
    bool extents_stopping;
    bool stopping;
    bool is_behind; /* a durable change could not be applied: what is in memory is not written down
                     */
};

/* Recovers the shard's log and state. On E_CORRUPT and the like the shard exists and refuses
 * (status); on other failures ret_problem says why. catalog_source: shard 0 for the others, else
 * NULL; not looked at where the catalog was scanned. Shards of different loops may be opened at the
 * same time then. [blocks, before the loop runs] */
sl_err shard_open(const struct shard_config *config, const struct shard *catalog_source,
                  struct shard **ret_shard, char ret_problem[SHARD_PROBLEM_BYTES]) SL_MUST_CHECK;
/* Timers and background work; once the loop runs. [loop] */
sl_err shard_start(struct shard *shard) SL_MUST_CHECK;
/* Ends waiting fetches and joins, closes the log; `closed` runs on the loop, when no helper has a
 * job of the shard any more. [loop] */
void shard_stop(struct shard *shard, void (*closed)(void *arg), void *arg);
struct shard *shard_free(struct shard *shard); /* after closed; NULL is fine */

int64_t shard_now_ms(const struct shard *shard);  /* monotonic [loop] */
int64_t shard_wall_ms(const struct shard *shard); /* [any] */
int32_t shard_epoch(const struct shard *shard);   /* stamped as partition leader epoch */
/* Serves no more: what it holds in memory is behind what is durable, so that no checkpoint may be
 * made of it. [loop] */
void shard_refuse(struct shard *shard, sl_err cause);
void shard_set_status(struct shard *shard, sl_err status); /* [loop] */
sl_err shard_status(const struct shard *shard);            /* [any] */
/* From the submit of a helper's job to the end of its done. [loop] */
void shard_job_begin(struct shard *shard);
void shard_job_end(struct shard *shard);
/* From the call of a frontend to the end of its done, on the home shard of the caller's loop: what
 * the done points at must stay until then. [loop] */
void shard_request_begin(struct shard *home);
void shard_request_end(struct shard *home);
/* Looks again at what is due first, after anything that may have changed it. */
void shard_schedule(struct shard *shard);

/* Which shard owns a group. [any] */
struct shard *shard_of_group(const struct shard_set *set, struct sluice_text group);
struct shard *shard_of_partition(const struct shard_set *set, const struct topic *topic,
                                 uint32_t partition); /* partition < partition_count */
/* By name, else by id; NULL: unknown, and *ret_status says E_UNKNOWN_TOPIC or E_UNKNOWN_TOPIC_ID.
 */
struct topic *shard_find_topic(struct shard *shard, const struct sluice_topic_ref *ref,
                               sluice_status *ret_status);
struct topic *shard_topic_by_id(struct shard *shard, const struct sl_uuid *id); /* NULL: unknown */

/* What a stage reads and writes is as durable as its position, so that it can be exactly-once. */
bool shard_topic_is_exact(const struct shard *shard, const struct topic *topic);

/* ---- calls between loops ---- */

struct shard_call {
    struct sl_task task;
    struct shard *target;
    struct sl_loop *origin;
    void (*run)(struct shard_call *call);   /* on target's loop */
    void (*reply)(struct shard_call *call); /* on origin */
};
/* run and reply are set; runs at once when target's loop is the current one. */
void shard_call_start(struct shard_call *call, struct shard *target, struct sl_loop *origin,
                      uint32_t priority);
void shard_call_reply(struct shard_call *call); /* [target's loop] */

#endif
