/* storage_admin.c: see storage_admin.h; the scrub command. Backups are in backup_admin.c. */
#include "broker/storage_admin.h"

#include "broker/admin_round.h"
#include "broker/sluice_state.h"
#include "shard/scrub.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

struct scrub_call {
    struct admin_round_call base;
    bool is_there;
    struct scrub_status status;
    struct scrub_finding findings[SCRUB_FINDINGS_MAX];
};

struct scrub_gather {
    struct admin_round round;
    bool start;
    uint64_t bytes_per_s;
    struct scrub_call calls[];
};

/* ---- the answer ---- */

static void finding_add(cJSON *array, uint32_t shard, const struct scrub_finding *finding)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "shard", shard);
    cJSON_AddStringToObject(object, "file", finding->file);
    admin_add_uint64(object, "position", finding->position);
    admin_add_uint64(object, "bytes", finding->bytes);
    if (finding->topic[0] != '\0') {
        cJSON_AddStringToObject(object, "topic", finding->topic);
        cJSON_AddNumberToObject(object, "partition", finding->partition);
        admin_add_int64(object, "first_offset", finding->first_offset);
        admin_add_int64(object, "last_offset", finding->last_offset);
    }
    cJSON_AddItemToArray(array, object);
}

static void shard_add(cJSON *array, uint32_t shard, const struct scrub_status *status)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "shard", shard);
    cJSON_AddBoolToObject(object, "running", status->busy);
    admin_add_uint64(object, "bytes", status->bytes_total);
    admin_add_uint64(object, "bytes_done", status->bytes_done);
    admin_add_uint64(object, "bytes_per_s", status->bytes_per_s);
    admin_add_uint64(object, "passes", status->passes);
    admin_add_uint64(object, "errors", status->errors);
    admin_add_int64(object, "begun_ms", status->begun_ms);
    admin_add_int64(object, "ended_ms", status->ended_ms);
    admin_add_int64(object, "next_ms", status->next_ms);
    admin_add_uint64(object, "last_bytes", status->last_bytes);
    admin_add_uint64(object, "last_errors", status->last_errors);
    admin_add_int64(object, "last_elapsed_ms", status->last_elapsed_ms);
    cJSON_AddItemToArray(array, object);
}

static cJSON *answer_new(const struct scrub_gather *gather)
{
    const struct sluice *sluice = gather->round.sluice;
    cJSON *object = cJSON_CreateObject();
    bool running = false;
    uint64_t damaged = 0;
    for (uint32_t i = 0; i < sluice->shards.count; i++) {
        running = running || gather->calls[i].status.busy;
        damaged += scrub_damaged(sluice->shards.shards[i]);
    }
    cJSON_AddBoolToObject(object, "running", running);
    admin_add_uint64(object, "damaged", damaged);
    cJSON *shards = cJSON_AddArrayToObject(object, "shards");
    cJSON *findings = cJSON_AddArrayToObject(object, "findings");
    for (uint32_t i = 0; i < sluice->shards.count; i++) {
        const struct scrub_call *call = &gather->calls[i];
        if (!call->is_there) {
            continue;
        }
        shard_add(shards, i, &call->status);
        for (uint32_t j = 0; j < call->status.finding_count; j++) {
            finding_add(findings, i, &call->findings[j]);
        }
    }
    return object;
}

/* ---- the calls ---- */

static void scrub_end(struct admin_round *round)
{
    admin_round_answer(round, SLUICE_OK, "",
                       answer_new(SL_CONTAINER_OF(round, struct scrub_gather, round)));
}

/* [the shard's loop] */
static void run(struct shard_call *shard_call)
{
    struct scrub_call *call = SL_CONTAINER_OF(shard_call, struct scrub_call, base.call);
    const struct scrub_gather *gather =
        SL_CONTAINER_OF(call->base.round, struct scrub_gather, round);
    struct shard *shard = shard_call->target;
    call->is_there = shard->log != NULL && shard->extents != NULL;
    if (call->is_there && gather->start) {
        scrub_now(shard, gather->bytes_per_s);
    }
    if (call->is_there) {
        scrub_status_get(shard, &call->status);
        memcpy(call->findings, call->status.findings,
               call->status.finding_count * sizeof(call->findings[0]));
        call->status.findings = call->findings;
    }
    shard_call_reply(shard_call);
}

static uint64_t rate_take(const cJSON *args)
{
    const cJSON *rate = cJSON_GetObjectItemCaseSensitive(args, "bytes_per_s");
    return cJSON_IsString(rate)                             ? strtoull(rate->valuestring, NULL, 10)
           : cJSON_IsNumber(rate) && rate->valuedouble >= 1 ? (uint64_t)rate->valuedouble
                                                            : 0;
}

static void scrub_run(struct sluice *sluice, const cJSON *args, admin_storage_done *done,
                      void *done_arg)
{
    struct scrub_gather *gather =
        admin_round_new(sluice, sizeof(*gather), sizeof(gather->calls[0]), done, done_arg);
    if (gather != NULL) {
        gather->start = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(args, "start"));
        gather->bytes_per_s = rate_take(args);
        admin_round_start(&gather->round, gather->calls, sizeof(gather->calls[0]), run, scrub_end);
    }
}

/* ---- commands ---- */

void storage_admin_run(void *arg, void *connection, const char *command, const cJSON *args,
                       admin_storage_done *done, void *done_arg)
{
    struct sluice *sluice = ((struct admin_socket *)arg)->sluice;
    const char *what = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(args, "what"));
    if (sluice->stopping) {
        done(done_arg, SLUICE_E_STOPPING, "", NULL);
    } else if (!config_has_disk(sluice->config)) {
        done(done_arg, SLUICE_E_UNSUPPORTED, "this broker has no disk (data.dir: none)", NULL);
    } else if (strcmp(command, "scrub") == 0) {
        scrub_run(sluice, args, done, done_arg);
    } else if (strcmp(command, "backup.begin") == 0) {
        backup_admin_begin(&sluice->backup, sluice, connection, done, done_arg);
    } else if (strcmp(command, "backup.release") == 0) {
        bool only_log = what != NULL && strcmp(what, "log") == 0;
        backup_admin_release(&sluice->backup, connection, only_log, done, done_arg);
    } else {
        done(done_arg, SLUICE_E_UNSUPPORTED, command, NULL);
    }
}

void storage_admin_closed(void *arg, void *connection)
{
    backup_admin_closed(&((struct admin_socket *)arg)->sluice->backup, connection);
}
