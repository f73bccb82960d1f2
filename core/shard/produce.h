/* produce.h: a produce request, from the frontend's call to its answer.
 *
 *   origin loop   copy or keep the bytes; resolve topics; validate (walk, CRC) ─► one call per
 * shard owner shard   per entry: (open, off the loop) ─► admit ─► (gates) ─► commit ─► durable ─►
 * result origin loop   all entries have results ─► done
 *
 * A shard begins so many entries in a turn of its loop, in the order in which they came.
 * Entries of one partition pass in order: one that must be opened or gated makes the later ones
 * wait. A retry of a remembered batch is answered before any gate sees it. */
#ifndef SL_SHARD_PRODUCE_H
#define SL_SHARD_PRODUCE_H

#include "record/txn_marker.h"
#include "shard/commit.h"

#define PRODUCE_ENTRIES_MAX     10000u
#define PRODUCE_SLICE           500u /* entries that a shard begins in a turn */
#define PRODUCE_FAULTS_MAX      16u  /* record errors answered for one entry */
#define PRODUCE_EXTRA_ITEMS_MAX 2u   /* beside a batch: its message id, that it waits */
#define PRODUCE_KEPT_MAX        1024u /* requests of one entry that a shard keeps for the next ones */

/* One batch. What each one needs lies together, in the order of its way; with a thousand under way
 * they fit no cache. Only the first part is cleared: what comes behind is set where it is used. */
struct produce_entry {
    struct produce_part *part;
    struct produce_entry *next;           /* in its part, then in the partition's queue */
    struct sluice_produce_result *result; /* of the request, or of the marker */
    struct partition *partition;
    uint8_t *data;
    uint32_t size;
    uint32_t partition_number;
    struct sl_uuid topic;
    bool no_zstd;
    bool must_open; /* validation wants its records, or it gets another codec: off the loop */
    bool opening;   /* a job has it */
    bool gating;    /* the gate has it */
    bool refused;   /* result->status says why; the owner adds where the log begins */
    bool again;     /* a marker: only where the transaction is still open */
    bool has_message_id;
    bool message_in_memory; /* as the topic was when the batch was committed */
    uint32_t fault_count;
    uint32_t reason_size;
    /* A marker of a transaction: it belongs to no request. NULL: a client's batch. */
    void (*marked)(struct produce_entry *entry, sl_err err);
    int64_t expected_offset; /* -1: any */
    struct producer_batch producer;
    struct message_entry *message; /* while its batch is under way; NULL: none */
    int64_t deliver_at_ms;         /* 0: now */
    struct delay_entry *delay;     /* NULL: its batch goes to its partition */
    struct chunk *recompressed;    /* holds `data` after compression.type; NULL: the request does */
    struct producer_admission *admitted; /* `admission`; NULL: no producer, or not yet */
    struct commit commit;                /* from here on: not cleared */
    struct commit_batch batch;
    struct wal_item items[1 + PRODUCE_EXTRA_ITEMS_MAX];
    struct producer_waiter waiter;
    struct producer_admission admission; /* stays where it is: producers point at it */
    struct message_digest message_digest;
    struct message_waiter message_waiter;
    int64_t message_expires_ms;
    uint8_t message_item[MESSAGE_ID_ITEM_SIZE];
    uint8_t delay_item[DELAY_ITEM_SIZE];
    struct sluice_record_error faults[PRODUCE_FAULTS_MAX];
    char reason[160];
};

/* A marker on its way into a partition, behind what waits there. Memory of the caller. */
struct produce_marker {
    struct produce_entry entry;
    struct sluice_produce_result result;
    uint8_t batch[TXN_MARKER_SIZE];
    bool aborts;
    void (*done)(struct produce_marker *marker, sl_err err);
};

/* The entries of a request that one shard owns. */
struct produce_part {
    struct shard_call call;
    struct produce_request *request;
    struct produce_entry *last; /* a circle of those not begun yet: its next is the first */
    uint32_t entry_count;       /* of these */
    uint32_t pending_count;
    int32_t throttle_ms;       /* the shard asks for */
    struct produce_part *next; /* in the shard's line */
};

/* What a gate does to a batch; implemented by the plugin room, hung on partitions. [loop] */
struct gate_outcome {
    sl_err err; /* not OK: the batch is refused with reason and faults */
    uint8_t *
        data; /* the batch to commit instead, or NULL: as it was; owned by the gate until release */
    uint32_t size;
    struct commit_batch *extra; /* further batches, of other partitions of this shard */
    uint32_t extra_count;
    const struct sluice_record_error *faults;
    uint32_t fault_count;
    struct sluice_text reason;
    void (*release)(void *arg); /* after the commit ended; may be NULL */
    void *release_arg;
};
typedef void gate_done_fn(void *arg, const struct gate_outcome *outcome);
struct partition_gate {
    /* The batch at data stays as it is until done was called, exactly once. */
    void (*submit)(struct partition_gate *gate, struct partition *partition, struct sl_bytes batch,
                   const struct sluice_context *context, gate_done_fn *done, void *arg);
};

struct txn_guard;

/* Hears that a request ended: right behind its done. Before that, perhaps, that it is about to, so
 * that what its end will use is fetched: as wal_unit.approach. [home's loop] */
struct produce_watch {
    void (*ended)(struct produce_watch *watch, uint64_t connection);
    void (*approaches)(struct produce_watch *watch, uint64_t connection, bool is_next);
};

struct produce_request {
    struct shard *home;           /* a shard of the origin loop */
    struct produce_request *next; /* while it is kept */
    struct chunk *chunk;          /* holds the batches; NULL: they are in `copy` */
    struct chunk *copy;
    int16_t acks;
    bool is_guarded; /* a batch that nothing was found against is of a transaction */
    bool is_later;   /* a batch is to be appended later */
    uint32_t pending_parts;
    int32_t throttle_ms; /* the longest that a part asks for */
    uint32_t entry_count;
    uint32_t part_count;
    struct produce_part *parts;
    struct produce_entry *entries;
    struct sluice_produce_result *results;
    struct txn_guard *guard; /* of the transaction that batches are of; NULL: none is */
    sluice_produce_done *done;
    void *arg;
    struct produce_watch *watch; /* NULL: nobody */
    uint64_t connection;
    struct produce_context *context; /* for gates; NULL: none was there when it came */
};

/* Goes on with what waits in the partition. [loop] */
void produce_pump(struct partition *partition);
/* chunk: holds the input that the batches lie in, or NULL when that is not known to be kept: then
 * they are copied. watch: NULL, or stays until the request ended. */
void produce_start(struct shard *home, struct chunk *chunk, const struct sluice_context *context,
                   const struct sluice_produce *request, sluice_produce_done *done, void *arg,
                   struct produce_watch *watch);
void produce_free_kept(struct shard *home); /* with the shard */
/* Ends the producer's transaction in a partition of the shard; done runs once, when the marker is
 * durable. `again`: it may have been written before; then nothing is where no transaction of the
 * producer is open. E_UNKNOWN_TOPIC, E_INVALID_PRODUCER_EPOCH (a later epoch has been here), and
 * the errors of a commit. done is set. [shard's loop] */
void produce_marker_start(struct shard *shard, struct produce_marker *marker,
                          const struct sl_uuid *topic, uint32_t partition,
                          const struct txn_marker *what, bool again);

#endif
