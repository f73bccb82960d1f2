/* dlq_admin.c: see dlq_admin.h. */
#include "broker/dlq_admin.h"

#include "base/status.h"
#include "broker/admin_round.h"
#include "broker/sluice_state.h"
#include "record/dead_letter.h"
#include "shard/partition.h"
#include "stage/redrive_marks.h"
#include "stage/stage_redrive.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#define REASON_BYTES 1024u

/* ---- dlq.stages ---- */

struct stages_call {
    struct admin_round_call base;
    cJSON *partitions; /* owned until done: {stage, topic, of, partition, start, end, redriven} */
    sl_err err;
};

struct stages_gather {
    struct admin_round round;
    char name[TOPIC_NAME_BYTES_MAX + 1u]; /* empty: all */
    struct stages_call calls[];
};

static sl_err add_partition(struct stages_call *call, struct topic *topic, const char *stage,
                            bool of_groups, uint32_t number)
{
    struct redrive_marks marks = {0};
    struct partition *partition = NULL;
    struct shard *shard = call->base.call.target;
    sl_err err = partition_open(shard, topic, number, &partition);
    err = err != SLUICE_OK
              ? err
              : redrive_marks_load(&marks, shard->positions, partition_topic_id(partition), number);
    if (err != SLUICE_OK) {
        return err;
    }
    cJSON *entry = cJSON_CreateObject();
    int64_t start = partition_start(partition);
    int64_t end = partition_end(partition);
    char name[TOPIC_NAME_BYTES_MAX + 1u];
    snprintf(name, sizeof(name), "%.*s", (int)topic->name.size, (const char *)topic->name.data);
    cJSON_AddStringToObject(entry, "stage", stage);
    cJSON_AddStringToObject(entry, "topic", name);
    cJSON_AddStringToObject(entry, "of", of_groups ? "groups" : "stage");
    cJSON_AddNumberToObject(entry, "partition", number);
    admin_add_int64(entry, "start", start);
    admin_add_int64(entry, "end", end);
    admin_add_int64(entry, "waiting", redrive_marks_left(&marks, start, end));
    cJSON *ranges = cJSON_AddArrayToObject(entry, "redriven");
    for (uint32_t i = 0; i < marks.count; i++) {
        cJSON *range = cJSON_CreateObject();
        admin_add_int64(range, "first", marks.ranges[i].first);
        admin_add_int64(range, "end", marks.ranges[i].end);
        cJSON_AddItemToArray(ranges, range);
    }
    cJSON_AddItemToArray(call->partitions, entry);
    redrive_marks_fini(&marks);
    return SLUICE_OK;
}

/* [the shard's loop] */
static void visit_topic(void *arg, struct topic *topic)
{
    struct stages_call *call = arg;
    static const size_t prefix = sizeof(TOPIC_NAME_DEAD_LETTER) - 1;
    char stage[TOPIC_NAME_BYTES_MAX + 1u];
    bool of_groups = false;
    bool of_stage =
        topic->name.size > prefix && memcmp(topic->name.data, TOPIC_NAME_DEAD_LETTER, prefix) == 0;
    size_t skipped = of_stage ? prefix : 0;
    snprintf(stage, sizeof(stage), "%.*s", (int)(topic->name.size - skipped),
             (const char *)topic->name.data + skipped);
    const char *name = SL_CONTAINER_OF(call->base.round, struct stages_gather, round)->name;
    bool wanted = name[0] == '\0' || strcmp(name, stage) == 0;
    if (!wanted ||
        stage_redrive_letters(call->base.call.target->catalog, stage, &of_groups) != topic) {
        return;
    }
    for (uint32_t i = 0; i < topic->partition_count && call->err == SLUICE_OK; i++) {
        if (shard_of_partition(call->base.call.target->set, topic, i) == call->base.call.target) {
            call->err = add_partition(call, topic, stage, of_groups, i);
        }
    }
}

/* [the shard's loop] */
static void run(struct shard_call *shard_call)
{
    struct stages_call *call = SL_CONTAINER_OF(shard_call, struct stages_call, base.call);
    call->partitions = cJSON_CreateArray();
    if (shard_call->target->status == SLUICE_OK) {
        catalog_each(shard_call->target->catalog, visit_topic, call);
    }
    shard_call_reply(shard_call);
}

