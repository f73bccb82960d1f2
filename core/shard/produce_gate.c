/* produce_gate.c: an entry's way through the gate of its partition, and what the gate makes of it.
 * [the partition's loop] */
#include "shard/produce_steps.h"

struct gated {
    struct produce_entry *entry;
    struct commit commit;
    struct commit_batch *batches;
    struct wal_item *items;
    void (*release)(void *arg);
    void *release_arg;
};

static void gated_committed(struct commit *commit, sl_err err)
{
    struct gated *gated = SL_CONTAINER_OF(commit, struct gated, commit);
    struct produce_entry *entry = gated->entry;
    entry->result->base_offset = gated->batches[0].base_offset;
    entry->result->log_append_time_ms = gated->batches[0].append_time_ms;
    if (gated->release != NULL) {
        gated->release(gated->release_arg);
    }
    sl_free(gated->batches);
    sl_free(gated->items);
    sl_free(gated);
    produce_entry_end(entry, err);
}

static sl_err gated_commit(struct produce_entry *entry, const struct gate_outcome *outcome)
{
    uint32_t count = 1 + outcome->extra_count;
    struct gated *gated = sl_alloc_zero(1, sizeof(*gated));
    struct commit_batch *batches = sl_alloc_zero(count, sizeof(*batches));
    struct wal_item *items = sl_alloc_zero(count + PRODUCE_EXTRA_ITEMS_MAX, sizeof(*items));
    sl_err err = gated == NULL || batches == NULL || items == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    if (err == SLUICE_OK) {
        batches[0].admission = entry->admitted;
        batches[0].data = outcome->data != NULL ? outcome->data : entry->data;
        batches[0].size = outcome->data != NULL ? outcome->size : entry->size;
        for (uint32_t i = 1; i < count; i++) {
            batches[i] = outcome->extra[i - 1];
        }
        *gated = (struct gated){.entry = entry,
                                .batches = batches,
                                .items = items,
                                .release = outcome->release,
                                .release_arg = outcome->release_arg};
        gated->commit =
            (struct commit){.shard = entry->partition->shard,
                            .batches = batches,
                            .batch_count = count,
                            .items = items,
                            .extra_count = produce_place(entry, &batches[0], &items[count]),
                            .extra_follow = true,
                            .done = gated_committed};
        err = commit_submit(&gated->commit);
    }
    if (err != SLUICE_OK) {
        sl_free(gated);
        sl_free(batches);
        sl_free(items);
    }
    return err;
}

static void gate_refused(struct produce_entry *entry, const struct gate_outcome *outcome,
                         sl_err err)
{
    produce_entry_abort(entry, err);
    produce_entry_say(entry, "%.*s", (int)SL_MIN(outcome->reason.size, sizeof(entry->reason) - 1),
                      outcome->reason.data != NULL ? outcome->reason.data : "");
    for (uint32_t i = 0; i < SL_MIN(outcome->fault_count, PRODUCE_FAULTS_MAX); i++) {
        entry->faults[i] = outcome->faults[i];
        entry->faults[i].reason = (struct sluice_text){entry->reason, entry->reason_size};
        entry->fault_count = i + 1;
    }
    if (outcome->release != NULL) {
        outcome->release(outcome->release_arg);
    }
    produce_entry_end(entry, err);
}

static void gate_done(void *arg, const struct gate_outcome *outcome)
{
    struct produce_entry *entry = arg;
    struct partition *partition = entry->partition;
    partition_ref(partition);
    entry->gating = false;
    produce_queue_pop(partition);
    sl_err err = outcome->err;
    if (err == SLUICE_OK && entry->producer.transactional && outcome->extra_count > 0) {
        err = SLUICE_E_INVALID_TXN_STATE; /* what it adds would not be of the transaction */
    }
    if (err == SLUICE_OK && entry->delay != NULL && outcome->extra_count > 0) {
        err = SLUICE_E_POLICY; /* what it adds would not wait with the batch */
    }
    err = err != SLUICE_OK ? err : produce_expectation_check(entry);
    err = err != SLUICE_OK ? err : gated_commit(entry, outcome);
    if (err != SLUICE_OK) {
        gate_refused(entry, outcome, err);
    }
    produce_pump(partition);
    partition_unref(partition);
}

/* It came before any gate was there, and meets the first one. Who sent it is not known any more, so
 * that it does not pass; sent again it will. */
static void gate_missed(struct produce_entry *entry)
{
    produce_queue_pop(entry->partition);
    produce_entry_abort(entry, SLUICE_E_BUSY);
    produce_entry_say(entry, "a plugin was attached while the batch was on its way: send it again");
    produce_entry_end(entry, SLUICE_E_BUSY);
}

void produce_gate_submit(struct produce_entry *entry)
{
    struct partition_gate *gate = entry->partition->gate;
    const struct produce_context *context = entry->part->request->context;
    if (context == NULL) {
        gate_missed(entry);
        return;
    }
    entry->gating = true;
    gate->submit(gate, entry->partition, (struct sl_bytes){entry->data, entry->size},
                 &context->context, gate_done, entry);
}
