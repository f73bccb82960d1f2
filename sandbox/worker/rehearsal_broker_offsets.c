/* rehearsal_broker_offsets.c: offsets that groups commit, made up (rehearsal_broker.h). */
#include "rehearsal_broker.h"

static void end_offsets_fetched(struct stage *stage, const struct stage_call *call, void *results,
                                sluice_status status)
{
    struct sluice_offset_fetched *fetched = results;

    (void)stage;
    for (uint32_t i = 0; i < call->count; i++) {
        fetched[i] = (struct sluice_offset_fetched){
            .status = status, .topic = rehearsal_topic, .offset = -1, .leader_epoch = -1};
    }
    DONE(sluice_offset_fetched_done)(call->arg, status, fetched, call->count);
}

static const struct rehearsal_kind offsets_fetched_kind =
    KIND("offset_fetch", end_offsets_fetched, sizeof(struct sluice_offset_fetched));

/* ---- calls ---- */

CALL(offset_commit, const struct sluice_offset_commit *request, sluice_statuses_done *done,
     void *arg)
{
    for (uint32_t i = 0; i < request->entry_count; i++) {
        stage_read_topic(&request->entries[i].topic);
    }
    ASK(rehearsal_statuses_kind, request->entry_count);
}

CALL(offset_fetch, const struct sluice_offset_fetch *request, sluice_offset_fetched_done *done,
     void *arg)
{
    ASK(offsets_fetched_kind, request->entries != NULL ? request->entry_count : 1);
}

CALL(offset_delete, const struct sluice_offset_fetch *request, sluice_statuses_done *done,
     void *arg)
{
    for (uint32_t i = 0; i < request->entry_count; i++) {
        stage_read_topic(&request->entries[i].topic);
    }
    ASK(rehearsal_statuses_kind, request->entry_count);
}

void rehearsal_offsets_init(struct sluice_broker *table)
{
    table->offset_commit = on_offset_commit;
    table->offset_fetch = on_offset_fetch;
    table->offset_delete = on_offset_delete;
}
