/* txn_calls.c: what frontends ask of the coordinator (txns.h). Requests are borrowed until done. */
#include "base/bytes.h"
#include "shard/groups.h"
#include "shard/producer_id_call.h"
#include "shard/txn_op.h"

#include <string.h>

static struct txn_who who_of(const struct sluice_txn *txn)
{
    return (struct txn_who){.producer_id = txn->producer_id,
                            .epoch = txn->epoch,
                            .is_v2 = (txn->flags & SLUICE_TXN_V2) != 0};
}

static bool id_is_sound(const struct sluice_txn *txn)
{
    return txn->id.data != NULL && txn->id.size > 0 && txn->id.size <= TXN_ID_BYTES_MAX;
}

/* ---- a producer id for an op ---- */

static void got_id(void *arg, const struct sluice_producer_id *producer)
{
    struct txn_op *op = arg;
    if (producer->status != SLUICE_OK) {
        txn_op_end(op, producer->status);
        return;
    }
    op->fresh_id = producer->id;
    op->run(op);
}

static void take_id(struct txn_op *op)
{
    producer_id_start(op->call.target, -1, -1, got_id, op);
}

/* ---- InitProducerId and the end: both answer with a producer ---- */

struct producer_call {
    struct txn_op op;
    int32_t timeout_ms;
    bool commits;
    struct sluice_producer_id answer;
    sluice_producer_id_done *done;
    void *arg;
};

static void producer_done(struct txn_op *op)
{
    struct producer_call *self = SL_CONTAINER_OF(op, struct producer_call, op);
    self->answer.status = op->status;
    if (op->status != SLUICE_OK) {
        self->answer.id = -1;
        self->answer.epoch = -1;
    }
    self->done(self->arg, &self->answer);
    sl_free(self);
}

static void producer_end(struct producer_call *self, sl_err err)
{
    const struct txn_values *values = &self->op.txn->values;
    self->answer = (struct sluice_producer_id){.id = values->producer_id, .epoch = values->epoch};
    txn_op_end(&self->op, err);
}

static void init_written(struct txn_op *op, sl_err err)
{
    producer_end(SL_CONTAINER_OF(op, struct producer_call, op), err);
}

static void init_run(struct txn_op *op);

static void init_aborted(struct txn_op *op, bool is_stuck)
{
    if (is_stuck) {
        txn_op_end(op, SLUICE_E_CONCURRENT_TRANSACTIONS);
    } else {
        init_run(op);
    }
}

static void init_fenced(struct txn_op *op, sl_err err)
{
    if (err != SLUICE_OK) {
        txn_op_end(op, err);
        return;
    }
    op->completed = init_aborted;
    txn_complete(op->call.target, op->txn, false);
}

static void init_run(struct txn_op *op)
{
    struct producer_call *self = SL_CONTAINER_OF(op, struct producer_call, op);
    struct txn_values next;
    const struct txn_additions none = {0};
    int64_t now_ms = shard_wall_ms(op->call.target);
    sl_err err =
        txn_rules_init(&op->txn->values, &op->who, self->timeout_ms, op->fresh_id, now_ms, &next);
    if (err == SLUICE_E_WOULD_BLOCK) {
        take_id(op);
    } else if (err == SLUICE_E_BUSY) {
        if (!txn_op_wait_guards(op)) {
            txn_rules_fence(&op->txn->values, now_ms, &next);
            txn_op_write(op, &next, &none, init_fenced);
        }
    } else if (err != SLUICE_OK) {
        txn_op_end(op, err);
    } else {
        txn_op_write(op, &next, &none, init_written);
    }
}

static void refuse_producer(sluice_producer_id_done *done, void *arg, sl_err err)
{
    done(arg, &(struct sluice_producer_id){.status = err, .id = -1, .epoch = -1});
}

static void producer_start(struct shard *home, const struct sluice_txn *txn,
                           const struct producer_call *what, void (*run)(struct txn_op *op))
{
    struct producer_call *self = sl_alloc(sizeof(*self));
    if (self == NULL) {
        refuse_producer(what->done, what->arg, SLUICE_E_NO_MEMORY);
        return;
    }
    *self = *what;
    self->op.id = sl_of_text(txn->id);
    self->op.who = who_of(txn);
    self->op.run = run;
    self->op.done = producer_done;
    txn_op_start(home, &self->op);
}

