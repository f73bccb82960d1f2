/* filter_admin.c: see filter_admin.h. Pools belong to their loops: each makes the objects of its
 * own expressions, loop 0 puts them behind each other. */
#include "broker/filter_admin.h"

#include "broker/admin_round.h"
#include "broker/plugin_link.h"
#include "broker/sluice_state.h"

#include <cjson/cJSON.h>
#include <stdio.h>

#define PREFIX "lua:"

/* ---- one loop ---- */

struct listing {
    cJSON *array;
    uint32_t loop;
};

static void add_text(cJSON *object, struct sluice_text text)
{
    char name[sizeof(PREFIX) + SLUICE_FILTER_TEXT_BYTES_MAX];
    snprintf(name, sizeof(name), PREFIX "%.*s", (int)text.size, text.data);
    cJSON_AddStringToObject(object, "name", name);
}

static void visit(void *arg, const struct filter_info *info)
{
    const struct listing *listing = arg;
    cJSON *object = cJSON_CreateObject();
    add_text(object, info->text);
    cJSON_AddNumberToObject(object, "loop", listing->loop);
    cJSON_AddStringToObject(object, "state", info->state);
    cJSON *clients = cJSON_AddArrayToObject(object, "clients");
    for (uint32_t i = 0; i < info->client_count && i < FILTER_CLIENTS_SHOWN; i++) {
        cJSON_AddItemToArray(clients, cJSON_CreateString(info->clients[i]));
    }
    cJSON_AddNumberToObject(object, "client_count", info->client_count);
    cJSON_AddNumberToObject(object, "worker_pid", info->pid);
    admin_add_uint64(object, "records_in", info->sums.records);
    admin_add_uint64(object, "records_out", info->sums.passed);
    admin_add_uint64(object, "errors", info->sums.raised);
    admin_add_uint64(object, "worker_deaths", info->sums.deaths);
    admin_add_uint64(object, "batch_p99_ns", info->batch_p99_ns);
    admin_add_uint64(object, "cpu_ns", info->sums.cpu_ns);
    admin_add_uint64(object, "cpu_throttled_ns", info->sums.throttled_ns);
    admin_add_uint64(object, "cpu_share_ppm", info->cpu_share_ppm);
    admin_add_uint64(object, "memory_bytes", info->sums.memory_bytes);
    cJSON_AddStringToObject(object, "last_error", info->last_error);
    cJSON_AddItemToArray(listing->array, object);
}

void filter_list_json(const struct loop_room *room, cJSON *array)
{
    struct listing listing = {.array = array, .loop = room->index};
    filter_pool_each(&room->filters, visit, &listing);
}

/* ---- all loops ---- */

struct list_call {
    struct admin_round_call base;
    cJSON *filters;
};

struct list_gather {
    struct admin_round round;
    struct list_call calls[];
};

static void list_end(struct admin_round *round)
{
    struct list_gather *gather = SL_CONTAINER_OF(round, struct list_gather, round);
    struct sluice *sluice = round->sluice;
    cJSON *result = cJSON_CreateObject();
    plugin_list_json(sluice->plugins, cJSON_AddArrayToObject(result, "plugins"));
    cJSON *filters = cJSON_AddArrayToObject(result, "filters");
    for (uint32_t i = 0; i < sluice->shards.count; i++) {
        admin_move_all(filters, gather->calls[i].filters);
    }
    admin_round_answer(round, SLUICE_OK, "", result);
}

/* [the shard's loop] */
static void run(struct shard_call *shard_call)
{
    struct list_call *call = SL_CONTAINER_OF(shard_call, struct list_call, base.call);
    call->filters = cJSON_CreateArray();
    if (call->base.room != NULL) {
        filter_list_json(call->base.room, call->filters);
    }
    shard_call_reply(shard_call);
}

void plugin_list_gather(struct sluice *sluice, admin_storage_done *done, void *done_arg)
{
    struct list_gather *gather =
        admin_round_new(sluice, sizeof(*gather), sizeof(gather->calls[0]), done, done_arg);
    if (gather != NULL) {
        admin_round_start(&gather->round, gather->calls, sizeof(gather->calls[0]), run, list_end);
    }
}
