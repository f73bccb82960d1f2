/* admin_round.c: see admin_round.h. */
#include "broker/admin_round.h"

#include "broker/sluice_state.h"

void *admin_round_new(struct sluice *sluice, size_t head_bytes, size_t call_bytes,
                      admin_storage_done *done, void *done_arg)
{
    struct admin_round *round =
        sluice->stopping ? NULL : sl_alloc_zero(1, head_bytes + sluice->shards.count * call_bytes);
    if (round == NULL) {
        done(done_arg, sluice->stopping ? SLUICE_E_STOPPING : SLUICE_E_NO_MEMORY, "", NULL);
        return NULL;
    }
    round->sluice = sluice;
    round->done = done;
    round->done_arg = done_arg;
    return round;
}

void admin_round_refuse(struct admin_round *round, sl_err err)
{
    round->done(round->done_arg, err, "", NULL);
    sl_free(round);
}

static void replied(struct shard_call *shard_call)
{
    struct admin_round *round = SL_CONTAINER_OF(shard_call, struct admin_round_call, call)->round;
    if (--round->pending == 0) {
        round->end(round);
    }
}

/* The room whose first shard it is. */
static const struct loop_room *room_of(const struct sluice *sluice, const struct shard *shard)
{
    for (uint32_t i = 0; i < sluice->room_count; i++) {
        if (sluice->rooms[i].shard_count > 0 && sluice->rooms[i].shards[0] == shard) {
            return &sluice->rooms[i];
        }
    }
    return NULL;
}

void admin_round_start(struct admin_round *round, void *calls, size_t call_bytes,
                       void (*run)(struct shard_call *call), void (*end)(struct admin_round *round))
{
    struct sluice *sluice = round->sluice;
    uint32_t count = sluice->shards.count;
    round->pending = count;
    round->end = end;
    shard_request_begin(sluice->shards.shards[0]);
    for (uint32_t i = 0; i < count; i++) {
        struct admin_round_call *call = (void *)((uint8_t *)calls + i * call_bytes);
        call->round = round;
        call->room = room_of(sluice, sluice->shards.shards[i]);
        call->call.run = run;
        call->call.reply = replied;
        /* The last reply frees the round: nothing of it is touched after the last start. */
        shard_call_start(&call->call, sluice->shards.shards[i], sluice->rooms[0].loop,
                         SL_PRIORITY_CONTROL);
    }
}

void admin_round_answer(struct admin_round *round, sl_err err, const char *text,
                        struct cJSON *result)
{
    struct shard *home = round->sluice->shards.shards[0];
    round->done(round->done_arg, err, text, result);
    sl_free(round);
    shard_request_end(home);
}