void txns_producer(struct shard *home, const struct sluice_txn *txn, int32_t timeout_ms,
                   sluice_producer_id_done *done, void *arg)
{
    const struct producer_call what = {
        .op.makes_id = true, .timeout_ms = timeout_ms, .done = done, .arg = arg};
    bool is_half = (txn->producer_id == -1) != (txn->epoch == -1);
    if (is_half || !id_is_sound(txn)) {
        refuse_producer(done, arg, SLUICE_E_INVALID_REQUEST);
    } else if (timeout_ms <= 0 || timeout_ms > TXN_TIMEOUT_MS_MAX) {
        refuse_producer(done, arg, SLUICE_E_INVALID_TXN_TIMEOUT);
    } else {
        producer_start(home, txn, &what, init_run);
    }
}

/* ---- the end ---- */

static void end_completed(struct txn_op *op, bool is_stuck)
{
    (void)is_stuck; /* it is decided all the same */
    producer_end(SL_CONTAINER_OF(op, struct producer_call, op), SLUICE_OK);
}

static void end_written(struct txn_op *op, sl_err err)
{
    if (err != SLUICE_OK) {
        txn_op_end(op, err);
        return;
    }
    op->completed = end_completed;
    txn_complete(op->call.target, op->txn, false);
}

static void end_run(struct txn_op *op);

static void end_goes_on(struct cut_waiter *waiter)
{
    end_run(SL_CONTAINER_OF(waiter, struct txn_op, cut));
}

static void end_run(struct txn_op *op)
{
    struct producer_call *self = SL_CONTAINER_OF(op, struct producer_call, op);
    struct shard *shard = op->call.target;
    struct txn_values next;
    bool repeated = false;
    const struct txn_additions none = {0};
    if (txn_op_wait_guards(op)) {
        return;
    }
    /* A backup holds all decisions of its cut, or none of their markers. */
    op->cut.go_on = end_goes_on;
    if (cut_wait(shard, &op->cut)) {
        return;
    }
    sl_err err = txn_rules_end(&op->txn->values, &op->who, self->commits, op->fresh_id,
                               shard_wall_ms(shard), &next, &repeated);
    if (err == SLUICE_E_WOULD_BLOCK) {
        take_id(op);
    } else if (err != SLUICE_OK || repeated) {
        producer_end(self, err);
    } else {
        txn_op_write(op, &next, &none, end_written);
    }
}

void txns_end(struct shard *home, const struct sluice_txn *txn, bool commits,
              sluice_producer_id_done *done, void *arg)
{
    const struct producer_call what = {.commits = commits, .done = done, .arg = arg};
    if (id_is_sound(txn)) {
        producer_start(home, txn, &what, end_run);
    } else {
        refuse_producer(done, arg, SLUICE_E_INVALID_REQUEST);
    }
}

/* ---- adding partitions, a group, offsets ---- */

struct add_call {
    struct txn_op op;
    const struct sluice_txn_partition *partitions;
    uint32_t count;
    bool verify_only;
    struct sluice_text group;                   /* data NULL: none */
    const struct sluice_offset_commit *offsets; /* NULL: none */
    sluice_status *statuses;                    /* owned; one for each of count */
    struct txn_partition *added;                /* owned; those that are new */
    uint32_t added_count;
    sluice_statuses_done *statuses_done; /* or: */
    sluice_status_done *status_done;
    void *arg;
};

static void add_done(struct txn_op *op)
{
    struct add_call *self = SL_CONTAINER_OF(op, struct add_call, op);
    for (uint32_t i = 0; op->status != SLUICE_OK && i < self->count; i++) {
        self->statuses[i] = op->status;
    }
    if (self->status_done != NULL) {
        self->status_done(self->arg, op->status);
    } else {
        self->statuses_done(self->arg, op->status, self->statuses, self->count);
    }
    sl_free(self->statuses);
    sl_free(self->added);
    sl_free(self);
}

static bool is_among(const struct txn_partition *partitions, uint32_t count,
                     const struct txn_partition *wanted)
{
    for (uint32_t i = 0; i < count; i++) {
        if (partitions[i].number == wanted->number &&
            sl_uuid_equal(&partitions[i].topic, &wanted->topic)) {
            return true;
        }
    }
    return false;
}

