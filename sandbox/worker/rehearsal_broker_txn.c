/* rehearsal_broker_txn.c: transactions, made up (rehearsal_broker.h). */
#include "rehearsal_broker.h"

static void end_txns(struct stage *stage, const struct stage_call *call, void *results,
                     sluice_status status)
{
    static const struct sluice_txn_partition partition = {.topic = {.name = {"rehearsed", 9}}};
    struct sluice_txn_info *txns = results;

    for (uint32_t i = 0; i < call->count; i++) {
        txns[i] = (struct sluice_txn_info){.status = stage_draw_status(stage, status != SLUICE_OK),
                                           .state = SLUICE_TXN_ONGOING,
                                           .id = {"rehearsal", 9},
                                           .producer_id = 4000,
                                           .start_ms = -1,
                                           .partition_count = 1,
                                           .partitions = &partition};
    }
    DONE(sluice_txns_done)(call->arg, status, txns, call->count);
}

static const struct rehearsal_kind txns_kind =
    KIND("txns_describe", end_txns, sizeof(struct sluice_txn_info));

/* ---- calls ---- */

CALL(txn_producer, const struct sluice_txn *txn, int32_t timeout_ms, sluice_producer_id_done *done,
     void *arg)
{
    (void)timeout_ms;
    stage_read(txn->id.data, txn->id.size);
    ASK(rehearsal_producer_id_kind, 1);
}

CALL(txn_partitions_add, const struct sluice_txn *txn, const struct sluice_txn_partition *places,
     uint32_t count, bool verify_only, sluice_statuses_done *done, void *arg)
{
    (void)verify_only;
    stage_read(txn->id.data, txn->id.size);
    for (uint32_t i = 0; i < count; i++) {
        stage_read_topic(&places[i].topic);
    }
    ASK(rehearsal_statuses_kind, count);
}

CALL(txn_group_add, const struct sluice_txn *txn, struct sluice_text group,
     sluice_status_done *done, void *arg)
{
    stage_read(txn->id.data, txn->id.size);
    stage_read(group.data, group.size);
    ASK(rehearsal_status_kind, 1);
}

CALL(txn_offsets_commit, const struct sluice_txn *txn, const struct sluice_offset_commit *request,
     sluice_statuses_done *done, void *arg)
{
    stage_read(txn->id.data, txn->id.size);
    ASK(rehearsal_statuses_kind, request->entry_count);
}

CALL(txn_end, const struct sluice_txn *txn, bool commit, sluice_producer_id_done *done, void *arg)
{
    (void)commit;
    stage_read(txn->id.data, txn->id.size);
    ASK(rehearsal_producer_id_kind, 1);
}

CALL(txns_describe, const struct sluice_text *ids, uint32_t count, sluice_txns_done *done,
     void *arg)
{
    for (uint32_t i = 0; i < count; i++) {
        stage_read(ids[i].data, ids[i].size);
    }
    ASK(txns_kind, count);
}

CALL(txns_list, struct sluice_text pattern, sluice_txns_done *done, void *arg)
{
    stage_read(pattern.data, pattern.size);
    ASK(txns_kind, 1);
}

void rehearsal_txn_init(struct sluice_broker *table)
{
    table->txn_producer = on_txn_producer;
    table->txn_partitions_add = on_txn_partitions_add;
    table->txn_group_add = on_txn_group_add;
    table->txn_offsets_commit = on_txn_offsets_commit;
    table->txn_end = on_txn_end;
    table->txns_describe = on_txns_describe;
    table->txns_list = on_txns_list;
}
