/* producer_id_call.c: see producer_id_call.h. */
#include "shard/producer_id_call.h"

#include <string.h>

struct producer_id_call {
    struct shard_call call;
    struct shard *home;
    struct producer_id_call *next; /* waiting for the lease */
    int64_t id;
    int16_t epoch;
    struct sluice_producer_id answer;
    sluice_producer_id_done *done;
    void *arg;
};

struct producer_id_lease {
    struct wal_unit unit;
    struct wal_item item;
    struct shard *shard;
    uint8_t payload[PRODUCER_BLOCK_ITEM_SIZE];
};

static void try_take(struct producer_id_call *self);

static void lease_ended(struct shard *shard, sl_err err)
{
    producer_ids_lease_end(&shard->producer_ids, err);
    sl_free(shard->id_lease);
    shard->id_lease = NULL;
    struct producer_id_call *waiting = shard->id_waiters;
    shard->id_waiters = NULL;
    while (waiting != NULL) {
        struct producer_id_call *next = waiting->next;
        if (err == SLUICE_OK) {
            try_take(waiting);
        } else {
            waiting->answer.status = err;
            shard_call_reply(&waiting->call);
        }
        waiting = next;
    }
}

static void lease_durable(struct wal_unit *unit, sl_err err)
{
    lease_ended(SL_CONTAINER_OF(unit, struct producer_id_lease, unit)->shard, err);
}

static void lease_start(struct shard *shard)
{
    uint8_t payload[PRODUCER_BLOCK_ITEM_SIZE];
    SL_ASSERT(shard->id_lease == NULL && producer_ids_lease_begin(&shard->producer_ids, payload));
    struct producer_id_lease *lease = sl_alloc_zero(1, sizeof(*lease));
    shard->id_lease = lease;
    if (lease == NULL) {
        lease_ended(shard, SLUICE_E_NO_MEMORY);
        return;
    }
    memcpy(lease->payload, payload, sizeof(payload));
    lease->shard = shard;
    lease->item = (struct wal_item){.kind = WAL_ITEM_PRODUCER_BLOCK,
                                    .version = PRODUCER_BLOCK_ITEM_VERSION,
                                    .payload = {lease->payload, PRODUCER_BLOCK_ITEM_SIZE}};
    lease->unit = (struct wal_unit){
        .items = &lease->item, .item_count = 1, .reserve = true, .durable = lease_durable};
    sl_err err = commit_log_submit(shard->log, &lease->unit);
    if (err != SLUICE_OK) {
        lease_ended(shard, err);
    }
}

static void try_take(struct producer_id_call *self)
{
    struct shard *shard = self->call.target;
    sl_err err = producer_ids_take(&shard->producer_ids, &self->answer.id);
    if (err != SLUICE_E_WOULD_BLOCK) {
        self->answer.status = err;
        self->answer.epoch = 0;
        shard_call_reply(&self->call);
        return;
    }
    bool first = shard->id_waiters == NULL && shard->id_lease == NULL;
    self->next = shard->id_waiters;
    shard->id_waiters = self;
    if (first) {
        lease_start(shard);
    }
}

static void run(struct shard_call *call)
{
    struct producer_id_call *self = SL_CONTAINER_OF(call, struct producer_id_call, call);
    struct shard *shard = call->target;
    if (shard->status != SLUICE_OK) {
        self->answer.status = shard->status;
        shard_call_reply(call);
        return;
    }
    if (self->id >= 0) {
        sl_err err =
            producer_ids_bump(&shard->producer_ids, self->id, self->epoch, &self->answer.epoch);
        if (err != SLUICE_E_INVALID_PRODUCER_EPOCH || self->epoch < 0) {
            self->answer.status = err;
            self->answer.id = self->id;
            shard_call_reply(call);
            return;
        }
    }
    try_take(self); /* new, or the last epoch of the id is used up */
}

static void replied(struct shard_call *call)
{
    struct producer_id_call *self = SL_CONTAINER_OF(call, struct producer_id_call, call);
    struct shard *home = self->home;
    self->done(self->arg, &self->answer);
    sl_free(self);
    shard_request_end(home);
}

void producer_id_start(struct shard *home, int64_t id, int16_t epoch, sluice_producer_id_done *done,
                       void *arg)
{
    bool is_half = (id < 0) != (epoch < 0);
    struct producer_id_call *self = is_half ? NULL : sl_alloc_zero(1, sizeof(*self));
    if (self == NULL) {
        done(arg, &(struct sluice_producer_id){.status = is_half ? SLUICE_E_INVALID_REQUEST
                                                                 : SLUICE_E_NO_MEMORY,
                                               .id = -1,
                                               .epoch = -1});
        return;
    }
    *self =
        (struct producer_id_call){.home = home, .id = id, .epoch = epoch, .done = done, .arg = arg};
    shard_request_begin(home);
    self->answer = (struct sluice_producer_id){.id = -1, .epoch = -1};
    self->call.run = run;
    self->call.reply = replied;
    shard_call_start(&self->call, home->set->shards[0], home->loop, SL_PRIORITY_IO);
}
