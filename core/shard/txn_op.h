/* txn_op.h: one request for a transactional id, on its way through the coordinator (txns.h); for
 * txn*.c and produce.c.
 *
 * run is called on the coordinator's loop when it is the request's turn, and again after each thing
 * that it waited for; it ends with txn_op_end. done runs on the origin's loop and frees the memory,
 * of which this is the first part. */
#ifndef SL_SHARD_TXN_OP_H
#define SL_SHARD_TXN_OP_H

#include "shard/txns.h"

struct txn_op {
    struct shard_call call;
    struct shard *home;
    struct txn_op *next; /* in the queue of its id */
    struct txn *txn;
    void (*run)(struct txn_op *op);
    void (*done)(struct txn_op *op);
    /* After markers; is_stuck: not all of them are written. */
    void (*completed)(struct txn_op *op, bool is_stuck);
    struct sl_bytes id;
    struct txn_who who;
    sl_err status;
    bool makes_id;     /* an unknown id is fine */
    bool is_internal;  /* of the coordinator: queued also where markers are stuck */
    bool waits_guards; /* until no produce request of the transaction is under way */
    int64_t fresh_id;  /* a producer id that was taken for it, or TXN_NO_ID */
    struct cut_waiter cut;
    struct wal_unit unit;
    struct wal_item item;
    uint8_t *payload; /* owned */
    void (*written)(struct txn_op *op, sl_err err);
};

/* From the origin. run, done and id are set; id stays until done. [loop of home] */
void txn_op_start(struct shard *home, struct txn_op *op);
/* Of the coordinator itself. */
void txn_op_enqueue(struct shard *shard, struct txn *txn, struct txn_op *op);
void txn_op_end(struct txn_op *op, sl_err status);
/* Makes the change durable and applies it; then written runs. */
void txn_op_write(struct txn_op *op, const struct txn_values *next,
                  const struct txn_additions *added,
                  void (*written)(struct txn_op *op, sl_err err));
/* The queue goes on. */
void txn_ops_pump(struct shard *shard, struct txn *txn);
/* True: it goes on when the guards are given back. */
bool txn_op_wait_guards(struct txn_op *op);
void txn_guard_give(struct shard *shard, struct txn *txn);

/* txn_complete.c: writes the markers of a transaction that was decided. */
void txn_complete(struct shard *shard, struct txn *txn, bool again);
/* txns.c: the log is told, nobody waits for it: without this the next start writes those markers
 * again that are not there, which are none. */
void txn_note_completed(struct shard *shard, struct sl_bytes payload);

/* ---- guards of produce requests ---- */

/* That entries of a produce request are of an open transaction, which stays open until it is given
 * back. */
struct txn_guard {
    struct txn_op op;
    bool adds;  /* version 2: partitions that are not in the transaction are added */
    bool holds; /* granted: to be given back */
    uint32_t count;
    struct txn_partition *partitions;
    sl_err *statuses; /* one for each */
    void *arg;
    void (*granted)(struct txn_guard *guard); /* [loop of home] */
    struct shard_call release;
};
/* One block with room for partitions and statuses, and a copy of the id. NULL: no memory. */
struct txn_guard *txn_guard_new(struct sluice_text id, uint32_t partitions_max);
void txn_guard_start(struct shard *home, struct txn_guard *guard);
/* Given back, if it was granted, and freed. [loop of home] */
void txn_guard_end(struct txn_guard *guard);

#endif