static sl_err resolve(struct shard *shard, const struct sluice_txn_partition *from,
                      struct txn_partition *ret_partition)
{
    sluice_status status = SLUICE_OK;
    const struct topic *topic = shard_find_topic(shard, &from->topic, &status);
    if (topic == NULL) {
        return status;
    }
    if (from->partition < 0 || (uint32_t)from->partition >= topic->partition_count) {
        return SLUICE_E_UNKNOWN_TOPIC;
    }
    if (topic_name_is_reserved(topic->name)) {
        return SLUICE_E_TOPIC_AUTHORIZATION;
    }
    *ret_partition = (struct txn_partition){topic->id, (uint32_t)from->partition};
    return shard_topic_is_exact(shard, topic) ? SLUICE_OK : SLUICE_E_TXN_DURABILITY;
}

/* Which are new; all or none. True: there is nothing wrong with any. */
static bool look_at_partitions(struct add_call *self)
{
    const struct txn *txn = self->op.txn;
    bool is_open = txn->values.state == TXN_ONGOING;
    bool is_sound = true;
    self->added_count = 0;
    for (uint32_t i = 0; i < self->count; i++) {
        struct txn_partition partition;
        sl_err err = resolve(self->op.call.target, &self->partitions[i], &partition);
        bool is_in = err == SLUICE_OK && is_open && txn_has_partition(txn, &partition);
        self->statuses[i] = err;
        if (err == SLUICE_OK && self->verify_only && !is_in) {
            self->statuses[i] = SLUICE_E_TRANSACTION_ABORTABLE;
        } else if (err == SLUICE_OK && !is_in &&
                   !is_among(self->added, self->added_count, &partition)) {
            self->added[self->added_count++] = partition;
        }
        is_sound = is_sound && err == SLUICE_OK;
    }
    for (uint32_t i = 0; !is_sound && !self->verify_only && i < self->count; i++) {
        bool is_fine = self->statuses[i] == SLUICE_OK;
        self->statuses[i] = is_fine ? SLUICE_E_NOT_ATTEMPTED : self->statuses[i];
    }
    return is_sound;
}

static bool has_room(const struct add_call *self)
{
    const struct txn_values *values = &self->op.txn->values;
    uint32_t partitions = values->state == TXN_ONGOING ? values->partition_count : 0;
    uint32_t groups = values->state == TXN_ONGOING ? values->group_count : 0;
    return partitions + self->added_count <= TXN_PARTITIONS_MAX && groups < TXN_GROUPS_MAX &&
           self->group.size <= TXN_GROUP_BYTES_MAX;
}

static void add_partitions_run(struct txn_op *op)
{
    struct add_call *self = SL_CONTAINER_OF(op, struct add_call, op);
    struct txn_values next;
    sl_err err = txn_rules_add(&op->txn->values, &op->who, shard_wall_ms(op->call.target), &next);
    if (err != SLUICE_OK) {
        txn_op_end(op, err);
        return;
    }
    bool is_sound = look_at_partitions(self);
    if (!is_sound || self->verify_only || self->added_count == 0) {
        txn_op_end(op, SLUICE_OK);
    } else if (!has_room(self)) {
        txn_op_end(op, SLUICE_E_LIMIT);
    } else {
        const struct txn_additions added = {.partitions = self->added,
                                            .partition_count = self->added_count};
        txn_op_write(op, &next, &added, txn_op_end);
    }
}

static void add_start(struct shard *home, const struct sluice_txn *txn, const struct add_call *what,
                      void (*run)(struct txn_op *op))
{
    struct add_call *self = sl_alloc(sizeof(*self));
    sluice_status *statuses = sl_alloc_zero(what->count + 1u, sizeof(*statuses));
    struct txn_partition *added = sl_alloc((what->count + 1u) * sizeof(*added));
    sl_err err = self == NULL || statuses == NULL || added == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    if (err == SLUICE_OK && (!id_is_sound(txn) || what->count > TXN_PARTITIONS_MAX)) {
        err = SLUICE_E_INVALID_REQUEST;
    }
    if (err != SLUICE_OK) {
        if (what->status_done != NULL) {
            what->status_done(what->arg, err);
        } else {
            what->statuses_done(what->arg, err, NULL, 0);
        }
        sl_free(self);
        sl_free(statuses);
        sl_free(added);
        return;
    }
    *self = *what;
    self->statuses = statuses;
    self->added = added;
    self->op.id = sl_of_text(txn->id);
    self->op.who = who_of(txn);
    self->op.run = run;
    self->op.done = add_done;
    txn_op_start(home, &self->op);
}

