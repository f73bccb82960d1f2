/* txn_complete.c: what was decided is carried out: a marker into each partition of the transaction,
 * and its offsets into each group (txns.h). A window of them is under way at a time. */
#include "shard/produce.h"
#include "shard/txn_op.h"
#include "shard/txn_settle.h"

#define WINDOW   32u
#define RETRY_MS 500

struct completion;

/* One marker, or the offsets of one group, on its way. */
struct step {
    struct shard_call call;
    struct completion *of;
    sl_err err;
    struct txn_partition where;
    struct sl_bytes group; /* data NULL: it is a partition's marker */
    struct produce_marker marker;
    struct txn_settle settle;
};

struct completion {
    struct shard *shard;
    struct txn *txn;
    struct txn_marker what; /* to be written */
    bool again;
    uint32_t next;    /* of partitions, then groups */
    uint32_t pending; /* steps under way */
    sl_err err;       /* the first that is to be tried again */
    uint32_t step_count;
    struct step steps[];
};

/* ---- one step, on the shard of its partition or group ---- */

static void step_ended(struct step *step, sl_err err)
{
    step->err = err;
    shard_call_reply(&step->call);
}

static void marker_done(struct produce_marker *marker, sl_err err)
{
    step_ended(SL_CONTAINER_OF(marker, struct step, marker), err);
}

static void settle_done(struct txn_settle *settle, sl_err err)
{
    step_ended(SL_CONTAINER_OF(settle, struct step, settle), err);
}

static void step_run(struct shard_call *call)
{
    struct step *step = SL_CONTAINER_OF(call, struct step, call);
    const struct completion *of = step->of;
    if (step->group.data != NULL) {
        step->settle.done = settle_done;
        txn_settle_start(call->target, &step->settle, step->group, of->what.producer_id,
                         of->what.commits);
        return;
    }
    step->marker.done = marker_done;
    produce_marker_start(call->target, &step->marker, &step->where.topic, step->where.number,
                         &of->what, of->again);
}

/* ---- the coordinator ---- */

static void end_ok(struct completion *self)
{
    struct txn_coordinator *txns = &self->shard->txns;
    struct txn *txn = self->txn;
    struct txn_values next;
    const struct txn_additions none = {0};
    txn_rules_complete(&txn->values, shard_wall_ms(self->shard), &next);
    size_t size = txn_item_size(&next, &none);
    uint8_t *payload = sl_alloc(size);
    if (payload == NULL) {
        self->err = SLUICE_E_NO_MEMORY;
        return;
    }
    txn_item_encode(&next, &none, payload);
    self->err = txn_store_apply(&txns->store, TXN_ITEM_VERSION, sl_bytes_of(payload, size));
    if (self->err == SLUICE_OK) {
        txn_note_completed(self->shard, sl_bytes_of(payload, size));
    }
    sl_free(payload);
}

static void end(struct completion *self)
{
    struct shard *shard = self->shard;
    struct txn *txn = self->txn;
    if (self->err == SLUICE_OK) {
        end_ok(self);
    }
    txn->is_completing = false;
    txn->is_stuck = self->err != SLUICE_OK;
    if (txn->is_stuck) {
        shard->txns.retry_ms = SL_MIN(shard->txns.retry_ms, shard_now_ms(shard) + RETRY_MS);
        shard_schedule(shard);
    }
    sl_free(self);
    struct txn_op *op = txn->is_running ? txn->first_op : NULL;
    if (op != NULL && op->completed != NULL) {
        void (*completed)(struct txn_op * op, bool is_stuck) = op->completed;
        op->completed = NULL;
        completed(op, txn->is_stuck);
    } else {
        txn_ops_pump(shard, txn);
    }
    shard_request_end(shard);
}

static void go_on(struct completion *self, struct step *step);

static void step_replied(struct shard_call *call)
{
    struct step *step = SL_CONTAINER_OF(call, struct step, call);
    struct completion *self = step->of;
    /* Of a topic that is gone there is nothing to end, and a later epoch has ended it. */
    bool is_over = step->err == SLUICE_OK || step->err == SLUICE_E_UNKNOWN_TOPIC ||
                   step->err == SLUICE_E_INVALID_PRODUCER_EPOCH;
    if (!is_over && self->err == SLUICE_OK) {
        self->err = step->err;
    }
    self->pending--;
    go_on(self, step);
    if (self->pending == 0) {
        end(self);
    }
}

/* Where the next step is to be done; NULL: nowhere any more. */
static struct shard *aim(struct completion *self, struct step *step)
{
    const struct txn_values *values = &self->txn->values;
    struct shard *shard = self->shard;
    while (self->next < values->partition_count) {
        step->where = values->partitions[self->next++];
        step->group = (struct sl_bytes){0};
        struct topic *topic = catalog_by_id(shard->catalog, &step->where.topic);
        if (topic != NULL && step->where.number < topic->partition_count) {
            return shard_of_partition(shard->set, topic, step->where.number);
        }
    }
    if (self->next < values->partition_count + values->group_count) {
        step->group = values->groups[self->next++ - values->partition_count];
        return shard_of_group(shard->set, text_of_sl(step->group));
    }
    return NULL;
}

/* A step that ended begins the next one, unless the shard ends. Each counts as pending from its
 * begin, so that none ends the whole while it begins. */
static void go_on(struct completion *self, struct step *step)
{
    struct shard *target = self->shard->stopping ? NULL : aim(self, step);
    if (self->shard->stopping && self->err == SLUICE_OK) {
        self->err = SLUICE_E_STOPPING;
    }
    if (target == NULL) {
        return;
    }
    self->pending++;
    step->of = self;
    step->call.run = step_run;
    step->call.reply = step_replied;
    shard_call_start(&step->call, target, self->shard->loop, SL_PRIORITY_IO);
}

void txn_complete(struct shard *shard, struct txn *txn, bool again)
{
    const struct txn_values *values = &txn->values;
    uint32_t step_count = SL_MIN(values->partition_count + values->group_count, WINDOW);
    struct completion *self = sl_alloc_zero(1, sizeof(*self) + step_count * sizeof(struct step));
    shard_request_begin(shard);
    txn->is_completing = true;
    if (self == NULL) {
        struct completion failed = {.shard = shard, .txn = txn, .err = SLUICE_E_NO_MEMORY};
        self = sl_alloc_zero(1, sizeof(*self));
        if (self == NULL) { /* tried again, without an answer before */
            txn->is_completing = false;
            txn->is_stuck = true;
            shard->txns.retry_ms = shard_now_ms(shard) + RETRY_MS;
            shard_schedule(shard);
            shard_request_end(shard);
            return;
        }
        *self = failed;
        end(self);
        return;
    }
    self->shard = shard;
    self->txn = txn;
    self->again = again;
    self->step_count = step_count;
    self->what = (struct txn_marker){.producer_id = values->producer_id,
                                     .producer_epoch = values->epoch,
                                     .time_ms = shard_wall_ms(shard),
                                     .coordinator_epoch = TXN_COORDINATOR_EPOCH,
                                     .commits = values->state == TXN_PREPARE_COMMIT};
    self->pending = 1; /* until all steps of the window have begun */
    for (uint32_t i = 0; i < step_count; i++) {
        go_on(self, &self->steps[i]);
    }
    if (--self->pending == 0) {
        end(self);
    }
}