static void stages_end(struct admin_round *round)
{
    struct stages_gather *gather = SL_CONTAINER_OF(round, struct stages_gather, round);
    cJSON *result = cJSON_CreateObject();
    cJSON *all = cJSON_AddArrayToObject(result, "partitions");
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < round->sluice->shards.count; i++) {
        admin_move_all(all, gather->calls[i].partitions);
        err = err != SLUICE_OK ? err : gather->calls[i].err;
    }
    if (err == SLUICE_OK && gather->name[0] != '\0' && all->child == NULL) {
        err = SLUICE_E_NOT_FOUND;
    }
    char text[REASON_BYTES] = "";
    if (err == SLUICE_E_NOT_FOUND) {
        snprintf(text, sizeof(text),
                 "%s has no dead letters: it is no stage that has any, nor a topic that is open to "
                 "those of groups (errors.deadletterqueue.group.enable)",
                 gather->name);
    }
    if (err != SLUICE_OK) {
        cJSON_Delete(result);
        result = NULL;
    }
    admin_round_answer(round, err, text, result);
}

static void stages(struct sluice *sluice, const char *name, admin_storage_done *done,
                   void *done_arg)
{
    struct stages_gather *gather =
        admin_round_new(sluice, sizeof(*gather), sizeof(gather->calls[0]), done, done_arg);
    if (gather != NULL) {
        snprintf(gather->name, sizeof(gather->name), "%s", name != NULL ? name : "");
        admin_round_start(&gather->round, gather->calls, sizeof(gather->calls[0]), run, stages_end);
    }
}

/* ---- redrives ---- */

static cJSON *status_json(const struct plugin_manager *manager)
{
    struct redrive_status status;
    plugin_manager_redrive_status(manager, &status);
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "stage", status.name);
    cJSON_AddBoolToObject(object, "running", status.is_running);
    cJSON_AddBoolToObject(object, "of_groups", status.of_groups);
    admin_add_int64(object, "total", (int64_t)status.total);
    admin_add_int64(object, "seen", (int64_t)status.seen);
    admin_add_int64(object, "redriven", (int64_t)status.done);
    admin_add_int64(object, "failed_again", (int64_t)status.failed);
    admin_add_int64(object, "orphans", (int64_t)status.orphans);
    admin_add_int64(object, "distant", (int64_t)status.distant);
    admin_add_int64(object, "bare", (int64_t)status.bare);
    cJSON_AddNumberToObject(object, "error", status.err);
    cJSON_AddStringToObject(object, "reason", status.text);
    return object;
}

static int64_t number_of(const cJSON *args, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(args, name);
    return cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble < 9e15
               ? (int64_t)item->valuedouble
               : -1;
}

static void redrive(struct sluice *sluice, const cJSON *args, const char *name,
                    admin_storage_done *done, void *done_arg)
{
    const char *filters[DEAD_LETTER_FILTERS_MAX + 1u];
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(args, "filters");
    const cJSON *item = NULL;
    char reason[REASON_BYTES] = "";
    struct redrive_request request = {
        .name = name,
        .to = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(args, "to")),
        .partition = number_of(args, "partition"),
        .offset = number_of(args, "offset"),
        .filters = filters,
        .dry_run = admin_is_dry(args)};
    cJSON_ArrayForEach(item, list)
    {
        if (cJSON_IsString(item) && request.filter_count <= DEAD_LETTER_FILTERS_MAX) {
            filters[request.filter_count++] = item->valuestring;
        }
    }
    if (strlen(name) > TOPIC_NAME_BYTES_MAX) {
        done(done_arg, SLUICE_E_INVALID, "the name is too long", NULL);
        return;
    }
    sl_err err = plugin_manager_redrive(sluice->plugins, &request, reason);
    done(done_arg, err, reason, err == SLUICE_OK ? status_json(sluice->plugins) : NULL);
}

void dlq_admin_run(void *arg, const char *command, const struct cJSON *args,
                   admin_storage_done *done, void *done_arg)
{
    struct sluice *sluice = ((struct admin_socket *)arg)->sluice;
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(args, "name"));
    if (sluice->stopping) {
        done(done_arg, SLUICE_E_STOPPING, "", NULL);
    } else if (strcmp(command, "dlq.stages") == 0) {
        stages(sluice, name, done, done_arg);
    } else if (strcmp(command, "dlq.status") == 0) {
        done(done_arg, SLUICE_OK, "", status_json(sluice->plugins));
    } else if (name == NULL) {
        done(done_arg, SLUICE_E_INVALID, "\"name\" is missing", NULL);
    } else {
        redrive(sluice, args, name, done, done_arg);
    }
}