void txns_add(struct shard *home, const struct sluice_txn *txn,
              const struct sluice_txn_partition *partitions, uint32_t count, bool verify_only,
              sluice_statuses_done *done, void *arg)
{
    const struct add_call what = {.partitions = partitions,
                                  .count = count,
                                  .verify_only = verify_only,
                                  .statuses_done = done,
                                  .arg = arg};
    add_start(home, txn, &what, add_partitions_run);
}

/* Writes the group into the transaction, where it is not in it; then `then` runs. */
static void add_group(struct add_call *self, void (*then)(struct txn_op *op, sl_err err))
{
    struct txn_op *op = &self->op;
    struct txn_values next;
    struct sl_bytes group = sl_of_text(self->group);
    sl_err err = txn_rules_add(&op->txn->values, &op->who, shard_wall_ms(op->call.target), &next);
    if (err == SLUICE_OK && group.size == 0) {
        err = SLUICE_E_INVALID_GROUP_ID;
    }
    if (err == SLUICE_OK && !has_room(self)) {
        err = SLUICE_E_LIMIT;
    }
    bool is_in = op->txn->values.state == TXN_ONGOING && txn_has_group(op->txn, group);
    if (err != SLUICE_OK || is_in) {
        then(op, err);
    } else {
        const struct txn_additions added = {.group = group};
        txn_op_write(op, &next, &added, then);
    }
}

static void add_group_run(struct txn_op *op)
{
    add_group(SL_CONTAINER_OF(op, struct add_call, op), txn_op_end);
}

void txns_add_group(struct shard *home, const struct sluice_txn *txn, struct sluice_text group,
                    sluice_status_done *done, void *arg)
{
    const struct add_call what = {.group = group, .status_done = done, .arg = arg};
    add_start(home, txn, &what, add_group_run);
}

/* ---- offsets ---- */

static void offsets_pending(void *arg, sluice_status status, const sluice_status *statuses,
                            uint32_t count)
{
    struct add_call *self = arg;
    for (uint32_t i = 0; i < self->count; i++) {
        self->statuses[i] = i < count ? statuses[i] : status;
    }
    txn_op_end(&self->op, status);
}

/* The transaction stays as it is until they are durable: its end is queued behind. */
static void offsets_go_on(struct txn_op *op, sl_err err)
{
    struct add_call *self = SL_CONTAINER_OF(op, struct add_call, op);
    if (err != SLUICE_OK) {
        txn_op_end(op, err);
        return;
    }
    groups_commit_txn(op->call.target, self->offsets, op->who.producer_id, offsets_pending, self);
}

static void offsets_run(struct txn_op *op)
{
    struct add_call *self = SL_CONTAINER_OF(op, struct add_call, op);
    if (op->who.is_v2) {
        add_group(self, offsets_go_on);
        return;
    }
    sl_err err = txn_rules_check(&op->txn->values, &op->who);
    if (err == SLUICE_OK && (op->txn->values.state != TXN_ONGOING ||
                             !txn_has_group(op->txn, sl_of_text(self->group)))) {
        err = SLUICE_E_INVALID_TXN_STATE;
    }
    offsets_go_on(op, err);
}

void txns_commit_offsets(struct shard *home, const struct sluice_txn *txn,
                         const struct sluice_offset_commit *request, sluice_statuses_done *done,
                         void *arg)
{
    const struct add_call what = {.offsets = request,
                                  .count = request->entry_count,
                                  .group = request->identity.group,
                                  .statuses_done = done,
                                  .arg = arg};
    if (what.group.size == 0) {
        done(arg, SLUICE_E_INVALID_GROUP_ID, NULL, 0);
        return;
    }
    add_start(home, txn, &what, offsets_run);
}

/* ---- guards of produce requests ---- */

