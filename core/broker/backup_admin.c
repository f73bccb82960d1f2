/* backup_admin.c: see backup_admin.h. */
#include "broker/backup_admin.h"

#include "broker/sluice_state.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- steps over shards ---- */

static void release_all(struct backup_admin *backup, bool only_log);

static void replied(struct shard_call *call)
{
    struct backup_call *self = SL_CONTAINER_OF(call, struct backup_call, call);
    struct backup_admin *backup = self->backup;
    if (self->err != SLUICE_OK && backup->err == SLUICE_OK) {
        backup->err = self->err;
        backup->failed = call->target->index;
    }
    if (--backup->pending == 0) {
        backup->next(backup);
    }
}

/* Runs it on the shards from `first` to before `end`, at least one; then `next`. */
static void step(struct backup_admin *backup, uint32_t first, uint32_t end,
                 void (*run)(struct shard_call *call), void (*next)(struct backup_admin *backup))
{
    struct sluice *sluice = backup->sluice;
    SL_ASSERT(backup->pending == 0 && first < end);
    backup->pending = end - first;
    backup->next = next;
    for (uint32_t i = first; i < end; i++) {
        struct backup_call *call = &backup->calls[i];
        call->backup = backup;
        call->err = SLUICE_OK;
        call->call.run = run;
        call->call.reply = replied;
        shard_call_start(&call->call, sluice->shards.shards[i], sluice->rooms[0].loop,
                         SL_PRIORITY_CONTROL);
    }
}

/* ---- on a shard's loop ---- */

static void hold_run(struct shard_call *call)
{
    cut_hold(call->target);
    shard_call_reply(call);
}

static void resume_run(struct shard_call *call)
{
    cut_resume(call->target);
    shard_call_reply(call);
}

static void taken(void *arg, sl_err err, const struct cut_result *result)
{
    struct backup_call *self = arg;
    self->err = err;
    if (err == SLUICE_OK) {
        self->result = *result;
    }
    shard_call_reply(&self->call);
}

static void take_run(struct shard_call *call)
{
    cut_take(call->target, taken, SL_CONTAINER_OF(call, struct backup_call, call));
}

static void release_run(struct shard_call *call)
{
    struct backup_call *self = SL_CONTAINER_OF(call, struct backup_call, call);
    self->log_kept = call->target->log == NULL || call->target->stopping ||
                     cut_release(call->target, self->backup->only_log);
    shard_call_reply(call);
}

/* ---- the answer ---- */

static cJSON *shard_new(uint32_t index, const struct cut_result *result)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "shard", index);
    admin_add_uint64(object, "lsn", result->lsn);
    cJSON_AddNumberToObject(object, "epoch", result->epoch);
    admin_add_uint64(object, "first_segment", result->first_segment);
    admin_add_uint64(object, "last_segment", result->last_segment);
    cJSON *extents = cJSON_AddArrayToObject(object, "extents");
    for (uint32_t i = 0; i < result->extent_count; i++) {
        cJSON *extent = cJSON_CreateObject();
        admin_add_uint64(extent, "id", result->extents[i].id);
        admin_add_uint64(extent, "bytes", result->extents[i].file_size);
        cJSON_AddItemToArray(extents, extent);
    }
    return object;
}

static cJSON *answer_new(const struct backup_admin *backup)
{
    const struct sluice *sluice = backup->sluice;
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "version", SLUICE_VERSION);
    cJSON_AddStringToObject(object, "cluster_id", sluice->facts.cluster_id);
    char *path = realpath(sluice->config->data.dir, NULL); /* who asks may be elsewhere */
    cJSON_AddStringToObject(object, "data_dir", path != NULL ? path : sluice->config->data.dir);
    free(path);
    cJSON *shards = cJSON_AddArrayToObject(object, "shards");
    for (uint32_t i = 0; i < sluice->shards.count; i++) {
        cJSON_AddItemToArray(shards, shard_new(i, &backup->calls[i].result));
    }
    return object;
}

