/* txns.c: the queue of a transactional id, time, and what a shard does by itself (txns.h). */
#include "shard/txns.h"

#include "shard/partition.h"
#include "shard/txn_op.h"

#include <string.h>

#define RETRY_MS        500
#define UNUSED_MS_MAX   604800000 /* transactional.id.expiration.ms */
#define EXPIRED_AT_ONCE 64u

/* ---- the queue ---- */

static void op_replied(struct shard_call *call)
{
    struct txn_op *op = SL_CONTAINER_OF(call, struct txn_op, call);
    struct shard *home = op->home;
    op->done(op);
    shard_request_end(home);
}

static void op_reply(struct txn_op *op)
{
    sl_free(op->payload);
    op->payload = NULL;
    if (op->is_internal) {
        op_replied(&op->call);
    } else {
        shard_call_reply(&op->call);
    }
}

static void queue_pop(struct txn *txn)
{
    txn->first_op = txn->first_op->next;
    if (txn->first_op == NULL) {
        txn->last_op = NULL;
    }
}

void txn_op_end(struct txn_op *op, sl_err status)
{
    struct txn *txn = op->txn;
    struct shard *shard = op->call.target;
    SL_ASSERT(txn->first_op == op && txn->is_running);
    op->status = status;
    queue_pop(txn);
    txn->is_running = false;
    /* The answer may bring the next request for the id: it is queued. */
    bool pumps = txn->is_pumping;
    txn->is_pumping = true;
    op_reply(op);
    txn->is_pumping = pumps;
    if (!pumps) {
        txn_ops_pump(shard, txn);
    }
}

void txn_ops_pump(struct shard *shard, struct txn *txn)
{
    if (txn->is_pumping) {
        return;
    }
    txn->is_pumping = true;
    while (txn->first_op != NULL && !txn->is_running && !txn->is_completing) {
        struct txn_op *op = txn->first_op;
        txn->is_running = true;
        if (shard->status != SLUICE_OK) {
            txn_op_end(op, SLUICE_E_COORDINATOR_NOT_AVAILABLE);
        } else if (txn->is_stuck && !op->is_internal) {
            txn_op_end(op, SLUICE_E_CONCURRENT_TRANSACTIONS);
        } else {
            op->run(op);
        }
    }
    txn->is_pumping = false;
    if (!txn->is_completing) {
        txn_store_drop_idle(&shard->txns.store, txn);
    }
}

void txn_op_enqueue(struct shard *shard, struct txn *txn, struct txn_op *op)
{
    op->txn = txn;
    op->call.target = shard;
    op->next = NULL;
    *(txn->last_op != NULL ? &txn->last_op->next : &txn->first_op) = op;
    txn->last_op = op;
    txn_ops_pump(shard, txn);
}

static void op_arrived(struct shard_call *call)
{
    struct txn_op *op = SL_CONTAINER_OF(call, struct txn_op, call);
    struct shard *shard = call->target;
    struct txn *txn = NULL;
    op->status = SLUICE_OK;
    if (shard->status != SLUICE_OK || shard->stopping) {
        op->status = SLUICE_E_COORDINATOR_NOT_AVAILABLE;
    } else if (op->makes_id) {
        op->status = txn_store_open(&shard->txns.store, op->id, &txn);
    } else {
        txn = txn_store_get(&shard->txns.store, op->id);
        op->status = txn == NULL ? SLUICE_E_INVALID_PRODUCER_ID_MAPPING : SLUICE_OK;
    }
    if (op->status != SLUICE_OK) {
        op_reply(op);
        return;
    }
    txn_op_enqueue(shard, txn, op);
}

void txn_op_start(struct shard *home, struct txn_op *op)
{
    op->home = home;
    op->fresh_id = TXN_NO_ID;
    shard_request_begin(home);
    op->call.run = op_arrived;
    op->call.reply = op_replied;
    struct sluice_text id = text_of_sl(op->id);
    shard_call_start(&op->call, shard_of_group(home->set, id), home->loop, SL_PRIORITY_CONTROL);
}

/* ---- writing ---- */

static void write_durable(struct wal_unit *unit, sl_err err)
{
    struct txn_op *op = SL_CONTAINER_OF(unit, struct txn_op, unit);
    struct shard *shard = op->call.target;
    if (err == SLUICE_OK) {
        err = txn_store_apply(&shard->txns.store, TXN_ITEM_VERSION, op->item.payload);
        if (err != SLUICE_OK) {
            shard_refuse(shard, err);
        }
    }
    sl_free(op->payload);
    op->payload = NULL;
    if (op->txn->values.state == TXN_ONGOING) {
        int64_t due_ms = shard_now_ms(shard) + op->txn->values.timeout_ms;
        shard->txns.due_ms = SL_MIN(shard->txns.due_ms, due_ms);
        shard_schedule(shard);
    }
    op->written(op, err);
}