struct txn_guard *txn_guard_new(struct sluice_text id, uint32_t partitions_max)
{
    size_t per_entry = sizeof(struct txn_partition) + sizeof(sl_err);
    struct txn_guard *guard =
        sl_alloc(sizeof(*guard) + partitions_max * per_entry + (size_t)id.size);
    if (guard == NULL) {
        return NULL;
    }
    memset(guard, 0, sizeof(*guard));
    guard->partitions = (struct txn_partition *)(guard + 1);
    guard->statuses = (sl_err *)(guard->partitions + partitions_max);
    uint8_t *copy = (uint8_t *)(guard->statuses + partitions_max);
    guard->op.id = (struct sl_bytes){copy, (size_t)id.size};
    sl_bytes_copy(copy, sl_of_text(id));
    return guard;
}

static void guard_grant(struct txn_guard *guard, sl_err err)
{
    for (uint32_t i = 0; i < guard->count; i++) {
        guard->statuses[i] =
            err == SLUICE_OK && !txn_has_partition(guard->op.txn, &guard->partitions[i])
                ? SLUICE_E_TRANSACTION_ABORTABLE
                : err;
    }
    guard->holds = err == SLUICE_OK;
    guard->op.txn->guard_count += guard->holds;
    txn_op_end(&guard->op, err);
}

static void guard_written(struct txn_op *op, sl_err err)
{
    guard_grant(SL_CONTAINER_OF(op, struct txn_guard, op), err);
}

static void guard_run(struct txn_op *op)
{
    struct txn_guard *guard = SL_CONTAINER_OF(op, struct txn_guard, op);
    const struct txn_values *values = &op->txn->values;
    struct txn_values next;
    sl_err err = txn_rules_add(values, &op->who, shard_wall_ms(op->call.target), &next);
    bool is_open = values->state == TXN_ONGOING;
    if (err == SLUICE_OK && !guard->adds && !is_open) {
        err = SLUICE_E_TRANSACTION_ABORTABLE;
    }
    if (err != SLUICE_OK || !guard->adds) {
        guard_grant(guard, err);
        return;
    }
    struct txn_partition *added = sl_alloc((guard->count + 1u) * sizeof(*added));
    uint32_t count = 0;
    for (uint32_t i = 0; added != NULL && i < guard->count; i++) {
        const struct txn_partition *partition = &guard->partitions[i];
        if (!(is_open && txn_has_partition(op->txn, partition)) &&
            !is_among(added, count, partition)) {
            added[count++] = *partition;
        }
    }
    bool is_full = (is_open ? values->partition_count : 0) + count > TXN_PARTITIONS_MAX;
    if (added == NULL || count == 0 || is_full) {
        guard_grant(guard, added == NULL ? SLUICE_E_NO_MEMORY
                           : is_full     ? SLUICE_E_LIMIT
                                         : SLUICE_OK);
    } else {
        const struct txn_additions additions = {.partitions = added, .partition_count = count};
        txn_op_write(op, &next, &additions, guard_written);
    }
    sl_free(added);
}

static void guard_done(struct txn_op *op)
{
    struct txn_guard *guard = SL_CONTAINER_OF(op, struct txn_guard, op);
    if (op->status != SLUICE_OK) {
        for (uint32_t i = 0; i < guard->count; i++) {
            guard->statuses[i] = op->status;
        }
    }
    guard->granted(guard);
}

void txn_guard_start(struct shard *home, struct txn_guard *guard)
{
    guard->op.run = guard_run;
    guard->op.done = guard_done;
    txn_op_start(home, &guard->op);
}

static void release_run(struct shard_call *call)
{
    struct txn_guard *guard = SL_CONTAINER_OF(call, struct txn_guard, release);
    txn_guard_give(call->target, guard->op.txn);
    shard_call_reply(call);
}

static void release_replied(struct shard_call *call)
{
    struct txn_guard *guard = SL_CONTAINER_OF(call, struct txn_guard, release);
    struct shard *home = guard->op.home;
    sl_free(guard);
    shard_request_end(home);
}

void txn_guard_end(struct txn_guard *guard)
{
    if (guard == NULL) {
        return;
    }
    if (!guard->holds) {
        sl_free(guard);
        return;
    }
    struct shard *home = guard->op.home;
    shard_request_begin(home);
    guard->release.run = release_run;
    guard->release.reply = release_replied;
    shard_call_start(&guard->release, guard->op.call.target, home->loop, SL_PRIORITY_CONTROL);
}
