/* plugin_lags.c: see plugin_lags.h. */
#include "broker/plugin_lags.h"

#include "broker/plugin_cost.h"
#include "broker/sluice_state.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A plugin_lag that outlives its shard's loop. */
struct lag_copy {
    char topic[MANIFEST_TOPIC_BYTES];
    uint32_t partition;
    int64_t position;
    int64_t lag;
    int64_t age_ms;
    const char *stall; /* a constant */
};

struct lags_gather;

struct lags_call {
    struct shard_call call;
    struct lags_gather *gather;
    sl_err err;
    struct lag_copy *lags; /* owned */
    uint32_t count;
};

struct lags_gather {
    struct sluice *sluice;
    char name[MANIFEST_ID_BYTES];
    cJSON *object; /* owned until done */
    uint32_t pending;
    admin_storage_done *done;
    void *done_arg;
    struct lags_call calls[];
};

/* ---- the answer ---- */

static void add_number(cJSON *object, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)value);
    cJSON_AddStringToObject(object, key, text); /* 64-bit values are strings */
}

static void add_lag(cJSON *array, const struct lag_copy *lag)
{
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddStringToObject(entry, "topic", lag->topic);
    cJSON_AddNumberToObject(entry, "partition", lag->partition);
    add_number(entry, "position", lag->position);
    add_number(entry, "lag", lag->lag);
    cJSON_AddNumberToObject(entry, "lag_seconds", (double)lag->age_ms / 1000);
    cJSON_AddStringToObject(entry, "stall", lag->stall);
    cJSON_AddItemToArray(array, entry);
}

static int by_place(const void *left, const void *right)
{
    const struct lag_copy *const *a = left;
    const struct lag_copy *const *b = right;
    int order = strcmp((*a)->topic, (*b)->topic);
    return order != 0 ? order
                      : ((*a)->partition > (*b)->partition) - ((*a)->partition < (*b)->partition);
}

static sl_err add_lags(const struct lags_gather *gather)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < gather->sluice->shards.count; i++) {
        if (gather->calls[i].err != SLUICE_OK) {
            return gather->calls[i].err;
        }
        count += gather->calls[i].count;
    }
    const struct lag_copy **all = sl_alloc_zero(count + 1u, sizeof(const struct lag_copy *));
    if (all == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    uint32_t used = 0;
    for (uint32_t i = 0; i < gather->sluice->shards.count; i++) {
        for (uint32_t j = 0; j < gather->calls[i].count; j++) {
            all[used++] = &gather->calls[i].lags[j];
        }
    }
    qsort(all, used, sizeof(const struct lag_copy *), by_place);
    cJSON *array = cJSON_AddArrayToObject(gather->object, "partitions");
    for (uint32_t i = 0; i < used; i++) {
        add_lag(array, all[i]);
    }
    sl_free(all);
    return SLUICE_OK;
}

/* ---- the calls ---- */

static void visit_lag(void *arg, const struct plugin_lag *lag)
{
    struct lags_call *call = arg;
    if (strcmp(lag->plugin, call->gather->name) != 0 || call->count == PLUGIN_LAGS_MAX) {
        return;
    }
    struct lag_copy *copy = &call->lags[call->count++];
    snprintf(copy->topic, sizeof(copy->topic), "%s", lag->topic);
    copy->partition = lag->partition;
    copy->position = lag->next_offset;
    copy->lag = SL_MAX(lag->end_offset - lag->next_offset, (int64_t)0);
    copy->age_ms = plugin_lag_age_ms(lag, sl_os_wall_ms(call->gather->sluice->os));
    copy->stall = lag->stall;
}

/* [the shard's loop] */
static void run(struct shard_call *shard_call)
{
    struct lags_call *call = SL_CONTAINER_OF(shard_call, struct lags_call, call);
    call->lags = sl_alloc_zero(PLUGIN_LAGS_MAX, sizeof(*call->lags));
    if (call->lags == NULL) {
        call->err = SLUICE_E_NO_MEMORY;
    } else {
        plugin_manager_measure(call->gather->sluice->plugins, shard_call->target->index, true);
        plugin_manager_each_lag(call->gather->sluice->plugins, shard_call->target->index, visit_lag,
                                call);
    }
    shard_call_reply(shard_call);
}

static void gather_end(struct lags_gather *gather)
{
    struct shard *home = gather->sluice->shards.shards[0];
    sl_err err = plugin_info_json(gather->sluice->plugins, gather->name, gather->object);
    err = err != SLUICE_OK ? err : add_lags(gather);
    frontend_set_show(&gather->sluice->frontends, gather->name, gather->object);
    if (err != SLUICE_OK) {
        cJSON_Delete(gather->object);
        gather->object = NULL;
    }
    gather->done(gather->done_arg, err, err == SLUICE_E_NOT_FOUND ? gather->name : "",
                 gather->object);
    for (uint32_t i = 0; i < gather->sluice->shards.count; i++) {
        sl_free(gather->calls[i].lags);
    }
    sl_free(gather);
    shard_request_end(home);
}

static void replied(struct shard_call *shard_call)
{
    struct lags_gather *gather = SL_CONTAINER_OF(shard_call, struct lags_call, call)->gather;
    if (--gather->pending == 0) {
        gather_end(gather);
    }
}

static void gather_start(struct lags_gather *gather)
{
    struct sluice *sluice = gather->sluice;
    uint32_t count = sluice->shards.count;
    gather->pending = count;
    shard_request_begin(sluice->shards.shards[0]);
    for (uint32_t i = 0; i < count; i++) {
        struct lags_call *call = &gather->calls[i];
        call->gather = gather;
        call->call.run = run;
        call->call.reply = replied;
        /* The last reply frees the gather: nothing of it is touched after the last start. */
        shard_call_start(&call->call, sluice->shards.shards[i], sluice->rooms[0].loop,
                         SL_PRIORITY_CONTROL);
    }
}

void plugin_lags_info(struct sluice *sluice, const char *name, admin_storage_done *done,
                      void *done_arg)
{
    if (sluice->stopping) {
        done(done_arg, SLUICE_E_STOPPING, "", NULL);
        return;
    }
    struct lags_gather *gather =
        sl_alloc_zero(1, sizeof(*gather) + sluice->shards.count * sizeof(gather->calls[0]));
    cJSON *object = cJSON_CreateObject();
    if (gather == NULL || object == NULL) {
        sl_free(gather);
        cJSON_Delete(object);
        done(done_arg, SLUICE_E_NO_MEMORY, "", NULL);
        return;
    }
    gather->sluice = sluice;
    snprintf(gather->name, sizeof(gather->name), "%s", name);
    gather->object = object;
    gather->done = done;
    gather->done_arg = done_arg;
    gather_start(gather);
}