/* The command is over; an owner that went away meanwhile leaves nothing behind. */
static void command_end(struct backup_admin *backup, enum backup_state state, sl_err err,
                        const char *detail, cJSON *answer)
{
    struct shard *home = backup->sluice->shards.shards[0];
    admin_storage_done *done = backup->done;
    backup->done = NULL;
    backup->state = state;
    if (done != NULL) {
        done(backup->done_arg, err, detail, answer);
    } else {
        cJSON_Delete(answer);
    }
    if (backup->state == BACKUP_HELD && backup->connection == NULL) {
        release_all(backup, false);
    }
    shard_request_end(home);
}

/* ---- begin ---- */

static void failed_released(struct backup_admin *backup)
{
    char detail[96];
    bool in_memory = backup->err == SLUICE_E_UNSUPPORTED;
    snprintf(detail, sizeof(detail), "shard %u%s", backup->failed,
             in_memory ? " has no disk, so there are no files to copy" : "");
    command_end(backup, BACKUP_NONE, backup->err, detail, NULL);
}

static void results_free(struct backup_admin *backup)
{
    for (uint32_t i = 0; i < backup->sluice->shards.count; i++) {
        sl_free(backup->calls[i].result.extents);
        backup->calls[i].result = (struct cut_result){.extents = NULL};
    }
}

static void resumed(struct backup_admin *backup)
{
    if (backup->err != SLUICE_OK) {
        results_free(backup);
        backup->only_log = false;
        step(backup, 0, backup->sluice->shards.count, release_run, failed_released);
        return;
    }
    cJSON *answer = answer_new(backup);
    results_free(backup);
    command_end(backup, BACKUP_HELD, SLUICE_OK, "", answer);
}

static void all_taken(struct backup_admin *backup)
{
    step(backup, 0, backup->sluice->shards.count, resume_run, resumed);
}

static void others_taken(struct backup_admin *backup)
{
    if (backup->err != SLUICE_OK) {
        all_taken(backup);
    } else {
        step(backup, 0, 1, take_run, all_taken);
    }
}

static void held(struct backup_admin *backup)
{
    uint32_t count = backup->sluice->shards.count;
    if (count == 1) {
        others_taken(backup);
    } else {
        step(backup, 1, count, take_run, others_taken);
    }
}

void backup_admin_begin(struct backup_admin *backup, struct sluice *sluice, void *connection,
                        admin_storage_done *done, void *done_arg)
{
    if (backup->state != BACKUP_NONE) {
        done(done_arg, SLUICE_E_BUSY, "another backup is being made", NULL);
        return;
    }
    backup->sluice = sluice;
    backup->state = BACKUP_BEGINS;
    backup->connection = connection;
    backup->done = done;
    backup->done_arg = done_arg;
    backup->err = SLUICE_OK;
    shard_request_begin(sluice->shards.shards[0]);
    step(backup, 0, sluice->shards.count, hold_run, held);
}

/* ---- release ---- */

static void released(struct backup_admin *backup)
{
    bool kept = true;
    for (uint32_t i = 0; i < backup->sluice->shards.count; i++) {
        kept = kept && backup->calls[i].log_kept;
    }
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "log_kept", kept);
    command_end(backup, backup->only_log ? BACKUP_HELD : BACKUP_NONE, SLUICE_OK, "", answer);
}

static void release_all(struct backup_admin *backup, bool only_log)
{
    backup->state = BACKUP_RELEASES;
    backup->only_log = only_log;
    shard_request_begin(backup->sluice->shards.shards[0]);
    step(backup, 0, backup->sluice->shards.count, release_run, released);
}

void backup_admin_release(struct backup_admin *backup, void *connection, bool only_log,
                          admin_storage_done *done, void *done_arg)
{
    if (backup->state != BACKUP_HELD || backup->connection != connection) {
        done(done_arg, SLUICE_E_INVALID_REQUEST, "this connection holds no backup", NULL);
        return;
    }
    backup->done = done;
    backup->done_arg = done_arg;
    release_all(backup, only_log);
}

void backup_admin_closed(struct backup_admin *backup, void *connection)
{
    if (backup->state == BACKUP_NONE || backup->connection != connection) {
        return;
    }
    backup->connection = NULL;
    if (backup->state == BACKUP_HELD) {
        release_all(backup, false);
    } /* else when the command that is under way ends */
}
