/* plugin_lags.c: see plugin_lags.h. */
#include "broker/plugin_lags.h"

#include "broker/admin_round.h"
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

struct lags_call {
    struct admin_round_call base;
    sl_err err;
    struct lag_copy *lags; /* owned */
    uint32_t count;
};

struct lags_gather {
    struct admin_round round;
    char name[MANIFEST_ID_BYTES];
    cJSON *object; /* owned until done */
    struct lags_call calls[];
};

/* ---- the answer ---- */

static void add_lag(cJSON *array, const struct lag_copy *lag)
{
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddStringToObject(entry, "topic", lag->topic);
    cJSON_AddNumberToObject(entry, "partition", lag->partition);
    admin_add_int64(entry, "position", lag->position);
    admin_add_int64(entry, "lag", lag->lag);
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
    for (uint32_t i = 0; i < gather->round.sluice->shards.count; i++) {
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
    for (uint32_t i = 0; i < gather->round.sluice->shards.count; i++) {
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
    const struct admin_round *round = call->base.round;
    const char *name = SL_CONTAINER_OF(round, const struct lags_gather, round)->name;
    if (strcmp(lag->plugin, name) != 0 || call->count == PLUGIN_LAGS_MAX) {
        return;
    }
    struct lag_copy *copy = &call->lags[call->count++];
    snprintf(copy->topic, sizeof(copy->topic), "%s", lag->topic);
    copy->partition = lag->partition;
    copy->position = lag->next_offset;
    copy->lag = SL_MAX(lag->end_offset - lag->next_offset, (int64_t)0);
    copy->age_ms = plugin_lag_age_ms(lag, sl_os_wall_ms(round->sluice->os));
    copy->stall = lag->stall;
}

/* [the shard's loop] */
static void run(struct shard_call *shard_call)
{
    struct lags_call *call = SL_CONTAINER_OF(shard_call, struct lags_call, base.call);
    call->lags = sl_alloc_zero(PLUGIN_LAGS_MAX, sizeof(*call->lags));
    if (call->lags == NULL) {
        call->err = SLUICE_E_NO_MEMORY;
    } else {
        const struct plugin_manager *plugins = call->base.round->sluice->plugins;
        plugin_manager_measure(plugins, shard_call->target->index, true);
        plugin_manager_each_lag(plugins, shard_call->target->index, visit_lag, call);
    }
    shard_call_reply(shard_call);
}

static void lags_end(struct admin_round *round)
{
    struct lags_gather *gather = SL_CONTAINER_OF(round, struct lags_gather, round);
    sl_err err = plugin_info_json(round->sluice->plugins, gather->name, gather->object);
    err = err != SLUICE_OK ? err : add_lags(gather);
    frontend_set_show(&round->sluice->frontends, gather->name, gather->object);
    if (err != SLUICE_OK) {
        cJSON_Delete(gather->object);
        gather->object = NULL;
    }
    for (uint32_t i = 0; i < gather->round.sluice->shards.count; i++) {
        sl_free(gather->calls[i].lags);
    }
    admin_round_answer(round, err, err == SLUICE_E_NOT_FOUND ? gather->name : "", gather->object);
}

void plugin_lags_info(struct sluice *sluice, const char *name, admin_storage_done *done,
                      void *done_arg)
{
    struct lags_gather *gather =
        admin_round_new(sluice, sizeof(*gather), sizeof(gather->calls[0]), done, done_arg);
    if (gather == NULL) {
        return;
    }
    snprintf(gather->name, sizeof(gather->name), "%s", name);
    gather->object = cJSON_CreateObject();
    if (gather->object == NULL) {
        admin_round_refuse(&gather->round, SLUICE_E_NO_MEMORY);
        return;
    }
    admin_round_start(&gather->round, gather->calls, sizeof(gather->calls[0]), run, lags_end);
}