void txn_op_write(struct txn_op *op, const struct txn_values *next,
                  const struct txn_additions *added, void (*written)(struct txn_op *op, sl_err err))
{
    struct shard *shard = op->call.target;
    size_t size = txn_item_size(next, added);
    sl_free(op->payload);
    op->written = written;
    op->payload = sl_alloc(size);
    if (op->payload == NULL) {
        written(op, SLUICE_E_NO_MEMORY);
        return;
    }
    txn_item_encode(next, added, op->payload);
    op->item = (struct wal_item){
        .kind = WAL_ITEM_TXN, .version = TXN_ITEM_VERSION, .payload = {op->payload, size}};
    op->unit = (struct wal_unit){
        .items = &op->item, .item_count = 1, .reserve = true, .durable = write_durable};
    sl_err err = commit_log_submit(shard->log, &op->unit);
    if (err != SLUICE_OK) {
        written(op, err);
    }
}

struct note {
    struct wal_unit unit;
    struct wal_item item;
    uint8_t payload[];
};

static void note_durable(struct wal_unit *unit, sl_err err)
{
    (void)err;
    sl_free(SL_CONTAINER_OF(unit, struct note, unit));
}

void txn_note_completed(struct shard *shard, struct sl_bytes payload)
{
    struct note *note = sl_alloc(sizeof(*note) + payload.size);
    if (note == NULL || shard->status != SLUICE_OK) {
        sl_free(note);
        return;
    }
    sl_bytes_copy(note->payload, payload);
    note->item = (struct wal_item){.kind = WAL_ITEM_TXN,
                                   .version = TXN_ITEM_VERSION,
                                   .payload = {note->payload, payload.size}};
    note->unit = (struct wal_unit){
        .items = &note->item, .item_count = 1, .reserve = true, .durable = note_durable};
    if (commit_log_submit(shard->log, &note->unit) != SLUICE_OK) {
        sl_free(note);
    }
}

/* ---- guards ---- */

bool txn_op_wait_guards(struct txn_op *op)
{
    op->waits_guards = op->txn->guard_count > 0;
    return op->waits_guards;
}

void txn_guard_give(struct shard *shard, struct txn *txn)
{
    struct txn_op *op = txn->first_op;
    SL_ASSERT(txn->guard_count > 0);
    txn->guard_count--;
    if (txn->guard_count == 0 && txn->is_running && op->waits_guards) {
        op->waits_guards = false;
        op->run(op);
    } else {
        txn_ops_pump(shard, txn);
    }
}

/* ---- time ---- */

static void fence_completed(struct txn_op *op, bool is_stuck)
{
    (void)is_stuck;
    txn_op_end(op, SLUICE_OK);
}

static void fence_written(struct txn_op *op, sl_err err)
{
    if (err != SLUICE_OK) {
        txn_op_end(op, err);
        return;
    }
    op->completed = fence_completed;
    txn_complete(op->call.target, op->txn, false);
}

static bool has_expired(const struct shard *shard, const struct txn *txn)
{
    const struct txn_values *values = &txn->values;
    return values->state == TXN_ONGOING &&
           shard_wall_ms(shard) - values->start_ms >= values->timeout_ms;
}

static void expire_run(struct txn_op *op)
{
    struct shard *shard = op->call.target;
    if (!has_expired(shard, op->txn)) {
        txn_op_end(op, SLUICE_OK);
        return;
    }
    if (txn_op_wait_guards(op)) {
        return;
    }
    struct txn_values next;
    const struct txn_additions none = {0};
    txn_rules_fence(&op->txn->values, shard_wall_ms(shard), &next);
    sl_log(shard->logger, SL_LOG_INFO, "txn", "a transaction ran out of time and is aborted",
           sl_log_bytes("transactional_id", op->txn->values.id),
           sl_log_i64("producer_id", op->txn->values.producer_id));
    txn_op_write(op, &next, &none, fence_written);
}

static void expire_done(struct txn_op *op)
{
    op->txn->is_expiring = false;
    sl_free(op);
}

