/* filter_admin.c: see filter_admin.h. Pools belong to their loops: each makes the objects of its
 * own expressions, loop 0 puts them behind each other. */
#include "broker/filter_admin.h"

#include "broker/plugin_link.h"
#include "broker/sluice_state.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>

#define PREFIX "lua:"

/* ---- one loop ---- */

struct listing {
    cJSON *array;
    uint32_t loop;
};

static void add_number(cJSON *object, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    cJSON_AddStringToObject(object, key, text); /* 64-bit values are strings */
}

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
    add_number(object, "records_in", info->sums.records);
    add_number(object, "records_out", info->sums.passed);
    add_number(object, "errors", info->sums.raised);
    add_number(object, "worker_deaths", info->sums.deaths);
    add_number(object, "batch_p99_ns", info->batch_p99_ns);
    add_number(object, "cpu_ns", info->sums.cpu_ns);
    add_number(object, "cpu_throttled_ns", info->sums.throttled_ns);
    add_number(object, "cpu_share_ppm", info->cpu_share_ppm);
    add_number(object, "memory_bytes", info->sums.memory_bytes);
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
    struct shard_call call;
    struct list_gather *gather;
    const struct loop_room *room;
    cJSON *filters;
};

struct list_gather {
    struct sluice *sluice;
    uint32_t pending;
    admin_storage_done *done;
    void *done_arg;
    struct list_call calls[];
};

static void gather_end(struct list_gather *gather)
{
    struct sluice *sluice = gather->sluice;
    cJSON *result = cJSON_CreateObject();
    plugin_list_json(sluice->plugins, cJSON_AddArrayToObject(result, "plugins"));
    cJSON *filters = cJSON_AddArrayToObject(result, "filters");
    for (uint32_t i = 0; i < sluice->room_count; i++) {
        admin_move_all(filters, gather->calls[i].filters);
    }
    gather->done(gather->done_arg, SLUICE_OK, "", result);
    sl_free(gather);
    shard_request_end(sluice->shards.shards[0]);
}

static void replied(struct shard_call *shard_call)
{
    struct list_gather *gather = SL_CONTAINER_OF(shard_call, struct list_call, call)->gather;
    if (--gather->pending == 0) {
        gather_end(gather);
    }
}

/* [the room's loop] */
static void run(struct shard_call *shard_call)
{
    struct list_call *call = SL_CONTAINER_OF(shard_call, struct list_call, call);
    call->filters = cJSON_CreateArray();
    filter_list_json(call->room, call->filters);
    shard_call_reply(shard_call);
}

void plugin_list_gather(struct sluice *sluice, admin_storage_done *done, void *done_arg)
{
    uint32_t count = sluice->room_count;
    struct list_gather *gather =
        sluice->stopping ? NULL
                         : sl_alloc_zero(1, sizeof(*gather) + count * sizeof(gather->calls[0]));
    if (gather == NULL) {
        done(done_arg, sluice->stopping ? SLUICE_E_STOPPING : SLUICE_E_NO_MEMORY, "", NULL);
        return;
    }
    gather->sluice = sluice;
    gather->done = done;
    gather->done_arg = done_arg;
    gather->pending = count;
    shard_request_begin(sluice->shards.shards[0]);
    for (uint32_t i = 0; i < count; i++) {
        struct list_call *call = &gather->calls[i];
        call->gather = gather;
        call->room = &sluice->rooms[i];
        call->call.run = run;
        call->call.reply = replied;
        /* The last reply frees the gather: nothing of it is touched after the last start. */
        shard_call_start(&call->call, sluice->rooms[i].shards[0], sluice->rooms[0].loop,
                         SL_PRIORITY_CONTROL);
    }
}
