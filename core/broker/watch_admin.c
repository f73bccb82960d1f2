/* watch_admin.c: see watch_admin.h.
 *
 * flow: every shard's loop is asked once; it copies what its loop knows (the books of producers and
 * readers, its connections' stalls, its buffers) and what its shard knows (its log, where stages
 * are). Loop 0 adds the plugins and puts the rows together. Counters only: rates are the difference
 * of two answers over the difference of their mono_ms. */
#include "broker/watch_admin.h"

#include "broker/admin_round.h"
#include "broker/filter_admin.h"
#include "broker/plugin_cost.h"
#include "broker/plugin_link.h"
#include "broker/sluice_state.h"
#include "broker/watch_log.h"
#include "catalog/catalog.h"
#include "intake/conn.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

/* JSON of one shard's loop, made there. */
struct flow_call {
    struct admin_round_call base; /* of a room its first shard tells the book */
    cJSON *producers, *readers, *filters, *lags, *pressure, *stalls;
};

struct flow_gather {
    struct admin_round round;
    struct flow_call calls[];
};

/* ---- producers ---- */

struct row_visit {
    const struct shard *shard;
    cJSON *rows;
    bool reads; /* nothing is known of how much */
    int64_t now_ms;
    uint32_t count;
};

/* The key's topic, by its name now; "" for what has no row of its own, or is gone. */
static void add_topic(cJSON *object, const struct shard *shard, struct sl_bytes key)
{
    struct sl_uuid id;
    char name[FLOW_TOPIC_BYTES_MAX + 1u] = "";
    if (key.size > 1 && key.data[0] == 'n') {
        snprintf(name, sizeof(name), "%.*s", (int)(key.size - 1), (const char *)key.data + 1);
    } else if (key.size == 1 + sizeof(id)) {
        memcpy(&id, key.data + 1, sizeof(id));
        const struct topic *topic = catalog_by_id(shard->catalog, &id);
        if (topic != NULL) {
            snprintf(name, sizeof(name), "%.*s", (int)topic->name.size,
                     (const char *)topic->name.data);
        }
    }
    cJSON_AddStringToObject(object, "topic", name);
}

static void visit_row(void *arg, struct sl_bytes key, const struct flow_row *row)
{
    struct row_visit *visit = arg;
    if (visit->count++ >= WATCH_ROWS_MAX) {
        return;
    }
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "client", row->client);
    add_topic(object, visit->shard, key);
    if (visit->reads) {
        admin_add_uint64(object, "requests", row->batches);
    } else {
        admin_add_uint64(object, "records", row->records);
        admin_add_uint64(object, "bytes", row->bytes);
        admin_add_uint64(object, "batches", row->batches);
    }
    admin_add_uint64(object, "idle_ms", (uint64_t)SL_MAX(visit->now_ms - row->last_ms, INT64_C(0)));
    cJSON_AddItemToArray(visit->rows, object);
}

/* ---- what waits, how full ---- */

static void add_pressure(cJSON *array, const char *what, uint32_t place, uint64_t used,
                         uint64_t bound)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "what", what);
    cJSON_AddNumberToObject(object, "place", place);
    admin_add_uint64(object, "used", used);
    admin_add_uint64(object, "bound", bound);
    cJSON_AddItemToArray(array, object);
}

static void add_stall(cJSON *array, const char *what, const char *cause, uint64_t now,
                      uint64_t total)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "what", what);
    cJSON_AddStringToObject(object, "cause", cause);
    admin_add_uint64(object, "now", now);
    admin_add_uint64(object, "total", total);
    cJSON_AddItemToArray(array, object);
}

static void tell_room(struct flow_call *call)
{
    const struct loop_room *room = call->base.room;
    struct row_visit visit = {.shard = call->base.call.target,
                              .rows = call->producers,
                              .now_ms = sl_loop_now_ns(room->loop) / 1000000};
    flow_book_each(&room->flow, visit_row, &visit);
    visit.rows = call->readers;
    visit.reads = true;
    visit.count = 0;
    flow_book_each(&room->readers, visit_row, &visit);
    filter_list_json(room, call->filters);
    add_pressure(call->pressure, "buffers", room->index, room->cache.used_bytes,
                 room->cache.budget_bytes);
    for (int cause = 1; cause < CONN_STALL_COUNT; cause++) {
        add_stall(call->stalls, "connections", conn_stall_name((enum conn_stall)cause),
                  room->intake.stalled_now[cause], room->intake.stalls_total[cause]);
    }
}