static void expire_start(struct shard *shard, struct txn *txn)
{
    struct txn_op *op = sl_alloc_zero(1, sizeof(*op));
    if (op == NULL) {
        return; /* at the next look */
    }
    op->home = shard;
    op->is_internal = true;
    op->fresh_id = TXN_NO_ID;
    op->run = expire_run;
    op->done = expire_done;
    txn->is_expiring = true;
    shard_request_begin(shard);
    txn_op_enqueue(shard, txn, op);
}

/* Looks at all open transactions; an abort may end at once, and change the list. */
static void look_at_ongoing(struct shard *shard, int64_t now_ms)
{
    struct txn_coordinator *txns = &shard->txns;
    txns->due_ms = INT64_MAX;
    for (struct txn *txn = txns->store.ongoing; txn != NULL;) {
        struct txn *next = txn->next_ongoing;
        int64_t age_ms = shard_wall_ms(shard) - txn->values.start_ms;
        int64_t left_ms = SL_MAX(txn->values.timeout_ms - age_ms, (int64_t)1);
        if (txn->is_expiring) {
            left_ms = RETRY_MS;
        } else if (has_expired(shard, txn)) {
            left_ms = RETRY_MS; /* should it fail */
            expire_start(shard, txn);
        }
        txns->due_ms = SL_MIN(txns->due_ms, now_ms + left_ms);
        txn = next;
    }
}

static void retry_one(void *arg, struct txn *txn)
{
    if (txn->is_stuck && !txn->is_completing) {
        txn_complete(arg, txn, true);
    }
}

int64_t txns_tick(struct shard *shard, int64_t now_ms)
{
    struct txn_coordinator *txns = &shard->txns;
    if (shard->status != SLUICE_OK) {
        return INT64_MAX;
    }
    if (now_ms >= txns->due_ms) {
        look_at_ongoing(shard, now_ms);
    }
    if (now_ms >= txns->retry_ms) {
        txns->retry_ms = INT64_MAX;
        txn_store_each(&txns->store, retry_one, shard);
    }
    return txns_due_ms(shard);
}

int64_t txns_due_ms(const struct shard *shard)
{
    return SL_MIN(shard->txns.due_ms, shard->txns.retry_ms);
}

static void resume_one(void *arg, struct txn *txn)
{
    if (txn_is_prepared(txn->values.state)) {
        txn_complete(arg, txn, true);
    }
}

void txns_start(struct shard *shard)
{
    shard->txns.retry_ms = INT64_MAX;
    shard->txns.due_ms = INT64_MAX;
    if (shard->status != SLUICE_OK) {
        return;
    }
    txn_store_each(&shard->txns.store, resume_one, shard);
    look_at_ongoing(shard, shard_now_ms(shard));
}

/* ---- forgetting ---- */

static void forget_run(struct txn_op *op)
{
    struct shard *shard = op->call.target;
    struct txn_values next = op->txn->values;
    const struct txn_additions none = {0};
    if (!op->txn->is_durable || next.state == TXN_ONGOING || txn_is_prepared(next.state) ||
        shard_wall_ms(shard) - next.update_ms < UNUSED_MS_MAX) {
        txn_op_end(op, SLUICE_OK);
        return;
    }
    next.state = TXN_DEAD;
    txn_op_write(op, &next, &none, txn_op_end);
}

static void forget_done(struct txn_op *op)
{
    sl_free(op);
}

struct expiry_visit {
    struct shard *shard;
    struct txn *found[EXPIRED_AT_ONCE];
    uint32_t count;
};

static void find_unused(void *arg, struct txn *txn)
{
    struct expiry_visit *visit = arg;
    bool is_unused = shard_wall_ms(visit->shard) - txn->values.update_ms >= UNUSED_MS_MAX &&
                     txn->first_op == NULL && !txn->is_completing && txn->guard_count == 0 &&
                     txn->values.state != TXN_ONGOING && !txn_is_prepared(txn->values.state);
    if (is_unused && visit->count < EXPIRED_AT_ONCE) {
        visit->found[visit->count++] = txn;
    }
}

void txns_expire(struct shard *shard)
{
    struct expiry_visit visit = {.shard = shard};
    txn_store_each(&shard->txns.store, find_unused, &visit);
    for (uint32_t i = 0; i < visit.count; i++) {
        struct txn_op *op = sl_alloc_zero(1, sizeof(*op));
        if (op == NULL) {
            return;
        }
        op->home = shard;
        op->is_internal = true;
        op->run = forget_run;
        op->done = forget_done;
        shard_request_begin(shard);
        txn_op_enqueue(shard, visit.found[i], op);
    }
}
