/* admin_round.h: one question of the admin socket to every shard, and one answer when all of them
 * have replied.
 *
 *   new ─► (what is asked) ─► start ─► run, on each shard's loop, which replies ─► end: answer
 *
 * A command's own struct begins with the round, and ends with an array of its own calls, which each
 * begin with a round_call. [loop 0, but run] */
#ifndef SL_BROKER_ADMIN_ROUND_H
#define SL_BROKER_ADMIN_ROUND_H

#include "control/admin.h"
#include "shard/shard.h"

struct admin_round;
struct loop_room;
struct sluice;

struct admin_round_call {
    struct shard_call call;
    struct admin_round *round;
    const struct loop_room *room; /* whose first shard this is; NULL: another shard tells of it */
};

struct admin_round {
    struct sluice *sluice;
    uint32_t pending;
    void (*end)(struct admin_round *round);
    admin_storage_done *done;
    void *done_arg;
};

/* Zeroed: `head_bytes` of what begins with the round, and `call_bytes` for each shard. NULL: the
 * broker stops or there is no memory, and `done` was called with that. */
void *admin_round_new(struct sluice *sluice, size_t head_bytes, size_t call_bytes,
                      admin_storage_done *done, void *done_arg);
/* Frees one that was not started, after an answer. */
void admin_round_refuse(struct admin_round *round, sl_err err);
/* calls: one for each shard, `call_bytes` apart. `run` ends in shard_call_reply; then `end` is
 * called, perhaps inside, and ends in admin_round_answer. */
void admin_round_start(struct admin_round *round, void *calls, size_t call_bytes,
                       void (*run)(struct shard_call *call),
                       void (*end)(struct admin_round *round));
/* The end: `done`, and the round is freed. [takes result; NULL with an error] */
void admin_round_answer(struct admin_round *round, sl_err err, const char *text,
                        struct cJSON *result);

#endif