static void tell_shard(struct flow_call *call)
{
    const struct shard *shard = call->base.call.target;
    struct wal_status status;
    if (shard->log == NULL) {
        return;
    }
    commit_log_status(shard->memory.log, &status);
    add_pressure(call->pressure, "memory", shard->index, status.bytes_used, status.bytes_max);
    if (shard->log != shard->memory.log) {
        commit_log_status(shard->log, &status);
        add_pressure(call->pressure, "log", shard->index, status.bytes_used, status.bytes_max);
        add_stall(call->stalls, "log", "disk full", status.disk_full, 0);
        add_stall(call->stalls, "log", "storage failed", status.fenced, 0);
    }
}

/* One object a stage, topic and cause; partitions of one cause are added up. */
static void visit_lag(void *arg, const struct plugin_lag *lag)
{
    struct flow_call *call = arg;
    if (cJSON_GetArraySize(call->lags) >= (int)WATCH_LAGS_MAX) {
        return;
    }
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "plugin", lag->plugin);
    cJSON_AddStringToObject(object, "topic", lag->topic);
    cJSON_AddNumberToObject(object, "partition", lag->partition);
    admin_add_uint64(object, "lag",
                     (uint64_t)SL_MAX(lag->end_offset - lag->next_offset, INT64_C(0)));
    admin_add_uint64(object, "lag_ms",
                     (uint64_t)plugin_lag_age_ms(lag, sl_os_wall_ms(call->base.round->sluice->os)));
    cJSON_AddStringToObject(object, "stall", lag->stall);
    cJSON_AddItemToArray(call->lags, object);
}

/* [the shard's loop] */
static void run(struct shard_call *shard_call)
{
    struct flow_call *call = SL_CONTAINER_OF(shard_call, struct flow_call, base.call);
    const struct plugin_manager *plugins = call->base.round->sluice->plugins;
    call->producers = cJSON_CreateArray();
    call->readers = cJSON_CreateArray();
    call->filters = cJSON_CreateArray();
    call->lags = cJSON_CreateArray();
    call->pressure = cJSON_CreateArray();
    call->stalls = cJSON_CreateArray();
    if (call->base.room != NULL) {
        tell_room(call);
    }
    tell_shard(call);
    plugin_manager_measure(plugins, shard_call->target->index, true);
    plugin_manager_each_lag(plugins, shard_call->target->index, visit_lag, call);
    shard_call_reply(shard_call);
}

/* ---- the answer ---- */

static void flow_end(struct admin_round *round)
{
    struct flow_gather *gather = SL_CONTAINER_OF(round, struct flow_gather, round);
    struct sluice *sluice = round->sluice;
    char why[160];
    cJSON *result = cJSON_CreateObject();
    admin_add_uint64(result, "mono_ms", (uint64_t)(sl_os_mono_ns(sluice->os) / 1000000));
    admin_add_uint64(result, "uptime_ms",
                     (uint64_t)((sl_os_mono_ns(sluice->os) - sluice->started_ns) / 1000000));
    cJSON *producers = cJSON_AddArrayToObject(result, "producers");
    cJSON *readers = cJSON_AddArrayToObject(result, "readers");
    plugin_list_json(sluice->plugins, cJSON_AddArrayToObject(result, "plugins"));
    cJSON *filters = cJSON_AddArrayToObject(result, "filters");
    cJSON *lags = cJSON_AddArrayToObject(result, "lags");
    cJSON *pressure = cJSON_AddArrayToObject(result, "pressure");
    cJSON *stalls = cJSON_AddArrayToObject(result, "stalls");
    for (uint32_t i = 0; i < sluice->shards.count; i++) {
        admin_move_all(producers, gather->calls[i].producers);
        admin_move_all(readers, gather->calls[i].readers);
        admin_move_all(filters, gather->calls[i].filters);
        admin_move_all(lags, gather->calls[i].lags);
        admin_move_all(pressure, gather->calls[i].pressure);
        admin_move_all(stalls, gather->calls[i].stalls);
    }
    storage_watch_explain(&sluice->storage, why);
    if (why[0] != '\0') {
        add_stall(stalls, "producers", why, 1, 0);
    }
    admin_round_answer(round, SLUICE_OK, "", result);
}

static void flow(struct sluice *sluice, admin_storage_done *done, void *done_arg)
{
    struct flow_gather *gather =
        admin_round_new(sluice, sizeof(*gather), sizeof(gather->calls[0]), done, done_arg);
    if (gather != NULL) {
        admin_round_start(&gather->round, gather->calls, sizeof(gather->calls[0]), run, flow_end);
    }
}

void watch_admin_run(void *arg, const char *command, const cJSON *args, admin_storage_done *done,
                     void *done_arg)
{
    struct sluice *sluice = ((struct admin_socket *)arg)->sluice;
    if (sluice->stopping) {
        done(done_arg, SLUICE_E_STOPPING, "", NULL);
    } else if (strcmp(command, "log") == 0) {
        watch_log_run(sluice, args, done, done_arg);
    } else {
        flow(sluice, done, done_arg);
    }
}
