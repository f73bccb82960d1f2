/* produce_steps.h: what the files of a produce request share. Private to produce*.c. */
#ifndef SL_SHARD_PRODUCE_STEPS_H
#define SL_SHARD_PRODUCE_STEPS_H

#include "shard/produce.h"

/* Who sent a request, for the gates; its texts are in `texts`. */
struct produce_context {
    struct sluice_context context;
    char texts[512];
};

/* Of what its caller keeps for a request, how much is fetched before it is answered. */
#define PRODUCE_ARG_AHEAD 640u

/* ---- the partition's loop: produce.c ---- */

/* An entry as it starts: no batch yet, nothing against it. */
void produce_entry_init(struct produce_entry *entry, struct sluice_produce_result *result);
/* Why it is refused, for people: cut where it has no room. */
void produce_entry_say(struct produce_entry *entry, const char *format, ...) SL_PRINTF(2, 3);
/* It is the last of what its part is to begin. */
void produce_part_push(struct produce_part *part, struct produce_entry *entry);
/* The entry has its outcome; with the last one its part goes home. */
void produce_entry_end(struct produce_entry *entry, sl_err err);
/* One record more that is refused, told to the client as far as there is room. */
void produce_entry_fault(struct produce_entry *entry, int32_t index, sl_err err);
/* At the head of its queue, right before it is committed: whether its offset is the one that the
 * client expects. */
sl_err produce_expectation_check(struct produce_entry *entry) SL_MUST_CHECK;
/* Where its batch goes, and what is to be durable with it; returns how many items. */
uint32_t produce_place(struct produce_entry *entry, struct commit_batch *batch,
                       struct wal_item ret_items[PRODUCE_EXTRA_ITEMS_MAX]);
/* What was admitted is not committed after all. */
void produce_entry_abort(struct produce_entry *entry, sl_err err);
/* The first entry leaves the queue of its partition. */
void produce_queue_pop(struct partition *partition);
/* Puts the entries of a part in the line of their shard. */
void produce_part_run(struct shard_call *call);

/* ---- the same: produce_later.c ---- */

/* It is to be kept until its time. False: it was refused, and ended. */
bool produce_later_admit(struct produce_entry *entry);
/* Its batch goes into the stream of those that wait; returns how many items, 0 or 1. */
uint32_t produce_later_describe(struct produce_entry *entry, struct commit_batch *batch,
                                struct wal_item *ret_item);
/* It is kept, or not. */
void produce_later_settle(struct produce_entry *entry, sl_err err);

/* ---- the same: produce_gate.c ---- */

/* The first entry of its queue goes through the partition's gate; then the queue is pumped. */
void produce_gate_submit(struct produce_entry *entry);

/* ---- produce_open.c ---- */

/* What a batch for the topic must be. [loop] */
struct batch_limits produce_limits(const struct produce_entry *entry, const struct shard *shard,
                                   const struct topic *topic);
/* Whether the topic wants it under another codec. A view of it has been made. [loop] */
bool produce_wants_codec(const struct produce_entry *entry, const struct topic *topic);
/* Faults become those of the entry; the header's max timestamp is mended. [any] */
void produce_take_verdict(struct produce_entry *entry, sl_err err,
                          const struct batch_verdict *verdict);
/* The first entry of its queue goes to a helper; then the queue is pumped. [the partition's loop]
 */
void produce_open_start(struct produce_entry *entry);

/* ---- the origin's loop ---- */

/* False: no batch is of a transaction. Else they go on when the coordinator has said that it is
 * open, in the order of the requests. (produce_txn.c) */
bool produce_guard_take(struct produce_request *request, const struct sluice_produce *from);
/* False: nothing waits for its time, or the topic that keeps it is there. Else the request goes on
 * when that is made. (produce_later.c) */
/* Whether it can wait for its time. E_INVALID_REQUEST, E_POLICY, with a reason. (produce_later.c)
 */
sl_err produce_later_check(const struct produce_request *request,
                           struct produce_entry *entry) SL_MUST_CHECK;
bool produce_later_prepare(struct produce_request *request);
/* To the owners of its partitions; answers when nothing is left to wait for. */
void produce_hand_over(struct produce_request *request);

#endif
