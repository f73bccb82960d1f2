/* rehearsal_broker_records.c: records and offsets of partitions, made up (rehearsal_broker.h). */
#include "rehearsal_broker.h"

static void end_produce(struct stage *stage, const struct stage_call *call, void *results,
                        sluice_status status)
{
    struct sluice_produce_result *result = results;

    for (uint32_t i = 0; i < call->count; i++) {
        result[i] = (struct sluice_produce_result){.status = status,
                                                   .base_offset = status == SLUICE_OK ? 7 : -1,
                                                   .log_append_time_ms = -1,
                                                   .reason = {NULL, 0}};
    }
    DONE(sluice_produce_done)
    (call->arg, result, call->count, stage_draw(stage, 4) == 0 ? 10 : 0);
}

static const struct rehearsal_kind produce_kind =
    KIND("produce", end_produce, sizeof(struct sluice_produce_result));

static void end_fetch(struct stage *stage, const struct stage_call *call, void *results,
                      sluice_status status)
{
    static const uint8_t batch[REHEARSAL_BATCH_BYTES] = {0, 0, 0, 0, 0, 0, 0, 7};
    struct sluice_fetch_result *result = results;

    stage->records_token = stage->next_token++;
    for (uint32_t i = 0; i < call->count; i++) {
        const bool has = status == SLUICE_OK && stage_draw(stage, 2) == 0;

        result[i] =
            (struct sluice_fetch_result){.status = status,
                                         .leader_epoch = 1,
                                         .high_watermark = 9,
                                         .last_stable_offset = 9,
                                         .records = {has ? batch : NULL, has ? sizeof(batch) : 0},
                                         .records_token = has ? stage->records_token : 0};
    }
    DONE(sluice_fetch_done)(call->arg, result, call->count, 0);
    stage->records_token = 0;
}

static const struct rehearsal_kind fetch_kind =
    KIND("fetch", end_fetch, sizeof(struct sluice_fetch_result));

static void end_offsets(struct stage *stage, const struct stage_call *call, void *results,
                        sluice_status status)
{
    struct sluice_offset_answer *answer = results;

    (void)stage;
    for (uint32_t i = 0; i < call->count; i++) {
        answer[i] = (struct sluice_offset_answer){status, 1, 5, -1};
    }
    DONE(sluice_offsets_done)(call->arg, answer, call->count);
}

static const struct rehearsal_kind offsets_kind =
    KIND("offsets", end_offsets, sizeof(struct sluice_offset_answer));

static void end_deleted(struct stage *stage, const struct stage_call *call, void *results,
                        sluice_status status)
{
    struct sluice_records_deleted *deleted = results;

    (void)stage;
    for (uint32_t i = 0; i < call->count; i++) {
        deleted[i] = (struct sluice_records_deleted){
            .status = status, .log_start_offset = status == SLUICE_OK ? 3 : -1};
    }
    DONE(sluice_records_deleted_done)(call->arg, deleted, call->count);
}

static const struct rehearsal_kind deleted_kind =
    KIND("records_delete", end_deleted, sizeof(struct sluice_records_deleted));

static void end_epoch_ends(struct stage *stage, const struct stage_call *call, void *results,
                           sluice_status status)
{
    struct sluice_epoch_end *ends = results;

    (void)stage;
    for (uint32_t i = 0; i < call->count; i++) {
        ends[i] = (struct sluice_epoch_end){status, 1, status == SLUICE_OK ? 9 : -1};
    }
    DONE(sluice_epoch_ends_done)(call->arg, ends, call->count);
}

static const struct rehearsal_kind epoch_ends_kind =
    KIND("epoch_ends", end_epoch_ends, sizeof(struct sluice_epoch_end));

static void end_producers(struct stage *stage, const struct stage_call *call, void *results,
                          sluice_status status)
{
    static const struct sluice_producer_info producer = {
        .producer_id = 4000, .txn_first_offset = -1, .last_sequence = -1};
    struct sluice_producers_result *result = results;

    (void)stage;
    for (uint32_t i = 0; i < call->count; i++) {
        result[i] =
            (struct sluice_producers_result){status, status == SLUICE_OK ? 1 : 0, &producer};
    }
    DONE(sluice_producers_done)(call->arg, result, call->count);
}

static const struct rehearsal_kind producers_kind =
    KIND("producers_describe", end_producers, sizeof(struct sluice_producers_result));

static void end_producer_id(struct stage *stage, const struct stage_call *call, void *results,
                            sluice_status status)
{
    const struct sluice_producer_id producer = {.status = status, .id = 4000};

    (void)stage;
    (void)results;
    DONE(sluice_producer_id_done)(call->arg, &producer);
}

const struct rehearsal_kind rehearsal_producer_id_kind = KIND("producer_id", end_producer_id, 0);

/* ---- calls ---- */

CALL(produce, const struct sluice_produce *request, sluice_produce_done *done, void *arg)
{
    for (uint32_t i = 0; i < request->entry_count; i++) {
        stage_read_topic(&request->entries[i].topic);
        stage_read(request->entries[i].batch.data, request->entries[i].batch.size);
    }
    ASK(produce_kind, request->entry_count);
}

CALL(fetch, const struct sluice_fetch *request, sluice_fetch_done *done, void *arg)
{
    for (uint32_t i = 0; i < request->entry_count; i++) {
        stage_read_topic(&request->entries[i].topic);
    }
    ASK(fetch_kind, request->entry_count);
}

static void on_fetch_cancel(const struct sluice_broker *broker,
                            const struct sluice_context *context, uint64_t tag)
{
    struct stage *stage = broker->data;

    (void)tag;
    if (stage_may(stage, "fetch_cancel") && context == NULL) {
        stage_fault(stage, "fetch_cancel is asked without a context");
    }
}

CALL(offsets, int32_t isolation, const struct sluice_offset_query *queries, uint32_t count,
     sluice_offsets_done *done, void *arg)
{
    (void)isolation;
    for (uint32_t i = 0; i < count; i++) {
        stage_read_topic(&queries[i].topic);
    }
    ASK(offsets_kind, count);
}

CALL(records_delete, const struct sluice_records_delete *entries, uint32_t count,
     sluice_records_deleted_done *done, void *arg)
{
    for (uint32_t i = 0; i < count; i++) {
        stage_read_topic(&entries[i].topic);
    }
    ASK(deleted_kind, count);
}

CALL(epoch_ends, const struct sluice_epoch_query *queries, uint32_t count,
     sluice_epoch_ends_done *done, void *arg)
{
    for (uint32_t i = 0; i < count; i++) {
        stage_read_topic(&queries[i].topic);
    }
    ASK(epoch_ends_kind, count);
}

CALL(producers_describe, const struct sluice_txn_partition *places, uint32_t count,
     sluice_producers_done *done, void *arg)
{
    for (uint32_t i = 0; i < count; i++) {
        stage_read_topic(&places[i].topic);
    }
    ASK(producers_kind, count);
}

CALL(producer_id, int64_t id, int16_t epoch, sluice_producer_id_done *done, void *arg)
{
    (void)id;
    (void)epoch;
    ASK(rehearsal_producer_id_kind, 1);
}

void rehearsal_records_init(struct sluice_broker *table)
{
    table->produce = on_produce;
    table->fetch = on_fetch;
    table->fetch_cancel = on_fetch_cancel;
    table->offsets = on_offsets;
    table->records_delete = on_records_delete;
    table->epoch_ends = on_epoch_ends;
    table->producers_describe = on_producers_describe;
    table->producer_id = on_producer_id;
}
